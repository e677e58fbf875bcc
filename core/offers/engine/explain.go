package engine

import (
	"time"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine/cards"
)

// feed writes the cards and lays the feed out.
func (e *evaluation) feed() offers.Feed {
	out := offers.Feed{Offers: make([]offers.Shown, len(e.fits)), Withheld: make([]offers.Withheld, len(e.misses))}
	first, lines := e.cards.Len(), 0
	for i := range e.fits {
		e.explainFit(&e.fits[i])
		lines += int(e.fits[i].n)
	}
	cut, shares := e.cards.Cut(), make([]offers.Share, 0, lines)
	for i := range e.fits {
		o := &out.Offers[i]
		shares = e.show(o, &e.fits[i], i+1, shares)
		o.Card = cut.Card(first + int32(i))
	}
	for i, at := range e.order { // as sortMisses left it
		m := &e.misses[uint32(at)]
		o, w := e.c.offers[m.offer], &out.Withheld[i]
		w.OfferID, w.Version, w.Title, w.Reason, w.Worth, w.Card = o.id, o.version, o.title, m.reason, m.worth, cut.Card(m.card)
	}
	return out
}

// show fills in an offer that fits; its shares are appended to shares.
func (e *evaluation) show(s *offers.Shown, m *fit, rank int, shares []offers.Share) []offers.Share {
	o := e.c.offers[m.offer]
	s.OfferID, s.Version, s.Kind, s.Title, s.Description = o.id, o.version, o.kind, o.title, o.description
	s.Value = offers.Worth{Type: o.vtype, AmountMinor: m.amount, PercentBP: o.percent, Points: m.points}
	s.Redemption, s.Group, s.Rank = methodNames[o.methods&3], o.group, rank
	if o.ends != noEnd {
		at := time.UnixMicro(o.ends).UTC()
		s.ExpiresAt = &at
	}
	if m.held != none {
		h := &e.f.Held[m.held]
		s.Version, s.AppliesTo = h.Version, append([]offers.Share{}, h.Lines...)
		return shares
	}
	from := len(shares)
	shares = e.shares(m, shares)
	s.AppliesTo = shares[from:len(shares):len(shares)]
	return shares
}

// explainFit writes the card of an offer that is shown.
func (e *evaluation) explainFit(m *fit) {
	o, c := e.c.offers[m.offer], &e.cards
	if m.held != none {
		c.Say("Applied in this session")
		if m.amount > 0 {
			c.Say("; it is worth ")
			c.Money(m.amount)
		}
		c.Say(".")
	} else {
		e.sayWorth(o, m)
	}
	c.Head(e.commonFacts)
	if m.held == none && !e.f.NoBasket {
		c.Fact(`,"matching_quantity":`, m.matchedQty)
		c.Fact(`,"matching_minor":`, m.matchedNet)
	}
	c.Fact(`,"worth_minor":`, m.amount)
	if m.points > 0 {
		c.Fact(`,"points":`, m.points)
	}
	c.FactRaw("}")
	c.Close(o.text)
}

// commonFacts writes what the facts of all offers that are shown begin with.
func (e *evaluation) commonFacts() {
	c := &e.cards
	c.FactText(`{"currency":`, e.f.Currency)
	if e.f.NoBasket {
		c.FactRaw(`,"basket_known":false`)
		return
	}
	c.Fact(`,"basket_total_minor":`, e.f.Total)
}

// sayWorth says in a sentence what the offer does here.
func (e *evaluation) sayWorth(o *compiled, m *fit) {
	c := &e.cards
	if e.f.NoBasket {
		e.sayProspect(o)
		return
	}
	switch o.gives {
	case points:
		c.Say("Earns ")
		c.Number(m.points)
		c.Say(" points")
	case cashback:
		c.Say("Gives ")
		c.Money(m.amount)
		c.Say(" back as credit at close")
	case freeItem:
		c.Say("Makes ")
		c.Number(min(o.freeQuantity, m.matchedQty))
		c.Say(" free, worth ")
		c.Money(m.amount)
	default:
		c.Say("Takes ")
		c.Money(m.amount)
		c.Say(" off")
	}
	e.sayHow(o, m)
	c.Say(".")
}

// sayHow says what the value rests on.
func (e *evaluation) sayHow(o *compiled, m *fit) {
	c := &e.cards
	if o.shape.is(whole) {
		if o.percent > 0 {
			c.Say(": ")
			c.Percent(o.percent)
			c.Say(" of the basket")
		}
		return
	}
	c.Say(": ")
	switch {
	case o.percent > 0:
		c.Percent(o.percent)
		c.Say(" of ")
	case o.amount > 0 && o.basis != perBasket:
		c.Money(o.amount)
		if o.basis == perUnit {
			c.Say(" for each of ")
		} else {
			c.Say(" per line on ")
		}
	default:
		c.Say("on ")
	}
	l := &e.f.Lines[e.lines[m.from]]
	c.Number(l.Quantity)
	c.Say(" x ")
	c.Say(l.Label())
	if m.n > 1 {
		c.Say(" and ")
		c.Number(int64(m.n - 1))
		c.Say(" more lines")
	}
	if o.amount > 0 && m.amount == o.cap {
		c.Say(", the most it gives")
	}
}

// miss files a candidate as withheld and writes its card.
func (e *evaluation) miss(offer int32, r offers.Reason, have, need, worth int64) {
	o, c := e.c.offers[offer], &e.cards
	e.misses = append(e.misses, miss{offer: offer, card: c.Len(), reason: r, worth: worth})
	e.sayMiss(o, r, have, need)
	c.FactRaw("{")
	e.missFacts(o, r, have, need)
	c.FactRaw("}")
	c.Close(cards.Condition(r))
}

