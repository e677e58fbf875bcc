package pluginhost

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

var discard = slog.New(slog.DiscardHandler)

// declared is what the odd actuator describes.
func declared(t *testing.T) actuation.Manifest {
	t.Helper()
	o, err := Open(t.Context(), theirs(t, "patient"), Config{Logger: discard, Dir: shortDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	return o.Manifest
}

// installation is the odd actuator at a merchant. The test binary runs it
// without arguments, so that it says by its name what it is.
func installation(t *testing.T, m actuation.Manifest, id, merchant string) actuation.Installation {
	t.Helper()
	s := theirs(t)
	return actuation.Installation{ID: id, Tenant: tenancy.Tenant{MerchantID: merchant, No: 1}, Path: s.Command, SHA256: s.SHA256, Manifest: m}
}

func (b *bundle) served(t *testing.T, id, merchant string) {
	t.Helper()
	eventually(t, func() bool {
		for _, in := range b.InstalledFor(merchant) {
			if in.ID == id {
				for _, r := range b.Reports() {
					if r.Installation == id && r.Status.State == actuation.StateReady {
						return true
					}
				}
			}
		}
		return false
	})
}

// TestInstalled: a merchant's actuator serves that merchant alone, is replaced
// by its successor once that is ready, and is gone when it is uninstalled.
func TestInstalled(t *testing.T) {
	t.Parallel()
	m := declared(t)
	b := setup(t, Config{})
	ask := func(merchant string) (int, error) {
		a, err := b.For(actuation.KindEnrichment, merchant)
		if err != nil {
			return 0, err
		}
		_, err = a.PlanBatch(t.Context(), []actuation.Snapshot{{ID: "1", Kind: actuation.KindEnrichment, MerchantID: merchant}})
		return a.(*actuator).current.Load().cmd.Process.Pid, err
	}
	one, two := installation(t, m, "ins_1", "mer_1"), installation(t, m, "ins_2", "mer_2")
	b.Install([]actuation.Installation{one, two})
	b.served(t, "ins_1", "mer_1")
	b.served(t, "ins_2", "mer_2")
	p1, err1 := ask("mer_1")
	p2, err2 := ask("mer_2")
	if err1 != nil || err2 != nil || p1 == p2 {
		t.Errorf("two merchants share a process: %d %v, %d %v", p1, err1, p2, err2)
	}
	if _, err := ask("mer_3"); !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Errorf("a merchant without one: %v", err)
	}

	next := installation(t, m, "ins_3", "mer_1")
	b.Install([]actuation.Installation{next, two})
	for ready := false; !ready; ready = b.InstalledFor("mer_1")[0].ID == "ins_3" {
		if _, err := ask("mer_1"); err != nil {
			t.Fatalf("a call failed during the upgrade: %v", err)
		}
	}
	if after, err := ask("mer_1"); err != nil || after == p1 {
		t.Errorf("the old process still serves: %v", err)
	}
	eventually(t, func() bool { return !alive(p1) })

	// A successor that cannot start changes nothing.
	broken := installation(t, m, "ins_4", "mer_1")
	broken.Path += "-gone"
	b.Install([]actuation.Installation{broken, two})
	eventually(t, func() bool {
		for _, r := range b.Reports() {
			if r.Installation == "ins_4" && r.Status.State == actuation.StateFailed {
				return true
			}
		}
		return false
	})
	if _, err := ask("mer_1"); err != nil || b.InstalledFor("mer_1")[0].ID != "ins_3" {
		t.Errorf("a broken successor took over: %v", err)
	}

	b.Install([]actuation.Installation{two})
	if _, err := ask("mer_1"); !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Errorf("uninstalled, it still serves: %v", err)
	}
	if _, err := ask("mer_2"); err != nil {
		t.Error(err)
	}
}

// TestFailover: a killed actuator fails what was in flight and is back; its
// policy is known while it is away.
func TestFailover(t *testing.T) {
	t.Parallel()
	m := declared(t)
	b := setup(t, Config{})
	b.Install([]actuation.Installation{installation(t, m, "ins_1", "mer_1")})
	b.served(t, "ins_1", "mer_1")
	planner := &actuation.Planner{Registry: b.Host, Rejected: b.Rejected}
	sale := func() actuation.Outcome {
		return planner.Plan(t.Context(), []actuation.Snapshot{{ID: "1", Kind: actuation.KindEnrichment, MerchantID: "mer_1"}})[0]
	}
	if o := sale(); o.Err != nil {
		t.Fatal(o.Err)
	}
	a, _ := b.For(actuation.KindEnrichment, "mer_1")
	if err := syscall.Kill(a.(*actuator).current.Load().cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for {
		o := sale()
		if o.Actuator.Policy != actuation.Optional {
			t.Fatalf("its policy is unknown: %+v", o)
		}
		if o.Err == nil && b.Reports()[0].Status.Restarts > 0 {
			break
		}
		if time.Since(killed) > patience {
			t.Fatal(o.Err)
		}
	}
	t.Logf("back after %v", time.Since(killed))
	if u := b.Reports()[0].Usage; u.Calls < 2 || u.P50 <= 0 || u.P99 < u.P50 {
		t.Errorf("it counts %+v", u)
	}
}
