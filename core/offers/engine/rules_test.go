package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// latte is an offer of 50 off each LATTE, with an edit.
func latte(id string, edit func(*offers.Definition)) offers.Offer {
	d := offers.Definition{
		Kind: offers.ItemDiscount, Title: "Offer " + id, Currency: "USD",
		Value: offers.Value{Type: offers.ValueAmount, AmountMinor: 50, Per: offers.PerUnit}, Targets: offers.Targets{SKUs: []string{"LATTE"}},
	}
	if edit != nil {
		edit(&d)
	}
	return offers.Offer{ID: id, Version: 1, Status: offers.Active, Definition: d.Normal()}
}

// counter is the basket of the golden path, anonymous, on a monday noon.
func counter() *offers.Facts {
	return &offers.Facts{
		SessionID: "cs_1", At: noon, Local: offers.LocalTime(noon, time.UTC), Currency: "USD", Channel: "in_store", Total: 1275, Revision: 1,
		Lines: []offers.Line{
			{LineID: "1", SKU: "LATTE", Name: "Caffe latte", Category: "coffee", Quantity: 2, Unit: 450, Net: 900},
			{LineID: "2", SKU: "CROISSANT", Category: "bakery", Quantity: 1, Unit: 375, Net: 375},
		},
		Customer: offers.Customer{State: offers.Anonymous},
	}
}

