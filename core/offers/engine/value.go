package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
)

// measure reckons what o is worth on the matched lines. Rates are rounded
// down; nothing takes off more than is left of its line and of the basket.
func (e *evaluation) measure(o *compiled) fit {
	m := fit{}
	if o.shape.is(plain) {
		m.matchedQty, m.matchedNet = e.quantity, e.left
	} else {
		for _, at := range e.matched {
			m.matchedQty += e.f.Lines[at].Quantity
			m.matchedNet = plus(m.matchedNet, e.nets[at])
		}
		m.matchedNet = min(m.matchedNet, e.left)
	}
	if o.gives == points {
		m.points = o.points * e.times(o, &m)
		return m
	}
	m.amount = min(e.amount(o, &m), o.cap)
	if o.gives.discounts() {
		m.amount = min(m.amount, e.left)
	}
	return m
}

// times is how often a figure counts on the matched lines.
func (e *evaluation) times(o *compiled, m *fit) int64 {
	switch o.basis {
	case perUnit:
		return m.matchedQty
	case perLine:
		return int64(len(e.matched))
	}
	return 1
}

func (e *evaluation) amount(o *compiled, m *fit) int64 {
	switch {
	case o.gives == freeItem:
		return e.cheapest(o)
	case o.basis == perBasket && o.percent > 0:
		return money.BasisPoints(m.matchedNet, o.percent)
	case o.basis == perBasket && o.gives == cashback:
		return o.amount
	case o.basis == perBasket:
		return min(o.amount, m.matchedNet)
	}
	sum := int64(0)
	for _, at := range e.matched {
		sum = plus(sum, e.onLine(o, at))
	}
	return sum
}

// onLine is what a value per unit or per line comes to on one line.
func (e *evaluation) onLine(o *compiled, at int32) int64 {
	l, net := &e.f.Lines[at], e.nets[at]
	switch {
	case o.percent > 0 && o.basis == perUnit:
		return min(times(money.BasisPoints(l.Unit, o.percent), l.Quantity), net)
	case o.percent > 0:
		return money.BasisPoints(net, o.percent)
	case o.basis == perUnit:
		return min(times(o.amount, l.Quantity), net)
	}
	return min(o.amount, net)
}

// cheapest is what the cheapest matching units cost, as many as are free. It
// leaves each line's part in e.parts.
func (e *evaluation) cheapest(o *compiled) int64 {
	e.parts = slices.Grow(e.parts[:0], len(e.matched))[:len(e.matched)]
	clear(e.parts)
	order := make([]int, len(e.matched))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(e.f.Lines[e.matched[a]].Unit, e.f.Lines[e.matched[b]].Unit)
	})
	free, sum := o.freeQuantity, int64(0)
	for _, i := range order {
		l := &e.f.Lines[e.matched[i]]
		n := min(free, l.Quantity)
		e.parts[i] = min(times(l.Unit, n), e.nets[e.matched[i]])
		sum = plus(sum, e.parts[i])
		if free -= n; free == 0 {
			break
		}
	}
	return sum
}

// shares splits a fit's value over its lines, exactly, by largest remainder,
// and appends them to out. An offer on the basket as a whole has none.
func (e *evaluation) shares(m *fit, out []offers.Share) []offers.Share {
	o := e.c.offers[m.offer]
	if o.shape.is(whole) {
		return out
	}
	e.matched = append(e.matched[:0], e.lines[m.from:m.from+m.n]...)
	e.weigh(o)
	parts := e.parts
	if total(parts) != m.amount {
		for i := range parts { // nothing weighs more than the basket, so that the weights can be added
			parts[i] = min(parts[i], e.left)
		}
		parts = money.Split(m.amount, parts)
	}
	for i, at := range e.matched {
		out = append(out, offers.Share{LineID: e.f.Lines[at].LineID, DiscountMinor: parts[i]})
	}
	return out
}

// weigh puts each matched line's part of the value into e.parts.
func (e *evaluation) weigh(o *compiled) {
	if o.gives == freeItem {
		e.cheapest(o)
		return
	}
	e.parts = e.parts[:0]
	for _, at := range e.matched {
		switch {
		case o.gives == points:
			e.parts = append(e.parts, 0)
		case o.basis == perBasket:
			e.parts = append(e.parts, e.nets[at])
		default:
			e.parts = append(e.parts, e.onLine(o, at))
		}
	}
}

func total(parts []int64) int64 {
	sum := int64(0)
	for _, p := range parts {
		sum = plus(sum, p)
	}
	return sum
}

// plus and times stop at the largest int64: a sum of valid baskets stays far
// below it, and what is taken off is bounded by the basket anyway.
func plus(a, b int64) int64 {
	s, err := money.Add(a, b)
	if err != nil {
		return math.MaxInt64
	}
	return s
}

func times(a, b int64) int64 {
	p, err := money.Mul(a, b)
	if err != nil {
		return math.MaxInt64
	}
	return p
}
