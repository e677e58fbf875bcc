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

	mu     sync.Mutex
	told   Told
	counts Counts
	odd    []string      // answers that a till could do nothing with
	change chan struct{} // closed and replaced at every answer
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
	minting    = "minting"
	paying     = "paying"
	preparing  = "preparing a top-up"
	confirming = "confirming a top-up"
)

// breath is how long a till waits before it tries again.
const breath = 30 * time.Millisecond

// work pays again and again, and tops up now and then.
func (l *Load) work(ctx context.Context, g Guest) {
	for ctx.Err() == nil {
		if rand.IntN(8) == 0 {
			l.topUp(ctx, g)
			continue
		}
		code, a := l.shop.Mint(ctx, g)
		if !l.note(ctx, minting, http.StatusCreated, a) {
			pause(ctx, breath)
			continue
		}
		p := newPayment(g, code, 100+rand.Int64N(900))
		l.mu.Lock()
		l.told.Payments = append(l.told.Payments, p)
		l.mu.Unlock()
		l.send(ctx, paying, &p.Intent)
	}
}

func (l *Load) topUp(ctx context.Context, g Guest) {
	id, a := l.shop.prepare(ctx, g, 500+rand.Int64N(5000)) // with a bonus, for most
	if !l.note(ctx, preparing, http.StatusCreated, a) {
		pause(ctx, breath)
		return
	}
	t := newTopup(g, id)
	l.mu.Lock()
	l.told.Topups = append(l.told.Topups, t)
	l.mu.Unlock()
	l.send(ctx, confirming, &t.Intent)
}

// send repeats what was not answered a few times, like a till, and leaves some
// open.
func (l *Load) send(ctx context.Context, doing string, i *Intent) {
	for range 1 + rand.IntN(3) {
		a := l.shop.Send(ctx, i)
		if l.note(ctx, doing, i.done, a) {
			return
		}
		pause(ctx, breath)
	}
}

// note counts an answer, and says whether it is the one that was wanted. One
// that the end of the load cut off counts nothing.
func (l *Load) note(ctx context.Context, doing string, wanted int, a Answer) bool {
	if a.Status == 0 && ctx.Err() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.Status == wanted && a.Err == nil:
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
	return a.Status == wanted
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

// Stop ends the load, and returns what was wanted and how that was answered.
// The error names answers that a till could do nothing with.
func (l *Load) Stop() (told Told, counts Counts, err error) {
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
	return l.told, l.counts, errors.Join(errs...)
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

// Settle repeats every intent without a receipt, with its own key, until it has
// one; then all of these and some others once more, for the same answer. The
// server must be well again.
func (s *Shop) Settle(ctx context.Context, told Told) (repeated int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var again, others []*Intent
	for _, i := range told.intents() {
		if i.Receipt() == nil {
			again = append(again, i)
		} else if len(others) < 20 {
			others = append(others, i)
		}
	}
	if err := each(again, func(i *Intent) error { return s.finish(ctx, i) }); err != nil {
		return len(again), err
	}
	return len(again), each(append(again, others...), func(i *Intent) error { return s.replay(ctx, i) })
}

// finish sends i until it is done.
func (s *Shop) finish(ctx context.Context, i *Intent) error {
	for {
		a := s.Send(ctx, i)
		switch {
		case a.Status == i.done:
			return nil
		case !a.Repeat() || ctx.Err() != nil:
			return fmt.Errorf("%s with key %s cannot be finished: %s %s", i.path, i.Key, a, a.Data)
		}
		pause(ctx, breath)
	}
}

// replay sends i, which was done, again.
func (s *Shop) replay(ctx context.Context, i *Intent) error {
	a := s.Send(ctx, i)
	if a.Status != i.done || !a.Replayed {
		return fmt.Errorf("%s with key %s was done, and then answered %s (replayed: %v) %s", i.path, i.Key, a, a.Replayed, a.Data)
	}
	return nil
}

// each does the same for all intents, eight at a time.
func each(intents []*Intent, do func(*Intent) error) error {
	var mu sync.Mutex
	var errs []error
	work := make(chan *Intent)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				err := do(i)
				mu.Lock()
				if err != nil && len(errs) < 10 {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, i := range intents {
		work <- i
	}
	close(work)
	workers.Wait()
	return errors.Join(errs...)
}
