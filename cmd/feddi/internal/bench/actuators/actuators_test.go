package actuators

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/conformance"
)

// TestTheInProcessPlannerIsProven: it competes by right plans only.
func TestTheInProcessPlannerIsProven(t *testing.T) {
	t.Parallel()
	turn := &Switch{}
	turn.on.Store(true)
	p := &actuation.Planner{Registry: turn}
	for _, o := range p.Plan(t.Context(), conformance.Corpus([]actuation.Kind{actuation.KindWalletDebit})) {
		if o.Err != nil || o.Actuator.Name != "in-process" {
			t.Errorf("%+v", o)
		}
	}
}

func full() *Report {
	return &Report{
		Starts:   []Start{{"attribution", 100, time.Second, time.Minute}},
		Plans:    []Plans{{"attribution", 64, 1e6, 1e8, time.Second, time.Minute}},
		Payments: []Payment{{Connections: 128, Rate: 12_345, InProcess: 23_456, Overhead: 1.9, Others: map[string]int64{}}},
		Failover: Failover{Kills: 5, Away: time.Minute, AwayMax: time.Minute, Payments: 1e7, Failed: map[string]int64{"503 ACTUATOR_UNAVAILABLE": 1e6}, Sales: 1e6},
	}
}

func TestTheReportFits80Columns(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	full().Print(&b)
	for line := range strings.SplitSeq(b.String(), "\n") {
		if utf8.RuneCountInString(line) > report.Width {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

// TestWhatMustNotFail: the bench fails where an operation was answered in a way
// that a till can do nothing with.
func TestWhatMustNotFail(t *testing.T) {
	t.Parallel()
	if err := full().judge(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*Report){
		"an untyped failure": func(r *Report) { r.Failover.Failed["untyped: 500 oops"] = 1 },
		"an untyped payment": func(r *Report) { r.Payments[0].Others["untyped: 500 oops"] = 1 },
		"a failed sale":      func(r *Report) { r.Failover.SalesFailed = 1 },
	} {
		r := full()
		spoil(r)
		if r.judge() == nil {
			t.Errorf("%s, and the bench is content", what)
		}
	}
	for want, a := range map[string]load.Answer{
		"":                         {Status: 201},
		"503 ACTUATOR_UNAVAILABLE": {Status: 503, Body: []byte(`{"error":{"code":"ACTUATOR_UNAVAILABLE","retryable":true}}`)},
		"untyped: 500 x":           {Status: 500, Body: []byte(`x`)},
	} {
		if got := judge(a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := judge(load.Answer{Status: 503, Body: []byte(`{"error":{"code":"INTERNAL","retryable":false}}`)}); !strings.HasPrefix(got, "untyped") {
		t.Errorf("one that cannot be repeated counts as %q", got)
	}
}
