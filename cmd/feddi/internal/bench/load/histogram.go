// Package load drives a server from one process at little cost: pre-rendered
// HTTP/1.1 requests on plain TCP connections, one in flight on each, and
// latencies in histograms of fixed size.
package load

import (
	"math/bits"
	"time"
)

// The histogram is log-linear: 64 steps per doubling, so that a quantile is
// right to 1.6 per cent, from a microsecond's fraction up to days.
const (
	stepBits = 6
	steps    = 1 << stepBits
	rows     = 64 - stepBits
)

// Histogram counts durations. The zero value is ready. Not safe for concurrent
// use: each connection has its own, merged at the end.
type Histogram struct {
	counts [rows * steps]uint32
	n      uint64
	max    time.Duration
}

// Record counts d; a negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[slot(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() int64 { return int64(h.n) }

// Max is the longest one, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that a share q (0 to 1) of all does not exceed; 0
// where nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	var seen uint64
	for i, c := range h.counts {
		seen += uint64(c)
		if c > 0 && seen > rank {
			return min(time.Duration(ceiling(i)), h.max)
		}
	}
	return h.max
}

// slot is where v counts: exact below 64, then 64 slots per doubling.
func slot(v uint64) int {
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(v) - stepBits - 1
	return (shift+1)<<stepBits | int(v>>shift)&(steps-1)
}

// ceiling is the largest value that counts in slot i.
func ceiling(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	shift := i>>stepBits - 1
	return (uint64(steps|i&(steps-1))+1)<<shift - 1
}
