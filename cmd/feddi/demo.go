package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/feddi/feddi/cmd/feddi/internal/goldenpath"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/tenancy"
)

// demoCommand is the main job: one coffee, on real parts, from nothing.
type demoCommand struct {
	Runs int  `default:"1" help:"Walk this many times (1 to 100000) and print how long each step takes." placeholder:"N"`
	JSON bool `help:"Print the timings as JSON, for machines."`
}

// Run walks the golden path on a system of its own and ends it again.
func (c demoCommand) Run(ctx context.Context, t *terminal) error {
	if c.Runs < 1 || c.Runs > 100_000 {
		return fmt.Errorf("--runs is %d; give 1 to 100000", c.Runs)
	}
	begin := time.Now()
	progress := newProgress(t.err)
	d, err := system.StartDatabase(ctx, "", progress.tell)
	if err != nil {
		progress.done()
		return err
	}
	defer func() { _ = d.Close(context.WithoutCancel(ctx)) }()
	progress.tell("starting the server and three actuators")
	s, err := system.Start(ctx, d.DB, system.Options{
		Mode: tenancy.Sandbox, Version: version, Listen: "127.0.0.1:0", Log: quietLog(t.err), Limits: c.Runs == 1,
	})
	if err != nil {
		progress.done()
		return err
	}
	defer s.Stop(context.WithoutCancel(ctx))
	progress.done()
	healthy := time.Since(begin)
	if c.Runs > 1 {
		return c.measure(ctx, t, s.URL(), healthy)
	}
	return walkOnce(ctx, t, s.URL(), d.Server.From(), healthy)
}

func walkOnce(ctx context.Context, t *terminal, url, from string, healthy time.Duration) error {
	printer := goldenpath.Printer{Out: t.out, Colour: colour(t.out)}
	fmt.Fprintf(t.out, "\nFEDDI  one coffee, from hello to receipt\n\n")
	fmt.Fprintf(t.out, "  database   %s\n  server     %s  (REST and Connect)\n", from, url)
	fmt.Fprintf(t.out, "  actuators  wallet, cashback, attribution: three processes\n")
	fmt.Fprintf(t.out, "  healthy    after %.1f s\n\n", healthy.Seconds())
	w := goldenpath.New(url, printer.Print)
	defer w.Close()
	for _, part := range []func(context.Context) error{w.Prepare, w.Walk, w.Hear} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(t.out, "That was the whole path. Keep it running: feddi dev\n")
	return nil
}

// measure walks many times and prints the time of each step.
func (c demoCommand) measure(ctx context.Context, t *terminal, url string, healthy time.Duration) error {
	var timings goldenpath.Timings
	w := goldenpath.New(url, timings.Add)
	defer w.Close()
	if err := w.Prepare(ctx); err != nil {
		return err
	}
	bar := newBar(t.err, c.Runs, "walking")
	for range c.Runs {
		if err := w.Walk(ctx); err != nil {
			return err
		}
		_ = bar.Add(1)
	}
	_ = bar.Finish()
	if err := w.Hear(ctx); err != nil {
		return err
	}
	arrivals := w.Arrivals()
	slices.Sort(arrivals)
	if c.JSON {
		return json.NewEncoder(t.out).Encode(map[string]any{
			"healthy_ns": healthy, "steps": timings.Table(), "webhooks": len(arrivals),
			"webhook_p50_ns": goldenpath.Quantile(arrivals, 0.5), "webhook_p99_ns": goldenpath.Quantile(arrivals, 0.99),
		})
	}
	printTimings(t.out, timings.Table(), arrivals, healthy)
	return nil
}

func printTimings(out io.Writer, rows []goldenpath.Timing, arrivals []time.Duration, healthy time.Duration) {
	fmt.Fprintf(out, "\n%-34s %7s %11s %11s %11s\n", "step", "runs", "p50 ms", "p99 ms", "max ms")
	for _, r := range rows {
		fmt.Fprintf(out, "%2d  %-30s %7d %11.2f %11.2f %11.2f\n", r.Number, r.Title, r.Runs, ms(r.P50), ms(r.P99), ms(r.Max))
	}
	fmt.Fprintf(out, "\nwebhooks, event to arrival: %d, p50 %.1f ms, p99 %.1f ms\n", len(arrivals), ms(goldenpath.Quantile(arrivals, 0.5)), ms(goldenpath.Quantile(arrivals, 0.99)))
	fmt.Fprintf(out, "start to healthy: %.2f s\n", healthy.Seconds())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// progress is one line that says what is going on; silent where nobody looks.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress(w io.Writer) progress {
	if !isTerminal(w) {
		return progress{}
	}
	return progress{progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())}
}

func (p progress) tell(what string) {
	if p.bar != nil {
		p.bar.Describe(what)
		_ = p.bar.Add(1)
	}
}

func (p progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// newBar counts to n on w; silent where w is no terminal.
func newBar(w io.Writer, n int, what string) *progressbar.ProgressBar {
	if !isTerminal(w) {
		return progressbar.DefaultSilent(int64(n), what)
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(40), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

// colour reports whether w is a terminal whose user has not asked for plain text.
func colour(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
