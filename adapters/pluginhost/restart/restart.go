// Package restart decides how soon a process that failed is started again.
package restart

import (
	"math/rand/v2"
	"time"
)

// Policy bounds restarts.
type Policy struct {
	Min      time.Duration // bound of the first random delay
	Max      time.Duration // bound of the longest
	Budget   int           // restarts within Window until failed
	Window   time.Duration
	Cooldown time.Duration // failed: time until another try
}

// Retries is the restart policy of one actuator: full-jitter backoff, and a
// budget per window.
type Retries struct {
	Policy

	recent []time.Time // failures within the window
}

// After says how long to wait after a failure at now, and whether the actuator
// counts as failed. since is when the process began to serve, zero where none
// came up; one that served longer than the window starts the backoff anew.
// hopeless is a failure that another try does not mend.
func (r *Retries) After(since time.Time, hopeless bool, now time.Time) (delay time.Duration, failed bool) {
	served := !since.IsZero()
	if served && now.Sub(since) > r.Window {
		r.recent = nil
	}
	for len(r.recent) > 0 && now.Sub(r.recent[0]) > r.Window {
		r.recent = r.recent[1:]
	}
	r.recent = append(r.recent, now)
	if hopeless || len(r.recent) > r.Budget {
		r.recent = nil
		return r.Cooldown, true
	}
	// One that worked until now is back at once: callers are waiting.
	if served && len(r.recent) == 1 {
		return 0, false
	}
	bound := r.Min << min(len(r.recent)-1, 20)
	if bound > r.Max || bound <= 0 {
		bound = r.Max
	}
	return rand.N(bound), false
}
