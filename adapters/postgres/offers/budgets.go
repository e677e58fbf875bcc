package offers

import (
	"context"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// budgetRow is a budget as the table has it.
type budgetRow struct {
	BudgetID       string
	BrandID        string
	Name           string
	Currency       string
	CapMinor       int64
	CommittedMinor int64
	SpentMinor     int64
	LowThresholdBP int64 `db:"low_threshold_bp"`
	LowTold        bool
	FundedBy       string
	StartsAt       time.Time
	EndsAt         *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

func (r budgetRow) budget(t tenancy.Tenant) offers.Budget {
	return offers.Budget{
		ID: r.BudgetID, Tenant: t, BrandID: r.BrandID, Name: r.Name, Currency: r.Currency, CapMinor: r.CapMinor,
		CommittedMinor: r.CommittedMinor, SpentMinor: r.SpentMinor, LowThresholdBP: r.LowThresholdBP, LowTold: r.LowTold,
		FundedBy: r.FundedBy, StartsAt: r.StartsAt, EndsAt: r.EndsAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

const insertBudget = `
insert into budgets (budget_id, tenant_no, brand_id, name, currency, cap_minor, low_threshold_bp, funded_by, starts_at, ends_at,
  created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)`

const insertMovement = `
insert into budget_movements (budget_id, tenant_no, movement_id, type, amount_minor, available_after_minor, reference_id, reason, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// InsertBudget implements offers.Budgets.
func (s *Store) InsertBudget(ctx context.Context, b offers.Budget, m offers.Movement) error {
	_, err := s.q.Exec(ctx, insertBudget, b.ID, b.Tenant.No, b.BrandID, b.Name, b.Currency, b.CapMinor, b.LowThresholdBP, b.FundedBy,
		b.StartsAt, b.EndsAt, b.CreatedAt)
	if err != nil {
		return err
	}
	return s.insertMovement(ctx, b.Tenant, m)
}

func (s *Store) insertMovement(ctx context.Context, t tenancy.Tenant, m offers.Movement) error {
	_, err := s.q.Exec(ctx, insertMovement, m.BudgetID, t.No, m.ID, m.Type, m.AmountMinor, m.AvailableAfterMinor, null(m.ReferenceID), null(m.Reason), m.At)
	return err
}

const findBudget = `
select budget_id, brand_id, name, currency, cap_minor, committed_minor, spent_minor, low_threshold_bp, low_told, funded_by,
  starts_at, ends_at, created_at, updated_at
from budgets where tenant_no = $1 and budget_id = $2`

const lockBudget = findBudget + ` for update`

// Budget implements offers.Budgets.
func (s *Store) Budget(ctx context.Context, t tenancy.Tenant, budgetID string) (offers.Budget, error) {
	return s.budget(ctx, findBudget, t, budgetID)
}

func (s *Store) budget(ctx context.Context, statement string, t tenancy.Tenant, budgetID string) (offers.Budget, error) {
	row, err := pg.Maybe[budgetRow](ctx, s.q, statement, t.No, budgetID)
	switch {
	case err != nil:
		return offers.Budget{}, err
	case row == nil:
		return offers.Budget{}, fault.NotFound("budget")
	}
	return row.budget(t), nil
}

const readFunds = `
select budget_id, cap_minor - committed_minor - spent_minor as available, starts_at <= $3 and (ends_at is null or ends_at > $3) as open
from budgets where tenant_no = $1 and budget_id = any($2) order by budget_id`

// Funds implements offers.Budgets.
func (s *Store) Funds(ctx context.Context, t tenancy.Tenant, budgetIDs []string, now time.Time) ([]offers.Funds, error) {
	return pg.Many[offers.Funds](ctx, s.q, readFunds, t.No, budgetIDs, now)
}

const saveBudget = `
update budgets set committed_minor = $3, spent_minor = $4, low_told = $5 where tenant_no = $1 and budget_id = $2`

// MoveBudget implements offers.Budgets. The row's lock, held until the
// transaction ends, is what makes concurrent movers see each other; the CHECK
// of the cap stands behind it.
func (s *Store) MoveBudget(ctx context.Context, t tenancy.Tenant, m offers.Move) (before, after offers.Budget, err error) {
	before, err = s.budget(ctx, lockBudget, t, m.BudgetID)
	if err != nil {
		return before, before, err
	}
	if after, err = before.Move(m); err != nil {
		return before, before, err
	}
	if _, err := s.q.Exec(ctx, saveBudget, t.No, m.BudgetID, after.CommittedMinor, after.SpentMinor, after.LowTold); err != nil {
		if name, ok := pg.Check(err); ok {
			return before, before, fmt.Errorf("budget %s: %s of %d broke %s: %w", m.BudgetID, m.Type, m.AmountMinor, name, err)
		}
		return before, before, err
	}
	return before, after, s.insertMovement(ctx, t, offers.Movement{
		ID: m.MovementID, BudgetID: m.BudgetID, Type: m.Type, AmountMinor: m.AmountMinor,
		AvailableAfterMinor: after.AvailableMinor(), ReferenceID: m.ReferenceID, Reason: m.Reason, At: m.At,
	})
}

const listMovements = `
select movement_id as id, budget_id, type, amount_minor, available_after_minor, coalesce(reference_id, '') as reference_id,
  coalesce(reason, '') as reason, at, position
from budget_movements where tenant_no = $1 and budget_id = $2 and ($3 = 0 or position < $3)
order by position desc limit $4`

// Movements implements offers.Budgets.
func (s *Store) Movements(ctx context.Context, t tenancy.Tenant, budgetID string, before int64, limit int) ([]offers.Movement, error) {
	return pg.Many[offers.Movement](ctx, s.q, listMovements, t.No, budgetID, before, limit)
}
