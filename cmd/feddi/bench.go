package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/cmd/feddi/internal/bench"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// benchCommand measures a deployment. Each sub-command starts a durable
// database and a server of its own, or measures on DATABASE_URL: in sandboxes
// that it makes there and that the sandbox sweep takes away again.
type benchCommand struct {
	Payments  benchPayments  `cmd:"" help:"Wallet payments through HTTP, beside what Postgres itself commits."`
	Offers    benchOffers    `cmd:"" help:"The offer feed in process, against the size of the catalogue."`
	Outbox    benchOutbox    `cmd:"" help:"Events to a consumer that does nothing, and their idle latency."`
	Webhooks  benchWebhooks  `cmd:"" help:"From a payment to a receiver here, also while that is out of order."`
	Actuators benchActuators `cmd:"" help:"Actuators as processes: start, plans, what a planned payment costs, failover."`
	Replay    benchReplay    `cmd:"" help:"Decide stored decisions again and compare bytes."`
}

// benchFlags are what all benches share.
type benchFlags struct {
	JSON  bool          `help:"Print one JSON object, for machines."`
	Quiet time.Duration `help:"Wait up to this long, before each row, for other programs to leave the processors alone." placeholder:"TIME"`

	registry func(actuation.Registry) actuation.Registry // see system.Options
}

// benchReport is what a bench found.
type benchReport interface{ Print(w io.Writer) }

// measure runs fn on a system of its own and prints what it found, also where
// it ended in an error.
func (f benchFlags) measure(ctx context.Context, t *terminal, fn func(*system.System, *bench.Deployment, bench.Head) (benchReport, error)) error {
	return f.measureDatabase(ctx, t, func(d *bench.Deployment, head bench.Head) (benchReport, error) {
		s, err := system.Start(ctx, d.DB, system.Options{Mode: tenancy.Sandbox, Version: version, Listen: "127.0.0.1:0", Log: quietLog(t.err), Registry: f.registry})
		if err != nil {
			return nil, err
		}
		defer s.Stop(context.WithoutCancel(ctx))
		d.URL, d.Address = s.URL(), s.Address()
		d.CreateSandbox = creator(s.Uses.Sandbox)
		return fn(s, d, head)
	})
}

// measureDatabase runs fn on a database alone, with no server on it.
func (f benchFlags) measureDatabase(ctx context.Context, t *terminal, fn func(*bench.Deployment, bench.Head) (benchReport, error)) error {
	show := newMeter(t.err)
	defer show.done()
	db, err := system.StartDatabase(ctx, "", func(what string) { show.tell(what, -1) })
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	uses := &sandbox.Service{UoW: postgres.New(db.DB, nil, nil), Clock: clock.System{}, IDs: ids.New(clock.System{})}
	d := &bench.Deployment{DB: db.DB, Database: db.Server.From(), Progress: show.tell, Quiet: f.Quiet, CreateSandbox: creator(uses)}
	head, err := d.NewHead(ctx, version)
	if err != nil {
		return err
	}
	report, err := fn(d, head)
	show.done()
	return errors.Join(printReport(t, report, f.JSON), err)
}

func creator(uses *sandbox.Service) func(context.Context, sandbox.Input) (sandbox.Credentials, error) {
	return func(ctx context.Context, in sandbox.Input) (sandbox.Credentials, error) {
		return uses.Create(ctx, &app.Call{Operation: "createSandboxCredentials"}, in)
	}
}

func printReport(t *terminal, r benchReport, asJSON bool) error {
	switch {
	case r == nil:
		return nil
	case asJSON:
		return json.NewEncoder(t.out).Encode(r)
	}
	r.Print(t.out)
	return nil
}

// meter shows what a bench does and how far it is; silent where nobody looks.
type meter struct {
	out  io.Writer
	bar  *progressbar.ProgressBar
	what string
}

func newMeter(w io.Writer) *meter { return &meter{out: w} }

// tell shows what goes on. A share below 0 is one that nobody knows.
func (m *meter) tell(what string, share float64) {
	if !isTerminal(m.out) {
		return
	}
	if what != m.what || m.bar == nil {
		m.done()
		m.what = what
		n := 1000
		if share < 0 {
			n = -1
		}
		m.bar = progressbar.NewOptions(n, progressbar.OptionSetWriter(m.out), progressbar.OptionSetDescription(fmt.Sprintf("%-32.32s", what)),
			progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	}
	_ = m.bar.Set(int(1000 * min(1, max(0, share)))) // it only draws
}

func (m *meter) done() {
	if m.bar != nil {
		_ = m.bar.Finish() // it only draws
		m.bar = nil
	}
}
