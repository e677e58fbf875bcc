// Package cards writes the reasoning cards of a feed.
package cards

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/money"
)

// Writer writes all reasoning cards of a feed into one buffer: the texts of two
// hundred cards are two allocations, not six hundred.
type Writer struct {
	buf   []byte
	marks []Mark
}

// Mark is where one card lies: its summary, its rule and its facts, end to end.
type Mark struct {
	from, Rule, Facts, To int32
	Text                  string // the rule, where it is not in the buffer
}

// Begin makes room for so many bytes of cards.
func (c *Writer) Begin(size int) { c.buf = make([]byte, 0, size) }

// Emptied is a writer without cards that keeps the memory for their marks.
func (c *Writer) Emptied() Writer { return Writer{marks: c.marks[:0]} }

// Len is how many cards there are.
func (c *Writer) Len() int32 { return int32(len(c.marks)) }

// Open starts a card; the caller writes its summary next.
func (c *Writer) Open() *Mark {
	c.marks = append(c.marks, Mark{from: int32(len(c.buf))})
	return &c.marks[len(c.marks)-1]
}

// Texts are finished cards.
type Texts struct {
	text  string
	raw   []byte
	marks []Mark
}

// Cut finishes the cards. The buffer is copied once, for the texts; the facts
// keep the buffer itself.
func (c *Writer) Cut() Texts { return Texts{text: string(c.buf), raw: c.buf, marks: c.marks} }

// Card is the i-th card.
func (t *Texts) Card(i int32) decision.Card {
	m := &t.marks[i]
	rule := m.Text
	if rule == "" {
		rule = t.text[m.Rule:m.Facts]
	}
	return decision.Card{Summary: t.text[m.from:m.Rule], Rule: rule, Facts: t.raw[m.Facts:m.To:m.To]}
}

// Say writes text.
func (c *Writer) Say(s string) { c.buf = append(c.buf, s...) }

// Number writes a number.
func (c *Writer) Number(n int64) { c.buf = strconv.AppendInt(c.buf, n, 10) }

// ClockTime writes minutes since midnight as HH:MM.
func (c *Writer) ClockTime(m int) {
	c.buf = append(c.buf, byte('0'+m/600%10), byte('0'+m/60%10), ':', byte('0'+m%60/10), byte('0'+m%10))
}

// At is where the next byte goes.
func (c *Writer) At() int32 { return int32(len(c.buf)) }

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
func (c *Writer) Money(minor int64, currency string) {
	digits := money.Currency(currency).Exponent()
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	c.Number(minor / unit)
	if digits > 0 {
		c.buf = append(c.buf, '.')
		for unit /= 10; unit > 0; unit /= 10 {
			c.buf = append(c.buf, byte('0'+minor/unit%10))
		}
	}
	c.Say(" ")
	c.Say(currency)
}

// Percent writes a rate, for example "12.5 %".
func (c *Writer) Percent(bp int64) {
	c.Number(bp / 100)
	if rest := bp % 100; rest != 0 {
		c.buf = append(c.buf, '.', byte('0'+rest/10))
		if rest%10 != 0 {
			c.buf = append(c.buf, byte('0'+rest%10))
		}
	}
	c.Say(" %")
}

// Fact writes "name":n as the next member of an object.
func (c *Writer) Fact(name string, n int64) {
	c.key(name)
	c.Number(n)
}

// FactText writes "name":"s" as the next member of an object.
func (c *Writer) FactText(name, s string) {
	c.key(name)
	c.Quote(s)
}

func (c *Writer) key(name string) {
	if c.buf[len(c.buf)-1] != '{' {
		c.buf = append(c.buf, ',')
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, name...)
	c.buf = append(c.buf, '"', ':')
}

// Quote writes s as a JSON string, as encoding/json would after compacting.
func (c *Writer) Quote(s string) {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf || b == '<' || b == '>' || b == '&' {
			raw, err := json.Marshal(s)
			if err != nil { // a string always marshals
				raw = []byte(`""`)
			}
			c.buf = append(c.buf, raw...)
			return
		}
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, s...)
	c.buf = append(c.buf, '"')
}
