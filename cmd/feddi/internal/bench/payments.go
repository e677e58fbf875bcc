package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/limit"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/till"
)

// PaymentsOptions say what to measure.
type PaymentsOptions struct {
	Connections []int
	Duration    time.Duration // of each row
	Wallets     int
	Merchants   int
	// OneMerchant sends every payment to one merchant and one branch. Without
	// it, the last row is measured that way too, for the ratio.
	OneMerchant bool
	// Sessions makes each payment a tender of a checkout session of its own.
	Sessions bool
	// MaxPayments bounds the payments of one row.
	MaxPayments int
	// History is how many postings of older payments are written before one more
	// row is measured, at the most connections; 0 for none.
	History int
	// Profile is where a CPU profile of the busiest row goes; empty for none.
	Profile string
}

// PaymentsReport is what was measured.
type PaymentsReport struct {
	Head
	LimitTool string         `json:"limit_tool"`
	Limit     []LimitRow     `json:"limit"` // at 1 client, at 32, and at 32 again behind each row
	Rows      []PaymentsRow  `json:"rows"`
	Ratios    PaymentsRatios `json:"ratios"`
	// Acknowledged are all payments answered 201, Stored those in the database.
	Acknowledged int64   `json:"acknowledged"`
	Stored       int64   `json:"stored"`
	TwoLotShare  float64 `json:"share_spending_two_or_more_lots"`
	Ledger       Verdict `json:"ledger"`
}

// LimitRow is one measurement of what Postgres itself does.
type LimitRow struct {
	limit.Measure
	Share report.Share `json:"cpu"`
}

// PaymentsRow is one number of connections.
type PaymentsRow struct {
	Connections int              `json:"connections"`
	OneMerchant bool             `json:"one_merchant"`
	Sessions    bool             `json:"sessions"`
	History     int              `json:"after_postings"` // of older payments, written before this row
	Rate        float64          `json:"per_second"`
	Limit       float64          `json:"limit_per_second"` // at 32 clients, mean of before this row and after it
	Payments    int64            `json:"payments"`         // measured, without the warm-up
	P50         time.Duration    `json:"p50_ns"`
	P99         time.Duration    `json:"p99_ns"`
	P999        time.Duration    `json:"p999_ns"`
	Max         time.Duration    `json:"max_ns"`
	Created     int64            `json:"answered_201"` // with the warm-up
	Others      map[string]int64 `json:"other_answers"`
	Share       report.Share     `json:"cpu"`
	Behind      int64            `json:"events_behind"` // not yet handled by the slowest consumer at the end
	Caught      time.Duration    `json:"caught_up_ns"`  // after which it was; 0 where it was not waited out
}

// PaymentsRatios are the figures that compare across machines.
type PaymentsRatios struct {
	OverLimit   map[string]float64 `json:"rate_over_limit_at_32"` // by row
	OneMerchant float64            `json:"one_merchant_over_random"`
	LatencyAt1  float64            `json:"p50_over_limit_at_1"`
	History     float64            `json:"after_history_over_before"`
}

// limitClients is where the Postgres limit is taken, and limitTime how long it is
// measured at most: a row may run for minutes.
const (
	limitClients = 32
	limitTime    = 10 * time.Second
)

// Payments measures wallet payments through HTTP. An error means that
// something was lost, invented or unbalanced, or could not be measured.
func Payments(ctx context.Context, d *Deployment, head Head, o PaymentsOptions) (*PaymentsReport, error) {
	r := &PaymentsReport{Head: head}
	base, err := limit.Open(ctx, d.DB, o.Wallets)
	if err != nil {
		return nil, err
	}
	defer func() { _ = base.Close(context.WithoutCancel(ctx)) }() // the next Open drops it too
	r.LimitTool = base.Tool()
	for _, clients := range []int{1, limitClients} {
		if err := r.measureLimit(ctx, d, base, clients, min(o.Duration, limitTime)); err != nil {
			return nil, err
		}
	}
	again := func() error { return r.measureLimit(ctx, d, base, limitClients, min(o.Duration, limitTime)) }
	if err := paymentRows(ctx, d, r, o, again); err != nil {
		return r, err
	}
	if err := base.Check(ctx); err != nil {
		return r, err
	}
	r.Ratios = r.ratios()
	if r.Ledger, err = d.verify(ctx); err != nil {
		return r, err
	}
	return r, r.judge()
}

func (r *PaymentsReport) measureLimit(ctx context.Context, d *Deployment, base *limit.Limit, clients int, took time.Duration) error {
	if err := d.quiet(ctx); err != nil {
		return err
	}
	d.tell(fmt.Sprintf("Postgres limit, %d clients", clients), -1)
	used := report.Now()
	m, err := base.Measure(ctx, clients, took)
	r.Limit = append(r.Limit, LimitRow{m, report.Now().Since(used)})
	return err
}

