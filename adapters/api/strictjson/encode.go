package strictjson

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Append writes m, which must be of the plan's type, behind dst. The member
// called without (none where it is empty) is left out; the door writes it
// elsewhere.
func (p *Plan) Append(dst []byte, m protoreflect.Message, without string) []byte {
	switch p.special {
	case timestampType:
		return appendTimestamp(dst, m)
	case structType:
		return appendStruct(dst, structOf(m))
	}
	dst = append(dst, '{')
	first := true
	for _, f := range p.fields {
		if f.name == without && without != "" {
			continue
		}
		unset := f.presence && !m.Has(f.desc)
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
		dst = f.append(dst, m.Get(f.desc))
	}
	return append(dst, '}')
}

func (f *field) append(dst []byte, v protoreflect.Value) []byte {
	switch f.shape {
	case list:
		return f.appendList(dst, v.List())
	case mapping:
		return f.appendMap(dst, v.Map())
	}
	return f.appendOne(dst, v)
}

func (f *field) appendList(dst []byte, l protoreflect.List) []byte {
	dst = append(dst, '[')
	for i := range l.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.appendOne(dst, l.Get(i))
	}
	return append(dst, ']')
}

// appendMap writes the keys in order, so that the same message always gives
// the same bytes.
func (f *field) appendMap(dst []byte, m protoreflect.Map) []byte {
	keys := make([]string, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k.String())
		return true
	})
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, k), ':')
		dst = f.appendOne(dst, m.Get(protoreflect.ValueOfString(k).MapKey()))
	}
	return append(dst, '}')
}

func (f *field) appendOne(dst []byte, v protoreflect.Value) []byte {
	switch f.kind {
	case protoreflect.MessageKind:
		return f.message.Append(dst, v.Message(), "")
	case protoreflect.StringKind:
		return AppendString(dst, v.String())
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool())
	case protoreflect.EnumKind:
		return appendEnum(dst, f.value.Enum(), v.Enum())
	case protoreflect.FloatKind:
		return appendNumber(dst, v.Float(), 32)
	case protoreflect.DoubleKind:
		return appendNumber(dst, v.Float(), 64)
	case protoreflect.BytesKind:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"')
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(dst, v.Uint(), 10)
	}
	return strconv.AppendInt(dst, v.Int(), 10)
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
func appendTimestamp(dst []byte, m protoreflect.Message) []byte {
	t, ok := m.Interface().(*timestamppb.Timestamp)
	if !ok { // a message made from descriptors alone
		fields := m.Descriptor().Fields()
		t = &timestamppb.Timestamp{Seconds: m.Get(fields.ByNumber(1)).Int(), Nanos: int32(m.Get(fields.ByNumber(2)).Int())}
	}
	dst = append(dst, '"')
	dst = t.AsTime().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// structOf is m as a Struct, also where m was made from descriptors alone.
func structOf(m protoreflect.Message) *structpb.Struct {
	if s, ok := m.Interface().(*structpb.Struct); ok {
		return s
	}
	s := &structpb.Struct{}
	if wire, err := proto.Marshal(m.Interface()); err == nil {
		_ = proto.Unmarshal(wire, s) // the same message by its full name
	}
	return s
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
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
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
