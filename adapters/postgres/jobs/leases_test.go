package jobs_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/jobs"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

func TestOneServerRunsAJob(t *testing.T) {
	t.Parallel()
	l := jobs.New(pgtest.New(t).Q())
	var taken atomic.Int32
	var all sync.WaitGroup
	for _, holder := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		all.Go(func() {
			ok, err := l.Take(t.Context(), "sweep", holder, time.Minute, time.Hour)
			if err != nil {
				t.Error(err)
			}
			if ok {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("%d servers run the job", taken.Load())
	}
}

func TestALeaseEndsByItselfOrWhenDone(t *testing.T) {
	t.Parallel()
	l := jobs.New(pgtest.New(t).Q())
	for _, step := range []struct {
		what       string
		holder     string
		ttl, every time.Duration
		want       bool
	}{
		{"a crashed server's lease, already over", "a", -time.Second, 0, true},
		{"its successor", "b", time.Minute, 0, true},
		{"another, while it runs", "c", time.Minute, 0, false},
	} {
		got, err := l.Take(t.Context(), "sweep", step.holder, step.ttl, step.every)
		if err != nil || got != step.want {
			t.Errorf("%s: Take = %t, %v; want %t", step.what, got, err, step.want)
		}
	}
	if err := l.Done(t.Context(), "sweep", "b"); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Take(t.Context(), "sweep", "c", time.Minute, time.Hour); err != nil || got {
		t.Errorf("a job that has just run was taken again: %t, %v", got, err)
	}
	if got, err := l.Take(t.Context(), "sweep", "c", time.Minute, 0); err != nil || !got {
		t.Errorf("a job that is due was not taken: %t, %v", got, err)
	}
}
