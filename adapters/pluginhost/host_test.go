package pluginhost

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// bundle is a started host with what it told.
type bundle struct {
	*Host

	changes chan Change
}

func setup(t *testing.T, cfg Config) *bundle {
	t.Helper()
	b := &bundle{changes: make(chan Change, 1000)}
	cfg.Changed = func(c Change) { b.changes <- c }
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Host = h
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bundle) ready(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

// await returns the next change into state.
func (b *bundle) await(t *testing.T, state actuation.State) Change {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case c := <-b.changes:
			if c.To == state {
				return c
			}
		case <-timeout:
			t.Fatalf("never became %s: %+v", state, b.All())
		}
	}
}

// plan asks the odd actuator one thing.
func (b *bundle) plan(ctx context.Context, session, facts string) (actuation.Plan, error) {
	a, err := b.For(actuation.KindEnrichment, "mer_1")
	if err != nil {
		return actuation.Plan{}, err
	}
	plans, err := a.PlanBatch(ctx, []actuation.Snapshot{{ID: "1", Kind: actuation.KindEnrichment, SessionID: session, Facts: []byte(facts)}})
	if err != nil {
		return actuation.Plan{}, err
	}
	return plans[0], nil
}

func (b *bundle) pid(i int) int { return b.actuators[i].current.Load().cmd.Process.Pid }

func payment(id string) actuation.Snapshot {
	return actuation.Snapshot{
		ID: id, Kind: actuation.KindWalletDebit, MerchantID: "mer_1", CustomerID: "cus_1", Currency: "USD", At: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC),
		AmountMinor: 1175, Wallet: actuation.Wallet{ActualMinor: 2500}, Lots: []actuation.Lot{{GrantID: "grt_1", RemainingMinor: 250}},
	}
}

func firstParty() []Spec {
	return []Spec{Self("wallet", "actuator", "wallet"), Self("cashback", "actuator", "cashback"), Self("attribution", "actuator", "attribution")}
}

func TestThreeActuators(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: firstParty()})
	b.ready(t)
	for i, s := range b.All() {
		if s.State != actuation.StateReady || s.Manifest.Name != b.cfg.Specs[i].Name || s.Manifest.Version != "1.0.0" || s.Since.IsZero() {
			t.Errorf("%+v", s)
		}
	}
	planner := &actuation.Planner{Registry: b, Rejected: func(r *actuation.Rejected) { t.Error(r) }}
	batch := []actuation.Snapshot{payment("a"), payment("b")}
	gift := payment("c")
	gift.Kind, gift.Lots = actuation.KindCashback, nil
	gift.Settings, gift.Allowance = []byte(`{"cashback_bp":500}`), actuation.Allowance{MaxGrantMinor: 58, Sources: []string{"CASHBACK"}}
	record := payment("d")
	record.Kind = actuation.KindAttribution
	for i, o := range planner.Plan(t.Context(), append(batch, gift, record)) {
		if o.Err != nil || len(o.Plan.Effects) == 0 {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if _, err := b.For(actuation.KindOffer, "mer_1"); !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Errorf("nobody serves offers: %v", err)
	}
}

// TestBackWithinASecond kills the process and times the way back.
func TestBackWithinASecond(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{own(t, "wallet", "actuator", "wallet")}})
	b.ready(t)
	b.await(t, actuation.StateReady)
	planner := &actuation.Planner{Registry: b}
	for round := range 3 { // each start needs a new hash for the checksum
		killed, began := b.pid(0), time.Now()
		if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if c := b.await(t, actuation.StateStarting); c.Reason == "" || c.Name != "wallet" || c.Version != "1.0.0" {
			t.Errorf("%+v", c)
		}
		b.await(t, actuation.StateReady)
		o := planner.Plan(t.Context(), []actuation.Snapshot{payment("a")})[0]
		if took := time.Since(began); took > time.Second || o.Err != nil {
			t.Errorf("round %d: back after %v: %v", round, took, o.Err)
		}
		if b.pid(0) == killed {
			t.Error("the process is still the one that was killed")
		}
	}
	if s := b.All()[0]; s.Restarts != 3 || s.State != actuation.StateReady || s.Reason != "" {
		t.Errorf("%+v", s)
	}
}

