package transactions

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/ledger"
)

// How pending rulings are claimed: each attempt is twice as far from the next,
// within these bounds, and a worker that dies holds its claims no longer.
const (
	lease   = 15 * time.Second // more than an actuator's time limit can be
	longest = 10 * time.Minute
	batch   = 100
)

// Retry asks the actuators of pending rulings that are due, many at a time, and
// carries out what they decide. It returns how many it decided; where that is a
// whole batch there may be more. Any number of servers may run it: each ruling
// is claimed by one, and decided once. An actuator that still does not answer
// is no error. Those of the other mode belong to its servers, whose actuators these
// have not. Background work calls it every second or so.
func (s *Service) Retry(ctx context.Context) (decided int, err error) {
	claimed, err := s.UoW.Read().Checkout.ClaimPending(ctx, s.Mode, s.Clock.Now(), lease, longest, batch)
	if err != nil || len(claimed) == 0 {
		return 0, err
	}
	var failed []error
	for i, o := range s.Planner.Plan(ctx, snapshots(claimed)) {
		if o.Err != nil {
			continue // due again when its lease ends
		}
		err := s.decide(ctx, claimed[i], o)
		switch {
		case err == nil:
			decided++
		case !errors.Is(err, checkout.ErrDecided):
			failed = append(failed, err)
		}
	}
	return decided, errors.Join(failed...)
}

// decide carries out one ruling after the sale.
func (s *Service) decide(ctx context.Context, r checkout.Ruling, o actuation.Outcome) error {
	now := s.Clock.Now()
	set, err := s.settingsOf(ctx, r.Tenant)
	if err != nil {
		return err
	}
	return s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		tx, err := st.Checkout.Transaction(ctx, r.Tenant, r.TransactionID)
		if err != nil {
			return err
		}
		late := s.attributed(tx, []checkout.Ruling{r.Decided(o.Plan, o.Actuator, now)})[0]
		if late.State == checkout.Committed && late.Plan.GrantMinor() > 0 {
			book, err := st.Ledger.Book(ctx, r.Tenant, tx.Buyer.CustomerID)
			if err != nil {
				return err
			}
			c := ledger.Begin(book.Wallet)
			given, err := grant(c, book.Verified, tx, unexpired(late, now), set, now)
			if err != nil {
				return err
			}
			late.AmountMinor, late.GrantID, late.EntryID = given.AmountMinor, given.GrantID, given.EntryID
			if err := s.apply(ctx, st, c, now); err != nil {
				return err
			}
		}
		if err := st.Checkout.Decide(ctx, late); err != nil {
			return err
		}
		if err := s.command(ctx, st, []checkout.Ruling{late}); err != nil {
			return err
		}
		return s.tellLate(ctx, st, late, tx, now)
	})
}

// tellLate writes the trace of a ruling that was decided after its sale.
func (s *Service) tellLate(ctx context.Context, st app.Stores, late checkout.Ruling, tx checkout.Transaction, now time.Time) error {
	tr, decisions, err := trace(late.TraceID, tx, []checkout.Ruling{late}, now)
	if err != nil {
		return err
	}
	if err := st.Decisions.SaveTraces(ctx, []decision.Trace{tr}, decisions); err != nil {
		return err
	}
	e, err := s.decided(tx, tr, decisions)
	if err != nil {
		return err
	}
	return st.Events.Append(ctx, e)
}

// unexpired gives a cashback that was planned with the time of the sale, and
// would have lapsed by now, the life it was to have from now on: the customer
// is not to pay for an actuator that was away.
func unexpired(r checkout.Ruling, now time.Time) checkout.Ruling {
	effects := append([]actuation.Effect(nil), r.Plan.Effects...)
	for i, e := range effects {
		if !e.ExpiresAt.IsZero() && !e.ExpiresAt.After(now) {
			effects[i].ExpiresAt = now.Add(e.ExpiresAt.Sub(r.Snapshot.At))
		}
	}
	r.Plan.Effects = effects
	return r
}
