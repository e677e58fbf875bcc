package strictjson

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a JSON string. The result is a piece of the input where the
// string has no escapes.
func (d *decoder) text() ([]byte, bool) {
	d.pos++
	start := d.pos
	for d.pos < len(d.in) {
		switch c := d.in[d.pos]; {
		case c == '"':
			d.pos++
			return d.in[start : d.pos-1], true
		case c == '\\':
			return d.escaped(append([]byte(nil), d.in[start:d.pos]...))
		case c < ' ':
			return nil, d.stop("a control character in a string must be escaped")
		}
		d.pos++
	}
	return nil, d.stop("the text ends inside of a string")
}

// escaped goes on with a string from its first escape.
func (d *decoder) escaped(out []byte) ([]byte, bool) {
	for d.pos < len(d.in) {
		c := d.in[d.pos]
		d.pos++
		switch {
		case c == '"':
			return out, true
		case c < ' ':
			return nil, d.stop("a control character in a string must be escaped")
		case c != '\\':
			out = append(out, c)
			continue
		}
		var ok bool
		if out, ok = d.escape(out); !ok {
			return nil, false
		}
	}
	return nil, d.stop("the text ends inside of a string")
}

// escape reads what follows a backslash.
func (d *decoder) escape(out []byte) ([]byte, bool) {
	if d.pos >= len(d.in) {
		return nil, d.stop("the text ends inside of a string")
	}
	c := d.in[d.pos]
	d.pos++
	switch c {
	case '"', '\\', '/':
		return append(out, c), true
	case 'b':
		return append(out, '\b'), true
	case 'f':
		return append(out, '\f'), true
	case 'n':
		return append(out, '\n'), true
	case 'r':
		return append(out, '\r'), true
	case 't':
		return append(out, '\t'), true
	case 'u':
		r, ok := d.rune()
		return utf8.AppendRune(out, r), ok
	}
	return nil, d.stop("unknown escape in a string")
}

// rune reads the digits of a \u escape, and of the second one of a pair. Half
// a pair is no character, and refused.
func (d *decoder) rune() (rune, bool) {
	r, ok := d.unit()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if d.take('\\') && d.take('u') {
		if low, ok := d.unit(); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, true
			}
		} else {
			return 0, false
		}
	}
	return 0, d.stop("half of a surrogate pair in a string")
}

func (d *decoder) unit() (rune, bool) {
	if len(d.in)-d.pos < 4 {
		return 0, d.stop("expected four hexadecimal digits")
	}
	n, err := strconv.ParseUint(string(d.in[d.pos:d.pos+4]), 16, 16)
	if err != nil {
		return 0, d.stop("expected four hexadecimal digits")
	}
	d.pos += 4
	return rune(n), true
}
