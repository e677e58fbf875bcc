package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// identityOf is what is left of a session's facts where the basket, the channel
// and the place are unknown.
func identityOf(f *offers.Facts) *offers.Facts {
	return &offers.Facts{
		At: f.At, Local: f.Local, Currency: f.Currency, Customer: f.Customer, NoBasket: true, Lines: []offers.Line{},
		Uses: slices.Clone(f.Uses), Budgets: slices.Clone(f.Budgets),
	}
}

// TestProspects holds what a customer's own feed is to the feed of any session
// of the same customer (rule 58): by the same engine, nothing that a session
// shows is withheld in it but for a better one of its group, nothing counts for
// more in it, and it replays from its candidates alone (rule 47).
func TestProspects(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 12)
		f := drawFacts(t, all)
		f.Customer.ID, f.Held = "cus_1", nil
		if f.Customer.State == offers.Anonymous {
			f.Customer.State = "VERIFIED"
		}
		c := engine.New(7, all, tiny{})
		session := c.Evaluate(context.Background(), f)
		known := identityOf(f)
		feed := c.Evaluate(context.Background(), known)

		mine := map[string]int64{}
		for i, o := range feed.Offers {
			mine[o.OfferID] = o.Value.AmountMinor
			if o.Rank != i+1 || len(o.AppliesTo) != 0 {
				t.Fatalf("offer %d of the feed: %+v", i, o)
			}
		}
		reasons := map[string]offers.Reason{}
		for _, w := range feed.Withheld {
			reasons[w.OfferID] = w.Reason
		}
		for _, o := range session.Offers {
			amount, shown := mine[o.OfferID]
			if !shown && reasons[o.OfferID] != offers.Outranked {
				t.Fatalf("%s is shown in the session and withheld without it: %s", o.OfferID, reasons[o.OfferID])
			}
			if amount > o.Value.AmountMinor {
				t.Fatalf("%s is worth %d without a basket, %d with one", o.OfferID, amount, o.Value.AmountMinor)
			}
		}
		outputs, err := feed.Outputs()
		if err != nil {
			t.Fatal(err)
		}
		again, err := engine.Replay(context.Background(), engine.Inputs{
			Engine: engine.Version, Rules: "tiny/1", CatalogueVersion: 7, Facts: *known, Offers: c.Candidates(known),
		}, all, tiny{})
		if err != nil || !bytes.Equal(outputs, again) {
			t.Fatalf("it was\n%s\nand replays as\n%s %v", outputs, again, err)
		}
	})
}

// TestProspectsObeyPreferences holds that what a customer does not want is
// withheld in their own feed: by kind, and by category where all of an offer's
// categories are unwanted.
func TestProspectsObeyPreferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 12)
		f := identityOf(drawFacts(t, all))
		f.Customer = offers.Customer{ID: "cus_1", State: "VERIFIED", OptOut: offers.OptOut{
			All: rapid.Bool().Draw(t, "all"), Kinds: []string{string(offers.BasketDiscount)}, Categories: []string{"coffee"},
		}}
		for _, o := range engine.New(1, all, tiny{}).Evaluate(context.Background(), f).Offers {
			def := all[slices.IndexFunc(all, func(d offers.Offer) bool { return d.ID == o.OfferID })]
			if f.Customer.OptOut.All || def.Kind == offers.BasketDiscount || len(def.Targets.SKUs) == 0 && slices.Equal(def.Targets.Categories, []string{"coffee"}) {
				t.Fatalf("%+v is shown to %+v", def, f.Customer.OptOut)
			}
		}
	})
}

