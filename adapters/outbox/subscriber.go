// Package outbox brings the event log to its consumers: a watermill subscriber
// that reads the log in commit-safe order, and the router that carries the
// handlers. Publishing needs no code here: the business statement inserts the
// event itself.
//
// A watermill message is a segment of the log, a run of up to batch events,
// because a handler that gets five hundred at a time can answer with one
// statement. A segment that is not acknowledged comes again in halves, so that
// one bad event ends up alone and can be parked.
package outbox

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
)

const (
	// batch is how many events a segment has at most.
	batch = 500
	// leaseTTL is how long a silent holder keeps a consumer from the others.
	leaseTTL = 10 * time.Second
	// lastPoll is the longest wait before the log is read again after an empty read.
	// It is no longer than wake-ups are apart at first, because an event of a
	// transaction that is just committing becomes readable within milliseconds.
	lastPoll = 100 * time.Millisecond
	// keepEvery is how often a consumer writes down its place at most: each is a
	// commit of its own. What it handled since comes again after a crash.
	keepEvery = 100 * time.Millisecond
	// follow is how often a server that does not hold the lease asks for it.
	follow = time.Second
)

// Subscriber implements message.Subscriber; a topic is a consumer's name.
type Subscriber struct {
	feed      *feed
	consumers event.Consumers
	holder    string
	wake      *Wake
	log       *slog.Logger

	ctx    context.Context //nolint:containedctx // watermill's Close has none: this ends the readers
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// NewSubscriber returns a subscriber; holder names this server (any unique text).
func NewSubscriber(r event.Reader, c event.Consumers, holder string, w *Wake, log *slog.Logger) *Subscriber {
	ctx, cancel := context.WithCancel(context.Background())
	return &Subscriber{feed: &feed{reader: r, wake: w}, consumers: c, holder: holder, wake: w, log: log, ctx: ctx, cancel: cancel}
}

// Subscribe implements message.Subscriber.
func (s *Subscriber) Subscribe(ctx context.Context, consumer string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(s.ctx, cancel)
	t := &tail{s: s, consumer: consumer, out: out, size: batch, poll: apart}
	s.done.Go(func() {
		defer cancel()
		defer close(out)
		t.run(ctx)
	})
	return out, nil
}

// Close implements message.Subscriber: it ends every reader and waits for it.
func (s *Subscriber) Close() error {
	s.cancel()
	s.done.Wait()
	return nil
}

// tail follows the log for one consumer.
type tail struct {
	s        *Subscriber
	consumer string
	out      chan<- *message.Message
	size     int           // events in the next segment; halved after a nack
	poll     time.Duration // wait after the next empty read
	polled   time.Duration // how old the end of the log may be for the next read; 0 where nobody asks
	renewed  time.Time
	n        uint64 // segments handed on

	at, written event.Cursor // handled up to, and what is written down of it
	keptAt      time.Time
}

func (t *tail) run(ctx context.Context) {
	defer t.release(ctx)
	for ctx.Err() == nil {
		cursor, held, err := t.s.consumers.Lease(ctx, t.consumer, t.s.holder, leaseTTL)
		if err != nil || !held {
			t.trouble(ctx, "lease", err)
			clock.Wait(ctx, follow)
			continue
		}
		t.renewed = time.Now()
		if err := t.read(ctx, cursor); err != nil {
			t.trouble(ctx, "read", err)
			clock.Wait(ctx, lastPoll)
		}
	}
}

// read hands on segments behind c until the lease wants renewing.
func (t *tail) read(ctx context.Context, c event.Cursor) error {
	t.at, t.written = c, c
	for ctx.Err() == nil && time.Since(t.renewed) < leaseTTL/3 {
		if err := t.step(ctx); err != nil {
			return err
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return t.keep(last, 0)
}

// step hands on the next segment, or waits for one.
func (t *tail) step(ctx context.Context) error {
	woken := t.s.wake.next()
	events, err := t.s.feed.after(ctx, t.at, t.size, t.polled)
	if err != nil {
		return err
	}
	t.polled = 0
	if len(events) == 0 {
		if err := t.keep(ctx, keepEvery); err != nil {
			return err
		}
		t.idle(ctx, woken)
		return nil
	}
	t.poll = t.s.wake.pace()
	if !t.deliver(ctx, events) {
		t.size = max(len(events)/2, 1)
		return nil
	}
	t.size = min(t.size*2, batch)
	t.at = events[len(events)-1].Cursor
	return t.keep(ctx, keepEvery)
}

// keep writes down the place, at most once in every.
func (t *tail) keep(ctx context.Context, every time.Duration) error {
	if t.at == t.written || time.Since(t.keptAt) < every {
		return nil
	}
	if err := t.s.consumers.Advance(ctx, t.consumer, t.s.holder, t.at); err != nil {
		return err
	}
	t.written, t.keptAt = t.at, time.Now()
	return nil
}

// idle waits for a wake-up or for the poll interval, which grows.
func (t *tail) idle(ctx context.Context, woken <-chan struct{}) {
	timer := time.NewTimer(t.poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-woken:
		t.poll = t.s.wake.pace()
	case <-timer.C:
		t.polled = t.poll / 2 // what another consumer read since will do
		t.poll = min(t.poll*2, lastPoll)
	}
}

// deliver hands one segment on and reports whether it was acknowledged.
func (t *tail) deliver(ctx context.Context, events []event.Logged) bool {
	m := message.NewMessage(t.name(), nil)
	m.SetContext(context.WithValue(ctx, segmentKey{}, events))
	select {
	case t.out <- m:
	case <-ctx.Done():
		return false
	}
	select {
	case <-m.Acked():
		return true
	case <-m.Nacked():
		return false
	case <-ctx.Done():
		return false
	}
}

// name makes a message's id, which only logs show.
func (t *tail) name() string {
	t.n++
	return t.consumer + "-" + strconv.FormatUint(t.n, 10)
}

// release lets another server go on at once, also when ctx has ended.
func (t *tail) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := t.s.consumers.Release(ctx, t.consumer, t.s.holder); err != nil {
		t.s.log.Warn("the lease of an event consumer was not released; it ends by itself", "consumer", t.consumer, "error", err)
	}
}

func (t *tail) trouble(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		t.s.log.Error("the event log cannot be followed", "consumer", t.consumer, "step", what, "error", err)
	}
}

// segmentKey carries a segment in a message's context: it never leaves the
// process, so encoding it would be work for nothing.
type segmentKey struct{}

// segment returns the events of a message that Subscriber made.
func segment(m *message.Message) []event.Logged {
	events, _ := m.Context().Value(segmentKey{}).([]event.Logged)
	return events
}
