package celrules

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/offers"
)

// grammar draws rules of the forms that have plans. Divisors may be zero and
// numbers may be so large that sums overflow: CEL gives errors there, and
// absorbs some of them.
type grammar struct {
	t    *rapid.T
	loop string // what the loop at hand walks
}

func (g grammar) pick(of ...string) string { return rapid.SampledFrom(of).Draw(g.t, "pick") }

func (g grammar) number(depth int) string {
	simple := []string{
		"basket.total_minor", "basket.quantity", "basket.revision", "customer.transactions", "session.weekday", "session.minute",
		"basket.lines.size()", "size(customer.segments)", "0", "1", "-1", "2", "500", "9223372036854775807", "-9223372036854775807",
	}
	if g.loop == linesOf {
		simple = append(simple, "e.quantity", "e.unit_price_minor", "e.net_minor")
	}
	if depth <= 0 || rapid.Bool().Draw(g.t, "leaf") {
		return g.pick(simple...)
	}
	return fmt.Sprintf("(%s %s %s)", g.number(depth-1), g.pick("+", "-", "*", "/", "%"), g.number(depth-1))
}

func (g grammar) text() string {
	simple := []string{
		"customer.tier", "customer.state", "session.channel", "session.currency", "session.brand_id", "session.branch_id", "session.day",
		"'gold'", "'TEA'", "'T'", "''", "'tea'",
	}
	switch g.loop {
	case linesOf:
		simple = append(simple, "e.sku", "e.category", "e.line_id", "e.sku", "e.category")
	case segmentsOf:
		simple = append(simple, "e", "e", "e")
	}
	return g.pick(simple...)
}

func (g grammar) truth(depth int) string {
	kinds := []string{"numbers", "texts", "part", "among", "identified", "segments"}
	if depth > 0 {
		kinds = append(kinds, "and", "or", "not", "if", "same")
		if g.loop == "" {
			kinds = append(kinds, "loop", "loop", "loop")
		}
	}
	switch g.pick(kinds...) {
	case "numbers":
		return fmt.Sprintf("%s %s %s", g.number(2), g.pick("==", "!=", "<", "<=", ">", ">="), g.number(1))
	case "texts":
		return fmt.Sprintf("%s %s %s", g.text(), g.pick("==", "==", "!=", "<", "<=", ">", ">="), g.text())
	case "part":
		return fmt.Sprintf("%s.%s(%s)", g.text(), g.pick("startsWith", "endsWith", "contains"), g.text())
	case "among":
		if rapid.Bool().Draw(g.t, "numbers") {
			return fmt.Sprintf("%s in [1, 2, 500]", g.number(1))
		}
		return fmt.Sprintf("%s in ['gold', 'TEA', '']", g.text())
	case "identified":
		return "customer.identified"
	case "segments":
		return g.text() + " in customer.segments"
	case "and":
		return fmt.Sprintf("(%s && %s)", g.truth(depth-1), g.truth(depth-1))
	case "or":
		return fmt.Sprintf("(%s || %s)", g.truth(depth-1), g.truth(depth-1))
	case "not":
		return fmt.Sprintf("!(%s)", g.truth(depth-1))
	case "if":
		return fmt.Sprintf("(%s ? %s : %s)", g.truth(depth-1), g.truth(depth-1), g.truth(depth-1))
	case "same":
		return fmt.Sprintf("(%s) %s (%s)", g.truth(depth-1), g.pick("==", "!="), g.truth(depth-1))
	}
	inside := grammar{t: g.t, loop: g.pick(linesOf, linesOf, segmentsOf)}
	return fmt.Sprintf("%s.%s(e, %s)", inside.loop, g.pick("exists", "all", "exists_one"), inside.truth(depth-1))
}

func drawnFacts(t *rapid.T) *offers.Facts {
	figure := rapid.OneOf(rapid.Int64Range(0, 4), rapid.SampledFrom([]int64{500, math.MaxInt64, math.MinInt64, -1}))
	name := rapid.SampledFrom([]string{"", "gold", "TEA", "T", "tea", "é"})
	at := time.Unix(rapid.Int64Range(1_700_000_000, 1_800_000_000).Draw(t, "at"), 0)
	f := &offers.Facts{
		At: at, Local: offers.LocalTime(at, time.UTC), Total: figure.Draw(t, "total"), Revision: figure.Draw(t, "revision"),
		Channel: name.Draw(t, "channel"), Currency: "USD", BrandID: name.Draw(t, "brand"), BranchID: name.Draw(t, "branch"),
		Customer: offers.Customer{
			ID: name.Draw(t, "customer"), State: name.Draw(t, "state"), Tier: name.Draw(t, "tier"),
			Transactions: figure.Draw(t, "transactions"), Segments: rapid.SliceOfN(name, 0, 3).Draw(t, "segments"),
		},
	}
	for range rapid.IntRange(0, 4).Draw(t, "lines") {
		f.Lines = append(f.Lines, offers.Line{
			LineID: name.Draw(t, "line"), SKU: name.Draw(t, "sku"), Category: name.Draw(t, "category"),
			Quantity: figure.Draw(t, "quantity"), Unit: figure.Draw(t, "unit"), Net: figure.Draw(t, "net"),
		})
	}
	return f
}

