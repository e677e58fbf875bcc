package trials

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/feddi/feddi/core/offers"
)

// Difference is what a trial changes for one offer, over all cases.
type Difference struct {
	OfferID                   string
	Version                   int64 // that was tried, or else that of the baseline
	BaselineCount, TrialCount int
	BaselineMinor, TrialMinor int64
	// Gained and Lost are the customers who are shown it in cases with the trial
	// only, and without it only: the first MaxNamed.
	Gained, Lost []string
	Cut          bool // one of the two goes on
}

// tally adds up cases.
type tally struct {
	totals Totals
	offers map[string]*counted
}

type counted struct {
	Difference
	before, after map[string]bool // customers who are shown it
}

func newTally(currency string) *tally {
	return &tally{totals: Totals{Currency: currency}, offers: map[string]*counted{}}
}

// add counts one case. Sums of several currencies would be none.
func (t *tally) add(c Case) {
	t.totals.Cases++
	if c.Currency != t.totals.Currency {
		return
	}
	t.totals.BaselineMinor += c.BaselineMinor
	t.totals.TrialMinor += c.TrialMinor
	if !same(c.Baseline, c.Trial) {
		t.totals.Changed++
	}
	for _, o := range c.Baseline.Offers {
		k := t.of(o)
		k.BaselineCount++
		k.BaselineMinor += o.Value.AmountMinor
		k.before[c.CustomerID] = true
	}
	for _, o := range c.Trial.Offers {
		k := t.of(o)
		k.Version = o.Version
		k.TrialCount++
		k.TrialMinor += o.Value.AmountMinor
		k.after[c.CustomerID] = true
	}
}

func (t *tally) of(o offers.Shown) *counted {
	k := t.offers[o.OfferID]
	if k == nil {
		k = &counted{Difference: Difference{OfferID: o.OfferID, Version: o.Version}, before: map[string]bool{}, after: map[string]bool{}}
		t.offers[o.OfferID] = k
	}
	return k
}

// same reports whether two feeds show the same offers, in the same order, for
// the same worth.
func same(a, b offers.Feed) bool {
	return slices.EqualFunc(a.Offers, b.Offers, func(x, y offers.Shown) bool {
		return x.OfferID == y.OfferID && x.Version == y.Version && x.Value == y.Value
	})
}

// differences are the offers that either side shows, the largest change first.
func (t *tally) differences() []Difference {
	out := make([]Difference, 0, len(t.offers))
	for _, k := range t.offers {
		d := k.Difference
		var gained, lost bool
		d.Gained, gained = named(k.after, k.before)
		d.Lost, lost = named(k.before, k.after)
		d.Cut = gained || lost
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Difference) int {
		return cmp.Or(
			cmp.Compare(distance(b.TrialMinor, b.BaselineMinor), distance(a.TrialMinor, a.BaselineMinor)),
			cmp.Compare(distance(int64(b.TrialCount), int64(b.BaselineCount)), distance(int64(a.TrialCount), int64(a.BaselineCount))),
			strings.Compare(a.OfferID, b.OfferID))
	})
	return out
}

func distance(a, b int64) int64 { return max(a, b) - min(a, b) }

// named lists who is in and not in out, but for those nobody identified.
func named(in, out map[string]bool) (list []string, cut bool) {
	list = []string{}
	for _, id := range slices.Sorted(maps.Keys(in)) {
		if id == "" || out[id] {
			continue
		}
		if len(list) == MaxNamed {
			return list, true
		}
		list = append(list, id)
	}
	return list, false
}
