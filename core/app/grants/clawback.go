package grants

import (
	"context"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// ClawBackInput names the lot to take back.
type ClawBackInput struct {
	GrantID string
	Reason  string // for the record; may be empty
}

// ClawedBack is a lot taken back.
type ClawedBack struct {
	Grant         ledger.Grant
	ReturnedMinor int64 // what was left of it and went back to its budget
	EntryID       string
	Balance       ledger.Balance
	Reason        string
}

// ClawBack takes a LOCKED or RELEASED lot back, by operator authority. What is
// left returns to the budget it came from; what was spent stays spent and
// actual money is never touched (rule 36).
// Errors: OPERATOR_REQUIRED, NOT_FOUND, GRANT_NOT_CLAWBACKABLE.
func (s *Service) ClawBack(ctx context.Context, call *app.Call, in ClawBackInput) (ClawedBack, error) {
	if !call.Actor.Operator {
		return ClawedBack{}, fault.New(fault.CodeOperatorRequired, "clawing back a grant needs an API key with operator authority")
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (ClawedBack, error) {
		t := call.Tenant
		g, book, err := hold(ctx, st, t, in.GrantID)
		if err != nil {
			return ClawedBack{}, err
		}
		c := ledger.Begin(book.Wallet)
		head := ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: ledger.EntryClawback, RefID: g.ID, At: now}
		if err := c.ClawBack(head, g); err != nil {
			return ClawedBack{}, err
		}
		if _, err := st.Ledger.Apply(ctx, c); err != nil {
			return ClawedBack{}, err
		}
		if err := Refund(ctx, st, s.IDs, g, g.RemainingMinor, now); err != nil {
			return ClawedBack{}, err
		}
		after := c.Grants[0]
		if err := st.Events.Append(ctx, after.Event(s.IDs.Make(ids.Event), now, g.RemainingMinor)); err != nil {
			return ClawedBack{}, err
		}
		b, err := st.Ledger.Balance(ctx, t, g.CustomerID)
		return ClawedBack{
			Grant: after, ReturnedMinor: g.RemainingMinor, EntryID: head.ID, Balance: b.At(now), Reason: in.Reason,
		}, err
	})
}

// hold locks the wallet that a lot belongs to and reads the lot as it is then: a
// payment may have spent it since, a merge or its undo given it to somebody else.
func hold(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (ledger.Grant, ledger.Book, error) {
	g, err := st.Ledger.Grant(ctx, t, id)
	var book ledger.Book
	for range 3 {
		if err != nil {
			return g, book, err
		}
		if book, err = st.Ledger.Book(ctx, t, g.CustomerID); err != nil {
			return g, book, err
		}
		if g, err = st.Ledger.Grant(ctx, t, id); err == nil && g.CustomerID == book.Wallet.CustomerID {
			return g, book, nil
		}
	}
	return g, book, fault.Internal(fmt.Errorf("grants: lot %s changes its owner all the time", id))
}

// Refund returns amountMinor of what a lot held to the budget that funds it, in
// the caller's transaction; nothing happens where none does.
func Refund(ctx context.Context, st app.Stores, source *ids.Source, g ledger.Grant, amountMinor int64, now time.Time) error {
	return budgets.GiveBack(ctx, st, source, budgets.Draw{
		Tenant: g.Tenant, BudgetID: g.BudgetID, AmountMinor: amountMinor, Reference: g.ID, At: now,
	})
}
