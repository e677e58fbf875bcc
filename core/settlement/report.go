package settlement

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// MaxReportLines bounds a provider's report.
const MaxReportLines = 5000

// Report is a provider's report of the deposits it settled.
type Report struct {
	ID          string // srp_...
	Tenant      tenancy.Tenant
	Provider    string
	Reference   string // the provider's own id; once per tenant and provider
	Currency    string
	PeriodStart time.Time
	PeriodEnd   time.Time
	Lines       []ReportLine
	CreatedAt   time.Time
}

// ReportLine is one deposit in a report. GrossMinor = FeeMinor + NetMinor; a
// negative gross takes a deposit back.
type ReportLine struct {
	Reference                      string
	GrossMinor, FeeMinor, NetMinor int64
	SettledAt                      time.Time
}

// Result is how a line fits the ledger.
type Result string

// The results of a line.
const (
	Matched        Result = "matched"         // settled by this line
	Unmatched      Result = "unmatched"       // no deposit of the provider, currency and reference
	AmountDiffers  Result = "amount_differs"  // the deposit is of another amount
	Duplicate      Result = "duplicate"       // the reference stands in the report before
	AlreadySettled Result = "already_settled" // it was settled before the report
	Chargeback     Result = "chargeback"      // takes a known deposit back
)

// Fit is a line with its result.
type Fit struct {
	ReportLine
	Result Result
	// Deposit is what the line leads to, with what it changed; nil where unmatched.
	Deposit *Deposit
}

// Changed reports whether the line changed its deposit.
func (f Fit) Changed() bool { return f.Result == Matched || f.Result == AmountDiffers }

// Fits judges every line, in order; found are the deposits that the references
// lead to. Each deposit is changed by one line at most.
func (r Report) Fits(found map[string]Deposit) []Fit {
	out := make([]Fit, 0, len(r.Lines))
	seen := make(map[string]bool, len(r.Lines))
	for _, l := range r.Lines {
		f := Fit{ReportLine: l, Result: Unmatched}
		d, known := found[l.Reference]
		switch {
		case !known && seen[l.Reference]:
			f.Result = Duplicate
		case known:
			f.Deposit = &d
			f.Result = fit(l, d, seen[l.Reference])
		}
		if f.Changed() {
			d.Progress = Settled
			if f.Result == AmountDiffers {
				d.Progress = Differs
			}
			d.Reported = &Reported{
				GrossMinor: l.GrossMinor, FeeMinor: l.FeeMinor, NetMinor: l.NetMinor,
				BankReference: r.Reference, ReportID: r.ID, SettledAt: l.SettledAt,
			}
		}
		seen[l.Reference] = seen[l.Reference] || l.GrossMinor >= 0
		out = append(out, f)
	}
	return out
}

func fit(l ReportLine, d Deposit, seen bool) Result {
	switch {
	case l.GrossMinor < 0:
		return Chargeback
	case seen:
		return Duplicate
	case d.Progress == Settled:
		return AlreadySettled
	case l.GrossMinor != d.AmountMinor:
		return AmountDiffers
	}
	return Matched
}

// ReportTotals are the figures of a report: how many lines of each result, and
// the sums of all lines and of the matched ones, in minor units.
type ReportTotals struct {
	Counts       map[Result]int
	All, Matched struct{ GrossMinor, FeeMinor, NetMinor int64 }
}

// TotalsOf adds up fits. 5,000 lines of 10^12 stay far inside of int64.
func TotalsOf(fits []Fit) ReportTotals {
	t := ReportTotals{Counts: map[Result]int{}}
	for _, f := range fits {
		t.Counts[f.Result]++
		t.All.GrossMinor += f.GrossMinor
		t.All.FeeMinor += f.FeeMinor
		t.All.NetMinor += f.NetMinor
		if f.Result == Matched {
			t.Matched.GrossMinor += f.GrossMinor
			t.Matched.FeeMinor += f.FeeMinor
			t.Matched.NetMinor += f.NetMinor
		}
	}
	return t
}
