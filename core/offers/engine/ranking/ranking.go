// Package ranking puts the offers of a feed in order: best first.
package ranking

import (
	"cmp"
	"slices"
)

// Rank is what an offer is ranked by.
type Rank struct {
	Priority, Amount, Points int64 // higher first
	Ends                     int64 // sooner first; Unix microseconds
	Offer                    int32 // position by id, lower first
	At                       int32 // of the caller
}

// Compare orders by priority, then worth, then what ends sooner, then id.
func (a Rank) Compare(b Rank) int {
	switch {
	case a.Priority != b.Priority:
		return cmp.Compare(b.Priority, a.Priority)
	case a.Amount != b.Amount:
		return cmp.Compare(b.Amount, a.Amount)
	case a.Points != b.Points:
		return cmp.Compare(b.Points, a.Points)
	case a.Ends != b.Ends:
		return cmp.Compare(a.Ends, b.Ends)
	}
	return cmp.Compare(a.Offer, b.Offer)
}

// Sorter sorts ranks as plain numbers: priority and worth in the upper bits,
// where the rank lies in the lower ones. A hundred and thirty ranks compared by
// function, and moved about whole, would be a fifth of a feed. The zero value
// is ready; it keeps its memory. Not safe for concurrent use.
type Sorter struct {
	keys  []uint64
	ranks []Rank
}

const (
	placeBits    = 16
	amountBits   = 40 // more than money.MaxMinor
	priorityBits = 64 - placeBits - amountBits
)

// Sort sorts ranks as Rank.Compare does. What priority and worth leave equal,
// and ranks that do not fit into a number, are compared in full.
func (s *Sorter) Sort(ranks []Rank) {
	s.keys = s.keys[:0]
	for i := range ranks {
		k, ok := key(&ranks[i], i)
		if !ok {
			slices.SortFunc(ranks, Rank.Compare)
			return
		}
		s.keys = append(s.keys, k)
	}
	slices.Sort(s.keys)
	s.ranks = append(s.ranks[:0], ranks...)
	for i, k := range s.keys {
		ranks[i] = s.ranks[k&(1<<placeBits-1)]
	}
	s.settle(ranks)
}

// key is r as a number, where it fits into one. Both parts of it descend.
func key(r *Rank, place int) (uint64, bool) {
	priority := r.Priority + 1<<(priorityBits-1)
	if priority>>priorityBits != 0 || r.Amount>>amountBits != 0 || place>>placeBits != 0 {
		return 0, false
	}
	return ^uint64(priority<<amountBits|r.Amount)<<placeBits | uint64(place), true
}

// settle compares in full what the numbers leave equal.
func (s *Sorter) settle(ranks []Rank) {
	for from := 0; from < len(ranks); {
		to := from + 1
		for to < len(ranks) && s.keys[to]>>placeBits == s.keys[from]>>placeBits {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(ranks[from:to], Rank.Compare)
		}
		from = to
	}
}
