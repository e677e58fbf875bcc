package load

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is a closed loop: every connection sends its next request as soon as
// the last one was answered. It ends after Warmup+Duration, or when the
// requests are used up.
type Plan struct {
	Address     string // host:port, loopback only
	Connections int
	Warmup      time.Duration // answered and counted, but not in the latencies
	Duration    time.Duration
	// Next renders the next request into buf, which it may grow; nil where there
	// are no more. It is called by all connections at once.
	Next func(buf []byte) []byte
	// Judge names an answer; "" is the one that is wanted. It must not keep body.
	Judge func(Answer) string
	// Answered, where set, hears of every exchange: when it was sent, counted
	// from the begin, and how long it took. All connections call it at once.
	Answered func(request []byte, a Answer, sent, took time.Duration)
	// Tick, where set, hears of progress: the share done, 0 to 1.
	Tick func(share float64)
}

// Result is what a loop measured.
type Result struct {
	Connections int
	// Elapsed and Done are without the warm-up; Rate is their quotient.
	Elapsed time.Duration
	Done    int64
	Latency Histogram
	// Wanted counts the wanted answers with the warm-up, Others the others by name.
	Wanted int64
	Others map[string]int64
}

// Rate is answers per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Done) / r.Elapsed.Seconds()
}

// grace is how long an answer may take after the end.
const grace = 15 * time.Second

// Run runs the loop. An error means that a connection broke or an answer was
// no HTTP; what the server answered is in Result, however bad.
func Run(ctx context.Context, p Plan) (Result, error) {
	if err := loopback(p.Address); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conns := make([]*Conn, 0, p.Connections)
	defer func() {
		for _, c := range conns {
			_ = c.Close() // all was read
		}
	}()
	begin := time.Now()
	for range p.Connections {
		c, err := Dial(ctx, p.Address, begin.Add(p.Warmup+p.Duration+grace))
		if err != nil {
			return Result{}, err
		}
		conns = append(conns, c)
	}
	r := &runner{Plan: p, begin: time.Now()}
	r.warm, r.end = r.begin.Add(p.Warmup), r.begin.Add(p.Warmup+p.Duration)
	stop := context.AfterFunc(ctx, func() { r.stopped.Store(true) })
	defer stop()
	done := r.tick()
	parts := make([]part, p.Connections)
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() { r.loop(c, &parts[i]) })
	}
	all.Wait()
	close(done)
	return r.merge(parts, ctx.Err())
}

type runner struct {
	Plan
	begin, warm, end time.Time
	stopped          atomic.Bool
}

// part is what one connection measured.
type part struct {
	latency Histogram
	wanted  int64
	others  map[string]int64
	last    time.Time // of the last measured answer
	err     error
}

func (r *runner) loop(c *Conn, out *part) {
	buf := make([]byte, 0, 4<<10)
	for sent := time.Now(); sent.Before(r.end) && !r.stopped.Load(); {
		if buf = r.Next(buf[:0]); buf == nil {
			return
		}
		a, err := c.Exchange(buf)
		now := time.Now()
		if err != nil {
			out.err = err
			r.stopped.Store(true)
			return
		}
		r.take(out, buf, a, sent, now)
		sent = now
	}
}

// take books one answer to a request that was due at sent.
func (r *runner) take(out *part, request []byte, a Answer, sent, now time.Time) {
	if name := r.Judge(a); name == "" {
		out.wanted++
	} else {
		if out.others == nil {
			out.others = map[string]int64{}
		}
		out.others[name]++
	}
	if r.Answered != nil {
		r.Answered(request, a, sent.Sub(r.begin), now.Sub(sent))
	}
	if !sent.Before(r.warm) {
		out.latency.Record(now.Sub(sent))
		out.last = now
	}
}

// tick tells how far it is, ten times a second, until the channel is closed.
func (r *runner) tick() chan<- struct{} {
	done := make(chan struct{})
	if r.Tick == nil {
		return done
	}
	go func() {
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-t.C:
				r.Tick(min(1, float64(now.Sub(r.begin))/float64(r.end.Sub(r.begin))))
			}
		}
	}()
	return done
}

func (r *runner) merge(parts []part, err error) (Result, error) {
	out := Result{Connections: r.Connections, Others: map[string]int64{}}
	last := r.warm
	for i := range parts {
		p := &parts[i]
		out.Latency.Merge(&p.latency)
		out.Wanted += p.wanted
		for name, n := range p.others {
			out.Others[name] += n
		}
		if p.last.After(last) {
			last = p.last
		}
		if p.err != nil && err == nil {
			err = fmt.Errorf("a connection broke: %w", p.err)
		}
	}
	out.Done, out.Elapsed = out.Latency.Count(), last.Sub(r.warm)
	return out, err
}

// loopback refuses to load anything but this machine.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not on loopback; the load runs against this machine only", address)
	}
	return nil
}
