package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// example builds one of the examples, changed, as a merchant would build its
// own.
func example(t *testing.T, name string, change *strings.Replacer) string {
	t.Helper()
	out := t.TempDir()
	sources, err := filepath.Glob("../../plugins/examples/" + name + "/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for i, source := range sources {
		text, err := os.ReadFile(source)
		path, err2 := filepath.Abs(source)
		changed := filepath.Join(out, fmt.Sprint(i, ".go"))
		if err := errors.Join(err, err2, os.WriteFile(changed, []byte(change.Replace(string(text))), 0o600)); err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][path] = changed
	}
	raw, err := json.Marshal(overlay)
	if err := errors.Join(err, os.WriteFile(filepath.Join(out, "overlay.json"), raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(out, name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(out, "overlay.json"), "-o", program, "./plugins/examples/"+name)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// TestOffersFromOutside: a merchant's own HTTP service decides on gifts. Its
// offers are fetched on a schedule, through the gate, and sales find them; while
// it is away the last ones count.
func TestOffersFromOutside(t *testing.T) {
	t.Parallel()
	var gift, status atomic.Int64
	gift.Store(100)
	status.Store(http.StatusOK)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = fmt.Fprintf(w, `{"offers":[{"id":"o1","title":"Morning","sku":"LATTE","gift_minor":%d}]}`, gift.Load())
	}))
	t.Cleanup(service.Close)
	host := strings.TrimPrefix(service.URL, "http://")
	settings := fmt.Sprintf(`{"url":%q}`, service.URL)

	w := start(t)
	mine := w.shop()
	program := example(t, "externaloffers", strings.NewReplacer("5 * time.Minute", "time.Second"))
	if out := command(t, 0, "actuator", "verify", program); !strings.Contains(out, "executes offers.refresh") {
		t.Error(out)
	}
	install := func(want int, more ...string) string {
		t.Helper()
		return command(t, want, append([]string{"actuator", "install", program, "--merchant", mine.merchant, "--database", w.dsn, "--settings", settings}, more...)...)
	}

	// Without the operator's consent it reaches nothing, and says so.
	install(0)
	mine.running("1.0.0", false)
	parked := ""
	eventually(t, "the refusal of the gate shows", func() bool {
		parked = command(t, 0, "actuator", "commands", "--state", "parked", "--database", w.dsn)
		return strings.Contains(parked, "host_not_granted")
	})
	if !strings.Contains(parked, "externaloffers offers.refresh") || !strings.Contains(parked, "--allow-host") {
		t.Error(parked)
	}
	if d := mine.sell(1)["upsell"]; summary(d) != "No gift: the offers were not fetched yet." {
		t.Errorf("%v", d)
	}

	// With it, the offers arrive, and later ones replace them.
	if out := install(0, "--allow-host", host); !strings.Contains(out, "may reach   "+host+", and nothing else") {
		t.Error(out)
	}
	says := func(text string) func() bool {
		return func() bool { return summary(mine.sell(1)["upsell"]) == text }
	}
	eventually(t, "the offers arrive", says("Morning: 1.00 USD for the next visit."))
	gift.Store(200)
	eventually(t, "later offers arrive", says("Morning: 2.00 USD for the next visit."))

	// The service is away: the last offers count, and the operator can see it.
	status.Store(http.StatusInternalServerError)
	eventually(t, "a failed refresh shows", func() bool {
		return strings.Contains(command(t, 0, "actuator", "commands", "--database", w.dsn), "the offer service answered 500")
	})
	gift.Store(300)
	if d := mine.sell(1)["upsell"]; summary(d) != "Morning: 2.00 USD for the next visit." {
		t.Errorf("%v", d)
	}
	eventually(t, "the list has its facts", func() bool {
		return strings.Contains(command(t, 0, "actuator", "list", "--database", w.dsn), "its facts are of ")
	})
	status.Store(http.StatusOK)
	eventually(t, "it is back", says("Morning: 3.00 USD for the next visit."))

	// The snapshot with its stored facts is in the trace: replayed, the same.
	out := command(t, 0, "actuator", "replay", program, "--since", "1h", "--merchant", mine.merchant, "--database", w.dsn, "--json")
	if !strings.Contains(out, `"refuses_where_it_acted":0`) || !strings.Contains(out, `"acts_otherwise":0`) || !strings.Contains(out, `"fails":0`) {
		t.Error(out)
	}
}

