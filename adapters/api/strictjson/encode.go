package strictjson

import (
	"bytes"
	"encoding/base64"
	"iter"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// Append writes m, which must be of the plan's type, behind dst. The member
// called without (none where it is empty) is left out; the door writes it
// elsewhere. It fails where m has no wire form: a text in it is not UTF-8.
func (p *Plan) Append(dst []byte, m proto.Message, without string) ([]byte, error) {
	buffer := wires.Get().(*[]byte)
	wire, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend((*buffer)[:0], m)
	if err == nil {
		dst = p.AppendWire(dst, wire, without)
	}
	if cap(wire) <= maxKept {
		*buffer = wire
		wires.Put(buffer)
	}
	return dst, err
}

// wires are buffers for what is on its way through; those beyond maxKept bytes
// are not kept.
var wires = sync.Pool{New: func() any { return new([]byte) }}

const maxKept = 64 << 10

// span is where a value lies in the bytes of its message; of a list or map,
// where its elements lie, their tags included. The zero value is none.
type span struct{ at, end int32 }

// AppendWire is Append of a message in its wire form, as proto.Marshal writes it.
func (p *Plan) AppendWire(dst, wire []byte, without string) []byte {
	switch p.special {
	case timestampType:
		return appendTimestamp(dst, wire)
	case structType:
		s := &structpb.Struct{}
		_ = proto.Unmarshal(wire, s) // what Marshal wrote can be read
		return appendStruct(dst, s)
	}
	var buffer [48]span
	spans := slices.Grow(buffer[:0], len(p.fields))[:len(p.fields)]
	p.find(wire, spans)
	dst = append(dst, '{')
	first := true
	for i, f := range p.fields {
		if f.name == without && without != "" {
			continue
		}
		unset := f.presence && spans[i] == span{}
		if unset && f.omitUnset {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.opening...)
		if unset {
			dst = append(dst, "null"...)
			continue
		}
		dst = f.append(dst, wire[spans[i].at:spans[i].end])
	}
	return append(dst, '}')
}

// find fills spans with the places of the fields in wire, by index. Numbers that
// the plan does not know are stepped over.
func (p *Plan) find(wire []byte, spans []span) {
	for rest := wire; len(rest) > 0; {
		at := len(wire) - len(rest)
		number, _, value, behind := next(rest)
		rest = behind
		if int(number) >= len(p.byNumber) || p.byNumber[number] == nil {
			continue
		}
		f := p.byNumber[number]
		s, end := &spans[f.index], len(wire)-len(rest)
		if f.shape == single {
			s.at = int32(end - len(value))
		} else if *s == (span{}) {
			s.at = int32(at)
		}
		s.end = int32(end)
	}
}

// append writes the value of a field; an empty one is the zero value.
func (f *field) append(dst, value []byte) []byte {
	switch f.shape {
	case list:
		return f.appendList(dst, value)
	case mapping:
		return f.appendMap(dst, value)
	}
	return f.appendOne(dst, value)
}

// elements are the values of a list or map, of which wire holds the fields with
// their tags. Numbers may be packed.
func (f *field) elements(wire []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(wire) > 0 {
			number, kind, value, rest := next(wire)
			wire = rest
			if number != f.number {
				continue
			}
			if kind != protowire.BytesType || !f.packed() {
				if !yield(value) {
					return
				}
				continue
			}
			for len(value) > 0 {
				n := max(protowire.ConsumeFieldValue(number, f.wire, value), 1)
				if !yield(value[:n]) {
					return
				}
				value = value[n:]
			}
		}
	}
}

// packed reports whether values of f may stand one behind the other in one field.
func (f *field) packed() bool { return f.shape == list && f.wire != protowire.BytesType }

// next is the first field of wire, its value without a length before it, and
// what is behind it. What is no field ends the bytes.
func next(wire []byte) (number protowire.Number, kind protowire.Type, value, rest []byte) {
	number, kind, n := protowire.ConsumeTag(wire)
	if n < 0 {
		return 0, 0, nil, nil
	}
	size := protowire.ConsumeFieldValue(number, kind, wire[n:])
	if size < 0 {
		return 0, 0, nil, nil
	}
	value, rest = wire[n:n+size], wire[n+size:]
	if kind == protowire.BytesType {
		value, _ = protowire.ConsumeBytes(value)
	}
	return number, kind, value, rest
}

func (f *field) appendList(dst, wire []byte) []byte {
	dst = append(dst, '[')
	first := true
	for value := range f.elements(wire) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = f.appendOne(dst, value)
	}
	return append(dst, ']')
}

