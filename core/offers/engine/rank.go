package engine

import (
	"cmp"
	"slices"

	"github.com/feddi/feddi/core/offers"
)

// resolve ranks the fits and takes out what a better one of its group excludes.
func (e *evaluation) resolve() {
	for i := range e.fits {
		m := &e.fits[i]
		o := e.c.offers[m.offer]
		e.ranking = append(e.ranking, rank{priority: o.priority, amount: m.amount, points: m.points, ends: o.ends, offer: m.offer, at: int32(i)})
	}
	e.sortRanks()
	for i := range e.ranking {
		m := &e.fits[e.ranking[i].at]
		if best := e.groupBest(e.c.offers[m.offer].group); best != none && m.held == none {
			e.miss(m.offer, offers.Outranked, int64(e.kept[best].offer), 0, m.amount)
			continue
		}
		e.kept = append(e.kept, *m)
	}
	e.fits, e.kept = e.kept, e.fits
	e.sortMisses()
}

// An order is sorted as plain numbers: what decides it in the upper bits, where
// the thing lies in the lower ones. Two hundred comparisons by function, of
// things that are moved about whole, would be a fifth of a feed.
const (
	placeBits  = 16
	amountBits = 40 // more than money.MaxMinor
	rankBits   = 64 - placeBits - amountBits
)

// sortRanks puts the ranking in order. Priority and worth settle nearly all of
// it; what they leave equal, and ranks that do not fit into a number, are
// compared in full.
func (e *evaluation) sortRanks() {
	e.order = e.order[:0]
	for i := range e.ranking {
		r := &e.ranking[i]
		priority := r.priority + 1<<(rankBits-1)
		if priority>>rankBits != 0 || r.amount>>amountBits != 0 || i>>placeBits != 0 {
			slices.SortFunc(e.ranking, rank.compare)
			return
		}
		// Both descend.
		e.order = append(e.order, ^uint64(priority<<amountBits|r.amount)<<placeBits|uint64(i))
	}
	slices.Sort(e.order)
	e.sorted = e.sorted[:0]
	for _, o := range e.order {
		e.sorted = append(e.sorted, e.ranking[o&(1<<placeBits-1)])
	}
	e.ranking, e.sorted = e.sorted, e.ranking
	for from := 0; from < len(e.ranking); {
		to := from + 1
		for to < len(e.ranking) && e.order[to]>>placeBits == e.order[from]>>placeBits {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(e.ranking[from:to], rank.compare)
		}
		from = to
	}
}

// sortMisses puts what is withheld into the order of the ids.
func (e *evaluation) sortMisses() {
	e.order = e.order[:0]
	for i := range e.misses {
		e.order = append(e.order, uint64(e.misses[i].offer)<<32|uint64(i))
	}
	slices.Sort(e.order)
}

// rank is what a fit is ranked by.
type rank struct {
	priority, amount, points, ends int64
	offer, at                      int32
}

// compare orders by priority, then worth, then what ends sooner, then id.
func (a rank) compare(b rank) int {
	switch {
	case a.priority != b.priority:
		return cmp.Compare(b.priority, a.priority)
	case a.amount != b.amount:
		return cmp.Compare(b.amount, a.amount)
	case a.points != b.points:
		return cmp.Compare(b.points, a.points)
	case a.ends != b.ends:
		return cmp.Compare(a.ends, b.ends)
	}
	return cmp.Compare(a.offer, b.offer)
}

// groupBest finds the fit that stands for a group already.
func (e *evaluation) groupBest(group string) int32 {
	if group == "" {
		return none
	}
	for i := range e.kept {
		if e.c.offers[e.kept[i].offer].group == group {
			return int32(i)
		}
	}
	return none
}
