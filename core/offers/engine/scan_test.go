package engine_test

import (
	"cmp"
	"math"
	"slices"

	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
)

// verdict is what the plain scan says of one offer.
type verdict struct {
	ID     string
	Reason offers.Reason // empty: shown
	Amount int64
	Points int64
}

// scan decides a feed the slow way: every offer, every line, straight from the
// definitions. It shares no code with the engine. nil for an offer that does
// not touch the basket.
func scan(all []offers.Offer, f *offers.Facts) (shown, withheld []verdict) {
	type ranked struct {
		verdict
		o    offers.Offer
		held bool
	}
	var fits []ranked
	for _, o := range all {
		if o.Status != offers.Active {
			continue
		}
		lines := matching(o, f)
		if len(lines) == 0 && !o.Targets.BasketWide {
			continue
		}
		if h := slices.IndexFunc(f.Held, func(h offers.Held) bool { return h.OfferID == o.ID }); h >= 0 {
			fits = append(fits, ranked{verdict{ID: o.ID, Amount: f.Held[h].ValueMinor, Points: f.Held[h].Points}, o, true})
			continue
		}
		amount, points := worth(o, f, lines)
		if r := reasonOf(o, f, lines, amount, points); r != "" {
			withheld = append(withheld, verdict{ID: o.ID, Reason: r})
			continue
		}
		fits = append(fits, ranked{verdict{ID: o.ID, Amount: amount, Points: points}, o, false})
	}
	end := func(o offers.Offer) int64 {
		if o.Window.EndsAt == nil {
			return math.MaxInt64
		}
		return o.Window.EndsAt.UnixMicro()
	}
	slices.SortFunc(fits, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.o.Stacking.Priority, a.o.Stacking.Priority), cmp.Compare(b.Amount, a.Amount),
			cmp.Compare(b.Points, a.Points), cmp.Compare(end(a.o), end(b.o)), cmp.Compare(a.ID, b.ID))
	})
	groups := map[string]bool{}
	for _, r := range fits {
		g := r.o.Stacking.Group
		if g != "" && groups[g] && !r.held {
			withheld = append(withheld, verdict{ID: r.ID, Reason: offers.Outranked})
			continue
		}
		groups[g] = true
		shown = append(shown, r.verdict)
	}
	slices.SortFunc(withheld, func(a, b verdict) int { return cmp.Compare(a.ID, b.ID) })
	return shown, withheld
}

// net is a line's price less what held offers take off it.
func net(f *offers.Facts, l offers.Line) int64 {
	n := l.Net
	for _, h := range f.Held {
		for _, s := range h.Lines {
			if s.LineID == l.LineID && h.DiscountMinor > 0 {
				n = max(n-s.DiscountMinor, 0)
			}
		}
	}
	return n
}

func left(f *offers.Facts) int64 {
	n := f.Total
	for _, h := range f.Held {
		n -= h.DiscountMinor
	}
	return max(n, 0)
}

func matching(o offers.Offer, f *offers.Facts) []offers.Line {
	var out []offers.Line
	for _, l := range f.Lines {
		t := o.Targets
		every := t.BasketWide || len(t.SKUs)+len(t.Categories) == 0
		if (every || slices.Contains(t.SKUs, l.SKU) || l.Category != "" && slices.Contains(t.Categories, l.Category)) &&
			!slices.Contains(t.ExcludeSKUs, l.SKU) && !slices.Contains(t.ExcludeCategories, l.Category) {
			out = append(out, l)
		}
	}
	return out
}

func worth(o offers.Offer, f *offers.Facts, lines []offers.Line) (amount, points int64) {
	units, nets := int64(0), int64(0)
	for _, l := range lines {
		units += l.Quantity
		nets += net(f, l)
	}
	base := min(nets, left(f))
	if o.Targets.BasketWide && len(o.Targets.ExcludeSKUs)+len(o.Targets.ExcludeCategories) == 0 && o.Value.Type != offers.ValueFreeItem {
		base = left(f)
	}
	v := o.Value
	times := map[offers.Per]int64{offers.PerUnit: units, offers.PerLine: int64(len(lines)), offers.PerBasket: 1}[v.Per]
	switch {
	case v.Type == offers.ValuePoints:
		return 0, v.Points * times
	case v.Type == offers.ValueFreeItem:
		amount = freeUnits(f, lines, v.FreeQuantity)
	case v.Per == offers.PerBasket && v.PercentBP > 0:
		amount = money.BasisPoints(base, v.PercentBP)
	case v.Per == offers.PerBasket:
		amount = min(v.AmountMinor, base)
	default:
		for _, l := range lines {
			n, each := net(f, l), v.AmountMinor
			switch {
			case v.PercentBP > 0 && v.Per == offers.PerUnit:
				each = money.BasisPoints(l.Unit, v.PercentBP) * l.Quantity
			case v.PercentBP > 0:
				each = money.BasisPoints(n, v.PercentBP)
			case v.Per == offers.PerUnit:
				each *= l.Quantity
			}
			amount += min(each, n)
		}
	}
	if v.MaxDiscountMinor > 0 {
		amount = min(amount, v.MaxDiscountMinor)
	}
	if v.Type != offers.ValueCashback {
		amount = min(amount, left(f))
	}
	return amount, 0
}

