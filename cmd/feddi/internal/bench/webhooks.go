package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/hook"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/till"
)

// WebhooksOptions say what to measure. An event is published by the payment
// that it tells of: one of a checkout session, so that nothing else is decided
// behind it.
type WebhooksOptions struct {
	Events      int           // payments in a closed loop
	Types       []string      // of events, that the receiver wants
	Connections int           // that publish
	Idle        time.Duration // at IdleRate
	Outage      time.Duration // the receiver answers 500 for so long, at OutageRate
	Wallets     int
}

// The rates of the calm and of the outage, in payments per second.
const (
	IdleRate   = 50
	OutageRate = 200
)

// WebhooksReport is what was measured.
type WebhooksReport struct {
	Head
	Payments  int            `json:"payments"`
	Types     []string       `json:"event_types"`
	Events    int            `json:"events"`
	Accepted  float64        `json:"accepted_per_second"`
	Delivered float64        `json:"delivered_per_second"`
	Load      Latency        `json:"publish_to_arrival_under_load"`
	Share     report.Share   `json:"cpu"`
	Calm      Latency        `json:"publish_to_arrival_calm"`
	Outage    WebhooksOutage `json:"outage"`
	Twice     int64          `json:"delivered_twice"`
	Ledger    Verdict        `json:"ledger"`
}

// WebhooksOutage is how a receiver's outage went.
type WebhooksOutage struct {
	Lasted    time.Duration `json:"lasted_ns"`
	Events    int           `json:"events"`
	Wasted    int64         `json:"posts_answered_500"`
	Recovered time.Duration `json:"all_delivered_after_recovery_ns"`
}

// webhooksBench is one merchant with one receiver.
type webhooksBench struct {
	d     *Deployment
	stage *stage.Stage
	hook  *hook.Receiver

	mu   sync.Mutex
	sent map[string]time.Time // by payment id
}

// Webhooks measures the way from a payment to a receiver on this machine.
func Webhooks(ctx context.Context, d *Deployment, head Head, o WebhooksOptions) (*WebhooksReport, error) {
	d.tell("furnishing a merchant", -1)
	s, err := furnish(ctx, d, 1, o.Wallets)
	if err != nil {
		return nil, err
	}
	b := &webhooksBench{d: d, stage: s, sent: map[string]time.Time{}}
	if b.hook, err = hook.Listen(ctx); err != nil {
		return nil, err
	}
	defer b.hook.Close()
	if err := b.subscribe(ctx, o.Types); err != nil {
		return nil, err
	}
	r := &WebhooksReport{Head: head, Payments: o.Events, Types: o.Types}
	for _, part := range []func(context.Context, *WebhooksReport, WebhooksOptions) error{b.throughput, b.calm, b.outage} {
		if err := part(ctx, r, o); err != nil {
			return r, err
		}
	}
	r.Twice = b.hook.Twice()
	if r.Ledger, err = d.verify(ctx); err == nil && !r.Ledger.Sound {
		err = fmt.Errorf("the ledger is not sound: %s", r.Ledger.First)
	}
	return r, err
}

func (b *webhooksBench) subscribe(ctx context.Context, types []string) error {
	m := b.stage.Merchants[0]
	var answer map[string]any
	return stage.Post(ctx, b.d.URL+"/v1/partner/webhooks/subscriptions", m.Raw, map[string]any{
		"meta": map[string]any{"api_version": "2026-06-01"}, "context": map[string]any{"merchant_id": m.Merchant.ID},
		"url": b.hook.URL, "event_types": types,
	}, &answer)
}

// till mints n payments, each in a session of its own.
func (b *webhooksBench) till(ctx context.Context, n int) (*till.Till, error) {
	codes, err := b.stage.Mint(ctx, stage.Order{
		Codes: n, Sessions: true, Tick: func(done int) { b.d.tell("preparing payments", float64(done)/float64(n)) },
	})
	if err != nil {
		return nil, err
	}
	if err := b.stage.Sign(ctx, b.d.URL); err != nil {
		return nil, err
	}
	codes.Keep(n)
	t, err := till.New(b.stage, codes, true, b.d.Address)
	if err != nil {
		return nil, err
	}
	return t, errors.Join(b.d.settle(ctx), b.d.quiet(ctx))
}

// answered remembers when each payment was sent.
func (b *webhooksBench) answered(_ []byte, a load.Answer, _, took time.Duration) {
	at := time.Now().Add(-took)
	if id := load.Behind(a.Body, `"payment_id":"`, '"'); id != nil {
		b.mu.Lock()
		b.sent[string(id)] = at
		b.mu.Unlock()
	}
}

// arrivals is how long each of the payments since the last call took to arrive.
func (b *webhooksBench) arrivals() (*load.Histogram, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var h load.Histogram
	for id, at := range b.sent {
		arrived, ok := b.hook.Arrived(id)
		if !ok {
			return nil, fmt.Errorf("payment %s was not delivered", id)
		}
		h.Record(arrived.Sub(at))
	}
	clear(b.sent)
	return &h, nil
}

// wanted gives an error where any payment was refused.
func wanted(r load.Result, err error) error {
	if err == nil && len(r.Others) > 0 {
		name := sorted(r.Others)[0]
		err = fmt.Errorf("%d payments were answered %s", r.Others[name], name)
	}
	return err
}

