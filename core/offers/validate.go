package offers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/feddi/feddi/core/fault"
)

// Bounds on a definition's lists: an offer is matched by looking them up, and
// a reasoning card quotes them.
const (
	maxSKUs       = 500
	maxCategories = 100
)

// Normal returns d with what follows from silence filled in: the basis of the
// value, the name, who pays, how it is taken.
func (d Definition) Normal() Definition {
	if d.Name == "" {
		d.Name = d.Title
	}
	if d.Value.Per == "" {
		d.Value.Per = PerBasket
		if d.Kind == ItemDiscount || d.Kind == FreeItem {
			d.Value.Per = PerUnit
		}
	}
	if d.Value.Type == ValueFreeItem {
		d.Value.FreeQuantity = max(d.Value.FreeQuantity, 1)
	}
	if d.Funding.FundedBy == "" {
		d.Funding.FundedBy = "merchant"
	}
	if len(d.Redemption) == 0 {
		d.Redemption = []string{MethodApply}
	}
	return d
}

// faults gathers what is wrong, so that an author reads it all at once.
type faults struct{ err *fault.Error }

func (f *faults) add(field, rule, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if f.err == nil {
		f.err = fault.Field(fault.CodeValidationFailed, field, rule, "%s", message)
		return
	}
	f.err = f.err.With(field, rule, message)
}

// Validate checks what the contract's field rules leave open. Errors:
// VALIDATION_FAILED with one detail per mistake.
func (d Definition) Validate() error {
	var f faults
	d.validateValue(&f)
	d.validateTargets(&f)
	d.validateConditions(&f)
	if w := d.Window; w.StartsAt != nil && w.EndsAt != nil && !w.StartsAt.Before(*w.EndsAt) {
		f.add("window.ends_at", "after_start", "the window ends before it starts; give an ends_at after starts_at")
	}
	if slices.Contains(d.Redemption, MethodAuto) {
		f.add("redemption_methods", "apply_only", "this server gives offers by a call only; leave auto out")
	}
	if f.err != nil {
		return f.err
	}
	return nil
}

// valuesOf lists the value types that make sense of a kind.
var valuesOf = map[Kind][]ValueType{
	ItemDiscount:   {ValueAmount, ValuePercent},
	BasketDiscount: {ValueAmount, ValuePercent},
	FreeItem:       {ValueFreeItem},
	Cashback:       {ValueCashback},
	Points:         {ValuePoints},
	Upsell:         {ValueAmount, ValuePercent, ValueFreeItem, ValueCashback, ValuePoints},
}

func (d Definition) validateValue(f *faults) {
	v, types := d.Value, valuesOf[d.Kind]
	if !slices.Contains(types, v.Type) {
		f.add("value.type", "fits_kind", "a %s can't give %q; it gives one of %v", d.Kind, v.Type, types)
	}
	figures := map[string]bool{
		"value.amount_minor":  v.AmountMinor > 0,
		"value.percent_bp":    v.PercentBP > 0,
		"value.points":        v.Points > 0,
		"value.free_quantity": v.FreeQuantity > 0,
	}
	needs := map[ValueType][]string{
		ValueAmount: {"value.amount_minor"}, ValuePercent: {"value.percent_bp"}, ValuePoints: {"value.points"},
		ValueFreeItem: {"value.free_quantity"}, ValueCashback: {"value.amount_minor", "value.percent_bp"},
	}[v.Type]
	given := 0
	for _, field := range []string{"value.amount_minor", "value.percent_bp", "value.points", "value.free_quantity"} {
		switch {
		case figures[field] && !slices.Contains(needs, field):
			f.add(field, "fits_type", "a value of type %s does not use it; leave it out", v.Type)
		case figures[field]:
			given++
		}
	}
	if given != 1 && len(needs) > 0 {
		f.add(needs[0], "figure_given", "a value of type %s needs exactly one of %s", v.Type, strings.Join(needs, ", "))
	}
	if v.PercentBP < 0 || v.PercentBP > 10_000 {
		f.add("value.percent_bp", "range", "a rate is 1 to 10000 basis points")
	}
	if !slices.Contains([]Per{PerUnit, PerLine, PerBasket}, v.Per) {
		f.add("value.per", "known", "per is unit, line or basket")
	}
}

func (d Definition) validateTargets(f *faults) {
	t := d.Targets
	if t.BasketWide && len(t.SKUs)+len(t.Categories) > 0 {
		f.add("targets.basket_wide", "no_lines", "a basket-wide offer names no skus and no categories; name one or the other")
	}
	if t.BasketWide && d.Value.Per != PerBasket && d.Value.Type != ValueFreeItem {
		f.add("value.per", "basket_wide", "a basket-wide value counts once per basket; say per basket or drop basket_wide")
	}
	if d.Kind == BasketDiscount && !t.BasketWide && len(t.SKUs)+len(t.Categories) > 0 {
		f.add("targets", "basket_wide", "a basket_discount takes off the whole basket; for named lines use item_discount")
	}
	if len(t.SKUs) > maxSKUs || len(t.ExcludeSKUs) > maxSKUs {
		f.add("targets.skus", "max_items", "at most %d SKUs in one offer", maxSKUs)
	}
	if len(t.Categories) > maxCategories || len(t.ExcludeCategories) > maxCategories {
		f.add("targets.categories", "max_items", "at most %d categories in one offer", maxCategories)
	}
}

func (d Definition) validateConditions(f *faults) {
	c := d.Conditions
	if w := c.TimeWindow; w != nil && (w.From == w.To || w.From < 0 || w.From > 1439 || w.To < 0 || w.To > 1440) {
		f.add("conditions.time_window", "non_empty", "the window is empty; give a to that differs from from, or leave the window out for all day")
	}
	known := func(field string, all, given []string) {
		for _, g := range given {
			if !slices.Contains(all, g) {
				f.add(field, "known", "%q is none of %s", g, strings.Join(all, ", "))
			}
		}
	}
	known("conditions.days_of_week", DayNames[:], c.Days)
	known("conditions.channels", ChannelNames[:], c.Channels)
	known("conditions.customer_states", StateNames[:], c.CustomerStates)
	if d.NeedsCustomer() && slices.Contains(c.CustomerStates, Anonymous) {
		f.add("conditions.customer_states", "anonymous", "what else the offer asks for needs a known customer; take ANONYMOUS out")
	}
}

// NeedsCustomer reports whether the offer can't be given to an anonymous
// session: it asks who the customer is, counts per customer, or gives credit.
func (d Definition) NeedsCustomer() bool {
	states := d.Conditions.CustomerStates
	return len(d.Targets.Segments)+len(d.Targets.Tiers) > 0 || d.Conditions.NewCustomersOnly ||
		d.Limits.PerCustomer+d.Limits.PerCustomerPerDay > 0 || !d.Value.Type.Discounts() ||
		len(states) > 0 && !slices.Contains(states, Anonymous)
}
