package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// TestCardsEqualPlainOnes holds that every reasoning card says, byte for byte,
// what the plain way of writing it says: from the definitions, by fmt and
// encoding/json, with no memory that is used twice.
func TestCardsEqualPlainOnes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 12)
		f := drawFacts(t, all)
		defs := map[string]offers.Offer{}
		for _, o := range all {
			defs[o.ID] = o
		}
		feed := engine.New(1, all, tiny{}).Evaluate(context.Background(), f)
		for i := range feed.Offers {
			s := &feed.Offers[i]
			summary, facts := shownCard(defs[s.OfferID], f, s)
			same(t, s.OfferID, s.Card.Summary, summary, s.Card.Facts, facts)
		}
		for i := range feed.Withheld {
			w := &feed.Withheld[i]
			summary, facts := withheldCard(defs[w.OfferID], f, w, feed.Offers)
			same(t, w.OfferID, w.Card.Summary, summary, w.Card.Facts, facts)
		}
	})
}

func same(t *rapid.T, id, summary, wantSummary string, facts json.RawMessage, want []any) {
	if summary != wantSummary {
		t.Fatalf("%s says\n%q, want\n%q", id, summary, wantSummary)
	}
	var members []string
	for i := 0; i < len(want); i += 2 {
		value, err := json.Marshal(want[i+1])
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, fmt.Sprintf("%q:%s", want[i], value))
	}
	if wanted := "{" + strings.Join(members, ",") + "}"; string(facts) != wanted {
		t.Fatalf("%s has\n%s, want\n%s", id, facts, wanted)
	}
}

// touched is how many units, for how much, an offer acts on.
func touched(o offers.Offer, f *offers.Facts) (lines []offers.Line, units, nets int64) {
	lines = matching(o, f)
	if o.Targets.BasketWide && len(o.Targets.ExcludeSKUs)+len(o.Targets.ExcludeCategories) == 0 && o.Value.Type != offers.ValueFreeItem {
		for _, l := range f.Lines {
			units += l.Quantity
		}
		return lines, units, left(f)
	}
	for _, l := range lines {
		units, nets = units+l.Quantity, nets+net(f, l)
	}
	return lines, units, min(nets, left(f))
}

func shownCard(o offers.Offer, f *offers.Facts, s *offers.Shown) (summary string, facts []any) {
	amount := money.Text(s.Value.AmountMinor, f.Currency)
	facts = []any{"currency", f.Currency, "basket_total_minor", f.Total}
	lines, units, nets := touched(o, f)
	if slices.ContainsFunc(f.Held, func(h offers.Held) bool { return h.OfferID == o.ID }) {
		if summary = "Applied in this session."; s.Value.AmountMinor > 0 {
			summary = fmt.Sprintf("Applied in this session; it is worth %s.", amount)
		}
	} else {
		facts = append(facts, "matching_quantity", units, "matching_minor", nets)
		switch o.Value.Type {
		case offers.ValuePoints:
			summary = fmt.Sprintf("Earns %d points", s.Value.Points)
		case offers.ValueCashback:
			summary = fmt.Sprintf("Gives %s back as credit at close", amount)
		case offers.ValueFreeItem:
			summary = fmt.Sprintf("Makes %d free, worth %s", min(o.Value.FreeQuantity, units), amount)
		case offers.ValueAmount, offers.ValuePercent:
			summary = fmt.Sprintf("Takes %s off", amount)
		}
		summary += how(o, f, lines, s.Value.AmountMinor) + "."
	}
	facts = append(facts, "worth_minor", s.Value.AmountMinor)
	if s.Value.Points > 0 {
		facts = append(facts, "points", s.Value.Points)
	}
	return summary, facts
}

func how(o offers.Offer, f *offers.Facts, lines []offers.Line, amount int64) string {
	v := o.Value
	rate := strconv.FormatFloat(float64(v.PercentBP)/100, 'f', -1, 64) + " %"
	if o.Targets.BasketWide {
		if v.PercentBP == 0 {
			return ""
		}
		return fmt.Sprintf(": %s of the basket", rate)
	}
	s := ": on "
	switch {
	case v.PercentBP > 0:
		s = fmt.Sprintf(": %s of ", rate)
	case v.AmountMinor > 0 && v.Per == offers.PerUnit:
		s = fmt.Sprintf(": %s for each of ", money.Text(v.AmountMinor, f.Currency))
	case v.AmountMinor > 0 && v.Per == offers.PerLine:
		s = fmt.Sprintf(": %s per line on ", money.Text(v.AmountMinor, f.Currency))
	}
	s += fmt.Sprintf("%d x %s", lines[0].Quantity, lines[0].Label())
	if len(lines) > 1 {
		s += fmt.Sprintf(" and %d more lines", len(lines)-1)
	}
	if v.AmountMinor > 0 && v.MaxDiscountMinor > 0 && amount == v.MaxDiscountMinor {
		s += ", the most it gives"
	}
	return s
}

