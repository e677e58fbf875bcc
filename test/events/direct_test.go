package events_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/webhooks"
	"github.com/feddi/feddi/adapters/webhookhttp"
	uses "github.com/feddi/feddi/core/app/webhooks"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"
)

// worker runs a worker on queue alone, without the consumers of a server.
func (w *world) worker(queue webhook.Queue) (worker *webhookhttp.Worker, stop func()) {
	w.t.Helper()
	worker = webhookhttp.New(queue, clock.System{}, w.ids, "2026-06-01", w.log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = worker.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	w.t.Cleanup(stop)
	return worker, stop
}

func (w *world) queue() *webhooks.Queue { return webhooks.NewQueue(w.db.Q(), w.db.Q(), open{}) }

// delivered waits until n deliveries are recorded as delivered and gives them,
// latest first.
func (w *world) delivered(n int) []webhook.Delivery {
	w.t.Helper()
	var (
		page uses.Page[webhook.Delivery]
		err  error
	)
	defer func() {
		if w.t.Failed() {
			all, _ := w.service().Deliveries(context.Background(), w.call(), uses.DeliveriesInput{Limit: uses.MaxLimit})
			w.t.Logf("%d delivered, %v, of %+v", len(page.Items), err, all.Items)
		}
	}()
	eventually(w.t, func() bool {
		page, err = w.service().Deliveries(w.t.Context(), w.call(), uses.DeliveriesInput{State: "delivered", Limit: uses.MaxLimit})
		return err == nil && len(page.Items) == n
	})
	return page.Items
}

// A run that comes again, because the server died before it wrote down how far
// it was, is not posted again: its deliveries are there.
func TestARunThatComesAgainIsPostedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.endpoint(nil)
	w.subscribe(e.url, false, "*")
	for range 20 {
		w.publish(w.event("payment.succeeded", "pay_1"))
	}
	run := w.read(20)
	for range 3 { // each time by another server
		worker, stop := w.worker(w.queue())
		for range 2 {
			if err := worker.Handle(t.Context(), run); err != nil {
				t.Fatal(err)
			}
		}
		w.delivered(20)
		stop()
	}
	if got := e.wait(20); len(got) != 20 {
		t.Errorf("%d posts of 20 events", len(got))
	}
}

// broken is a queue that cannot write for a while.
type broken struct {
	webhook.Queue
	left atomic.Int32
}

func (b *broken) Record(ctx context.Context, made []webhook.Made, failures map[string]int) (map[string]int64, error) {
	if b.left.Add(-1) >= 0 {
		return nil, errors.New("the disk is full")
	}
	return b.Queue.Record(ctx, made, failures)
}