// TestAMessageIsSent: what a committed plan asks for outside is carried out
// after the commit; a rejected plan asks for nothing, leaves the sale alone and
// is the operator's to see.
func TestAMessageIsSent(t *testing.T) {
	t.Parallel()
	var got atomic.Pointer[http.Request]
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r) }))
	t.Cleanup(service.Close)
	w := start(t)
	mine := w.shop()
	change := func(amount string, more ...string) *strings.Replacer {
		return strings.NewReplacer(append(more,
			`EffectKinds: []sdk.EffectKind{sdk.EffectGrant}`, `EffectKinds: []sdk.EffectKind{sdk.EffectGrant, sdk.EffectMessage}`,
			`CommandKinds: []string{refresh}, Schedules: []sdk.Schedule{{Command: refresh, Every: 5 * time.Minute}},`, `CommandKinds: []string{"sms.send"},`,
			`case c.FetchedAt == nil:`, `case s.Allowance.MaxGrantMinor == 0:
		return refuse("not_allowed", "Nothing to give.", c)
	case c.Offers == 0:
		amount := min(100, s.Allowance.MaxGrantMinor)
		if len(s.CustomerID) > 20 { // as they are in earnest, and not in the conformance suite
			amount = `+amount+`
		}
		gift := s.Grant("OFFER", amount)
		why, err := reason("sent", "A gift, and a message.", c)
		return sdk.Plan{Effects: []sdk.Effect{gift, sdk.MessageBy("sms.send", json.RawMessage("{\"say\":\"hello\"}"))}, Reasoning: why}, err
	case false:`,
			`offers, err := e.fetch(ctx, set.URL)`, `offers, err := e.fetch(ctx, set.URL+"?key="+c.IdempotencyKey+"&payload="+string(c.Payload[1:4]))`,
			`return read(body)`, `return []offer{}, json.Unmarshal([]byte("null"), &body)`,
		)...)
	}
	install := func(program string) {
		t.Helper()
		command(t, 0, "actuator", "install", program, "--merchant", mine.merchant, "--database", w.dsn,
			"--settings", fmt.Sprintf(`{"url":%q}`, service.URL), "--allow-host", strings.TrimPrefix(service.URL, "http://"))
	}
	install(example(t, "externaloffers", change("100")))
	mine.running("1.0.0", false)
	if d := mine.sell(1)["upsell"]; d["state"] != "committed" {
		t.Fatalf("%v", d)
	}
	eventually(t, "the message is sent", func() bool { return got.Load() != nil })
	eventually(t, "its command is done", func() bool {
		return w.count(`select count(*) from actuator_commands c join decisions d using (decision_id) where c.state = 'done' and c.kind = 'sms.send' and c.command_id = $1`,
			got.Load().URL.Query().Get("key")) == 1
	})

	// One that gives too much breaks a rule: the sale goes on, nothing is given or
	// sent, and the operator sees which rule it was.
	install(example(t, "externaloffers", change("s.AmountMinor + 1", `"1.0.0"`, `"1.0.1"`)))
	mine.running("1.0.1", false)
	before := w.count(`select count(*) from actuator_commands`)
	if d := mine.sell(1)["upsell"]; d["state"] != "pending" {
		t.Errorf("%v", d)
	}
	eventually(t, "the rejection is recorded", func() bool {
		return strings.Contains(command(t, 0, "actuator", "list", "--database", w.dsn), "broke rule allowance")
	})
	if after := w.count(`select count(*) from actuator_commands`); after != before {
		t.Errorf("a rejected plan left %d commands", after-before)
	}
}
