package checkout

import (
	"fmt"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

// Bounds of a basket.
const (
	MaxLines    = 500
	MaxQuantity = 1_000_000
)

// Draft is a basket as the till sends it: the whole of it, not a difference.
// An empty one empties the basket, and a total of 0 is a sale like any other
// (a free article, a reward): it closes without tenders.
type Draft struct {
	Lines []Line
	// DiscountMinor and TaxMinor are the basket's own, beyond those of its lines.
	DiscountMinor, TaxMinor int64
}

// Price is the revision of session s that the draft makes: every line and the
// whole priced, checked against overflow.
//
// Errors: VALIDATION_FAILED (too many lines, a repeated line_id, a quantity, a
// negative amount), AMOUNT_OUT_OF_RANGE (a discount above what it is taken off,
// or a sum above money.MaxMinor), each naming the line.
func (d Draft) Price(s Session, now time.Time) (Basket, error) {
	if len(d.Lines) > MaxLines {
		return Basket{}, fault.Field(fault.CodeValidationFailed, "lines", "max_items", "a basket takes at most %d lines; this one has %d", MaxLines, len(d.Lines))
	}
	b := Basket{
		SessionID: s.ID, Revision: s.BasketRevision + 1, Currency: s.Currency,
		Lines: make([]Line, 0, len(d.Lines)), CreatedAt: now,
	}
	seen := make(map[string]bool, len(d.Lines))
	for i, l := range d.Lines {
		path := fmt.Sprintf("lines[%d]", i)
		if l.LineID == "" || seen[l.LineID] {
			return Basket{}, fault.Field(fault.CodeValidationFailed, path+".line_id", "basket_line_ids_unique", "each line_id must stand once in a basket")
		}
		seen[l.LineID] = true
		priced, gross, err := l.price(path)
		if err != nil {
			return Basket{}, err
		}
		b.Lines = append(b.Lines, priced)
		if err := b.add(gross, l.DiscountMinor, l.TaxMinor); err != nil {
			return Basket{}, tooMuch(path, err)
		}
	}
	return d.total(b)
}

// total takes the draft's own discount and tax in, and sums up.
func (d Draft) total(b Basket) (Basket, error) {
	if d.DiscountMinor < 0 || d.TaxMinor < 0 {
		return Basket{}, fault.Field(fault.CodeValidationFailed, "discount_minor", "not_negative", "discount_minor and tax_minor must be 0 or more")
	}
	if left := b.SubtotalMinor - b.DiscountMinor; d.DiscountMinor > left {
		return Basket{}, fault.Field(fault.CodeAmountOutOfRange, "discount_minor", "at_most_subtotal",
			"the basket's discount of %d is more than its lines' %d", d.DiscountMinor, left)
	}
	if err := b.add(0, d.DiscountMinor, d.TaxMinor); err != nil {
		return Basket{}, tooMuch("tax_minor", err)
	}
	total, err := money.Add(b.SubtotalMinor-b.DiscountMinor, b.TaxMinor)
	if err == nil && total > money.MaxMinor {
		err = money.ErrOverflow
	}
	if err != nil {
		return Basket{}, tooMuch("lines", err)
	}
	b.TotalMinor = total
	return b, nil
}

// price fills in the line's total and gives what it costs before discount and
// tax.
func (l Line) price(path string) (priced Line, gross int64, err error) {
	switch {
	case l.Quantity < 1 || l.Quantity > MaxQuantity:
		return l, 0, fault.Field(fault.CodeValidationFailed, path+".quantity", "range", "quantity must be a whole number from 1 to %d", MaxQuantity)
	case l.UnitPriceMinor < 0 || l.DiscountMinor < 0 || l.TaxMinor < 0:
		return l, 0, fault.Field(fault.CodeValidationFailed, path, "not_negative", "unit_price_minor, discount_minor and tax_minor must be 0 or more")
	}
	gross, err = money.Mul(l.Quantity, l.UnitPriceMinor)
	if err != nil {
		return l, 0, tooMuch(path, err)
	}
	if l.DiscountMinor > gross {
		return l, 0, fault.Field(fault.CodeAmountOutOfRange, path+".discount_minor", "at_most_line",
			"the line's discount of %d is more than the line's %d", l.DiscountMinor, gross)
	}
	l.TotalMinor, err = money.Add(gross-l.DiscountMinor, l.TaxMinor)
	if err != nil {
		return l, 0, tooMuch(path, err)
	}
	return l, gross, nil
}

// add sums one more part into the basket.
func (b *Basket) add(gross, discount, tax int64) (err error) {
	for _, sum := range []struct {
		into *int64
		part int64
	}{{&b.SubtotalMinor, gross}, {&b.DiscountMinor, discount}, {&b.TaxMinor, tax}} {
		if *sum.into, err = money.Add(*sum.into, sum.part); err != nil {
			return err
		}
	}
	return nil
}

func tooMuch(field string, cause error) error {
	return fault.Field(fault.CodeAmountOutOfRange, field, "at_most_maximum",
		"the basket comes to more than %d minor units", money.MaxMinor).Because(cause)
}

// GrossMinor is quantity times unit price, before discount and tax. Of a
// priced line it cannot overflow.
func (l Line) GrossMinor() int64 { return l.Quantity * l.UnitPriceMinor }
