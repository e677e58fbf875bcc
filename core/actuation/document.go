package actuation

import (
	"encoding/json"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a plan may carry.
const (
	// MaxEffects bounds the effects of a plan, not counting debits: those are
	// bounded by the lots of the snapshot, each of which may be spent once.
	MaxEffects = 64
	// MaxDocumentBytes bounds each JSON object of a plan.
	MaxDocumentBytes = 16 << 10
	// MaxPlanBytes bounds all texts and objects of a plan together.
	MaxPlanBytes = 64 << 10
	// MaxSummaryRunes bounds Reasoning.Summary.
	MaxSummaryRunes = 500
	// MaxRuleRunes bounds Reasoning.Rule.
	MaxRuleRunes = 100
	// maxDepth bounds the nesting of a document.
	maxDepth = 32
	// maxNumber bounds the length of a number in a document, so that its
	// exponent stays within what the database's numeric can hold.
	maxNumber = 40
	// maxExponentDigits bounds the digits of an exponent.
	maxExponentDigits = 3
)

// document reports whether raw is a JSON object that can be stored as it is.
// Valid JSON is not enough: the database refuses NUL characters, halves of
// surrogate pairs and numbers without measure, and one such object would make
// the commit of a whole batch fail.
func document(raw json.RawMessage) bool {
	return plain(raw) || len(raw) > 0 && raw[0] == '{' && utf8.Valid(raw) && json.Valid(raw) && storable(raw)
}

// plain reports whether raw is an object of the most common form: members whose
// values are whole numbers or texts, ASCII without escapes, nothing between them.
// Each payment has such a one, and to look twice at every byte of it takes several
// times as long. What is not plain may be a document all the same.
func plain(raw []byte) bool {
	if len(raw) < 2 || raw[0] != '{' {
		return false
	}
	for at := 1; ; at++ {
		if at = plainText(raw, at); at < 0 || at == len(raw) || raw[at] != ':' {
			return false
		}
		if at++; at < len(raw) && raw[at] == '"' {
			at = plainText(raw, at)
		} else {
			at = plainNumber(raw, at)
		}
		if at < 0 || at == len(raw) {
			return false
		}
		if raw[at] != ',' {
			return raw[at] == '}' && at == len(raw)-1
		}
	}
}

// plainText is the position behind the text that begins at at; -1 where none is.
func plainText(raw []byte, at int) int {
	if at >= len(raw) || raw[at] != '"' {
		return -1
	}
	for at++; at < len(raw); at++ {
		switch c := raw[at]; {
		case c == '"':
			return at + 1
		case c < ' ' || c > '~' || c == '\\':
			return -1
		}
	}
	return -1
}

// plainNumber is the position behind the whole number that begins at at; -1
// where none is.
func plainNumber(raw []byte, at int) int {
	if at < len(raw) && raw[at] == '-' {
		at++
	}
	start := at
	for at < len(raw) && raw[at] >= '0' && raw[at] <= '9' {
		at++
	}
	if digits := at - start; digits == 0 || digits >= maxNumber || digits > 1 && raw[start] == '0' {
		return -1
	}
	return at
}

// storable walks raw, which is valid JSON.
func storable(raw []byte) bool {
	depth := 0
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return false
			}
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case c == '"':
			next, ok := storableString(raw, i+1)
			if !ok {
				return false
			}
			i = next
		case c == '-' || (c >= '0' && c <= '9'):
			next, ok := storableNumber(raw, i)
			if !ok {
				return false
			}
			i = next
		default:
			i++
		}
	}
	return true
}

// storableString walks the string whose first character is at i, and returns
// the position after its closing quote.
func storableString(raw []byte, i int) (next int, ok bool) {
	for raw[i] != '"' {
		if raw[i] != '\\' {
			i++
			continue
		}
		if raw[i+1] != 'u' {
			i += 2
			continue
		}
		r := hex4(raw[i+2:])
		i += 6
		switch {
		case r == 0 || (r >= 0xDC00 && r <= 0xDFFF):
			return 0, false
		case r >= 0xD800 && r <= 0xDBFF:
			if raw[i] != '\\' || raw[i+1] != 'u' {
				return 0, false
			}
			if low := hex4(raw[i+2:]); low < 0xDC00 || low > 0xDFFF {
				return 0, false
			}
			i += 6
		}
	}
	return i + 1, true
}

// storableNumber walks the number that begins at i.
func storableNumber(raw []byte, i int) (next int, ok bool) {
	start, exponent := i, -1
	for i < len(raw) {
		switch c := raw[i]; {
		case c == 'e' || c == 'E':
			exponent = 0
		case c >= '0' && c <= '9':
			if exponent >= 0 {
				exponent++
			}
		case c != '-' && c != '+' && c != '.':
			return i, i-start <= maxNumber && exponent <= maxExponentDigits
		}
		i++
	}
	return i, true // a number at the end is no object; document refused it
}

// hex4 reads four hexadecimal digits of valid JSON.
func hex4(digits []byte) rune {
	var r rune
	for _, c := range digits[:4] {
		r <<= 4
		switch {
		case c <= '9':
			r |= rune(c - '0')
		case c <= 'F':
			r |= rune(c-'A') + 10
		default:
			r |= rune(c-'a') + 10
		}
	}
	return r
}

// text reports whether s is readable text of least to most characters: valid
// UTF-8 without control characters.
func text(s string, least, most int) bool {
	if !utf8.ValidString(s) {
		return false
	}
	n := 0
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
		n++
	}
	return n >= least && n <= most
}
