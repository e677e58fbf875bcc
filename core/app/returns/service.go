// Package returns is money going back: the void and the refund of a payment,
// and the void of a whole sale. All of them give back through one path, so that
// a payment never gives back more than it took, whoever asks at the same moment.
//
// Locks are taken in the order: idempotency record, session, wallet, lots,
// budgets. The wallet's lock is what serialises returns of its payments.
package returns

import (
	"cmp"
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	core "github.com/feddi/feddi/core/returns"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of returns.
type Service struct {
	UoW          app.UnitOfWork
	Clock        clock.Clock
	IDs          *ids.Source
	Directory    tenancy.Directory
	Transactions *transactions.Service // records the sale of a payment alone before it is undone
	Incentives   *incentives.Service   // gives back the offers of a voided sale
	Points       *points.Service       // and its points
}

// Outcome is a payment after something went back of it.
type Outcome struct {
	Payment ledger.Payment
	Return  core.Return
	Balance ledger.Balance
}

func (s *Service) settings(ctx context.Context, call *app.Call) (tenancy.Settings, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	return m.Settings, err
}

// zone is a merchant's time zone, in which its business days begin at midnight.
func zone(set tenancy.Settings) (*time.Location, error) {
	z, err := time.LoadLocation(set.TimeZone)
	if err != nil {
		return nil, fault.Internal(err)
	}
	return z, nil
}

// grace is the expiry given to what comes back to a lot that lapsed since.
func grace(set tenancy.Settings) time.Duration {
	if set.RefundGraceDays <= 0 {
		return ledger.DefaultGrace
	}
	return time.Duration(set.RefundGraceDays) * 24 * time.Hour
}

// actor is who asked, for the record: the terminal, else the key.
func actor(call *app.Call) string {
	return cmp.Or(call.Actor.TerminalID, call.Actor.KeyID, call.Actor.PartnerID)
}

// payment reads one that the caller may see. Errors: NOT_FOUND.
func payment(ctx context.Context, st app.Stores, call *app.Call, id string) (ledger.Payment, error) {
	p, err := st.Ledger.Payment(ctx, call.Tenant, id)
	if err == nil && !checkout.Within(call.Actor, p.Place) {
		return ledger.Payment{}, fault.NotFound("payment")
	}
	return p, err
}

// sale locks what a payment belongs to: its session, where it has one, or its
// own transaction, which is recorded now where the outbox has not come so far,
// so that what becomes of the sale does not depend on who is faster.
type sale struct {
	session *checkout.Session     // nil for a payment alone
	tx      *checkout.Transaction // nil while the session is open
}

// open reports whether the payment is a tender of a session that can still be
// paid. One whose time is over counts until the sweep ends it: what went back is
// then no part of the sale that the sweep records.
func (s sale) open() bool { return s.session != nil && s.session.State == checkout.Open }

// sale finds and locks the sale of p. earns says whether a sale that is recorded
// now may earn cashback.
func (s *Service) sale(ctx context.Context, st app.Stores, p ledger.Payment, set tenancy.Settings, earns bool) (sale, error) {
	var out sale
	if p.SessionID != "" {
		c, err := st.Checkout.Lock(ctx, p.Tenant, p.SessionID)
		if err != nil {
			return out, err
		}
		out.session = &c
	}
	// Whoever records a sale holds its buyer's wallet.
	if _, err := st.Ledger.Book(ctx, p.Tenant, p.CustomerID); err != nil {
		return out, err
	}
	id, err := st.Checkout.TransactionOfPayment(ctx, p.Tenant, p.ID)
	switch {
	case err != nil:
		return out, err
	case id != "":
		tx, err := st.Checkout.Transaction(ctx, p.Tenant, id)
		out.tx = &tx
		return out, err
	case out.session != nil || left(p) == 0: // not recorded yet, or nothing to record
		return out, nil
	}
	tx, err := s.record(ctx, st, p, set, earns)
	out.tx = &tx
	return out, err
}

// record writes the transaction of a payment alone. Its cashback and
// attribution are decided by transactions.Retry, unless it is to be voided.
func (s *Service) record(ctx context.Context, st app.Stores, p ledger.Payment, set tenancy.Settings, earns bool) (checkout.Transaction, error) {
	tx, err := s.Transactions.OfPayment(ctx, st, p)
	if err != nil {
		return tx, err
	}
	in := transactions.RecordInput{Transaction: tx, Settings: set}
	if earns {
		if in.Rulings, err = s.Transactions.Ask(ctx, st, tx, set); err != nil {
			return tx, err
		}
	}
	return s.Transactions.Record(ctx, st, in)
}

// unpaid takes what went back off what an open session has been paid.
func unpaid(ctx context.Context, st app.Stores, c checkout.Session, amountMinor int64) error {
	c.PaidMinor -= amountMinor
	_, err := st.Checkout.Save(ctx, c)
	return err
}