// published is how many events the receiver wants of those that there are.
func (b *webhooksBench) published(ctx context.Context) (int, error) {
	return pg.One[int](ctx, b.d.DB.Q(), `
		select count(*)::int from events e join webhook_subscriptions s using (tenant_no)
		where s.url = $1 and e.at >= s.created_at and exists (select from unnest(s.event_types) p where e.type like replace(p, '*', '%'))`, b.hook.URL)
}

func (b *webhooksBench) throughput(ctx context.Context, r *WebhooksReport, o WebhooksOptions) error {
	t, err := b.till(ctx, o.Events)
	if err != nil {
		return err
	}
	defer t.Codes.Close()
	before, err := b.published(ctx)
	if err != nil {
		return err
	}
	used, begin := report.Now(), time.Now()
	got, err := load.Run(ctx, load.Plan{
		Address: b.d.Address, Connections: o.Connections, Duration: 2 * time.Minute, Next: t.Next, Judge: judgePayment, Answered: b.answered,
		Tick: func(float64) { b.d.tell("accepting and delivering", float64(b.hook.Distinct())/float64(o.Events)) },
	})
	if err := wanted(got, err); err != nil {
		return err
	}
	after, err := b.published(ctx)
	if err != nil {
		return err
	}
	if err := b.hook.Wait(ctx, after, time.Minute); err != nil {
		return err
	}
	r.Share = report.Now().Since(used)
	r.Events = after - before
	r.Accepted = got.Rate() * float64(r.Events) / float64(o.Events)
	r.Delivered = float64(r.Events) / b.hook.Last().Sub(begin).Seconds()
	h, err := b.arrivals()
	if err == nil {
		r.Load = latencyOf(h)
	}
	return err
}

// pace publishes n payments at a steady rate. It begins once they are
// prepared, and tells that it does.
func (b *webhooksBench) pace(ctx context.Context, n int, rate float64, begins func()) error {
	t, err := b.till(ctx, n)
	if err != nil {
		return err
	}
	defer t.Codes.Close()
	b.d.tell(fmt.Sprintf("%.0f payments a second", rate), -1)
	begins()
	return wanted(load.Keep(ctx, load.Pace{
		Address: b.d.Address, Connections: 8, PerSecond: rate, Requests: n, Next: t.Next, Judge: judgePayment, Answered: b.answered,
	}))
}

// all waits until everything published has arrived.
func (b *webhooksBench) all(ctx context.Context, most time.Duration) error {
	n, err := b.published(ctx)
	if err != nil {
		return err
	}
	return b.hook.Wait(ctx, n, most)
}

func (b *webhooksBench) calm(ctx context.Context, r *WebhooksReport, o WebhooksOptions) error {
	n := max(1, int(o.Idle.Seconds()*IdleRate))
	if err := b.pace(ctx, n, IdleRate, func() {}); err != nil {
		return err
	}
	if err := b.all(ctx, time.Minute); err != nil {
		return err
	}
	h, err := b.arrivals()
	if err == nil {
		r.Calm = latencyOf(h)
	}
	return err
}

// outage has the receiver answer 500 in the middle half of a steady stream.
func (b *webhooksBench) outage(ctx context.Context, r *WebhooksReport, o WebhooksOptions) error {
	n := int(2 * o.Outage.Seconds() * OutageRate)
	refused := b.hook.Refused()
	var recovered time.Time
	up := make(chan struct{})
	err := b.pace(ctx, n, OutageRate, func() {
		time.AfterFunc(o.Outage/2, func() { b.hook.Fail(true) })
		time.AfterFunc(o.Outage*3/2, func() {
			recovered = time.Now()
			b.hook.Fail(false)
			close(up)
		})
	})
	if err != nil {
		return err
	}
	<-up
	if err := b.all(ctx, 2*time.Minute); err != nil {
		return err
	}
	r.Outage = WebhooksOutage{
		Lasted: o.Outage, Events: n, Wasted: b.hook.Refused() - refused, Recovered: max(0, b.hook.Last().Sub(recovered)),
	}
	_, err = b.arrivals()
	return err
}

// Print writes the report for a person.
func (r *WebhooksReport) Print(w io.Writer) {
	r.Head.Write(w)
	fmt.Fprintf(w, "%s events (%s), published by %s payments through HTTP\n", report.Count(float64(r.Events)), strings.Join(r.Types, ", "), report.Count(float64(r.Payments)))
	fmt.Fprintf(w, "accepted %s/s, delivered %s/s\n\n", report.Count(r.Accepted), report.Count(r.Delivered))
	t := report.Table{Head: []string{"publish to arrival", "payments", "p50 ms", "p99 ms", "max ms"}}
	for _, row := range []struct {
		name string
		l    Latency
	}{{"under that load", r.Load}, {fmt.Sprintf("at %d payments a second", IdleRate), r.Calm}} {
		t.Add(row.name, report.Count(float64(row.l.Samples)), report.Millis(row.l.P50), report.Millis(row.l.P99), report.Millis(row.l.Max))
	}
	t.Print(w)
	o := r.Outage
	fmt.Fprintf(w, "\nThe receiver answered 500 for %.0f s at %d payments a second:\n", o.Lasted.Seconds(), OutageRate)
	fmt.Fprintf(w, "all delivered %.1f s after it recovered, %s posts wasted\n", o.Recovered.Seconds(), report.Count(float64(o.Wasted)))
	fmt.Fprintf(w, "%d delivered twice; ", r.Twice)
	r.Ledger.print(w)
	if noise := r.Share.Noise(); noise != "" {
		fmt.Fprintf(w, "under load, %s\n", noise)
	}
}
