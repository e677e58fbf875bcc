package webhookhttp

import (
	"context"
	"sync"
	"time"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/webhook"
)

const (
	// linger is how long a lane with nothing to do stays open.
	linger = 5 * time.Second
	// settleTries is how often outcomes are recorded before they are given up, first
	// after settleAgain and then after twice as long each time: well within the lease.
	settleTries = 6
	settleAgain = 250 * time.Millisecond
)

// lane delivers to one subscription: what its runs of the log bring, and what
// it claims.
type lane struct {
	w    *Worker
	id   string
	bell chan struct{} // something may be due
	told chan struct{} // an outcome waits in late
	// ctx ends when the server stops; posts under way are finished all the same,
	// since their outcomes would be lost and the events posted twice.
	ctx context.Context //nolint:containedctx // posts begin at any time and live as long as the lane

	mu       sync.Mutex
	failures int               // in a row
	width    int               // posts at a time; one after an outage, then doubling
	mean     time.Duration     // of the answers of late; 0 before the first
	used     time.Time         // when a run last brought something
	waiting  []*job            // to be posted, in order
	posting  int               // posts under way
	held     int               // jobs of runs that went on without their outcomes
	late     []webhook.Outcome // of those
}

func newLane(ctx context.Context, w *Worker, id string) *lane {
	return &lane{w: w, id: id, ctx: ctx, bell: make(chan struct{}, 1), told: make(chan struct{}, 1), width: concurrency}
}

// ring rings a bell unless it rings already.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

func (l *lane) run() {
	for l.pause(l.drain()) {
	}
}

// pause waits until something may be due. It reports false when the lane ends.
func (l *lane) pause(wait time.Duration) bool {
	timer := time.NewTimer(min(wait, linger))
	defer timer.Stop()
	for {
		select {
		case <-l.ctx.Done():
			l.rest()
			l.w.leave(l)
			return false
		case <-l.told:
			l.settleLate()
		case <-l.bellOrProbe():
			return true
		case <-timer.C:
			return wait <= linger || l.probing() || !l.w.leave(l)
		}
	}
}

func (l *lane) probing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return webhook.Probing(l.failures)
}

// bellOrProbe gives the bell, or nothing while the endpoint is only probed: new
// events must not turn into new posts at a dead endpoint.
func (l *lane) bellOrProbe() <-chan struct{} {
	if l.probing() {
		return nil
	}
	return l.bell
}

// rest waits, when the server stops, until the posts under way have ended and
// are settled.
func (l *lane) rest() {
	limit := time.NewTimer(postTimeout + time.Second)
	defer limit.Stop()
	for !l.idle() {
		select {
		case <-l.told:
			l.settleLate()
		case <-limit.C:
			return
		}
	}
}

// idle reports whether nothing of the lane is under way.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.posting == 0 && l.held == 0 && len(l.waiting) == 0
}

// quiet reports whether nothing came to the lane for a while.
func (l *lane) quiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.clock.Now().Sub(l.used) >= linger
}

// drain delivers what is due and returns how long there is nothing to do.
func (l *lane) drain() time.Duration {
	const none = 2 * linger
	for l.ctx.Err() == nil {
		// Read before each claim: a pause, a new URL or a rotation holds for the
		// very next post, however long the backlog is.
		to, err := l.endpoint()
		if err != nil || to == nil {
			return l.trouble("read the subscription", err, none)
		}
		limit := claimSize
		if l.probing() {
			limit = 1
		}
		claimed, err := l.w.queue.Claim(l.ctx, to.Subscription, l.w.clock.Now(), lease, limit)
		if err != nil {
			return l.trouble("claim deliveries", err, time.Second)
		}
		if len(claimed) == 0 {
			return none
		}
		if err := l.deliver(*to, claimed); err != nil {
			return l.trouble("record deliveries", err, time.Second)
		}
		if l.probing() {
			return l.probeIn()
		}
	}
	return none
}

// endpoint reads where the lane leads; nil where that is gone or not active.
func (l *lane) endpoint() (*target, error) {
	sub, err := l.w.queue.Endpoint(l.ctx, l.id)
	if err != nil || sub == nil {
		return nil, err
	}
	to, err := newTarget(*sub)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = max(l.failures, sub.Health.ConsecutiveFailures)
	return &to, nil
}

func (l *lane) probeIn() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return webhook.ProbeIn(l.failures, l.w.random())
}

func (l *lane) trouble(what string, err error, wait time.Duration) time.Duration {
	if err != nil && l.ctx.Err() == nil {
		l.w.log.Error("webhook deliveries are held up", "subscription", l.id, "step", what, "error", err)
	}
	return wait
}

// deliver posts claimed deliveries, a few at a time, and records the outcomes.
func (l *lane) deliver(to target, claimed []webhook.Claimed) error {
	jobs := make([]*job, len(claimed))
	for i, c := range claimed {
		jobs[i] = &job{Claimed: c}
	}
	b := newBatch(to, jobs)
	b.claimed = true
	l.push(b)
	for open := true; open; {
		select {
		case <-b.done:
			open = false
		case <-l.told:
			l.settleLate()
		}
	}
	outcomes := make([]webhook.Outcome, len(jobs))
	for i, j := range jobs {
		outcomes[i] = j.outcome
	}
	return l.settle(outcomes)
}

// settle records outcomes, also while the server stops: the posts were made. What
// is not recorded is posted anew when its lease ends, so it tries more than once.
func (l *lane) settle(outcomes []webhook.Outcome) error {
	l.mu.Lock()
	failures := l.failures
	l.mu.Unlock()
	ctx := context.WithoutCancel(l.ctx)
	err := l.w.queue.Settle(ctx, l.id, outcomes, failures)
	for n := 1; err != nil && n < settleTries && clock.Wait(l.ctx, settleAgain<<(n-1)); n++ {
		err = l.w.queue.Settle(ctx, l.id, outcomes, failures)
	}
	if err != nil {
		return err
	}
	return l.disableIfDead(ctx, outcomes, failures)
}

// disableIfDead stops a subscription whose endpoint failed for a whole day.
func (l *lane) disableIfDead(ctx context.Context, outcomes []webhook.Outcome, failures int) error {
	for _, o := range outcomes {
		if o.State == webhook.Parked && webhook.Probing(failures) {
			l.w.log.Warn("a webhook subscription was disabled: its endpoint failed for a day", "subscription", l.id)
			return l.w.queue.Disable(ctx, l.id, l.w.clock.Now())
		}
	}
	return nil
}

// settleLate records what became of posts that outlived their runs.
func (l *lane) settleLate() {
	l.mu.Lock()
	outcomes := l.late
	l.late = nil
	l.mu.Unlock()
	if len(outcomes) == 0 {
		return
	}
	l.trouble("record deliveries", l.settle(outcomes), 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= len(outcomes)
}
