package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// CloseInput says how a session was paid.
type CloseInput struct {
	SessionID string
	// Tenders add up to the session's total; none for a total of 0.
	Tenders []checkout.Tender
}

// Closed is what a close wrote. The decisions stand in Sale.Transaction.Rulings;
// a pending one is carried out later.
type Closed struct {
	View sessions.View
	Sale transactions.View
}

// maxRaces is how often a close is prepared anew because the session changed
// while its actuators were asked.
const maxRaces = 3

// errMoved says that the session is not the one that was planned for.
var errMoved = errors.New("checkout: the session changed while it was being closed")

// Close ends a session with a sale: it redeems the applied offers, writes the
// immutable transaction and has cashback and attribution decided, whatever the
// tender (rule 27). The actuators are asked before the transaction begins, and
// what they plan is committed only onto the session they were asked about.
// Errors: NOT_FOUND, SESSION_ENDED, TENDERS_MISMATCH; STATE_CONFLICT where
// nothing was ever put into the basket, or the session keeps changing;
// ACTUATOR_UNAVAILABLE where a merchant's required actuator does not answer.
func (s *Service) Close(ctx context.Context, call *app.Call, in CloseInput) (Closed, error) {
	for range maxRaces {
		out, err := s.closeOnce(ctx, call, in)
		if !errors.Is(err, errMoved) {
			return out, err
		}
	}
	return Closed{}, fault.Field(fault.CodeStateConflict, "session_id", "current_version", "the session keeps changing; read it and close it again")
}

func (s *Service) closeOnce(ctx context.Context, call *app.Call, in CloseInput) (Closed, error) {
	now := s.Clock.Now()
	p, err := s.prepare(ctx, call, in, now)
	if err != nil {
		return Closed{}, s.known(ctx, call, err, now)
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Closed, error) {
		c, err := lock(ctx, st, call, in.SessionID)
		if err != nil {
			return Closed{}, err
		}
		if c.Version != p.session.Version {
			return Closed{}, errMoved
		}
		return s.commit(ctx, st, c, p, now)
	})
}

// known answers a refusal of a repeated call by the outcome of the first, which
// may have committed since the door looked: what the first one did to the
// session is no reason to refuse its repetition.
func (s *Service) known(ctx context.Context, call *app.Call, refusal error, now time.Time) error {
	if call.Pin == nil {
		return refusal
	}
	found, err := s.UoW.Read().Idempotency.Find(ctx, call.Pin.Scope, now)
	if err != nil || found == nil {
		return refusal
	}
	return call.Pin.Check(*found)
}

// sale is a close that is ready to commit.
type sale struct {
	session  checkout.Session // as it was read
	view     sessions.View    // as it will be, but for the session
	tx       checkout.Transaction
	rulings  []checkout.Ruling
	credits  []incentives.Credit
	settings tenancy.Settings
}

// prepare reads what is sold, matches the tenders and asks the actuators. It
// changes nothing and holds no lock.
func (s *Service) prepare(ctx context.Context, call *app.Call, in CloseInput, now time.Time) (sale, error) {
	st := s.UoW.Read()
	c, err := sessions.Read(ctx, st, call, in.SessionID)
	if err != nil {
		return sale{}, err
	}
	if err := c.Live(now); err != nil {
		return sale{}, err
	}
	if c.BasketRevision == 0 {
		return sale{}, fault.Field(fault.CodeStateConflict, "session_id", "has_basket", "nothing was put into the basket; put what is sold, or abandon the session")
	}
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return sale{}, err
	}
	p := sale{session: c, settings: m.Settings}
	if p.tx, p.view, p.credits, err = s.sold(ctx, st, c, in.Tenders, now); err != nil {
		return sale{}, err
	}
	if p.rulings, err = s.Transactions.Ask(ctx, st, p.tx, m.Settings); err != nil {
		return sale{}, err
	}
	p.rulings, err = s.Transactions.Plan(ctx, p.rulings, p.tx.TraceID, now)
	return p, err
}

