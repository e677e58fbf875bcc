package engine

import (
	"context"
	"sync"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine/cards"
	"github.com/feddi/feddi/core/offers/engine/ranking"
)

// Evaluate decides the feed of f. It is a pure function of the catalogue and
// the facts; ctx only ends a free rule that runs too long. f is sorted by id
// where it is not yet.
func (c *Catalogue) Evaluate(ctx context.Context, f *offers.Facts) offers.Feed {
	f.Sort()
	e := c.begin(f)
	defer e.end()
	e.ctx = ctx
	e.collect()
	if len(c.offers) >= scattered {
		e.fetch()
	}
	e.cards.Begin(f.Currency)
	for i := range e.candidates {
		e.consider(&e.candidates[i])
	}
	e.resolve()
	return e.feed()
}

// Ask says how one offer is judged by name.
type Ask struct {
	// Uncounted leaves limits and budgets out: the offer is held already.
	Uncounted bool
}

// Judge decides one offer by name, whatever its status: shown as it would be
// worth if it were applied after what is held, or the reason against it.
// Exactly one of the two results is set.
func Judge(ctx context.Context, o offers.Offer, rules offers.RuleCompiler, f *offers.Facts, ask Ask) (*offers.Shown, *offers.Withheld) {
	o.Status = offers.Active
	c := New(0, []offers.Offer{o}, rules)
	f.Sort()
	e := c.begin(f)
	defer e.end()
	e.ctx, e.byName, e.uncounted = ctx, true, ask.Uncounted
	e.cards.Begin(f.Currency)
	e.collect()
	if len(e.candidates) == 0 {
		e.candidates = append(e.candidates, candidate{first: none})
	}
	e.consider(&e.candidates[0])
	e.resolve()
	feed := e.feed()
	if len(feed.Offers) == 1 {
		return &feed.Offers[0], nil
	}
	return nil, &feed.Withheld[0]
}

// evaluation is the working memory of one decision. It comes from a pool, so
// that a steady stream of decisions allocates little beyond their feeds.
type evaluation struct {
	ctx       context.Context
	c         *Catalogue
	f         *offers.Facts
	byName    bool // one offer is asked for: not shown as held, and a miss is told
	uncounted bool

	seen       []int32 // by offer: 1 + its position in candidates; all zero between uses
	candidates []candidate
	links      []link

	nets     []int64 // by line: its net less what held offers take off
	left     int64   // the basket's total less what held offers take off
	quantity int64
	now      int64
	day      uint8
	dayAfter uint8 // the bit of yesterday, for windows over midnight
	channel  uint16
	state    uint8
	unwanted uint8   // kinds of offer, as compiled.kindBit
	matched  []int32 // lines of the candidate at hand
	parts    []int64 // scratch: a value by matched line
	input    offers.RuleInput
	verdicts []verdict // by rule: all unjudged between uses

	fits    []fit
	kept    []fit // the fits in rank order
	ranking []ranking.Rank
	sorter  ranking.Sorter
	order   []uint64 // of the misses, as sortMisses leaves it
	misses  []miss
	lines   []int32 // lines of all fits
	fetched int64   // see fetch
	cards   cards.Writer
}

// none ends a chain of links.
const none = int32(-1)

// candidate is an offer that touches the basket, with the chain of its lines.
type candidate struct{ offer, first, last int32 }

// link is one line of a candidate.
type link struct{ line, next int32 }

// fit is an offer that may be shown.
type fit struct {
	offer      int32
	held       int32 // position in Facts.Held, or none
	from, n    int32 // its lines
	amount     int64
	points     int64
	matchedQty int64
	matchedNet int64
}

// miss is an offer that is withheld.
type miss struct {
	offer  int32
	card   int32
	reason offers.Reason
	worth  int64
}

var pool = sync.Pool{New: func() any { return new(evaluation) }}

// begin prepares what all candidates share.
func (c *Catalogue) begin(f *offers.Facts) *evaluation {
	e, ok := pool.Get().(*evaluation)
	if !ok {
		e = new(evaluation)
	}
	e.c, e.f = c, f
	if len(e.seen) < len(c.offers) {
		e.seen = make([]int32, len(c.offers))
	}
	if len(e.verdicts) < c.verdicts {
		e.verdicts = make([]verdict, c.verdicts)
	}
	e.now = f.At.UnixMicro()
	e.day = 1 << (f.Local.Weekday % 7)
	e.dayAfter = 1 << ((f.Local.Weekday + 6) % 7)
	e.channel = bitOf(offers.ChannelNames[:], f.Channel)
	e.state = uint8(bitOf(offers.StateNames[:], f.Customer.State))
	e.unwanted = kindsOf(f.Customer.OptOut.Kinds)
	e.left, e.quantity = f.Total, 0
	for i := range f.Lines {
		e.nets = append(e.nets, max(f.Lines[i].Net, 0))
		e.quantity += f.Lines[i].Quantity
	}
	for i := range f.Held {
		e.takeOff(&f.Held[i])
	}
	e.left = max(e.left, 0)
	return e
}

