package engine

import (
	"math"
	"slices"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine/rules"
)

// judge gives the first condition that fails, with the figures it was judged
// by, or "". Cheap comparisons come first, the free rule last.
func (e *evaluation) judge(o *compiled, m *fit) (reason offers.Reason, have, need int64) {
	if e.now < o.starts || e.now >= o.ends {
		return offers.OutOfWindow, 0, 0
	}
	if o.currency != e.f.Currency {
		return offers.CurrencyMismatch, 0, 0
	}
	if reason := e.judgeCustomer(o); reason != "" {
		return reason, e.f.Customer.Transactions, 0
	}
	if reason := e.judgePlace(o); reason != "" {
		return reason, int64(e.f.Local.Minute), 0
	}
	if e.f.NoBasket {
		return e.judgeProspect(o, m)
	}
	if e.f.Total < o.minBasket {
		return offers.MinBasketNotMet, e.f.Total, o.minBasket
	}
	if m.matchedQty < o.minQuantity {
		return offers.MinQuantityNotMet, m.matchedQty, o.minQuantity
	}
	if m.amount == 0 && m.points == 0 {
		return offers.NoValue, 0, 0
	}
	if reason, have, need := e.judgeStacking(o); reason != "" {
		return reason, have, need
	}
	if !e.uncounted {
		if reason, have, need := e.judgeCounted(o, m); reason != "" {
			return reason, have, need
		}
	}
	return e.judgeRule(o), 0, 0
}

func (e *evaluation) judgeCustomer(o *compiled) offers.Reason {
	c := &e.f.Customer
	if c.ID == "" {
		if o.shape.is(known) {
			return offers.NotIdentified
		}
		return ""
	}
	if o.states != math.MaxUint8 && o.states&e.state == 0 {
		return offers.CustomerStateMismatch
	}
	if o.shape.is(newOnly) && c.Transactions > 0 {
		return offers.NotNewCustomer
	}
	if o.more != nil {
		if len(o.more.segments) > 0 && !slices.ContainsFunc(c.Segments, func(s string) bool { return has(o.more.segments, s) }) {
			return offers.SegmentMismatch
		}
		if len(o.more.tiers) > 0 && !has(o.more.tiers, c.Tier) {
			return offers.TierMismatch
		}
	}
	if !c.OptOut.Empty() && e.optedOut(o) {
		return offers.CustomerOptedOut
	}
	return ""
}

// optedOut reports whether the customer does not want the offer: by kind, or
// because every line it acts on is of an unwanted category.
func (e *evaluation) optedOut(o *compiled) bool {
	out := &e.f.Customer.OptOut
	if out.All || o.kindBit&e.unwanted != 0 || o.kindBit == 0 && slices.Contains(out.Kinds, string(o.kind)) {
		return true
	}
	if o.shape.is(whole) || len(out.Categories) == 0 {
		return false
	}
	if e.f.NoBasket {
		return o.skus == 0 && len(o.keys) > 0 && !slices.ContainsFunc(o.keys, func(category string) bool {
			return !slices.Contains(out.Categories, category)
		})
	}
	return !slices.ContainsFunc(e.matched, func(line int32) bool {
		return !slices.Contains(out.Categories, e.f.Lines[line].Category)
	})
}

func (e *evaluation) judgePlace(o *compiled) offers.Reason {
	if o.channels != allChannels && o.channels&e.channel == 0 && !e.unknown(e.f.Channel) {
		return offers.ChannelMismatch
	}
	if o.brand != "" && o.brand != e.f.BrandID && !e.unknown(e.f.BrandID) {
		return offers.BranchMismatch
	}
	if o.more != nil && len(o.more.branches) > 0 && !has(o.more.branches, e.f.BranchID) && !e.unknown(e.f.BranchID) {
		return offers.BranchMismatch
	}
	return e.judgeHours(o)
}

// judgeHours judges day and time together: a window over midnight belongs to
// the day it begins on.
func (e *evaluation) judgeHours(o *compiled) offers.Reason {
	minute := int16(e.f.Local.Minute)
	today := o.days&e.day != 0
	switch {
	case o.from == o.to: // all day
		if !today {
			return offers.OutsideDays
		}
	case o.from < o.to:
		if !today {
			return offers.OutsideDays
		}
		if minute < o.from || minute >= o.to {
			return offers.OutsideTimeWindow
		}
	case minute >= o.from: // the evening of a window over midnight
		if !today {
			return offers.OutsideDays
		}
	case minute < o.to: // its small hours
		if o.days&e.dayAfter == 0 {
			return offers.OutsideDays
		}
	default:
		if !today {
			return offers.OutsideDays
		}
		return offers.OutsideTimeWindow
	}
	return ""
}

// judgeStacking judges an offer against what the session holds.
func (e *evaluation) judgeStacking(o *compiled) (offers.Reason, int64, int64) {
	others, same := 0, int64(0)
	for i := range e.f.Held {
		h := &e.f.Held[i]
		if h.OfferID == o.id {
			same++
			continue
		}
		others++
		if o.shape.is(exclusive) || h.Exclusive || o.group != "" && o.group == h.Group || o.shape.is(alone) || h.Alone {
			return offers.ExcludedByAppliedOffer, int64(i), 0
		}
	}
	if e.f.MaxStacked > 0 && others+int(same) >= e.f.MaxStacked {
		return offers.ExcludedByAppliedOffer, int64(len(e.f.Held)), int64(e.f.MaxStacked)
	}
	perSession := int64(1)
	if o.limits != nil {
		perSession = o.limits.Session()
	}
	if same >= perSession {
		return offers.LimitReached, same, perSession
	}
	return "", 0, 0
}

// judgeCounted judges limits and budget.
func (e *evaluation) judgeCounted(o *compiled, m *fit) (offers.Reason, int64, int64) {
	if l := o.limits; l != nil && l.Counted() {
		u := e.f.UseOf(o.id)
		for _, c := range [...]struct{ have, need int64 }{
			{u.Customer, l.PerCustomer}, {u.CustomerToday, l.PerCustomerPerDay}, {u.Today, l.PerDay}, {u.Total, l.Total},
		} {
			if c.need > 0 && c.have >= c.need {
				return offers.LimitReached, c.have, c.need
			}
		}
	}
	if o.budget != "" && m.amount > 0 {
		if b := e.f.FundsOf(o.budget); !b.Open || b.Available < m.amount {
			return offers.BudgetExhausted, b.Available, m.amount
		}
	}
	return "", 0, 0
}

// verdict is what an evaluation knows of a rule.
type verdict uint8

const (
	unjudged verdict = iota
	holds
	notMet
	failed
)

// reasonOf is the reason that a verdict gives against an offer.
var reasonOf = [...]offers.Reason{notMet: offers.RuleNotMet, failed: offers.RuleFailed}

// judgeRule runs the free expression, on survivors only, and once for all of
// them that share it: it depends on the facts alone.
func (e *evaluation) judgeRule(o *compiled) offers.Reason {
	if o.rule == nil || e.f.NoBasket && o.rule.NeedsBasket() {
		return ""
	}
	known := &e.verdicts[o.rule.Slot]
	if *known == unjudged {
		*known = e.run(o.rule)
	}
	return reasonOf[*known]
}

// run judges a rule on the facts.
func (e *evaluation) run(r *rules.Rule) verdict {
	if e.input == nil {
		e.input = e.c.rules.Bind(e.f)
	}
	met, err := r.Met(e.ctx, e.input)
	switch {
	case err != nil:
		return failed
	case !met:
		return notMet
	}
	return holds
}
