package checkout

import (
	"bytes"
	"time"
)

// LineChange is one line's difference between two revisions of a basket.
// Before is nil where the line was added, After where it was removed.
type LineChange struct {
	LineID        string
	Before, After *Line
}

// Kind is added, removed or changed.
func (c LineChange) Kind() string {
	switch {
	case c.Before == nil:
		return "added"
	case c.After == nil:
		return "removed"
	}
	return "changed"
}

// Revision is what one revision of a basket changed against the one before it.
type Revision struct {
	Revision   int64
	TotalMinor int64
	Currency   string
	Changes    []LineChange
	CreatedAt  time.Time
}

// Since says what b changed against the revision before it; of the first one
// every line was added. Lines stand in the order of b, those removed after them
// in the order in which they stood.
func (b Basket) Since(before Basket) Revision {
	r := Revision{Revision: b.Revision, TotalMinor: b.TotalMinor, Currency: b.Currency, CreatedAt: b.CreatedAt}
	old := make(map[string]*Line, len(before.Lines))
	for i := range before.Lines {
		old[before.Lines[i].LineID] = &before.Lines[i]
	}
	kept := make(map[string]bool, len(b.Lines))
	for i := range b.Lines {
		line := &b.Lines[i]
		kept[line.LineID] = true
		if was := old[line.LineID]; was == nil || !was.same(line) {
			r.Changes = append(r.Changes, LineChange{LineID: line.LineID, Before: was, After: line})
		}
	}
	for i := range before.Lines {
		if line := &before.Lines[i]; !kept[line.LineID] {
			r.Changes = append(r.Changes, LineChange{LineID: line.LineID, Before: line})
		}
	}
	return r
}

// same reports whether nothing about a line changed.
func (l *Line) same(o *Line) bool {
	return bytes.Equal(l.Attributes, o.Attributes) && l.SKU == o.SKU && l.Name == o.Name && l.Category == o.Category && l.Quantity == o.Quantity &&
		l.UnitPriceMinor == o.UnitPriceMinor && l.DiscountMinor == o.DiscountMinor && l.TaxMinor == o.TaxMinor && l.TotalMinor == o.TotalMinor
}
