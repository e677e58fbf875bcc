package checkout_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

var now = time.Date(2026, 6, 12, 8, 3, 0, 0, time.UTC)

func open() checkout.Session {
	return checkout.Session{ID: "cs_1", Version: 1, State: checkout.Open, Currency: "USD", OpenedAt: now, ExpiresAt: now.Add(time.Hour)}
}

func coffee() checkout.Draft {
	return checkout.Draft{Lines: []checkout.Line{
		{LineID: "1", SKU: "LATTE", Name: "Caffe latte", Category: "coffee", Quantity: 2, UnitPriceMinor: 450},
		{LineID: "2", SKU: "CROISSANT", Category: "bakery", Quantity: 1, UnitPriceMinor: 375},
	}}
}

func TestTheCoffeeComesTo1275(t *testing.T) {
	t.Parallel()
	b, err := coffee().Price(open(), now)
	if err != nil {
		t.Fatal(err)
	}
	if b.Revision != 1 || b.TotalMinor != 1275 || b.SubtotalMinor != 1275 || b.DiscountMinor != 0 || b.TaxMinor != 0 || b.Lines[0].TotalMinor != 900 {
		t.Errorf("basket = %+v", b)
	}
}

func TestRefusedBaskets(t *testing.T) {
	t.Parallel()
	many := checkout.Draft{}
	for i := range checkout.MaxLines + 1 {
		many.Lines = append(many.Lines, checkout.Line{LineID: fmt.Sprint(i), SKU: "A", Quantity: 1})
	}
	one := func(l checkout.Line) checkout.Draft {
		l.LineID, l.SKU = "1", "A"
		return checkout.Draft{Lines: []checkout.Line{l}}
	}
	for _, c := range []struct {
		name  string
		draft checkout.Draft
		code  fault.Code
		field string
	}{
		{"a line twice", checkout.Draft{Lines: []checkout.Line{{LineID: "1", Quantity: 1}, {LineID: "1", Quantity: 1}}}, fault.CodeValidationFailed, "lines[1].line_id"},
		{"a line without id", checkout.Draft{Lines: []checkout.Line{{Quantity: 1}}}, fault.CodeValidationFailed, "lines[0].line_id"},
		{"501 lines", many, fault.CodeValidationFailed, "lines"},
		{"no quantity", one(checkout.Line{}), fault.CodeValidationFailed, "lines[0].quantity"},
		{"too great a quantity", one(checkout.Line{Quantity: checkout.MaxQuantity + 1}), fault.CodeValidationFailed, "lines[0].quantity"},
		{"a negative price", one(checkout.Line{Quantity: 1, UnitPriceMinor: -1}), fault.CodeValidationFailed, "lines[0]"},
		{"a negative discount of the basket", checkout.Draft{DiscountMinor: -1}, fault.CodeValidationFailed, "discount_minor"},
		{"a discount above the line", one(checkout.Line{Quantity: 1, UnitPriceMinor: 5, DiscountMinor: 6}), fault.CodeAmountOutOfRange, "lines[0].discount_minor"},
		{"a discount above the basket", checkout.Draft{DiscountMinor: 1}, fault.CodeAmountOutOfRange, "discount_minor"},
		{"more than 10^12", one(checkout.Line{Quantity: checkout.MaxQuantity, UnitPriceMinor: money.MaxMinor}), fault.CodeAmountOutOfRange, "lines"},
		{"more than an int64", checkout.Draft{Lines: []checkout.Line{
			{LineID: "1", Quantity: checkout.MaxQuantity, UnitPriceMinor: 8 * money.MaxMinor},
			{LineID: "2", Quantity: checkout.MaxQuantity, UnitPriceMinor: 8 * money.MaxMinor},
		}}, fault.CodeAmountOutOfRange, "lines[1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.draft.Price(open(), now)
			if !fault.Is(err, c.code) || fault.As(err).Details[0].Field != c.field {
				t.Errorf("err = %v (%+v), want %s at %s", err, fault.As(err).Details, c.code, c.field)
			}
		})
	}
}

func TestAnEmptyBasketIsFree(t *testing.T) {
	t.Parallel()
	b, err := checkout.Draft{}.Price(open(), now)
	if err != nil || b.TotalMinor != 0 || b.Revision != 1 {
		t.Fatalf("basket = %+v, %v", b, err)
	}
}

// drafts draws baskets whose discounts fit.
func drafts() *rapid.Generator[checkout.Draft] {
	return rapid.Custom(func(t *rapid.T) checkout.Draft {
		var d checkout.Draft
		var net int64
		for i := range rapid.IntRange(0, 20).Draw(t, "lines") {
			l := checkout.Line{
				LineID: fmt.Sprint(i), SKU: "A", Quantity: rapid.Int64Range(1, 1000).Draw(t, "quantity"),
				UnitPriceMinor: rapid.Int64Range(0, 1_000_000).Draw(t, "price"), TaxMinor: rapid.Int64Range(0, 1000).Draw(t, "tax"),
			}
			l.DiscountMinor = rapid.Int64Range(0, l.GrossMinor()).Draw(t, "discount")
			net += l.GrossMinor() - l.DiscountMinor
			d.Lines = append(d.Lines, l)
		}
		d.DiscountMinor = rapid.Int64Range(0, net).Draw(t, "basket discount")
		d.TaxMinor = rapid.Int64Range(0, 1000).Draw(t, "basket tax")
		return d
	})
}

func TestBasketArithmeticHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := drafts().Draw(t, "draft")
		b, err := d.Price(open(), now)
		if err != nil {
			t.Fatal(err)
		}
		var lines int64
		for _, l := range b.Lines {
			if l.TotalMinor < 0 {
				t.Fatalf("line %s is negative", l.LineID)
			}
			lines += l.TotalMinor
		}
		if b.TotalMinor != b.SubtotalMinor-b.DiscountMinor+b.TaxMinor || b.TotalMinor != lines-d.DiscountMinor+d.TaxMinor || b.TotalMinor < 0 {
			t.Fatalf("the figures do not add up: %+v", b)
		}
		again, err := d.Price(open(), now)
		if err != nil || again.TotalMinor != b.TotalMinor {
			t.Fatal("the same draft has two prices")
		}
	})
}

// FuzzPrice looks for a draft that overflows unseen.
func FuzzPrice(f *testing.F) {
	f.Add(int64(2), int64(450), int64(0), int64(0), int64(0), int64(0))
	f.Add(int64(1_000_000), int64(1)<<62, int64(5), int64(1)<<62, int64(9), int64(1)<<62)
	f.Fuzz(func(t *testing.T, quantity, price, discount, tax, basketDiscount, basketTax int64) {
		d := checkout.Draft{DiscountMinor: basketDiscount, TaxMinor: basketTax}
		for _, id := range []string{"1", "2", "3"} {
			d.Lines = append(d.Lines, checkout.Line{LineID: id, SKU: "A", Quantity: quantity, UnitPriceMinor: price, DiscountMinor: discount, TaxMinor: tax})
		}
		b, err := d.Price(open(), now)
		if err == nil && (b.TotalMinor < 0 || b.TotalMinor > money.MaxMinor || b.SubtotalMinor < 0 || b.TaxMinor < 0 || b.DiscountMinor < 0) {
			t.Errorf("out of range: %+v", b)
		}
	})
}
