package engine

import (
	"slices"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine/ranking"
)

// A customer's own feed knows no basket (Facts.NoBasket). No index leads to its
// candidates, so all offers are walked, in the order of the rank that they have
// without a basket, which is the same for every customer; the walk ends with
// the first maxProspects that the customer may take. The typed conditions alone
// decide in it, and what they pass by costs no card and no query.
const maxProspects = 100

// rankAll puts all offers into the order that they have without a basket.
func (c *Catalogue) rankAll() []int32 {
	ranks := make([]ranking.Rank, len(c.offers))
	for i, o := range c.offers {
		m := prospect(o)
		ranks[i] = ranking.Rank{Priority: o.priority, Amount: m.amount, Points: m.points, Ends: o.ends, Offer: int32(i)}
	}
	slices.SortFunc(ranks, ranking.Rank.Compare)
	order := make([]int32, len(ranks))
	for i := range ranks {
		order[i] = ranks[i].Offer
	}
	return order
}

// collectProspects finds the candidates where the basket is unknown: the
// maxProspects that rank first among those whose typed conditions hold, and as
// many of those before them in rank whose conditions do not.
func (e *evaluation) collectProspects() {
	fits, misses := 0, 0
	for _, at := range e.c.byRank() {
		if e.admits(e.c.offers[at]) {
			fits++
		} else if misses++; misses > maxProspects {
			continue
		}
		e.candidates = append(e.candidates, candidate{offer: at, first: none, last: none})
		e.seen[at] = int32(len(e.candidates))
		if fits == maxProspects {
			return
		}
	}
}

// admits reports whether the typed conditions hold, as judge will find them.
func (e *evaluation) admits(o *compiled) bool {
	return e.now >= o.starts && e.now < o.ends && o.currency == e.f.Currency && e.judgeCustomer(o) == "" && e.judgePlace(o) == ""
}

// worth is what o is worth on these facts.
func (e *evaluation) worth(o *compiled) fit {
	if e.f.NoBasket {
		return prospect(o)
	}
	return e.measure(o)
}

// prospect is what o is worth on any basket whatever; 0 where that depends on
// the basket. It is never more than what it is worth on one.
func prospect(o *compiled) fit {
	if o.basis != perBasket || !o.shape.is(everyLine) || o.more != nil && len(o.more.excludeSKUs)+len(o.more.excludeCategories) > 0 ||
		o.minBasket > 0 || o.minQuantity > 0 || o.rule != nil && o.rule.NeedsBasket() {
		return fit{}
	}
	switch {
	case o.gives == points:
		return fit{points: o.points}
	case o.gives == cashback && o.percent == 0:
		return fit{amount: min(o.amount, o.cap)}
	}
	return fit{}
}

// judgeProspect judges what is left to judge without a basket.
func (e *evaluation) judgeProspect(o *compiled, m *fit) (offers.Reason, int64, int64) {
	if reason, have, need := e.judgeCounted(o, m); reason != "" {
		return reason, have, need
	}
	if o.budget != "" && o.gives != points { // a budget is of money
		if b := e.f.FundsOf(o.budget); !b.Open || b.Available == 0 {
			return offers.BudgetExhausted, b.Available, 1
		}
	}
	return e.judgeRule(o), 0, 0
}

// unknown reports whether the facts leave open what an offer asks for.
func (e *evaluation) unknown(fact string) bool { return e.f.NoBasket && fact == "" }

// sayProspect says what the offer does, whatever the basket will be.
func (e *evaluation) sayProspect(o *compiled) {
	c := &e.cards
	switch o.gives {
	case points:
		c.Say("Earns ")
		c.Number(o.points)
		c.Say(" points for ")
		c.Say(basisNames[o.basis])
	case cashback:
		c.Say("Gives ")
		e.sayFigure(o)
		c.Say(" back as credit at close for ")
		c.Say(basisNames[o.basis])
	case freeItem:
		c.Say("Makes matching units free, up to ")
		c.Number(o.freeQuantity)
	default:
		c.Say("Takes ")
		e.sayFigure(o)
		c.Say(" off ")
		c.Say(basisNames[o.basis])
	}
	if m := prospect(o); m.amount == 0 && m.points == 0 {
		c.Say("; its worth depends on the basket")
	}
	c.Say(".")
}

// basisNames say what a figure counts for.
var basisNames = [...]string{perUnit: "each matching unit", perLine: "each matching line", perBasket: "the basket"}

// sayFigure says a rate or an amount as it was laid down.
func (e *evaluation) sayFigure(o *compiled) {
	if o.percent > 0 {
		e.cards.Percent(o.percent)
		return
	}
	e.cards.Money(o.amount)
}
