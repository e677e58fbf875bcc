package outbox

import (
	"sync"
	"time"
)

// apart is how long after one wake-up the next one comes at the earliest. Whoever
// commits seldom wakes the readers at once; hundreds of commits a second are read
// some at a time, because a reading costs the same for one event as for fifty, and
// the consumers, too, do less for each.
//
// It grows with the events a second, from crowded on, to apartMost: where the
// processors have much to do, a reading is what can wait.
const (
	apart     = 5 * time.Millisecond
	apartMost = 20 * time.Millisecond
	crowded   = 500
)

// Wake tells the readers of this server that events were committed, so that
// none has to wait for its poll. Safe for concurrent use; a nil *Wake is silent.
type Wake struct {
	mu   sync.Mutex
	ch   chan struct{}
	last time.Time     // of the latest wake-up
	rest time.Duration // behind it
	read time.Time     // of the latest reading
	due  bool          // one is on its way
}

// NewWake returns a Wake.
func NewWake() *Wake { return &Wake{ch: make(chan struct{}), rest: apart} }

// Ring wakes every reader, at once or a few milliseconds after the last time.
// Call it after the commit.
func (w *Wake) Ring() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.due {
		return
	}
	if wait := w.rest - time.Since(w.last); wait > 0 {
		w.due = true
		time.AfterFunc(wait, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fire()
		})
		return
	}
	w.fire()
}

// fire needs the lock.
func (w *Wake) fire() {
	close(w.ch)
	w.ch, w.last, w.due = make(chan struct{}), time.Now(), false
}

// found tells how many events a reading brought.
func (w *Wake) found(n int) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = restOf(n, now.Sub(w.read))
	w.read = now
}

// restOf is the time between two wake-ups where n events came in a while. A few that
// came in no time at all are no crowd.
func restOf(n int, while time.Duration) time.Duration {
	perSecond := float64(n) / max(while, apart).Seconds()
	rest := perSecond / crowded * float64(apart)
	return time.Duration(min(max(rest, float64(apart)), float64(apartMost)))
}

// pace is how far apart wake-ups are.
func (w *Wake) pace() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rest
}

// coming reports whether a wake-up is on its way: who waits for it need not look
// by himself.
func (w *Wake) coming() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.due
}

// next is closed at the next Ring. Take it before reading, or a ring in
// between is lost.
func (w *Wake) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ch
}
