package cashback_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/feddi/feddi/plugins/cashback"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestConformance(t *testing.T) {
	t.Parallel()
	sdktest.Exercise(t, func() sdk.Actuator { return cashback.Cashback{} })
}

func sale(spoil func(*sdk.Snapshot)) sdk.Snapshot {
	s := sdk.Snapshot{
		ID: "dec_1", Kind: sdk.KindCashback, CustomerID: "cus_1", Currency: "USD", At: noon, AmountMinor: 1175,
		Settings:  json.RawMessage(`{"cashback_bp":500,"cashback_expiry_days":90}`),
		Allowance: sdk.Allowance{MaxGrantMinor: 58, Sources: []string{cashback.Source}},
	}
	if spoil != nil {
		spoil(&s)
	}
	return s
}

func TestGives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   func(*sdk.Snapshot)
		amount  int64
		budget  string
		expires time.Time
		summary string
	}{
		"five percent, rounded down": {nil, 58, "", noon.AddDate(0, 0, 90), "Cashback of 0.58 USD: 5% of 11.75 USD, to spend within 90 days."},
		"never expires": {func(s *sdk.Snapshot) { s.Settings = json.RawMessage(`{"cashback_bp":500}`) }, 58, "", time.Time{},
			"Cashback of 0.58 USD: 5% of 11.75 USD."},
		"from a budget": {func(s *sdk.Snapshot) {
			s.Settings = json.RawMessage(`{"cashback_bp":250,"cashback_expiry_days":1}`)
			s.Allowance.Budgets = []sdk.Budget{{BudgetID: "bud_1", RemainingMinor: 20}}
		}, 20, "bud_1", noon.AddDate(0, 0, 1), "Cashback of 0.20 USD: 2.5% of 11.75 USD, cut to what the budget still has, to spend within 1 day."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := cashback.Cashback{}.Plan(t.Context(), sale(c.spoil))
			if err != nil || len(p.Effects) != 1 {
				t.Fatalf("%v %+v", err, p)
			}
			e := p.Effects[0]
			if e.AmountMinor != c.amount || e.Source != "CASHBACK" || e.Class != sdk.ClassPromo || e.BudgetID != c.budget || !e.ExpiresAt.Equal(c.expires) {
				t.Errorf("%+v", e)
			}
			if p.Reasoning.Summary != c.summary {
				t.Error(p.Reasoning.Summary)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for refusal, spoil := range map[string]func(*sdk.Snapshot){
		sdk.RefusalUnidentified:    func(s *sdk.Snapshot) { s.CustomerID = "" },
		cashback.RefusalOff:        func(s *sdk.Snapshot) { s.Settings = nil },
		cashback.RefusalTooSmall:   func(s *sdk.Snapshot) { s.AmountMinor = 19 },
		cashback.RefusalNotAllowed: func(s *sdk.Snapshot) { s.Allowance = sdk.Allowance{} },
	} {
		t.Run(refusal, func(t *testing.T) {
			t.Parallel()
			p, err := cashback.Cashback{}.Plan(t.Context(), sale(spoil))
			if err != nil || p.Refusal != refusal || len(p.Effects) != 0 || p.Reasoning.Summary == "" {
				t.Errorf("%v %+v", err, p)
			}
		})
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for settings, field := range map[string]string{
		`{"cashback_bp":10001}`:          "settings.cashback_bp",
		`{"cashback_bp":-1}`:             "settings.cashback_bp",
		`{"cashback_expiry_days":-1}`:    "settings.cashback_expiry_days",
		`{"cashback_expiry_days":99999}`: "settings.cashback_expiry_days",
		`{"cashback_bp":"five"}`:         "settings",
	} {
		_, err := cashback.Cashback{}.Plan(t.Context(), sale(func(s *sdk.Snapshot) { s.Settings = json.RawMessage(settings) }))
		var e *sdk.Error
		if !errors.As(err, &e) || e.Code != sdk.CodeInvalidSettings || e.Field != field {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
