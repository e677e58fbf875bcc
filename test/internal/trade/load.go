package trade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Load is guests that pay all the time, whatever happens to the server.
type Load struct {
	shop    *Shop
	stop    context.CancelFunc
	workers sync.WaitGroup

	mu       sync.Mutex
	payments []*Payment
	counts   Counts
	odd      []string      // answers that a till could do nothing with
	change   chan struct{} // closed and replaced at every answer
}

// Counts tell what a load was answered.
type Counts struct {
	// Taken are payments; Replayed are those among them that had been taken
	// before, and whose guest had not been told.
	Taken, Replayed int
	// Refused counts answers that took nothing by their status; 0 means that
	// no answer came.
	Refused map[int]int
}

// Load starts workers that pay from the shop's guests in turn. The server may
// go and come back below them.
func (s *Shop) Load(ctx context.Context, workers int) *Load {
	ctx, stop := context.WithCancel(ctx)
	l := &Load{shop: s, stop: stop, counts: Counts{Refused: map[int]int{}}, change: make(chan struct{})}
	for i := range workers {
		l.workers.Go(func() { l.work(ctx, s.Guests[i%len(s.Guests)]) })
	}
	return l
}

// What a worker does.
const (
	minting = "minting"
	paying  = "paying"
)

// breath is how long a till waits before it tries again.
const breath = 30 * time.Millisecond

// work pays again and again. Like a till, it repeats a payment without an
// answer a few times, and leaves some open.
func (l *Load) work(ctx context.Context, g Guest) {
	for ctx.Err() == nil {
		code, a := l.shop.Mint(ctx, g)
		if a.Status != http.StatusCreated || a.Err != nil {
			l.note(ctx, minting, a)
			pause(ctx, breath)
			continue
		}
		p := newPayment(g, code, 100+rand.Int64N(900))
		l.mu.Lock()
		l.payments = append(l.payments, p)
		l.mu.Unlock()
		for range 1 + rand.IntN(3) {
			a := l.shop.Send(ctx, p)
			l.note(ctx, paying, a)
			if !a.Repeat() {
				break
			}
			pause(ctx, breath)
		}
	}
}

// note counts an answer. One that the end of the load cut off counts nothing.
func (l *Load) note(ctx context.Context, doing string, a Answer) {
	if a.Status == 0 && ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.Status == http.StatusCreated && a.Err == nil:
		if doing == paying {
			l.counts.Taken++
		}
		if a.Replayed {
			l.counts.Replayed++
		}
	case a.Repeat() && (a.Status == 0 || a.Err == nil):
		l.counts.Refused[a.Status]++
	default:
		l.odd = append(l.odd, fmt.Sprintf("%s was answered %s (%v) %s", doing, a, a.Err, a.Data))
	}
	close(l.change)
	l.change = make(chan struct{})
}

// Await waits until ready says so of what was answered so far.
func (l *Load) Await(ctx context.Context, ready func(Counts) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		now, ok, change := l.look(ready)
		if ok {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("the load did not come so far: %+v: %w", now, ctx.Err())
		}
	}
}

func (l *Load) look(ready func(Counts) bool) (now Counts, ok bool, change <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.counts
	now.Refused = maps.Clone(now.Refused)
	return now, ready(now), l.change
}

// Taken waits for n more payments to be taken.
func (l *Load) Taken(ctx context.Context, n int) error {
	before, _, _ := l.look(func(Counts) bool { return true })
	return l.Await(ctx, func(c Counts) bool { return c.Taken >= before.Taken+n })
}

// Refused waits for n more answers of this status; 0 means no answer at all.
func (l *Load) Refused(ctx context.Context, status, n int) error {
	before, _, _ := l.look(func(Counts) bool { return true })
	return l.Await(ctx, func(c Counts) bool { return c.Refused[status] >= before.Refused[status]+n })
}

// Stop ends the load, and returns its payments and what they were answered. The
// error names answers that a till could do nothing with.
func (l *Load) Stop() (payments []*Payment, counts Counts, err error) {
	l.stop()
	l.workers.Wait()
	var errs []error
	for i, odd := range l.odd {
		if i == 10 {
			errs = append(errs, fmt.Errorf("and %d more", len(l.odd)-i))
			break
		}
		errs = append(errs, errors.New(odd))
	}
	return l.payments, l.counts, errors.Join(errs...)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Settle repeats every payment without a receipt, with its own key, until it
// has one; then all of these and some others once more, for the same answer.
// The server must be well again.
func (s *Shop) Settle(ctx context.Context, payments []*Payment) (repeated int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var again, others []*Payment
	for _, p := range payments {
		if p.Receipt() == nil {
			again = append(again, p)
		} else if len(others) < 20 {
			others = append(others, p)
		}
	}
	if err := each(again, func(p *Payment) error { return s.finish(ctx, p) }); err != nil {
		return len(again), err
	}
	return len(again), each(append(again, others...), func(p *Payment) error { return s.replay(ctx, p) })
}

// finish sends p until it is taken.
func (s *Shop) finish(ctx context.Context, p *Payment) error {
	for {
		a := s.Send(ctx, p)
		switch {
		case a.Status == http.StatusCreated:
			return nil
		case !a.Repeat() || ctx.Err() != nil:
			return fmt.Errorf("payment %s cannot be finished: %s %s", p.Key, a, a.Data)
		}
		pause(ctx, breath)
	}
}

// replay sends p, which was taken, again.
func (s *Shop) replay(ctx context.Context, p *Payment) error {
	a := s.Send(ctx, p)
	if a.Status != http.StatusCreated || !a.Replayed {
		return fmt.Errorf("payment %s was taken, and then answered %s (replayed: %v) %s", p.Key, a, a.Replayed, a.Data)
	}
	return nil
}

// each does the same for all payments, eight at a time.
func each(payments []*Payment, do func(*Payment) error) error {
	var mu sync.Mutex
	var errs []error
	work := make(chan *Payment)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for p := range work {
				err := do(p)
				mu.Lock()
				if err != nil && len(errs) < 10 {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, p := range payments {
		work <- p
	}
	close(work)
	workers.Wait()
	return errors.Join(errs...)
}
