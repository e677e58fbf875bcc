package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// EntryPoints is the kind of every entry of points.
const EntryPoints EntryKind = "points"

// PointsCurrency stands as the currency of points in the journal: ISO 4217's
// code for "no currency". Points are counted, never converted.
const PointsCurrency = "XXX"

// PointsMove is what a movement of points does.
type PointsMove string

// The movements of points.
const (
	PointsEarn   PointsMove = "earn"
	PointsBurn   PointsMove = "burn"
	PointsAdjust PointsMove = "adjust" // by an operator, up or down
	PointsExpire PointsMove = "expire"
	// PointsReverse undoes what a voided sale moved.
	PointsReverse PointsMove = "reverse"
)

// PointsLot is what is left of one earning.
type PointsLot struct {
	ID          string
	Points      int64 // at first, at least 1
	Remaining   int64
	ReferenceID string // where they came from; may be empty
	EarnedAt    time.Time
	ExpiresAt   *time.Time // nil where it never expires
}

// Lapsed reports whether the lot's time is over at now.
func (l PointsLot) Lapsed(now time.Time) bool { return l.ExpiresAt != nil && !now.Before(*l.ExpiresAt) }

// PointsAccount is a customer's points with the lots that hold some.
type PointsAccount struct {
	Tenant     tenancy.Tenant
	CustomerID string
	Balance    int64 // sum of Remaining of Lots
	Earned     int64 // ever, adjustments upwards included
	Burned     int64 // ever, adjustments downwards included
	Lots       []PointsLot
	// Verified is true where the customer's phone is proven; of a locked account only.
	Verified bool
}

// At is the account as it stands at now: what lapsed is left out, also before
// the sweep takes it. Lots are in the order in which they are burned.
func (a PointsAccount) At(now time.Time) PointsAccount {
	live := make([]PointsLot, 0, len(a.Lots))
	for _, l := range a.Lots {
		if l.Lapsed(now) {
			a.Balance -= l.Remaining
			continue
		}
		live = append(live, l)
	}
	sortPoints(live)
	a.Lots = live
	return a
}

// sortPoints puts the lot that expires first at the front, never-expiring ones
// last, then the oldest.
func sortPoints(lots []PointsLot) {
	slices.SortStableFunc(lots, func(a, b PointsLot) int {
		if c := compareExpiry(a.ExpiresAt, b.ExpiresAt); c != 0 {
			return c
		}
		return a.EarnedAt.Compare(b.EarnedAt)
	})
}

// PointsMovement is one change of a points balance.
type PointsMovement struct {
	ID          string
	CustomerID  string
	Type        PointsMove
	Points      int64 // negative where they went, never 0
	Balance     int64 // after it
	ReferenceID string
	Reason      string
	EntryID     string
	At          time.Time
}

// PointsChange is what one operation does to one account: the account and its
// lots after it, and the movements and entries that explain it.
type PointsChange struct {
	Account   PointsAccount
	Issued    []PointsLot // new
	Touched   []PointsLot // existing ones that gave points
	Movements []PointsMovement
	Entries   []Entry
}

// BeginPoints starts a change of a.
func BeginPoints(a PointsAccount) *PointsChange { return &PointsChange{Account: a} }

// Expire takes what lapsed by m.At out of the account: one movement for all of
// it; nothing where nothing lapsed. m names the movement and its entry.
func (c *PointsChange) Expire(m PointsMovement) error {
	var kept []PointsLot
	gone := int64(0)
	for _, l := range c.Account.Lots {
		if !l.Lapsed(m.At) {
			kept = append(kept, l)
			continue
		}
		gone += l.Remaining
		l.Remaining = 0
		c.Touched = append(c.Touched, l)
	}
	if gone == 0 {
		return nil
	}
	c.Account.Lots = kept
	m.Type, m.Points = PointsExpire, -gone
	return c.enter(m)
}

// Earn gives a lot of m.Points. Errors: AMOUNT_OUT_OF_RANGE where the balance
// would exceed what an amount may be.
func (c *PointsChange) Earn(m PointsMovement, lotID string, expires *time.Time) error {
	sum, err := money.Add(c.Account.Balance, m.Points)
	if err != nil || m.Points <= 0 || sum > money.MaxMinor {
		return fault.Field(fault.CodeAmountOutOfRange, "points", "balance_limit", "a balance holds at most %d points", money.MaxMinor)
	}
	lot := PointsLot{ID: lotID, Points: m.Points, Remaining: m.Points, ReferenceID: m.ReferenceID, EarnedAt: m.At, ExpiresAt: expires}
	c.Issued = append(c.Issued, lot)
	c.Account.Lots = append(c.Account.Lots, lot)
	c.Account.Earned += m.Points
	return c.enter(m)
}

