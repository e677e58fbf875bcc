package load

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Pace is an open loop: n requests at a steady rate, each at its time whether
// or not earlier ones were answered. Latencies count from the time at which a
// request was due, so that a server that stalls does not hide it.
type Pace struct {
	Address     string
	Connections int
	PerSecond   float64
	Requests    int
	Next        func(buf []byte) []byte
	Judge       func(Answer) string
	Answered    func(request []byte, a Answer, sent, took time.Duration)
}

// Keep keeps the pace.
func Keep(ctx context.Context, p Pace) (Result, error) {
	if err := loopback(p.Address); err != nil {
		return Result{}, err
	}
	span := time.Duration(float64(p.Requests) / p.PerSecond * float64(time.Second))
	begin := time.Now()
	due := make(chan time.Time, p.Requests)
	parts := make([]part, p.Connections)
	r := &runner{Plan: Plan{Connections: p.Connections, Next: p.Next, Judge: p.Judge, Answered: p.Answered}, begin: begin, warm: begin}
	var all sync.WaitGroup
	for i := range parts {
		c, err := Dial(ctx, p.Address, begin.Add(span+grace))
		if err != nil {
			close(due)
			return Result{}, err
		}
		defer func() { _ = c.Close() }() // all was read
		all.Go(func() { r.serve(c, due, &parts[i]) })
	}
	err := beat(ctx, begin, p, due)
	close(due)
	all.Wait()
	return r.merge(parts, err)
}

// beat sends each request's time when it has come.
func beat(ctx context.Context, begin time.Time, p Pace, due chan<- time.Time) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for i := range p.Requests {
		at := begin.Add(time.Duration(float64(i) / p.PerSecond * float64(time.Second)))
		timer.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			due <- at
		}
	}
	return nil
}

func (r *runner) serve(c *Conn, due <-chan time.Time, out *part) {
	buf := make([]byte, 0, 4<<10)
	for at := range due {
		if out.err != nil {
			continue
		}
		if buf = r.Next(buf[:0]); buf == nil {
			out.err = errors.New("the requests are used up")
			continue
		}
		a, err := c.Exchange(buf)
		if err != nil {
			out.err = err
			continue
		}
		r.take(out, buf, a, at, time.Now())
	}
}
