package celrules_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func compiler(t *testing.T) *celrules.Compiler {
	t.Helper()
	c, err := celrules.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// facts is a basket of n lines, all alike but for their ids.
func facts(n int) *offers.Facts {
	f := &offers.Facts{
		At: noon, Local: offers.LocalTime(noon, time.UTC), Currency: "USD", Channel: "in_store", BranchID: "brn_1", Revision: 2,
		Customer: offers.Customer{ID: "cus_1", State: "VERIFIED", Tier: "gold", Segments: []string{"early"}, Transactions: 4},
	}
	for i := range n {
		f.Lines = append(f.Lines, offers.Line{LineID: fmt.Sprint(i), SKU: "LATTE", Category: "coffee", Quantity: 2, Unit: 450, Net: 900})
		f.Total += 900
	}
	return f
}

// TestRules holds what each variable means.
func TestRules(t *testing.T) {
	t.Parallel()
	c := compiler(t)
	in := c.Bind(facts(2))
	for rule, want := range map[string]bool{
		"basket.total_minor == 1800 && basket.quantity == 4 && basket.revision == 2":                 true,
		"basket.lines.exists(l, l.sku == 'LATTE' && l.quantity >= 2 && l.unit_price_minor == 450)":   true,
		"basket.lines.all(l, l.category == 'tea')":                                                   false,
		"basket.lines.filter(l, l.net_minor > 500).size() == 2":                                      true,
		"customer.identified && customer.tier == 'gold' && 'early' in customer.segments":             true,
		"customer.state == 'VERIFIED' && customer.transactions < 4":                                  false,
		"session.channel == 'in_store' && session.branch_id == 'brn_1' && session.currency == 'USD'": true,
		"session.weekday == 1 && session.minute == 720 && session.day == '2026-06-15'":               true,
		"now >= timestamp('2026-06-15T00:00:00Z') && now < timestamp('2026-06-16T00:00:00Z')":        true,
		"now.getDayOfWeek() == 1 && now - duration('1h') < now":                                      true,
	} {
		r, err := c.Compile(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		if got, err := r.Met(t.Context(), in); err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", rule, got, err, want)
		}
	}
	anonymous := &offers.Facts{At: noon, Customer: offers.Customer{State: offers.Anonymous}}
	r, err := c.Compile("!customer.identified && customer.segments.size() == 0 && basket.lines.size() == 0")
	if err != nil {
		t.Fatal(err)
	}
	if met, err := r.Met(t.Context(), c.Bind(anonymous)); err != nil || !met {
		t.Errorf("an anonymous session: %v, %v", met, err)
	}
}

// TestRefusedRules holds that a rule is refused before it is stored, with the
// rule it broke and, where it costs too much, the cost.
func TestRefusedRules(t *testing.T) {
	t.Parallel()
	c := compiler(t)
	loop := "basket.lines.all(%c, "
	deep := fmt.Sprintf(loop, 'a') + fmt.Sprintf(loop, 'b') + fmt.Sprintf(loop, 'c') + "a.sku != b.sku || b.sku != c.sku)))"
	for rule, broke := range map[string]string{
		deep: "cost",
		"basket.lines.exists(a, basket.lines.exists(b, a.sku == b.sku))": "cost",
		"now() > now":          "compiles",
		"basket.lines.exists(": "compiles",
		"basket.phone == ''":   "compiles",
		"basket.total_minor":   "is_bool",
		strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60): "compiles",
		strings.Repeat("true && ", 400) + "true":                   "compiles",
	} {
		_, err := c.Compile(rule)
		f := fault.As(err)
		if f == nil || f.Code != fault.CodeValidationFailed || f.Details[0].Field != "conditions.rule" || f.Details[0].Rule != broke {
			t.Errorf("%.60s: %v, want %s", rule, err, broke)
		}
		if broke == "cost" && f != nil && !strings.Contains(f.Message, "the limit is 100000") {
			t.Errorf("the cost is not named: %s", f.Message)
		}
	}
}

// TestHostileRuleIsStopped holds that a rule that gets past the estimate is
// stopped while it runs, by its cost and by the caller's patience.
func TestHostileRuleIsStopped(t *testing.T) {
	t.Parallel()
	hostile := "basket.lines.all(a, basket.lines.all(b, basket.lines.all(c, a.sku == b.sku || b.sku == c.sku)))"
	generous, err := celrules.NewWithLimit(1 << 40)
	if err != nil {
		t.Fatal(err)
	}
	r, err := generous.Compile(hostile)
	if err != nil {
		t.Fatal(err)
	}
	in := generous.Bind(facts(500))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if met, err := r.Met(ctx, in); met || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v, %v", met, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if met, err := r.Met(ctx, in); met || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("125 million rounds in 20 ms: %v, %v", met, err)
	}
	strict, err := celrules.NewWithLimit(6_000)
	if err != nil {
		t.Fatal(err)
	}
	within, err := strict.Compile("basket.lines.all(l, l.sku == 'LATTE')")
	if err != nil {
		t.Fatal(err)
	}
	// More lines than the contract allows, so that the estimate does not hold.
	if met, err := within.Met(t.Context(), strict.Bind(facts(5_000))); met || err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("a rule over its limit: %v, %v", met, err)
	}
}

