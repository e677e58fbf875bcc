package webhook

import (
	"math"
	"time"
)

const (
	// GiveUpAfter is how long a delivery is tried before it is parked.
	GiveUpAfter = 24 * time.Hour
	// firstRetry is the mean wait after the first failure of one delivery at an
	// endpoint that is otherwise well; it doubles up to lastRetry.
	firstRetry, lastRetry = 5 * time.Second, 2 * time.Hour
	// probeAfter failures in a row mean that the endpoint itself is down: then
	// one delivery at a time asks whether it is back, and the rest wait.
	probeAfter = 3
	// firstProbe is the wait before the first probe; it grows by half each time
	// up to lastProbe, so that a short outage ends soon after the endpoint does.
	firstProbe, lastProbe = time.Second, time.Minute
)

// RetryIn is when a delivery that failed attempt times is tried again: full
// jitter, that is anything up to twice the mean. random is from [0, 1).
func RetryIn(attempt int, random float64) time.Duration {
	mean := float64(firstRetry) * math.Pow(2, float64(min(max(attempt-1, 0), 30)))
	return time.Duration(random * 2 * min(mean, float64(lastRetry)))
}

// Probing reports whether an endpoint that failed failures times in a row is
// only probed.
func Probing(failures int) bool { return failures >= probeAfter }

// ProbeIn is the wait before the next probe of an endpoint that failed
// failures times in a row: between three quarters and the whole of a wait that
// grows by half each time. random is from [0, 1).
func ProbeIn(failures int, random float64) time.Duration {
	wait := float64(firstProbe) * math.Pow(1.5, float64(min(max(failures-probeAfter, 0), 60)))
	return time.Duration(min(wait, float64(lastProbe)) * (0.75 + random/4))
}
