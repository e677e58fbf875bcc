// Package budgets lists and adjusts the envelopes that pay for incentives, and
// spends from them for those who give credit outside of a session's offers.
package budgets

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of envelopes.
type Service struct {
	UoW   app.UnitOfWork
	Clock clock.Clock
	IDs   *ids.Source
}

// movementID is the prefix of a movement's id.
const movementID = "bmv"

// ListInput selects envelopes; empty members do not narrow.
type ListInput struct {
	Status  string // scheduled, active, exhausted, ended
	BrandID string
	Limit   int // 1 to 200; 0 means 50
	Cursor  string
}

// Page is one page of envelopes, latest first.
type Page struct {
	Budgets []offers.Budget
	Next    string    // empty on the last page
	At      time.Time // what the statuses are judged at
}

// List reads a page of envelopes. Errors: CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	before, err := openCursor(in.Cursor)
	if err != nil {
		return Page{}, err
	}
	limit := in.Limit
	if limit <= 0 {
		limit = 50
	}
	p := Page{At: s.Clock.Now()}
	p.Budgets, err = s.UoW.Read().Offers.Budgets(ctx, call.Tenant, offers.BudgetFilter{
		Status: in.Status, BrandID: in.BrandID, Before: before, Limit: limit + 1, Now: p.At,
	})
	if len(p.Budgets) > limit {
		p.Budgets = p.Budgets[:limit]
		p.Next = base64.RawURLEncoding.EncodeToString([]byte(p.Budgets[limit-1].ID))
	}
	return p, err
}

func openCursor(cursor string) (string, error) {
	id, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || cursor != "" && !strings.HasPrefix(string(id), ids.Budget+"_") {
		return "", fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here",
			"the cursor was not issued for this list; leave it out to begin with the first page")
	}
	return string(id), nil
}

// AdjustInput is a new cap in minor units, 1 to 10^12.
type AdjustInput struct {
	BudgetID string
	CapMinor int64
	Reason   string // for the record; may be empty
}

// Adjusted is an envelope after a change, and when its status is judged at.
type Adjusted struct {
	Budget offers.Budget
	At     time.Time
}

// Adjust raises or lowers a cap, never below what is committed and spent,
// whoever commits at the same moment. Errors: NOT_FOUND, AMOUNT_OUT_OF_RANGE
// below that, STATE_CONFLICT where the budget has ended.
func (s *Service) Adjust(ctx context.Context, call *app.Call, in AdjustInput) (Adjusted, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Adjusted, error) {
		before, after, err := st.Offers.AdjustBudget(ctx, call.Tenant, offers.Adjustment{
			MovementID: s.IDs.Make(movementID), BudgetID: in.BudgetID, CapMinor: in.CapMinor, Reason: in.Reason, At: now,
		})
		if err != nil {
			return Adjusted{}, err
		}
		return Adjusted{Budget: after, At: now}, Tell(ctx, st, s.IDs, before, after, now)
	})
}

// Draw is an amount taken from an envelope.
type Draw struct {
	Tenant      tenancy.Tenant
	BudgetID    string
	Currency    string // which the envelope must be in
	AmountMinor int64
	Reference   string // what it is taken for
	Reason      string // for the record; may be empty
	At          time.Time
}

// Spend takes a draw from its envelope for good, in the caller's transaction,
// and tells where that leaves it low or used up. Errors: NOT_FOUND,
// CURRENCY_MISMATCH, BUDGET_EXHAUSTED.
func Spend(ctx context.Context, st app.Stores, source *ids.Source, d Draw) error {
	b, err := Fits(ctx, st, d)
	if err != nil {
		return err
	}
	move := offers.Move{
		MovementID: source.Make(movementID), BudgetID: d.BudgetID, Type: "committed", AmountMinor: d.AmountMinor,
		ReferenceID: d.Reference, Reason: d.Reason, At: d.At,
	}
	before, after, err := st.Offers.MoveBudget(ctx, d.Tenant, move)
	if fault.Is(err, fault.CodeBudgetExhausted) {
		return exhausted(b, d)
	}
	if err != nil {
		return err
	}
	move.MovementID, move.Type = source.Make(movementID), "spent"
	if _, _, err := st.Offers.MoveBudget(ctx, d.Tenant, move); err != nil {
		return err
	}
	return Tell(ctx, st, source, before, after, d.At)
}

// GiveBack returns what was spent of an envelope to it, in the caller's
// transaction, for d.Reference. Nothing happens where no envelope is named or
// nothing is left to return. Errors: NOT_FOUND.
func GiveBack(ctx context.Context, st app.Stores, source *ids.Source, d Draw) error {
	if d.BudgetID == "" || d.AmountMinor == 0 {
		return nil
	}
	_, _, err := st.Offers.MoveBudget(ctx, d.Tenant, offers.Move{
		MovementID: source.Make(movementID), BudgetID: d.BudgetID, Type: "returned", AmountMinor: d.AmountMinor,
		ReferenceID: d.Reference, Reason: d.Reason, At: d.At,
	})
	return err
}

// Fits reads the envelope of a draw and refuses one that can't pay it now;
// another draw may still come first. Errors as those of Spend.
func Fits(ctx context.Context, st app.Stores, d Draw) (offers.Budget, error) {
	b, err := st.Offers.Budget(ctx, d.Tenant, d.BudgetID)
	if err != nil {
		return b, err
	}
	if b.Currency != d.Currency {
		return b, fault.Field(fault.CodeCurrencyMismatch, "budget_id", "same_currency", "the budget is in %s; name a budget in %s", b.Currency, d.Currency)
	}
	if b.StatusAt(d.At) != "active" || b.AvailableMinor() < d.AmountMinor {
		return b, exhausted(b, d)
	}
	return b, nil
}

func exhausted(b offers.Budget, d Draw) error {
	return fault.Field(fault.CodeBudgetExhausted, "budget_id", "available",
		"the budget is %s and has %d minor units left, %d are needed; raise its cap or name another budget", b.StatusAt(d.At), b.AvailableMinor(), d.AmountMinor)
}

// Tell tells of a budget that a change made low or used up.
func Tell(ctx context.Context, st app.Stores, source *ids.Source, before, after offers.Budget, now time.Time) error {
	var kinds []string
	if after.LowTold && !before.LowTold {
		kinds = append(kinds, "budget.low")
	}
	if after.AvailableMinor() == 0 && before.AvailableMinor() > 0 {
		kinds = append(kinds, "budget.exhausted")
	}
	for _, kind := range kinds {
		data, err := json.Marshal(map[string]any{
			"budget_id": after.ID, "currency": after.Currency, "cap_minor": after.CapMinor,
			"committed_minor": after.CommittedMinor, "spent_minor": after.SpentMinor, "available_minor": after.AvailableMinor(),
		})
		if err != nil {
			return fault.Internal(err)
		}
		e := event.Event{ID: source.Make(ids.Event), Tenant: after.Tenant, Type: kind, Subject: after.ID, At: now, Data: data}
		if err := st.Events.Append(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
