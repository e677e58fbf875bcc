package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/cmd/feddi/internal/bench"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
)

type benchOffers struct {
	benchFlags
	Offers   []int         `default:"1000,10000,100000" help:"Live offers of each row, 500 to 1000000 (${default})." placeholder:"N"`
	Duration time.Duration `default:"5s" help:"Of each row, 100ms to 5m (${default})." placeholder:"TIME"`
}

// Validate is called by the command-line parser.
func (c *benchOffers) Validate() error {
	switch {
	case len(c.Offers) == 0 || slices.Min(c.Offers) < 500 || slices.Max(c.Offers) > 1_000_000:
		return errors.New("--offers: give 500 to 1000000, for example 1000,10000,100000")
	case c.Duration < 100*time.Millisecond || c.Duration > 5*time.Minute:
		return errors.New("--duration: give 100ms to 5m")
	}
	return nil
}

// Run measures the offer feed; it needs no database.
func (c *benchOffers) Run(ctx context.Context, t *terminal) error {
	rules, err := celrules.New()
	if err != nil {
		return err
	}
	show := newMeter(t.err)
	defer show.done()
	d := &bench.Deployment{Progress: show.tell, Quiet: c.Quiet}
	r, err := bench.Offers(ctx, d, bench.ThisHead(version), bench.OffersOptions{Sizes: c.Offers, Duration: c.Duration, Rules: rules})
	show.done()
	return errors.Join(printReport(t, r, c.JSON), err)
}

type benchOutbox struct {
	benchFlags
	Events  int `default:"200000" help:"That are waiting, 1000 to 10000000 (${default})." placeholder:"N"`
	Samples int `default:"200" help:"Of the idle latency, 10 to 2000 (${default})." placeholder:"N"`
}

// Validate is called by the command-line parser.
func (c *benchOutbox) Validate() error {
	switch {
	case c.Events < 1000 || c.Events > 10_000_000:
		return errors.New("--events: give 1000 to 10000000")
	case c.Samples < 10 || c.Samples > 2000:
		return errors.New("--samples: give 10 to 2000")
	}
	return nil
}

// Run measures the event log.
func (c *benchOutbox) Run(ctx context.Context, t *terminal) error {
	return c.measureDatabase(ctx, t, func(d *bench.Deployment, head bench.Head) (benchReport, error) {
		return reported(bench.Outbox(ctx, d, head, bench.OutboxOptions{Events: c.Events, Samples: c.Samples, Log: quietLog(t.err)}))
	})
}

type benchWebhooks struct {
	benchFlags
	Events      int           `default:"20000" help:"Payments in a closed loop, each of which publishes one event or more, 100 to 1000000 (${default})." placeholder:"N"`
	EventTypes  []string      `default:"*" help:"What the receiver subscribes to: names of event types, or * for all that payments publish (${default})." placeholder:"TYPE"`
	Connections int           `default:"32" help:"That publish, 1 to 1000 (${default})." placeholder:"N"`
	Calm        time.Duration `default:"10s" help:"How long 50 payments a second are sent, 1s to 5m (${default})." placeholder:"TIME"`
	Outage      time.Duration `default:"10s" help:"How long the receiver answers 500, 1s to 5m (${default})." placeholder:"TIME"`
	Wallets     int           `default:"2000" help:"Funded wallets, 10 to 1000000 (${default})." placeholder:"N"`
}

// Validate is called by the command-line parser.
func (c *benchWebhooks) Validate() error {
	within := func(d time.Duration) bool { return d >= time.Second && d <= 5*time.Minute }
	switch {
	case c.Events < 100 || c.Events > 1_000_000:
		return errors.New("--events: give 100 to 1000000")
	case c.Connections < 1 || c.Connections > 1000:
		return errors.New("--connections: give 1 to 1000")
	case !within(c.Calm) || !within(c.Outage):
		return errors.New("--calm and --outage: give 1s to 5m")
	case c.Wallets < 10 || c.Wallets > 1_000_000:
		return errors.New("--wallets: give 10 to 1000000")
	}
	return nil
}

// Run measures deliveries.
func (c *benchWebhooks) Run(ctx context.Context, t *terminal) error {
	return c.measure(ctx, t, func(_ *system.System, d *bench.Deployment, head bench.Head) (benchReport, error) {
		return reported(bench.Webhooks(ctx, d, head, bench.WebhooksOptions{
			Events: c.Events, Types: c.EventTypes, Connections: c.Connections, Idle: c.Calm, Outage: c.Outage, Wallets: c.Wallets,
		}))
	})
}

type benchReplay struct {
	benchFlags
	Most int `default:"10000" help:"Decisions of each kind, the latest ones, 1 to 1000000 (${default})." placeholder:"N"`
	Make int `default:"500" help:"Sales and payments to make first where nothing is stored, 10 to 100000 (${default})." placeholder:"N"`
}

// Validate is called by the command-line parser.
func (c *benchReplay) Validate() error {
	switch {
	case c.Most < 1 || c.Most > 1_000_000:
		return errors.New("--most: give 1 to 1000000")
	case c.Make < 10 || c.Make > 100_000:
		return errors.New("--make: give 10 to 100000")
	}
	return nil
}

// Run replays; status 1 where a decision came out differently.
func (c *benchReplay) Run(ctx context.Context, t *terminal) error {
	return c.measure(ctx, t, func(s *system.System, d *bench.Deployment, head bench.Head) (benchReport, error) {
		return reported(bench.Replay(ctx, d, head, bench.ReplayOptions{
			Most: c.Most, Make: c.Make, Checkout: s.Uses.Checkout, Incentives: s.Uses.Incentives, Trace: s.ReplayTrace, Payment: s.ReplayPayment,
		}))
	})
}

// reported keeps a nil report nil behind the interface.
func reported[R interface {
	comparable
	benchReport
}](r R, err error) (benchReport, error) {
	if none := *new(R); r == none {
		return nil, err
	}
	return r, err
}
