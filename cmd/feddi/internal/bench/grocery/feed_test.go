package grocery_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/grocery"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// shapes are catalogues that a shop may have and the bench does not: a change
// that makes the bench's faster must not make one of these slower.
var shapes = []struct {
	name   string
	offers int
	change func(d *offers.Definition, i int)
}{
	{"grocery-10k", 10_000, func(*offers.Definition, int) {}},
	{"one-sku-500", 500, func(d *offers.Definition, _ int) {
		d.Kind, d.Value.Per = offers.ItemDiscount, offers.PerLine
		d.Targets.BasketWide, d.Targets.Categories, d.Targets.SKUs = false, nil, []string{"sku-0"}
	}},
	{"basket-wide-500", 500, func(d *offers.Definition, _ int) {
		d.Kind, d.Value.Per = offers.BasketDiscount, offers.PerBasket
		d.Targets.BasketWide, d.Targets.Categories, d.Targets.SKUs = true, nil, nil
	}},
	{"every-line-200", 500, func(d *offers.Definition, i int) {
		d.Kind, d.Value.Per = offers.ItemDiscount, offers.PerLine
		d.Targets.BasketWide, d.Targets.Categories, d.Targets.SKUs = false, nil, nil
		if i >= 200 {
			d.Targets.SKUs = []string{"none"}
		}
	}},
	{"every-offer-a-rule-10k", 10_000, func(d *offers.Definition, i int) {
		d.Conditions = offers.Conditions{Rule: grocery.Rules[i%len(grocery.Rules)]}
		d.Targets.Tiers = nil
	}},
	{"no-rules-10k", 10_000, func(d *offers.Definition, _ int) { d.Conditions.Rule = "" }},
}

func BenchmarkFeed(b *testing.B) {
	rules, err := celrules.New()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			all := grocery.Offers(s.offers)
			for i := range all {
				s.change(&all[i].Definition, i)
				all[i].Definition = all[i].Normal()
			}
			c := engine.New(1, all, rules)
			baskets := make([]*offers.Facts, 200)
			for i := range baskets {
				baskets[i] = grocery.Basket(10_000, i)
				if s.name == "one-sku-500" {
					baskets[i].Lines[7].SKU = "sku-0"
				}
			}
			took := make([]time.Duration, 0, b.N)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				begin := time.Now()
				c.Evaluate(context.Background(), baskets[i%len(baskets)])
				took = append(took, time.Since(begin))
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-us")
		})
	}
}
