package strictjson

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
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

// scalar reads one value of f's kind and writes it as the field of that number.
// One of another type is noted.
func (d *decoder) scalar(f *field, number protoreflect.FieldNumber) bool {
	switch f.kind {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind:
		if !d.at('"') {
			return d.mismatch(f)
		}
		text, ok := d.text()
		if ok {
			d.fromText(f, number, text)
		}
		return ok
	case protoreflect.BoolKind:
		word := "true"
		if d.at('f') {
			word = "false"
		} else if !d.at('t') {
			return d.mismatch(f)
		}
		d.put(f, number, protowire.EncodeBool(word == "true"))
		return d.literal(word)
	}
	if d.pos >= len(d.in) || d.in[d.pos] != '-' && !isDigit(d.in[d.pos]) {
		return d.mismatch(f)
	}
	token, whole, ok := d.number()
	if ok {
		d.fromNumber(f, number, token, whole)
	}
	return ok
}

func (d *decoder) mismatch(f *field) bool {
	d.wrong("type", "must be "+f.noun())
	return d.value()
}

// put writes a number in the form of f's kind.
func (d *decoder) put(f *field, number protoreflect.FieldNumber, bits uint64) {
	d.out = protowire.AppendTag(d.out, number, f.wire)
	switch f.wire {
	case protowire.Fixed32Type:
		d.out = protowire.AppendFixed32(d.out, uint32(bits))
	case protowire.Fixed64Type:
		d.out = protowire.AppendFixed64(d.out, bits)
	default:
		d.out = protowire.AppendVarint(d.out, bits)
	}
}

func (d *decoder) putBytes(number protoreflect.FieldNumber, value []byte) {
	d.out = protowire.AppendBytes(protowire.AppendTag(d.out, number, protowire.BytesType), value)
}

func (d *decoder) fromText(f *field, number protoreflect.FieldNumber, text []byte) {
	switch f.kind {
	case protoreflect.BytesKind:
		raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
		if err != nil {
			d.wrong("base64", "must be a string in base64 with padding")
			return
		}
		d.putBytes(number, raw)
	case protoreflect.EnumKind:
		value := f.value.Enum().Values().ByName(protoreflect.Name(text))
		if value == nil {
			d.wrong("enum", "is none of the contract's names")
			return
		}
		d.put(f, number, uint64(value.Number()))
	default:
		d.putBytes(number, text)
	}
}

func (d *decoder) fromNumber(f *field, number protoreflect.FieldNumber, token []byte, whole bool) {
	if f.kind == protoreflect.FloatKind || f.kind == protoreflect.DoubleKind {
		d.float(f, number, token)
		return
	}
	if !whole {
		d.wrong("integer", "must be a whole number, written with digits only, without point or exponent")
		return
	}
	magnitude, negative, fits := integer(token)
	switch f.kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		fits = fits && magnitude <= math.MaxUint32 && (!negative || magnitude == 0)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		fits = fits && (!negative || magnitude == 0)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		fits = fits && magnitude <= limit(math.MaxInt32, negative)
	default:
		fits = fits && magnitude <= limit(math.MaxInt64, negative)
	}
	if !fits {
		d.wrong("range", fmt.Sprintf("is out of the range of %s", f.kind))
		return
	}
	if negative {
		magnitude = -magnitude // two's complement
	}
	if f.kind == protoreflect.Sint32Kind || f.kind == protoreflect.Sint64Kind {
		magnitude = protowire.EncodeZigZag(int64(magnitude))
	}
	d.put(f, number, magnitude)
}

// limit is the largest magnitude of a signed number.
func limit(most uint64, negative bool) uint64 {
	if negative {
		return most + 1
	}
	return most
}

func (d *decoder) float(f *field, number protoreflect.FieldNumber, token []byte) {
	bits := 64
	if f.kind == protoreflect.FloatKind {
		bits = 32
	}
	n, err := strconv.ParseFloat(string(token), bits)
	switch {
	case err != nil:
		d.wrong("range", fmt.Sprintf("is out of the range of %s", f.kind))
	case bits == 32:
		d.put(f, number, uint64(math.Float32bits(float32(n))))
	default:
		d.put(f, number, math.Float64bits(n))
	}
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
