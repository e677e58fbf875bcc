package topup

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// RecordSKUInput says what was sold at the till and to whom.
type RecordSKUInput struct {
	SKUID      string
	CustomerID string // the session's when empty
	SessionID  string // may be empty
	Quantity   int32  // 1 to 100
}

// RecordSKU credits the wallet with a top-up SKU sold at the till and gives
// the SKU's own bonus, in one transaction (rule 42).
// Errors: NOT_FOUND, STATE_CONFLICT, SESSION_ENDED, CURRENCY_MISMATCH,
// AMOUNT_OUT_OF_RANGE.
func (s *Service) RecordSKU(ctx context.Context, call *app.Call, in RecordSKUInput) (Outcome, error) {
	now, t := s.Clock.Now(), call.Tenant
	set, err := s.settings(ctx, t)
	if err != nil {
		return Outcome{}, err
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Outcome, error) {
		sku, err := st.Ledger.SKU(ctx, t, in.SKUID)
		if err != nil {
			return Outcome{}, err
		}
		if !sku.Active {
			return Outcome{}, fault.Field(fault.CodeStateConflict, "sku_id", "on_sale", "the SKU is off sale; register it as active to sell it")
		}
		customer, err := s.customer(ctx, st, t, in.CustomerID, in.SessionID, sku.Currency)
		if err != nil {
			return Outcome{}, err
		}
		value, bonus, err := times(sku, in.Quantity)
		if err != nil {
			return Outcome{}, err
		}
		top := ledger.Topup{
			ID: s.IDs.Make(ids.Topup), Tenant: t, CustomerID: customer, SessionID: in.SessionID, State: ledger.TopupCompleted,
			AmountMinor: value, Currency: sku.Currency, Source: ledger.TopupBySKU, SKUID: sku.ID, Quantity: in.Quantity,
			CreatedAt: now, CompletedAt: &now,
		}
		return s.credit(ctx, st, set, top, 0, reward{ledger.SourceSKUBonus, bonus, sku.ExpiryDays}, now)
	})
}

// times multiplies a SKU's figures. Errors: AMOUNT_OUT_OF_RANGE.
func times(sku ledger.SKU, quantity int32) (value, bonus int64, err error) {
	value, err = money.Mul(sku.ValueMinor, int64(quantity))
	if err == nil {
		bonus, err = money.Mul(sku.BonusMinor, int64(quantity))
	}
	if err != nil || value < 1 || value > money.MaxMinor || bonus > money.MaxMinor {
		return 0, 0, fault.Field(fault.CodeAmountOutOfRange, "quantity", "1..10^12", "%d units of this SKU are not within 1 to %d minor units", quantity, money.MaxMinor)
	}
	return value, bonus, nil
}

// Registered is a SKU as stored; Created is false where it replaced one.
type Registered struct {
	SKU     ledger.SKU
	Created bool
}

// RegisterSKU registers a top-up SKU or replaces its figures; sales already
// recorded keep theirs. Errors: UNSUPPORTED_CURRENCY, AMOUNT_OUT_OF_RANGE.
func (s *Service) RegisterSKU(ctx context.Context, call *app.Call, sku ledger.SKU) (Registered, error) {
	set, err := s.settings(ctx, call.Tenant)
	if err != nil {
		return Registered{}, err
	}
	if err := currencyEnabled(set, sku.Currency); err != nil {
		return Registered{}, err
	}
	if err := amountInRange("value_minor", sku.ValueMinor); err != nil {
		return Registered{}, err
	}
	now := s.Clock.Now()
	sku.Tenant, sku.CreatedAt, sku.UpdatedAt = call.Tenant, now, now
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Registered, error) {
		stored, created, err := st.Ledger.PutSKU(ctx, sku)
		return Registered{stored, created}, err
	})
}

// ListSKUsInput asks for one page of SKUs.
type ListSKUsInput struct {
	Active *bool  // nil for all
	Cursor string // SKUPage.Next of the page before; empty for the first page
	Limit  int    // 1 to 200; 0 means 50
}

// SKUPage is one page of SKUs, by id.
type SKUPage struct {
	SKUs []ledger.SKU
	Next string // empty on the last page
}

// ListSKUs reads a page of the merchant's top-up SKUs. Errors: CURSOR_INVALID.
func (s *Service) ListSKUs(ctx context.Context, call *app.Call, in ListSKUsInput) (SKUPage, error) {
	after, err := skuOf(in.Cursor)
	if err != nil {
		return SKUPage{}, err
	}
	if in.Limit == 0 {
		in.Limit = defaultLimit
	}
	list, err := s.UoW.Read().Ledger.SKUs(ctx, call.Tenant, in.Active, after, in.Limit+1)
	if err != nil {
		return SKUPage{}, err
	}
	p := SKUPage{SKUs: list}
	if len(list) > in.Limit {
		p.SKUs = list[:in.Limit]
		p.Next = cursorOf(p.SKUs[in.Limit-1].ID)
	}
	return p, nil
}

const (
	defaultLimit = 50
	cursorPrefix = "sku:"
)

// cursorOf is the cursor behind a SKU: the list is ordered by code.
func cursorOf(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + id))
}

func skuOf(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	id, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok {
		return "", fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here",
			"the cursor was not issued for this list; leave it out to begin with the first page")
	}
	return id, nil
}
