package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// ErrInvariant says that a change would break an invariant of the wallet or of
// a lot. It is a defect or a stale read, never the caller's fault.
var ErrInvariant = errors.New("ledger: invariant")

// Wallet is the spendable truth of one customer: what a payment reads and
// guards by Version. Every figure is zero or more, in minor units.
type Wallet struct {
	Tenant     tenancy.Tenant
	CustomerID string
	Currency   string
	// ActualMinor is money from top-ups.
	ActualMinor int64
	// PromoAvailableMinor is the sum of what RELEASED lots hold. It counts lots
	// past their expiry until the sweep takes them; what can be spent is for
	// Spend to say.
	PromoAvailableMinor int64
	// PromoLockedMinor is the sum of what LOCKED lots hold; never spendable (rule 19).
	PromoLockedMinor int64
	// PendingTopupsMinor is the sum of PENDING top-ups; never spendable (rule 19).
	PendingTopupsMinor int64
	// Version is raised by one by every change.
	Version int64
	// FirstTopupAt and FirstPurchaseAt open the claim gates of the same names.
	FirstTopupAt, FirstPurchaseAt *time.Time
}

// Validate proves the wallet's own invariants.
func (w Wallet) Validate() error {
	if w.ActualMinor < 0 || w.PromoAvailableMinor < 0 || w.PromoLockedMinor < 0 || w.PendingTopupsMinor < 0 {
		return fmt.Errorf("%w: a figure of wallet %s is negative", ErrInvariant, w.CustomerID)
	}
	return nil
}

// Room gives nil where the wallet takes amount more of deposits. What is on its
// way counts, so that a deposit that was paid is never refused for want of room.
// Errors: AMOUNT_OUT_OF_RANGE naming field.
func (w Wallet) Room(field string, amountMinor int64) error {
	left := max(money.MaxMinor-w.ActualMinor-w.PendingTopupsMinor, 0)
	if amountMinor <= left {
		return nil
	}
	return fault.Field(fault.CodeAmountOutOfRange, field, "wallet_limit",
		"a wallet holds at most %d minor units of deposits, with those on their way; top up at most %d", money.MaxMinor, left)
}

// Qualifies reports whether a grant of this wallet may be RELEASED: the
// customer is verified and the merchant's claim gate is met (rule 26). An
// unknown gate is never met.
func (w Wallet) Qualifies(gate tenancy.ClaimGate, verified bool) bool {
	if !verified {
		return false
	}
	switch gate {
	case tenancy.GateOnVerification, "":
		return true
	case tenancy.GateOnFirstTopup:
		return w.FirstTopupAt != nil
	case tenancy.GateOnFirstPurchase:
		return w.FirstPurchaseAt != nil
	}
	return false
}

// Balance shows the wallet with its live lots as a partner sees it at now:
// what lapsed is left out even before the sweep takes it.
func (w Wallet) Balance(lots []Grant, now time.Time) Balance {
	b := Balance{
		CustomerID: w.CustomerID, ActualMinor: w.ActualMinor, PromoAvailableMinor: w.PromoAvailableMinor,
		PromoLockedMinor: w.PromoLockedMinor, PendingTopupsMinor: w.PendingTopupsMinor,
		Currency: w.Currency, Version: w.Version, Grants: lots,
	}
	return b.At(now)
}

// At is the balance as it stands at now: lots that lapsed by then are left out
// of the list and of the figures, which keeps them the sums of the list.
func (b Balance) At(now time.Time) Balance {
	live := make([]Grant, 0, len(b.Grants))
	for _, g := range b.Grants {
		switch {
		case !g.Live():
		case !g.Lapsed(now):
			live = append(live, g)
		case g.State == Released:
			b.PromoAvailableMinor -= g.RemainingMinor
		default:
			b.PromoLockedMinor -= g.RemainingMinor
		}
	}
	SortSpending(live)
	b.Grants = live
	return b
}

