package actuators

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/feddi/feddi/cmd/feddi/internal/bench"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/till"
)

// Payment compares payments that the actuator plans with such that are planned
// in this process, at one number of connections. Rates are medians of rounds
// that took turns.
type Payment struct {
	Connections int              `json:"connections"`
	Rate        float64          `json:"per_second"`
	InProcess   float64          `json:"in_process_per_second"`
	Overhead    float64          `json:"overhead"` // in-process rate over rate
	P50         time.Duration    `json:"p50_ns"`
	InProcP50   time.Duration    `json:"in_process_p50_ns"`
	Others      map[string]int64 `json:"other_answers"`
}

// Failover is what became of operations while actuators were killed under them.
type Failover struct {
	Kills int `json:"kills"` // of each kind
	// Away is the time from a kill to the first payment that was sent after it and
	// succeeded, median and longest.
	Away    time.Duration `json:"away_p50_ns"`
	AwayMax time.Duration `json:"away_max_ns"`
	// Payments, whose actuator is required, and those among them that failed, by
	// name.
	Payments int64            `json:"payments"`
	Failed   map[string]int64 `json:"failed"`
	// Sales, whose actuators are optional, and those among them that failed.
	Sales       int64  `json:"sales"`
	SalesFailed int64  `json:"sales_failed"`
	FirstFailed string `json:"first_failed_sale,omitempty"`
}

// shop is a furnished stage.
type shop struct {
	Options

	d     *bench.Deployment
	stage *stage.Stage
}

// merchants are paid.
const merchants = 20

func open(ctx context.Context, d *bench.Deployment, o Options) (*shop, error) {
	d.Progress(fmt.Sprintf("furnishing %d merchants", merchants), -1)
	s, err := stage.Open(ctx, d.DB, merchants, d.CreateSandbox)
	if err != nil {
		return nil, err
	}
	if err := s.Guests(ctx, o.Wallets); err != nil {
		return nil, err
	}
	return &shop{Options: o, d: d, stage: s}, s.Settle(ctx)
}

// pay pays for a while.
func (s *shop) pay(ctx context.Context, name string, connections int, d time.Duration, answered func([]byte, load.Answer, time.Duration, time.Duration)) (load.Result, error) {
	const fastest = 12_000 // payments a second that codes are made for
	n := int(fastest * d.Seconds())
	s.d.Progress(name+", preparing", -1)
	codes, err := s.stage.Mint(ctx, stage.Order{Codes: n})
	if err != nil {
		return load.Result{}, err
	}
	defer codes.Close()
	if err := s.stage.Sign(ctx, s.d.URL); err != nil {
		return load.Result{}, err
	}
	t, err := till.New(s.stage, codes, false, s.d.Address)
	if err != nil {
		return load.Result{}, err
	}
	runtime.GC()
	return load.Run(ctx, load.Plan{
		Address: s.d.Address, Connections: connections, Warmup: d / 5, Duration: d, Next: t.Next, Judge: judge, Answered: answered,
		Tick: func(share float64) { s.d.Progress(name, share) },
	})
}

// judge names an answer: "" for a payment, a code for a typed error that can be
// repeated, and what it was for anything else.
func judge(a load.Answer) string {
	const mark = `"code":"`
	i := bytes.Index(a.Body, []byte(mark))
	switch {
	case a.Status == 201:
		return ""
	case i >= 0 && a.Status >= 400 && bytes.Contains(a.Body, []byte(`"retryable":true`)):
		code, _, _ := bytes.Cut(a.Body[i+len(mark):], []byte(`"`))
		return fmt.Sprintf("%d %s", a.Status, code)
	default:
		return fmt.Sprintf("untyped: %d %.120s", a.Status, a.Body)
	}
}

// compare pays with either planner in turn.
func (s *shop) compare(ctx context.Context, r *Report) error {
	defer s.Switch.on.Store(false)
	for _, n := range s.Connections {
		row := Payment{Connections: n, Others: map[string]int64{}}
		var rates [2][]float64
		var p50 [2][]time.Duration
		for round := range 2 * s.Rounds {
			side := (round + round/2) % 2 // A B B A A B: neither is always first
			s.Switch.on.Store(side == 1)
			name := fmt.Sprintf("payments, %d connections, %s", n, []string{"by a process", "in this one"}[side])
			got, err := s.pay(ctx, name, n, s.Duration, nil)
			if err != nil {
				return err
			}
			rates[side], p50[side] = append(rates[side], got.Rate()), append(p50[side], got.Latency.Quantile(0.5))
			for other, n := range got.Others {
				row.Others[other] += n
			}
		}
		row.Rate, row.InProcess, row.P50, row.InProcP50 = median(rates[0]), median(rates[1]), median(p50[0]), median(p50[1])
		row.Overhead = row.InProcess / row.Rate
		r.Payments = append(r.Payments, row)
	}
	return nil
}