// sold is the transaction that closing c with tenders would write, and how the
// session looks then.
func (s *Service) sold(ctx context.Context, st app.Stores, c checkout.Session, tenders []checkout.Tender, now time.Time) (checkout.Transaction, sessions.View, []incentives.Credit, error) {
	list, err := st.Ledger.PaymentsOfSession(ctx, c.Tenant, c.ID)
	if err != nil {
		return checkout.Transaction{}, sessions.View{}, nil, err
	}
	var payments []checkout.Payment
	for _, p := range list {
		if net := transactions.Net(p); net.AmountMinor() > 0 {
			payments = append(payments, net)
		}
	}
	paid, err := checkout.Settle(c.TotalMinor(), tenders, payments)
	if err != nil {
		return checkout.Transaction{}, sessions.View{}, nil, err
	}
	v, err := sessions.Load(ctx, st, c)
	if err != nil {
		return checkout.Transaction{}, sessions.View{}, nil, err
	}
	apps, err := incentives.Applied(ctx, st, c.Tenant, c.ID)
	if err != nil {
		return checkout.Transaction{}, sessions.View{}, nil, err
	}
	for i := range v.Offers {
		v.Offers[i].State = string(offers.Redeemed)
	}
	return checkout.Transaction{
		ID: s.IDs.Make(ids.Transaction), Tenant: c.Tenant, Origin: c.Origin, Channel: c.Channel, SessionID: c.ID,
		Place: c.Place, CashierID: c.CashierID, Locale: c.Locale, Currency: c.Currency,
		Buyer: checkout.Buyer{
			CustomerID: c.CustomerID, State: v.CustomerState, CredentialType: c.CredentialType, Probationary: c.Probationary,
		},
		SubtotalMinor: v.Basket.SubtotalMinor, BasketDiscountMinor: v.Basket.DiscountMinor, TaxMinor: v.Basket.TaxMinor,
		DiscountMinor: c.DiscountMinor, TotalMinor: c.TotalMinor(), Lines: v.Basket.Lines, Offers: v.Offers, Tenders: paid,
		TraceID: s.IDs.Make(ids.Trace), CreatedAt: now,
	}, v, incentives.Credits(apps), nil
}

// earn gives the points of the offers that the sale redeemed.
func (s *Service) earn(ctx context.Context, st app.Stores, p sale, redeemed []offers.Application) error {
	earned := points.Earned{
		Tenant: p.tx.Tenant, CustomerID: p.tx.Buyer.CustomerID, ReferenceID: p.tx.ID,
		ExpiresAt: ledger.ExpiryAfter(p.tx.CreatedAt, p.settings.PointsExpiryDays),
	}
	for _, a := range redeemed {
		earned.Points = min(earned.Points+a.Points, money.MaxMinor)
	}
	if earned.Points == 0 || earned.CustomerID == "" { // such offers are held by identified customers only
		return nil
	}
	return points.Earn(ctx, st, s.IDs, earned, p.tx.CreatedAt)
}

// commit writes a sale onto the session that it was planned for.
func (s *Service) commit(ctx context.Context, st app.Stores, c checkout.Session, p sale, now time.Time) (Closed, error) {
	c, err := st.Checkout.Save(ctx, c.Close(p.tx.ID, now))
	if err != nil {
		return Closed{}, err
	}
	tx, err := s.Transactions.Record(ctx, st, transactions.RecordInput{
		Transaction: p.tx, Rulings: p.rulings, Credits: p.credits, Settings: p.settings,
		Redeem: func(ctx context.Context) error {
			redeemed, err := s.Incentives.RedeemAll(ctx, st, c, p.tx.ID, now)
			if err != nil {
				return err
			}
			return s.earn(ctx, st, p, redeemed)
		},
	})
	if err != nil {
		return Closed{}, err
	}
	if err := s.tell(ctx, st, eventClosed, c, now, map[string]any{"tender_types": tx.TenderTypes()}); err != nil {
		return Closed{}, err
	}
	out := Closed{View: p.view}
	out.View.Session = c
	out.Sale, err = transactions.Look(ctx, st, tx)
	return out, err
}
