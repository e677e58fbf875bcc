// Package settlements is the use cases of settlement: providers' reports, the
// way of top-ups to the bank, the batches of a merchant's days, and comparisons
// with the partner's books. They record and report; no money moves (rule 25).
package settlements

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of settlement.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	// GiveWay waits while payments queue, at most as long as it is told; nil where
	// there is nobody to give way to.
	GiveWay func(ctx context.Context, most time.Duration)
}

// wholeMerchant refuses credentials of one brand or branch: top-ups belong to
// the merchant, not to a place. Errors: SCOPE_INSUFFICIENT.
func wholeMerchant(call *app.Call) error {
	if call.Actor.BrandID != "" || call.Actor.BranchID != "" {
		return fault.New(fault.CodeScopeInsufficient, "top-ups settle to the merchant as a whole; use an enterprise- or platform-scoped API key")
	}
	return nil
}

// currencyEnabled answers UNSUPPORTED_CURRENCY for one that the merchant does not take.
func (s *Service) currencyEnabled(ctx context.Context, t tenancy.Tenant, currency string) error {
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return err
	}
	for _, c := range m.Settings.Currencies {
		if c == currency {
			return nil
		}
	}
	return fault.Field(fault.CodeUnsupportedCurrency, "currency", "enabled",
		"%s is not enabled for this merchant; GET /capabilities lists the currencies that are", currency)
}

// byKey makes a map of deposits.
func byKey(list []settlement.Deposit, key func(settlement.Deposit) string) map[string]settlement.Deposit {
	out := make(map[string]settlement.Deposit, len(list))
	for _, d := range list {
		out[key(d)] = d
	}
	return out
}
