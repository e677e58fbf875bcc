package restart

import (
	"testing"
	"time"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	r := &Retries{Policy: Policy{Min: 50 * time.Millisecond, Max: 5 * time.Second, Budget: 5, Window: time.Minute, Cooldown: 30 * time.Second}}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	if delay, failed := r.After(now, false, now); delay != 0 || failed {
		t.Errorf("one that worked until now waits %v, failed %v", delay, failed)
	}
	r.recent = nil
	for i := range r.Budget {
		bound := r.Min << i
		if delay, failed := r.After(time.Time{}, false, now); failed || delay < 0 || delay >= bound {
			t.Errorf("failure %d: %v %v", i+1, delay, failed)
		}
		now = now.Add(time.Second)
	}
	if delay, failed := r.After(time.Time{}, false, now); !failed || delay != r.Cooldown {
		t.Errorf("beyond the budget: %v %v", delay, failed)
	}
	if _, failed := r.After(time.Time{}, false, now.Add(r.Cooldown)); failed {
		t.Error("the budget is not fresh after the cooldown")
	}
	for range r.Budget {
		_, _ = r.After(time.Time{}, false, now)
	}
	if _, failed := r.After(time.Time{}, false, now.Add(2*r.Window)); failed {
		t.Error("failures of long ago count")
	}
}

// A hopeless failure is not tried again soon, and one that served for long
// begins anew.
func TestHopelessAndLongLived(t *testing.T) {
	t.Parallel()
	r := &Retries{Policy: Policy{Min: time.Millisecond, Max: time.Second, Budget: 2, Window: time.Minute, Cooldown: time.Hour}}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	if delay, failed := r.After(now, true, now); !failed || delay != time.Hour {
		t.Errorf("hopeless: %v %v", delay, failed)
	}
	for range 10 {
		if delay, failed := r.After(now.Add(-2*time.Minute), false, now); failed || delay != 0 {
			t.Errorf("one that served two minutes: %v %v", delay, failed)
		}
	}
}
