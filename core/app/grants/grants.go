// Package grants issues, releases, expires and claws back lots of promotional
// credit. Issue and Release work inside a caller's transaction; the rest are
// use cases of their own.
package grants

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of grants.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
}

// IssueInput is a lot to give.
type IssueInput struct {
	Tenant      tenancy.Tenant
	CustomerID  string
	Source      ledger.Source
	AmountMinor int64 // 1 to 10^12
	Currency    string
	ExpiresAt   *time.Time // nil for never
	BudgetID    string     // empty: the merchant's own expense
	FundedBy    string     // merchant (when empty), brand, partner
	OriginID    string     // the transaction, top-up, payment or offer it came from
	TraceID     string     // the decision trace behind it
	Gate        tenancy.ClaimGate
	Now         time.Time
}

// Validate checks the amount, the currency's form and the expiry.
func (in IssueInput) Validate() error {
	switch {
	case in.AmountMinor < 1 || in.AmountMinor > money.MaxMinor:
		return fault.Field(fault.CodeAmountOutOfRange, "amount_minor", "1..10^12", "a grant is of 1 to %d minor units", money.MaxMinor)
	case !money.Currency(in.Currency).Valid():
		return fault.Field(fault.CodeUnsupportedCurrency, "currency", "iso_4217", "give an ISO 4217 code in capitals")
	case in.ExpiresAt != nil && !in.ExpiresAt.After(in.Now):
		return fault.Field(fault.CodeValidationFailed, "expires_at", "future", "give an instant in the future")
	}
	return nil
}

// Issue gives a lot in the caller's transaction: lot, entry, postings, wallet
// and event. It starts RELEASED where the customer is verified and the gate is
// met, LOCKED otherwise (rule 26).
// Errors: NOT_FOUND (customer without a wallet), CURRENCY_MISMATCH,
// AMOUNT_OUT_OF_RANGE, VALIDATION_FAILED.
func Issue(ctx context.Context, st app.Stores, in IssueInput) (ledger.Grant, error) {
	if err := in.Validate(); err != nil {
		return ledger.Grant{}, err
	}
	book, err := st.Ledger.Book(ctx, in.Tenant, in.CustomerID)
	if err != nil {
		return ledger.Grant{}, err
	}
	c := ledger.Begin(book.Wallet)
	g, err := Add(c, book.Verified, in)
	if err != nil {
		return ledger.Grant{}, err
	}
	if _, err := st.Ledger.Apply(ctx, c); err != nil {
		return ledger.Grant{}, err
	}
	return g, st.Events.Append(ctx, g.Event(at(in.Now).Make(ids.Event), in.Now, 0))
}

// Add puts the lot into a change that does more than that; its caller writes
// the change and the event.
func Add(c *ledger.Change, verified bool, in IssueInput) (ledger.Grant, error) {
	if in.Currency != c.Wallet.Currency {
		return ledger.Grant{}, fault.Field(fault.CodeCurrencyMismatch, "currency", "wallet_currency",
			"the wallet is in %s, the grant in %s; give it in %s", c.Wallet.Currency, in.Currency, c.Wallet.Currency)
	}
	source := at(in.Now)
	g := ledger.Grant{
		ID: source.Make(ids.Grant), Tenant: in.Tenant, CustomerID: c.Wallet.CustomerID, Source: in.Source, State: ledger.Locked,
		AmountMinor: in.AmountMinor, RemainingMinor: in.AmountMinor, Currency: in.Currency, ExpiresAt: in.ExpiresAt,
		BudgetID: in.BudgetID, FundedBy: in.FundedBy, OriginID: in.OriginID, CreatedAt: in.Now,
	}
	if g.FundedBy == "" {
		g.FundedBy = "merchant"
	}
	if c.Wallet.Qualifies(in.Gate, verified) {
		now := in.Now
		g.State, g.ReleasedAt = ledger.Released, &now
	}
	head := ledger.Head{ID: source.Make(ids.Entry), Kind: ledger.EntryGrant, RefID: g.ID, TraceID: in.TraceID, At: in.Now}
	return g, c.Issue(head, g)
}

// Release turns the customer's LOCKED lots into RELEASED ones, in the caller's
// transaction, where the customer is verified and the gate is met (rule 26);
// else it changes nothing. Returns the lots it released.
// Errors: NOT_FOUND (customer without a wallet).
func Release(ctx context.Context, st app.Stores, t tenancy.Tenant, gate tenancy.ClaimGate, customerID string, now time.Time) ([]ledger.Grant, error) {
	book, err := st.Ledger.Book(ctx, t, customerID)
	if err != nil {
		return nil, err
	}
	c := ledger.Begin(book.Wallet)
	if err := Unlock(c, book.Lots, gate, book.Verified, now); err != nil || len(c.Grants) == 0 {
		return nil, err
	}
	return c.Grants, write(ctx, st, c, now)
}

// Unlock puts the release of what may be released into a change that does more
// than that; its caller writes the change and the events.
func Unlock(c *ledger.Change, lots []ledger.Grant, gate tenancy.ClaimGate, verified bool, now time.Time) error {
	if !c.Wallet.Qualifies(gate, verified) {
		return nil
	}
	for _, g := range lots {
		if g.State != ledger.Locked || g.Lapsed(now) {
			continue
		}
		if err := c.Release(g, now); err != nil {
			return err
		}
	}
	return nil
}

// write applies a change of lots and tells about each.
func write(ctx context.Context, st app.Stores, c *ledger.Change, now time.Time) error {
	if _, err := st.Ledger.Apply(ctx, c); err != nil {
		return err
	}
	source := at(now)
	events := make([]event.Event, len(c.Grants))
	for i, g := range c.Grants {
		events[i] = g.Event(source.Make(ids.Event), now, 0)
	}
	if len(events) == 0 {
		return nil
	}
	return st.Events.Append(ctx, events...)
}

// at makes ids of the instant that the caller's transaction happens at.
func at(now time.Time) *ids.Source { return ids.New(clock.NewManual(now)) }