func median[T float64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// breath is how long a till waits before it tries again what was refused. The
// answer asks for a second.
const breath = 30 * time.Millisecond

// pid is the process of one of the host's actuators; 0 while there is none.
func (s *shop) pid(name string) int {
	for _, r := range s.Host.Reports() {
		if r.Installation == "" && r.Status.Manifest.Name == name {
			return r.Pid
		}
	}
	return 0
}

// failover kills the actuator of payments while payments are made, and those of
// sales while sales are closed.
func (s *shop) failover(ctx context.Context, r *Report) error {
	const every = 1500 * time.Millisecond
	f := Failover{Kills: s.Kills}
	var (
		mu        sync.Mutex
		succeeded [][2]time.Time // sent and answered
		kills     []time.Time
		began     time.Time
	)
	took := time.Duration(s.Kills+1) * every
	var once sync.Once
	start := make(chan struct{})
	answered := func(_ []byte, a load.Answer, sent, took time.Duration) {
		once.Do(func() { began = time.Now().Add(-sent - took); close(start) })
		if a.Status == 201 {
			mu.Lock()
			defer mu.Unlock()
			at := began.Add(sent)
			succeeded = append(succeeded, [2]time.Time{at, at.Add(took)})
			return
		}
		time.Sleep(breath)
	}
	killer := make(chan error, 1)
	go func() { killer <- s.kill(ctx, start, "wallet", every, func() { kills = append(kills, time.Now()) }) }()
	got, err := s.pay(ctx, "payments, while the actuator is killed", 32, took, answered)
	if err := errors.Join(err, <-killer); err != nil {
		return err
	}
	f.Payments, f.Failed = got.Wanted, got.Others
	var away []time.Duration
	for _, at := range kills {
		first := time.Time{}
		for _, one := range succeeded {
			if one[0].After(at) && (first.IsZero() || one[1].Before(first)) {
				first = one[1]
			}
		}
		if first.IsZero() {
			return errors.New("no payment succeeded after the actuator was killed")
		}
		away = append(away, first.Sub(at))
	}
	f.Away, f.AwayMax = median(away), slices.Max(away)
	if err := s.sell(ctx, &f, every); err != nil {
		return err
	}
	r.Failover = f
	return nil
}

// kill kills an actuator again and again, once the load has begun.
func (s *shop) kill(ctx context.Context, start <-chan struct{}, name string, every time.Duration, killed func()) error {
	select {
	case <-start:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("the load did not begin")
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for range s.Kills {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		pid := s.pid(name)
		if pid == 0 {
			return fmt.Errorf("the %s actuator was not back after %v", name, every)
		}
		killed()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

// sellers close sales at once.
const sellers = 4

// sell closes sales while the actuator that decides about them is killed.
func (s *shop) sell(ctx context.Context, f *Failover, every time.Duration) error {
	s.d.Progress("sales, while the actuator is killed", -1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sales, failed atomic.Int64
	var first atomic.Pointer[string]
	var all sync.WaitGroup
	ended := make(chan struct{})
	for i := range sellers {
		m := s.stage.Merchants[i%len(s.stage.Merchants)]
		all.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				sales.Add(1)
				if err := s.sale(ctx, m); err != nil {
					failed.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	start := make(chan struct{})
	close(start)
	err := s.kill(ctx, start, "attribution", every, func() {})
	close(ended)
	all.Wait()
	f.Sales, f.SalesFailed = sales.Load(), failed.Load()
	if text := first.Load(); text != nil {
		f.FirstFailed = *text
	}
	return err
}

// sale sells a coffee for cash.
func (s *shop) sale(ctx context.Context, m *stage.Merchant) error {
	type object = map[string]any
	post := func(path string, body object, into any) error {
		body["meta"] = object{"api_version": "2026-06-01"}
		body["context"] = object{"merchant_id": m.Merchant.ID, "branch_id": m.Branch.ID, "terminal_id": m.Terminal.ID, "cashier_id": "c-17", "locale": "en-US"}
		return stage.Post(ctx, s.d.URL+"/v1/partner"+path, m.Raw, body, into)
	}
	var opened struct {
		Data struct {
			Session struct {
				SessionID string `json:"session_id"`
			}
		}
	}
	if err := post("/checkout/sessions", object{"currency": stage.Currency, "channel": "in_store"}, &opened); err != nil {
		return err
	}
	session := "/checkout/sessions/" + opened.Data.Session.SessionID
	var any struct{}
	err := post(session+"/basket", object{"expected_revision": 0, "discount_minor": 0, "tax_minor": 0, "lines": []object{
		{"line_id": "1", "sku": "LATTE", "category": "coffee", "quantity": 1, "unit_price_minor": 450},
	}}, &any)
	if err != nil {
		return err
	}
	return post(session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 450}}}, &any)
}

// judge gives an error where an operation failed in a way that it must not.
func (r *Report) judge() error {
	for _, others := range append([]map[string]int64{r.Failover.Failed}, otherAnswers(r.Payments)...) {
		for name, n := range others {
			if strings.HasPrefix(name, "untyped") {
				return fmt.Errorf("%d answers were neither 201 nor an error that can be repeated: %s", n, name)
			}
		}
	}
	if r.Failover.SalesFailed > 0 {
		return fmt.Errorf("%d of %d sales failed for want of an optional actuator: %s", r.Failover.SalesFailed, r.Failover.Sales, r.Failover.FirstFailed)
	}
	return nil
}

func otherAnswers(rows []Payment) []map[string]int64 {
	out := make([]map[string]int64, len(rows))
	for i, row := range rows {
		out[i] = row.Others
	}
	return out
}
