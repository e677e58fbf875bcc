package events_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/outbox"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/webhooks"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/webhook"
)

// eventually waits for a condition, looking often.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-limit.C:
			t.Fatal("the condition did not come true in time")
		case <-look.C:
		}
	}
}

// read returns the log from its beginning once its events are readable.
func (w *world) read(limit int) []event.Logged {
	w.t.Helper()
	var got []event.Logged
	eventually(w.t, func() bool {
		var err error
		got, err = events.NewReader(w.db.Q()).After(w.t.Context(), event.Cursor{}, limit)
		if err != nil {
			w.t.Fatal(err)
		}
		return len(got) > 0
	})
	return got
}

// fanOut writes deliveries that wait, as a worker does that posts nothing at once.
func fanOut(ctx context.Context, queue *webhooks.Queue, e []event.Logged) error {
	routes, err := queue.Route(ctx, e)
	if err != nil {
		return err
	}
	var made []webhook.Made
	now, source := clock.System{}.Now(), ids.New(clock.System{})
	for _, to := range routes {
		for _, one := range to.Events {
			made = append(made, webhook.Made{
				ID: source.Make(ids.Delivery), SubscriptionID: to.Subscription.ID, Event: one, CreatedAt: now,
				Outcome: webhook.Outcome{State: webhook.Pending, DueAt: now},
			})
		}
	}
	_, err = queue.Record(ctx, made, nil)
	return err
}

func fanOutOnly(queue *webhooks.Queue, done *atomic.Bool) func(r *outbox.Router) {
	return func(r *outbox.Router) {
		r.Consume("webhooks", func(ctx context.Context, e []event.Logged) error {
			err := fanOut(ctx, queue, e)
			done.Store(err == nil)
			return err
		})
	}
}

// collector is a consumer that keeps what it saw.
type collector struct {
	mu   sync.Mutex
	seen []string
}

func (c *collector) handle(_ context.Context, e []event.Logged) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range e {
		c.seen = append(c.seen, one.ID)
	}
	return nil
}

func (c *collector) ids() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.seen...)
}

// TestLateCommitIsNotSkipped: a transaction that took its number early and
// commits late is still read, and nothing behind it is lost or doubled.
func TestLateCommitIsNotSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &collector{}
	w.server("a", func(r *outbox.Router) { r.Consume("all", c.handle) })

	late := w.event("payment.succeeded", "late")
	appended, commit := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- pg.Tx(context.Background(), w.db, func(ctx context.Context, q pg.Q) error {
			if err := events.NewLog(q, nil).Append(ctx, late); err != nil {
				return err
			}
			close(appended)
			<-commit
			return nil
		})
	}()
	<-appended
	var quick []string
	for range 10 {
		e := w.event("payment.succeeded", "quick")
		quick = append(quick, e.ID)
		w.publish(e)
	}
	close(commit)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.wake.Ring()
	eventually(t, func() bool { return len(c.ids()) >= 11 })
	seen := map[string]int{}
	for _, id := range c.ids() {
		seen[id]++
	}
	for _, id := range append(quick, late.ID) {
		if seen[id] != 1 {
			t.Errorf("event %s was seen %d times", id, seen[id])
		}
	}
}

// TestPoisonIsParkedAlone: an event that no try can handle is set aside, and
// all others are handled.
func TestPoisonIsParkedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &collector{}
	var all []event.Event
	for range 5 {
		all = append(all, w.event("payment.succeeded", "x"))
	}
	poison := all[2].ID
	w.publish(all...)
	w.server("a", func(r *outbox.Router) {
		r.Consume("all", func(ctx context.Context, e []event.Logged) error {
			for _, one := range e {
				if one.ID == poison {
					return errors.New("poison")
				}
			}
			return c.handle(ctx, e)
		})
	})
	parked := func() string {
		id, err := pg.Maybe[string](t.Context(), w.db.Q(), `select event_id from event_parked`)
		if err != nil {
			t.Fatal(err)
		}
		if id == nil {
			return ""
		}
		return *id
	}
	eventually(t, func() bool { return parked() != "" && len(c.ids()) >= 4 })
	if got := parked(); got != poison {
		t.Errorf("%s was parked, not %s", got, poison)
	}
	for _, id := range c.ids() {
		if id == poison {
			t.Error("the poison was handled")
		}
	}
}

// TestPanicIsAnError: a handler that panics takes nobody with it.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var calls atomic.Int32
	w.publish(w.event("payment.succeeded", "x"))
	w.server("a", func(r *outbox.Router) {
		r.Consume("all", func(context.Context, []event.Logged) error {
			if calls.Add(1) < 3 {
				panic("a defect in a handler")
			}
			return nil
		})
	})
	eventually(t, func() bool { return calls.Load() >= 3 })
}

func TestPollIsBoundedByTheTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := *w
	other.tenant = w.merchant("mer_2")
	w.publish(w.event("payment.succeeded", "mine"), w.event("grant.released", "mine"))
	other.publish(other.event("payment.succeeded", "foreign"))
	reader := events.NewReader(w.db.Q())
	eventually(t, func() bool {
		got, err := reader.Poll(t.Context(), other.tenant, event.Cursor{}, nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(got) == 1
	})
	for _, c := range []struct {
		patterns []string
		want     int
	}{{nil, 2}, {[]string{"payment.*"}, 1}, {[]string{"grant.released"}, 1}, {[]string{"*"}, 2}, {[]string{"payment.failed"}, 0}} {
		got, err := reader.Poll(t.Context(), w.tenant, event.Cursor{}, c.patterns, 10)
		if err != nil || len(got) != c.want {
			t.Errorf("Poll(%v) = %d events, %v; want %d", c.patterns, len(got), err, c.want)
		}
		for _, e := range got {
			if e.Subject != "mine" || e.Tenant != w.tenant {
				t.Errorf("Poll(%v) showed %+v", c.patterns, e)
			}
		}
	}
}
