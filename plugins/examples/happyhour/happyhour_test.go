package main

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	sdktest.Exercise(t, func() sdk.Actuator { return happyhour{} })
}

func sale(at, settings string) sdk.Snapshot {
	when, _ := time.Parse(time.RFC3339, at)
	return sdk.Snapshot{
		ID: "1", Kind: sdk.KindCashback, CustomerID: "cus_1", Currency: "USD", At: when, AmountMinor: 1175,
		Allowance: sdk.Allowance{MaxGrantMinor: 1175, Sources: []string{"CASHBACK"}}, Settings: json.RawMessage(settings),
	}
}

func TestHours(t *testing.T) {
	t.Parallel()
	dubai := `{"zone":"Asia/Dubai","from":"15:00","until":"17:00"}`
	night := `{"from":"22:00","until":"02:00"}`
	for _, c := range []struct {
		at, settings string
		want         int64
	}{
		{"2026-06-01T14:59:59Z", `{}`, 58}, {"2026-06-01T15:00:00Z", `{}`, 176}, {"2026-06-01T16:59:59Z", `{}`, 176}, {"2026-06-01T17:00:00Z", `{}`, 58},
		{"2026-06-01T10:59:59Z", dubai, 58}, {"2026-06-01T11:00:00Z", dubai, 176}, {"2026-06-01T13:00:00Z", dubai, 58},
		{"2026-06-01T23:30:00Z", night, 176}, {"2026-06-01T01:59:00Z", night, 176}, {"2026-06-01T02:00:00Z", night, 58},
	} {
		plan, err := happyhour{}.Plan(t.Context(), sale(c.at, c.settings))
		if err != nil || len(plan.Effects) != 1 || plan.Effects[0].AmountMinor != c.want {
			t.Errorf("%s with %s: %+v, %v; want %d", c.at, c.settings, plan.Effects, err, c.want)
		}
	}
}

func TestUnknownZone(t *testing.T) {
	t.Parallel()
	_, err := happyhour{}.Plan(t.Context(), sale("2026-06-01T15:00:00Z", `{"zone":"Mars/Base"}`))
	var typed *sdk.Error
	if !errors.As(err, &typed) || typed.Field != "settings.zone" {
		t.Errorf("%v", err)
	}
}
