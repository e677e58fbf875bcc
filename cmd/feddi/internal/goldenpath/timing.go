package goldenpath

import (
	"cmp"
	"slices"
	"time"
)

// Timing is how long one step took over many walks.
type Timing struct {
	Number int           `json:"step"`
	Title  string        `json:"title"`
	Call   string        `json:"call"`
	Runs   int           `json:"runs"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	Max    time.Duration `json:"max_ns"`
}

// Timings collects steps of many walks.
type Timings struct{ steps map[int]*samples }

type samples struct {
	step Step
	took []time.Duration
}

// Add takes one step in.
func (t *Timings) Add(s Step) {
	if t.steps == nil {
		t.steps = map[int]*samples{}
	}
	if t.steps[s.Number] == nil {
		t.steps[s.Number] = &samples{step: s}
	}
	t.steps[s.Number].took = append(t.steps[s.Number].took, s.Took)
}

// Table gives a row for each step, in order.
func (t *Timings) Table() []Timing {
	rows := make([]Timing, 0, len(t.steps))
	for n, s := range t.steps {
		slices.Sort(s.took)
		rows = append(rows, Timing{
			Number: n, Title: s.step.Title, Call: s.step.Method + " " + s.step.Path, Runs: len(s.took),
			P50: Quantile(s.took, 0.50), P99: Quantile(s.took, 0.99), Max: s.took[len(s.took)-1],
		})
	}
	slices.SortFunc(rows, func(a, b Timing) int { return cmp.Compare(a.Number, b.Number) })
	return rows
}

// Quantile reads q (0 to 1) off sorted durations by the nearest rank; zero
// where there are none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