// Change is what one operation does to one wallet and its lots: the state
// after it and the entries that explain it. It is written as a whole, and only
// where the wallet still has the version that was read.
type Change struct {
	// Wallet is the wallet after the change; Version is still the one read.
	Wallet Wallet
	// Issued are new lots, Grants lots that existed, both as they are after.
	Issued, Grants []Grant
	Entries        []Entry
}

// Begin starts a change of w.
func Begin(w Wallet) *Change { return &Change{Wallet: w} }

// Lots are the lots as they are after c, where before lists them as they were.
func (c *Change) Lots(before []Grant) []Grant {
	out := make([]Grant, 0, len(before)+len(c.Issued))
	for _, g := range before {
		if after, ok := find(c.Grants, g.ID); ok {
			g = after
		}
		out = append(out, g)
	}
	for _, g := range c.Grants { // a lot that comes back to life was not listed
		if _, ok := find(before, g.ID); !ok {
			out = append(out, g)
		}
	}
	return append(out, c.Issued...)
}

// Deposit credits amount of actual money from a top-up and opens the gate of
// the first top-up.
func (c *Change) Deposit(head Head, amountMinor int64) error {
	sum, err := money.Add(c.Wallet.ActualMinor, amountMinor)
	if err != nil || amountMinor <= 0 {
		return fmt.Errorf("%w: deposit of %d", ErrInvariant, amountMinor)
	}
	c.Wallet.ActualMinor = sum
	if c.Wallet.FirstTopupAt == nil {
		at := head.At
		c.Wallet.FirstTopupAt = &at
	}
	return c.enter(head,
		Posting{Account{AccountTopupClearing, ""}, money.Actual, -amountMinor},
		Posting{Account{AccountWallet, c.Wallet.CustomerID}, money.Actual, amountMinor})
}

// Withdraw takes amount of actual money back to where deposits come from: the
// contra of a Deposit, whose entry head.Reverses names. The gate of the first
// top-up stays open: what it released was released.
func (c *Change) Withdraw(head Head, amountMinor int64) error {
	if amountMinor <= 0 || amountMinor > c.Wallet.ActualMinor {
		return fmt.Errorf("%w: withdrawal of %d", ErrInvariant, amountMinor)
	}
	c.Wallet.ActualMinor -= amountMinor
	return c.enter(head,
		Posting{Account{AccountWallet, c.Wallet.CustomerID}, money.Actual, -amountMinor},
		Posting{Account{AccountTopupClearing, ""}, money.Actual, amountMinor})
}

// Expect adds a PENDING top-up of amount, or takes it away where negative.
func (c *Change) Expect(amountMinor int64) error {
	c.Wallet.PendingTopupsMinor += amountMinor
	return c.Wallet.Validate()
}

// Issue gives a new lot, LOCKED or RELEASED as its state says.
func (c *Change) Issue(head Head, g Grant) error {
	if !g.Live() || g.RemainingMinor != g.AmountMinor || g.AmountMinor <= 0 {
		return fmt.Errorf("%w: grant %s is not fresh", ErrInvariant, g.ID)
	}
	if err := c.shift(g.State, g.AmountMinor); err != nil {
		return err
	}
	c.Issued = append(c.Issued, g)
	return c.enter(head,
		Posting{g.funder(), money.Promo, -g.AmountMinor},
		Posting{Account{AccountLot, g.ID}, money.Promo, g.AmountMinor})
}

// Release turns a LOCKED lot into a RELEASED one. No money moves between
// accounts, so there is no entry.
func (c *Change) Release(g Grant, now time.Time) error {
	after, err := g.Release(now)
	if err != nil {
		return err
	}
	c.Wallet.PromoLockedMinor -= g.RemainingMinor
	c.Wallet.PromoAvailableMinor += g.RemainingMinor
	c.Grants = append(c.Grants, after)
	return c.Wallet.Validate()
}

