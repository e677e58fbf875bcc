package cards

import (
	"fmt"
	"strings"

	"github.com/feddi/feddi/core/offers"
)

// Condition is the machine form of the condition behind a reason.
func Condition(r offers.Reason) string {
	switch r {
	case offers.OutOfWindow:
		return "window.starts_at <= now && now < window.ends_at"
	case offers.CurrencyMismatch:
		return "offer.currency == session.currency"
	case offers.NotIdentified:
		return "customer.identified"
	case offers.CustomerStateMismatch:
		return "customer.state in conditions.customer_states"
	case offers.NotNewCustomer:
		return "customer.transactions == 0"
	case offers.SegmentMismatch:
		return "customer.segments intersects targets.segments"
	case offers.TierMismatch:
		return "customer.tier in targets.tiers"
	case offers.CustomerOptedOut:
		return "!customer.opted_out"
	case offers.NoMatchingLines:
		return "some line matches targets"
	case offers.ChannelMismatch:
		return "session.channel in conditions.channels"
	case offers.BranchMismatch:
		return "session.branch_id in conditions.branch_ids"
	case offers.OutsideDays:
		return "local.day in conditions.days_of_week"
	case offers.OutsideTimeWindow:
		return "local.time in conditions.time_window"
	case offers.MinBasketNotMet:
		return "basket.total_minor >= conditions.min_basket_minor"
	case offers.MinQuantityNotMet:
		return "matching.quantity >= conditions.min_quantity"
	case offers.NoValue:
		return "worth > 0"
	case offers.ExcludedByAppliedOffer:
		return "stacking allows it beside the applied offers"
	case offers.LimitReached:
		return "uses < limits"
	case offers.BudgetExhausted:
		return "worth <= budget.available_minor"
	case offers.Outranked:
		return "best of stacking.group"
	}
	return "conditions.rule"
}

// Rule is what an offer asks for and gives, in machine form: the rule on the
// card of an offer that is shown.
func Rule(o *offers.Offer) string {
	var b strings.Builder
	list := func(name string, items []string) {
		if len(items) == 0 {
			return
		}
		shown, rest := items, ""
		if len(items) > 4 {
			shown, rest = items[:4], ", ..."
		}
		fmt.Fprintf(&b, "%s in [%s%s] && ", name, strings.Join(shown, ", "), rest)
	}
	list("sku", o.Targets.SKUs)
	list("category", o.Targets.Categories)
	list("tier", o.Targets.Tiers)
	list("segment", o.Targets.Segments)
	if m := o.Conditions.MinBasketMinor; m > 0 {
		fmt.Fprintf(&b, "basket.total_minor >= %d && ", m)
	}
	if m := o.Conditions.MinQuantity; m > 0 {
		fmt.Fprintf(&b, "quantity >= %d && ", m)
	}
	list("day", o.Conditions.Days)
	when := strings.TrimSuffix(b.String(), " && ")
	if when == "" {
		when = "true"
	}
	return when + " => " + valueForm(&o.Value)
}

func valueForm(v *offers.Value) string {
	switch {
	case v.Type == offers.ValueFreeItem:
		return fmt.Sprintf("free_item %d cheapest", max(v.FreeQuantity, 1))
	case v.Type == offers.ValuePoints:
		return fmt.Sprintf("points %d per %s", v.Points, v.Per)
	case v.PercentBP > 0:
		return fmt.Sprintf("%s %d bp per %s", v.Type, v.PercentBP, v.Per)
	}
	return fmt.Sprintf("%s %d per %s", v.Type, v.AmountMinor, v.Per)
}
