package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/feddi/feddi/core/fault"
)

// Live reports whether the lot still holds credit: LOCKED or RELEASED.
func (g Grant) Live() bool { return g.State == Locked || g.State == Released }

// Lapsed reports whether the lot's time is over at now. The sweep turns lapsed
// lots into EXPIRED ones; until then they are not spendable all the same.
func (g Grant) Lapsed(now time.Time) bool { return g.ExpiresAt != nil && !now.Before(*g.ExpiresAt) }

// funder is the account that the lot's credit comes from and goes back to.
func (g Grant) funder() Account {
	if g.BudgetID != "" {
		return Account{AccountBudget, g.BudgetID}
	}
	return Account{AccountPromoExpense, ""}
}

// Release turns LOCKED into RELEASED. Whether that is allowed is for
// Wallet.Qualifies to say (rule 26).
func (g Grant) Release(now time.Time) (Grant, error) {
	if g.State != Locked {
		return g, fmt.Errorf("%w: grant %s is %s, not LOCKED", ErrInvariant, g.ID, g.State)
	}
	g.State, g.ReleasedAt = Released, &now
	return g, nil
}

// Lock turns RELEASED into LOCKED again. It is for a lot that goes back to a
// customer who has not proven the phone: for whom it was released does not own
// it any more (rule 26). A lot in another state stays as it is.
func (g Grant) Lock() Grant {
	if g.State == Released {
		g.State, g.ReleasedAt = Locked, nil
	}
	return g
}

// Spend takes amount from a RELEASED lot; at nothing left it is SPENT.
func (g Grant) Spend(amountMinor int64, now time.Time) (Grant, error) {
	if g.State != Released || g.Lapsed(now) || amountMinor <= 0 || amountMinor > g.RemainingMinor {
		return g, fmt.Errorf("%w: cannot spend %d of grant %s (%s, %d left)", ErrInvariant, amountMinor, g.ID, g.State, g.RemainingMinor)
	}
	g.RemainingMinor -= amountMinor
	if g.RemainingMinor == 0 {
		g.State = Spent
	}
	return g, nil
}

// Expire ends a live lot whose time is over.
func (g Grant) Expire(now time.Time) (Grant, error) {
	if !g.Live() || !g.Lapsed(now) {
		return g, fmt.Errorf("%w: grant %s is %s and does not lapse now", ErrInvariant, g.ID, g.State)
	}
	g.State, g.RemainingMinor = Expired, 0
	return g, nil
}

// ClawBack ends a live lot. Errors: GRANT_NOT_CLAWBACKABLE where nothing is left.
func (g Grant) ClawBack() (Grant, error) {
	if !g.Live() {
		return g, fault.Field(fault.CodeGrantNotClawbackable, "id", "grant_live",
			"the grant is %s and holds nothing to claw back", g.State)
	}
	g.State, g.RemainingMinor = ClawedBack, 0
	return g, nil
}

// restore gives amount back to the lot it was spent from. A lot whose time is
// over gets grace from now, so that the customer can use what came back. A lot
// that was LOCKED again since stays so. ok is false where the lot was clawed back
// since: its credit is forfeited.
func (g Grant) restore(amountMinor int64, now time.Time, grace time.Duration) (after Grant, ok bool, err error) {
	if g.State == ClawedBack {
		return g, false, nil
	}
	if amountMinor <= 0 || g.RemainingMinor+amountMinor > g.AmountMinor {
		return g, false, fmt.Errorf("%w: cannot restore %d to grant %s (%s, %d of %d left)", ErrInvariant, amountMinor, g.ID, g.State, g.RemainingMinor, g.AmountMinor)
	}
	if g.Lapsed(now) {
		until := now.Add(grace)
		g.ExpiresAt = &until
	}
	if g.State != Locked {
		g.State = Released
	}
	g.RemainingMinor += amountMinor
	return g, true, nil
}

// SortSpending puts lots into spending order (rule 15): earliest expiry first,
// never-expiring ones last, then the oldest.
func SortSpending(lots []Grant) {
	slices.SortFunc(lots, func(a, b Grant) int {
		if c := compareExpiry(a.ExpiresAt, b.ExpiresAt); c != 0 {
			return c
		}
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return cmp.Compare(a.ID, b.ID)
	})
}

func compareExpiry(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}
