package outbox

import (
	"testing"
	"testing/synctest"
	"time"
)

// Whoever commits seldom wakes the readers at once; the next wake-up is some time
// after it, the longer the more events the latest reading brought for its time.
func TestWakeUpsKeepTheirDistance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found int // by a reading 10 ms behind the one before
		want  time.Duration
	}{
		"nothing":               {0, apart},
		"500 events a second":   {5, apart},
		"1,000 events a second": {10, 2 * apart},
		"2,000 events a second": {20, apartMost},
		"more":                  {500, apartMost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := NewWake()
				w.found(0)
				time.Sleep(10 * time.Millisecond)
				w.found(c.found)
				begin := time.Now()
				first := w.next()
				w.Ring()
				<-first
				if took := time.Since(begin); took != 0 || w.coming() {
					t.Errorf("woken after %v, another one coming: %t", took, w.coming())
				}
				second := w.next()
				w.Ring()
				w.Ring()
				if !w.coming() {
					t.Error("no second one is coming")
				}
				<-second
				if took := time.Since(begin); took != c.want || w.coming() {
					t.Errorf("woken again after %v, want %v; a third one coming: %t", took, c.want, w.coming())
				}
			})
		})
	}
}

// The first reading of all has none before it to be compared with.
func TestTheFirstReadingKeepsTheLeastDistance(t *testing.T) {
	t.Parallel()
	w := NewWake()
	w.found(batch)
	if w.rest != apart {
		t.Errorf("%v, want %v", w.rest, apart)
	}
}

// Events that are found right behind a reading that found nothing are no crowd.
func TestAFewEventsInNoTimeAreNoCrowd(t *testing.T) {
	t.Parallel()
	w := NewWake()
	w.found(0)
	w.found(2)
	if w.rest != apart {
		t.Errorf("%v, want %v", w.rest, apart)
	}
}
