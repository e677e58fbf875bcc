package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/adapters/outbox"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// OutboxOptions say what to measure.
type OutboxOptions struct {
	Events  int // that are waiting when the consumer starts
	Samples int // of the idle latency
	Log     *slog.Logger
}

// OutboxReport is what was measured.
type OutboxReport struct {
	Head
	Events int           `json:"events"`
	Took   time.Duration `json:"took_ns"`
	Rate   float64       `json:"per_second"`
	// Woken and Polled are the time from commit to handler while nothing else
	// goes on: on the server that wrote, and on any other one.
	Woken  Latency      `json:"idle_woken"`
	Polled Latency      `json:"idle_polled"`
	Share  report.Share `json:"cpu"`
}

// Latency is a distribution.
type Latency struct {
	Samples int64         `json:"samples"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Max     time.Duration `json:"max_ns"`
}

func latencyOf(h *load.Histogram) Latency {
	return Latency{h.Count(), h.Quantile(0.5), h.Quantile(0.99), h.Max()}
}

// Outbox measures the event log with a consumer that does nothing, on a
// database where no other consumer runs.
func Outbox(ctx context.Context, d *Deployment, head Head, o OutboxOptions) (*OutboxReport, error) {
	c, err := d.CreateSandbox(ctx, sandbox.Input{Name: "Bench outbox"})
	if err != nil {
		return nil, err
	}
	b := &outboxBench{d: d, tenant: c.Merchant.Tenant(), ids: ids.New(clock.System{}), log: o.Log}
	r := &OutboxReport{Head: head, Events: o.Events}
	if err := b.fill(ctx, o.Events); err != nil {
		return r, err
	}
	if err := d.quiet(ctx); err != nil {
		return r, err
	}
	used := report.Now()
	if r.Took, err = b.drain(ctx, o.Events); err != nil {
		return r, err
	}
	r.Share = report.Now().Since(used)
	r.Rate = float64(o.Events) / r.Took.Seconds()
	own := outbox.NewWake()
	if r.Woken, err = b.idle(ctx, "woken", o.Samples, own, own.Ring); err != nil {
		return r, err
	}
	// Another server never hears this one's bell: it polls.
	r.Polled, err = b.idle(ctx, "polled", o.Samples, outbox.NewWake(), func() {})
	return r, err
}

type outboxBench struct {
	d      *Deployment
	tenant tenancy.Tenant
	ids    *ids.Source
	log    *slog.Logger
}

// event is one of about 250 bytes.
func (b *outboxBench) event() event.Event {
	now := time.Now()
	return event.Event{
		ID: b.ids.Make(ids.Event), Tenant: b.tenant, Type: "payment.succeeded", Subject: "pay_bench", At: now,
		Data: []byte(`{"payment_id":"pay_01k9z3v7qsbenchbenchbench","status":"succeeded","customer_id":"cus_01k9z3v7qsbenchbenchbench","session_id":null,"amount_minor":1175,"debited_promo_minor":250,"debited_actual_minor":925,"currency":"USD","credential_type":"qr","promo_sources":[]}`),
	}
}

// fill appends n events, a thousand in a transaction.
func (b *outboxBench) fill(ctx context.Context, n int) error {
	for done := 0; done < n; {
		b.d.tell("writing events", float64(done)/float64(n))
		batch := make([]event.Event, min(1000, n-done))
		for i := range batch {
			batch[i] = b.event()
		}
		if err := events.NewLog(b.d.DB.Q(), nil).Append(ctx, batch...); err != nil {
			return err
		}
		done += len(batch)
	}
	_, err := b.d.DB.Pool().Exec(ctx, "VACUUM ANALYZE events")
	return err
}

// consume runs a consumer of its own until stop is called.
func (b *outboxBench) consume(ctx context.Context, name string, w *outbox.Wake, h outbox.Handler) (stop func() error, err error) {
	q := b.d.DB.Q()
	tail, err := events.Open(ctx, b.d.DB)
	if err != nil {
		return nil, err
	}
	consumers := tail.Consumers()
	sub := outbox.NewSubscriber(tail.Reader(), consumers, b.ids.Make("bench"), w, b.log)
	router, err := outbox.NewRouter(sub, consumers, b.log)
	if err != nil {
		tail.Close()
		return nil, err
	}
	router.Consume(name, h)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- router.Run(ctx) }()
	<-router.Running()
	return func() error {
		cancel()
		err := <-done
		_ = sub.Close() // it has ended with ctx
		tail.Close()
		_, gone := q.Exec(context.WithoutCancel(ctx), `DELETE FROM event_consumers WHERE consumer = $1`, name)
		if err != nil {
			return err
		}
		return gone
	}, nil
}

// drain has a fresh consumer handle everything from the beginning.
func (b *outboxBench) drain(ctx context.Context, n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var seen atomic.Int64
	all := make(chan struct{})
	begin := time.Now()
	stop, err := b.consume(ctx, b.name("drain"), outbox.NewWake(), func(_ context.Context, run []event.Logged) error {
		ours := 0
		for i := range run {
			if run[i].Tenant.No == b.tenant.No && run[i].Subject == "pay_bench" {
				ours++
			}
		}
		if got := seen.Add(int64(ours)); ours > 0 && got >= int64(n) && got-int64(ours) < int64(n) {
			close(all)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	b.d.tell("a consumer that does nothing", -1)
	select {
	case <-all:
	case <-ctx.Done():
		err = fmt.Errorf("of %d events %d were handled: %w", n, seen.Load(), ctx.Err())
	}
	took := time.Since(begin)
	if stopped := stop(); err == nil {
		err = stopped
	}
	if got := seen.Load(); err == nil && got != int64(n) {
		err = fmt.Errorf("%d events were handled, %d were written", got, n)
	}
	return took, err
}

func (b *outboxBench) name(what string) string { return "bench." + what + "." + b.ids.Make("c") }

// idle measures one event at a time, a few milliseconds apart so that the
// consumer is asleep when it comes.
func (b *outboxBench) idle(ctx context.Context, what string, samples int, w *outbox.Wake, ring func()) (Latency, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	heard := make(chan string, 4096)
	q := b.d.DB.Q()
	name := b.name(what)
	// The consumer begins at the end of the log: nothing of before is its.
	if _, err := q.Exec(ctx, `INSERT INTO event_consumers (consumer, xid, position)
		SELECT $1, xid, position FROM events ORDER BY xid DESC, position DESC LIMIT 1`, name); err != nil {
		return Latency{}, err
	}
	stop, err := b.consume(ctx, name, w, func(_ context.Context, run []event.Logged) error {
		for i := range run {
			heard <- run[i].ID
		}
		return nil
	})
	if err != nil {
		return Latency{}, err
	}
	var h load.Histogram
	for i := range samples {
		b.d.tell("idle latency, "+what, float64(i)/float64(samples))
		if err = b.sample(ctx, q, &h, ring, heard); err != nil {
			break
		}
	}
	if stopped := stop(); err == nil {
		err = stopped
	}
	return latencyOf(&h), err
}

func (b *outboxBench) sample(ctx context.Context, q pg.Q, h *load.Histogram, ring func(), heard <-chan string) error {
	pause := time.NewTimer(15 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
	}
	e := b.event()
	if err := events.NewLog(q, nil).Append(ctx, e); err != nil {
		return err
	}
	committed := time.Now()
	ring()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("an event was not handled: %w", ctx.Err())
		case id := <-heard:
			if id == e.ID {
				h.Record(time.Since(committed))
				return nil
			}
		}
	}
}

// Print writes the report for a person.
func (r *OutboxReport) Print(w io.Writer) {
	r.Head.Write(w)
	fmt.Fprintf(w, "%s waiting events, handled by a consumer that does nothing\n", report.Count(float64(r.Events)))
	fmt.Fprintf(w, "in %.2f s: %s events/s\n\n", r.Took.Seconds(), report.Count(r.Rate))
	t := report.Table{Head: []string{"idle, commit to handler", "samples", "p50 ms", "p99 ms", "max ms"}}
	t.Add("on the server that wrote it", fmt.Sprint(r.Woken.Samples), report.Millis(r.Woken.P50), report.Millis(r.Woken.P99), report.Millis(r.Woken.Max))
	t.Add("on another server", fmt.Sprint(r.Polled.Samples), report.Millis(r.Polled.P50), report.Millis(r.Polled.P99), report.Millis(r.Polled.Max))
	t.Print(w)
	if noise := r.Share.Noise(); noise != "" {
		fmt.Fprintf(w, "while it was measured, %s\n", noise)
	}
}
