package engine

import (
	"math"
	"slices"
	"time"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine/cards"
	"github.com/feddi/feddi/core/offers/engine/rules"
)

// compiled is an offer in the form the engine reads. A feed reads two hundred
// of them, spread over memory, so that the order of the fields is the order of
// need: what nearly every candidate is judged by fills the first 64 bytes, a
// line of the cache, and what few offers have stands behind a pointer. 320
// bytes, and no program of its own: rules are shared by their text.
type compiled struct {
	starts, ends           int64 // Unix microseconds
	minBasket, minQuantity int64
	currency               string
	days, states, methods  uint8
	gives                  gift
	channels               uint16
	from, to               int16 // minutes; from == to means all day
	shape                  shape
	basis                  basis
	kindBit                uint8 // see kindsOf; 0 for a kind without a name there

	rule          *rules.Rule
	more          *more
	limits        *offers.Limits
	brand, budget string
	priority      int64

	amount, points, cap   int64
	percent, freeQuantity int64
	version               int64
	id                    string

	kind               offers.Kind
	vtype              offers.ValueType
	title, description string

	group string
	text  string   // the rule in machine form
	keys  []string // that it is indexed under: SKUs, then categories
	skus  int32    // how many of them are SKUs
}

// kindsOf is the bits of kinds of offer.
func kindsOf(names []string) uint8 {
	var m uint8
	for _, n := range names {
		m |= uint8(bitOf(offers.KindNames[:], n))
	}
	return m
}

// gift is what a value type means to the engine.
type gift uint8

const (
	discount gift = iota // an amount or a rate
	points
	cashback
	freeItem
)

// giftOf is the gift of a value type.
func giftOf(t offers.ValueType) gift {
	switch t {
	case offers.ValuePoints:
		return points
	case offers.ValueCashback:
		return cashback
	case offers.ValueFreeItem:
		return freeItem
	case offers.ValueAmount, offers.ValuePercent:
	}
	return discount
}

// discounts reports whether it comes off the basket, as offers.ValueType.Discounts.
func (g gift) discounts() bool { return g != points && g != cashback }

// basis is offers.Per.
type basis uint8

const (
	perUnit basis = iota + 1
	perLine
	perBasket
)

func basisOf(p offers.Per) basis {
	switch p {
	case offers.PerUnit:
		return perUnit
	case offers.PerLine:
		return perLine
	case offers.PerBasket:
		return perBasket
	}
	return 0
}

// shape is a set of yes-or-no properties.
type shape uint16

const (
	wide      shape = 1 << iota // candidate for every basket
	whole                       // acts on the basket as a whole: no lines of its own
	everyLine                   // no SKU and no category is named: acts on every line
	known                       // needs an identified customer
	newOnly
	alone
	exclusive
	plain // as whole, and reckoned from the total alone: no line is looked at
)

func (s shape) is(f shape) bool { return s&f != 0 }

// more is what few offers have. The lists are sorted.
type more struct {
	segments, tiers, branches      []string
	excludeSKUs, excludeCategories []string
}

// bitOf is the bit of a name, or 0 for an unknown one.
func bitOf(names []string, name string) uint16 {
	if i := slices.Index(names, name); i >= 0 {
		return 1 << i
	}
	return 0
}

// noEnd is the end of a window that has none.
const noEnd = math.MaxInt64

// allChannels is the mask of an offer that names no channel: it fits channels
// that have no bit too.
const allChannels = math.MaxUint16

// maskOf is the bits of names; an empty list is every bit.
func maskOf(all, names []string) uint16 {
	if len(names) == 0 {
		return allChannels
	}
	var m uint16
	for _, n := range names {
		m |= bitOf(all, n)
	}
	return m
}

// compiler builds compiled offers; strings and rules that many offers share
// are kept once.
type compiler struct {
	language offers.RuleCompiler
	strings  map[string]string
	rules    *rules.Set
}

// newCompiler makes one for a catalogue that keeps the offers kept.
func newCompiler(language offers.RuleCompiler, kept []*compiled) *compiler {
	stay := func(yield func(*rules.Rule) bool) {
		for _, k := range kept {
			if !yield(k.rule) {
				return
			}
		}
	}
	return &compiler{language: language, strings: map[string]string{}, rules: rules.Keep(stay)}
}

func (c *compiler) intern(s string) string {
	if kept, ok := c.strings[s]; ok {
		return kept
	}
	c.strings[s] = s
	return s
}