// Expire ends a lot that lapsed; what is left goes to breakage.
func (c *Change) Expire(head Head, g Grant) error {
	after, err := g.Expire(head.At)
	if err != nil {
		return err
	}
	return c.end(head, g, after, Account{AccountBreakage, ""})
}

// ClawBack ends a lot by an operator's hand; what is left goes back to where
// it came from. Actual money is never touched (rule 36).
// Errors: GRANT_NOT_CLAWBACKABLE.
func (c *Change) ClawBack(head Head, g Grant) error {
	after, err := g.ClawBack()
	if err != nil {
		return err
	}
	return c.end(head, g, after, g.funder())
}

func (c *Change) end(head Head, before, after Grant, to Account) error {
	if err := c.shift(before.State, -before.RemainingMinor); err != nil {
		return err
	}
	c.put(after)
	return c.enter(head,
		Posting{Account{AccountLot, before.ID}, money.Promo, -before.RemainingMinor},
		Posting{to, money.Promo, before.RemainingMinor})
}

// Pay takes the debit from the lots and from actual money, to sales. lots are
// the wallet's RELEASED lots, of which the debit names some.
func (c *Change) Pay(head Head, d Debit, lots []Grant) error {
	postings := make([]Posting, 0, len(d.Sources)+3)
	for _, s := range d.Sources {
		g, ok := find(lots, s.GrantID)
		if !ok {
			return fmt.Errorf("%w: lot %s is not this wallet's", ErrInvariant, s.GrantID)
		}
		after, err := g.Spend(s.AmountMinor, head.At)
		if err != nil {
			return err
		}
		c.Grants = append(c.Grants, after)
		postings = append(postings, Posting{Account{AccountLot, g.ID}, money.Promo, -s.AmountMinor})
	}
	if promo := d.PromoMinor(); promo > 0 {
		c.Wallet.PromoAvailableMinor -= promo
		postings = append(postings, Posting{Account{AccountSales, ""}, money.Promo, promo})
	}
	if d.ActualMinor > 0 {
		c.Wallet.ActualMinor -= d.ActualMinor
		postings = append(postings,
			Posting{Account{AccountWallet, c.Wallet.CustomerID}, money.Actual, -d.ActualMinor},
			Posting{Account{AccountSales, ""}, money.Actual, d.ActualMinor})
	}
	if c.Wallet.FirstPurchaseAt == nil {
		at := head.At
		c.Wallet.FirstPurchaseAt = &at
	}
	return c.enter(head, postings...)
}

// put notes a lot as it is after, in place of what c said of it before.
func (c *Change) put(after Grant) {
	for i := range c.Grants {
		if c.Grants[i].ID == after.ID {
			c.Grants[i] = after
			return
		}
	}
	c.Grants = append(c.Grants, after)
}

// enter validates the wallet and appends an entry of the postings.
func (c *Change) enter(head Head, postings ...Posting) error {
	if err := c.Wallet.Validate(); err != nil {
		return err
	}
	e := Entry{Head: head, Tenant: c.Wallet.Tenant, Currency: c.Wallet.Currency, Postings: postings}
	if err := e.Validate(); err != nil {
		return err
	}
	c.Entries = append(c.Entries, e)
	return nil
}

// shift moves the promo figure that lots of state count towards.
func (c *Change) shift(state GrantState, amountMinor int64) error {
	figure := &c.Wallet.PromoAvailableMinor
	if state == Locked {
		figure = &c.Wallet.PromoLockedMinor
	}
	sum, err := money.Add(*figure, amountMinor)
	if err != nil {
		return fmt.Errorf("%w: promo of wallet %s overflows", ErrInvariant, c.Wallet.CustomerID)
	}
	*figure = sum
	return nil
}

func find(lots []Grant, id string) (Grant, bool) {
	for _, g := range lots {
		if g.ID == id {
			return g, true
		}
	}
	return Grant{}, false
}
