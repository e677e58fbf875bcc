// Package webhookhttp delivers webhooks: posts what the log brings out of memory
// and the rest as it is claimed under a lease, outside any transaction, and
// records what came of it. Each subscription has a lane of its own, so a dead or
// slow endpoint delays nobody else.
package webhookhttp

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
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
	ids        *ids.Source
	apiVersion string
	ways       map[tenancy.Mode]*http.Transport
	random     func() float64
	careful    atomic.Bool // what was posted could not be written down: write first

	mu      sync.Mutex
	lanes   map[string]*lane
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // lanes start at any time and live as long as Run; nil while it does not
}

// New returns a worker; apiVersion is the version that event data follows.
func New(q webhook.Queue, c clock.Clock, s *ids.Source, apiVersion string, log *slog.Logger) *Worker {
	return &Worker{
		queue: q, clock: c, log: log, ids: s, apiVersion: apiVersion, random: rand.Float64, lanes: map[string]*lane{},
		ways: map[tenancy.Mode]*http.Transport{
			tenancy.Sandbox: newTransport(tenancy.Sandbox), tenancy.Production: newTransport(tenancy.Production),
		},
	}
}

// Run delivers until ctx ends, then lets posts under way finish.
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
	defer w.closeIdle()
	defer w.running.Wait()
	defer w.shut()
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

// shut lets no lane open any more.
func (w *Worker) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx = nil
}

func (w *Worker) closeIdle() {
	for _, t := range w.ways {
		t.CloseIdleConnections()
	}
}

// open gives the lane of a subscription; the lock is held.
func (w *Worker) open(id string) *lane {
	l := w.lanes[id]
	if l == nil {
		l = newLane(w.ctx, w, id)
		w.lanes[id] = l
		w.running.Go(l.run)
	}
	return l
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
		ring(w.open(id).bell)
	}
}

// offer gives a subscription's lane jobs to post at once; nil where it takes none:
// the subscription is paused, its endpoint is down, or it wants its deliveries
// ordered, which takes the queue to see to.
func (w *Worker) offer(s webhook.Subscription, jobs []*job) *share {
	if s.Status != webhook.Active || s.Ordered {
		return nil
	}
	to, err := newTarget(s)
	if err != nil {
		return nil // the lane says why
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil || w.ctx.Err() != nil {
		return nil
	}
	l := w.open(s.ID)
	b, quick := l.offer(to, jobs)
	if b == nil {
		return nil
	}
	return &share{l, b, quick}
}

// leave closes a lane unless it was rung meanwhile or has something under way; it
// reports whether it did.
func (w *Worker) leave(l *lane) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.ctx.Err() == nil && (len(l.bell) > 0 || !l.idle() || !l.quiet()) {
		return false
	}
	delete(w.lanes, l.id)
	return true
}