// What was posted and could not be written down comes again: nothing is lost.
// It is posted once more only, and not at every try.
func TestWhatCannotBeWrittenDownIsPostedTwiceAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.endpoint(nil)
	w.subscribe(e.url, false, "*")
	for range 10 {
		w.publish(w.event("payment.succeeded", "pay_1"))
	}
	run := w.read(10)
	queue := &broken{Queue: w.queue()}
	queue.left.Store(5)
	worker, _ := w.worker(queue)
	for range 5 {
		if err := worker.Handle(t.Context(), run); err == nil {
			t.Fatal("a run that is not written down counts as handled")
		}
	}
	if err := worker.Handle(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	w.delivered(10)
	seen := map[string]int{}
	for _, r := range e.wait(10) {
		seen[r.ID]++
	}
	for id, n := range seen {
		if n > 2 {
			t.Errorf("%s was posted %d times", id, n)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d of 10 events arrived", len(seen))
	}
	// Healthy again: what comes now is posted at once, and once.
	next := w.event("payment.succeeded", "pay_2")
	w.publish(next)
	var more []event.Logged
	eventually(t, func() bool {
		var err error
		more, err = events.NewReader(w.db.Q()).After(t.Context(), run[len(run)-1].Cursor, 10)
		return err == nil && len(more) == 1
	})
	if err := worker.Handle(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	if latest := w.delivered(11)[0]; latest.EventID != next.ID || latest.AttemptCount != 1 {
		t.Errorf("the latest delivery is %+v", latest)
	}
}

// forgetful is a queue that cannot record outcomes for a while.
type forgetful struct {
	webhook.Queue
	left atomic.Int32
}

func (f *forgetful) Settle(ctx context.Context, id string, outcomes []webhook.Outcome, failures int) error {
	if f.left.Add(-1) >= 0 {
		return errors.New("the database restarts")
	}
	return f.Queue.Settle(ctx, id, outcomes, failures)
}

// What was claimed and posted is not posted again, nor kept from whoever asks until
// its lease ends, because its outcome could not be recorded at once.
func TestAnOutcomeIsRecordedWhenItCanBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.endpoint(nil)
	w.subscribe(e.url, true, "*") // in order, which takes claims
	for range 5 {
		w.publish(w.event("payment.succeeded", "pay_1"))
	}
	queue := &forgetful{Queue: w.queue()}
	queue.left.Store(2)
	worker, stop := w.worker(queue)
	if err := worker.Handle(t.Context(), w.read(5)); err != nil {
		t.Fatal(err)
	}
	w.delivered(5)
	stop()
	if got := e.wait(5); len(got) != 5 {
		t.Errorf("%d posts of 5 events", len(got))
	}
}

// Outcomes that are recorded twice, because nobody heard of the first time, count
// once, also of what was claimed and not posted.
func TestOutcomesThatComeTwiceCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.endpoint(nil)
	id := w.subscribe(e.url, true, "*")
	for _, subject := range []string{"pay_1", "pay_2"} {
		w.publish(w.event("payment.succeeded", subject))
	}
	queue := w.queue()
	idle := webhookhttp.New(queue, clock.System{}, w.ids, "2026-06-01", w.log) // writes down and posts nothing
	if err := idle.Handle(t.Context(), w.read(2)); err != nil {
		t.Fatal(err)
	}
	to, err := queue.Endpoint(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	claim := func() []webhook.Claimed {
		claimed, err := queue.Claim(t.Context(), *to, clock.System{}.Now(), time.Minute, 10)
		if err != nil {
			t.Fatal(err)
		}
		return claimed
	}
	claimed := claim()
	if len(claimed) != 2 {
		t.Fatalf("claimed %+v", claimed)
	}
	now := clock.System{}.Now()
	back := webhook.Outcome{No: claimed[0].No, State: webhook.Pending, DueAt: now}
	posted := webhook.Outcome{No: claimed[1].No, State: webhook.Delivered, DueAt: now, Attempt: webhook.Attempt{Number: 1, At: now, StatusCode: 204}}
	for range 2 {
		if err := queue.Settle(t.Context(), id, []webhook.Outcome{back, posted}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if again := claim(); len(again) != 1 || again[0].No != back.No || again[0].Attempt != 1 {
		t.Errorf("claimed %+v, want the one that was given back, for its first attempt", again)
	}
}

// An endpoint that takes its time delays nobody else, and what it got is known as
// under way before it answers.
func TestASlowEndpointDelaysNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer := make(chan struct{})
	slow := w.endpoint(func(int) int {
		<-answer
		return http.StatusOK
	})
	id := w.subscribe(slow.url, false, "*")
	swift := w.endpoint(nil)
	w.subscribe(swift.url, false, "*")
	w.server("a", nil)
	for n := 1; n <= 30; n++ {
		w.publish(w.event("payment.succeeded", "pay_1"))
		swift.wait(n) // one after another: each waits for the slow one where it may
	}
	state := func() (pending, attempts int) {
		row, err := pg.One[struct{ Pending, Attempts int }](t.Context(), w.db.Q(), `select count(*)::int as pending,
			coalesce(max(attempts), 0) as attempts from webhook_deliveries where subscription_id = $1 and state = 0`, id)
		if err != nil {
			t.Fatal(err)
		}
		return row.Pending, row.Attempts
	}
	eventually(t, func() bool { pending, attempts := state(); return pending == 30 && attempts == 1 })
	close(answer)
	for _, d := range w.delivered(60) {
		if d.AttemptCount != 1 || len(d.Attempts) != 1 {
			t.Errorf("%s took %d attempts and shows %d", d.ID, d.AttemptCount, len(d.Attempts))
		}
	}
}

// A post under way when the server stops is finished and recorded: its event is
// not delivered again by the next server.
func TestAStopLosesNoOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer, arrived := make(chan struct{}), make(chan struct{}, 8)
	e := w.endpoint(func(int) int {
		arrived <- struct{}{}
		<-answer
		return http.StatusOK
	})
	w.subscribe(e.url, false, "*")
	stop := w.server("a", nil)
	w.publish(w.event("payment.succeeded", "pay_1"))
	<-arrived
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	select {
	case <-stopped:
		t.Error("the server stopped while a post was under way")
	case <-time.After(50 * time.Millisecond):
	}
	close(answer)
	<-stopped
	w.delivered(1)
	w.server("b", nil)
	w.publish(w.event("payment.succeeded", "pay_2"))
	<-arrived
	w.delivered(2)
	if got := e.wait(2); len(got) != 2 {
		t.Errorf("%d posts of 2 events", len(got))
	}
}

// The history shows every attempt, latest first, wherever it is kept: the first
// one in its delivery's row, or among the others where it was made before that.
func TestHistoryShowsEveryAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.endpoint(func(n int) int {
		if n == 1 {
			return http.StatusTeapot
		}
		return http.StatusOK
	})
	w.subscribe(e.url, false, "*")
	w.server("a", nil)
	w.publish(w.event("payment.succeeded", "pay_1"))
	check := func(what string) {
		t.Helper()
		d := w.delivered(1)[0]
		if d.AttemptCount != 2 || len(d.Attempts) != 2 {
			t.Fatalf("%s: %d attempts, %d shown", what, d.AttemptCount, len(d.Attempts))
		}
		second, first := d.Attempts[0], d.Attempts[1]
		if first.Number != 1 || first.StatusCode != http.StatusTeapot || first.Error == "" || first.At.IsZero() {
			t.Errorf("%s: the first attempt is %+v", what, first)
		}
		if second.Number != 2 || second.StatusCode != http.StatusOK || second.Error != "" || second.At.Before(first.At) {
			t.Errorf("%s: the second attempt is %+v", what, second)
		}
	}
	check("as it is kept")
	if _, err := w.db.Q().Exec(t.Context(), `
		with old as (update webhook_deliveries d set first_attempted_at = null from webhook_deliveries o where o.delivery_no = d.delivery_no
			returning o.delivery_no, o.first_status_code, o.first_error, o.first_duration_ms, o.first_attempted_at)
		insert into webhook_attempts (delivery_no, attempt, status_code, error, duration_ms, attempted_at)
		select delivery_no, 1, first_status_code, first_error, first_duration_ms, first_attempted_at from old`); err != nil {
		t.Fatal(err)
	}
	check("as it was kept before")
}
