// Package webhookhttp delivers webhooks: claims due deliveries under a lease,
// posts them outside any transaction, and records what came of it. Each
// subscription has a lane of its own, so a dead or slow endpoint delays nobody
// else.
package webhookhttp

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

const (
	// concurrency is how many posts one endpoint gets at a time.
	concurrency = 16
	// claimSize is how many deliveries one claim takes.
	claimSize = 100
	// lease is how long a claim keeps a delivery from other workers; longer than
	// all that can happen to a claim (claimSize/concurrency posts of postTimeout).
	lease = (claimSize/concurrency + 2) * postTimeout
	// sweepEvery is how often deliveries are looked for that nobody announced:
	// retries that fell due, and what a stopped server left.
	sweepEvery = time.Second
)

// Worker delivers. Make it with New, feed it with Handle, run it with Run.
type Worker struct {
	queue      webhook.Queue
	clock      clock.Clock
	log        *slog.Logger
	apiVersion string
	clients    map[tenancy.Mode]*http.Client
	random     func() float64

	mu      sync.Mutex
	lanes   map[string]*lane
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // lanes start at any time and live as long as Run
}

// New returns a worker; apiVersion is the version that event data follows.
func New(q webhook.Queue, c clock.Clock, apiVersion string, log *slog.Logger) *Worker {
	return &Worker{
		queue: q, clock: c, log: log, apiVersion: apiVersion, random: rand.Float64, lanes: map[string]*lane{},
		clients: map[tenancy.Mode]*http.Client{
			tenancy.Sandbox: newClient(tenancy.Sandbox), tenancy.Production: newClient(tenancy.Production),
		},
	}
}

// Handle fans a run of events out to their subscriptions and wakes their
// lanes. It is the consumer "webhooks" of the event log.
func (w *Worker) Handle(ctx context.Context, events []event.Logged) error {
	got, err := w.queue.FanOut(ctx, events)
	if err != nil {
		return err
	}
	w.wake(got)
	return nil
}

// Run delivers until ctx ends, then lets posts under way finish.
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
	defer w.closeIdle()
	defer w.running.Wait()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		waiting, err := w.queue.Waiting(ctx, w.clock.Now())
		if err != nil && ctx.Err() == nil {
			w.log.Error("due webhook deliveries cannot be read", "error", err)
		}
		w.wake(waiting)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *Worker) closeIdle() {
	for _, c := range w.clients {
		c.CloseIdleConnections()
	}
}

// wake tells the lanes of subscriptions that something is due, and opens those
// that are not open.
func (w *Worker) wake(subscriptions []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil || w.ctx.Err() != nil {
		return
	}
	for _, id := range subscriptions {
		l := w.lanes[id]
		if l == nil {
			l = &lane{w: w, id: id, bell: make(chan struct{}, 1)}
			w.lanes[id] = l
			w.running.Go(func() { l.run(w.ctx) })
		}
		l.ring()
	}
}

// leave closes a lane unless it was rung meanwhile; it reports whether it did.
func (w *Worker) leave(l *lane) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-l.bell:
		return false
	default:
		delete(w.lanes, l.id)
		return true
	}
}
