// Package pluginhost runs actuators as processes of their own and puts them
// behind the core's port. It starts them (all at once), watches them, restarts
// them within a budget, bounds every call in time, size and number, and turns
// whatever can go wrong with a process into typed errors. It proves nothing of
// what a plan says: that is core/actuation's.
package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost/folder"
	"github.com/feddi/feddi/adapters/pluginhost/restart"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
)

// Config is what a Host needs. Zero durations and counts mean the default.
type Config struct {
	// Specs are the actuators. Where two serve the same decision kind, the
	// earlier one does.
	Specs []Spec
	// Version of the host, for the actuators' logs.
	Version string
	// Logger gets the host's and the actuators' lines; default slog.Default.
	Logger *slog.Logger
	// Clock dates changes of state; default the system's.
	Clock clock.Clock
	// Changed hears of every change of state, in order per actuator, on the
	// goroutine that supervises it: it must not block for long, and must not
	// call Stop.
	Changed func(Change)
	// Dir is where the private directory for sockets is made; default the
	// system's temporary directory. Its path should be short: a socket's path
	// may have 107 bytes.
	Dir string

	StartTimeout time.Duration // from exec to described; default 10 s
	PingEvery    time.Duration // default 3 s
	PingTimeout  time.Duration // default 1 s
	PingMisses   int           // missed pings until a restart; default 2
	Concurrency  int           // calls in flight per actuator; default 16
	BreakerTrips int           // consecutive failures that open the breaker; default 5
	BreakerRest  time.Duration // how long it stays open; default 1 s
	HungAfter    time.Duration // breaker not closed for so long: restart; default 10 s
	BackoffMin   time.Duration // bound of the first random delay; default 50 ms
	BackoffMax   time.Duration // bound of the longest; default 5 s
	Budget       int           // restarts within Window until failed; default 5
	Window       time.Duration // default 1 min
	Cooldown     time.Duration // failed: time until another try; default 30 s
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	for _, d := range []struct {
		at       *time.Duration
		standard time.Duration
	}{
		{&c.StartTimeout, 10 * time.Second}, {&c.PingEvery, 3 * time.Second}, {&c.PingTimeout, time.Second}, {&c.BreakerRest, time.Second},
		{&c.HungAfter, 10 * time.Second}, {&c.BackoffMin, 50 * time.Millisecond}, {&c.BackoffMax, 5 * time.Second}, {&c.Window, time.Minute},
		{&c.Cooldown, 30 * time.Second},
	} {
		if *d.at <= 0 {
			*d.at = d.standard
		}
	}
	for _, n := range []struct {
		at       *int
		standard int
	}{{&c.PingMisses, 2}, {&c.Concurrency, 16}, {&c.BreakerTrips, 5}, {&c.Budget, 5}} {
		if *n.at <= 0 {
			*n.at = n.standard
		}
	}
	return c
}

func (c Config) retries() *restart.Retries {
	return &restart.Retries{Policy: restart.Policy{Min: c.BackoffMin, Max: c.BackoffMax, Budget: c.Budget, Window: c.Window, Cooldown: c.Cooldown}}
}

// Change is an actuator entering a state.
type Change struct {
	Name    string
	Version string // empty until it described itself
	// Installation is what a merchant installed; nil for the host's own actuators.
	Installation *actuation.Installation
	From, To     actuation.State
	Reason       string // for operators; empty while all is well
	At           time.Time
}

// Host supervises actuators. It implements actuation.Registry.
type Host struct {
	cfg       Config
	actuators []*actuator
	folder    *folder.Folder // for sockets; nil before Start
	own       installed

	mu     sync.Mutex
	cancel context.CancelFunc // set while started
	wg     sync.WaitGroup
}

var _ actuation.Registry = (*Host)(nil)

// New checks the configuration; it starts nothing. Errors name the spec.
func New(cfg Config) (*Host, error) {
	cfg = cfg.withDefaults()
	h := &Host{cfg: cfg}
	for _, spec := range cfg.Specs {
		if err := spec.check(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(h.actuators, func(a *actuator) bool { return a.spec.Name == spec.Name }) {
			return nil, fmt.Errorf("pluginhost: two actuators are named %s; names are unique on a host", spec.Name)
		}
		h.actuators = append(h.actuators, newActuator(h, spec))
	}
	return h, nil
}

// Start starts every actuator, side by side, and returns without waiting for
// them: use WaitReady. They live until Stop, whatever becomes of ctx, so that
// requests in flight can finish while a process drains. Errors: started
// before, or no directory for sockets.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.folder != nil {
		return errors.New("pluginhost: a host is started once")
	}
	f, err := folder.Make(h.cfg.Dir)
	if err != nil {
		return fmt.Errorf("pluginhost: making a directory for sockets: %w", err)
	}
	h.folder = f
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	h.own.life = life //nolint:fatcontext // installed actuators start at any time and live as long as the host
	for _, a := range h.actuators {
		h.wg.Go(func() { a.supervise(life) })
	}
	return nil
}

// Stop refuses new calls, lets those in flight finish until ctx ends, and then
// ends the processes. It returns when they are gone. Stopping twice, or before
// Start, does nothing.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	cancel := h.cancel
	h.cancel = nil
	h.mu.Unlock()
	if cancel == nil {
		return nil
	}
	var draining sync.WaitGroup
	for _, a := range append(h.own.all(), h.actuators...) {
		draining.Go(func() { a.drain(ctx) })
	}
	draining.Wait()
	cancel()
	h.wg.Wait()
	return h.folder.Remove()
}

// WaitReady returns nil once every actuator is ready. Errors: ctx's, or why an
// actuator failed or was stopped.
func (h *Host) WaitReady(ctx context.Context) error {
	for _, a := range h.actuators {
		if err := a.waitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// For implements actuation.Registry. A merchant is served by what it installed
// (see Install), else by the host's own actuators. What it installed is given
// even while it is down, so that its policy is known; its calls say so then.
func (h *Host) For(kind actuation.Kind, merchantID string) (actuation.Actuator, error) {
	if a := h.own.serving(kind, merchantID); a != nil {
		return a, nil
	}
	for _, a := range h.actuators {
		view := a.view.Load()
		if !view.manifest.Serves(kind) {
			continue
		}
		if !a.draining.Load() && (view.state == actuation.StateReady || view.state == actuation.StateDegraded) {
			return a, nil
		}
		return nil, actuation.Unavailable(a.spec.Name, &actuation.Failure{Code: "not_running", Message: string(view.state) + ": " + view.reason, Retryable: true})
	}
	return nil, actuation.Unavailable(string(kind), &actuation.Failure{
		Code: "not_running", Message: fmt.Sprintf("no running actuator serves %s for merchant %s; there are: %s", kind, merchantID, h.names()), Retryable: true,
	})
}

func (h *Host) names() string {
	names := make([]string, len(h.actuators))
	for i, a := range h.actuators {
		names[i] = a.spec.Name + " (" + string(a.view.Load().state) + ")"
	}
	return strings.Join(names, ", ")
}

// All implements actuation.Registry, in the order of the specs. What merchants
// installed is not among them: see Installed.
func (h *Host) All() []actuation.Status {
	all := make([]actuation.Status, len(h.actuators))
	for i, a := range h.actuators {
		all[i] = a.status()
	}
	return all
}
