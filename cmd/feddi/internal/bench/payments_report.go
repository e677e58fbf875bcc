package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
)

// limitRate is the limit at 32 clients, the mean of all that was measured: the
// machine and the tables change under a run.
func (r *PaymentsReport) limitRate() float64 {
	sum, n := 0.0, 0.0
	for _, m := range r.Limit[1:] {
		sum, n = sum+m.Rate, n+1
	}
	return sum / max(n, 1)
}

func (r *PaymentsReport) ratios() PaymentsRatios {
	out := PaymentsRatios{OverLimit: map[string]float64{}}
	var random, one, past PaymentsRow
	for _, row := range r.Rows {
		switch {
		case row.History > 0:
			past = row
		case row.OneMerchant:
			one = row
		default:
			random = row
		}
		out.OverLimit[row.name()] = row.Rate / max(row.Limit, 1)
		if row.Connections == 1 && r.Limit[0].P50 > 0 {
			out.LatencyAt1 = float64(row.P50) / float64(r.Limit[0].P50)
		}
	}
	if random.Connections == one.Connections && random.Rate > 0 {
		out.OneMerchant = one.Rate / random.Rate
	}
	for _, row := range r.Rows {
		if past.Connections == row.Connections && past.OneMerchant == row.OneMerchant && row.History == 0 && row.Rate > 0 {
			out.History = past.Rate / row.Rate
		}
	}
	return out
}

// judge gives an error where an answer was neither a payment nor a typed
// error, where a payment was lost or invented, or where the books do not balance.
func (r *PaymentsReport) judge() error {
	for _, row := range r.Rows {
		for name, n := range row.Others {
			if strings.HasPrefix(name, "untyped") {
				return fmt.Errorf("%d answers were neither 201 nor a typed error: %s", n, name)
			}
		}
	}
	switch {
	case r.Stored != r.Acknowledged:
		return fmt.Errorf("%d payments were acknowledged, %d are in the database", r.Acknowledged, r.Stored)
	case !r.Ledger.Sound:
		return fmt.Errorf("%d figures of the ledger do not follow from their postings; the first: %s", r.Ledger.Findings, r.Ledger.First)
	case r.Acknowledged == 0:
		return fmt.Errorf("no payment was made")
	}
	return nil
}

// Print writes the report for a person.
func (r *PaymentsReport) Print(w io.Writer) {
	r.Head.Write(w)
	t := report.Table{Head: []string{"payments", "per s", "/limit", "p50 ms", "p99 ms", "p99.9", "us CPU*"}}
	for i, m := range r.Limit {
		name := fmt.Sprintf("Postgres, %d", m.Clients)
		if i >= 2 {
			name += ", again"
		}
		t.Add(name, report.Count(m.Rate), report.Ratio(m.Rate, r.limitRate()), report.Millis(m.P50), report.Millis(m.P99), "", m.perDebit())
	}
	for _, row := range r.Rows {
		t.Add(row.name(), report.Count(row.Rate), report.Ratio(row.Rate, row.Limit), report.Millis(row.P50), report.Millis(row.P99),
			report.Millis(row.P999), row.perPayment())
	}
	t.Print(w)
	fmt.Fprintf(w, "/limit: over what %s commits at %d clients, before and after the row\n", r.LimitTool, limitClients)
	fmt.Fprintln(w, "* processor time of one payment: server with client / Postgres / actuators")
	r.printRest(w)
}

func (r *PaymentsReport) printRest(w io.Writer) {
	fmt.Fprintln(w)
	if r.Ratios.LatencyAt1 > 0 {
		fmt.Fprintf(w, "p50 at one connection is %.1f times the single statement's\n", r.Ratios.LatencyAt1)
	}
	if r.Ratios.OneMerchant > 0 {
		fmt.Fprintf(w, "one merchant and branch / random merchants: %.2f\n", r.Ratios.OneMerchant)
	}
	if r.Ratios.History > 0 {
		fmt.Fprintf(w, "after that history / before it: %.2f\n", r.Ratios.History)
	}
	fmt.Fprintf(w, "%.0f %% of the payments spent two or more promotional lots\n", 100*r.TwoLotShare)
	for _, m := range r.Limit {
		if noise := m.Share.Noise(); noise != "" {
			fmt.Fprintf(w, "Postgres, %d: %s\n", m.Clients, noise)
		}
	}
	for _, row := range r.Rows {
		r.printRow(w, row)
	}
	fmt.Fprintf(w, "%s acknowledged, %s stored; ", report.Count(float64(r.Acknowledged)), report.Count(float64(r.Stored)))
	r.Ledger.print(w)
}

