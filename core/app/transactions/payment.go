package transactions

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
)

// together is how many sales are written in one transaction: enough to share
// its cost, few enough that a payment never waits long for one of the wallets.
const together = 64

// Sales of payments that stand alone come when payments leave room: nobody waits
// for them at a till, and they cost less in larger batches. They let payments go
// first for a turn at a time, and not at all once they are as old as patience.
const (
	turn     = 3 * time.Second
	patience = 30 * time.Second
)

// FromPayment is FromPayments for a single event.
func (s *Service) FromPayment(ctx context.Context, e event.Event) error {
	return s.FromPayments(ctx, []event.Event{e})
}

// FromPayments makes the transactions of payments that stand alone, for
// payment.succeeded events without a session (rule 55), with their cashback and
// attribution. Other events are passed by. Events may come again, to several
// servers at a time: a payment has one transaction. An error says that some
// have none yet.
func (s *Service) FromPayments(ctx context.Context, events []event.Event) error {
	refs, err := paidAlone(events)
	if len(refs) > 0 && s.GiveWay != nil {
		s.GiveWay(ctx, min(turn, patience-s.Clock.Now().Sub(events[0].At)))
	}
	for some := range slices.Chunk(refs, together) {
		err = errors.Join(err, s.sell(ctx, some))
	}
	return err
}

// paidAlone names the payments of the events that belong to no session.
func paidAlone(events []event.Event) ([]ledger.PaymentRef, error) {
	var refs []ledger.PaymentRef
	var errs []error
	for i := range events {
		e := &events[i]
		alone, err := ledger.PaidAlone(e)
		if alone {
			refs = append(refs, ledger.PaymentRef{Tenant: e.Tenant, ID: e.Subject})
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return refs, errors.Join(errs...)
}

// sell writes the sales of payments that have none. Where another server was
// faster with one of them, the rest is read and decided anew.
func (s *Service) sell(ctx context.Context, refs []ledger.PaymentRef) error {
	for {
		sales, err := s.prepare(ctx, refs)
		if err != nil || len(sales) == 0 {
			return err
		}
		s.planAll(ctx, sales)
		err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
			_, err := s.RecordAll(ctx, st, sales)
			return err
		})
		if !errors.Is(err, checkout.ErrRecorded) || ctx.Err() != nil {
			return err
		}
	}
}

// prepare reads what the sales need and asks for their rulings. Payments that
// have their transaction, belong to a session or to a sandbox that was erased
// since, are left out.
func (s *Service) prepare(ctx context.Context, refs []ledger.PaymentRef) ([]RecordInput, error) {
	st := s.UoW.Read()
	alone, err := st.Ledger.Alone(ctx, refs)
	if err != nil {
		return nil, err
	}
	sales := make([]RecordInput, 0, len(alone))
	for _, l := range alone {
		in, err := s.alone(ctx, st, l)
		if fault.Is(err, fault.CodeNotFound) {
			continue
		}
		if err != nil {
			return nil, err // written without its rulings, it would never have any
		}
		sales = append(sales, in)
	}
	return sales, nil
}

// alone is the sale of a payment that stands alone, with what it calls for.
func (s *Service) alone(ctx context.Context, st app.Stores, l ledger.Lone) (in RecordInput, err error) {
	if in.Settings, err = s.settingsOf(ctx, l.Payment.Tenant); err != nil {
		return in, err
	}
	in.Transaction = s.ofPayment(l.Payment, l.CustomerState)
	in.Transaction.TraceID = s.IDs.Make(ids.Trace)
	earns := l.WalletCurrency == "" || l.WalletCurrency == in.Transaction.Currency
	in.Rulings, err = s.ask(ctx, st, in.Transaction, in.Settings, earns)
	return in, err
}

// planAll has the rulings of all sales decided in one call to each actuator.
// The payments happened: their transactions wait for no actuator, however
// required it declares itself; what is not answered stays pending.
func (s *Service) planAll(ctx context.Context, sales []RecordInput) {
	var batch []actuation.Snapshot
	for _, in := range sales {
		batch = append(batch, snapshots(in.Rulings)...)
	}
	outcomes := s.Planner.Plan(ctx, batch)
	for _, in := range sales {
		for i := range in.Rulings {
			if o := outcomes[0]; o.Err == nil {
				in.Rulings[i] = in.Rulings[i].Decided(o.Plan, o.Actuator, in.Transaction.CreatedAt)
				in.Rulings[i].TraceID = in.Transaction.TraceID
			}
			outcomes = outcomes[1:]
		}
	}
}

// OfPayment is the transaction of a payment that belongs to no sale of a
// session, not yet recorded. It is made at the time of the call.
func (s *Service) OfPayment(ctx context.Context, st app.Stores, p ledger.Payment) (checkout.Transaction, error) {
	customer, err := st.Identity.Customer(ctx, p.Tenant, p.CustomerID)
	if err != nil {
		return checkout.Transaction{}, err
	}
	return s.ofPayment(p, string(customer.State)), nil
}

func (s *Service) ofPayment(p ledger.Payment, customerState string) checkout.Transaction {
	paid := Net(p)
	return checkout.Transaction{
		ID: s.IDs.Make(ids.Transaction), Tenant: p.Tenant, Origin: checkout.OriginPOS, SessionID: p.SessionID, Place: p.Place,
		CashierID: p.CashierID, Currency: p.Currency, SubtotalMinor: paid.AmountMinor(), TotalMinor: paid.AmountMinor(),
		Buyer: checkout.Buyer{CustomerID: p.CustomerID, State: customerState},
		Tenders: []checkout.Paid{{
			Tender:            checkout.Tender{Type: checkout.Wallet, AmountMinor: paid.AmountMinor(), PaymentID: p.ID},
			DebitedPromoMinor: paid.DebitedPromoMinor, DebitedActualMinor: paid.DebitedActualMinor, EntryIDs: paid.EntryIDs,
		}},
		CreatedAt: s.Clock.Now(),
	}
}

// Net is a payment as a sale needs to know it: what was given back of it is
// taken off in the order in which it went back, actual money first.
func Net(p ledger.Payment) checkout.Payment {
	actual := min(p.RefundedMinor, p.Debit.ActualMinor)
	out := checkout.Payment{
		ID: p.ID, CustomerID: p.CustomerID,
		DebitedActualMinor: p.Debit.ActualMinor - actual,
		DebitedPromoMinor:  p.Debit.PromoMinor() - (p.RefundedMinor - actual),
	}
	if p.EntryID != "" {
		out.EntryIDs = []string{p.EntryID}
	}
	return out
}
