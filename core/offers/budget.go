package offers

import "github.com/feddi/feddi/core/fault"

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