// TestProspectsAreBounded holds that a feed without a basket is as short with a
// thousand offers as with a hundred, and holds those that rank first.
func TestProspectsAreBounded(t *testing.T) {
	t.Parallel()
	all := benchCatalogue(1000)
	for i := range all {
		all[i].Conditions, all[i].Stacking.Priority = offers.Conditions{}, int64(i)
		if i%4 != 3 {
			all[i].Targets.Tiers = []string{"gold"}
		}
	}
	f := &offers.Facts{At: noon, Local: offers.LocalTime(noon, time.UTC), Currency: "USD", NoBasket: true, Customer: offers.Customer{ID: "cus_1", State: "VERIFIED"}}
	feed := engine.New(1, all, tiny{}).Evaluate(t.Context(), f)
	if len(feed.Offers) != 100 || len(feed.Withheld) != 100 {
		t.Fatalf("%d shown, %d withheld", len(feed.Offers), len(feed.Withheld))
	}
	if first, last := feed.Offers[0].OfferID, feed.Offers[99].OfferID; first != all[999].ID || last != all[603].ID {
		t.Errorf("from %s to %s", first, last)
	}
	for _, w := range feed.Withheld {
		if w.Reason != offers.TierMismatch {
			t.Errorf("%s: %s", w.OfferID, w.Reason)
		}
	}
}

// TestProspectCards holds what a person reads where no basket is known.
func TestProspectCards(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*offers.Definition){
		"Takes 0.50 USD off each matching unit; its worth depends on the basket.": func(d *offers.Definition) { d.Targets.SKUs = []string{"A"} },
		"Takes 12.5 % off the basket; its worth depends on the basket.": func(d *offers.Definition) {
			d.Kind, d.Targets.BasketWide, d.Value = offers.BasketDiscount, true, offers.Value{Type: offers.ValuePercent, PercentBP: 1250}
		},
		"Gives 0.50 USD back as credit at close for the basket.": func(d *offers.Definition) {
			d.Kind, d.Value = offers.Cashback, offers.Value{Type: offers.ValueCashback, AmountMinor: 50}
		},
		"Earns 20 points for the basket.": func(d *offers.Definition) {
			d.Kind, d.Value = offers.Points, offers.Value{Type: offers.ValuePoints, Points: 20}
		},
		"Makes matching units free, up to 1; its worth depends on the basket.": func(d *offers.Definition) {
			d.Kind, d.Value = offers.FreeItem, offers.Value{Type: offers.ValueFreeItem}
		},
	} {
		d := offers.Definition{Kind: offers.ItemDiscount, Title: "t", Currency: "USD", Value: offers.Value{Type: offers.ValueAmount, AmountMinor: 50}}
		edit(&d)
		o := offers.Offer{ID: "off_1", Version: 1, Status: offers.Active, Definition: d.Normal()}
		f := &offers.Facts{At: noon, Currency: "USD", NoBasket: true, Customer: offers.Customer{ID: "cus_1", State: "VERIFIED"}}
		feed := engine.New(1, []offers.Offer{o}, tiny{}).Evaluate(t.Context(), f)
		if len(feed.Offers) != 1 || feed.Offers[0].Card.Summary != want {
			t.Errorf("%+v, want %s", feed, want)
		}
	}
}

// BenchmarkProspects is a customer's own feed, to be read beside
// BenchmarkEvaluate with as many offers.
func BenchmarkProspects(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		run(b, fmt.Sprintf("offers=%d", n), benchCatalogue(n))
	}
	forOthers := benchCatalogue(10_000) // the worst case: all are walked, none fits
	for i := range forOthers {
		forOthers[i].Targets.Tiers = []string{"silver"}
	}
	run(b, "offers=10000 for others", forOthers)
}

// run is one benchmark of a customer's own feed.
func run(b *testing.B, name string, all []offers.Offer) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		c := engine.New(1, all, tiny{})
		f := &offers.Facts{
			At: noon, Local: offers.LocalTime(noon, time.UTC), Currency: "USD", NoBasket: true,
			Customer: offers.Customer{ID: "cus_1", State: "VERIFIED", Tier: "gold"},
		}
		judged := 0
		c.Candidates(f) // ranks the catalogue, once
		b.ReportAllocs()
		for b.Loop() {
			feed := c.Evaluate(context.Background(), f)
			judged = len(feed.Offers) + len(feed.Withheld)
		}
		b.ReportMetric(float64(judged), "judged")
	})
}