// paymentRows furnishes the stages and measures every row, each between two
// measurements of the limit: the speed of a shared machine changes within a minute.
func paymentRows(ctx context.Context, d *Deployment, r *PaymentsReport, o PaymentsOptions, again func() error) error {
	row := func(s *stage.Stage, connections, history int) error {
		if err := r.row(ctx, d, s, connections, o, history); err != nil {
			return err
		}
		if err := again(); err != nil {
			return err
		}
		n := len(r.Limit)
		r.Rows[len(r.Rows)-1].Limit = (r.Limit[n-2].Rate + r.Limit[n-1].Rate) / 2
		return nil
	}
	before, err := d.payments(ctx)
	if err != nil {
		return err
	}
	many, one := o.Merchants, o.Connections
	if o.OneMerchant {
		many = 1
	} else {
		one = []int{slices.Max(o.Connections)}
	}
	var stages []*stage.Stage
	for _, n := range slices.Compact([]int{many, 1}) {
		d.tell(fmt.Sprintf("furnishing %d merchants, %d wallets", n, o.Wallets), -1)
		s, err := furnish(ctx, d, n, o.Wallets)
		if err != nil {
			return err
		}
		stages = append(stages, s)
	}
	if !o.OneMerchant {
		for _, n := range o.Connections {
			if err := row(stages[0], n, 0); err != nil {
				return err
			}
		}
	}
	for _, n := range one {
		if err := row(stages[len(stages)-1], n, 0); err != nil {
			return err
		}
	}
	if o.History > 0 {
		err := stages[0].History(ctx, o.History, func(done int) { d.tell("writing a past", float64(done)/float64(o.History)) })
		if err = errors.Join(err, again()); err != nil {
			return err
		}
		if err := row(stages[0], slices.Max(o.Connections), o.History); err != nil {
			return err
		}
		// What was written as a past was stored, but not by a request.
		before.stored += int64(o.History+1) / 2
	}
	after, err := d.payments(ctx)
	r.Stored = after.stored - before.stored
	if n := float64(after.stored - before.stored); n > 0 {
		r.TwoLotShare = float64(after.twoLots-before.twoLots) / n
	}
	return err
}

func furnish(ctx context.Context, d *Deployment, merchants, wallets int) (*stage.Stage, error) {
	s, err := stage.Open(ctx, d.DB, merchants, d.CreateSandbox)
	if err != nil {
		return nil, err
	}
	if err := s.Guests(ctx, wallets); err != nil {
		return nil, err
	}
	return s, s.Settle(ctx)
}

// stored counts payments that are in the database.
type stored struct{ stored, twoLots int64 }

func (d *Deployment) payments(ctx context.Context) (s stored, err error) {
	err = d.DB.Pool().QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE cardinality(grant_ids) >= 2) FROM payments WHERE status = 'succeeded'`).
		Scan(&s.stored, &s.twoLots)
	return s, err
}

// warmup is the share of a row's time that is not measured.
const warmup = 5 // a fifth

// row measures one number of connections.
func (r *PaymentsReport) row(ctx context.Context, d *Deployment, s *stage.Stage, connections int, o PaymentsOptions, history int) error {
	name := fmt.Sprintf("payments, %d connections", connections)
	warm := min(o.Duration/warmup, 2*time.Second)
	// As many as could be made if Postgres did nothing but debits, and twice
	// that; where they run out the row is shorter.
	most := 2 * r.Limit[1].Rate * (o.Duration + warm).Seconds()
	if connections == 1 {
		most = 2 * r.Limit[0].Rate * (o.Duration + warm).Seconds()
	}
	codes, err := s.Mint(ctx, stage.Order{
		Codes: min(int(most), o.MaxPayments), Sessions: o.Sessions,
		Tick: func(n int) { d.tell(name+", preparing", float64(n)/min(most, float64(o.MaxPayments))) },
	})
	if err != nil {
		return err
	}
	defer codes.Close()
	if err := s.Sign(ctx, d.URL); err != nil {
		return err
	}
	t, err := till.New(s, codes, o.Sessions, d.Address)
	if err != nil {
		return err
	}
	if err := errors.Join(d.settle(ctx), d.quiet(ctx)); err != nil {
		return err
	}
	stop, err := profile(o.Profile, connections == slices.Max(o.Connections) && history == 0 && (o.OneMerchant || len(s.Merchants) > 1))
	if err != nil {
		return err
	}
	used := report.Now()
	got, err := load.Run(ctx, load.Plan{
		Address: d.Address, Connections: connections, Warmup: warm, Duration: o.Duration, Next: t.Next, Judge: judgePayment,
		Tick: func(share float64) { d.tell(name, share) },
	})
	share := report.Now().Since(used)
	stop()
	row := PaymentsRow{
		Connections: connections, OneMerchant: len(s.Merchants) == 1, Sessions: o.Sessions, History: history, Rate: got.Rate(), Payments: got.Done,
		P50: got.Latency.Quantile(0.5), P99: got.Latency.Quantile(0.99), P999: got.Latency.Quantile(0.999), Max: got.Latency.Max(),
		Created: got.Wanted, Others: got.Others, Share: share,
	}
	r.Acknowledged += got.Wanted
	if err == nil {
		row.Behind, row.Caught, err = d.catchUp(ctx)
	}
	r.Rows = append(r.Rows, row)
	return err
}

// settle brings the machine to rest: what follows from the preparation is done,
// its garbage is collected, and what it wrote is on disk.
func (d *Deployment) settle(ctx context.Context) error {
	if err := d.gather(ctx); err != nil {
		return err
	}
	runtime.GC()
	_, err := d.DB.Pool().Exec(ctx, "CHECKPOINT")
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == insufficientPrivilege {
		return nil // a guest in somebody's database may not
	}
	return err
}

const insufficientPrivilege = "42501"

// profile starts a CPU profile of this process and returns what ends it.
func profile(path string, wanted bool) (stop func(), err error) {
	if path == "" || !wanted {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // what is missing shows when it is read
	}, nil
}

// judgePayment names an answer: "" for a payment that was made, the code of a
// typed error, or what it was instead.
func judgePayment(a load.Answer) string {
	if a.Status == 201 && bytes.Contains(a.Body, []byte(`"status":"succeeded"`)) {
		return ""
	}
	const mark = `"code":"`
	if i := bytes.Index(a.Body, []byte(mark)); i >= 0 && a.Status >= 400 {
		code := a.Body[i+len(mark):]
		if end := bytes.IndexByte(code, '"'); end > 0 {
			return fmt.Sprintf("%d %s", a.Status, code[:end])
		}
	}
	return fmt.Sprintf("untyped: %d %.80s", a.Status, a.Body)
}
