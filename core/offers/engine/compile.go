package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/core/offers"
)

// compiled is an offer in the form the engine reads: typed fields first, so
// that nearly every candidate dies at a comparison, and what few offers have
// behind a pointer. About 350 bytes, and no program of its own: rules are
// shared by their text.
type compiled struct {
	id                     string
	starts, ends           int64 // Unix microseconds
	minBasket, minQuantity int64
	amount, points, cap    int64
	percent, freeQuantity  int64
	version, priority      int64
	days, states, methods  uint8
	channels               uint16
	from, to               int16 // minutes; from == to means all day
	shape                  shape
	vtype                  offers.ValueType
	per                    offers.Per
	kind                   offers.Kind
	currency, brand        string
	group, budget          string
	limits                 *offers.Limits
	rule                   offers.Rule
	skus, categories       []string // the keys it is indexed under
	more                   *more
	title, description     string
	text                   string // the rule in machine form
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
	rules   offers.RuleCompiler
	strings map[string]string
	byText  map[string]offers.Rule
}

func newCompiler(rules offers.RuleCompiler) *compiler {
	return &compiler{rules: rules, strings: map[string]string{}, byText: map[string]offers.Rule{}}
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
		id: o.ID, version: o.Version, kind: offers.Kind(c.intern(string(o.Kind))), title: o.Title, description: o.Description,
		currency: c.intern(o.Currency), brand: c.intern(o.BrandID), group: c.intern(o.Stacking.Group), budget: c.intern(o.Funding.BudgetID),
		vtype: offers.ValueType(c.intern(string(v.Type))), per: offers.Per(c.intern(string(v.Per))),
		amount: v.AmountMinor, percent: v.PercentBP, points: v.Points, cap: v.MaxDiscountMinor, freeQuantity: max(v.FreeQuantity, 1),
		starts: micros(o.Window.StartsAt, math.MinInt64), ends: micros(o.Window.EndsAt, noEnd),
		minBasket: o.Conditions.MinBasketMinor, minQuantity: o.Conditions.MinQuantity,
		days: uint8(maskOf(offers.DayNames[:], o.Conditions.Days)), states: uint8(maskOf(offers.StateNames[:], o.Conditions.CustomerStates)),
		channels: maskOf(offers.ChannelNames[:], o.Conditions.Channels), priority: o.Stacking.Priority,
		methods: methodsOf(o.Redemption), shape: shapeOf(o),
		skus: o.Targets.SKUs, categories: o.Targets.Categories,
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
	k.more = moreOf(o)
	if o.Conditions.Rule != "" {
		k.rule = c.compile(o.Conditions.Rule)
	}
	k.text = machineForm(o)
	return k
}

// compile returns the rule of an expression, one for all offers that use it.
func (c *compiler) compile(expression string) offers.Rule {
	if r, ok := c.byText[expression]; ok {
		return r
	}
	r, err := c.rules.Compile(expression)
	if err != nil {
		r = brokenRule{err}
	}
	c.byText[c.intern(expression)] = r
	return r
}

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

func moreOf(o *offers.Offer) *more {
	t := &o.Targets
	if len(t.Segments)+len(t.Tiers)+len(o.Conditions.BranchIDs)+len(t.ExcludeSKUs)+len(t.ExcludeCategories) == 0 {
		return nil
	}
	return &more{
		segments: sorted(t.Segments), tiers: sorted(t.Tiers), branches: sorted(o.Conditions.BranchIDs),
		excludeSKUs: sorted(t.ExcludeSKUs), excludeCategories: sorted(t.ExcludeCategories),
	}
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

func has(sortedList []string, s string) bool {
	_, ok := slices.BinarySearch(sortedList, s)
	return ok
}

// machineForm writes what an offer asks for and gives, for reasoning cards.
func machineForm(o *offers.Offer) string {
	var b strings.Builder
	list := func(name string, items []string) {
		if len(items) == 0 {
			return
		}
		shown, rest := items, ""
		if len(items) > 4 {
			shown, rest = items[:4], ", ..."
		}
		fmt.Fprintf(&b, "%s in [%s%s] && ", name, strings.Join(shown, ", "), rest)
	}
	list("sku", o.Targets.SKUs)
	list("category", o.Targets.Categories)
	list("tier", o.Targets.Tiers)
	list("segment", o.Targets.Segments)
	if m := o.Conditions.MinBasketMinor; m > 0 {
		fmt.Fprintf(&b, "basket.total_minor >= %d && ", m)
	}
	if m := o.Conditions.MinQuantity; m > 0 {
		fmt.Fprintf(&b, "quantity >= %d && ", m)
	}
	list("day", o.Conditions.Days)
	when := strings.TrimSuffix(b.String(), " && ")
	if when == "" {
		when = "true"
	}
	return when + " => " + valueForm(&o.Value)
}

func valueForm(v *offers.Value) string {
	switch {
	case v.Type == offers.ValueFreeItem:
		return fmt.Sprintf("free_item %d cheapest", max(v.FreeQuantity, 1))
	case v.Type == offers.ValuePoints:
		return fmt.Sprintf("points %d per %s", v.Points, v.Per)
	case v.PercentBP > 0:
		return fmt.Sprintf("%s %d bp per %s", v.Type, v.PercentBP, v.Per)
	}
	return fmt.Sprintf("%s %d per %s", v.Type, v.AmountMinor, v.Per)
}
