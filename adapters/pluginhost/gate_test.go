package pluginhost

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

// execute has the odd actuator carry out a command.
func (b *bundle) execute(t *testing.T, key string, payload map[string]string) (actuation.Receipt, error) {
	t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return b.actuators[0].Execute(t.Context(), actuation.Command{IdempotencyKey: key, Kind: "sms.send", Attempt: 1, Payload: raw})
}

// TestGrantedHosts: a confined actuator reaches what the operator granted, by
// its gate; nothing else, and nothing past it.
func TestGrantedHosts(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello") }))
	t.Cleanup(server.Close)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	granted := strings.TrimPrefix(server.URL, "http://")
	s := theirs(t, "patient")
	s.Hosts = []string{granted}
	b := setup(t, Config{Specs: []Spec{s}})
	b.ready(t)

	if r, err := b.execute(t, "fetch", map[string]string{"url": server.URL}); err != nil || r.Reference != "hello" {
		t.Errorf("a granted host: %+v %v", r, err)
	}
	_, err := b.execute(t, "fetch", map[string]string{"url": other.URL})
	if f := actuation.FailureOf(err); f == nil || f.Code != "host_not_granted" || f.Retryable || !strings.Contains(f.Message, granted) {
		t.Errorf("another host: %v", err)
	}
	if r, err := b.execute(t, "fetch", map[string]string{"direct": granted}); err != nil || (isolates() && r.Reference != "reached: false") {
		t.Errorf("past the gate: %+v %v", r, err)
	}
	server.Close()
	_, err = b.execute(t, "fetch", map[string]string{"url": server.URL})
	if f := actuation.FailureOf(err); f == nil || f.Code != "unavailable" || !f.Retryable {
		t.Errorf("a granted host that is down: %v", err)
	}
}

// TestNoHostIsGranted: the refusal says how to grant one.
func TestNoHostIsGranted(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{theirs(t, "patient")}})
	b.ready(t)
	_, err := b.execute(t, "fetch", map[string]string{"url": "http://192.0.2.1/"})
	if f := actuation.FailureOf(err); f == nil || f.Code != "host_not_granted" || !strings.Contains(f.Message, "--allow-host") {
		t.Errorf("%v", err)
	}
}

// TestCommandsDoNotHoldUpPlans: a world outside that does not answer keeps no
// sale waiting.
func TestCommandsDoNotHoldUpPlans(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}, BreakerTrips: 1, BreakerRest: time.Hour})
	b.ready(t)
	if _, err := b.execute(t, "hang", nil); !fault.Is(err, fault.CodeDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	_, err := b.execute(t, "k1", nil)
	if f := actuation.FailureOf(err); f == nil || f.Code != "breaker_open" || !f.Retryable {
		t.Errorf("the breaker of commands: %v", err)
	}
	if _, err := b.plan(t.Context(), "", ""); err != nil {
		t.Errorf("a plan suffers from it: %v", err)
	}
	if s := b.All()[0]; s.State != actuation.StateReady {
		t.Errorf("it counts as %s: %s", s.State, s.Reason)
	}
}
