package offers_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// noon is a monday.
var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// TestBudgetMoves holds that no row of moves overdraws a budget, and that what
// is held always comes back.
func TestBudgetMoves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := offers.Budget{CapMinor: rapid.Int64Range(1, 1000).Draw(t, "cap"), LowThresholdBP: rapid.Int64Range(0, 10_000).Draw(t, "low"), StartsAt: noon}
		wasLow := false
		for range rapid.IntRange(1, 40).Draw(t, "moves") {
			kind := rapid.SampledFrom([]string{"committed", "committed", "released", "spent", "returned"}).Draw(t, "type")
			m := offers.Move{Type: kind, AmountMinor: rapid.Int64Range(1, 300).Draw(t, "amount"), At: noon}
			switch kind {
			case "released", "spent":
				m.AmountMinor = min(m.AmountMinor, b.CommittedMinor)
			case "returned":
				m.AmountMinor = min(m.AmountMinor, b.SpentMinor)
			}
			after, err := b.Move(m)
			if fits := kind != "committed" || m.AmountMinor <= b.AvailableMinor(); fits != (err == nil) {
				t.Fatalf("%+v on %+v: %v", m, b, err)
			}
			if err != nil && (!fault.Is(err, fault.CodeBudgetExhausted) || after != b) {
				t.Fatalf("a refused move changed %+v to %+v: %v", b, after, err)
			}
			if after.AvailableMinor() < 0 || after.CommittedMinor < 0 || after.SpentMinor < 0 || wasLow && !after.LowTold {
				t.Fatalf("%+v", after)
			}
			b, wasLow = after, wasLow || after.LowTold
		}
	})
}

// TestLocalTime holds that days and hours are the merchant's.
func TestLocalTime(t *testing.T) {
	t.Parallel()
	auckland, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 14, 20, 30, 0, 0, time.UTC)
	if got, want := offers.LocalTime(at, auckland), (offers.Local{Weekday: 1, Minute: 510, Day: "2026-06-15"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestValidate holds what is refused, each with its field and rule.
func TestValidate(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*offers.Definition){
		"value.type/fits_kind": func(d *offers.Definition) {
			d.Value.Type, d.Value.AmountMinor, d.Value.Points = offers.ValuePoints, 0, 5
		},
		"value.percent_bp/fits_type":      func(d *offers.Definition) { d.Value.PercentBP = 100 },
		"value.amount_minor/figure_given": func(d *offers.Definition) { d.Value.AmountMinor = 0 },
		"value.percent_bp/range": func(d *offers.Definition) {
			d.Value = offers.Value{Type: offers.ValuePercent, PercentBP: 10_001, Per: offers.PerLine}
		},
		"value.per/known":                  func(d *offers.Definition) { d.Value.Per = "pound" },
		"value.per/basket_wide":            func(d *offers.Definition) { d.Targets = offers.Targets{BasketWide: true} },
		"targets.basket_wide/no_lines":     func(d *offers.Definition) { d.Targets.BasketWide, d.Value.Per = true, offers.PerBasket },
		"targets/basket_wide":              func(d *offers.Definition) { d.Kind = offers.BasketDiscount },
		"targets.skus/max_items":           func(d *offers.Definition) { d.Targets.SKUs = make([]string, 501) },
		"targets.categories/max_items":     func(d *offers.Definition) { d.Targets.Categories = make([]string, 101) },
		"conditions.time_window/non_empty": func(d *offers.Definition) { d.Conditions.TimeWindow = &offers.TimeWindow{From: -1, To: 9} },
		"conditions.days_of_week/known":    func(d *offers.Definition) { d.Conditions.Days = []string{"caturday"} },
		"conditions.channels/known":        func(d *offers.Definition) { d.Conditions.Channels = []string{"pigeon"} },
		"conditions.customer_states/known": func(d *offers.Definition) { d.Conditions.CustomerStates = []string{"HUNGRY"} },
		"conditions.customer_states/anonymous": func(d *offers.Definition) {
			d.Conditions.CustomerStates, d.Targets.Tiers = []string{"ANONYMOUS"}, []string{"gold"}
		},
		"window.ends_at/after_start":    func(d *offers.Definition) { d.Window = offers.Window{StartsAt: &noon, EndsAt: &noon} },
		"redemption_methods/apply_only": func(d *offers.Definition) { d.Redemption = []string{"auto"} },
	} {
		d := offers.Definition{
			Kind: offers.ItemDiscount, Title: "t", Currency: "USD", Value: offers.Value{Type: offers.ValueAmount, AmountMinor: 50},
			Targets: offers.Targets{SKUs: []string{"LATTE"}},
		}.Normal()
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		edit(&d)
		f := fault.As(d.Validate())
		if f == nil || f.Code != fault.CodeValidationFailed {
			t.Errorf("%s: %v", want, f)
			continue
		}
		var got []string
		for _, detail := range f.Details {
			got = append(got, detail.Field+"/"+detail.Rule)
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
		}
	}
}
