package actuators_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	store "github.com/feddi/feddi/adapters/postgres/actuators"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// outside is an actuator as a plain value, with what it was given.
type outside struct {
	mu     sync.Mutex
	given  []actuation.Command
	answer func(actuation.Command) (actuation.Receipt, error)
}

func (o *outside) Execute(_ context.Context, c actuation.Command) (actuation.Receipt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given = append(o.given, c)
	return o.answer(c)
}

// till is a shop with an actuator that executes, and time.
type till struct {
	*shop
	clock *clock.Manual
	world *outside
	runs  *actuators.Executions
	in    actuation.Installation // found by the executions; without an id nothing is
}

func furnish(t *testing.T) *till {
	t.Helper()
	s := &till{shop: setup(t), world: &outside{}}
	s.clock = s.Service.Clock.(*clock.Manual)
	s.world.answer = func(actuation.Command) (actuation.Receipt, error) { return actuation.Receipt{Reference: "m1"}, nil }
	s.runs = &actuators.Executions{
		Commands: s.Store, Clock: s.clock, IDs: s.IDs, Mode: tenancy.Sandbox,
		Find: func(merchantID, name string, shadow bool) (actuation.Executor, actuation.Installation, bool) {
			return s.world, s.in, s.in.ID != "" && s.in.Tenant.MerchantID == merchantID && s.in.Manifest.Name == name && s.in.Shadow == shadow
		},
	}
	return s
}

// sender sends messages, and refreshes facts on a schedule.
func sender(version string, every time.Duration) actuators.InstallInput {
	in := input("sender", version, "mer_1", actuation.KindUpsell)
	in.Manifest.CommandKinds = []string{"sms.send", "facts.refresh"}
	in.Settings = []byte(`{"every":5}`)
	if every > 0 {
		in.Manifest.Schedules = []actuation.Schedule{{Command: "facts.refresh", Every: every}}
	}
	return in
}

