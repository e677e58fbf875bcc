package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc/connectivity"

	"github.com/feddi/feddi/core/actuation"
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
	meter    meter

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
	return actuation.Status{Manifest: v.manifest, State: v.state, Since: v.since, Reason: v.reason, Restarts: v.restarts}
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

// supervise keeps the actuator running until ctx ends. It stays on one thread:
// Linux kills a child when the thread that made it ends, and the Go runtime
// would be free to end any other.
func (a *actuator) supervise(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer a.set(actuation.StateStopped, "the host stopped it", nil)
	retry := &retries{cfg: &a.host.cfg}
	for ctx.Err() == nil {
		p, err := a.launch(ctx)
		if err == nil {
			a.current.Store(p)
			a.set(actuation.StateReady, "", func(v *view) { v.manifest = p.manifest })
			err = a.watch(ctx, p)
			a.current.Store(nil)
		}
		if ctx.Err() == nil {
			a.pause(ctx, p, err, retry)
		} else if p != nil {
			p.end()
		}
	}
}

// pause clears away the process p that failed, nil where there was none, and
// waits as long as the budget of restarts demands.
func (a *actuator) pause(ctx context.Context, p *process, cause error, retry *retries) {
	a.log.Warn("actuator is down", "cause", cause)
	delay, failed := retry.after(p, cause, time.Now())
	state := actuation.StateStarting
	if failed {
		state = actuation.StateFailed
	}
	a.set(state, cause.Error(), func(v *view) { v.restarts++ })
	if p != nil {
		p.kill()
		p.end()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watch returns why the process can no longer be used; ctx's error when it ends.
func (a *actuator) watch(ctx context.Context, p *process) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The death of a process closes its socket: no need to wait for a ping.
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		p.conn.WaitForStateChange(ctx, connectivity.Ready)
	}()
	defer func() { cancel(); <-lost }()

	ticker := time.NewTicker(a.host.cfg.PingEvery)
	defer ticker.Stop()
	h := health{actuator: a, process: p}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-lost:
			return errors.New("its connection was lost: the process died")
		case <-p.tripped:
			h.look()
		case <-ticker.C:
			if err := h.check(ctx); err != nil {
				return err
			}
		}
	}
}

// health judges a running process by its pings and its breaker.
type health struct {
	*actuator

	process *process
	misses  int
	missed  string    // why the last ping failed; empty where it did not
	open    time.Time // since when the breaker is not closed; zero while it is
}

// check pings, and says why the process must be restarted, if it must.
func (h *health) check(ctx context.Context) error {
	err := h.process.ping(ctx, h.host.cfg.PingTimeout)
	if ctx.Err() != nil {
		return ctx.Err() // the host is stopping; the ping says nothing
	}
	h.missed = ""
	if err != nil {
		h.missed = err.Error()
		h.misses++
	} else {
		h.misses = 0
	}
	if h.misses >= h.host.cfg.PingMisses {
		return fmt.Errorf("it missed %d pings: %s", h.misses, h.missed)
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

// retries is the restart policy of one actuator: full-jitter backoff, and a
// budget per window.
type retries struct {
	cfg    *Config
	recent []time.Time // failures within the window
}

// after says how long to wait after a failure at now of the process p, nil where
// none came up, and whether the actuator counts as failed. A process that lived longer than the window starts the
// backoff anew.
func (r *retries) after(p *process, cause error, now time.Time) (delay time.Duration, failed bool) {
	if p != nil && now.Sub(p.started) > r.cfg.Window {
		r.recent = nil
	}
	for len(r.recent) > 0 && now.Sub(r.recent[0]) > r.cfg.Window {
		r.recent = r.recent[1:]
	}
	r.recent = append(r.recent, now)
	// A wrong file does not become right by trying again soon.
	if errors.Is(cause, plugin.ErrChecksumsDoNotMatch) || errors.Is(cause, errUnfit) || len(r.recent) > r.cfg.Budget {
		r.recent = nil
		return r.cfg.Cooldown, true
	}
	// One that worked until now is back at once: callers are waiting.
	if p != nil && len(r.recent) == 1 {
		return 0, false
	}
	bound := r.cfg.BackoffMin << min(len(r.recent)-1, 20)
	if bound > r.cfg.BackoffMax || bound <= 0 {
		bound = r.cfg.BackoffMax
	}
	return rand.N(bound), false
}
