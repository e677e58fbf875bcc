package bench

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/limit"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
)

func TestAnswersHaveNames(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]load.Answer{
		"":                         {Status: 201, Body: []byte(`{"ok":true,"data":{"status":"succeeded"}}`)},
		"402 INSUFFICIENT_FUNDS":   {Status: 402, Body: []byte(`{"ok":false,"error":{"code":"INSUFFICIENT_FUNDS"}}`)},
		"429 OVERLOADED":           {Status: 429, Body: []byte(`{"error":{"code":"OVERLOADED"}}`)},
		"untyped: 500 oops":        {Status: 500, Body: []byte(`oops`)},
		`untyped: 200 {"code":"`:   {Status: 200, Body: []byte(`{"code":"`)},
		`untyped: 201 {"ok":true}`: {Status: 201, Body: []byte(`{"ok":true}`)},
	} {
		if got := judgePayment(a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// slow is a report whose figures are as wide as they get.
func slow() *PaymentsReport {
	r := &PaymentsReport{LimitTool: "pgbench", Acknowledged: 200_000, Stored: 200_000, Ledger: Verdict{Sound: true, Took: time.Second}}
	busy := report.Share{Known: true, Server: 300 * time.Second, Postgres: 300 * time.Second, Actuators: 100 * time.Second, Foreign: 0.5}
	for _, clients := range []int{1, 32, 32} {
		r.Limit = append(r.Limit, LimitRow{limit.Measure{Clients: clients, Debits: 100_000, Rate: 22_019, P50: time.Second, P99: time.Minute}, busy})
	}
	for i := range 4 {
		r.Rows = append(r.Rows, PaymentsRow{
			Connections: 128, OneMerchant: i > 1, History: i / 3 * 10_000_000, Rate: 17_019, Payments: 50_000, P50: time.Second, P99: time.Minute,
			P999: time.Minute, Created: 50_000, Others: map[string]int64{}, Share: busy, Behind: 1_000_000,
		})
	}
	r.Ratios = r.ratios()
	return r
}

func TestTheReportFits80Columns(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	slow().Print(&b)
	for line := range strings.SplitSeq(b.String(), "\n") {
		if utf8.RuneCountInString(line) > report.Width {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

// TestALossIsAnError: the bench fails where the system would have lied.
func TestALossIsAnError(t *testing.T) {
	t.Parallel()
	if err := slow().judge(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*PaymentsReport){
		"a payment is missing":   func(r *PaymentsReport) { r.Stored-- },
		"a payment was invented": func(r *PaymentsReport) { r.Stored++ },
		"the books differ":       func(r *PaymentsReport) { r.Ledger.Sound = false },
		"an untyped answer":      func(r *PaymentsReport) { r.Rows[0].Others["untyped: 500"] = 1 },
		"nothing was done":       func(r *PaymentsReport) { r.Acknowledged, r.Stored = 0, 0 },
	} {
		r := slow()
		spoil(r)
		if r.judge() == nil {
			t.Errorf("%s, and the bench is content", what)
		}
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	r := slow()
	r.Limit[1].Rate, r.Limit[2].Rate, r.Limit[0].P50 = 20_000, 10_000, time.Millisecond
	r.Rows = []PaymentsRow{
		{Connections: 1, Rate: 3_000, Limit: 15_000, P50: 3 * time.Millisecond},
		{Connections: 32, Rate: 12_000, Limit: 16_000},
		{Connections: 32, Rate: 9_000, OneMerchant: true},
		{Connections: 32, Rate: 6_000, History: 10},
	}
	got := r.ratios()
	if got.OverLimit["1 connection"] != 0.2 || got.OverLimit["32 connections"] != 0.75 || got.OneMerchant != 0.75 || got.LatencyAt1 != 3 || got.History != 0.5 {
		t.Errorf("%+v", got)
	}
	if n := len(r.Plot().Points); n != 2 {
		t.Errorf("%d points; connections of random merchants alone are comparable", n)
	}
}