// TestEngineWithholdsStoppedRule holds that the engine takes a stopped rule for
// one that is not met, and says so.
func TestEngineWithholdsStoppedRule(t *testing.T) {
	t.Parallel()
	c := compiler(t)
	o := offers.Offer{ID: "off_1", Version: 1, Status: offers.Active, Definition: offers.Definition{
		Kind: offers.ItemDiscount, Title: "t", Currency: "USD", Value: offers.Value{Type: offers.ValueAmount, AmountMinor: 5, Per: offers.PerUnit},
		Targets: offers.Targets{SKUs: []string{"LATTE"}}, Conditions: offers.Conditions{Rule: "basket.lines.all(l, l.sku == 'LATTE')"},
	}}
	catalogue := engine.New(1, []offers.Offer{o}, c)
	if feed := catalogue.Evaluate(t.Context(), facts(500)); len(feed.Offers) != 1 {
		t.Fatalf("the largest basket: %+v", feed.Withheld)
	}
	feed := catalogue.Evaluate(t.Context(), facts(50_000))
	if len(feed.Withheld) != 1 || feed.Withheld[0].Reason != offers.RuleFailed {
		t.Errorf("a basket beyond the contract: %+v", feed)
	}
	o.Conditions.Rule = "gone.variable"
	feed = engine.New(1, []offers.Offer{o}, c).Evaluate(t.Context(), facts(1))
	if len(feed.Withheld) != 1 || feed.Withheld[0].Reason != offers.RuleFailed {
		t.Errorf("a rule of another environment: %+v", feed)
	}
}

// TestEstimateBoundsTheRun holds that no rule that passes the estimate hits
// the limit on a basket that the contract allows.
func TestEstimateBoundsTheRun(t *testing.T) {
	t.Parallel()
	c := compiler(t)
	rapid.Check(t, func(t *rapid.T) {
		term := rapid.SampledFrom([]string{
			"l.sku == 'LATTE'", "l.category.startsWith('co')", "l.quantity * 3 >= 6", "l.sku in ['A', 'B', 'LATTE']", "l.sku.matches('^L.*E$')", "l.net_minor > basket.total_minor",
		})
		macro := rapid.SampledFrom([]string{"exists", "all", "exists_one"})
		rule := ""
		for i := range rapid.IntRange(1, 3).Draw(t, "loops") {
			if i > 0 {
				rule += rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "join")
			}
			rule += fmt.Sprintf("basket.lines.%s(l, %s || %s)", macro.Draw(t, "macro"), term.Draw(t, "term"), term.Draw(t, "other"))
		}
		r, err := c.Compile(rule)
		if err != nil {
			return // refused: that is fine
		}
		if _, err := r.Met(context.Background(), c.Bind(facts(500))); err != nil {
			t.Fatalf("%s: %v", rule, err)
		}
	})
}

// TestSharedProgram holds that a compiler serves many goroutines, and that
// offers with one expression share one program.
func TestSharedProgram(t *testing.T) {
	t.Parallel()
	c := compiler(t)
	in := c.Bind(facts(3))
	rules := make([]offers.Rule, 16)
	var wg sync.WaitGroup
	for i := range rules {
		wg.Go(func() {
			rules[i], _ = c.Compile("basket.lines.exists(l, l.quantity == 2)")
			if met, err := rules[i].Met(context.Background(), in); !met || err != nil {
				t.Errorf("%v, %v", met, err)
			}
		})
	}
	wg.Wait()
	again, err := c.Compile("basket.lines.exists(l, l.quantity == 2)")
	if err != nil {
		t.Fatal(err)
	}
	if third, _ := c.Compile("basket.lines.exists(l, l.quantity == 2)"); again != third {
		t.Error("one expression, two programs")
	}
	if _, err := again.Met(t.Context(), "facts of somebody else"); err == nil {
		t.Error("foreign facts were taken")
	}
}

func BenchmarkMet(b *testing.B) {
	c, err := celrules.New()
	if err != nil {
		b.Fatal(err)
	}
	r, err := c.Compile("basket.lines.exists(l, l.category == 'coffee' && l.quantity >= 2) && customer.tier == 'gold'")
	if err != nil {
		b.Fatal(err)
	}
	in := c.Bind(facts(50))
	for b.Loop() {
		if met, err := r.Met(b.Context(), in); !met || err != nil {
			b.Fatal(met, err)
		}
	}
}

// TestNeedsBasket holds which rules a customer's own feed can judge: those that
// read neither the basket nor where the session happens.
func TestNeedsBasket(t *testing.T) {
	t.Parallel()
	c := compiler(t)
	for rule, want := range map[string]bool{
		"customer.tier == 'gold' && customer.transactions > 3":              false,
		"session.weekday == 1 || session.minute < 600":                      false,
		"session.currency == 'USD' && session.day == '2026-06-15'":          false,
		"now > timestamp('2026-06-15T00:00:00Z')":                           false,
		"customer.segments.exists(s, s == 'early')":                         false,
		"basket.total_minor > 100":                                          true,
		"customer.tier == 'gold' || basket.lines.exists(l, l.sku == 'TEA')": true,
		"session.channel == 'online'":                                       true,
		"session.weekday == 1 && session.branch_id == 'brn_1'":              true,
	} {
		r, err := c.Compile(rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.NeedsBasket(); got != want {
			t.Errorf("%s: %v", rule, got)
		}
	}
}