// takeOff lowers the basket by what a held offer takes off already.
func (e *evaluation) takeOff(h *offers.Held) {
	e.left -= h.DiscountMinor
	if h.DiscountMinor == 0 {
		return
	}
	for _, s := range h.Lines {
		for i := range e.f.Lines {
			if e.f.Lines[i].LineID == s.LineID {
				e.nets[i] = max(e.nets[i]-s.DiscountMinor, 0)
			}
		}
	}
}

// end gives the memory back, clean.
func (e *evaluation) end() {
	for i := range e.candidates {
		e.seen[e.candidates[i].offer] = 0
	}
	clear(e.verdicts[:e.c.verdicts])
	*e = evaluation{
		seen: e.seen, verdicts: e.verdicts, candidates: e.candidates[:0], links: e.links[:0], nets: e.nets[:0],
		matched: e.matched[:0], parts: e.parts[:0], fits: e.fits[:0], kept: e.kept[:0], ranking: e.ranking[:0], sorter: e.sorter, order: e.order[:0],
		misses: e.misses[:0], lines: e.lines[:0], cards: e.cards.Emptied(),
	}
	pool.Put(e)
}

// collect finds the candidates by the index: what names a SKU or a category of
// the basket, and what is unindexed.
func (e *evaluation) collect() {
	if e.f.NoBasket && !e.byName {
		e.collectProspects()
		return
	}
	for i := range e.f.Lines {
		l := &e.f.Lines[i]
		e.touch(e.c.bySKU[l.SKU], int32(i))
		if l.Category != "" {
			e.touch(e.c.byCategory[l.Category], int32(i))
		}
	}
	for _, at := range e.c.unindexed {
		if e.seen[at] == 0 {
			e.candidates = append(e.candidates, candidate{offer: at, first: none, last: none})
			e.seen[at] = int32(len(e.candidates))
		}
	}
}

// scattered is from how many offers on the candidates are rarely in a cache yet.
const scattered = 4096

// fetch reads a little of every candidate before any is judged. The candidates
// lie anywhere in memory: read in a loop that does nothing else, the processor
// waits for many of them at once, and not for each as it comes to it.
func (e *evaluation) fetch() {
	sum := int64(0)
	for i := range e.candidates {
		o := e.c.offers[e.candidates[i].offer]
		sum += o.starts + o.priority + o.amount + int64(len(o.title)) + int64(len(o.text))
		if o.more != nil {
			sum += int64(len(o.more.tiers))
		}
	}
	e.fetched = sum // so that the compiler keeps the loop
}

// touch notes that line is a target of the offers in s.
func (e *evaluation) touch(s span, line int32) {
	for _, at := range e.c.postings[s.start : s.start+s.n] {
		here := int32(len(e.links))
		if slot := e.seen[at]; slot != 0 {
			k := &e.candidates[slot-1]
			if e.links[k.last].line == line {
				continue // by its SKU already
			}
			e.links[k.last].next = here
			k.last = here
		} else {
			e.candidates = append(e.candidates, candidate{offer: at, first: here, last: here})
			e.seen[at] = int32(len(e.candidates))
		}
		e.links = append(e.links, link{line: line, next: none})
	}
}

// consider judges one candidate and files it among the fits or the misses.
func (e *evaluation) consider(k *candidate) {
	o := e.c.offers[k.offer]
	e.match(o, k.first)
	if len(e.matched) == 0 && !o.shape.is(whole) && !e.f.NoBasket {
		if e.byName {
			e.miss(k.offer, offers.NoMatchingLines, 0, 0, 0)
		}
		return
	}
	if len(e.f.Held) > 0 && !e.byName { // most sessions hold nothing: its id needn't be read
		if at := e.heldAt(o.id); at != none {
			h := &e.f.Held[at]
			e.fits = append(e.fits, fit{offer: k.offer, held: at, amount: h.ValueMinor, points: h.Points})
			return
		}
	}
	m := e.worth(o)
	if reason, have, need := e.judge(o, &m); reason != "" {
		e.miss(k.offer, reason, have, need, m.amount)
		return
	}
	m.offer, m.held = k.offer, none
	m.from, m.n = int32(len(e.lines)), int32(len(e.matched))
	e.lines = append(e.lines, e.matched...)
	e.fits = append(e.fits, m)
}

// match puts the lines that o acts on into e.matched.
func (e *evaluation) match(o *compiled, first int32) {
	e.matched = e.matched[:0]
	if o.shape.is(plain) {
		return
	}
	if o.shape.is(everyLine) {
		for i := range e.f.Lines {
			e.add(o, int32(i))
		}
		return
	}
	for at := first; at != none; at = e.links[at].next {
		e.add(o, e.links[at].line)
	}
}

func (e *evaluation) add(o *compiled, line int32) {
	if o.more != nil {
		l := &e.f.Lines[line]
		if has(o.more.excludeSKUs, l.SKU) || has(o.more.excludeCategories, l.Category) {
			return
		}
	}
	e.matched = append(e.matched, line)
}

// heldAt finds the offer among what the session holds.
func (e *evaluation) heldAt(offerID string) int32 {
	for i := range e.f.Held {
		if e.f.Held[i].OfferID == offerID {
			return int32(i)
		}
	}
	return none
}
