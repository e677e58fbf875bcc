package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/tenancy"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

type object = map[string]any

// command runs one command line of the program.
func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(args, &out, &errs); got != want {
		t.Fatalf("feddi %s: status %d, want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

// build writes a new actuator, changes its source and builds it.
func build(t *testing.T, name string, change *strings.Replacer) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	command(t, 0, "actuator", "new", name, "--dir", dir)
	source := filepath.Join(dir, "punchcard.go")
	text, err := os.ReadFile(source)
	if err == nil && change != nil {
		err = os.WriteFile(source, []byte(change.Replace(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", name, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, name)
}

// world is a running system on a database of its own.
type world struct {
	t   *testing.T
	url string
	dsn string
	db  *pg.DB
	sys *system.System
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dsn: pgtest.DSN(t)}
	var err error
	if w.db, err = pg.Connect(t.Context(), w.dsn, pg.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.db.Close)
	w.sys, err = system.Start(t.Context(), w.db, system.Options{
		Mode: tenancy.Sandbox, Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.sys.Stop(context.Background()) })
	w.url = w.sys.URL() + "/v1/partner"
	return w
}

// shop is a merchant with one guest.
type shop struct {
	*world
	merchant, key string
	where         object
	phone         string
}

func (w *world) shop() *shop {
	w.t.Helper()
	s := &shop{world: w, phone: "+14155552001"}
	d := s.post("/auth/keys/sandbox", object{"currency": "USD"})
	s.key = d["raw_key"].(string)
	s.merchant = d["merchant_id"].(string)
	s.where = object{"merchant_id": s.merchant, "branch_id": d["branch_id"], "terminal_id": d["terminal_id"], "cashier_id": "c-17", "locale": "en-US"}
	e := s.post("/enroll/initiate", object{"phone": s.phone})
	s.post("/enroll/verify", object{"enrollment_id": e["enrollment_id"], "code": e["sandbox"].(object)["code"]})
	return s
}

// post makes one call and returns its data.
func (s *shop) post(path string, body object) object {
	s.t.Helper()
	d, err := s.try(path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *shop) try(path string, body object) (object, error) {
	body["meta"] = object{"api_version": "2026-06-01"}
	if s.where != nil {
		body["context"] = s.where
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", uuid.NewString())
	req.Header.Set("x-api-key", s.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		return nil, fmt.Errorf("POST %s: %d %s (%w)", path, res.StatusCode, text, err)
	}
	var answer struct{ Data object }
	return answer.Data, json.Unmarshal(text, &answer)
}

// sell sells coffees for cash and returns the decisions by kind.
func (s *shop) sell(coffees int) map[string]object {
	s.t.Helper()
	decisions, err := s.trySell(coffees)
	if err != nil {
		s.t.Fatal(err)
	}
	return decisions
}

func (s *shop) trySell(coffees int) (map[string]object, error) {
	opened, err := s.try("/checkout/sessions", object{"currency": "USD", "channel": "in_store", "credential": object{"credential_type": "phone", "value": s.phone}})
	if err != nil {
		return nil, err
	}
	session := "/checkout/sessions/" + opened["session"].(object)["session_id"].(string)
	if _, err := s.try(session+"/basket", object{"expected_revision": 0, "discount_minor": 0, "tax_minor": 0, "lines": []object{
		{"line_id": "1", "sku": "LATTE", "category": "coffee", "quantity": coffees, "unit_price_minor": 450},
	}}); err != nil {
		return nil, err
	}
	closed, err := s.try(session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 450 * coffees}}})
	if err != nil {
		return nil, err
	}
	decisions := map[string]object{}
	for _, d := range closed["decisions"].([]any) {
		decisions[d.(object)["kind"].(string)] = d.(object)
	}
	return decisions, nil
}

func summary(d object) string {
	if d == nil {
		return ""
	}
	return d["reasoning"].(object)["summary"].(string)
}

// eventually waits until check holds.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); !check(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// running waits until the merchant's actuator of a version answers.
func (s *shop) running(version string, shadow bool) {
	s.t.Helper()
	eventually(s.t, "the server takes up "+version, func() bool {
		for _, in := range s.sys.Host.InstalledFor(s.merchant) {
			if in.Manifest.Version == version && in.Shadow == shadow {
				for _, r := range s.sys.Host.Reports() {
					if r.Installation == in.ID && r.Status.State == "ready" {
						return true
					}
				}
			}
		}
		return false
	})
}

func (w *world) count(sql string, args ...any) int64 {
	w.t.Helper()
	n, err := pg.One[int64](w.t.Context(), w.db.Q(), sql, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestAMerchantsOwnActuator walks the whole life of one: begun, examined, run
// beside the live ones, installed, upgraded under load, uninstalled.
func TestAMerchantsOwnActuator(t *testing.T) {
	t.Parallel()
	w := start(t)
	mine, other := w.shop(), w.shop()
	program := build(t, "punchcard", nil)
	if out := command(t, 0, "actuator", "verify", program); !strings.Contains(out, "punchcard 1.0.0 can be installed") {
		t.Error(out)
	}

	// As a shadow it decides nothing, and what it would have done is kept.
	command(t, 0, "actuator", "install", program, "--merchant", mine.merchant, "--database", w.dsn, "--shadow")
	mine.running("1.0.0", true)
	if d := mine.sell(10); d["upsell"] != nil {
		t.Errorf("a shadow decided: %v", d)
	}
	eventually(t, "the shadow's plan is kept", func() bool {
		return w.count(`select count(*) from actuator_shadow_plans where outcome = 'effects' and grant_minor = 450`) == 1
	})
	if n := w.count(`select count(*) from decisions where kind = 'upsell'`); n != 0 {
		t.Errorf("the shadow left %d decisions", n)
	}
	command(t, 0, "actuator", "uninstall", "punchcard", "--merchant", mine.merchant, "--database", w.dsn, "--shadow")

	// Installed, its decision shows with its reasoning, for its merchant alone.
	command(t, 0, "actuator", "install", program, "--merchant", mine.merchant, "--database", w.dsn, "--settings", `{"every":5}`)
	mine.running("1.0.0", false)
	d := mine.sell(3)
	if got := summary(d["upsell"]); got != "3 of 5 punched: 2 more to a free coffee." || d["upsell"]["state"] != "refused" || d["cashback"] == nil || d["attribution"] == nil {
		t.Errorf("%q in %v", got, d)
	}
	d = mine.sell(2)
	if got := summary(d["upsell"]); got != "The card is full: 4.50 USD for the next coffee." || d["upsell"]["state"] != "committed" || d["upsell"]["amount_minor"] != 450.0 {
		t.Errorf("%q in %v", got, d)
	}
	if d := other.sell(10); d["upsell"] != nil {
		t.Errorf("another merchant sees it: %v", d)
	}

	// A new version takes over while sales go on; none fails.
	next := build(t, "punchcard", strings.NewReplacer(`"1.0.0"`, `"1.1.0"`, "punched:", "stamped:"))
	done, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-done:
				return
			default:
			}
			if d, err := mine.trySell(1); err != nil || d["upsell"]["state"] == "pending" {
				failed <- fmt.Errorf("%v %w", d, err)
				return
			}
		}
	}()
	command(t, 0, "actuator", "install", next, "--merchant", mine.merchant, "--database", w.dsn)
	mine.running("1.1.0", false)
	close(done)
	if err := <-failed; err != nil {
		t.Errorf("a sale failed during the upgrade: %v", err)
	}
	if v := mine.sell(1)["upsell"]["actuator"].(object)["version"]; v != "1.1.0" {
		t.Errorf("the version before it still decides: %v", v)
	}

	// Another version over the past: what would change, and nothing is committed.
	generous := build(t, "punchcard", strings.NewReplacer(`"1.0.0"`, `"2.0.0"`, "Every: 10", "Every: 2"))
	before := w.count(`select count(*) from decisions`)
	out := command(t, 0, "actuator", "replay", generous, "--since", "1h", "--merchant", mine.merchant, "--database", w.dsn, "--settings", `{"every":2}`, "--json")
	var replay struct {
		Decisions, Same, Fails int
		Begins                 int              `json:"acts_where_it_refused"`
		Before                 map[string]int64 `json:"granted_before_minor"`
		After                  map[string]int64 `json:"granted_after_minor"`
	}
	if err := json.Unmarshal([]byte(out), &replay); err != nil || replay.Decisions < 3 || replay.Begins == 0 || replay.Fails != 0 || replay.After["USD"] <= replay.Before["USD"] {
		t.Errorf("%v %s", err, out)
	}
	if after := w.count(`select count(*) from decisions`); after != before {
		t.Errorf("the replay left %d decisions", after-before)
	}

	// Killed, it is told of, and its sales go on: the decision waits.
	degraded := func(kind string) func() bool {
		return func() bool { return w.count(`select count(*) from events where type = $1`, kind) == 1 }
	}
	for _, r := range w.sys.Host.Reports() {
		if r.Installation != "" && r.Status.Manifest.Version == "1.1.0" {
			if err := syscall.Kill(r.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "actuator.degraded", degraded("actuator.degraded"))
	eventually(t, "actuator.restored", degraded("actuator.restored"))
	eventually(t, "the list has it", func() bool {
		return strings.Contains(command(t, 0, "actuator", "list", "--database", w.dsn), "punchcard 1.1.0          ready")
	})

	// Uninstalled, the next sale is as before.
	command(t, 0, "actuator", "uninstall", "punchcard", "--merchant", mine.merchant, "--database", w.dsn)
	eventually(t, "it is gone", func() bool { return len(w.sys.Host.InstalledFor(mine.merchant)) == 0 })
	if d := mine.sell(10); d["upsell"] != nil {
		t.Errorf("an uninstalled actuator decided: %v", d)
	}
}
