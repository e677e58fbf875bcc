package engine

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/money"
)

// cards writes all reasoning cards of a feed into one buffer: the texts of two
// hundred cards are two allocations, not six hundred.
type cards struct {
	buf   []byte
	marks []mark
}

// mark is where one card lies: its summary, its rule and its facts, end to end.
type mark struct {
	from, rule, facts, to int32
	text                  string // the rule, where it is not in the buffer
}

// open starts a card; the caller writes its summary next.
func (c *cards) open() *mark {
	c.marks = append(c.marks, mark{from: int32(len(c.buf))})
	return &c.marks[len(c.marks)-1]
}

// texts are finished cards.
type texts struct {
	text  string
	raw   []byte
	marks []mark
}

// cut finishes the cards. The buffer is copied once, for the texts; the facts
// keep the buffer itself.
func (c *cards) cut() texts { return texts{text: string(c.buf), raw: c.buf, marks: c.marks} }

// card is the i-th card.
func (t *texts) card(i int32) decision.Card {
	m := &t.marks[i]
	rule := m.text
	if rule == "" {
		rule = t.text[m.rule:m.facts]
	}
	return decision.Card{Summary: t.text[m.from:m.rule], Rule: rule, Facts: t.raw[m.facts:m.to:m.to]}
}

func (c *cards) say(s string)   { c.buf = append(c.buf, s...) }
func (c *cards) number(n int64) { c.buf = strconv.AppendInt(c.buf, n, 10) }
func (c *cards) clockTime(m int) {
	c.buf = append(c.buf, byte('0'+m/600%10), byte('0'+m/60%10), ':', byte('0'+m%60/10), byte('0'+m%10))
}
func (c *cards) at() int32 { return int32(len(c.buf)) }
func (c *cards) lines(names []string, bits uint16) {
	first := true
	for i, n := range names {
		if bits&(1<<i) == 0 {
			continue
		}
		if !first {
			c.say(", ")
		}
		c.say(n)
		first = false
	}
}

// money writes an amount as people read it, for example "12.75 USD".
func (c *cards) money(minor int64, currency string) {
	digits := money.Currency(currency).Exponent()
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	c.number(minor / unit)
	if digits > 0 {
		c.buf = append(c.buf, '.')
		for unit /= 10; unit > 0; unit /= 10 {
			c.buf = append(c.buf, byte('0'+minor/unit%10))
		}
	}
	c.say(" ")
	c.say(currency)
}

// percent writes a rate, for example "12.5 %".
func (c *cards) percent(bp int64) {
	c.number(bp / 100)
	if rest := bp % 100; rest != 0 {
		c.buf = append(c.buf, '.', byte('0'+rest/10))
		if rest%10 != 0 {
			c.buf = append(c.buf, byte('0'+rest%10))
		}
	}
	c.say(" %")
}

// fact writes "name":n as the next member of an object.
func (c *cards) fact(name string, n int64) {
	c.key(name)
	c.number(n)
}

// factText writes "name":"s" as the next member of an object.
func (c *cards) factText(name, s string) {
	c.key(name)
	c.quote(s)
}

func (c *cards) key(name string) {
	if c.buf[len(c.buf)-1] != '{' {
		c.buf = append(c.buf, ',')
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, name...)
	c.buf = append(c.buf, '"', ':')
}

// quote writes s as a JSON string, as encoding/json would after compacting.
func (c *cards) quote(s string) {
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
