package outbox

import (
	"sync"
	"time"
)

// apart is how long after one wake-up the next one comes at the earliest. Whoever
// commits seldom wakes the readers at once; hundreds of commits a second are read
// some at a time, because a reading costs the same for one event as for fifty.
const apart = 5 * time.Millisecond

// Where a reading finds plenty for the time since the one before, some 6,000 events
// a second, half as many readings of twice as many cost less, and the consumers,
// too, do less for each event.
const (
	plenty    = 32
	apartBusy = 2 * apart
)

// Wake tells the readers of this server that events were committed, so that
// none has to wait for its poll. Safe for concurrent use; a nil *Wake is silent.
type Wake struct {
	mu   sync.Mutex
	ch   chan struct{}
	last time.Time // of the latest wake-up
	due  bool      // one is on its way
	busy bool      // the latest reading found plenty
}

// NewWake returns a Wake.
func NewWake() *Wake { return &Wake{ch: make(chan struct{})} }

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
	rest := apart
	if w.busy {
		rest = apartBusy
	}
	if wait := rest - time.Since(w.last); wait > 0 {
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy {
		n /= int(apartBusy / apart)
	}
	w.busy = n >= plenty
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
