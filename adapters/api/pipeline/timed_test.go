package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type key struct{}

// A timed context is one of context.WithTimeout to whoever holds it, whether it
// was waited for or not.
func TestTimedIsWithTimeout(t *testing.T) {
	t.Parallel()
	wait := func(ctx context.Context) { <-ctx.Done() }
	look := func(ctx context.Context) { time.Sleep(time.Minute) }
	child := func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		<-ctx.Done()
	}
	for name, c := range map[string]struct {
		parent func() (context.Context, context.CancelFunc)
		after  time.Duration // until the context is cancelled; 0: never
		use    func(context.Context)
		want   error
		took   time.Duration
	}{
		"waited for":                 {use: wait, want: context.DeadlineExceeded, took: time.Second},
		"looked at":                  {use: look, want: context.DeadlineExceeded, took: time.Minute},
		"a child is waited for":      {use: child, want: context.DeadlineExceeded, took: time.Second},
		"cancelled, waited for":      {after: time.Millisecond, use: wait, want: context.Canceled, took: time.Millisecond},
		"cancelled, looked at":       {after: time.Millisecond, use: look, want: context.Canceled, took: time.Minute},
		"cancelled, with a child":    {after: time.Millisecond, use: child, want: context.Canceled, took: time.Millisecond},
		"the parent's deadline":      {parent: within(500 * time.Millisecond), use: wait, want: context.DeadlineExceeded, took: 500 * time.Millisecond},
		"the parent is cancelled":    {parent: cancelled, use: wait, want: context.Canceled},
		"the parent is, looked at":   {parent: cancelled, use: func(context.Context) {}, want: context.Canceled},
		"a later deadline of parent": {parent: within(time.Hour), use: wait, want: context.DeadlineExceeded, took: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				if c.parent != nil {
					cancel()
					parent, cancel = c.parent()
					parent = context.WithValue(parent, key{}, "value")
				}
				defer cancel()
				ctx, stop := newTimed(parent, time.Second)
				defer stop()
				if ctx.Value(key{}) != "value" {
					t.Error("the value is not the parent's")
				}
				if d, ok := ctx.Deadline(); !ok || d.Sub(began) > time.Second {
					t.Errorf("deadline after %v", d.Sub(began))
				}
				if c.after > 0 {
					time.AfterFunc(c.after, stop)
				}
				c.use(ctx)
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				for range 2 { // before Done and behind it
					if !errors.Is(ctx.Err(), c.want) || ctx.Value(key{}) != "value" {
						t.Errorf("%v, want %v", ctx.Err(), c.want)
					}
					<-ctx.Done()
				}
			})
		})
	}
}

func within(d time.Duration) func() (context.Context, context.CancelFunc) {
	return func() (context.Context, context.CancelFunc) { return context.WithTimeout(context.Background(), d) }
}

func cancelled() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx, cancel
}

// A call that nobody waits with costs nothing but the context itself.
func TestTimedStartsNoTimerBeforeSomebodyWaits(t *testing.T) {
	t.Parallel()
	ctx, stop := newTimed(t.Context(), time.Hour)
	if ctx.Err() != nil || ctx.(*timed).waited != nil {
		t.Errorf("%v, %v", ctx.Err(), ctx.(*timed).waited)
	}
	stop()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("stopped: %v", ctx.Err())
	}
	stop()
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	if !errors.Is(child.Err(), context.Canceled) {
		t.Error("what begins behind its end goes on")
	}
}
