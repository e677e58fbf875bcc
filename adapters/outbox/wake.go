package outbox

import "sync"

// Wake tells the readers of this server that events were committed, so that
// none has to wait for its poll. Safe for concurrent use; a nil *Wake is silent.
type Wake struct {
	mu sync.Mutex
	ch chan struct{}
}

// NewWake returns a Wake.
func NewWake() *Wake { return &Wake{ch: make(chan struct{})} }

// Ring wakes every reader. Call it after the commit.
func (w *Wake) Ring() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ch)
	w.ch = make(chan struct{})
}

// next is closed at the next Ring. Take it before reading, or a ring in
// between is lost.
func (w *Wake) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ch
}
