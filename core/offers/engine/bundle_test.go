package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/offers"
)

// tiny is a rule language of its own: "total>=N", "lines>=N" or "fail". The
// engine must not care which language stands behind the port.
type tiny struct{}

func (tiny) Environment() string                   { return "tiny/1" }
func (tiny) Bind(f *offers.Facts) offers.RuleInput { return f }
func (tiny) Compile(expr string) (offers.Rule, error) {
	name, figure, ok := strings.Cut(expr, ">=")
	n, err := strconv.ParseInt(figure, 10, 64)
	if expr != "fail" && (!ok || err != nil) {
		return nil, fmt.Errorf("no such rule: %s", expr)
	}
	return tinyRule{name, n}, nil
}

type tinyRule struct {
	name string
	n    int64
}

func (r tinyRule) Met(_ context.Context, in offers.RuleInput) (bool, error) {
	f, ok := in.(*offers.Facts)
	switch {
	case !ok || r.name == "fail":
		return false, errors.New("failed as asked")
	case r.name == "lines":
		return int64(len(f.Lines)) >= r.n, nil
	}
	return f.Total >= r.n, nil
}

// NeedsBasket is true for every rule that reads something.
func (r tinyRule) NeedsBasket() bool { return r.name != "fail" }

// monday noon in the merchant's zone.
var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func pick[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

// some draws a list of distinct names, often empty.
func some(t *rapid.T, label string, from []string, most int) []string {
	if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, most, rapid.ID[string]).Draw(t, label)
}

var (
	skuNames      = []string{"A", "B", "C", "D", "E", "F", "G"}
	categoryNames = []string{"coffee", "bakery", "tea"}
	dayNames      = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	channels      = []string{"in_store", "kiosk", "online"}
)

// drawDefinition draws any definition that validates.
func drawDefinition(t *rapid.T) offers.Definition {
	for {
		d := drawShape(t)
		drawConditions(t, &d)
		d = d.Normal()
		if d.Validate() == nil {
			return d
		}
	}
}

func drawShape(t *rapid.T) offers.Definition {
	d := offers.Definition{
		Kind:  pick(t, "kind", offers.ItemDiscount, offers.BasketDiscount, offers.FreeItem, offers.Cashback, offers.Points, offers.Upsell),
		Title: "t", Currency: pick(t, "currency", "USD", "USD", "USD", "EUR"),
	}
	d.Value = offers.Value{Per: pick(t, "per", offers.PerUnit, offers.PerLine, offers.PerBasket), MaxDiscountMinor: pick[int64](t, "cap", 0, 0, 70)}
	switch d.Kind {
	case offers.FreeItem:
		d.Value.Type, d.Value.FreeQuantity = offers.ValueFreeItem, rapid.Int64Range(1, 3).Draw(t, "free")
	case offers.Cashback:
		d.Value.Type, d.Value.PercentBP = offers.ValueCashback, rapid.Int64Range(1, 10_000).Draw(t, "bp")
	case offers.Points:
		d.Value.Type, d.Value.Points = offers.ValuePoints, rapid.Int64Range(1, 50).Draw(t, "points")
	default:
		if rapid.Bool().Draw(t, "rate?") {
			d.Value.Type, d.Value.PercentBP = offers.ValuePercent, rapid.Int64Range(1, 10_000).Draw(t, "bp")
		} else {
			d.Value.Type, d.Value.AmountMinor = offers.ValueAmount, rapid.Int64Range(1, 500).Draw(t, "amount")
		}
	}
	switch rapid.IntRange(0, 3).Draw(t, "targets") {
	case 0:
		d.Targets.BasketWide, d.Value.Per = true, offers.PerBasket
	case 1: // every line
	default:
		d.Targets.SKUs, d.Targets.Categories = some(t, "skus", skuNames, 3), some(t, "categories", categoryNames, 2)
	}
	d.Targets.ExcludeSKUs, d.Targets.ExcludeCategories = some(t, "not skus", skuNames, 2), some(t, "not categories", categoryNames, 1)
	return d
}

