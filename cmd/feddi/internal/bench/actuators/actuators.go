// Package actuators measures what it costs that actuators are processes: how
// soon one is ready, how many plans it makes, what a planned payment costs beside
// one that is planned in this process, and how long it is away when it is killed.
package actuators

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/cmd/feddi/internal/bench"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/conformance"
)

// Options say what to measure.
type Options struct {
	Specs       []pluginhost.Spec // that are started and asked
	Starts      int               // of each
	Connections []int             // of payments
	Duration    time.Duration     // of each row of payments, and of a third of it for plans
	Rounds      int               // of payments, planned in turn by the process and in this one
	Wallets     int
	Kills       int
	Host        *pluginhost.Host // of the server that is paid at
	Switch      *Switch          // who plans its payments
}

// Report is what was measured.
type Report struct {
	bench.Head
	Starts   []Start   `json:"starts"`
	Plans    []Plans   `json:"plans"`
	Payments []Payment `json:"payments"`
	Failover Failover  `json:"failover"`
}

// Start is how long an actuator takes from exec to described.
type Start struct {
	Actuator string        `json:"actuator"`
	Samples  int           `json:"samples"`
	P50      time.Duration `json:"p50_ns"`
	Max      time.Duration `json:"max_ns"`
}

// Plans is how many proven plans one actuator makes.
type Plans struct {
	Actuator string        `json:"actuator"`
	Batch    int           `json:"batch"`
	Calls    float64       `json:"calls_per_second"`
	Plans    float64       `json:"plans_per_second"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
}

// Run measures. An error means that something was lost, untyped, or could not be
// measured.
func Run(ctx context.Context, d *bench.Deployment, head bench.Head, o Options) (*Report, error) {
	r := &Report{Head: head}
	for i, spec := range o.Specs {
		d.Progress("starting "+spec.Name, float64(i)/float64(len(o.Specs)))
		if err := r.start(ctx, spec, o); err != nil {
			return r, err
		}
	}
	s, err := open(ctx, d, o)
	if err != nil {
		return r, err
	}
	if err := s.compare(ctx, r); err != nil {
		return r, err
	}
	if err := s.failover(ctx, r); err != nil {
		return r, err
	}
	return r, r.judge()
}

// start times the starts of one actuator, and asks the last one for plans.
func (r *Report) start(ctx context.Context, spec pluginhost.Spec, o Options) error {
	took := make([]time.Duration, o.Starts)
	for i := range took {
		opened, err := pluginhost.Open(ctx, spec, pluginhost.Config{Logger: discarded})
		if err != nil {
			return err
		}
		if took[i] = opened.Started; i < len(took)-1 {
			if err := opened.Close(); err != nil {
				return err
			}
			continue
		}
		for _, batch := range []int{1, 16, 64} {
			r.Plans = append(r.Plans, plans(ctx, opened, batch, o.Duration/3))
		}
		if err := opened.Close(); err != nil {
			return err
		}
	}
	slices.Sort(took)
	r.Starts = append(r.Starts, Start{spec.Name, len(took), took[len(took)/2], took[len(took)-1]})
	return nil
}

// callers ask one actuator at once: as many as a host lets through, by half.
const callers = 8

// plans has several callers ask for batches of one size, as a server does: each
// plan is proven.
func plans(ctx context.Context, o *pluginhost.Opened, size int, d time.Duration) Plans {
	all := conformance.Corpus(o.Manifest.DecisionKinds)
	batch := make([]actuation.Snapshot, size)
	for i := range batch {
		batch[i] = all[i%len(all)]
		batch[i].ID = fmt.Sprint(i)
	}
	planner := o.Planner()
	var (
		mu    sync.Mutex
		took  []time.Duration
		calls atomic.Int64
		wg    sync.WaitGroup
		began = time.Now()
	)
	for range callers {
		wg.Go(func() {
			var mine []time.Duration
			for ctx.Err() == nil && time.Since(began) < d {
				call := time.Now()
				planner.Plan(ctx, batch)
				mine = append(mine, time.Since(call))
				calls.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	wg.Wait()
	rate := float64(calls.Load()) / time.Since(began).Seconds()
	slices.Sort(took)
	out := Plans{Actuator: o.Manifest.Name, Batch: size, Calls: rate, Plans: rate * float64(size)}
	if n := len(took); n > 0 {
		out.P50, out.P99 = took[n/2], took[n*99/100]
	}
	return out
}
