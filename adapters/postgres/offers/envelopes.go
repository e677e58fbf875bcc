package offers

import (
	"context"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

const listBudgets = `
select * from (
  select budget_id, brand_id, name, currency, cap_minor, committed_minor, spent_minor, low_threshold_bp, low_told, funded_by,
    starts_at, ends_at, created_at, updated_at,
    case when ends_at <= $5 then 'ended' when starts_at > $5 then 'scheduled'
      when cap_minor = committed_minor + spent_minor then 'exhausted' else 'active' end as status
  from budgets where tenant_no = $1 and ($2 = '' or budget_id < $2) and ($3 = '' or brand_id = $3)) b
where $4 = '' or status = $4
order by budget_id desc limit $6`

// listedRow is a budget with the status it was selected by.
type listedRow struct {
	budgetRow
	Status string
}

// Budgets implements offers.Budgets.
func (s *Store) Budgets(ctx context.Context, t tenancy.Tenant, f offers.BudgetFilter) ([]offers.Budget, error) {
	rows, err := pg.Many[listedRow](ctx, s.q, listBudgets, t.No, f.Before, f.BrandID, f.Status, f.Now, f.Limit)
	if err != nil {
		return nil, err
	}
	out := make([]offers.Budget, len(rows))
	for i, r := range rows {
		out[i] = r.budget(t)
	}
	return out, nil
}

const saveCap = `
update budgets set cap_minor = $3, low_told = $4, updated_at = $5 where tenant_no = $1 and budget_id = $2`

// AdjustBudget implements offers.Budgets, under the row's lock as MoveBudget.
func (s *Store) AdjustBudget(ctx context.Context, t tenancy.Tenant, a offers.Adjustment) (before, after offers.Budget, err error) {
	if before, err = s.budget(ctx, lockBudget, t, a.BudgetID); err != nil {
		return before, before, err
	}
	if after, err = before.Adjust(a.CapMinor, a.At); err != nil || after.CapMinor == before.CapMinor {
		return before, before, err
	}
	if _, err := s.q.Exec(ctx, saveCap, t.No, a.BudgetID, after.CapMinor, after.LowTold, after.UpdatedAt); err != nil {
		return before, before, err
	}
	return before, after, s.insertMovement(ctx, t, offers.Movement{
		ID: a.MovementID, BudgetID: a.BudgetID, Type: "cap_adjusted", AmountMinor: after.CapMinor - before.CapMinor,
		AvailableAfterMinor: after.AvailableMinor(), Reason: a.Reason, At: a.At,
	})
}
