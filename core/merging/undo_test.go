package merging_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/merging"
)

var friday = time.Date(2026, 6, 12, 18, 0, 0, 0, time.UTC)

func ruleOf(t *testing.T, err error) string {
	t.Helper()
	if !fault.Is(err, fault.CodeStateConflict) {
		t.Fatalf("%v", err)
	}
	d := fault.As(err).Details[0]
	if d.Field != "undo_merge_id" || d.Message == "" {
		t.Errorf("%+v", d)
	}
	return d.Rule
}

func TestTheWindowEndsAtItsInstant(t *testing.T) {
	t.Parallel()
	m := merging.Merge{At: friday}.Window()
	end := friday.Add(merging.UndoWindow)
	if !m.UndoUntil.Equal(end) || m.Undoable(end.Add(-time.Nanosecond)) != nil {
		t.Errorf("until %s: %v", m.UndoUntil, m.Undoable(end.Add(-time.Nanosecond)))
	}
	over := m.Undoable(end)
	if ruleOf(t, over) != "undo_window" || !strings.Contains(over.Error(), end.Format(time.RFC3339)) {
		t.Errorf("%v", over)
	}
	if rule := ruleOf(t, merging.Merge{At: friday}.Undoable(friday)); rule != "undo_window" {
		t.Errorf("of before there was an undo: %s", rule)
	}
	m.UndoneAt = &friday
	if rule := ruleOf(t, m.Undoable(friday)); rule != "not_undone" {
		t.Errorf("a second time: %s", rule)
	}
}

func TestWhoCanBeDivided(t *testing.T) {
	t.Parallel()
	m := merging.Merge{CustomerID: "cus_b", SourceID: "cus_a"}
	source := identity.Customer{ID: "cus_a", Status: identity.Merged, MergedInto: "cus_b"}
	remained := identity.Customer{ID: "cus_b", Status: identity.Active}
	if err := m.Divide(source, remained, ""); err != nil {
		t.Error(err)
	}
	for rule, status := range map[string]identity.Status{"erased": identity.Erased, "last_merge_first": identity.Merged, "enabled": identity.Disabled} {
		who := remained
		who.Status = status
		if got := ruleOf(t, m.Divide(source, who, "mrg_2")); got != rule {
			t.Errorf("%s: %s", status, got)
		}
	}
	source.MergedInto = "cus_c"
	if got := ruleOf(t, m.Divide(source, remained, "")); got != "still_merged" {
		t.Error(got)
	}
}

// What goes back and what does not are together what moved, class by class and
// never below zero; of actual money as much goes back as is there.
func TestRule22TheClassesOfAnUndoAreExact(t *testing.T) {
	t.Parallel()
	amount := func(t *rapid.T, what string) int64 { return rapid.Int64Range(0, 50).Draw(t, what) }
	rapid.Check(t, func(t *rapid.T) {
		m := merging.Merge{ActualMinor: amount(t, "moved")}
		c := merging.Came{Lots: map[string]int64{}, Points: map[string]int64{}, ReversedMinor: amount(t, "reversed")}
		w := ledger.Wallet{ActualMinor: amount(t, "actual")}
		var lots []ledger.Grant
		var points ledger.PointsAccount
		var promo, left int64
		for i := range rapid.IntRange(0, 4).Draw(t, "n") {
			id, came := fmt.Sprint(i), amount(t, "came")
			now := rapid.Int64Range(0, 60).Draw(t, "now") // more than came, where a refund came back to it
			c.Lots[id] = came
			lots = append(lots, ledger.Grant{ID: id, RemainingMinor: now})
			promo += max(came-now, 0)
			had := amount(t, "points")
			rest := rapid.Int64Range(0, had).Draw(t, "rest")
			c.Points[id] = had
			m.Points, left = m.Points+had, left+rest
			if rest > 0 {
				points.Lots = append(points.Lots, ledger.PointsLot{ID: id, Remaining: rest})
			}
		}
		own := amount(t, "own points")
		points.Lots, points.Balance = append(points.Lots, ledger.PointsLot{ID: "own", Remaining: own}), left+own
		u := c.Plan(m, w, lots, points)
		if u.ActualMinor != min(max(m.ActualMinor-c.ReversedMinor, 0), w.ActualMinor) || u.ActualMinor+u.Left.ActualMinor != m.ActualMinor ||
			u.Points != left || u.Points+u.Left.Points != m.Points || u.Left.PromoMinor != promo {
			t.Fatalf("%+v of %+v", u, m)
		}
		missing := u.Left.ActualMinor + u.Left.PromoMinor + u.Left.Points
		if err := u.Complete(true); err != nil {
			t.Fatal(err)
		}
		err := u.Complete(false)
		if (err == nil) != (missing == 0) {
			t.Fatalf("%d are missing: %v", missing, err)
		}
		if err == nil {
			return
		}
		named := func(name string, missing int64) bool {
			return slices.Contains(fault.As(err).Details, fault.Detail{Field: "unreturned." + name, Rule: "missing", Message: fmt.Sprint(missing)})
		}
		if named("actual_minor", u.Left.ActualMinor) != (u.Left.ActualMinor > 0) || named("promo_minor", promo) != (promo > 0) || named("points", u.Left.Points) != (u.Left.Points > 0) {
			t.Fatalf("%+v", fault.As(err).Details)
		}
	})
}

func TestGatesAreThoseOfWhoRemained(t *testing.T) {
	t.Parallel()
	early, late := friday.Add(-time.Hour), friday.Add(time.Hour)
	w := ledger.Wallet{FirstTopupAt: &early, FirstPurchaseAt: &early}
	if got := (merging.Merge{}).Gates(w, merging.Firsts{}); got.FirstTopupAt != nil || got.FirstPurchaseAt != nil {
		t.Errorf("gates that came stay open: %+v", got)
	}
	if got := (merging.Merge{}).Gates(w, merging.Firsts{TopupAt: &late, PurchaseAt: &late}); got.FirstTopupAt != &late || got.FirstPurchaseAt != &late {
		t.Errorf("what was done since does not count: %+v", got)
	}
	if got := (merging.Merge{FirstTopupAt: &friday, FirstPurchaseAt: &friday}).Gates(w, merging.Firsts{TopupAt: &late}); got.FirstTopupAt != &friday || got.FirstPurchaseAt != &friday {
		t.Errorf("the own ones are gone: %+v", got)
	}
}