// TestCardsReadWell holds what a cashier reads, word by word: changed words are
// a change of the product.
func TestCardsReadWell(t *testing.T) {
	t.Parallel()
	wide := func(d *offers.Definition) {
		d.Kind, d.Targets, d.Value.Per = offers.BasketDiscount, offers.Targets{BasketWide: true}, offers.PerBasket
	}
	for want, edit := range map[string]func(*offers.Definition){
		"Takes 1.00 USD off: 0.50 USD for each of 2 x Caffe latte.":                    nil,
		"Takes 0.70 USD off: 0.50 USD for each of 2 x Caffe latte, the most it gives.": func(d *offers.Definition) { d.Value.MaxDiscountMinor = 70 },
		"Takes 1.59 USD off: 12.5 % of the basket.": func(d *offers.Definition) {
			wide(d)
			d.Value = offers.Value{Type: offers.ValuePercent, PercentBP: 1250, Per: offers.PerBasket}
		},
		"Takes 0.45 USD off: 5 % of 2 x Caffe latte.": func(d *offers.Definition) {
			d.Value = offers.Value{Type: offers.ValuePercent, PercentBP: 500, Per: offers.PerLine}
		},
		"Makes 1 free, worth 4.50 USD: on 2 x Caffe latte.": func(d *offers.Definition) {
			d.Kind, d.Value = offers.FreeItem, offers.Value{Type: offers.ValueFreeItem}
		},
		"7.25 USD short: it starts at 20.00 USD, the basket is 12.75 USD.": func(d *offers.Definition) { d.Conditions.MinBasketMinor = 2000 },
		"Add 1 more: it takes 3, the basket has 2.":                        func(d *offers.Definition) { d.Conditions.MinQuantity = 3 },
		"Not on monday; it runs on tuesday, friday.":                       func(d *offers.Definition) { d.Conditions.Days = []string{"friday", "tuesday"} },
		"It is 12:00; it runs from 14:00 to 24:00.":                        func(d *offers.Definition) { d.Conditions.TimeWindow = &offers.TimeWindow{From: 840, To: 1440} },
		"Only for kiosk, online.":                                          func(d *offers.Definition) { d.Conditions.Channels = []string{"online", "kiosk"} },
		"Identify the guest first: it is for known customers.":             func(d *offers.Definition) { d.Targets.Tiers = []string{"gold"} },
		"The merchant's own rule for it does not hold here.":               func(d *offers.Definition) { d.Conditions.Rule = "total>=9999" },
		"The merchant's own rule could not be judged, so it is not given.": func(d *offers.Definition) { d.Conditions.Rule = "fail" },
		"It is in EUR, the session in USD.":                                func(d *offers.Definition) { d.Currency = "EUR" },
		"Its budget can't pay 1.00 USD any more.":                          func(d *offers.Definition) { d.Funding.BudgetID = "bud_unknown" },
	} {
		feed := engine.New(1, []offers.Offer{latte("off_1", edit)}, tiny{}).Evaluate(t.Context(), counter())
		got := ""
		for _, o := range feed.Offers {
			got = o.Card.Summary
		}
		for _, w := range feed.Withheld {
			got = w.Card.Summary
		}
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestCardQuotesAnything holds that names of articles can't break the facts.
func TestCardQuotesAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := counter()
		f.Channel, f.Lines[0].Name = rapid.String().Draw(t, "channel"), rapid.String().Draw(t, "name")
		o := latte("off_1", func(d *offers.Definition) { d.Conditions.Channels = []string{"kiosk"} })
		feed := engine.New(1, []offers.Offer{o, latte("off_2", nil)}, tiny{}).Evaluate(t.Context(), f)
		if f.Channel == "kiosk" {
			return
		}
		var facts struct{ Channel string }
		if err := json.Unmarshal(feed.Withheld[0].Card.Facts, &facts); err != nil || facts.Channel != strings.ToValidUTF8(f.Channel, "\ufffd") {
			t.Fatalf("%s: %v", feed.Withheld[0].Card.Facts, err)
		}
		if _, err := feed.Outputs(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStacking holds which offers stand beside an applied one.
func TestStacking(t *testing.T) {
	t.Parallel()
	none := func(*offers.Definition) {}
	group := func(d *offers.Definition) { d.Stacking.Group = "g" }
	alone := func(d *offers.Definition) { d.Stacking.Alone = true }
	exclusive := func(d *offers.Definition) { d.Stacking.Exclusive = true }
	for _, c := range []struct {
		name        string
		held, asked func(*offers.Definition)
		fits        bool
	}{
		{"two plain ones", none, none, true}, {"of one group", group, group, false}, {"of another group", group, none, true},
		{"an exclusive one beside", none, exclusive, false}, {"beside an exclusive one", exclusive, none, false},
		{"one that stands alone", none, alone, false}, {"beside one that stands alone", alone, none, false},
	} {
		held, asked := latte("off_1", c.held), latte("off_2", c.asked)
		f := counter()
		f.Held = []offers.Held{{
			ApplicationID: "apl_1", OfferID: held.ID, Version: 1, Group: held.Stacking.Group, Alone: held.Stacking.Alone,
			Exclusive: held.Stacking.Exclusive, DiscountMinor: 100, ValueMinor: 100, Lines: []offers.Share{{LineID: "1", DiscountMinor: 100}},
		}}
		shown, withheld := engine.Judge(t.Context(), asked, tiny{}, f, engine.Ask{})
		if (shown != nil) != c.fits || withheld != nil && withheld.Reason != offers.ExcludedByAppliedOffer {
			t.Errorf("%s: %+v, %+v", c.name, shown, withheld)
		}
		feed := engine.New(1, []offers.Offer{held, asked}, tiny{}).Evaluate(t.Context(), f)
		if !slices.ContainsFunc(feed.Offers, func(o offers.Shown) bool { return o.OfferID == held.ID && o.Value.AmountMinor == 100 }) {
			t.Errorf("%s: the applied offer is not shown: %+v", c.name, feed)
		}
	}
}

// TestOneOfAGroup holds that the best of a group is shown and says so.
func TestOneOfAGroup(t *testing.T) {
	t.Parallel()
	in := func(amount, priority int64) func(*offers.Definition) {
		return func(d *offers.Definition) {
			d.Stacking.Group, d.Stacking.Priority, d.Value.AmountMinor = "g", priority, amount
		}
	}
	all := []offers.Offer{latte("off_1", in(50, 0)), latte("off_2", in(60, 0)), latte("off_3", in(10, 5)), latte("off_4", nil)}
	feed := engine.New(1, all, tiny{}).Evaluate(t.Context(), counter())
	if len(feed.Offers) != 2 || feed.Offers[0].OfferID != "off_3" || feed.Offers[1].OfferID != "off_4" {
		t.Fatalf("shown: %+v", feed.Offers)
	}
	for _, w := range feed.Withheld {
		if w.Reason != offers.Outranked || w.Worth == 0 || !strings.Contains(w.Card.Summary, "Offer off_3") {
			t.Errorf("withheld: %+v", w)
		}
	}
}

// TestMoneyOfManyCurrencies holds that amounts are written in their currency's own digits.
func TestMoneyOfManyCurrencies(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]string{"USD": "1.00 USD", "JPY": "100 JPY", "KWD": "0.100 KWD"} {
		f := counter()
		f.Currency = currency
		o := latte("off_1", func(d *offers.Definition) { d.Currency = currency })
		feed := engine.New(1, []offers.Offer{o}, tiny{}).Evaluate(t.Context(), f)
		if !strings.HasPrefix(feed.Offers[0].Card.Summary, "Takes "+want+" off") {
			t.Errorf("%s: %s", currency, feed.Offers[0].Card.Summary)
		}
	}
}

// TestHugeBasket holds that the largest figures that the contract allows stop
// at the basket, and do not wrap around.
func TestHugeBasket(t *testing.T) {
	t.Parallel()
	f := counter()
	f.Lines = nil
	for range 500 {
		f.Lines = append(f.Lines, offers.Line{LineID: "x", SKU: "LATTE", Quantity: 1_000_000, Unit: 1_000_000_000_000, Net: 1_000_000_000_000_000_000})
	}
	f.Total = 1_000_000_000_000
	for _, v := range []offers.Value{
		{Type: offers.ValueAmount, AmountMinor: 1_000_000_000_000, Per: offers.PerUnit}, {Type: offers.ValuePercent, PercentBP: 10_000, Per: offers.PerUnit},
		{Type: offers.ValuePercent, PercentBP: 10_000, Per: offers.PerBasket},
	} {
		o := latte("off_1", func(d *offers.Definition) { d.Value = v })
		shown, withheld := engine.Judge(t.Context(), o, tiny{}, f, engine.Ask{})
		if withheld != nil || shown.Value.AmountMinor != f.Total {
			t.Fatalf("%+v: %+v, %+v", v, shown, withheld)
		}
		sum := int64(0)
		for _, s := range shown.AppliesTo {
			sum += s.DiscountMinor
		}
		if sum != f.Total {
			t.Errorf("%+v: the shares add up to %d", v, sum)
		}
	}
}
