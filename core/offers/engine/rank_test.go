package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/offers"
)

// TestSortRanks holds that ranks sorted as numbers lie as ranks that are
// compared in full, also where they do not fit into a number.
func TestSortRanks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one := func(few, extreme []int64) int64 {
			return rapid.OneOf(rapid.SampledFrom(few), rapid.SampledFrom(few), rapid.SampledFrom(few), rapid.SampledFrom(extreme)).Draw(t, "figure")
		}
		priorities, extreme := []int64{0, 1, -1, 127, -128}, []int64{0, 128, -129, math.MaxInt64, math.MinInt64}
		if rapid.Bool().Draw(t, "small") {
			extreme = []int64{0}
		}
		e := &evaluation{}
		for i := range rapid.IntRange(0, 60).Draw(t, "ranks") {
			e.ranking = append(e.ranking, rank{
				priority: one(priorities, extreme), amount: max(0, one([]int64{0, 5, 99, 1<<amountBits - 1}, extreme)),
				points: one([]int64{0, 7}, []int64{1}), ends: one([]int64{noEnd, 3}, []int64{2}), offer: int32(100 - i), at: int32(i),
			})
		}
		want := slices.Clone(e.ranking)
		slices.SortFunc(want, rank.compare)
		if e.sortRanks(); !slices.Equal(e.ranking, want) {
			t.Fatalf("got  %+v\nwant %+v", e.ranking, want)
		}
	})
}

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
