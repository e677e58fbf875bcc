// Package grocery is the made-up shop of the offers bench: a catalogue of any size
// and baskets that touch it as a grocery's would.
package grocery

import (
	"fmt"
	"time"

	"github.com/feddi/feddi/core/offers"
)

// The shape of a catalogue: what every basket scans, what a category has, and
// one offer each for as many SKUs as are left.
const (
	wideOffers        = 50
	offersPerCategory = 10
	basketCategories  = 10
)

// BasketLines is how many lines every basket has.
const BasketLines = 50

// Rules are the free expressions; every tenth offer carries one of them, and
// offers that share one share its program.
var Rules = []string{
	`basket.total_minor >= 5000 && customer.transactions >= 3`,
	`basket.quantity >= 10 || customer.tier == 'gold'`,
	`basket.lines.exists(l, l.category == 'category-3' && l.quantity >= 2)`,
	`'regulars' in customer.segments && session.channel == 'in_store'`,
	`session.minute >= 420 && session.minute < 660`,
	`basket.lines.all(l, l.unit_price_minor < 100000)`,
	`customer.identified && basket.total_minor % 2 == 0`,
}

// categoriesOf is how many categories a catalogue of n offers has.
func categoriesOf(n int) int { return max(basketCategories, n/100) }

// Offers makes n live offers: every second one has a minimum, every third
// asks for a tier, every fifth for certain days, every seventh for hours.
func Offers(n int) []offers.Offer {
	out := make([]offers.Offer, n)
	categories := categoriesOf(n)
	for i := range out {
		o := offers.Offer{
			ID: fmt.Sprintf("off_01k9z3v7%018d", i), Version: 1, Status: offers.Active,
			Definition: offers.Definition{
				Kind: offers.ItemDiscount, Title: fmt.Sprintf("Offer number %d", i), Currency: "USD",
				Value: offers.Value{Type: offers.ValuePercent, PercentBP: int64(100 + i%2000), Per: offers.PerLine},
			},
		}
		switch behind := i - wideOffers; {
		case behind < 0:
			o.Kind, o.Targets.BasketWide, o.Value.Per = offers.BasketDiscount, true, offers.PerBasket
		case behind < offersPerCategory*categories:
			o.Targets.Categories = []string{fmt.Sprintf("category-%d", behind%categories)}
		default:
			o.Targets.SKUs = []string{fmt.Sprintf("sku-%d", behind-offersPerCategory*categories)}
		}
		condition(&o.Definition, i)
		o.Definition = o.Normal()
		out[i] = o
	}
	return out
}

func condition(d *offers.Definition, i int) {
	if i%2 == 0 {
		d.Conditions.MinBasketMinor = int64(i%8) * 10_000
	}
	if i%3 == 0 {
		d.Targets.Tiers = [][]string{{"gold"}, {"silver", "gold"}, {"bronze"}}[i/3%3]
	}
	if i%5 == 0 {
		d.Conditions.Days = [][]string{{"monday", "friday"}, {"saturday", "sunday"}}[i/5%2]
	}
	if i%7 == 0 {
		d.Conditions.TimeWindow = &offers.TimeWindow{From: 7 * 60, To: 18 * 60}
	}
	if i%10 == 0 {
		d.Conditions.Rule = Rules[i/10%len(Rules)]
	}
}

// Basket is a basket of 50 lines, each of a SKU that has an offer of its
// own, in 10 categories, and a customer with tier, history and preferences.
func Basket(n, round int) *offers.Facts {
	at := time.Date(2026, 6, 12, 10, 15, 0, 0, time.UTC) // a Friday
	f := &offers.Facts{
		SessionID: "cs_bench", At: at, Local: offers.LocalTime(at, time.UTC), Currency: "USD", Channel: "in_store", Revision: 1,
		Customer: offers.Customer{
			ID: "cus_bench", State: "VERIFIED", Tier: []string{"gold", "silver", ""}[round%3], Segments: []string{"regulars"},
			Transactions: int64(round % 20), OptOut: offers.OptOut{Kinds: []string{"points"}, Categories: []string{"category-1"}},
		},
	}
	categories := categoriesOf(n)
	skus := n - wideOffers - offersPerCategory*categories
	for i := range BasketLines {
		l := offers.Line{
			LineID: fmt.Sprint(i + 1), SKU: fmt.Sprintf("sku-%d", (round*53+i*7)%max(1, skus)), Name: "Something to drink",
			Category: fmt.Sprintf("category-%d", (round+i%basketCategories)%categories), Quantity: int64(1 + i%3), Unit: int64(100 + 37*i),
		}
		l.Net = l.Quantity * l.Unit
		f.Lines, f.Total = append(f.Lines, l), f.Total+l.Net
	}
	return f
}
