package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/grocery"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// OffersOptions say what to measure.
type OffersOptions struct {
	Sizes    []int         // offers in the catalogue
	Duration time.Duration // of each row
	Rules    offers.RuleCompiler
}

// OffersReport is what was measured.
type OffersReport struct {
	Head
	Rows []OffersRow `json:"rows"`
	// Growth is the p99 of the largest catalogue over that of the smallest.
	Growth float64 `json:"p99_largest_over_smallest"`
}

// OffersRow is one size of catalogue. A feed is the whole answer: ranked
// offers, withheld ones with their reasons, and a reasoning card for each.
type OffersRow struct {
	Offers   int           `json:"offers"`
	Feeds    int64         `json:"feeds"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
	Shown    float64       `json:"shown_per_feed"`
	Withheld float64       `json:"withheld_per_feed"`
	Build    time.Duration `json:"build_ns"`
	Heap     int64         `json:"heap_bytes"` // of the compiled catalogue
	Share    report.Share  `json:"cpu"`
}

// HeapPer100k is the catalogue's memory for 100,000 offers.
func (r OffersRow) HeapPer100k() float64 { return float64(r.Heap) / float64(r.Offers) * 100_000 }

// differentBaskets is how many baskets a row goes round; none is one that the
// engine has just seen.
const differentBaskets = 200

// Offers measures the offer feed in this process, without HTTP or database.
func Offers(ctx context.Context, d *Deployment, head Head, o OffersOptions) (*OffersReport, error) {
	r := &OffersReport{Head: head}
	for _, n := range o.Sizes {
		if err := d.quiet(ctx); err != nil {
			return r, err
		}
		row, err := offersRow(ctx, d, n, o)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, row)
	}
	first, last := r.Rows[0], r.Rows[len(r.Rows)-1]
	r.Growth = float64(last.P99) / float64(max(first.P99, 1))
	return r, nil
}

func offersRow(ctx context.Context, d *Deployment, n int, o OffersOptions) (OffersRow, error) {
	d.tell(fmt.Sprintf("%d offers, compiling", n), -1)
	row := OffersRow{Offers: n}
	before := live()
	catalogue, took := build(n, o.Rules)
	row.Build = took
	// The definitions are gone by now; what the catalogue kept of them counts.
	row.Heap = max(0, live()-before)
	baskets := make([]*offers.Facts, differentBaskets)
	for i := range baskets {
		baskets[i] = grocery.Basket(n, i)
	}
	if err := decides(ctx, catalogue, grocery.Offers(n), o.Rules, baskets[0]); err != nil {
		return row, err
	}
	used := report.Now()
	var h load.Histogram
	var shown, withheld int
	for begin := time.Now(); time.Since(begin) < o.Duration && ctx.Err() == nil; {
		d.tell(fmt.Sprintf("%d offers", n), float64(time.Since(begin))/float64(o.Duration))
		for _, f := range baskets {
			sent := time.Now()
			feed := catalogue.Evaluate(ctx, f)
			h.Record(time.Since(sent))
			shown, withheld = shown+len(feed.Offers), withheld+len(feed.Withheld)
		}
	}
	row.Share = report.Now().Since(used)
	row.Feeds, row.P50, row.P99, row.Max = h.Count(), h.Quantile(0.5), h.Quantile(0.99), h.Max()
	if row.Feeds > 0 {
		row.Shown, row.Withheld = float64(shown)/float64(row.Feeds), float64(withheld)/float64(row.Feeds)
	}
	runtime.KeepAlive(catalogue)
	return row, ctx.Err()
}

// build compiles a catalogue and tells how long that took.
func build(n int, rules offers.RuleCompiler) (*engine.Catalogue, time.Duration) {
	definitions := grocery.Offers(n)
	begin := time.Now()
	catalogue := engine.New(1, definitions, rules)
	return catalogue, time.Since(begin)
}

// decides proves, before anything is timed, that the feed of the whole
// catalogue is the one of its candidates alone, byte for byte: the index is
// what makes it fast and must not make it wrong.
func decides(ctx context.Context, whole *engine.Catalogue, all []offers.Offer, rules offers.RuleCompiler, f *offers.Facts) error {
	touched := map[string]bool{}
	for _, ref := range whole.Candidates(f) {
		touched[ref.OfferID] = true
	}
	var some []offers.Offer
	for _, o := range all {
		if touched[o.ID] {
			some = append(some, o)
		}
	}
	a, err := whole.Evaluate(ctx, f).Outputs()
	if err != nil {
		return err
	}
	b, err := engine.New(1, some, rules).Evaluate(ctx, f).Outputs()
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return errors.New("the index changes what is offered")
	}
	return nil
}

// live is the memory that is in use.
func live() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Print writes the report for a person.
func (r *OffersReport) Print(w io.Writer) {
	r.Head.Write(w)
	t := report.Table{Head: []string{"live offers", "p50 us", "p99 us", "max us", "shown", "withheld", "MB/100k", "build ms"}}
	for _, row := range r.Rows {
		t.Add(report.Count(float64(row.Offers)), report.Micros(row.P50), report.Micros(row.P99), report.Micros(row.Max),
			fmt.Sprintf("%.0f", row.Shown), fmt.Sprintf("%.0f", row.Withheld), fmt.Sprintf("%.0f", row.HeapPer100k()/(1<<20)), report.Millis(row.Build))
	}
	t.Print(w)
	fmt.Fprintf(w, "\nA basket of %d lines; reasoning cards and withheld reasons included.\n", grocery.BasketLines)
	fmt.Fprintf(w, "p99 with the most offers is %.1f times that with the fewest\n", r.Growth)
	for _, row := range r.Rows {
		if noise := row.Share.Noise(); noise != "" {
			fmt.Fprintf(w, "%s offers: %s\n", report.Count(float64(row.Offers)), noise)
		}
	}
}