// sayMiss says to a cashier why the offer is not given.
func (e *evaluation) sayMiss(o *compiled, r offers.Reason, have, need int64) {
	c := &e.cards
	switch r {
	case offers.OutOfWindow:
		if e.now < o.starts {
			c.Say("It has not started yet.")
			return
		}
		c.Say("It has ended.")
	case offers.CurrencyMismatch:
		c.Say("It is in ")
		c.Say(o.currency)
		c.Say(", the session in ")
		c.Say(e.f.Currency)
		c.Say(".")
	case offers.MinBasketNotMet:
		c.Money(need - have)
		c.Say(" short: it starts at ")
		c.Money(need)
		c.Say(", the basket is ")
		c.Money(have)
		c.Say(".")
	case offers.MinQuantityNotMet:
		c.Say("Add ")
		c.Number(need - have)
		c.Say(" more: it takes ")
		c.Number(need)
		c.Say(", the basket has ")
		c.Number(have)
		c.Say(".")
	case offers.OutsideDays:
		c.Say("Not on ")
		c.Say(offers.DayNames[e.f.Local.Weekday%7])
		c.Say("; it runs on ")
		c.Names(offers.DayNames[:], uint16(o.days))
		c.Say(".")
	case offers.OutsideTimeWindow:
		c.Say("It is ")
		c.ClockTime(e.f.Local.Minute)
		c.Say("; it runs from ")
		c.ClockTime(int(o.from))
		c.Say(" to ")
		c.ClockTime(int(o.to))
		c.Say(".")
	case offers.ChannelMismatch:
		c.Say("Only for ")
		c.Names(offers.ChannelNames[:], o.channels)
		c.Say(".")
	case offers.Outranked:
		c.Say("Only one offer of its group is given, and this one is better here: ")
		c.Say(e.c.offers[have].title)
		c.Say(".")
	default:
		e.sayCustomerMiss(o, r, have, need)
	}
}

// sayCustomerMiss is sayMiss for reasons about the customer and about state.
func (e *evaluation) sayCustomerMiss(o *compiled, r offers.Reason, have, need int64) {
	c := &e.cards
	switch r {
	case offers.NotIdentified:
		c.Say("Identify the guest first: it is for known customers.")
	case offers.CustomerStateMismatch:
		c.Say("Only for customers who are ")
		c.Names(offers.StateNames[:], uint16(o.states))
		c.Say(".")
	case offers.NotNewCustomer:
		c.Say("Only for a first visit; this customer has been here before.")
	case offers.SegmentMismatch:
		c.Say("Not for this customer's segments.")
	case offers.TierMismatch:
		c.Say("Only for ")
		for i, t := range o.more.tiers {
			if i > 0 {
				c.Say(", ")
			}
			c.Say(t)
		}
		c.Say(" members.")
	case offers.CustomerOptedOut:
		c.Say("The customer does not want such offers.")
	case offers.NoMatchingLines:
		c.Say("Nothing in the basket is part of it.")
	case offers.BranchMismatch:
		c.Say("Not at this branch.")
	case offers.NoValue:
		c.Say("It would take nothing off this basket.")
	case offers.ExcludedByAppliedOffer:
		c.Say("It can't be combined with what is applied already.")
	case offers.LimitReached:
		c.Say("Taken ")
		c.Number(have)
		c.Say(" of ")
		c.Number(need)
		c.Say(" times already.")
	case offers.BudgetExhausted:
		c.Say("Its budget can't pay ")
		c.Money(need)
		c.Say(" any more.")
	case offers.RuleNotMet:
		c.Say("The merchant's own rule for it does not hold here.")
	default:
		c.Say("The merchant's own rule could not be judged, so it is not given.")
	}
}

// missFacts writes the facts a miss rests on, as members of an object.
func (e *evaluation) missFacts(o *compiled, r offers.Reason, have, need int64) {
	c := &e.cards
	switch r {
	case offers.MinBasketNotMet:
		c.Fact(`"basket_total_minor":`, have)
		c.Fact(`,"min_basket_minor":`, need)
	case offers.MinQuantityNotMet:
		c.Fact(`"matching_quantity":`, have)
		c.Fact(`,"min_quantity":`, need)
	case offers.OutsideDays:
		c.FactText(`"day":`, offers.DayNames[e.f.Local.Weekday%7])
	case offers.OutsideTimeWindow:
		c.Fact(`"minute_of_day":`, have)
		c.Fact(`,"from_minute":`, int64(o.from))
		c.Fact(`,"to_minute":`, int64(o.to))
	case offers.ChannelMismatch:
		c.FactText(`"channel":`, e.f.Channel)
	case offers.BranchMismatch:
		c.FactText(`"branch_id":`, e.f.BranchID)
	case offers.CustomerStateMismatch, offers.NotIdentified:
		c.FactText(`"customer_state":`, e.f.Customer.State)
	case offers.NotNewCustomer:
		c.Fact(`"transactions":`, have)
	case offers.TierMismatch:
		c.FactText(`"tier":`, e.f.Customer.Tier)
	case offers.LimitReached:
		c.Fact(`"uses":`, have)
		c.Fact(`,"limit":`, need)
	case offers.BudgetExhausted:
		c.Fact(`"available_minor":`, have)
		c.Fact(`,"worth_minor":`, need)
	case offers.CurrencyMismatch:
		c.FactText(`"offer_currency":`, o.currency)
		c.FactText(`,"session_currency":`, e.f.Currency)
	case offers.Outranked:
		c.FactText(`"better_offer_id":`, e.c.offers[have].id)
	case offers.ExcludedByAppliedOffer:
		if int(have) < len(e.f.Held) {
			c.FactText(`"applied_offer_id":`, e.f.Held[have].OfferID)
		}
	default: // the reason says it all
	}
}