// offer compiles one offer. It never fails: a rule that does not compile in
// this environment is one that fails when it is run.
func (c *compiler) offer(o *offers.Offer) *compiled {
	v := &o.Value
	k := &compiled{
		id: o.ID, version: o.Version, kind: offers.Kind(c.intern(string(o.Kind))), kindBit: kindsOf([]string{string(o.Kind)}),
		title: o.Title, description: o.Description,
		currency: c.intern(o.Currency), brand: c.intern(o.BrandID), group: c.intern(o.Stacking.Group), budget: c.intern(o.Funding.BudgetID),
		vtype: offers.ValueType(c.intern(string(v.Type))), gives: giftOf(v.Type), basis: basisOf(v.Per),
		amount: v.AmountMinor, percent: v.PercentBP, points: v.Points, cap: v.MaxDiscountMinor, freeQuantity: max(v.FreeQuantity, 1),
		starts: micros(o.Window.StartsAt, math.MinInt64), ends: micros(o.Window.EndsAt, noEnd),
		minBasket: o.Conditions.MinBasketMinor, minQuantity: o.Conditions.MinQuantity,
		days: uint8(maskOf(offers.DayNames[:], o.Conditions.Days)), states: uint8(maskOf(offers.StateNames[:], o.Conditions.CustomerStates)),
		channels: maskOf(offers.ChannelNames[:], o.Conditions.Channels), priority: o.Stacking.Priority,
		methods: methodsOf(o.Redemption), shape: shapeOf(o),
		keys: keysOf(&o.Targets), skus: int32(len(o.Targets.SKUs)),
	}
	if k.cap == 0 {
		k.cap = math.MaxInt64
	}
	if w := o.Conditions.TimeWindow; w != nil {
		k.from, k.to = int16(w.From), int16(w.To)
	}
	if o.Limits.Counted() || o.Limits.PerSession > 1 {
		limits := o.Limits
		k.limits = &limits
	}
	k.more = c.more(o)
	if o.Conditions.Rule != "" {
		k.rule = c.rules.Compile(c.language, o.Conditions.Rule)
	}
	k.text = cards.Rule(o)
	return k
}

// keysOf are the SKUs and categories of an offer, one after the other.
func keysOf(t *offers.Targets) []string {
	if len(t.Categories) == 0 {
		return t.SKUs
	}
	return slices.Concat(t.SKUs, t.Categories)
}

// skuKeys and categoryKeys are what an offer is indexed under.
func (k *compiled) skuKeys() []string      { return k.keys[:k.skus] }
func (k *compiled) categoryKeys() []string { return k.keys[k.skus:] }

func micros(t *time.Time, absent int64) int64 {
	if t == nil {
		return absent
	}
	return t.UnixMicro()
}

func methodsOf(names []string) uint8 {
	var m uint8
	if len(names) == 0 || slices.Contains(names, offers.MethodApply) {
		m = 1
	}
	if slices.Contains(names, offers.MethodAuto) {
		m |= 2
	}
	return m
}

// methodNames are the lists that methods bits stand for; shared, never changed.
var methodNames = [4][]string{{}, {offers.MethodApply}, {offers.MethodAuto}, {offers.MethodApply, offers.MethodAuto}}

func shapeOf(o *offers.Offer) shape {
	var s shape
	t := &o.Targets
	every := !t.BasketWide && len(t.SKUs) == 0 && len(t.Categories) == 0
	set := func(f shape, on bool) {
		if on {
			s |= f
		}
	}
	set(wide, t.BasketWide || every)
	set(whole, t.BasketWide)
	set(everyLine, t.BasketWide || every)
	set(known, o.NeedsCustomer())
	set(newOnly, o.Conditions.NewCustomersOnly)
	set(alone, o.Stacking.Alone)
	set(exclusive, o.Stacking.Exclusive)
	set(plain, t.BasketWide && len(t.ExcludeSKUs)+len(t.ExcludeCategories) == 0 &&
		o.Value.Per == offers.PerBasket && o.Value.Type != offers.ValueFreeItem)
	return s
}

func (c *compiler) more(o *offers.Offer) *more {
	t := &o.Targets
	if len(t.Segments)+len(t.Tiers)+len(o.Conditions.BranchIDs)+len(t.ExcludeSKUs)+len(t.ExcludeCategories) == 0 {
		return nil
	}
	return &more{
		segments: c.sorted(t.Segments), tiers: c.sorted(t.Tiers), branches: c.sorted(o.Conditions.BranchIDs),
		excludeSKUs: c.sorted(t.ExcludeSKUs), excludeCategories: c.sorted(t.ExcludeCategories),
	}
}

func (c *compiler) sorted(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = c.intern(out[i])
	}
	slices.Sort(out)
	return out
}

// has looks s up; most lists are of one or two, for which a comparison of
// lengths is nearly all it takes.
func has(sortedList []string, s string) bool {
	if len(sortedList) <= 8 {
		return slices.Contains(sortedList, s)
	}
	_, ok := slices.BinarySearch(sortedList, s)
	return ok
}
