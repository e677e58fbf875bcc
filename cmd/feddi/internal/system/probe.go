package system

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
)

const (
	probeEvery = 500 * time.Millisecond
	probeLimit = time.Second
)

// probe keeps what GET /health answers, so that health never asks the database.
type probe struct {
	db        *pg.DB
	actuators actuation.Registry
	log       *slog.Logger

	mu       sync.Mutex
	health   feddi.Health
	draining bool
	change   chan struct{} // closed and replaced when health changes
}

func newProbe(db *pg.DB, actuators actuation.Registry, log *slog.Logger) *probe {
	return &probe{db: db, actuators: actuators, log: log, change: make(chan struct{}),
		health: feddi.Health{Degraded: []string{"starting"}}}
}

// Health implements feddi.Probe.
func (p *probe) Health() feddi.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.health
}

// run looks until ctx ends.
func (p *probe) run(ctx context.Context) {
	for {
		p.look(ctx)
		if !clock.Wait(ctx, p.pause()) {
			return
		}
	}
}

// pause is short while something is out, so that a recovery shows at once.
func (p *probe) pause() time.Duration {
	if p.Health().Ready {
		return probeEvery
	}
	return probeEvery / 20
}

func (p *probe) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	var out []string
	ready := true
	if err := p.db.Ping(ctx); err != nil {
		out, ready = append(out, "database"), false
	}
	for _, a := range p.actuators.All() {
		if a.State == actuation.StateReady {
			continue
		}
		out = append(out, "actuator:"+a.Manifest.Name)
		// A system without an optional actuator serves on; one that has never
		// had it ready is still starting.
		if a.Manifest.Policy != actuation.Optional {
			ready = false
		}
	}
	p.set(ready, out)
}

func (p *probe) set(ready bool, degraded []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		ready, degraded = false, append(degraded, "draining")
	}
	if ready != p.health.Ready {
		p.log.Info("health changed", "ready", ready, "degraded", degraded)
		close(p.change)
		p.change = make(chan struct{})
	}
	p.health = feddi.Health{Ready: ready, Degraded: degraded}
}

// drain makes health 503 for good.
func (p *probe) drain() {
	p.mu.Lock()
	p.draining = true
	p.mu.Unlock()
	p.set(false, nil)
}

// wait returns nil once the server is ready.
func (p *probe) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		ready, change := p.health.Ready, p.change
		p.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the server did not become healthy in time")
		case <-change:
		}
	}
}
