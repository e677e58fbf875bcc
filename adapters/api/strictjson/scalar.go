package strictjson

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
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

// timestamp reads RFC 3339.
func (d *decoder) timestamp(into func() protoreflect.Message) bool {
	if !d.at('"') {
		d.wrong("type", "must be a time as a string, for example 2026-06-01T12:00:00Z")
		return d.value()
	}
	text, ok := d.text()
	if !ok {
		return false
	}
	t, ok := ParseTime(text)
	if !ok {
		d.wrong("timestamp", "must be a time by RFC 3339, for example 2026-06-01T12:00:00Z")
		return true
	}
	m := into()
	if typed, ok := m.Interface().(*timestamppb.Timestamp); ok {
		typed.Seconds, typed.Nanos = t.Unix(), int32(t.Nanosecond())
		return true
	}
	fields := m.Descriptor().Fields()
	m.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(t.Unix()))
	m.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(int32(t.Nanosecond())))
	return true
}

// ParseTime reads a time by RFC 3339 that a Timestamp can hold: the years 1 to
// 9999, at most nine decimals.
func ParseTime(text []byte) (t time.Time, ok bool) {
	if err := t.UnmarshalText(text); err != nil || bytes.IndexByte(text, ',') >= 0 || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return t, false
	}
	decimals := 0
	if point := bytes.IndexByte(text, '.'); point >= 0 {
		for decimals = 0; isDigit(text[point+1+decimals]); decimals++ {
		}
	}
	return t, decimals <= 9
}

// free reads an object of any members.
func (d *decoder) free(into func() protoreflect.Message) bool {
	if !d.at('{') {
		d.wrong("type", "must be an object")
		return d.value()
	}
	v, ok := d.anyObject()
	if !ok {
		return false
	}
	m := into()
	if typed, ok := m.Interface().(*structpb.Struct); ok {
		typed.Fields = v.GetStructValue().GetFields()
		return true
	}
	if wire, err := proto.Marshal(v.GetStructValue()); err == nil {
		_ = proto.Unmarshal(wire, m.Interface()) // the same message by its full name
	}
	return true
}

// any reads one JSON value of any shape.
func (d *decoder) any() (*structpb.Value, bool) {
	if d.pos >= len(d.in) {
		return nil, d.stop("the text ends where a value is expected")
	}
	switch c := d.in[d.pos]; {
	case c == '{':
		return d.anyObject()
	case c == '[':
		return d.anyArray()
	case c == '"':
		text, ok := d.text()
		return structpb.NewStringValue(string(text)), ok
	case c == 't':
		return structpb.NewBoolValue(true), d.literal("true")
	case c == 'f':
		return structpb.NewBoolValue(false), d.literal("false")
	case c == 'n':
		return structpb.NewNullValue(), d.literal("null")
	case c == '-' || isDigit(c):
		return d.anyNumber()
	}
	return nil, d.stop("expected a JSON value")
}

func (d *decoder) anyNumber() (*structpb.Value, bool) {
	token, _, ok := d.number()
	if !ok {
		return nil, false
	}
	n, err := strconv.ParseFloat(string(token), 64)
	if err != nil {
		d.wrong("range", "is out of the range of a double")
	}
	return structpb.NewNumberValue(n), true
}

func (d *decoder) anyObject() (*structpb.Value, bool) {
	if !d.enter() {
		return nil, false
	}
	fields := map[string]*structpb.Value{}
	for first := true; ; first = false {
		more, ok := d.more(first, '}')
		if !more {
			return structpb.NewStructValue(&structpb.Struct{Fields: fields}), ok
		}
		name, ok := d.key()
		if !ok {
			return nil, false
		}
		d.path = append(d.path, step{name: string(name)})
		if fields[string(name)] != nil {
			d.wrong("unique_member", "the member is there twice; send it once")
		}
		v, ok := d.any()
		d.path = d.path[:len(d.path)-1]
		if !ok {
			return nil, false
		}
		fields[string(name)] = v
	}
}

func (d *decoder) anyArray() (*structpb.Value, bool) {
	if !d.enter() {
		return nil, false
	}
	var values []*structpb.Value
	for i := 0; ; i++ {
		more, ok := d.more(i == 0, ']')
		if !more {
			return structpb.NewListValue(&structpb.ListValue{Values: values}), ok
		}
		d.path = append(d.path, step{index: i})
		v, ok := d.any()
		d.path = d.path[:len(d.path)-1]
		if !ok {
			return nil, false
		}
		values = append(values, v)
	}
}

// value steps over one JSON value of any shape.
func (d *decoder) value() bool {
	if d.pos >= len(d.in) {
		return d.stop("the text ends where a value is expected")
	}
	switch c := d.in[d.pos]; {
	case c == '{':
		return d.skip('}', true)
	case c == '[':
		return d.skip(']', false)
	case c == '"':
		_, ok := d.text()
		return ok
	case c == 't':
		return d.literal("true")
	case c == 'f':
		return d.literal("false")
	case c == 'n':
		return d.literal("null")
	case c == '-' || isDigit(c):
		_, _, ok := d.number()
		return ok
	}
	return d.stop("expected a JSON value")
}

func (d *decoder) skip(closing byte, named bool) bool {
	if !d.enter() {
		return false
	}
	for first := true; ; first = false {
		more, ok := d.more(first, closing)
		if !more {
			return ok
		}
		if named {
			if _, ok := d.key(); !ok {
				return false
			}
		}
		if !d.value() {
			return false
		}
	}
}
