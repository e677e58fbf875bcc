package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/sony/gobreaker/v2"

	"github.com/feddi/feddi/adapters/pluginhost/meter"
	"github.com/feddi/feddi/adapters/pluginhost/restart"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
)

// actuator is one spec over all its lives: the same value serves callers
// before and after a restart.
type actuator struct {
	host  *Host
	spec  Spec
	log   *slog.Logger
	slots [2]chan struct{} // by lane; one token per call in flight

	current  atomic.Pointer[process] // nil while none runs
	view     atomic.Pointer[view]    // what callers and operators see
	draining atomic.Bool             // the host is stopping it
	meter    meter.Meter
	spare    atomic.Int64           // process id of the standby; 0 while none is ready
	unbacked atomic.Pointer[string] // why there is no standby where there should be one

	mu      sync.Mutex    // guards changes of view
	changed chan struct{} // closed and replaced at every change
}

// view is the state of an actuator at a moment; never changed once stored.
type view struct {
	manifest actuation.Manifest
	state    actuation.State
	since    time.Time
	reason   string
	restarts int
}

func newActuator(h *Host, spec Spec) *actuator {
	a := &actuator{
		host: h, spec: spec, log: h.cfg.Logger.With("actuator", spec.Name),
		slots: [...]chan struct{}{plans: make(chan struct{}, h.cfg.Concurrency), commands: make(chan struct{}, commandsAtOnce)}, changed: make(chan struct{}),
	}
	declared := actuation.Manifest{Name: spec.Name}
	if spec.Manifest != nil {
		declared = *spec.Manifest
	}
	a.view.Store(&view{manifest: declared, state: actuation.StateStarting, since: h.cfg.Clock.Now()})
	return a
}

func (a *actuator) status() actuation.Status {
	v := a.view.Load()
	s := actuation.Status{Manifest: v.manifest, State: v.state, Since: v.since, Reason: v.reason, Restarts: v.restarts}
	if lack := a.unbacked.Load(); lack != nil && s.State == actuation.StateReady {
		s.Reason = *lack
	}
	return s
}

// set enters a state and tells whoever listens. Only the supervising goroutine
// calls it.
func (a *actuator) set(state actuation.State, reason string, edit func(*view)) {
	a.mu.Lock()
	before := a.view.Load()
	after := *before
	after.state, after.reason = state, reason
	if edit != nil {
		edit(&after)
	}
	if state != before.state {
		after.since = a.host.cfg.Clock.Now()
	}
	a.view.Store(&after)
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	if state == before.state {
		return
	}
	a.log.Info("actuator changed state", "from", before.state, "to", state, "reason", reason)
	if a.host.cfg.Changed != nil {
		a.host.cfg.Changed(Change{Name: a.spec.Name, Installation: a.spec.Installation, Version: after.manifest.Version, From: before.state, To: state, Reason: reason, At: after.since})
	}
}

// waitReady returns when the actuator is ready, or cannot be.
func (a *actuator) waitReady(ctx context.Context) error {
	for {
		a.mu.Lock()
		v, changed := a.view.Load(), a.changed
		a.mu.Unlock()
		switch v.state {
		case actuation.StateReady:
			return nil
		case actuation.StateFailed, actuation.StateStopped:
			return fmt.Errorf("actuator %s is %s: %s", a.spec.Name, v.state, v.reason)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for actuator %s, which is %s %s: %w", a.spec.Name, v.state, v.reason, ctx.Err())
		}
	}
}

// supervise keeps the actuator running until ctx ends.
func (a *actuator) supervise(ctx context.Context) {
	defer a.set(actuation.StateStopped, "the host stopped it", nil)
	spare := newStandby(a)
	var standing sync.WaitGroup
	back := sync.OnceFunc(func() {
		if a.spec.Standby {
			standing.Go(func() { spare.run(ctx) })
		}
	})
	defer standing.Wait()
	retry := a.host.cfg.retries()
	var p *process
	for ctx.Err() == nil {
		var err error
		if p == nil {
			if p = spare.await(ctx); p == nil {
				p, err = a.spawn(ctx)
			}
		}
		if err == nil {
			a.current.Store(p)
			a.set(actuation.StateReady, "", func(v *view) { v.manifest = p.manifest })
			back()
			err = a.watch(ctx, p)
		}
		if ctx.Err() == nil {
			p = a.succeed(ctx, p, err, retry, spare)
		}
	}
	a.current.Store(nil)
	if p != nil {
		p.end()
	}
}

