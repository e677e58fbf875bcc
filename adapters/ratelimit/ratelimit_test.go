package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/core/clock"
)

var start = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func limiter(c clock.Clock) *ratelimit.Limiter {
	return ratelimit.New(c, map[string]ratelimit.Rule{"key:": ratelimit.PerKey(), "sandbox:": ratelimit.SandboxesPerAddress()})
}

// drain takes permits until there is none, and returns how many there were and
// how long to wait.
func drain(l interface {
	Allow(string) (bool, time.Duration)
}, key string) (int, time.Duration) {
	for n := 0; ; n++ {
		ok, after := l.Allow(key)
		if !ok || n == 10_000 {
			return n, after
		}
	}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key   string
		burst int
		next  time.Duration // wait for one permit
	}{
		"a key has 200 a second and a burst of 400":               {"key:key_1", 400, 5 * time.Millisecond},
		"an address makes 10 sandboxes at once, then 10 a minute": {"sandbox:192.0.2.1", 10, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := clock.NewManual(start)
			l := limiter(clk)
			n, after := drain(l, c.key)
			if n != c.burst || after < c.next-time.Microsecond || after > c.next+time.Microsecond {
				t.Fatalf("%d permits, then wait %v; want %d, %v", n, after, c.burst, c.next)
			}
			clk.Advance(c.next / 2)
			if ok, _ := l.Allow(c.key); ok {
				t.Error("half the wait was enough")
			}
			clk.Advance(c.next/2 + time.Microsecond)
			if n, _ := drain(l, c.key); n != 1 {
				t.Errorf("%d permits after the wait, want 1", n)
			}
			clk.Advance(time.Hour)
			if n, _ := drain(l, c.key); n != c.burst {
				t.Errorf("%d permits after an hour, want %d", n, c.burst)
			}
		})
	}
}

func TestOneCallerDoesNotSpendAnothersBudget(t *testing.T) {
	t.Parallel()
	l := limiter(clock.NewManual(start))
	drain(l, "key:key_1")
	if n, _ := drain(l, "key:key_2"); n != 400 {
		t.Errorf("the other key had %d permits, want 400", n)
	}
	if n, _ := drain(l, "health"); n != 10_000 {
		t.Errorf("a caller without a rule was stopped after %d", n)
	}
	if n, _ := drain(ratelimit.Off{}, "key:key_1"); n != 10_000 {
		t.Errorf("Off stopped somebody after %d", n)
	}
}

// TestNoWindowExceedsTheRule: whatever the pattern of calls, no stretch of time
// sees more than burst plus rate times its length.
func TestNoWindowExceedsTheRule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clk := clock.NewManual(start)
		rule := ratelimit.Rule{PerSecond: float64(rapid.IntRange(1, 50).Draw(t, "rate")), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		l := ratelimit.New(clk, map[string]ratelimit.Rule{"": rule})
		var passed []time.Time
		for i := range 60 {
			clk.Advance(time.Duration(rapid.IntRange(0, 100).Draw(t, fmt.Sprint(i))) * time.Millisecond)
			ok, after := l.Allow("x")
			if ok != (after == 0) {
				t.Fatalf("ok = %v with a wait of %v", ok, after)
			}
			if ok {
				passed = append(passed, clk.Now())
			}
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				most := float64(rule.Burst) + rule.PerSecond*passed[j].Sub(passed[i]).Seconds() + 1e-6
				if float64(j-i+1) > most {
					t.Fatalf("%d calls in %v", j-i+1, passed[j].Sub(passed[i]))
				}
			}
		}
	})
}
