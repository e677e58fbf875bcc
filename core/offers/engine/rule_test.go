package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/feddi/feddi/core/offers"
)

// counting is a language in which every rule holds, and counts its runs.
type counting struct{ compiled, run *int }

func (counting) Environment() string                   { return "counting/1" }
func (counting) Bind(*offers.Facts) offers.RuleInput   { return nil }
func (c counting) Compile(string) (offers.Rule, error) { *c.compiled++; return c, nil }
func (counting) NeedsBasket() bool                     { return true }
func (c counting) Met(context.Context, offers.RuleInput) (bool, error) {
	*c.run++
	return true, nil
}

func ruled(i int, rule string) offers.Offer {
	return offers.Offer{ID: fmt.Sprintf("off_%03d", i), Version: 1, Status: offers.Active, Definition: offers.Definition{
		Kind: offers.BasketDiscount, Title: "t", Currency: "USD", Targets: offers.Targets{BasketWide: true},
		Value: offers.Value{Type: offers.ValueAmount, AmountMinor: 5, Per: offers.PerBasket}, Conditions: offers.Conditions{Rule: rule},
	}}
}

// TestRuleRunsOnce holds that offers with one rule cost one run of it, in every
// evaluation anew, and that a catalogue which changes for long neither compiles
// a rule again that it has nor grows with those that it has no more.
func TestRuleRunsOnce(t *testing.T) {
	t.Parallel()
	var compiled, run int
	f := &offers.Facts{Currency: "USD", Total: 100, Lines: []offers.Line{{LineID: "1", SKU: "A", Quantity: 1, Unit: 100, Net: 100}}}
	c := New(1, []offers.Offer{ruled(0, "kept"), ruled(1, "kept"), ruled(2, "kept")}, counting{&compiled, &run})
	for i := range 100 {
		c = c.With(int64(2+i), []offers.Offer{ruled(3, fmt.Sprintf("rule %d", i)), ruled(4, "kept")})
		compiled, run = 0, 0
		if feed := c.Evaluate(t.Context(), f); len(feed.Offers) != 5 || run != 2 {
			t.Fatalf("%d offers, %d runs; want 5 by 2 rules", len(feed.Offers), run)
		}
	}
	if c.verdicts > 3 {
		t.Errorf("two rules have %d places for verdicts", c.verdicts)
	}
	if c.With(200, []offers.Offer{ruled(5, "kept")}); compiled != 0 {
		t.Error("a rule that the catalogue has was compiled again")
	}
}
