package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// benchCatalogue is what the targets are set on: 50 basket-wide offers, 10 per
// category (of 100), the rest on one SKU each, over 20,000 SKUs at most. Every
// second one has a minimum, every fifth certain days, every tenth a free rule.
func benchCatalogue(n int) []offers.Offer {
	out := make([]offers.Offer, n)
	for i := range out {
		o := offers.Offer{
			ID: fmt.Sprintf("off_01k9z3v7%012d", i), Version: 1, Status: offers.Active,
			Definition: offers.Definition{
				Kind: offers.ItemDiscount, Title: fmt.Sprintf("Offer number %d", i), Currency: "USD",
				Value: offers.Value{Type: offers.ValuePercent, PercentBP: int64(100 + i%2000), Per: offers.PerLine},
			},
		}
		switch {
		case i < 50:
			o.Kind, o.Targets.BasketWide, o.Value.Per = offers.BasketDiscount, true, offers.PerBasket
		case i < 50+1000:
			o.Targets.Categories = []string{fmt.Sprintf("category-%d", i%100)}
		default:
			o.Targets.SKUs = []string{fmt.Sprintf("sku-%d", i%20_000)}
		}
		if i%2 == 0 {
			o.Conditions.MinBasketMinor = int64(i%8) * 10_000
		}
		if i%5 == 0 {
			o.Conditions.Days = []string{"monday", "friday"}
		}
		if i%10 == 0 {
			o.Conditions.Rule = fmt.Sprintf("total>=%d", i%7*1000)
		}
		o.Definition = o.Normal()
		out[i] = o
	}
	return out
}

// benchFacts is a basket of 50 lines: 50 SKUs that have offers, in 10 categories.
func benchFacts(round int) *offers.Facts {
	f := &offers.Facts{
		SessionID: "cs_1", At: noon, Local: offers.LocalTime(noon, time.UTC), Currency: "USD", Channel: "in_store",
		Customer: offers.Customer{ID: "cus_1", State: "VERIFIED", Tier: "gold"},
	}
	for i := range 50 {
		l := offers.Line{
			LineID: fmt.Sprint(i), SKU: fmt.Sprintf("sku-%d", 1050+(round*53+i*7)%8900), Name: "Something to drink",
			Category: fmt.Sprintf("category-%d", (round+i%10)%100), Quantity: int64(1 + i%3), Unit: int64(100 + 37*i),
		}
		l.Net = l.Quantity * l.Unit
		f.Lines, f.Total = append(f.Lines, l), f.Total+l.Net
	}
	return f
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("offers=%d", n), func(b *testing.B) {
			before := heap()
			c := engine.New(1, benchCatalogue(n), tiny{})
			size := heap() - before
			baskets := make([]*offers.Facts, 200)
			for i := range baskets {
				baskets[i] = benchFacts(i)
			}
			took := make([]time.Duration, 0, b.N)
			judged := 0
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				begin := time.Now()
				feed := c.Evaluate(context.Background(), baskets[i%len(baskets)])
				took = append(took, time.Since(begin))
				judged = len(feed.Offers) + len(feed.Withheld)
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-us")
			b.ReportMetric(float64(judged), "judged")
			b.ReportMetric(float64(size)/float64(1<<20), "MB-heap")
			runtime.KeepAlive(c)
		})
	}
}

// heap is what is live.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
