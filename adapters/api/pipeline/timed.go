package pipeline

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// timed is a context with a deadline, as context.WithTimeout makes one, whose
// timer starts when somebody first waits for it. A call that is answered from
// memory, or that waits for its outcome whatever comes, as a payment does, costs
// neither a timer nor a place in the list of what ends with the request.
type timed struct {
	context.Context // the request's
	deadline        time.Time

	mu     sync.Mutex
	waited context.Context // of context.WithDeadline; nil until somebody waits
	cancel context.CancelFunc
	ended  error // why it was over when it was stopped before somebody waited
}

func newTimed(parent context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	t := &timed{Context: parent, deadline: time.Now().Add(after)}
	return t, t.stop
}

// Deadline implements context.Context.
func (t *timed) Deadline() (time.Time, bool) {
	if earlier, ok := t.Context.Deadline(); ok && earlier.Before(t.deadline) {
		return earlier, true
	}
	return t.deadline, true
}

// Done implements context.Context.
func (t *timed) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waited == nil {
		t.waited, t.cancel = context.WithDeadline(t.Context, t.deadline)
		if t.ended != nil {
			t.cancel()
		}
	}
	return t.waited.Done()
}

// Err implements context.Context.
func (t *timed) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended != nil:
		return t.ended
	case t.waited != nil:
		return t.waited.Err()
	}
	return t.over()
}

// over is why it is over where nobody waits; nil where it is not.
func (t *timed) over() error {
	if err := t.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(t.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. Contexts made from this one ask, behind Done,
// for the one that they end with.
func (t *timed) Value(key any) any {
	t.mu.Lock()
	waited := t.waited
	t.mu.Unlock()
	if waited != nil {
		return waited.Value(key)
	}
	return t.Context.Value(key)
}

func (t *timed) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.cancel != nil:
		t.cancel()
	case t.ended == nil:
		t.ended = cmp.Or(t.over(), context.Canceled)
	}
}