// Burn takes -m.Points from the lots, the one that expires first at the front.
// Errors: AMOUNT_OUT_OF_RANGE where the balance is short; nothing changes then.
func (c *PointsChange) Burn(m PointsMovement) error {
	need := -m.Points
	if need <= 0 || need > c.Account.Balance {
		return fault.Field(fault.CodeAmountOutOfRange, "points", "balance", "the customer has %d points, %d are asked for", c.Account.Balance, need)
	}
	sortPoints(c.Account.Lots)
	var left []PointsLot
	for _, l := range c.Account.Lots {
		if take := min(l.Remaining, need); take > 0 {
			l.Remaining -= take
			need -= take
			c.Touched = append(c.Touched, l)
		}
		if l.Remaining > 0 {
			left = append(left, l)
		}
	}
	if need != 0 {
		return fmt.Errorf("%w: the lots of %s hold %d points less than its balance", ErrInvariant, c.Account.CustomerID, need)
	}
	c.Account.Lots = left
	c.Account.Burned -= m.Points
	return c.enter(m)
}

// Reverse undoes net, what was moved in all for m.ReferenceID: points earned
// are taken from what is left of their own lots, never from others; points
// burned come back as a lot that does not expire, under lotID. It returns what
// it moved, negative where points went; 0 writes nothing.
func (c *PointsChange) Reverse(m PointsMovement, net int64, lotID string) (int64, error) {
	m.Type = PointsReverse
	if net < 0 {
		m.Points = -net
		lot := PointsLot{ID: lotID, Points: -net, Remaining: -net, ReferenceID: m.ReferenceID, EarnedAt: m.At}
		c.Issued, c.Account.Lots = append(c.Issued, lot), append(c.Account.Lots, lot)
		c.Account.Burned += net
		return m.Points, c.enter(m)
	}
	var left []PointsLot
	taken := int64(0)
	for _, l := range c.Account.Lots {
		if take := min(l.Remaining, net-taken); take > 0 && l.ReferenceID == m.ReferenceID {
			l.Remaining -= take
			taken += take
			c.Touched = append(c.Touched, l)
		}
		if l.Remaining > 0 {
			left = append(left, l)
		}
	}
	if taken == 0 {
		return 0, nil
	}
	c.Account.Lots = left
	c.Account.Earned -= taken
	m.Points = -taken
	return m.Points, c.enter(m)
}

// enter writes the movement and its entry: what the customer gains the merchant
// owes, zero-sum in the class of points.
func (c *PointsChange) enter(m PointsMovement) error {
	c.Account.Balance += m.Points
	m.CustomerID, m.Balance = c.Account.CustomerID, c.Account.Balance
	e := Entry{
		Head:   Head{ID: m.EntryID, Kind: EntryPoints, RefID: m.ID, At: m.At},
		Tenant: c.Account.Tenant, Currency: PointsCurrency,
		Postings: []Posting{
			{Account{AccountPointsLiability, ""}, money.Points, -m.Points},
			{Account{AccountPoints, c.Account.CustomerID}, money.Points, m.Points},
		},
	}
	if err := e.Validate(); err != nil {
		return err
	}
	c.Movements, c.Entries = append(c.Movements, m), append(c.Entries, e)
	return nil
}

// PointsStore keeps points.
type PointsStore interface {
	// PointsOf reads a customer's account; a customer who never had points has
	// an empty one. Errors: NOT_FOUND (customer).
	PointsOf(ctx context.Context, t tenancy.Tenant, customerID string) (PointsAccount, error)
	// LockPoints is PointsOf for who changes it: no other transaction changes
	// the account until this one ends. Errors: NOT_FOUND (customer).
	LockPoints(ctx context.Context, t tenancy.Tenant, customerID string) (PointsAccount, error)
	// ApplyPoints writes a change of a locked account.
	ApplyPoints(ctx context.Context, c *PointsChange) error
	// PointsFor sums up what was moved for a reference: positive where the
	// customer gained.
	PointsFor(ctx context.Context, t tenancy.Tenant, customerID, referenceID string) (int64, error)
	// LapsingPoints lists up to limit accounts with lots whose time is over at now.
	LapsingPoints(ctx context.Context, now time.Time, limit int) ([]Owner, error)
}
