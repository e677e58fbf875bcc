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

// Restore gives b back to the wallet: to actual money and to the exact lots it
// came from, under a contra entry (head.Reverses names the payment's entry). A
// lot that lapsed since gets grace; a lot clawed back since forfeits its part,
// which returns to the lot's budget. lots are the lots that b names, as they
// are now. Returns what was forfeited.
func (c *Change) Restore(head Head, b Back, lots []Grant, grace time.Duration) (forfeitedMinor int64, err error) {
	var postings []Posting
	var promo int64
	for _, s := range b.Sources {
		g, ok := find(lots, s.GrantID)
		if !ok {
			return 0, fmt.Errorf("%w: lot %s is not this wallet's", ErrInvariant, s.GrantID)
		}
		after, kept, err := g.restore(s.AmountMinor, head.At, grace)
		if err != nil {
			return 0, err
		}
		to := g.funder()
		if kept {
			to = Account{AccountLot, g.ID}
			c.Grants = append(c.Grants, after)
			if err := c.shift(Released, s.AmountMinor); err != nil {
				return 0, err
			}
		} else {
			forfeitedMinor += s.AmountMinor
		}
		promo += s.AmountMinor
		postings = append(postings, Posting{to, money.Promo, s.AmountMinor})
	}
	if promo > 0 {
		postings = append(postings, Posting{Account{AccountSales, ""}, money.Promo, -promo})
	}
	if b.ActualMinor > 0 {
		c.Wallet.ActualMinor += b.ActualMinor
		postings = append(postings,
			Posting{Account{AccountSales, ""}, money.Actual, -b.ActualMinor},
			Posting{Account{AccountWallet, c.Wallet.CustomerID}, money.Actual, b.ActualMinor})
	}
	return forfeitedMinor, c.enter(head, postings...)
}
