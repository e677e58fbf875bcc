package incentives

import (
	"context"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
)

// DefaultLowThresholdBP is the share of a cap below which budget.low is told
// where the merchant chose none: more than 80 % is held or spent.
const DefaultLowThresholdBP = 2_000

// CreateBudgetInput makes an envelope. Amounts in minor units.
type CreateBudgetInput struct {
	Name           string
	CapMinor       int64  // 1 to 10^12
	Currency       string // empty: the merchant's own
	StartsAt       *time.Time
	EndsAt         *time.Time
	LowThresholdBP *int64 // nil: DefaultLowThresholdBP
	FundedBy       string // empty: merchant
}

// Validate checks what spans several fields.
func (in CreateBudgetInput) Validate(now time.Time) error {
	start := now
	if in.StartsAt != nil {
		start = *in.StartsAt
	}
	if in.EndsAt != nil && !start.Before(*in.EndsAt) {
		return fault.Field(fault.CodeValidationFailed, "ends_at", "after_start", "the budget ends before it starts; give an ends_at after %s", start.Format(time.RFC3339))
	}
	return nil
}

// CreateBudget makes an envelope with a hard cap. Errors: VALIDATION_FAILED,
// UNSUPPORTED_CURRENCY.
func (s *Service) CreateBudget(ctx context.Context, call *app.Call, in CreateBudgetInput) (BudgetDetail, error) {
	now := s.Clock.Now()
	if err := in.Validate(now); err != nil {
		return BudgetDetail{}, err
	}
	b, err := s.newBudget(ctx, call, in, now)
	if err != nil {
		return BudgetDetail{}, err
	}
	first := offers.Movement{
		ID: s.IDs.Make("bmv"), BudgetID: b.ID, Type: "created", AmountMinor: b.CapMinor, AvailableAfterMinor: b.CapMinor, At: now,
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (BudgetDetail, error) {
		return BudgetDetail{Budget: b, At: now}, st.Offers.InsertBudget(ctx, b, first)
	})
}

func (s *Service) newBudget(ctx context.Context, call *app.Call, in CreateBudgetInput, now time.Time) (offers.Budget, error) {
	merchant, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return offers.Budget{}, err
	}
	b := offers.Budget{
		ID: s.IDs.Make(ids.Budget), Tenant: call.Tenant, BrandID: call.BrandID, Name: in.Name, Currency: in.Currency, CapMinor: in.CapMinor,
		LowThresholdBP: DefaultLowThresholdBP, FundedBy: "merchant", StartsAt: now, EndsAt: in.EndsAt, CreatedAt: now, UpdatedAt: now,
	}
	if b.Currency == "" && len(merchant.Settings.Currencies) > 0 {
		b.Currency = merchant.Settings.Currencies[0]
	}
	if in.StartsAt != nil {
		b.StartsAt = *in.StartsAt
	}
	if in.LowThresholdBP != nil {
		b.LowThresholdBP = *in.LowThresholdBP
	}
	if in.FundedBy != "" {
		b.FundedBy = in.FundedBy
	}
	return b, supported(b.Currency, merchant.Settings)
}

// GetBudgetInput names a budget and a page of its movements.
type GetBudgetInput struct {
	BudgetID string
	Limit    int // 0 means 50
	Cursor   string
}

// BudgetDetail is a budget with a page of its movements, latest first.
type BudgetDetail struct {
	Budget    offers.Budget
	Movements []offers.Movement
	Next      string
	At        time.Time // what the status is judged at
}

// GetBudget reads one envelope. Errors: NOT_FOUND, CURSOR_INVALID.
func (s *Service) GetBudget(ctx context.Context, call *app.Call, in GetBudgetInput) (BudgetDetail, error) {
	list := "budget " + in.BudgetID
	at, err := openCursor(list, in.Cursor)
	if err != nil {
		return BudgetDetail{}, err
	}
	before := int64(0)
	if at != "" {
		if before, err = strconv.ParseInt(at, 10, 64); err != nil {
			return BudgetDetail{}, cursorInvalid()
		}
	}
	st, d := s.UoW.Read(), BudgetDetail{At: s.Clock.Now()}
	if d.Budget, err = st.Offers.Budget(ctx, call.Tenant, in.BudgetID); err != nil {
		return d, err
	}
	want := pageSize(in.Limit)
	d.Movements, err = st.Offers.Movements(ctx, call.Tenant, in.BudgetID, before, want+1)
	if len(d.Movements) > want {
		d.Movements = d.Movements[:want]
		d.Next = sealCursor(list, strconv.FormatInt(d.Movements[want-1].Position, 10))
	}
	return d, err
}
