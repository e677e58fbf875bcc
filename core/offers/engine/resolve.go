package engine

import (
	"slices"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine/ranking"
)

// resolve ranks the fits and takes out what a better one of its group excludes.
func (e *evaluation) resolve() {
	for i := range e.fits {
		m := &e.fits[i]
		o := e.c.offers[m.offer]
		e.ranking = append(e.ranking, ranking.Rank{
			Priority: o.priority, Amount: m.amount, Points: m.points, Ends: o.ends, Offer: m.offer, At: int32(i),
		})
	}
	e.sorter.Sort(e.ranking)
	for i := range e.ranking {
		m := &e.fits[e.ranking[i].At]
		if best := e.groupBest(e.c.offers[m.offer].group); best != none && m.held == none {
			e.miss(m.offer, offers.Outranked, int64(e.kept[best].offer), 0, m.amount)
			continue
		}
		e.kept = append(e.kept, *m)
	}
	e.fits, e.kept = e.kept, e.fits
	e.sortMisses()
}

// sortMisses puts what is withheld into the order of the ids.
func (e *evaluation) sortMisses() {
	e.order = e.order[:0]
	for i := range e.misses {
		e.order = append(e.order, uint64(e.misses[i].offer)<<32|uint64(i))
	}
	slices.Sort(e.order)
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
