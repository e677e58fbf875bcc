// Package anything makes values of whatever a type allows, for tests that hold
// two ways of writing the same thing to each other: a field that one of them does
// not know cannot be left out of them.
package anything

import (
	"reflect"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

var (
	texts   = rapid.OneOf(rapid.Just(""), rapid.StringN(0, 12, 40), rapid.StringN(100, 200, 400))
	bytes   = rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 1, 200))
	numbers = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64(), rapid.Int64Range(0, 1_000))
	times   = rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(-1<<33, 1<<36).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
)

// Fill sets the fields of the struct that to points to.
func Fill(t *rapid.T, to any) { fill(t, reflect.ValueOf(to).Elem()) }

func fill(t *rapid.T, v reflect.Value) {
	if _, ok := v.Interface().(time.Time); ok {
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.ValueOf(times.Draw(t, "time")))
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts.Draw(t, "text"))
	case reflect.Int64:
		v.SetInt(numbers.Draw(t, "number"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(bytes.Draw(t, "bytes"))
			return
		}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			item := reflect.New(v.Type().Elem()).Elem()
			fill(t, item)
			v.Set(reflect.Append(v, item))
		}
	case reflect.Pointer: // what is absent on the wire
	default:
		t.Fatalf("anything: no values of %v are made", v.Type())
	}
}

// FillMessage sets the fields of a message.
func FillMessage(t *rapid.T, to proto.Message) { fillMessage(t, to.ProtoReflect()) }

func fillMessage(t *rapid.T, m protoreflect.Message) {
	if stamp, ok := m.Interface().(*timestamppb.Timestamp); ok {
		proto.Merge(stamp, timestamppb.New(times.Draw(t, "time")))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsList():
			for range rapid.IntRange(0, 3).Draw(t, "n") {
				list := m.Mutable(f).List()
				if f.Message() == nil {
					list.Append(scalar(t, f))
					continue
				}
				fillMessage(t, list.AppendMutable().Message())
			}
		case f.Message() != nil:
			if rapid.Bool().Draw(t, "set") {
				fillMessage(t, m.Mutable(f).Message())
			}
		default:
			m.Set(f, scalar(t, f))
		}
	}
}

func scalar(t *rapid.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(texts.Draw(t, "text"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(bytes.Draw(t, "bytes"))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(numbers.Draw(t, "number"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	default:
		t.Fatalf("anything: no values of %v are made", f.Kind())
		return protoreflect.Value{}
	}
}

// Damage changes a few bytes of raw, or cuts it.
func Damage(t *rapid.T, raw []byte) []byte {
	if len(raw) == 0 {
		return raw
	}
	for range rapid.IntRange(1, 3).Draw(t, "times") {
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	return raw[:rapid.IntRange(0, len(raw)).Draw(t, "length")]
}