// TestPlanEqualsCEL holds that a plan decides what CEL decides, errors
// included, for any rule that has one and any facts.
func TestPlanEqualsCEL(t *testing.T) {
	t.Parallel()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		expression := grammar{t: t}.truth(3)
		compiled, err := c.compile(expression)
		if err != nil {
			t.Skip("refused: ", err)
		}
		if compiled.plan == nil {
			t.Fatalf("no plan for %s", expression)
		}
		for range 5 {
			in, ok := c.Bind(drawnFacts(t)).(*input)
			if !ok || !in.bounded {
				t.Fatal("the facts are as small as they get")
			}
			got, gotErr := compiled.Met(context.Background(), in)
			want, wantErr := compiled.run(context.Background(), in)
			if got != want || (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("%s on %+v\n got %v, %v\nwant %v, %v", expression, *in.f, got, gotErr, want, wantErr)
			}
		}
	})
}

// TestPlans holds which rules have a plan. One that has none is still decided,
// by CEL; names of loops that hide a variable must not be mistaken for it.
func TestPlans(t *testing.T) {
	t.Parallel()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	in := c.Bind(&offers.Facts{
		Total: 7, Customer: offers.Customer{ID: "cus_1", Tier: "gold", Segments: []string{"regulars"}},
		Lines: []offers.Line{{SKU: "TEA", Category: "tea", Quantity: 1, Net: 7}, {SKU: "BUN", Quantity: 2}},
	})
	for rule, want := range map[string]struct{ planned, met bool }{
		"true": {true, true},
		"basket.lines.exists(l, l.sku == 'TEA' && l.net_minor == 7)":                              {true, true},
		"basket.lines.exists_one(l, l.quantity > 0)":                                              {true, false},
		"basket.lines.all(customer, customer.sku != '') && customer.tier == 'gold'":               {true, true},
		"basket.lines.exists(basket, basket.quantity == 2)":                                       {true, true},
		"basket.lines.exists(line, line.category == 'tea')":                                       {true, true},
		"customer.segments.exists(s, s.startsWith('reg')) || 1 / (basket.total_minor - 7) == 0":   {true, true},
		"basket.lines.exists(basket, .basket.total_minor == 7)":                                   {false, true},
		"customer.segments.exists(s, customer.segments.exists(u, u == s && s == 'TEA'))":          {false, false},
		"basket.lines.filter(l, l.sku == 'TEA').size() == 1":                                      {false, true},
		"basket.lines.map(l, l.net_minor).exists(n, n == 7)":                                      {false, true},
		"customer.tier.size() == 4":                                                               {false, true},
		"customer.tier.matches('^g')":                                                             {false, true},
		"basket.lines[0].sku == 'TEA'":                                                            {false, true},
		"now < timestamp('2026-06-15T00:00:00Z')":                                                 {false, true},
		"dyn(basket.total_minor) == 7.0":                                                          {false, true},
		"has(customer.tier) && customer.tier in ['gold', session.channel]":                        {false, true},
		"customer.tier + 'en' == 'golden' || basket.total_minor in [basket.quantity, 7]":          {false, true},
		"[1, 2].exists(n, n == basket.total_minor - 5) && basket.lines.exists(i, i.sku == 'BUN')": {false, true},
	} {
		r, err := c.compile(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		if met, err := r.Met(t.Context(), in); met != want.met || err != nil || (r.plan != nil) != want.planned {
			t.Errorf("%s = %v, %v, planned %v; want %v", rule, met, err, r.plan != nil, want)
		}
	}
}

// TestPlanKeepsToItsSizes holds that facts larger than the estimate bounded a
// rule for are CEL's, which counts.
func TestPlanKeepsToItsSizes(t *testing.T) {
	t.Parallel()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxText+1)
	for name, f := range map[string]*offers.Facts{
		"lines":    {Lines: make([]offers.Line, maxLines+1)},
		"segments": {Customer: offers.Customer{Segments: make([]string, maxSegments+1)}},
		"sku":      {Lines: []offers.Line{{SKU: long}}},
		"category": {Lines: []offers.Line{{Category: long}}},
		"line id":  {Lines: []offers.Line{{LineID: long}}},
		"tier":     {Customer: offers.Customer{Tier: long}},
		"segment":  {Customer: offers.Customer{Segments: []string{long}}},
		"branch":   {BranchID: long},
	} {
		if in, ok := c.Bind(f).(*input); !ok || in.bounded {
			t.Errorf("%s: taken to be bounded", name)
		}
	}
	if in, ok := c.Bind(&offers.Facts{Lines: make([]offers.Line, maxLines)}).(*input); !ok || !in.bounded {
		t.Error("the largest basket is taken to be too large")
	}
}