// succeed clears away the process p that failed, nil where there was none. It
// returns the standby, which serves already; where there is none, nil after as
// long as the budget of restarts demands.
func (a *actuator) succeed(ctx context.Context, p *process, cause error, retry *restart.Retries, spare *standby) *process {
	rest, failed := retry.After(p.since(), hopeless(cause), time.Now())
	if !failed {
		if next := spare.take(ctx, rest); next != nil {
			a.log.Warn("actuator is down; its standby takes over", "cause", cause, "pid", next.cmd.Process.Pid)
			next.started = time.Now()
			a.current.Store(next)
			a.set(actuation.StateReady, "", func(v *view) { v.restarts++ })
			a.host.wg.Go(p.discard)
			return next
		}
	}
	a.log.Warn("actuator is down", "cause", cause)
	a.current.Store(nil)
	state := actuation.StateStarting
	if failed {
		state = actuation.StateFailed
	}
	a.set(state, cause.Error(), func(v *view) { v.restarts++ })
	p.discard()
	clock.Wait(ctx, rest)
	return nil
}

// hopeless reports whether a start that failed would fail again soon: a wrong
// file does not become right by trying.
func hopeless(cause error) bool {
	return errors.Is(cause, plugin.ErrChecksumsDoNotMatch) || errors.Is(cause, errUnfit)
}

// errLost is the death of a process: it closes its socket, so no ping has to
// miss.
var errLost = errors.New("its connection was lost: the process died")

// watch returns why the process can no longer be used; ctx's error when it ends.
func (a *actuator) watch(ctx context.Context, p *process) error {
	ticker := time.NewTicker(a.host.cfg.PingEvery)
	defer ticker.Stop()
	h := health{pulse: pulse{actuator: a, process: p}}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.lost:
			return errLost
		case <-p.tripped:
			h.look()
		case <-ticker.C:
			if err := h.check(ctx); err != nil {
				return err
			}
		}
	}
}

// pulse counts the pings that a process missed.
type pulse struct {
	*actuator

	process *process
	misses  int
	missed  string // why the last ping failed; empty where it did not
}

// check pings, and says why the process must be replaced, if it must.
func (u *pulse) check(ctx context.Context) error {
	err := u.process.ping(ctx, u.host.cfg.PingTimeout)
	if ctx.Err() != nil {
		return ctx.Err() // the host is stopping; the ping says nothing
	}
	if err == nil {
		u.misses, u.missed = 0, ""
		return nil
	}
	u.misses, u.missed = u.misses+1, err.Error()
	if u.misses >= u.host.cfg.PingMisses {
		return fmt.Errorf("it missed %d pings: %s", u.misses, u.missed)
	}
	return nil
}

// health judges a running process by its pings and its breaker.
type health struct {
	pulse

	open time.Time // since when the breaker is not closed; zero while it is
}

// check says why the process must be restarted, if it must.
func (h *health) check(ctx context.Context) error {
	if err := h.pulse.check(ctx); err != nil {
		return err
	}
	h.look()
	if !h.open.IsZero() && time.Since(h.open) >= h.host.cfg.HungAfter {
		return fmt.Errorf("its calls failed for %v", h.host.cfg.HungAfter)
	}
	return nil
}

// look sets ready or degraded.
func (h *health) look() {
	closed := h.process.breakers[plans].State() == gobreaker.StateClosed
	switch {
	case closed:
		h.open = time.Time{}
	case h.open.IsZero():
		h.open = time.Now()
	}
	switch {
	case !closed:
		h.set(actuation.StateDegraded, "its calls fail", nil)
	case h.missed != "":
		h.set(actuation.StateDegraded, "it missed a ping: "+h.missed, nil)
	default:
		h.set(actuation.StateReady, "", nil)
	}
}