func freeUnits(f *offers.Facts, lines []offers.Line, free int64) int64 {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b offers.Line) int { return cmp.Compare(a.Unit, b.Unit) })
	sum := int64(0)
	for _, l := range lines {
		n := min(free, l.Quantity)
		sum += min(l.Unit*n, net(f, l))
		free -= n
	}
	return sum
}

func reasonOf(o offers.Offer, f *offers.Facts, lines []offers.Line, amount, points int64) offers.Reason {
	c, t, who := o.Conditions, o.Targets, f.Customer
	units := int64(0)
	for _, l := range lines {
		units += l.Quantity
	}
	if t.BasketWide && len(t.ExcludeSKUs)+len(t.ExcludeCategories) == 0 && o.Value.Type != offers.ValueFreeItem {
		units = 0
		for _, l := range f.Lines {
			units += l.Quantity
		}
	}
	wantsKnown := len(t.Tiers)+len(t.Segments) > 0 || c.NewCustomersOnly || o.Limits.PerCustomer > 0 || !o.Value.Type.Discounts() ||
		len(c.CustomerStates) > 0 && !slices.Contains(c.CustomerStates, "ANONYMOUS")
	switch {
	case o.Window.EndsAt != nil && !f.At.Before(*o.Window.EndsAt):
		return offers.OutOfWindow
	case o.Currency != f.Currency:
		return offers.CurrencyMismatch
	case who.ID == "" && wantsKnown:
		return offers.NotIdentified
	case who.ID != "" && len(c.CustomerStates) > 0 && !slices.Contains(c.CustomerStates, who.State):
		return offers.CustomerStateMismatch
	case who.ID != "" && c.NewCustomersOnly && who.Transactions > 0:
		return offers.NotNewCustomer
	case len(t.Segments) > 0 && !slices.ContainsFunc(who.Segments, func(s string) bool { return slices.Contains(t.Segments, s) }):
		return offers.SegmentMismatch
	case len(t.Tiers) > 0 && !slices.Contains(t.Tiers, who.Tier):
		return offers.TierMismatch
	case unwanted(o, who, lines):
		return offers.CustomerOptedOut
	case len(c.Channels) > 0 && !slices.Contains(c.Channels, f.Channel):
		return offers.ChannelMismatch
	case len(c.BranchIDs) > 0 && !slices.Contains(c.BranchIDs, f.BranchID):
		return offers.BranchMismatch
	}
	if r := hours(c, f); r != "" {
		return r
	}
	switch {
	case f.Total < c.MinBasketMinor:
		return offers.MinBasketNotMet
	case units < c.MinQuantity:
		return offers.MinQuantityNotMet
	case amount+points == 0:
		return offers.NoValue
	}
	return stateReason(o, f, amount)
}

func unwanted(o offers.Offer, who offers.Customer, lines []offers.Line) bool {
	if who.OptOut.All || slices.Contains(who.OptOut.Kinds, string(o.Kind)) {
		return true
	}
	return len(who.OptOut.Categories) > 0 && !o.Targets.BasketWide &&
		!slices.ContainsFunc(lines, func(l offers.Line) bool { return !slices.Contains(who.OptOut.Categories, l.Category) })
}

// hours walks back from now to the moment that the window would have begun.
func hours(c offers.Conditions, f *offers.Facts) offers.Reason {
	runs := func(weekday int) bool {
		return len(c.Days) == 0 || slices.Contains(c.Days, dayNames[(weekday+7)%7])
	}
	minute, today := f.Local.Minute, f.Local.Weekday
	w := c.TimeWindow
	if w == nil {
		w = &offers.TimeWindow{From: 0, To: 24 * 60}
	}
	inside, begun := minute >= w.From && minute < w.To, today
	if w.To < w.From {
		inside = minute >= w.From || minute < w.To
		if minute < w.To {
			begun = today - 1
		}
	}
	switch {
	case !runs(begun):
		return offers.OutsideDays
	case !inside:
		return offers.OutsideTimeWindow
	}
	return ""
}

func stateReason(o offers.Offer, f *offers.Facts, amount int64) offers.Reason {
	for _, h := range f.Held {
		if o.Stacking.Exclusive || h.Exclusive || o.Stacking.Alone || h.Alone || o.Stacking.Group != "" && o.Stacking.Group == h.Group {
			return offers.ExcludedByAppliedOffer
		}
	}
	if f.MaxStacked > 0 && len(f.Held) >= f.MaxStacked {
		return offers.ExcludedByAppliedOffer
	}
	for _, u := range f.Uses {
		if u.OfferID == o.ID && (o.Limits.Total > 0 && u.Total >= o.Limits.Total || o.Limits.PerCustomer > 0 && u.Customer >= o.Limits.PerCustomer) {
			return offers.LimitReached
		}
	}
	for _, b := range f.Budgets {
		if b.BudgetID == o.Funding.BudgetID && amount > 0 && (!b.Open || b.Available < amount) {
			return offers.BudgetExhausted
		}
	}
	switch rule := o.Conditions.Rule; {
	case rule == "fail":
		return offers.RuleFailed
	case rule == "total>=500" && f.Total < 500, rule == "lines>=3" && len(f.Lines) < 3:
		return offers.RuleNotMet
	}
	return ""
}