func drawConditions(t *rapid.T, d *offers.Definition) {
	d.Targets.Tiers, d.Targets.Segments = some(t, "tiers", []string{"gold", "silver"}, 1), some(t, "segments", []string{"s1", "s2"}, 1)
	d.Conditions = offers.Conditions{
		MinBasketMinor: pick[int64](t, "min", 0, 0, 200, 2000), MinQuantity: pick[int64](t, "quantity", 0, 0, 2, 9),
		Days: some(t, "days", dayNames, 4), Channels: some(t, "channels", channels, 2), BranchIDs: some(t, "branches", []string{"b1", "b2"}, 1),
		CustomerStates: some(t, "states", []string{"ANONYMOUS", "PENDING_PROOF", "VERIFIED"}, 2), NewCustomersOnly: pick(t, "new", false, false, true),
		Rule: pick(t, "rule", "", "", "", "total>=500", "lines>=3", "fail"),
	}
	if rapid.IntRange(0, 3).Draw(t, "window?") == 0 {
		d.Conditions.TimeWindow = &offers.TimeWindow{From: 60 * rapid.IntRange(0, 23).Draw(t, "from"), To: 60 * rapid.IntRange(0, 24).Draw(t, "to")}
	}
	d.Limits = offers.Limits{Total: pick[int64](t, "total", 0, 0, 2), PerCustomer: pick[int64](t, "per customer", 0, 0, 0, 1)}
	d.Stacking = offers.Stacking{
		Group: pick(t, "group", "", "", "g1", "g2"), Alone: pick(t, "alone", false, false, true),
		Exclusive: pick(t, "exclusive", false, false, false, true), Priority: pick[int64](t, "priority", 0, 0, 5, -128, 127, 128),
	}
	d.Funding.BudgetID = pick(t, "budget", "", "", "bud_1", "bud_2")
	if pick(t, "ends?", false, false, true) {
		end := noon.Add(time.Duration(rapid.IntRange(-48, 48).Draw(t, "ends")) * time.Hour)
		d.Window.EndsAt = &end
	}
}

func drawOffers(t *rapid.T, most int) []offers.Offer {
	n := rapid.IntRange(0, most).Draw(t, "offers")
	out := make([]offers.Offer, n)
	for i := range out {
		out[i] = offers.Offer{
			ID: fmt.Sprintf("off_%02d", i), Version: rapid.Int64Range(1, 3).Draw(t, "version"),
			Status: pick(t, "status", offers.Active, offers.Active, offers.Active, offers.Paused), Definition: drawDefinition(t),
		}
	}
	return out
}

func drawFacts(t *rapid.T, all []offers.Offer) *offers.Facts {
	at := noon.Add(time.Duration(rapid.IntRange(-24, 24).Draw(t, "at")) * time.Hour)
	f := &offers.Facts{
		SessionID: "cs_1", At: at, Local: offers.LocalTime(at, time.UTC), Currency: "USD", Channel: pick(t, "channel", channels...),
		BranchID: pick(t, "branch", "b1", "b2"), MaxStacked: pick(t, "stacked", 0, 0, 1),
		Customer: offers.Customer{State: "ANONYMOUS"},
		Budgets:  []offers.Funds{{BudgetID: "bud_2", Available: 10, Open: true}, {BudgetID: "bud_1", Available: 1 << 40, Open: pick(t, "open", true, true, false)}},
	}
	if rapid.Bool().Draw(t, "known") {
		f.Customer = offers.Customer{
			ID: "cus_1", State: pick(t, "state", "PENDING_PROOF", "VERIFIED"), Tier: pick(t, "tier", "", "gold", "silver"),
			Segments: some(t, "in segments", []string{"s1", "s2"}, 2), Transactions: rapid.Int64Range(0, 2).Draw(t, "transactions"),
			OptOut: offers.OptOut{Kinds: some(t, "unwanted", []string{"cashback", "points"}, 1), Categories: some(t, "unwanted categories", categoryNames, 1)},
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "lines") {
		l := offers.Line{
			LineID: strconv.Itoa(i), SKU: pick(t, "sku", skuNames...), Category: pick(t, "category", append(categoryNames, "")...),
			Quantity: rapid.Int64Range(1, 4).Draw(t, "units"), Unit: rapid.Int64Range(0, 900).Draw(t, "price"),
		}
		l.Net = l.Quantity * l.Unit
		l.Net -= rapid.Int64Range(0, l.Net).Draw(t, "till discount") / 4
		f.Lines = append(f.Lines, l)
		f.Total += l.Net
	}
	for _, o := range all {
		f.Uses = append(f.Uses, offers.Use{OfferID: o.ID, Total: rapid.Int64Range(0, 2).Draw(t, "uses"), Customer: rapid.Int64Range(0, 1).Draw(t, "own uses")})
	}
	drawHeld(t, f, all)
	return f
}

// drawHeld lets the session hold one of the offers.
func drawHeld(t *rapid.T, f *offers.Facts, all []offers.Offer) {
	if len(all) == 0 || len(f.Lines) == 0 || rapid.IntRange(0, 3).Draw(t, "held?") > 0 {
		return
	}
	o := pick(t, "held", all...)
	h := offers.Held{
		ApplicationID: "apl_1", OfferID: o.ID, Version: o.Version, Group: o.Stacking.Group, Alone: o.Stacking.Alone, Exclusive: o.Stacking.Exclusive,
		DiscountMinor: rapid.Int64Range(0, f.Lines[0].Net).Draw(t, "held discount"),
	}
	h.ValueMinor = h.DiscountMinor
	h.Lines = []offers.Share{{LineID: f.Lines[0].LineID, DiscountMinor: h.DiscountMinor}}
	f.Held = append(f.Held, h)
}