// TestCallsDuringAKill: a call that is in flight fails with a type, and nothing
// else happens.
func TestCallsDuringAKill(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}})
	b.ready(t)
	_, err := b.plan(t.Context(), "exit", "")
	if f := actuation.FailureOf(err); !fault.Is(err, fault.CodeActuatorUnavailable) || f == nil || f.Code != "not_running" || !f.Retryable {
		t.Errorf("%v", err)
	}
	b.await(t, actuation.StateStarting)
	b.await(t, actuation.StateReady)
	if _, err := b.plan(t.Context(), "", ""); err != nil {
		t.Error(err)
	}
}

func TestAuthorsErrors(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}, BreakerTrips: 2})
	b.ready(t)
	for range 5 { // answers, however negative, do not open the breaker
		p, err := b.plan(t.Context(), "typed", "")
		want := actuation.Failure{Code: "no_such_profile", Message: "unknown profile", Field: "facts.profile", Retryable: true}
		if err != nil || p.Failure == nil || *p.Failure != want {
			t.Errorf("%v %+v", err, p.Failure)
		}
		if p, err = b.plan(t.Context(), "panic", ""); err != nil || p.Failure == nil || p.Failure.Code != "internal" || !strings.Contains(p.Failure.Message, "I cannot read this") {
			t.Errorf("%v %+v", err, p)
		}
	}
}

// TestHungCalls: the deadline of the manifest ends a call, the breaker opens,
// and an actuator whose calls keep failing is restarted.
func TestHungCalls(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}, BreakerTrips: 2, BreakerRest: time.Hour, PingEvery: 10 * time.Millisecond, HungAfter: 20 * time.Millisecond})
	b.ready(t)
	hung := b.pid(0)
	for range 2 {
		began := time.Now()
		_, err := b.plan(t.Context(), "hang", "")
		if took := time.Since(began); !fault.Is(err, fault.CodeDeadlineExceeded) || took < 150*time.Millisecond || took > 5*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	}
	if c := b.await(t, actuation.StateDegraded); c.From != actuation.StateReady {
		t.Errorf("%+v", c)
	}
	b.await(t, actuation.StateStarting)
	b.await(t, actuation.StateReady)
	if _, err := b.plan(t.Context(), "", ""); err != nil || b.pid(0) == hung {
		t.Errorf("%v, pid %d", err, b.pid(0))
	}
}

func TestOpenBreaker(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}, BreakerTrips: 1, BreakerRest: 50 * time.Millisecond, PingEvery: time.Hour})
	b.ready(t)
	_, _ = b.plan(t.Context(), "hang", "")
	began := time.Now()
	_, err := b.plan(t.Context(), "", "")
	if f := actuation.FailureOf(err); f == nil || f.Code != "breaker_open" || time.Since(began) > 100*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	b.await(t, actuation.StateDegraded)
	eventually(t, func() bool { _, err := b.plan(t.Context(), "", ""); return err == nil })
	b.await(t, actuation.StateReady)
}

func eventually(t *testing.T, met func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(2 * time.Millisecond); !met(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never met")
		}
	}
}

// TestCallerGivesUp: a caller that goes away is not the actuator's fault.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}, BreakerTrips: 1})
	b.ready(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.plan(ctx, "wait", ""); !fault.Is(err, fault.CodeDeadlineExceeded) {
		t.Error(err)
	}
	if _, err := b.plan(t.Context(), "", ""); err != nil {
		t.Error(err)
	}
}

// TestStoppedProcess: a process that no longer runs at all misses its pings.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("wallet", "actuator", "wallet")}, PingEvery: 10 * time.Millisecond, PingTimeout: 200 * time.Millisecond, PingMisses: 2})
	b.ready(t)
	stopped := b.pid(0)
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if c := b.await(t, actuation.StateDegraded); !strings.Contains(c.Reason, "missed a ping") {
		t.Errorf("%+v", c)
	}
	if c := b.await(t, actuation.StateStarting); !strings.Contains(c.Reason, "missed 2 pings") {
		t.Errorf("%+v", c)
	}
	b.await(t, actuation.StateReady)
	if alive(stopped) {
		t.Error("the stopped process was left behind")
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, answer, code string }{
		{"raw", "short", "garbage"},
		{"raw", "foreign", "garbage"},
		{"raw", "oversized", "oversized"},
		{"raw-stream", "short", "garbage"},
		{"raw-stream", "foreign", "garbage"},
		{"raw-stream", "oversized", "oversized"},
		{"raw-stream", "unreadable", "garbage"},
		{"raw-stream", "another call's", "garbage"},
		{"raw-stream", "none", "garbage"},
	} {
		t.Run(c.kind+", "+c.answer, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", c.kind, c.answer)}, BreakerTrips: 2, PingEvery: time.Hour, BreakerRest: time.Hour})
			b.ready(t)
			for range 2 {
				_, err := b.plan(t.Context(), "", "")
				if f := actuation.FailureOf(err); !fault.Is(err, fault.CodeActuatorUnavailable) || f == nil || f.Code != c.code {
					t.Errorf("%v", err)
				}
			}
			b.await(t, actuation.StateDegraded)
		})
	}
}