func (s *till) install(in actuators.InstallInput) {
	s.t.Helper()
	installed, _, err := s.Install(s.t.Context(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	s.in = installed
}

func (s *till) add(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		c := actuation.StoredCommand{ID: id, Tenant: s.tenants[0], Actuator: "sender", Kind: "sms.send", Payload: []byte(`{"to":"cus_1"}`), DecisionID: "dec_1", CommittedAt: s.clock.Now()}
		if err := store.NewLog(s.db.Q()).Add(s.t.Context(), c); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run carries out what is due, and says how many attempts that were.
func (s *till) run() int {
	s.t.Helper()
	n, err := s.runs.Run(s.t.Context(), 500)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *till) list() string {
	s.t.Helper()
	list, err := s.Store.CommandList(s.t.Context(), actuators.CommandFilter{MerchantID: "mer_1", Limit: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprintf("%s %s %d %s%s", c.Kind, c.State, c.Attempts, c.Reference, c.Failure))
	}
	return strings.Join(out, "; ")
}

func unavailable(retryable bool) error {
	return actuation.Unavailable("sender", &actuation.Failure{Code: "unavailable", Message: "down", Retryable: retryable})
}

// TestACommandIsCarriedOut: once it is committed, with its key, the settings of
// now, and its outcome kept.
func TestACommandIsCarriedOut(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", 0))
	s.add("cmd_1")
	if n := s.run(); n != 1 {
		t.Fatalf("%d attempts", n)
	}
	got := s.world.given[0]
	if got.IdempotencyKey != "cmd_1" || got.Kind != "sms.send" || got.Attempt != 1 || got.MerchantID != "mer_1" || got.PartnerID != "par_1" ||
		got.Mode != tenancy.Sandbox || string(got.Payload) != `{"to":"cus_1"}` || string(got.Settings) != `{"every":5}` || !got.CommittedAt.Equal(start) {
		t.Errorf("%+v", got)
	}
	if got := s.list(); got != "sms.send done 1 m1" {
		t.Error(got)
	}
	if n := s.run(); n != 0 {
		t.Errorf("it was carried out again: %d", n)
	}
}

// TestARolledBackCommandIsNot: what did not commit is not carried out.
func TestARolledBackCommandIsNot(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", 0))
	undone := errors.New("undone")
	err := pg.Tx(t.Context(), s.db, func(ctx context.Context, q pg.Q) error {
		c := actuation.StoredCommand{ID: "cmd_1", Tenant: s.tenants[0], Actuator: "sender", Kind: "sms.send", CommittedAt: start}
		return errors.Join(store.NewLog(q).Add(ctx, c), undone)
	})
	if n := s.run(); n != 0 || !errors.Is(err, undone) {
		t.Errorf("%d attempts, %v", n, err)
	}
}

// TestAFailedCommandIsTriedAgain: with the same key, at longer and longer
// intervals, until its budget is used up; then the operator has it.
func TestAFailedCommandIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", 0))
	s.add("cmd_1")
	s.world.answer = func(actuation.Command) (actuation.Receipt, error) { return actuation.Receipt{}, unavailable(true) }
	var waited time.Duration
	for attempt := 1; attempt <= actuation.MaxAttempts; attempt++ {
		if n := s.run(); n != 1 {
			t.Fatalf("attempt %d: %d were due", attempt, n)
		}
		if n := s.run(); n != 0 {
			t.Fatalf("attempt %d: tried again at once", attempt)
		}
		step := min(time.Second<<(attempt-1), time.Hour)
		s.clock.Advance(step)
		waited += step
	}
	if got := s.list(); got != "sms.send parked 20 unavailable: down" {
		t.Error(got)
	}
	for i, c := range s.world.given {
		if c.IdempotencyKey != "cmd_1" || c.Attempt != i+1 {
			t.Errorf("attempt %d: %+v", i+1, c)
		}
	}
	if waited < 8*time.Hour {
		t.Errorf("it was parked after %v", waited)
	}

	// The operator has it tried again; other states are not.
	s.world.answer = func(actuation.Command) (actuation.Receipt, error) { return actuation.Receipt{Reference: "m2"}, nil }
	if err := s.Store.Unpark(t.Context(), "cmd_1", s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.run()
	if got := s.list(); got != "sms.send done 1 m2" {
		t.Error(got)
	}
	if err := s.Store.Unpark(t.Context(), "cmd_1", s.clock.Now()); !fault.Is(err, fault.CodeStateConflict) {
		t.Error(err)
	}
	if err := s.Store.Unpark(t.Context(), "cmd_9", s.clock.Now()); !fault.Is(err, fault.CodeNotFound) {
		t.Error(err)
	}
}

// TestAFinalFailureParksAtOnce: one that cannot succeed, and an answer that
// cannot be stored.
func TestAFinalFailureParksAtOnce(t *testing.T) {
	t.Parallel()
	for says, answer := range map[string]func() (actuation.Receipt, error){
		"unavailable: down":   func() (actuation.Receipt, error) { return actuation.Receipt{}, unavailable(false) },
		"garbage (facts)":     func() (actuation.Receipt, error) { return actuation.Receipt{Facts: []byte(`[1]`)}, nil },
		"garbage (result)":    func() (actuation.Receipt, error) { return actuation.Receipt{Result: []byte(`{"a":"\u0000"}`)}, nil },
		"garbage (reference)": func() (actuation.Receipt, error) { return actuation.Receipt{Reference: strings.Repeat("x", 201)}, nil },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			s := furnish(t)
			s.install(sender("1.0.0", 0))
			s.add("cmd_1")
			s.world.answer = func(actuation.Command) (actuation.Receipt, error) { return answer() }
			s.run()
			if got := s.list(); !strings.HasPrefix(got, "sms.send parked 1 "+says) {
				t.Error(got)
			}
		})
	}
}

// TestADeadWorkersCommandComesBack: at least once.
func TestADeadWorkersCommandComesBack(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", 0))
	s.add("cmd_1")
	claimed, err := s.Store.Claim(t.Context(), tenancy.Sandbox, s.clock.Now(), 30*time.Second, 10)
	if err != nil || len(claimed) != 1 {
		t.Fatal(claimed, err)
	}
	if n := s.run(); n != 0 {
		t.Fatal("it was claimed twice")
	}
	s.clock.Advance(30 * time.Second)
	s.run()
	if got := s.list(); got != "sms.send done 2 m1" {
		t.Error(got)
	}
	// What the dead one still says changes nothing.
	if err := s.Store.Park(t.Context(), claimed[0], "late", s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if got := s.list(); got != "sms.send done 2 m1" {
		t.Error(got)
	}
}

// TestEachCommandOnce: workers that run at once share the commands.
func TestEachCommandOnce(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", 0))
	for i := range 100 {
		s.add(fmt.Sprintf("cmd_%03d", i))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := s.runs.Run(t.Context(), 500); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, c := range s.world.given {
		seen[c.IdempotencyKey] = true
	}
	if len(seen) != 100 || len(s.world.given) != 100 {
		t.Errorf("%d commands in %d attempts", len(seen), len(s.world.given))
	}
}

// TestNobodyHere: a command whose actuator does not run here waits, and loses no
// attempt; another mode's is not touched.
func TestNobodyHere(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.add("cmd_1")
	for range 5 {
		if n := s.run(); n != 1 {
			t.Fatalf("%d", n)
		}
		s.clock.Advance(2 * time.Second)
	}
	if got := s.list(); got != "sms.send pending 0 its actuator does not run here" {
		t.Error(got)
	}
	s.runs.Mode = tenancy.Production
	if n := s.run(); n != 0 {
		t.Error("a production server took a sandbox's command")
	}
}

// TestASchedule refreshes stored facts: at once, then at its interval; a failure
// leaves the last ones, and a new version has them.
func TestASchedule(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", time.Minute))
	facts := func() string {
		t.Helper()
		f, err := s.Store.StoredFacts(t.Context(), s.in)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %d", f.Facts, int(f.At.Sub(start).Seconds()))
	}
	n := 0
	s.world.answer = func(c actuation.Command) (actuation.Receipt, error) {
		if n++; n == 2 {
			return actuation.Receipt{}, unavailable(true)
		}
		return actuation.Receipt{Facts: fmt.Appendf(nil, `{"n":%d}`, n)}, nil
	}
	s.run()
	if got := facts(); got != `{"n":1} 0` || s.world.given[0].Kind != "facts.refresh" || len(s.world.given[0].Payload) != 0 {
		t.Errorf("%s after %+v", got, s.world.given[0])
	}
	if s.run() != 0 {
		t.Error("it was due again at once")
	}
	s.clock.Advance(time.Minute)
	s.run() // fails
	if got := facts(); got != `{"n":1} 0` {
		t.Errorf("a failure left %s", got)
	}
	s.clock.Advance(time.Second)
	s.run() // and is tried again
	if got := facts(); got != `{"n":3} 61` {
		t.Error(got)
	}
	s.install(sender("1.1.0", time.Hour))
	if got := facts(); got != `{"n":3} 61` {
		t.Errorf("a new version found %s", got)
	}
	s.run()
	if got := facts(); got != `{"n":4} 61` {
		t.Errorf("a new version does not refresh at once: %s", got)
	}
	s.clock.Advance(59 * time.Minute)
	if s.run() != 0 {
		t.Error("the interval of the version before still counts")
	}
	if got := s.list(); strings.Count(got, "facts.refresh") != 1 {
		t.Errorf("of a schedule only the last command is kept: %s", got)
	}

	// Another merchant's facts are its own; uninstalled, they are gone.
	other := s.in
	other.Tenant = s.tenants[1]
	if f, err := s.Store.StoredFacts(t.Context(), other); err != nil || f.Facts != nil {
		t.Errorf("%s, %v", f.Facts, err)
	}
	s.add("cmd_1")
	if _, err := s.Uninstall(t.Context(), "mer_1", "sender", false); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(2 * time.Hour)
	if n := s.run(); n != 0 {
		t.Errorf("%d attempts after it was uninstalled", n)
	}
	if f, err := s.Store.StoredFacts(t.Context(), s.in); err != nil || f.Facts != nil {
		t.Errorf("uninstalled, it left %s, %v", f.Facts, err)
	}
	if got := s.list(); got != "sms.send parked 0 its actuator was uninstalled" {
		t.Error(got)
	}
}

// TestASlowScheduleDoesNotPileUp: one refresh is pending at a time.
func TestASlowScheduleDoesNotPileUp(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", time.Second))
	s.in.ID = "" // nobody carries it out
	for range 5 {
		s.run()
		s.clock.Advance(3 * time.Second)
	}
	if got := s.list(); strings.Count(got, "facts.refresh") != 1 {
		t.Error(got)
	}
}

// TestFinishedCommandsAreSwept after a month.
func TestFinishedCommandsAreSwept(t *testing.T) {
	t.Parallel()
	s := furnish(t)
	s.install(sender("1.0.0", 0))
	s.add("cmd_1", "cmd_2")
	s.run()
	s.add("cmd_3")
	s.clock.Advance(30*24*time.Hour - time.Second)
	if n, err := s.runs.Sweep(t.Context(), 10); n != 0 || err != nil {
		t.Error(n, err)
	}
	s.clock.Advance(2 * time.Second)
	if n, err := s.runs.Sweep(t.Context(), 10); n != 2 || err != nil {
		t.Error(n, err)
	}
	if got := s.list(); got != "sms.send pending 0 " {
		t.Error(got)
	}
}

// TestWhatMayBeReached: hosts that are granted are the manifest's, or named
// where it leaves them open.
func TestWhatMayBeReached(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct {
		asks  []string
		all   bool
		named []string
		got   string // granted, or what the refusal says
	}{
		{[]string{"a.example.com", "b.example.com:8443"}, false, nil, ""},
		{[]string{"a.example.com", "b.example.com:8443"}, true, nil, "a.example.com b.example.com:8443"},
		{[]string{"a.example.com", "b.example.com:8443"}, false, []string{"A.example.com"}, "a.example.com"},
		{[]string{"a.example.com"}, false, []string{"c.example.com"}, "none that its manifest asks for"},
		{[]string{"*"}, false, []string{"127.0.0.1:8080"}, "127.0.0.1:8080"},
		{[]string{"*"}, true, nil, "name each with --allow-host"},
		{[]string{"*", "a.example.com"}, true, []string{"c.example.com"}, "a.example.com c.example.com"},
		{[]string{"*"}, false, []string{"http://c.example.com"}, "must be a name or an address"},
		{nil, false, []string{"a.example.com"}, "there is nothing to allow"},
	} {
		in := input("punchcard", "1.0.0", "mer_1", actuation.KindUpsell)
		in.Manifest.Hosts, in.AllowHosts, in.Hosts = c.asks, c.all, c.named
		got, _, err := s.Install(t.Context(), in)
		if err != nil && !strings.Contains(err.Error(), c.got) || err == nil && strings.Join(got.Hosts, " ") != c.got {
			t.Errorf("%v %v of %v: %v, %v; want %q", c.all, c.named, c.asks, got.Hosts, err, c.got)
		}
		if err != nil {
			continue
		}
		if list, err := s.Store.Current(t.Context(), tenancy.Sandbox); err != nil || len(list) != 1 || strings.Join(list[0].Hosts, " ") != c.got {
			t.Errorf("stored: %+v, %v", list, err)
		}
	}
}

// TestRejectedPlansAreRecorded: one row for each rule, with how often.
func TestRejectedPlansAreRecorded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r := actuators.Rejection{MerchantID: "mer_1", Actuator: "punchcard", Version: "1.0.0", Rule: "allowance", Count: 2, SnapshotID: "dec_1", Message: "too much\x00"}
	for i := range 3 {
		r.SnapshotID = fmt.Sprint("dec_", i)
		if err := s.Store.Reject(t.Context(), start.Add(time.Duration(i)*time.Second), []actuators.Rejection{r}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Store.Rejections(t.Context(), 10)
	if err != nil || len(got) != 1 || got[0].Count != 6 || got[0].SnapshotID != "dec_2" || got[0].Message != "too much" || !got[0].LastAt.Equal(start.Add(2*time.Second)) {
		t.Errorf("%+v, %v", got, err)
	}
}
