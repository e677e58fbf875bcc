package offers

import (
	"time"

	"github.com/feddi/feddi/core/fault"
)

// Move gives the budget after m. A commitment that the cap or the window does
// not allow is BUDGET_EXHAUSTED. What is held can always be spent or given
// back, also after the window.
func (b Budget) Move(m Move) (Budget, error) {
	switch m.Type {
	case "committed":
		if status := b.StatusAt(m.At); m.AmountMinor > b.AvailableMinor() || status == "scheduled" || status == "ended" {
			return b, fault.Field(fault.CodeBudgetExhausted, "funding.budget_id", "available",
				"the budget behind the offer is %s and has %d minor units left, the offer needs %d; show another offer", status, b.AvailableMinor(), m.AmountMinor)
		}
		b.CommittedMinor += m.AmountMinor
	case "released":
		b.CommittedMinor -= m.AmountMinor
	case "spent":
		b.CommittedMinor -= m.AmountMinor
		b.SpentMinor += m.AmountMinor
	case "returned":
		b.SpentMinor -= m.AmountMinor
	}
	b.LowTold = b.LowTold || b.Low()
	return b, nil
}

// BudgetFilter selects budgets of a list; empty members do not.
type BudgetFilter struct {
	Status  string // scheduled, active, exhausted, ended
	BrandID string
	Before  string // budgets older than this id: where the page before ended
	Limit   int
	Now     time.Time // what Status is judged at
}

// Adjustment is a new cap of a budget.
type Adjustment struct {
	MovementID string
	BudgetID   string
	CapMinor   int64 // positive
	Reason     string
	At         time.Time
}

// Adjust gives the budget under a new cap. A cap that leaves the budget no
// longer low lets budget.low be told again. Errors: STATE_CONFLICT where the
// budget has ended, AMOUNT_OUT_OF_RANGE below what is committed and spent.
func (b Budget) Adjust(capMinor int64, at time.Time) (Budget, error) {
	if b.StatusAt(at) == "ended" {
		return b, fault.Field(fault.CodeStateConflict, "budget_id", "not_ended", "the budget has ended; make a new one")
	}
	if used := b.CommittedMinor + b.SpentMinor; capMinor < used {
		return b, fault.Field(fault.CodeAmountOutOfRange, "cap_minor", "at_least_used",
			"%d minor units are committed and %d spent; the cap can't be below %d", b.CommittedMinor, b.SpentMinor, used)
	}
	b.CapMinor, b.UpdatedAt = capMinor, at
	b.LowTold = b.Low()
	return b, nil
}