// TestCannotStart: what can go wrong before an actuator is ready, and that the
// host says what it was.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	wrong := own(t, "wallet", "actuator", "wallet")
	wrong.SHA256 = strings.Repeat("0", 64)
	missing := own(t, "wallet")
	missing.Command = filepath.Join(t.TempDir(), "nothing")
	for name, c := range map[string]struct {
		spec   Spec
		reason string
		within time.Duration
	}{
		"wrong checksum": {wrong, "checksums did not match", patience},
		"no executable":  {missing, "no such file", patience},
		"crash":          {Self("crash", "actuator", "crash"), "plugin", patience},
		"babble":         {Self("babble", "actuator", "babble"), "Unrecognized remote plugin message", patience},
		"mute":           {Self("mute", "actuator", "mute"), "timeout", 100 * time.Millisecond},
		"misnamed":       {Self("misnamed", "actuator", "misnamed"), "it is named wallet", patience},
		"future":         {Self("odd", "actuator", "future"), "incompatible API version", patience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{Specs: []Spec{c.spec}, StartTimeout: c.within, Budget: 1, BackoffMin: time.Millisecond, Cooldown: time.Hour})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := b.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "failed") || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %v, want %q", err, c.reason)
			}
			if _, err := b.For(actuation.KindWalletDebit, "mer_1"); !fault.Is(err, fault.CodeActuatorUnavailable) {
				t.Error(err)
			}
		})
	}
}

// TestTriesAgainAfterFailing: failed is not for ever.
func TestTriesAgainAfterFailing(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "crash-twice", tempFile(t))}, Budget: 1, BackoffMin: time.Millisecond, Cooldown: 10 * time.Millisecond})
	if c := b.await(t, actuation.StateFailed); c.From != actuation.StateStarting || c.Reason == "" {
		t.Errorf("%+v", c)
	}
	if c := b.await(t, actuation.StateReady); c.From != actuation.StateFailed {
		t.Errorf("%+v", c)
	}
	if s := b.All()[0]; s.Restarts != 2 {
		t.Errorf("%+v", s)
	}
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}, Concurrency: 1, BreakerTrips: 100})
	b.ready(t)
	b.actuators[0].slots[plans] <- struct{}{} // a call that is in flight
	_, err := b.plan(t.Context(), "", "")
	if f := actuation.FailureOf(err); f == nil || f.Code != "busy" {
		t.Error(err)
	}
	<-b.actuators[0].slots[plans]
	if _, err := b.plan(t.Context(), "", ""); err != nil {
		t.Error(err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("wallet", "actuator", "wallet")}})
	b.ready(t)
	planner := &actuation.Planner{Registry: b}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 20 {
				id := fmt.Sprint(i, "-", j)
				if o := planner.Plan(t.Context(), []actuation.Snapshot{payment(id)})[0]; o.Err != nil || o.Plan.SnapshotID != id {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wg.Wait()
}

// TestStopDrains: a call in flight finishes, a new one is refused.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}})
	b.ready(t)
	a, pid, file := b.actuators[0], b.pid(0), tempFile(t)
	inFlight, stopped := make(chan error, 1), make(chan error, 1)
	go func() { _, err := b.plan(t.Context(), "slow", fmt.Sprintf(`{"file":%q}`, file)); inFlight <- err }()
	eventually(t, func() bool { return len(a.slots[plans]) == 1 })
	go func() { stopped <- b.Stop(t.Context()) }()
	eventually(t, a.draining.Load)
	if _, err := b.plan(t.Context(), "", ""); !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Errorf("a new call: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-stopped; err != nil || alive(pid) {
		t.Errorf("%v, alive %v", err, alive(pid))
	}
	if s := b.All()[0].State; s != actuation.StateStopped {
		t.Error(s)
	}
	if _, err := os.Stat(b.folder.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory for sockets is left: %v", err)
	}
	if b.Start(t.Context()) == nil {
		t.Error("started twice")
	}
}

