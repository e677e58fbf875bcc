package conformance

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/actuation"
)

// TestShrinkFindsTheSmallest: whatever a failure hangs on is all that is left.
func TestShrinkFindsTheSmallest(t *testing.T) {
	t.Parallel()
	big := Corpus([]actuation.Kind{actuation.KindCashback})
	for name, c := range map[string]struct {
		fails func(actuation.Snapshot) bool
		want  string
	}{
		"an amount": {func(s actuation.Snapshot) bool { return s.AmountMinor >= 17 }, `{"amount_minor":17}`},
		"a gift": {func(s actuation.Snapshot) bool { return s.Allowance.MaxGrantMinor > 0 && s.AmountMinor > 0 },
			`{"allowance":{"max_grant_minor":1},"amount_minor":1}`},
		"a deep fact": {func(s actuation.Snapshot) bool {
			var f struct {
				Basket struct{ Lines []struct{ Quantity int } }
			}
			return json.Unmarshal(s.Facts, &f) == nil && len(f.Basket.Lines) > 0 && f.Basket.Lines[0].Quantity > 1
		}, `{"amount_minor":1,"facts":{"basket":{"lines":[{"quantity":2}]}}}`},
	} {
		for _, s := range big {
			if !c.fails(s) {
				continue
			}
			got := shrink(s, c.fails)
			got.ID, got.Kind, got.At, got.Mode, got.Currency = "", "", today, "", ""
			if text := essence(t, got); text != c.want {
				t.Errorf("%s: %s, want %s", name, text, c.want)
			}
		}
	}
}

// essence is a snapshot without what is empty.
func essence(t *testing.T, s actuation.Snapshot) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "at")
	for name, v := range members {
		if text, ok := v.(string); ok && text == "" {
			delete(members, name)
		}
		if w, ok := v.(map[string]any); ok && name == "wallet" && w["actual_minor"] == 0.0 && w["promo_available_minor"] == 0.0 && w["verified"] == false {
			delete(members, name)
		}
	}
	return string(object(members))
}

// TestShrinkKeepsFailing: what it gives still fails, is never larger, and it
// always ends.
func TestShrinkKeepsFailing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		s := snapshot(r, actuation.KindWalletDebit, "x", today)
		lots, amount := rapid.IntRange(0, 3).Draw(rt, "lots"), rapid.Int64Range(1, 4000).Draw(rt, "amount")
		fails := func(s actuation.Snapshot) bool { return len(s.Lots) >= lots && s.AmountMinor >= amount }
		if !fails(s) {
			return
		}
		got := shrink(s, fails)
		if !fails(got) || len(got.Lots) != lots || got.AmountMinor != amount {
			rt.Fatalf("%d lots and %d: shrunk to %d and %d", lots, amount, len(got.Lots), got.AmountMinor)
		}
	})
}
