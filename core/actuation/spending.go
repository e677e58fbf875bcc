package actuation

import (
	"cmp"
	"slices"
	"time"

	"github.com/feddi/feddi/core/money"
)

// spendable reports whether the lot can be spent at the instant at.
func (l Lot) spendable(at time.Time) bool {
	return l.RemainingMinor > 0 && (l.ExpiresAt.IsZero() || l.ExpiresAt.After(at))
}

// inSpendingOrder compares two lots: earliest expiry first, never-expiring
// last, then oldest (rule 15). Lots that tie keep the order of the snapshot.
func inSpendingOrder(a, b Lot) int {
	if never := a.ExpiresAt.IsZero(); never != b.ExpiresAt.IsZero() {
		if never {
			return 1
		}
		return -1
	}
	return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), a.IssuedAt.Compare(b.IssuedAt))
}

// ordered returns the lots in spending order; the snapshot's own slice where
// it is in order already.
func ordered(lots []Lot) []Lot {
	if slices.IsSortedFunc(lots, inSpendingOrder) {
		return lots
	}
	lots = slices.Clone(lots)
	slices.SortStableFunc(lots, inSpendingOrder)
	return lots
}

// covers reports whether what the customer can spend is at least the amount
// of the decision. It compares class by class and never stores a sum.
func (s *Snapshot) covers() bool {
	left := s.AmountMinor
	for i := range s.Lots {
		if s.Lots[i].spendable(s.At) {
			if left -= s.Lots[i].RemainingMinor; left <= 0 {
				return true
			}
		}
	}
	return left <= max(s.Wallet.ActualMinor, 0)
}

// follows reports whether the debits are exactly what rule 15 prescribes for
// the snapshot: every spendable lot in order until the amount is reached, then
// actual for the rest.
func (s *Snapshot) follows(debits []*Effect) bool {
	left, next := s.AmountMinor, 0
	for _, l := range ordered(s.Lots) {
		if left == 0 {
			break
		}
		if !l.spendable(s.At) {
			continue
		}
		take := min(left, l.RemainingMinor)
		if next == len(debits) || debits[next].Class != money.Promo || debits[next].GrantID != l.GrantID || debits[next].AmountMinor != take {
			return false
		}
		next++
		left -= take
	}
	if left > 0 {
		if left > s.Wallet.ActualMinor || next == len(debits) || debits[next].Class != money.Actual || debits[next].GrantID != "" || debits[next].AmountMinor != left {
			return false
		}
		next++
	}
	return next == len(debits)
}
