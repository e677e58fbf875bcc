// Package rules keeps the free rules of a catalogue: one for all offers with
// the same text, and a place for the verdict that an evaluation has on it.
package rules

import (
	"context"

	"github.com/feddi/feddi/core/offers"
)

// Rule is a rule, one for all offers of a catalogue with its text.
type Rule struct {
	offers.Rule
	// Slot is where an evaluation keeps its verdict, below Set.Slots.
	Slot int32
	text string
}

// Set is the rules of a catalogue in the making.
type Set struct {
	byText map[string]*Rule
	taken  []bool // slots of rules that were there before
	next   int    // no slot below it is free
	slots  int
}

// Keep gives the set of the rules that stay; nil stands for an offer without
// one. Slots that others left are given out again, so that a catalogue that
// changes for years needs no more of them than it has rules.
func Keep(kept func(yield func(*Rule) bool)) *Set {
	s := &Set{byText: map[string]*Rule{}}
	for r := range kept {
		if r != nil {
			s.byText[r.text] = r
			s.slots = max(s.slots, int(r.Slot)+1)
		}
	}
	s.taken = make([]bool, s.slots)
	for _, r := range s.byText {
		s.taken[r.Slot] = true
	}
	return s
}

// Slots is how many verdicts an evaluation may have to keep.
func (s *Set) Slots() int { return s.slots }

// Compile returns the rule of an expression, one for all offers that use it. A
// rule that does not compile in this environment is one that fails when it is run.
func (s *Set) Compile(compiler offers.RuleCompiler, expression string) *Rule {
	if r, ok := s.byText[expression]; ok {
		return r
	}
	r, err := compiler.Compile(expression)
	if err != nil {
		r = broken{err}
	}
	for s.next < len(s.taken) && s.taken[s.next] {
		s.next++
	}
	made := &Rule{Rule: r, Slot: int32(s.next), text: expression}
	s.next++
	s.slots = max(s.slots, s.next)
	s.byText[expression] = made
	return made
}

// broken stands for an expression that does not compile here, for example
// one that was stored for an older environment.
type broken struct{ err error }

// Met implements offers.Rule: it always fails, so the offer is withheld with RULE_FAILED.
func (b broken) Met(context.Context, offers.RuleInput) (bool, error) { return false, b.err }

// NeedsBasket implements offers.Rule: it fails without a basket as well.
func (broken) NeedsBasket() bool { return false }
