package checkout_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/checkout"
)

func anyLines(t *rapid.T, label string) (out []checkout.Line) {
	for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(1, 6), 0, 6, rapid.ID).Draw(t, label) {
		out = append(out, checkout.Line{LineID: fmt.Sprint(id), SKU: "S", Quantity: int64(rapid.IntRange(1, 3).Draw(t, "quantity"))})
	}
	return out
}

func TestAppliedChangesGiveTheNextRevision(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := checkout.Basket{Lines: anyLines(t, "before")}, checkout.Basket{Revision: 2, Lines: anyLines(t, "after")}
		lines := map[string]int64{}
		for _, l := range before.Lines {
			lines[l.LineID] = l.Quantity
		}
		for _, c := range after.Since(before).Changes {
			switch c.Kind() {
			case "removed":
				delete(lines, c.LineID)
			default:
				if was, ok := lines[c.LineID]; ok != (c.Kind() == "changed") || ok && was == c.After.Quantity {
					t.Fatalf("%s is no %s", c.LineID, c.Kind())
				}
				lines[c.LineID] = c.After.Quantity
			}
		}
		if len(lines) != len(after.Lines) {
			t.Fatalf("%v after the changes, want %v", lines, after.Lines)
		}
		for _, l := range after.Lines {
			if lines[l.LineID] != l.Quantity {
				t.Fatalf("line %s has %d, want %d", l.LineID, lines[l.LineID], l.Quantity)
			}
		}
		if n := len(after.Since(after).Changes); n != 0 {
			t.Fatalf("%d changes against itself", n)
		}
	})
}
