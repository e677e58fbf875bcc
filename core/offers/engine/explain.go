package engine

import (
	"time"

	"github.com/feddi/feddi/core/offers"
)

// feed writes the cards and lays the feed out.
func (e *evaluation) feed() offers.Feed {
	out := offers.Feed{Offers: make([]offers.Shown, len(e.fits)), Withheld: make([]offers.Withheld, len(e.misses))}
	first, lines := int32(len(e.cards.marks)), 0
	for i := range e.fits {
		e.explainFit(&e.fits[i])
		lines += int(e.fits[i].n)
	}
	cut, shares := e.cards.cut(), make([]offers.Share, 0, lines)
	for i := range e.fits {
		o := &out.Offers[i]
		shares = e.show(o, &e.fits[i], i+1, shares)
		o.Card = cut.card(first + int32(i))
	}
	for i, m := range e.misses {
		o, w := e.c.offers[m.offer], &out.Withheld[i]
		w.OfferID, w.Version, w.Title, w.Reason, w.Worth, w.Card = o.id, o.version, o.title, m.reason, m.worth, cut.card(m.card)
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
	k := c.open()
	if m.held != none {
		c.say("Applied in this session")
		if m.amount > 0 {
			c.say("; it is worth ")
			c.money(m.amount, e.f.Currency)
		}
		c.say(".")
	} else {
		e.sayWorth(o, m)
	}
	k.rule, k.text = c.at(), o.text
	k.facts = c.at()
	c.say("{")
	c.factText("currency", e.f.Currency)
	if e.f.NoBasket {
		c.say(`,"basket_known":false`)
	} else {
		c.fact("basket_total_minor", e.f.Total)
	}
	if m.held == none && !e.f.NoBasket {
		c.fact("matching_quantity", m.matchedQty)
		c.fact("matching_minor", m.matchedNet)
	}
	c.fact("worth_minor", m.amount)
	if m.points > 0 {
		c.fact("points", m.points)
	}
	c.say("}")
	k.to = c.at()
}

// sayWorth says in a sentence what the offer does here.
func (e *evaluation) sayWorth(o *compiled, m *fit) {
	c := &e.cards
	if e.f.NoBasket {
		e.sayProspect(o)
		return
	}
	switch o.vtype {
	case offers.ValuePoints:
		c.say("Earns ")
		c.number(m.points)
		c.say(" points")
	case offers.ValueCashback:
		c.say("Gives ")
		c.money(m.amount, e.f.Currency)
		c.say(" back as credit at close")
	case offers.ValueFreeItem:
		c.say("Makes ")
		c.number(min(o.freeQuantity, m.matchedQty))
		c.say(" free, worth ")
		c.money(m.amount, e.f.Currency)
	default:
		c.say("Takes ")
		c.money(m.amount, e.f.Currency)
		c.say(" off")
	}
	e.sayHow(o, m)
	c.say(".")
}

// sayHow says what the value rests on.
func (e *evaluation) sayHow(o *compiled, m *fit) {
	c := &e.cards
	if o.shape.is(whole) {
		if o.percent > 0 {
			c.say(": ")
			c.percent(o.percent)
			c.say(" of the basket")
		}
		return
	}
	c.say(": ")
	switch {
	case o.percent > 0:
		c.percent(o.percent)
		c.say(" of ")
	case o.amount > 0 && o.per != offers.PerBasket:
		c.money(o.amount, e.f.Currency)
		if o.per == offers.PerUnit {
			c.say(" for each of ")
		} else {
			c.say(" per line on ")
		}
	default:
		c.say("on ")
	}
	l := &e.f.Lines[e.lines[m.from]]
	c.number(l.Quantity)
	c.say(" x ")
	c.say(l.Label())
	if m.n > 1 {
		c.say(" and ")
		c.number(int64(m.n - 1))
		c.say(" more lines")
	}
	if o.amount > 0 && m.amount == o.cap {
		c.say(", the most it gives")
	}
}

// miss files a candidate as withheld and writes its card.
func (e *evaluation) miss(offer int32, r offers.Reason, have, need, worth int64) {
	o, c := e.c.offers[offer], &e.cards
	k := c.open()
	e.misses = append(e.misses, miss{offer: offer, card: int32(len(c.marks) - 1), reason: r, worth: worth})
	e.sayMiss(o, r, have, need)
	k.rule = c.at()
	c.say(conditionOf(r))
	k.facts = c.at()
	c.say("{")
	e.missFacts(o, r, have, need)
	c.say("}")
	k.to = c.at()
}

// conditionOf is the machine form of the condition behind a reason.
func conditionOf(r offers.Reason) string {
	switch r {
	case offers.OutOfWindow:
		return "window.starts_at <= now && now < window.ends_at"
	case offers.CurrencyMismatch:
		return "offer.currency == session.currency"
	case offers.NotIdentified:
		return "customer.identified"
	case offers.CustomerStateMismatch:
		return "customer.state in conditions.customer_states"
	case offers.NotNewCustomer:
		return "customer.transactions == 0"
	case offers.SegmentMismatch:
		return "customer.segments intersects targets.segments"
	case offers.TierMismatch:
		return "customer.tier in targets.tiers"
	case offers.CustomerOptedOut:
		return "!customer.opted_out"
	case offers.NoMatchingLines:
		return "some line matches targets"
	case offers.ChannelMismatch:
		return "session.channel in conditions.channels"
	case offers.BranchMismatch:
		return "session.branch_id in conditions.branch_ids"
	case offers.OutsideDays:
		return "local.day in conditions.days_of_week"
	case offers.OutsideTimeWindow:
		return "local.time in conditions.time_window"
	case offers.MinBasketNotMet:
		return "basket.total_minor >= conditions.min_basket_minor"
	case offers.MinQuantityNotMet:
		return "matching.quantity >= conditions.min_quantity"
	case offers.NoValue:
		return "worth > 0"
	case offers.ExcludedByAppliedOffer:
		return "stacking allows it beside the applied offers"
	case offers.LimitReached:
		return "uses < limits"
	case offers.BudgetExhausted:
		return "worth <= budget.available_minor"
	case offers.Outranked:
		return "best of stacking.group"
	}
	return "conditions.rule"
}

// sayMiss says to a cashier why the offer is not given.
func (e *evaluation) sayMiss(o *compiled, r offers.Reason, have, need int64) {
	c := &e.cards
	switch r {
	case offers.OutOfWindow:
		if e.now < o.starts {
			c.say("It has not started yet.")
			return
		}
		c.say("It has ended.")
	case offers.CurrencyMismatch:
		c.say("It is in ")
		c.say(o.currency)
		c.say(", the session in ")
		c.say(e.f.Currency)
		c.say(".")
	case offers.MinBasketNotMet:
		c.money(need-have, e.f.Currency)
		c.say(" short: it starts at ")
		c.money(need, e.f.Currency)
		c.say(", the basket is ")
		c.money(have, e.f.Currency)
		c.say(".")
	case offers.MinQuantityNotMet:
		c.say("Add ")
		c.number(need - have)
		c.say(" more: it takes ")
		c.number(need)
		c.say(", the basket has ")
		c.number(have)
		c.say(".")
	case offers.OutsideDays:
		c.say("Not on ")
		c.say(offers.DayNames[e.f.Local.Weekday%7])
		c.say("; it runs on ")
		c.lines(offers.DayNames[:], uint16(o.days))
		c.say(".")
	case offers.OutsideTimeWindow:
		c.say("It is ")
		c.clockTime(e.f.Local.Minute)
		c.say("; it runs from ")
		c.clockTime(int(o.from))
		c.say(" to ")
		c.clockTime(int(o.to))
		c.say(".")
	case offers.ChannelMismatch:
		c.say("Only for ")
		c.lines(offers.ChannelNames[:], o.channels)
		c.say(".")
	case offers.Outranked:
		c.say("Only one offer of its group is given, and this one is better here: ")
		c.say(e.c.offers[have].title)
		c.say(".")
	default:
		e.sayCustomerMiss(o, r, have, need)
	}
}

// sayCustomerMiss is sayMiss for reasons about the customer and about state.
func (e *evaluation) sayCustomerMiss(o *compiled, r offers.Reason, have, need int64) {
	c := &e.cards
	switch r {
	case offers.NotIdentified:
		c.say("Identify the guest first: it is for known customers.")
	case offers.CustomerStateMismatch:
		c.say("Only for customers who are ")
		c.lines(offers.StateNames[:], uint16(o.states))
		c.say(".")
	case offers.NotNewCustomer:
		c.say("Only for a first visit; this customer has been here before.")
	case offers.SegmentMismatch:
		c.say("Not for this customer's segments.")
	case offers.TierMismatch:
		c.say("Only for ")
		for i, t := range o.more.tiers {
			if i > 0 {
				c.say(", ")
			}
			c.say(t)
		}
		c.say(" members.")
	case offers.CustomerOptedOut:
		c.say("The customer does not want such offers.")
	case offers.NoMatchingLines:
		c.say("Nothing in the basket is part of it.")
	case offers.BranchMismatch:
		c.say("Not at this branch.")
	case offers.NoValue:
		c.say("It would take nothing off this basket.")
	case offers.ExcludedByAppliedOffer:
		c.say("It can't be combined with what is applied already.")
	case offers.LimitReached:
		c.say("Taken ")
		c.number(have)
		c.say(" of ")
		c.number(need)
		c.say(" times already.")
	case offers.BudgetExhausted:
		c.say("Its budget can't pay ")
		c.money(need, e.f.Currency)
		c.say(" any more.")
	case offers.RuleNotMet:
		c.say("The merchant's own rule for it does not hold here.")
	default:
		c.say("The merchant's own rule could not be judged, so it is not given.")
	}
}

// missFacts writes the facts a miss rests on, as members of an object.
func (e *evaluation) missFacts(o *compiled, r offers.Reason, have, need int64) {
	c := &e.cards
	switch r {
	case offers.MinBasketNotMet:
		c.fact("basket_total_minor", have)
		c.fact("min_basket_minor", need)
	case offers.MinQuantityNotMet:
		c.fact("matching_quantity", have)
		c.fact("min_quantity", need)
	case offers.OutsideDays:
		c.factText("day", offers.DayNames[e.f.Local.Weekday%7])
	case offers.OutsideTimeWindow:
		c.fact("minute_of_day", have)
		c.fact("from_minute", int64(o.from))
		c.fact("to_minute", int64(o.to))
	case offers.ChannelMismatch:
		c.factText("channel", e.f.Channel)
	case offers.BranchMismatch:
		c.factText("branch_id", e.f.BranchID)
	case offers.CustomerStateMismatch, offers.NotIdentified:
		c.factText("customer_state", e.f.Customer.State)
	case offers.NotNewCustomer:
		c.fact("transactions", have)
	case offers.TierMismatch:
		c.factText("tier", e.f.Customer.Tier)
	case offers.LimitReached:
		c.fact("uses", have)
		c.fact("limit", need)
	case offers.BudgetExhausted:
		c.fact("available_minor", have)
		c.fact("worth_minor", need)
	case offers.CurrencyMismatch:
		c.factText("offer_currency", o.currency)
		c.factText("session_currency", e.f.Currency)
	case offers.Outranked:
		c.factText("better_offer_id", e.c.offers[have].id)
	case offers.ExcludedByAppliedOffer:
		if int(have) < len(e.f.Held) {
			c.factText("applied_offer_id", e.f.Held[have].OfferID)
		}
	default: // the reason says it all
	}
}