// appendMap writes the keys in order, so that the same message always gives
// the same bytes.
func (f *field) appendMap(dst, wire []byte) []byte {
	type entry struct{ key, value []byte }
	var entries []entry
	for element := range f.elements(wire) {
		var e entry
		for len(element) > 0 {
			number, _, value, rest := next(element)
			if element = rest; number == mapKey {
				e.key = value
			} else {
				e.value = value
			}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	dst = append(dst, '{')
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, e.key), ':')
		dst = f.appendOne(dst, e.value)
	}
	return append(dst, '}')
}

// appendOne writes one value: the bytes of a number, or what a length stood before.
func (f *field) appendOne(dst, value []byte) []byte {
	switch f.kind {
	case protoreflect.MessageKind:
		return f.message.AppendWire(dst, value, "")
	case protoreflect.StringKind:
		return AppendString(dst, value)
	case protoreflect.BytesKind:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, value)
		return append(dst, '"')
	}
	return f.appendScalar(dst, bitsOf(f.wire, value))
}

// bitsOf is a number as it is written; 0 where it is not.
func bitsOf(t protowire.Type, value []byte) (bits uint64) {
	switch t {
	case protowire.Fixed32Type:
		v, _ := protowire.ConsumeFixed32(value)
		bits = uint64(v)
	case protowire.Fixed64Type:
		bits, _ = protowire.ConsumeFixed64(value)
	default:
		bits, _ = protowire.ConsumeVarint(value)
	}
	return bits
}

func (f *field) appendScalar(dst []byte, bits uint64) []byte {
	switch f.kind {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, bits != 0)
	case protoreflect.EnumKind:
		return appendEnum(dst, f.value.Enum(), protoreflect.EnumNumber(bits))
	case protoreflect.FloatKind:
		return appendNumber(dst, float64(math.Float32frombits(uint32(bits))), 32)
	case protoreflect.DoubleKind:
		return appendNumber(dst, math.Float64frombits(bits), 64)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(dst, bits, 10)
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return strconv.AppendInt(dst, protowire.DecodeZigZag(bits), 10)
	case protoreflect.Sfixed32Kind:
		return strconv.AppendInt(dst, int64(int32(bits)), 10)
	}
	return strconv.AppendInt(dst, int64(bits), 10)
}

// appendEnum writes a value's name, or its number where this build has no name
// for it.
func appendEnum(dst []byte, d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) []byte {
	if v := d.Values().ByNumber(n); v != nil {
		return AppendString(dst, string(v.Name()))
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendNumber writes f as short as it can be read back; JSON has no NaN or
// infinity, which become null.
func appendNumber(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

// appendTimestamp writes RFC 3339 in UTC with as many decimals as are needed.
func appendTimestamp(dst, wire []byte) []byte {
	var seconds, nanos uint64
	for len(wire) > 0 {
		number, _, value, rest := next(wire)
		if wire = rest; number == timestampSeconds {
			seconds, _ = protowire.ConsumeVarint(value)
		} else {
			nanos, _ = protowire.ConsumeVarint(value)
		}
	}
	dst = append(dst, '"')
	dst = time.Unix(int64(seconds), int64(nanos)).UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

func appendStruct(dst []byte, s *structpb.Struct) []byte {
	keys := make([]string, 0, len(s.GetFields()))
	for k := range s.GetFields() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, k), ':')
		dst = appendValue(dst, s.GetFields()[k])
	}
	return append(dst, '}')
}

func appendValues(dst []byte, l *structpb.ListValue) []byte {
	dst = append(dst, '[')
	for i, v := range l.GetValues() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, v)
	}
	return append(dst, ']')
}

func appendValue(dst []byte, v *structpb.Value) []byte {
	switch k := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(dst, k.BoolValue)
	case *structpb.Value_NumberValue:
		return appendNumber(dst, k.NumberValue, 64)
	case *structpb.Value_StringValue:
		return AppendString(dst, k.StringValue)
	case *structpb.Value_StructValue:
		return appendStruct(dst, k.StructValue)
	case *structpb.Value_ListValue:
		return appendValues(dst, k.ListValue)
	}
	return append(dst, "null"...)
}

const hex = "0123456789abcdef"

// AppendString writes s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\')
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\n':
			dst = append(dst, 'n')
		case '\r':
			dst = append(dst, 'r')
		case '\t':
			dst = append(dst, 't')
		default:
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
