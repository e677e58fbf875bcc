package webhookhttp

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/webhook"
)

const (
	// swift is the mean answer below which an endpoint counts as quick: then a run
	// waits for its answers, so that a delivery is written once, with its outcome.
	swift = 25 * time.Millisecond
	// runLimit is how long a run waits for the quick at most: the others behind it
	// wait as long.
	runLimit = 100 * time.Millisecond
	// recordLimit bounds the writing down of what was posted when the server stops.
	recordLimit = 5 * time.Second
)

// Handle gives a run of events to their subscriptions. It is the consumer
// "webhooks" of the event log.
//
// What goes to an endpoint that is well is posted at once, out of memory, and
// written down with what became of it, or as under way where the endpoint takes
// its time. The rest is written down for the lanes to claim. Until all of it is
// written the run counts as not handled, and comes again after a crash: a post may
// then be made twice, and none is lost.
func (w *Worker) Handle(ctx context.Context, events []event.Logged) error {
	routes, err := w.queue.Route(ctx, events)
	if err != nil || len(routes) == 0 {
		return err
	}
	r := &run{w: w, at: w.clock.Now(), careful: w.careful.Load(), failures: map[string]int{}}
	for _, to := range routes {
		r.give(to)
	}
	r.wait(ctx)
	return r.record(ctx)
}

// run is a run of the log on its way out.
type run struct {
	w       *Worker
	at      time.Time
	careful bool // nothing could be written lately: post what is written down only
	shares  []*share
	made    []webhook.Made
	// failures in a row, of the endpoints that answered
	failures map[string]int
	ring     []string // lanes that have something to claim
}

// share is what one subscription gets of a run.
type share struct {
	lane  *lane
	batch *batch // what is posted at once
	quick bool
}

// give hands a subscription its events: to its lane what that takes at once.
func (r *run) give(to webhook.Route) {
	jobs := make([]*job, len(to.Events))
	for i, e := range to.Events {
		jobs[i] = &job{
			Claimed: webhook.Claimed{Attempt: 1, CreatedAt: r.at, Event: e.Event},
			event:   e, made: r.w.ids.Make(ids.Delivery),
		}
	}
	taken := 0
	if !r.careful {
		if s := r.w.offer(to.Subscription, jobs); s != nil {
			r.shares, taken = append(r.shares, s), len(s.batch.jobs)
		}
	}
	if len(jobs) > taken {
		r.wake(to.Subscription)
	}
	for _, j := range jobs[taken:] {
		r.add(to.Subscription.ID, j, notPosted(0, r.at))
	}
}

func (r *run) wake(s webhook.Subscription) {
	if s.Status == webhook.Active {
		r.ring = append(r.ring, s.ID)
	}
}

func (r *run) add(subscription string, j *job, o webhook.Outcome) {
	r.made = append(r.made, webhook.Made{
		ID: j.made, SubscriptionID: subscription, Event: j.event, CreatedAt: r.at, Outcome: o, UnderWay: j.stage == sealed,
	})
}

// wait waits for the quick endpoints, for runLimit at most.
func (r *run) wait(ctx context.Context) {
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	for _, s := range r.shares {
		if !s.quick {
			continue
		}
		select {
		case <-s.batch.done:
		case <-limit.C:
			return
		case <-ctx.Done():
			r.last()
			return
		}
	}
}

// last waits for every post when the server stops.
func (r *run) last() {
	limit := time.NewTimer(recordLimit)
	defer limit.Stop()
	for _, s := range r.shares {
		select {
		case <-s.batch.done:
		case <-limit.C:
			return
		}
	}
}

// record writes the run down, also when the server stops: what was posted was.
func (r *run) record(ctx context.Context) error {
	for _, s := range r.shares {
		id := s.lane.id
		failures, answered, left := s.lane.seal(s.batch, s.quick, r.at)
		for _, j := range s.batch.jobs {
			if j.stage == sealed {
				r.add(id, j, webhook.Outcome{State: webhook.Pending, DueAt: r.at.Add(lease)})
			} else {
				r.add(id, j, j.outcome)
			}
		}
		if answered {
			r.failures[id] = failures
		}
		if left {
			r.wake(s.batch.to.Subscription)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	numbers, err := r.w.queue.Record(ctx, r.made, r.failures)
	r.w.careful.Store(err != nil)
	for _, s := range r.shares {
		s.lane.written(s.batch, numbers)
	}
	if err == nil {
		r.w.wake(r.ring)
	}
	return err
}
