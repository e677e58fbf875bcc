// Package events_test drives the event log, the fan-out and the webhook worker
// together, on a real Postgres and real sockets.
package events_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/adapters/outbox"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/adapters/postgres/webhooks"
	"github.com/feddi/feddi/adapters/webhookhttp"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

// patience bounds every wait for a condition.
const patience = 20 * time.Second

// secret is what every subscription of these tests signs with.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// open is a vault without a lock: sealing has tests of its own.
type open struct{}

func (open) Seal(plain []byte) ([]byte, error)  { return plain, nil }
func (open) Open(sealed []byte) ([]byte, error) { return sealed, nil }

// world is one database with one merchant, a log and a queue.
type world struct {
	t      *testing.T
	db     *pg.DB
	ids    *ids.Source
	tenant tenancy.Tenant
	wake   *outbox.Wake
	log    *slog.Logger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, db: pgtest.New(t), ids: ids.New(clock.System{}), wake: outbox.NewWake(),
		log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	w.tenant = w.merchant("mer_1")
	return w
}

func (w *world) merchant(id string) tenancy.Tenant {
	w.t.Helper()
	q, ctx := w.db.Q(), w.t.Context()
	if _, err := q.Exec(ctx, `insert into partners (partner_id, name, created_at) values ('par_1', 'p', now()) on conflict do nothing`); err != nil {
		w.t.Fatal(err)
	}
	no, err := pg.One[int32](ctx, q, `insert into merchants (merchant_id, partner_id, live, name, settings, created_at)
		values ($1, 'par_1', false, 'm', '{}', now()) returning tenant_no`, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return tenancy.Tenant{PartnerID: "par_1", Mode: tenancy.Sandbox, MerchantID: id, No: no}
}

func (w *world) event(kind, subject string) event.Event {
	return event.Event{ID: w.ids.Make(ids.Event), Tenant: w.tenant, Type: kind, Subject: subject, At: clock.System{}.Now(), Data: json.RawMessage(`{"amount_minor":1}`)}
}

// publish commits events and rings, as the unit of work does.
func (w *world) publish(e ...event.Event) {
	w.t.Helper()
	if err := events.NewLog(w.db.Q(), nil).Append(w.t.Context(), e...); err != nil {
		w.t.Fatal(err)
	}
	w.wake.Ring()
}

func (w *world) subscribe(url string, ordered bool, types ...string) string {
	w.t.Helper()
	now := clock.System{}.Now()
	s := webhook.Subscription{
		ID: w.ids.Make(ids.Subscription), Tenant: w.tenant, URL: url, EventTypes: types, Status: webhook.Active,
		Ordered: ordered, Secret: secret, CreatedAt: now, UpdatedAt: now,
	}
	if err := webhooks.New(w.db.Q(), open{}).Insert(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	return s.ID
}

// server is one server's consumers and worker.
func (w *world) server(name string, consume func(r *outbox.Router)) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tail, err := events.Open(w.t.Context(), w.db)
	if err != nil {
		w.t.Fatal(err)
	}
	consumers := tail.Consumers()
	sub := outbox.NewSubscriber(tail.Reader(), consumers, name, w.wake, w.log)
	router, err := outbox.NewRouter(sub, consumers, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	var all sync.WaitGroup
	if consume == nil {
		worker := webhookhttp.New(webhooks.NewQueue(w.db.Q(), w.db.Q(), open{}), clock.System{}, w.ids, "2026-06-01", w.log)
		router.Consume("webhooks", worker.Handle)
		all.Go(func() { _ = worker.Run(ctx) })
	} else {
		consume(router)
	}
	all.Go(func() { _ = router.Run(ctx) })
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			_ = sub.Close()
			all.Wait()
			tail.Close()
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// received is one verified post.
type received struct {
	ID, Type, Subject string
	At                time.Time
	Happened          time.Time
}

// endpoint is a partner's receiver that verifies signatures.
type endpoint struct {
	t      *testing.T
	url    string
	verify *standard.Webhook

	mu     sync.Mutex
	answer func(n int) int // the status of the nth post
	posts  int
	good   []received // those answered with 2xx
	change chan struct{}
}

func (w *world) endpoint(answer func(n int) int) *endpoint {
	w.t.Helper()
	verify, err := standard.NewWebhook(secret)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &endpoint{t: w.t, verify: verify, answer: answer, change: make(chan struct{}, 1)}
	server := httptest.NewServer(e)
	w.t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	if err := e.verify.Verify(raw, r.Header); err != nil {
		e.t.Errorf("signature: %v", err)
	}
	var got struct {
		ID, Type, Subject string
		Timestamp         time.Time
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		e.t.Errorf("body: %v", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.posts++
	status := http.StatusNoContent
	if e.answer != nil {
		status = e.answer(e.posts)
	}
	if status < 300 {
		e.good = append(e.good, received{got.ID, got.Type, got.Subject, time.Now(), got.Timestamp})
	}
	rw.WriteHeader(status)
	select {
	case e.change <- struct{}{}:
	default:
	}
}

// wait returns the accepted posts once there are n.
func (e *endpoint) wait(n int) []received {
	e.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		e.mu.Lock()
		got := append([]received(nil), e.good...)
		posts := e.posts
		e.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-e.change:
		case <-limit.C:
			e.t.Fatalf("%d of %d deliveries arrived (%d posts)", len(got), n, posts)
		}
	}
}