func (r *PaymentsReport) printRow(w io.Writer, row PaymentsRow) {
	for _, name := range sorted(row.Others) {
		fmt.Fprintf(w, "%s: %d x %s\n", row.name(), row.Others[name], name)
	}
	if row.Behind > 0 {
		caught := fmt.Sprintf("handled %.1f s later", row.Caught.Seconds())
		if row.Caught == 0 {
			caught = fmt.Sprintf("not all handled %d s later", int(patience.Seconds()))
		}
		fmt.Fprintf(w, "%s: %s events waited, %s\n", row.name(), report.Count(float64(row.Behind)), caught)
	}
	if noise := row.Share.Noise(); noise != "" {
		fmt.Fprintf(w, "%s: %s\n", row.name(), noise)
	}
}

// name is the row's name, of 19 characters at most.
func (row PaymentsRow) name() string {
	n := fmt.Sprint(row.Connections)
	switch {
	case row.OneMerchant && row.History > 0:
		return n + ", one, history"
	case row.OneMerchant:
		return n + ", one merchant"
	case row.History > 0:
		return n + ", after history"
	case row.Connections == 1:
		return "1 connection"
	}
	return n + " connections"
}

// perDebit is the processor time of one debit of the limit, as perPayment.
func (l LimitRow) perDebit() string {
	n := l.Debits
	if !l.Share.Known || n == 0 {
		return "-"
	}
	return fmt.Sprintf("-/%d/-", l.Share.Postgres.Microseconds()/n)
}

func (row PaymentsRow) others() (n int64) {
	for _, m := range row.Others {
		n += m
	}
	return n
}

// perPayment is the processor time of one payment, in microseconds.
func (row PaymentsRow) perPayment() string {
	n := row.Created + row.others()
	if !row.Share.Known || n == 0 {
		return "-"
	}
	each := func(d time.Duration) int64 { return d.Microseconds() / n }
	return fmt.Sprintf("%d/%d/%d", each(row.Share.Server), each(row.Share.Postgres), each(row.Share.Actuators))
}

// Plot is the report as throughput and latency against connections.
func (r *PaymentsReport) Plot() report.Plot {
	p := report.Plot{
		Title: "Wallet payments through HTTP", Limit: r.limitRate(),
		LimitLabel: fmt.Sprintf("Postgres limit at %d clients: %s", limitClients, report.Count(r.limitRate())),
		Subtitle:   fmt.Sprintf("%s, %d cores, %s", r.Machine.CPU, r.Machine.Cores, r.At.UTC().Format("2 January 2006")),
	}
	for _, row := range r.Rows {
		if row.History > 0 || row.OneMerchant && !r.Rows[0].OneMerchant {
			continue
		}
		p.Points = append(p.Points, report.Point{
			Connections: row.Connections, Rate: row.Rate, P50: millis(row.P50), P99: millis(row.P99), P999: millis(row.P999),
		})
	}
	return p
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func sorted(m map[string]int64) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (v Verdict) print(w io.Writer) {
	if v.Took == 0 {
		fmt.Fprintln(w, "the ledger was not verified")
		return
	}
	if v.Sound {
		fmt.Fprintf(w, "the ledger is sound (%s postings, %.1f s)\n", report.Count(float64(v.Examined.Postings)), v.Took.Seconds())
		return
	}
	fmt.Fprintf(w, "THE LEDGER IS NOT SOUND: %d findings, first %s\n", v.Findings, v.First)
}

// Write writes it for a person.
func (h Head) Write(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d cores, %s\n", h.Machine.CPU, h.Machine.Cores, h.Machine.Go)
	if h.Settings != nil {
		s := h.Settings
		fmt.Fprintf(w, "Postgres %s: fsync %s, synchronous_commit %s, shared_buffers %s\n", s["server_version"], s["fsync"], s["synchronous_commit"], s["shared_buffers"])
		if !h.Durable() {
			fmt.Fprintln(w, "THIS DATABASE DOES NOT KEEP WHAT IT ACKNOWLEDGED; its rates say nothing")
		}
	}
	fmt.Fprintln(w)
}