// among keeps the names that are listed, in their own order; all where none is.
func among(names, listed []string) string {
	var out []string
	for _, n := range names {
		if len(listed) == 0 || slices.Contains(listed, n) {
			out = append(out, n)
		}
	}
	return strings.Join(out, ", ")
}

func withheldCard(o offers.Offer, f *offers.Facts, w *offers.Withheld, shown []offers.Shown) (summary string, facts []any) {
	c, today := o.Conditions, dayNames[f.Local.Weekday]
	text := func(minor int64) string { return money.Text(minor, f.Currency) }
	clock := func(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
	_, units, _ := touched(o, f)
	switch w.Reason {
	case offers.OutOfWindow:
		return "It has ended.", nil
	case offers.CurrencyMismatch:
		return fmt.Sprintf("It is in %s, the session in %s.", o.Currency, f.Currency), []any{"offer_currency", o.Currency, "session_currency", f.Currency}
	case offers.NotIdentified:
		return "Identify the guest first: it is for known customers.", []any{"customer_state", f.Customer.State}
	case offers.CustomerStateMismatch:
		return fmt.Sprintf("Only for customers who are %s.", among(offers.StateNames[:], c.CustomerStates)), []any{"customer_state", f.Customer.State}
	case offers.NotNewCustomer:
		return "Only for a first visit; this customer has been here before.", []any{"transactions", f.Customer.Transactions}
	case offers.SegmentMismatch:
		return "Not for this customer's segments.", nil
	case offers.TierMismatch:
		return fmt.Sprintf("Only for %s members.", strings.Join(o.Targets.Tiers, ", ")), []any{"tier", f.Customer.Tier}
	case offers.CustomerOptedOut:
		return "The customer does not want such offers.", nil
	case offers.ChannelMismatch:
		return fmt.Sprintf("Only for %s.", among(offers.ChannelNames[:], c.Channels)), []any{"channel", f.Channel}
	case offers.BranchMismatch:
		return "Not at this branch.", []any{"branch_id", f.BranchID}
	case offers.OutsideDays:
		return fmt.Sprintf("Not on %s; it runs on %s.", today, among(dayNames, c.Days)), []any{"day", today}
	case offers.OutsideTimeWindow:
		return fmt.Sprintf("It is %s; it runs from %s to %s.", clock(f.Local.Minute), clock(c.TimeWindow.From), clock(c.TimeWindow.To)),
			[]any{"minute_of_day", f.Local.Minute, "from_minute", c.TimeWindow.From, "to_minute", c.TimeWindow.To}
	case offers.MinBasketNotMet:
		return fmt.Sprintf("%s short: it starts at %s, the basket is %s.", text(c.MinBasketMinor-f.Total), text(c.MinBasketMinor), text(f.Total)),
			[]any{"basket_total_minor", f.Total, "min_basket_minor", c.MinBasketMinor}
	case offers.MinQuantityNotMet:
		return fmt.Sprintf("Add %d more: it takes %d, the basket has %d.", c.MinQuantity-units, c.MinQuantity, units),
			[]any{"matching_quantity", units, "min_quantity", c.MinQuantity}
	case offers.NoValue:
		return "It would take nothing off this basket.", nil
	default:
		return stateCard(o, f, w, shown)
	}
}

// stateCard is withheldCard for what others hold and have taken, and for rules.
func stateCard(o offers.Offer, f *offers.Facts, w *offers.Withheld, shown []offers.Shown) (summary string, facts []any) {
	switch w.Reason {
	case offers.ExcludedByAppliedOffer:
		return "It can't be combined with what is applied already.", appliedFacts(o, f)
	case offers.LimitReached:
		u := f.UseOf(o.ID)
		have, need := u.Customer, o.Limits.PerCustomer
		if need == 0 || have < need {
			have, need = u.Total, o.Limits.Total
		}
		return fmt.Sprintf("Taken %d of %d times already.", have, need), []any{"uses", have, "limit", need}
	case offers.BudgetExhausted:
		return fmt.Sprintf("Its budget can't pay %s any more.", money.Text(w.Worth, f.Currency)),
			[]any{"available_minor", f.FundsOf(o.Funding.BudgetID).Available, "worth_minor", w.Worth}
	case offers.Outranked:
		better := shown[slices.IndexFunc(shown, func(s offers.Shown) bool { return s.Group == o.Stacking.Group })]
		return fmt.Sprintf("Only one offer of its group is given, and this one is better here: %s.", better.Title), []any{"better_offer_id", better.OfferID}
	case offers.RuleNotMet:
		return "The merchant's own rule for it does not hold here.", nil
	default:
		return "The merchant's own rule could not be judged, so it is not given.", nil
	}
}

// appliedFacts names the held offer that excludes o; where it is their number
// that does, none.
func appliedFacts(o offers.Offer, f *offers.Facts) []any {
	for _, h := range f.Held {
		if o.Stacking.Exclusive || h.Exclusive || o.Stacking.Alone || h.Alone || o.Stacking.Group != "" && o.Stacking.Group == h.Group {
			return []any{"applied_offer_id", h.OfferID}
		}
	}
	return nil
}
