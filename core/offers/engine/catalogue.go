// Package engine decides which offers fit a basket and a customer, what each
// is worth there, and why. It is a pure function: an immutable Catalogue, facts
// in, a Feed out. Equal facts give equal feeds, byte for byte.
package engine

import (
	"slices"
	"strings"
	"sync"

	"github.com/feddi/feddi/core/offers"
)

// Catalogue is an immutable snapshot of a merchant's active offers, compiled
// and indexed by SKU and category. Offers without either are in a list of
// their own, the only part that every basket scans. Safe for concurrent use;
// a change makes a new one, which shares what did not change.
type Catalogue struct {
	version    int64
	offers     []*compiled // by id
	postings   []int32     // positions in offers, by key
	bySKU      map[string]span
	byCategory map[string]span
	unindexed  []int32
	rules      offers.RuleCompiler
	verdicts   int // how many rules an evaluation may have to keep the verdict of
	// byRank is every position, by the rank that an offer has without a basket;
	// made when it is first asked for.
	byRank func() []int32
}

// span is a part of the postings.
type span struct{ start, n int32 }

// New builds a snapshot of the active ones among offers. Rules that
// do not compile make their offer withheld, never the catalogue fail.
func New(version int64, all []offers.Offer, rules offers.RuleCompiler) *Catalogue {
	empty := &Catalogue{rules: rules}
	return empty.With(version, all)
}

// With returns the catalogue as it is after changed: active offers are added
// or replaced, others taken out.
func (c *Catalogue) With(version int64, changed []offers.Offer) *Catalogue {
	gone := make(map[string]bool, len(changed))
	for i := range changed {
		gone[changed[i].ID] = true
	}
	next := &Catalogue{version: version, rules: c.rules}
	for _, k := range c.offers {
		if !gone[k.id] {
			next.offers = append(next.offers, k)
		}
	}
	build := newCompiler(c.rules, next.offers)
	for i := range changed {
		o := &changed[i]
		if o.Status == offers.Active {
			next.offers = append(next.offers, build.offer(o))
		}
	}
	next.verdicts = build.rules.Slots()
	slices.SortFunc(next.offers, func(a, b *compiled) int { return strings.Compare(a.id, b.id) })
	next.index()
	next.byRank = sync.OnceValue(next.rankAll)
	return next
}

// index fills the postings: it counts, lays out, and fills.
func (c *Catalogue) index() {
	skus, categories := map[string]span{}, map[string]span{}
	total := int32(0)
	count := func(m map[string]span, keys []string) {
		for _, k := range keys {
			s := m[k]
			s.n++
			m[k] = s
			total++
		}
	}
	for _, k := range c.offers {
		count(skus, k.skuKeys())
		count(categories, k.categoryKeys())
	}
	c.postings = make([]int32, total)
	next := int32(0)
	layOut := func(m map[string]span) {
		for k, s := range m {
			m[k] = span{start: next}
			next += s.n
		}
	}
	layOut(skus)
	layOut(categories)
	fill := func(m map[string]span, keys []string, at int32) {
		for _, k := range keys {
			s := m[k]
			c.postings[s.start+s.n] = at
			s.n++
			m[k] = s
		}
	}
	for i, k := range c.offers {
		fill(skus, k.skuKeys(), int32(i))
		fill(categories, k.categoryKeys(), int32(i))
		if k.shape.is(wide) {
			c.unindexed = append(c.unindexed, int32(i))
		}
	}
	c.bySKU, c.byCategory = skus, categories
}

// Version is the tenant's catalogue version that this snapshot is as of.
func (c *Catalogue) Version() int64 { return c.version }

// Len is how many offers are active.
func (c *Catalogue) Len() int { return len(c.offers) }

// Unindexed is how many offers every basket scans; worth an alarm when it grows.
func (c *Catalogue) Unindexed() int { return len(c.unindexed) }

// Needs names the state that an evaluation of f reads: the candidates that
// count their uses, and the budgets behind candidates. Each sorted, each once.
func (c *Catalogue) Needs(f *offers.Facts) (counted, budgets []string) {
	e := c.begin(f)
	defer e.end()
	e.collect()
	for _, k := range e.candidates {
		o := c.offers[k.offer]
		if o.limits != nil && o.limits.Counted() {
			counted = append(counted, o.id)
		}
		if o.budget != "" {
			budgets = append(budgets, o.budget)
		}
	}
	slices.Sort(counted)
	slices.Sort(budgets)
	return counted, slices.Compact(budgets)
}

// Candidates names the offers that f is judged by (those that touch its lines,
// and the basket-wide ones): a catalogue of these alone gives the same feed.
// Sorted by id.
func (c *Catalogue) Candidates(f *offers.Facts) []offers.Ref {
	e := c.begin(f)
	defer e.end()
	e.collect()
	refs := make([]offers.Ref, 0, len(e.candidates))
	for _, k := range e.candidates {
		o := c.offers[k.offer]
		refs = append(refs, offers.Ref{OfferID: o.id, Version: o.version})
	}
	slices.SortFunc(refs, func(a, b offers.Ref) int { return strings.Compare(a.OfferID, b.OfferID) })
	return refs
}
