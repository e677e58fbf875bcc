// Package meter counts what an actuator is asked.
package meter

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/actuation"
)

// Meter counts what one actuator is asked. The zero value is ready. Times are of
// plans only: a command waits for the world outside.
type Meter struct {
	calls, snapshots, failures, rejections, executions atomic.Int64
	// took counts calls by the position of the highest bit of their quarter
	// microseconds: a quantile is right to a factor of two, for nothing.
	took [40]atomic.Int64
}

// Plans counts a call for plans.
func (m *Meter) Plans(snapshots int, took time.Duration, err error) {
	m.calls.Add(1)
	m.snapshots.Add(int64(snapshots))
	if err != nil {
		m.failures.Add(1)
	}
	m.took[min(bits.Len64(uint64(took/250)), len(m.took)-1)].Add(1)
}

// Execution counts a command.
func (m *Meter) Execution() { m.executions.Add(1) }

// Rejection counts a plan that broke a rule.
func (m *Meter) Rejection() { m.rejections.Add(1) }

// Usage is what was counted.
func (m *Meter) Usage() actuation.Usage {
	return actuation.Usage{
		Calls: m.calls.Load(), Snapshots: m.snapshots.Load(), Failures: m.failures.Load(), Rejections: m.rejections.Load(),
		Executions: m.executions.Load(),
		P50:        m.quantile(0.50), P99: m.quantile(0.99),
	}
}

// quantile is the upper end of the class in which the quantile lies.
func (m *Meter) quantile(q float64) time.Duration {
	var all int64
	for i := range m.took {
		all += m.took[i].Load()
	}
	if all == 0 {
		return 0
	}
	var seen int64
	for i := range m.took {
		if seen += m.took[i].Load(); float64(seen) >= q*float64(all) {
			return 250 * time.Nanosecond << i
		}
	}
	return 0
}
