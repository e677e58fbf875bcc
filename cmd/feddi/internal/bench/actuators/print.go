package actuators

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
)

// Print writes the report for a person.
func (r *Report) Print(w io.Writer) {
	r.Head.Write(w)
	t := report.Table{Head: []string{"start to ready", "samples", "p50 ms", "max ms"}}
	for _, s := range r.Starts {
		t.Add(s.Actuator, fmt.Sprint(s.Samples), report.Millis(s.P50), report.Millis(s.Max))
	}
	t.Print(w)
	fmt.Fprintln(w)
	t = report.Table{Head: []string{fmt.Sprintf("proven plans, %d callers", callers), "batch", "calls/s", "plans/s", "p50 ms", "p99 ms"}}
	for _, p := range r.Plans {
		t.Add(p.Actuator, fmt.Sprint(p.Batch), report.Count(p.Calls), report.Count(p.Plans), report.Millis(p.P50), report.Millis(p.P99))
	}
	t.Print(w)
	fmt.Fprintln(w)
	t = report.Table{Head: []string{"payments", "connections", "per second", "in process", "overhead"}}
	for _, p := range r.Payments {
		t.Add("planned by a process", fmt.Sprint(p.Connections), report.Count(p.Rate), report.Count(p.InProcess), fmt.Sprintf("%.2f x", p.Overhead))
	}
	t.Print(w)
	f := r.Failover
	fmt.Fprintf(w, "\nkilled %d times under 32 tills, which try again after %v:\npayments went on after %s ms, at", f.Kills, breath, report.Millis(f.Away))
	fmt.Fprintf(w, " most %s ms; %d succeeded\n", report.Millis(f.AwayMax), f.Payments)
	for _, name := range slices.Sorted(maps.Keys(f.Failed)) {
		fmt.Fprintf(w, "  %6d  %.68s\n", f.Failed[name], name)
	}
	fmt.Fprintf(w, "killed %d times under %d sellers, whose sales it only decides about: %d of\n%d sales failed\n", f.Kills, sellers, f.SalesFailed, f.Sales)
}
