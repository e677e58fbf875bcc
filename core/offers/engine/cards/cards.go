// Package cards writes the reasoning cards of a feed.
package cards

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/money"
)

// Writer writes all reasoning cards of a feed: summaries into one buffer, facts
// into another. Both stay with the writer from feed to feed; what a feed keeps
// is one copy of each, of exactly the size that it needs.
type Writer struct {
	text, facts []byte
	marks       []Mark
	currency    string // of all amounts
	unit        int64  // how many minor units make one
	head        []byte // what the facts of every offer shown begin with
}

// Mark is where one card ends, and what is not in the buffers.
type Mark struct {
	summary, facts int32
	rule           string
}

// Begin empties the writer, for amounts in currency.
func (c *Writer) Begin(currency string) {
	*c = c.Emptied()
	c.currency, c.unit = currency, 1
	for range money.Currency(currency).Exponent() {
		c.unit *= 10
	}
}

// Emptied is a writer without cards that keeps the memory.
func (c *Writer) Emptied() Writer {
	return Writer{text: c.text[:0], facts: c.facts[:0], marks: c.marks[:0], head: c.head[:0]}
}

// Len is how many cards there are.
func (c *Writer) Len() int32 { return int32(len(c.marks)) }

// Close ends a card: what was written since the one before is its summary and
// its facts, rule is its rule.
func (c *Writer) Close(rule string) {
	c.marks = append(c.marks, Mark{summary: int32(len(c.text)), facts: int32(len(c.facts)), rule: rule})
}

// Texts are finished cards.
type Texts struct {
	text  string
	facts []byte
	marks []Mark
}

// Cut finishes the cards. What it gives is the caller's, but for the marks,
// which it may read until the next Begin.
func (c *Writer) Cut() Texts {
	return Texts{text: string(c.text), facts: append([]byte(nil), c.facts...), marks: c.marks}
}

// Card is the i-th card.
func (t *Texts) Card(i int32) decision.Card {
	m, from := &t.marks[i], Mark{}
	if i > 0 {
		from = t.marks[i-1]
	}
	return decision.Card{Summary: t.text[from.summary:m.summary], Rule: m.rule, Facts: t.facts[from.facts:m.facts:m.facts]}
}

// Say writes to the summary.
func (c *Writer) Say(s string) { c.text = append(c.text, s...) }

// Number writes a number to the summary.
func (c *Writer) Number(n int64) { c.text = strconv.AppendInt(c.text, n, 10) }

// ClockTime writes minutes since midnight as HH:MM.
func (c *Writer) ClockTime(m int) {
	c.text = append(c.text, byte('0'+m/600%10), byte('0'+m/60%10), ':', byte('0'+m%60/10), byte('0'+m%10))
}

// Names writes the names whose bits are set.
func (c *Writer) Names(names []string, bits uint16) {
	first := true
	for i, n := range names {
		if bits&(1<<i) == 0 {
			continue
		}
		if !first {
			c.Say(", ")
		}
		c.Say(n)
		first = false
	}
}

// Money writes an amount as people read it, for example "12.75 USD".
func (c *Writer) Money(minor int64) {
	b := strconv.AppendInt(c.text, minor/c.unit, 10)
	if c.unit > 1 {
		b = append(b, '.')
		for unit := c.unit / 10; unit > 0; unit /= 10 {
			b = append(b, byte('0'+minor/unit%10))
		}
	}
	c.text = append(append(b, ' '), c.currency...)
}

// Percent writes a rate, for example "12.5 %".
func (c *Writer) Percent(bp int64) {
	c.Number(bp / 100)
	if rest := bp % 100; rest != 0 {
		c.text = append(c.text, '.', byte('0'+rest/10))
		if rest%10 != 0 {
			c.text = append(c.text, byte('0'+rest%10))
		}
	}
	c.Say(" %")
}

// Head opens the facts of a card with those that many cards begin with: what
// first writes is kept and repeated.
func (c *Writer) Head(first func()) {
	if len(c.head) == 0 {
		from := len(c.facts)
		first()
		c.head = append(c.head, c.facts[from:]...)
		return
	}
	c.facts = append(c.facts, c.head...)
}

// Fact writes n as the next member of the facts. member is the name with its
// punctuation, since most of the names are known beforehand: `"worth_minor":`,
// after a comma where it is not the first.
func (c *Writer) Fact(member string, n int64) {
	c.facts = strconv.AppendInt(append(c.facts, member...), n, 10)
}

// FactText is Fact for a text.
func (c *Writer) FactText(member, s string) {
	c.facts = appendQuoted(append(c.facts, member...), s)
}

// FactRaw writes to the facts as it is.
func (c *Writer) FactRaw(s string) { c.facts = append(c.facts, s...) }

// appendQuoted appends s as a JSON string, as encoding/json would after compacting.
func appendQuoted(to []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf || b == '<' || b == '>' || b == '&' {
			raw, err := json.Marshal(s)
			if err != nil { // a string always marshals
				raw = []byte(`""`)
			}
			return append(to, raw...)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}