func TestExecute(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}})
	b.ready(t)
	a, err := b.For(actuation.KindEnrichment, "mer_1")
	if err != nil {
		t.Fatal(err)
	}
	e := a.(actuation.Executor)
	r, err := e.Execute(t.Context(), actuation.Command{IdempotencyKey: "k1", Kind: "sms.send", Attempt: 1, Payload: []byte(`{"a":1}`)})
	if err != nil || r.Reference != "msg-k1" || string(r.Result) != `{"a":1}` {
		t.Errorf("%v %+v", err, r)
	}
	_, err = e.Execute(t.Context(), actuation.Command{IdempotencyKey: "k1", Kind: "sms.send", Attempt: 2})
	if f := actuation.FailureOf(err); f == nil || f.Code != "unavailable" || !f.Retryable {
		t.Errorf("%v", err)
	}
	_, err = e.Execute(t.Context(), actuation.Command{IdempotencyKey: "k2", Kind: "fax.send"})
	if f := actuation.FailureOf(err); f == nil || f.Code != "unsupported_kind" || f.Retryable {
		t.Errorf("%v", err)
	}
}

// TestCleanEnvironment: nothing of the host's environment reaches an actuator.
func TestCleanEnvironment(t *testing.T) {
	t.Parallel()
	if os.Getenv("PATH") == "" {
		t.Fatal("the test needs an environment to hide")
	}
	b := setup(t, Config{Specs: []Spec{Self("odd", "actuator", "odd")}})
	b.ready(t)
	p, err := b.plan(t.Context(), "environment", "")
	if err != nil || len(p.Effects) != 1 {
		t.Fatal(err, p)
	}
	for _, name := range []string{"PATH=", "HOME=", "DATABASE_URL="} {
		if strings.Contains(string(p.Effects[0].Data), `"`+name) {
			t.Errorf("%s reached the actuator: %s", name, p.Effects[0].Data)
		}
	}
}

// TestHostKilled: a host that is killed leaves no actuator behind.
func TestHostKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "actuator", "host")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // it cannot clean up after itself
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid, standby int
	if _, err := fmt.Sscan(line, &pid, &standby); err != nil || !alive(pid) || !alive(standby) || pid == standby {
		t.Fatalf("the host said %q: %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, func() bool { return !alive(pid) && !alive(standby) })
}

// alive reports whether a process runs; one that is dead and not yet reaped
// does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

func checksum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("a", 64)
	for want, specs := range map[string][]Spec{
		"name":          {{Name: "Wallet"}},
		"absolute path": {{Name: "wallet", Command: "wallet", SHA256: sum}},
		"SHA-256":       {{Name: "wallet", Command: "/bin/wallet"}},
		"no command":    {{Name: "wallet", SHA256: sum}},
		"unique":        {{Name: "wallet"}, {Name: "wallet"}},
	} {
		if _, err := New(Config{Specs: specs}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	h, err := New(Config{Specs: firstParty()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.For(actuation.KindWalletDebit, "mer_1"); !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Error(err)
	}
	if s := h.All(); len(s) != 3 || s[0].State != actuation.StateStarting || s[0].Manifest.Name != "wallet" {
		t.Errorf("%+v", s)
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkStart measures from nothing to three ready actuators.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		h, err := New(Config{Specs: firstParty(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(h.Start(b.Context()), h.WaitReady(b.Context())); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_ = h.Stop(b.Context())
		b.StartTimer()
	}
}

// BenchmarkPlan64 measures a proven batch of 64 payments through the process.
func BenchmarkPlan64(b *testing.B) {
	h, err := New(Config{Specs: firstParty(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(h.Start(b.Context()), h.WaitReady(b.Context())); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = h.Stop(context.Background()) }()
	batch := make([]actuation.Snapshot, 64)
	for i := range batch {
		batch[i] = payment(fmt.Sprint(i))
	}
	planner := &actuation.Planner{Registry: h}
	for b.Loop() {
		for _, o := range planner.Plan(b.Context(), batch) {
			if o.Err != nil {
				b.Fatal(o.Err)
			}
		}
	}
}
