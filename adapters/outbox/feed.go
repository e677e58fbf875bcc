package outbox

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/feddi/feddi/core/event"
)

// kept is how many of the latest events a feed holds at least for the consumers
// that come a little later than the first; twice as many at most.
const kept = 4 * batch

// feed reads the log once for all consumers of a server that stand at its end,
// which is where all of them are nearly always. What was read stays true: the
// log is append-only, and a reader sees nothing before all in front of it is
// there. A consumer further behind reads for itself.
type feed struct {
	reader event.Reader
	wake   *Wake

	mu   sync.Mutex
	from event.Cursor   // where ring begins: behind this
	ring []event.Logged // the latest events, without a gap
	// heard is the wake-up after which the end was last read, and at when that was.
	heard <-chan struct{}
	at    time.Time
	busy  chan struct{} // closed when the read that is under way ends
}

// after gives up to limit events behind c. An empty answer is only as old as
// the latest wake-up; with old, it is no older than that either, unless the next
// wake-up is on its way.
func (f *feed) after(ctx context.Context, c event.Cursor, limit int, old time.Duration) ([]event.Logged, error) {
	for {
		f.mu.Lock()
		held, known := f.held(c, limit)
		switch {
		case len(held) > 0:
			f.mu.Unlock()
			return held, nil
		case !known:
			f.mu.Unlock()
			return f.lag(ctx, c, limit)
		case f.heard == f.wake.next() && (old == 0 || time.Since(f.at) < old || f.wake.coming()):
			f.mu.Unlock()
			return nil, nil
		case f.busy != nil:
			busy := f.busy
			f.mu.Unlock()
			select {
			case <-busy:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			continue
		}
		done := make(chan struct{})
		f.busy = done
		f.mu.Unlock()
		events, err := f.read(ctx, c)
		close(done)
		return events[:min(limit, len(events))], err
	}
}

// held gives what the ring has behind c. known is false where c is not in the
// ring's reach: what follows it must be read.
func (f *feed) held(c event.Cursor, limit int) (events []event.Logged, known bool) {
	if c.Less(f.from) || f.heard == nil {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(f.ring, c, func(e event.Logged, c event.Cursor) int {
		if c.Less(e.Cursor) {
			return 1
		}
		return -1
	})
	if i == len(f.ring) && c != f.end() {
		return nil, false
	}
	end := min(i+limit, len(f.ring))
	return f.ring[i:end:end], true
}

func (f *feed) end() event.Cursor {
	if len(f.ring) == 0 {
		return f.from
	}
	return f.ring[len(f.ring)-1].Cursor
}

// read reads on at the end of the ring.
func (f *feed) read(ctx context.Context, c event.Cursor) ([]event.Logged, error) {
	heard, at := f.wake.next(), time.Now()
	events, err := f.reader.After(ctx, c, batch)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = nil
	if err != nil {
		return nil, err
	}
	f.heard, f.at = heard, at
	f.wake.found(len(events))
	if len(events) == batch {
		f.heard = never // there is more
	}
	f.ring = append(f.ring, events...)
	if over := len(f.ring) - kept; over > kept { // seldom: it copies
		f.from = f.ring[over-1].Cursor
		f.ring = append(make([]event.Logged, 0, 2*kept+batch), f.ring[over:]...) // what was handed out stays as it is
	}
	return events, nil
}

// never is the wake-up after which no read ever was.
var never = make(<-chan struct{})

// lag reads for a consumer that is behind the ring or ahead of it. Where that
// brings it to the end of the log, the ring begins anew there.
func (f *feed) lag(ctx context.Context, c event.Cursor, limit int) ([]event.Logged, error) {
	heard, at := f.wake.next(), time.Now()
	events, err := f.reader.After(ctx, c, limit)
	if err != nil || len(events) == limit {
		return events, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	end := c
	if len(events) > 0 {
		end = events[len(events)-1].Cursor
	}
	if f.busy == nil && (f.heard == nil || f.end().Less(end)) {
		f.from, f.ring, f.heard, f.at = c, events[:len(events):len(events)], heard, at
	}
	return events, nil
}
