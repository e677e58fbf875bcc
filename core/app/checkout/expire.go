package checkout

import (
	"context"
	"errors"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/offers"
)

// sweepLimit bounds one run of Expire.
const sweepLimit = 200

// Expire ends sessions whose time is over, oldest first: offers go back with
// their budget, and a payment that a session holds becomes a transaction of its
// own, whose cashback is decided by transactions.Retry. It returns how many
// sessions it ended; where that is a whole run there may be more. Any number of
// servers may run it: each session is ended by one, in one transaction, whose
// row lock is the lease and ends with whoever holds it. A session that cannot
// be ended is passed by and keeps the others from nothing. Background work
// calls it every few seconds.
func (s *Service) Expire(ctx context.Context) (ended int, err error) {
	var after checkout.Due
	var failed []error
	for range sweepLimit {
		found, err := s.expireNext(ctx, &after)
		switch {
		case err != nil && ctx.Err() != nil:
			return ended, err
		case err != nil:
			failed = append(failed, err)
		case !found:
			return ended, errors.Join(failed...)
		default:
			ended++
		}
		if len(failed) == 3 { // it is not the session, it is the database
			break
		}
	}
	return ended, errors.Join(failed...)
}

// expireNext ends the session that comes next after after, and moves after on
// to it whatever becomes of it.
func (s *Service) expireNext(ctx context.Context, after *checkout.Due) (found bool, err error) {
	from := *after
	err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		found = false
		c, err := st.Checkout.ClaimExpired(ctx, s.Clock.Now(), from)
		if err != nil || c == nil {
			return err
		}
		found = true
		*after = checkout.Due{ExpiresAt: c.ExpiresAt, SessionID: c.ID}
		return s.expire(ctx, st, *c)
	})
	return found, err
}

func (s *Service) expire(ctx context.Context, st app.Stores, c checkout.Session) error {
	released := false
	release := func(ctx context.Context) (err error) {
		if !released {
			released = true
			c, _, err = s.release(ctx, st, c, offers.ReasonSessionExpired)
		}
		return err
	}
	if err := s.own(ctx, st, c, release); err != nil {
		return err
	}
	if err := release(ctx); err != nil { // where there was no payment
		return err
	}
	c, err := st.Checkout.Save(ctx, c.Expire())
	if err != nil {
		return err
	}
	return s.tell(ctx, st, eventAbandoned, c, s.Clock.Now(), map[string]any{"reason": c.EndReason})
}

// own makes each payment of the session a transaction of its own. release gives
// the offers back between the wallet's lock and that of the receipts.
func (s *Service) own(ctx context.Context, st app.Stores, c checkout.Session, release func(context.Context) error) error {
	payments, err := st.Ledger.PaymentsOfSession(ctx, c.Tenant, c.ID)
	if err != nil || len(payments) == 0 {
		return err
	}
	m, err := s.Directory.Merchant(ctx, c.Tenant.MerchantID)
	if err != nil {
		return err
	}
	for _, p := range payments {
		if transactions.Net(p).AmountMinor() == 0 {
			continue
		}
		tx, err := s.Transactions.OfPayment(ctx, st, p)
		if err != nil {
			return err
		}
		rulings, err := s.Transactions.Ask(ctx, st, tx, m.Settings)
		if err != nil {
			return err
		}
		in := transactions.RecordInput{Transaction: tx, Rulings: rulings, Settings: m.Settings, Redeem: release}
		if _, err := s.Transactions.Record(ctx, st, in); err != nil {
			return err
		}
	}
	return nil
}
