package topup

import (
	"cmp"
	"context"
	"slices"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
)

// ConfigureBonus replaces the reload tiers of the merchant in one currency; no
// tiers switch the bonus off. Top-ups already prepared earn what is in force
// when they are confirmed.
// Errors: UNSUPPORTED_CURRENCY, AMOUNT_OUT_OF_RANGE, VALIDATION_FAILED.
func (s *Service) ConfigureBonus(ctx context.Context, call *app.Call, tiers ledger.Tiers) (ledger.Tiers, error) {
	set, err := s.settings(ctx, call.Tenant)
	if err != nil {
		return ledger.Tiers{}, err
	}
	if err := currencyEnabled(set, tiers.Currency); err != nil {
		return ledger.Tiers{}, err
	}
	tiers.Steps = slices.Clone(tiers.Steps)
	slices.SortFunc(tiers.Steps, func(a, b ledger.Tier) int { return cmp.Compare(a.MinTopupMinor, b.MinTopupMinor) })
	for i, step := range tiers.Steps {
		if err := amountInRange("tiers.min_topup_minor", step.MinTopupMinor); err != nil {
			return ledger.Tiers{}, err
		}
		if err := amountInRange("tiers.bonus_minor", step.BonusMinor); err != nil {
			return ledger.Tiers{}, err
		}
		if i > 0 && tiers.Steps[i-1].MinTopupMinor == step.MinTopupMinor {
			return ledger.Tiers{}, fault.Field(fault.CodeValidationFailed, "tiers.min_topup_minor", "unique", "each min_topup_minor must stand once")
		}
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (ledger.Tiers, error) {
		return st.Ledger.SetTiers(ctx, call.Tenant, tiers, now)
	})
}

// Bonus reads the reload tiers in force; an empty currency means the
// merchant's default. Errors: UNSUPPORTED_CURRENCY.
func (s *Service) Bonus(ctx context.Context, call *app.Call, currency string) (ledger.Tiers, error) {
	set, err := s.settings(ctx, call.Tenant)
	if err != nil {
		return ledger.Tiers{}, err
	}
	if currency == "" && len(set.Currencies) > 0 {
		currency = set.Currencies[0]
	}
	if err := currencyEnabled(set, currency); err != nil {
		return ledger.Tiers{}, err
	}
	return s.UoW.Read().Ledger.Tiers(ctx, call.Tenant, currency)
}
