package ledger

import "time"

// PromoSource is the part of a debit that one lot pays.
type PromoSource struct {
	GrantID     string
	AmountMinor int64
}

// Debit is how an amount is taken from a wallet.
type Debit struct {
	Sources     []PromoSource // in spending order
	ActualMinor int64
}

// PromoMinor is the promotional part.
func (d Debit) PromoMinor() int64 {
	var sum int64
	for _, s := range d.Sources {
		sum += s.AmountMinor
	}
	return sum
}

// AmountMinor is the whole (rule 16).
func (d Debit) AmountMinor() int64 { return d.PromoMinor() + d.ActualMinor }

// Spend splits amount over a wallet in the order of rule 15: RELEASED lots that
// have not lapsed at now, earliest expiry first, then actual money. lots may be
// in any state and order. short is what is missing: where it is not zero,
// nothing may be debited (rule 18).
func Spend(amountMinor, actualMinor int64, lots []Grant, now time.Time) (d Debit, short int64) {
	left := amountMinor
	for _, g := range Spendable(lots, now) {
		if left == 0 {
			break
		}
		part := min(left, g.RemainingMinor)
		d.Sources = append(d.Sources, PromoSource{g.ID, part})
		left -= part
	}
	d.ActualMinor = min(left, actualMinor)
	return d, left - d.ActualMinor
}

// Spendable lists the lots that can pay at now, in spending order. LOCKED and
// lapsed ones never can (rule 19).
func Spendable(lots []Grant, now time.Time) []Grant {
	out := make([]Grant, 0, len(lots))
	for _, g := range lots {
		if g.State == Released && !g.Lapsed(now) {
			out = append(out, g)
		}
	}
	SortSpending(out)
	return out
}

// SpendablePromo is the sum of what Spendable lists.
func SpendablePromo(lots []Grant, now time.Time) int64 {
	var sum int64
	for _, g := range lots {
		if g.State == Released && !g.Lapsed(now) {
			sum += g.RemainingMinor
		}
	}
	return sum
}

// InOrder reports whether d takes amount exactly as Spend would: the proof,
// after the actuator, that rule 15 holds.
func (d Debit) InOrder(amountMinor, actualMinor int64, lots []Grant, now time.Time) bool {
	want, short := Spend(amountMinor, actualMinor, lots, now)
	if short != 0 || want.ActualMinor != d.ActualMinor || len(want.Sources) != len(d.Sources) {
		return false
	}
	for i, s := range want.Sources {
		if d.Sources[i] != s {
			return false
		}
	}
	return true
}
