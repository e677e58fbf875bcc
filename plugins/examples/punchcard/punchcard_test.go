package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
)

var today = time.Date(2026, 6, 1, 9, 30, 0, 0, time.UTC)

// sale is a snapshot of a customer who bought some coffees before and buys some
// now, at 4.50 each.
func sale(before, now int64) sdk.Snapshot {
	return sdk.Snapshot{
		ID: fmt.Sprintf("sale-%d-%d", before, now), Kind: sdk.KindUpsell, CustomerID: "cus_1", Currency: "USD", At: today,
		AmountMinor: now*450 + 375,
		Allowance:   sdk.Allowance{MaxGrantMinor: now*450 + 375, Sources: []string{"OFFER"}},
		Facts: json.RawMessage(fmt.Sprintf(`{
			"lines":   [{"category":"coffee","quantity":%d,"total_minor":%d},{"category":"bakery","quantity":1,"total_minor":375}],
			"history": {"categories":{"coffee":{"quantity":%d}}}}`, now, now*450, before)),
	}
}

// TestConformance runs Feddi's own suite three ways: on the value, over gRPC in
// memory, and on a process.
func TestConformance(t *testing.T) {
	sdktest.Exercise(t, func() sdk.Actuator { return punchcard{} }, sdktest.Snapshots(sale(0, 1), sale(9, 1), sale(8, 13)))
}

func TestTenthCoffeeIsFree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, now int64
		gift        int64 // 0 where it refuses
		says        string
	}{
		{0, 1, 0, "1 of 10 punched: 9 more to a free coffee."},
		{8, 1, 0, "9 of 10 punched: 1 more to a free coffee."},
		{9, 1, 450, "The card is full: 4.50 USD for the next coffee."},
		{8, 3, 450, "The card is full: 4.50 USD for the next coffee."},
		{10, 1, 0, "1 of 10 punched: 9 more to a free coffee."},
		{9, 12, 900, "The card is full: 9.00 USD for the next coffee."},
	} {
		plan, err := punchcard{}.Plan(t.Context(), sale(c.before, c.now))
		if err != nil || plan.Reasoning.Summary != c.says {
			t.Errorf("%d and %d: %q, %v; want %q", c.before, c.now, plan.Reasoning.Summary, err, c.says)
		}
		var gift int64
		for _, e := range plan.Effects {
			gift += e.AmountMinor
			if !e.ExpiresAt.Equal(today.AddDate(0, 0, 30)) {
				t.Errorf("it expires %s", e.ExpiresAt)
			}
		}
		if gift != c.gift {
			t.Errorf("%d and %d: gave %d, want %d", c.before, c.now, gift, c.gift)
		}
	}
}

func TestSaysNo(t *testing.T) {
	t.Parallel()
	for refusal, change := range map[string]func(*sdk.Snapshot){
		"unidentified":     func(s *sdk.Snapshot) { s.CustomerID = "" },
		"nothing_to_count": func(s *sdk.Snapshot) { s.Settings = json.RawMessage(`{"category":"tea"}`) },
		"not_allowed":      func(s *sdk.Snapshot) { s.Allowance = sdk.Allowance{} },
	} {
		s := sale(9, 1)
		change(&s)
		if plan, err := (punchcard{}).Plan(t.Context(), s); err != nil || plan.Refusal != refusal || len(plan.Effects) > 0 {
			t.Errorf("%s: %+v, %v", refusal, plan, err)
		}
	}
}
