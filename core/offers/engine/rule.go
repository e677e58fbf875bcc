package engine

import (
	"context"

	"github.com/feddi/feddi/core/offers"
)

// brokenRule stands for an expression that does not compile here, for example
// one that was stored for an older environment.
type brokenRule struct{ err error }

// Met implements Rule: it always fails, so the offer is withheld with RULE_FAILED.
func (b brokenRule) Met(context.Context, offers.RuleInput) (bool, error) { return false, b.err }

// NeedsBasket implements Rule: it fails without a basket as well.
func (brokenRule) NeedsBasket() bool { return false }

// sharedRule is a rule, one for all offers of a catalogue with its text.
type sharedRule struct {
	offers.Rule
	text string
	slot int32 // of its verdict in an evaluation
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

// sharing is the rules of a catalogue in the making.
type sharing struct {
	byText map[string]*sharedRule
	taken  []bool // slots of rules that were there before
	next   int    // no slot below it is free
	slots  int    // one more than the highest
}

// sharingOf gives the rules of offers that stay. Slots that others left are
// given out again, so that a catalogue that changes for years needs no more
// of them than it has rules.
func sharingOf(kept []*compiled) *sharing {
	s := &sharing{byText: map[string]*sharedRule{}}
	for _, k := range kept {
		if r := k.rule; r != nil {
			s.byText[r.text] = r
			s.slots = max(s.slots, int(r.slot)+1)
		}
	}
	s.taken = make([]bool, s.slots)
	for _, r := range s.byText {
		s.taken[r.slot] = true
	}
	return s
}

func (s *sharing) add(text string, r offers.Rule) *sharedRule {
	for s.next < len(s.taken) && s.taken[s.next] {
		s.next++
	}
	shared := &sharedRule{Rule: r, text: text, slot: int32(s.next)}
	s.next++
	s.slots = max(s.slots, s.next)
	s.byText[text] = shared
	return shared
}
