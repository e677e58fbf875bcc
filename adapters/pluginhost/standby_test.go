package pluginhost

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

// backed waits for a standby other than last, and returns it.
func (b *bundle) backed(t *testing.T, last int) (standby int) {
	t.Helper()
	eventually(t, func() bool {
		standby = b.Reports()[0].Standby
		return standby != 0 && standby != last
	})
	return standby
}

// backedPatient has time, so that a busy machine fails no plan.
func backedPatient() Spec {
	s := Self("odd", "actuator", "patient")
	s.Standby = true
	return s
}

// kill kills a process and waits until the host serves with another one.
func (b *bundle) kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { now := b.Reports()[0].Pid; return now != pid && now != 0 })
}

// noChange fails where the actuator left a state.
func (b *bundle) noChange(t *testing.T) {
	t.Helper()
	select {
	case c := <-b.changes:
		t.Errorf("%+v", c)
	default:
	}
}

// TestStandbyTakesOver kills the serving process again and again under load: no
// plan fails, the standby serves, and it gets a standby of its own.
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{backedPatient()}, BackoffMin: time.Millisecond})
	b.ready(t)
	b.await(t, actuation.StateReady)
	var (
		callers sync.WaitGroup
		planned atomic.Int64
		stop    = make(chan struct{})
	)
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := b.plan(t.Context(), "", ""); err != nil {
					t.Error(err)
					return
				}
				planned.Add(1)
			}
		})
	}
	for range 3 {
		serving, standby := b.pid(0), b.backed(t, 0)
		before := planned.Load()
		eventually(t, func() bool { return planned.Load() > before+20 })
		b.kill(t, serving)
		if now := b.pid(0); now != standby {
			t.Errorf("%d serves, not the standby %d", now, standby)
		}
		before = planned.Load()
		eventually(t, func() bool { return planned.Load() > before+20 })
		b.backed(t, standby)
		eventually(t, func() bool { return !alive(serving) })
	}
	close(stop)
	callers.Wait()
	b.noChange(t) // callers noticed nothing, so nothing was out
	if s := b.All()[0]; s.Restarts != 3 || s.State != actuation.StateReady || s.Reason != "" {
		t.Errorf("%+v", s)
	}
}

// TestPlanIsAskedAgain: a plan whose process dies of it is asked of the standby,
// once.
func TestPlanIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{backedPatient()}, BackoffMin: time.Millisecond, BreakerTrips: 1})
	b.ready(t)
	first := b.pid(0)
	b.backed(t, 0)
	file := fmt.Sprintf(`{"file":%q}`, tempFile(t))
	if _, err := b.plan(t.Context(), "exit-once", file); err != nil {
		t.Error(err)
	}
	second := b.pid(0)
	if first == second {
		t.Error("the process is still the one that died")
	}
	b.backed(t, second)
	_, err := b.plan(t.Context(), "exit", "") // whoever is asked dies
	if f := actuation.FailureOf(err); !fault.Is(err, fault.CodeActuatorUnavailable) || f == nil || !f.Retryable {
		t.Errorf("%v", err)
	}
	eventually(t, func() bool { _, err := b.plan(t.Context(), "", ""); return err == nil })
	if s := b.All()[0]; s.Restarts != 3 {
		t.Errorf("it was asked of more processes than two: %+v", s)
	}
}

// TestStandbyDies: one that is killed, or hangs, is replaced; what serves serves.
func TestStandbyDies(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "hung": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{
				Specs: []Spec{standing("wallet")}, BackoffMin: time.Millisecond,
				PingEvery: 50 * time.Millisecond, PingTimeout: 3 * time.Second, PingMisses: 1,
			})
			b.ready(t)
			b.await(t, actuation.StateReady)
			serving, standby := b.pid(0), b.backed(t, 0)
			if err := syscall.Kill(standby, signal); err != nil {
				t.Fatal(err)
			}
			b.backed(t, standby)
			eventually(t, func() bool { return !alive(standby) })
			if b.pid(0) != serving || b.All()[0].Restarts != 0 {
				t.Errorf("%+v", b.Reports()[0])
			}
			b.noChange(t)
		})
	}
}

// TestStandbyIsWithinTheBudget: deaths count, whoever takes over.
func TestStandbyIsWithinTheBudget(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{standing("wallet")}, Budget: 1, Cooldown: time.Hour})
	b.ready(t)
	standby := b.backed(t, 0)
	b.kill(t, b.pid(0))
	b.backed(t, standby)
	if err := syscall.Kill(b.pid(0), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.await(t, actuation.StateFailed)
	if _, err := b.For(actuation.KindWalletDebit, "mer_1"); !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Error(err)
	}
}

// TestStandbyDiesToo: where both die at once it is a start, as without a standby.
func TestStandbyDiesToo(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{standing("wallet")}, Budget: 2, BackoffMin: time.Millisecond, Cooldown: time.Hour})
	b.ready(t)
	serving, standby := b.pid(0), b.backed(t, 0)
	for _, pid := range []int{standby, serving} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	b.await(t, actuation.StateStarting)
	b.await(t, actuation.StateReady)
	if now := b.pid(0); now == serving || now == standby || b.All()[0].Restarts == 0 {
		t.Errorf("%+v", b.Reports()[0])
	}
	b.backed(t, standby)
}

// TestStandbyCannotStart: the actuator is ready and says what it lacks; without
// a standby it fails over by a start, as others do.
func TestStandbyCannotStart(t *testing.T) {
	t.Parallel()
	odd := Self("odd", "actuator", "once", tempFile(t))
	odd.Standby = true
	b := setup(t, Config{Specs: []Spec{odd}, Budget: 1, BackoffMin: time.Millisecond, Cooldown: time.Hour})
	b.ready(t)
	eventually(t, func() bool {
		s := b.All()[0]
		return strings.Contains(s.Reason, "it has no standby") && s.State == actuation.StateReady
	})
	if _, err := b.plan(t.Context(), "", ""); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(b.pid(0), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.await(t, actuation.StateStarting)
	if c := b.await(t, actuation.StateFailed); strings.Contains(c.Reason, "standby") {
		t.Errorf("%+v", c)
	}
}

// TestStopEndsTheStandby: nothing is left behind.
func TestStopEndsTheStandby(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{standing("wallet")}})
	b.ready(t)
	serving, standby := b.pid(0), b.backed(t, 0)
	if err := b.Stop(t.Context()); err != nil || alive(serving) || alive(standby) {
		t.Errorf("%v, alive %v %v", err, alive(serving), alive(standby))
	}
	if r := b.Reports()[0]; r.Pid != 0 || r.Standby != 0 || r.Status.State != actuation.StateStopped {
		t.Errorf("%+v", r)
	}
}
