package strictjson

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// noun says what f must be, for messages.
func (f *field) noun() string {
	switch f.kind {
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		return "a string, one of the contract's names"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.BytesKind:
		return "a string in base64"
	case protoreflect.MessageKind:
		return "an object"
	}
	return "a whole number, written with digits only"
}

// scalar reads one value of f's kind. set is false where it has another type,
// which is then noted.
func (d *decoder) scalar(f *field) (v protoreflect.Value, set, ok bool) {
	switch f.kind {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind:
		if !d.at('"') {
			return d.mismatch(f)
		}
		text, ok := d.text()
		if !ok {
			return v, false, false
		}
		v, set = d.fromText(f, text)
		return v, set, true
	case protoreflect.BoolKind:
		if d.at('t') {
			return protoreflect.ValueOfBool(true), true, d.literal("true")
		}
		if d.at('f') {
			return protoreflect.ValueOfBool(false), true, d.literal("false")
		}
		return d.mismatch(f)
	}
	if d.pos >= len(d.in) || d.in[d.pos] != '-' && !isDigit(d.in[d.pos]) {
		return d.mismatch(f)
	}
	token, whole, ok := d.number()
	if !ok {
		return v, false, false
	}
	v, set = d.fromNumber(f, token, whole)
	return v, set, true
}

func (d *decoder) mismatch(f *field) (v protoreflect.Value, set, ok bool) {
	d.wrong("type", "must be "+f.noun())
	return v, false, d.value()
}

func (d *decoder) fromText(f *field, text []byte) (protoreflect.Value, bool) {
	switch f.kind {
	case protoreflect.BytesKind:
		raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
		if err != nil {
			d.wrong("base64", "must be a string in base64 with padding")
		}
		return protoreflect.ValueOfBytes(raw), err == nil
	case protoreflect.EnumKind:
		value := f.value.Enum().Values().ByName(protoreflect.Name(text))
		if value == nil {
			d.wrong("enum", "is none of the contract's names")
			return protoreflect.Value{}, false
		}
		return protoreflect.ValueOfEnum(value.Number()), true
	}
	return protoreflect.ValueOfString(string(text)), true
}

func (d *decoder) fromNumber(f *field, token []byte, whole bool) (v protoreflect.Value, set bool) {
	switch f.kind {
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return d.float(f, token)
	}
	if !whole {
		d.wrong("integer", "must be a whole number, written with digits only, without point or exponent")
		return v, false
	}
	magnitude, negative, ok := integer(token)
	switch f.kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, fits := signed(magnitude, negative, math.MaxInt32)
		v, set = protoreflect.ValueOfInt32(int32(n)), ok && fits
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		v, set = protoreflect.ValueOfUint32(uint32(magnitude)), ok && magnitude <= math.MaxUint32 && (!negative || magnitude == 0)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		v, set = protoreflect.ValueOfUint64(magnitude), ok && (!negative || magnitude == 0)
	default:
		n, fits := signed(magnitude, negative, math.MaxInt64)
		v, set = protoreflect.ValueOfInt64(n), ok && fits
	}
	if !set {
		d.wrong("range", fmt.Sprintf("is out of the range of %s", f.kind))
	}
	return v, set
}

func (d *decoder) float(f *field, token []byte) (protoreflect.Value, bool) {
	bits := 64
	if f.kind == protoreflect.FloatKind {
		bits = 32
	}
	n, err := strconv.ParseFloat(string(token), bits)
	if err != nil {
		d.wrong("range", fmt.Sprintf("is out of the range of %s", f.kind))
		return protoreflect.Value{}, false
	}
	if bits == 32 {
		return protoreflect.ValueOfFloat32(float32(n)), true
	}
	return protoreflect.ValueOfFloat64(n), true
}

// integer is the value of a whole JSON number; ok is false where it has more
// than 64 bits.
func integer(token []byte) (magnitude uint64, negative, ok bool) {
	if token[0] == '-' {
		negative, token = true, token[1:]
	}
	for _, c := range token {
		next := magnitude*10 + uint64(c-'0')
		if magnitude > math.MaxUint64/10 || next < magnitude*10 {
			return 0, negative, false
		}
		magnitude = next
	}
	return magnitude, negative, true
}

// signed gives magnitude its sign, where the result lies in [-limit-1, limit].
func signed(magnitude uint64, negative bool, limit uint64) (n int64, fits bool) {
	if negative {
		return -int64(magnitude), magnitude <= limit+1
	}
	return int64(magnitude), magnitude <= limit
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// number reads a JSON number; whole is true where it has neither point nor
// exponent.
func (d *decoder) number() (token []byte, whole, ok bool) {
	start := d.pos
	d.take('-')
	if !d.take('0') && !d.digits() {
		return nil, false, d.stop("expected a digit")
	}
	if d.pos < len(d.in) && isDigit(d.in[d.pos]) {
		return nil, false, d.stop("a number must not start with 0")
	}
	whole = true
	if d.take('.') {
		if whole = false; !d.digits() {
			return nil, false, d.stop("expected a digit behind the point")
		}
	}
	if d.take('e') || d.take('E') {
		whole = false
		if !d.take('+') {
			d.take('-')
		}
		if !d.digits() {
			return nil, false, d.stop("expected a digit in the exponent")
		}
	}
	return d.in[start:d.pos], whole, true
}

func (d *decoder) digits() bool {
	start := d.pos
	for d.pos < len(d.in) && isDigit(d.in[d.pos]) {
		d.pos++
	}
	return d.pos > start
}

func (d *decoder) literal(word string) bool {
	if len(d.in)-d.pos < len(word) || string(d.in[d.pos:d.pos+len(word)]) != word {
		return d.stop("expected a JSON value")
	}
	d.pos += len(word)
	return true
}
