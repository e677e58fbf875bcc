package topup

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/ledger"
)

// Get reads one top-up; Balance is left empty. One that is PENDING past its
// expiry shows as EXPIRED before the sweep marks it. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (Outcome, error) {
	st := s.UoW.Read()
	top, err := st.Ledger.Topup(ctx, call.Tenant, id)
	if err != nil {
		return Outcome{}, err
	}
	if top.State == ledger.TopupPending {
		if top, err = s.pending(ctx, st, top, s.Clock.Now()); err != nil {
			return Outcome{}, err
		}
	}
	o := Outcome{Topup: top}
	return o, s.bonusOf(ctx, st, &o)
}

// pending fills in what a PENDING top-up would earn, or that it lapsed.
func (s *Service) pending(ctx context.Context, st app.Stores, top ledger.Topup, now time.Time) (ledger.Topup, error) {
	if top.ExpiresAt != nil && !now.Before(*top.ExpiresAt) {
		top.State, top.ExpiresAt, top.Artifact = ledger.TopupExpired, nil, nil
		return top, nil
	}
	tiers, err := st.Ledger.Tiers(ctx, top.Tenant, top.Currency)
	tier, _ := tiers.Earned(top.AmountMinor)
	top.BonusMinor = tier.BonusMinor
	return top, err
}

// Balance reads a wallet as it can be spent now. Errors: NOT_FOUND.
func (s *Service) Balance(ctx context.Context, call *app.Call, customerID string) (ledger.Balance, error) {
	b, err := s.UoW.Read().Ledger.Balance(ctx, call.Tenant, customerID)
	if err != nil {
		return ledger.Balance{}, err
	}
	return b.At(s.Clock.Now()), nil
}

// Expire is one round of the sweep: it ends PENDING top-ups past their expiry,
// at most limit, each in a transaction of its own, and returns how many.
func (s *Service) Expire(ctx context.Context, limit int) (ended int, err error) {
	now := s.Clock.Now()
	list, err := s.UoW.Read().Ledger.LapsedTopups(ctx, now, limit)
	if err != nil {
		return 0, err
	}
	var first error
	for _, top := range list {
		switch done, err := s.expire(ctx, top, now); {
		case err != nil && first == nil:
			first = err
		case done:
			ended++
		}
	}
	return ended, first
}

func (s *Service) expire(ctx context.Context, stale ledger.Topup, now time.Time) (done bool, err error) {
	err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		done = false
		top, err := st.Ledger.TopupForUpdate(ctx, stale.Tenant, stale.ID)
		if err != nil || top.State != ledger.TopupPending {
			return err
		}
		book, err := st.Ledger.Book(ctx, top.Tenant, top.CustomerID)
		if err != nil {
			return err
		}
		c := ledger.Begin(book.Wallet)
		if err := c.Expect(-top.AmountMinor); err != nil {
			return err
		}
		if _, err := st.Ledger.Apply(ctx, c); err != nil {
			return err
		}
		top.State, top.ExpiresAt, top.Artifact = ledger.TopupExpired, nil, nil
		done = true
		return st.Ledger.SaveTopup(ctx, top)
	})
	return done, err
}
