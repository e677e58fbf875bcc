package ledger

import (
	"fmt"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

// DefaultGrace is the expiry given to restored credit of a lot that lapsed
// since; a merchant setting may change it.
const DefaultGrace = 7 * 24 * time.Hour

// Paid is a debit with what voids and refunds gave back of it so far.
type Paid struct {
	Debit
	RestoredActualMinor int64
	// RestoredPromo is what went back per source, in the order of Sources
	// (forfeited parts included); missing means nothing yet.
	RestoredPromo []int64
}

// LeftMinor is what can still be given back.
func (p Paid) LeftMinor() int64 {
	left := p.ActualMinor - p.RestoredActualMinor
	for i, s := range p.Sources {
		left += s.AmountMinor - p.restoredPromo(i)
	}
	return left
}

func (p Paid) restoredPromo(i int) int64 {
	if i < len(p.RestoredPromo) {
		return p.RestoredPromo[i]
	}
	return 0
}

// Paid is how p was paid and what went back of it so far. Each part goes back
// in the one order of PlanBack, so the sum says which parts they were.
func (p Payment) Paid() Paid {
	out := Paid{Debit: p.Debit, RestoredPromo: make([]int64, len(p.Debit.Sources))}
	out.RestoredActualMinor = min(p.RefundedMinor, p.Debit.ActualMinor)
	left := p.RefundedMinor - out.RestoredActualMinor
	for i := len(p.Debit.Sources) - 1; i >= 0; i-- {
		out.RestoredPromo[i] = min(left, p.Debit.Sources[i].AmountMinor)
		left -= out.RestoredPromo[i]
	}
	return out
}

// Back is how an amount goes back: the reverse of the spending order.
type Back struct {
	ActualMinor int64
	Sources     []PromoSource // last spent first; may include forfeited ones
}

// PlanBack splits amount in reverse spending order: actual money first, then
// the lots from the last spent to the first.
// Errors: REFUND_EXCEEDS_PAYMENT, AMOUNT_OUT_OF_RANGE.
func (p Paid) PlanBack(amountMinor int64) (Back, error) {
	if amountMinor <= 0 {
		return Back{}, fault.Field(fault.CodeAmountOutOfRange, "amount_minor", "positive", "give an amount of at least 1 minor unit")
	}
	if left := p.LeftMinor(); amountMinor > left {
		return Back{}, fault.Field(fault.CodeRefundExceedsPayment, "amount_minor", "at_most_left",
			"only %d minor units of this payment are left to give back", left)
	}
	b := Back{ActualMinor: min(amountMinor, p.ActualMinor-p.RestoredActualMinor)}
	left := amountMinor - b.ActualMinor
	for i := len(p.Sources) - 1; i >= 0 && left > 0; i-- {
		part := min(left, p.Sources[i].AmountMinor-p.restoredPromo(i))
		if part > 0 {
			b.Sources = append(b.Sources, PromoSource{p.Sources[i].GrantID, part})
			left -= part
		}
	}
	return b, nil
}

// Given is what a Restore gave back. AmountMinor of the plan is ActualMinor and
// the sums of Kept and Forfeited.
type Given struct {
	ActualMinor int64
	Kept        []PromoSource // came back to the lot it was spent from
	Forfeited   []PromoSource // its lot was clawed back since; went to the lot's funder
	// Lapsed are lots, as they were, whose rest expired just before: their time
	// was over and the sweep had not come by.
	Lapsed []Grant
}

// PromoMinor is what came back to lots.
func (g Given) PromoMinor() int64 { return Debit{Sources: g.Kept}.PromoMinor() }

// ForfeitedMinor is what did not.
func (g Given) ForfeitedMinor() int64 { return Debit{Sources: g.Forfeited}.PromoMinor() }

// Beside is a change of another wallet than the payer's, whose lots get credit
// back: they were the payer's by a merge that was undone since.
type Beside struct {
	*Change
	// Verified is true where the phone of whom it belongs to is proven. Else what
	// comes back to a lot is LOCKED there (rule 26).
	Verified bool
}

// Restore gives b back to the wallet: to actual money and to the exact lots it
// came from, under a contra entry (head.Reverses names the payment's entry). A
// lot that lapsed since gets grace, for what comes back and not for what it
// still held: that expires first, under an entry of its own, whose id entryID
// makes. A lot clawed back since forfeits its part, which returns to the lot's
// funder. A lot that belongs to somebody else by now gets its part there, which
// is what beside are for. lots are the lots that b names, as they are now.
func (c *Change) Restore(head Head, b Back, lots []Grant, grace time.Duration, entryID func() string, beside ...Beside) (Given, error) {
	given := Given{ActualMinor: b.ActualMinor}
	var postings []Posting
	var promo int64
	for _, s := range b.Sources {
		g, ok := find(lots, s.GrantID)
		at := Beside{c, true}
		for _, o := range beside {
			if o.Wallet.CustomerID == g.CustomerID {
				at = o
			}
		}
		if !ok || at.Wallet.CustomerID != g.CustomerID {
			return given, fmt.Errorf("%w: lot %s is of no wallet that is held", ErrInvariant, s.GrantID)
		}
		if known, ok := find(at.Grants, g.ID); ok {
			g = known
		}
		if g.Live() && g.Lapsed(head.At) {
			given.Lapsed = append(given.Lapsed, g)
			if err := at.Expire(Head{ID: entryID(), Kind: EntryExpiry, RefID: g.ID, At: head.At}, g); err != nil {
				return given, err
			}
			g, _ = find(at.Grants, g.ID)
		}
		after, kept, err := g.restore(s.AmountMinor, head.At, grace)
		if err != nil {
			return given, err
		}
		to := g.funder()
		if kept {
			to = Account{AccountLot, g.ID}
			given.Kept = append(given.Kept, s)
			if err := at.regain(g, after, s.AmountMinor); err != nil {
				return given, err
			}
		} else {
			given.Forfeited = append(given.Forfeited, s)
		}
		promo += s.AmountMinor
		postings = append(postings, Posting{to, money.Promo, s.AmountMinor})
	}
	if promo > 0 {
		postings = append(postings, Posting{Account{AccountSales, ""}, money.Promo, -promo})
	}
	if b.ActualMinor > 0 {
		sum, err := money.Add(c.Wallet.ActualMinor, b.ActualMinor)
		if err != nil {
			return given, fmt.Errorf("%w: actual money of wallet %s overflows", ErrInvariant, c.Wallet.CustomerID)
		}
		c.Wallet.ActualMinor = sum
		postings = append(postings,
			Posting{Account{AccountSales, ""}, money.Actual, -b.ActualMinor},
			Posting{Account{AccountWallet, c.Wallet.CustomerID}, money.Actual, b.ActualMinor})
	}
	return given, c.enter(head, postings...)
}

// regain notes that a lot got amount back. One that held nothing is LOCKED where
// its owner has proven nothing.
func (b Beside) regain(before, after Grant, amountMinor int64) error {
	if !b.Verified && !before.Live() {
		after = after.Lock()
	}
	b.put(after)
	return b.shift(after.State, amountMinor)
}

// Annul takes back a lot that should not have been given, because the sale or
// deposit that earned it was undone. What it still holds returns to its funder,
// under a contra entry (head.Reverses names the entry that gave it); what was
// spent stays spent, and is never taken from actual money. The lot ends
// CLAWED_BACK in every case, so that a later refund of what it paid forfeits.
// Returns what was taken.
func (c *Change) Annul(head Head, g Grant) (takenMinor int64, err error) {
	switch {
	case g.State == ClawedBack:
		return 0, nil
	case g.Live():
		return g.RemainingMinor, c.ClawBack(head, g)
	}
	g.State = ClawedBack
	c.put(g)
	return 0, nil
}
