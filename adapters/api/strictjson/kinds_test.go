package strictjson

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// allKinds is a message with a field of every kind in every shape, more than
// the contract uses today.
func allKinds(t testing.TB) protoreflect.MessageType {
	t.Helper()
	type kind = descriptorpb.FieldDescriptorProto_Type
	kinds := []kind{
		descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BYTES,
		descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_SINT32, descriptorpb.FieldDescriptorProto_TYPE_SFIXED32,
		descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_SINT64, descriptorpb.FieldDescriptorProto_TYPE_SFIXED64,
		descriptorpb.FieldDescriptorProto_TYPE_UINT32, descriptorpb.FieldDescriptorProto_TYPE_FIXED32,
		descriptorpb.FieldDescriptorProto_TYPE_UINT64, descriptorpb.FieldDescriptorProto_TYPE_FIXED64,
		descriptorpb.FieldDescriptorProto_TYPE_FLOAT, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE,
		descriptorpb.FieldDescriptorProto_TYPE_ENUM, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE,
	}
	m := &descriptorpb.DescriptorProto{Name: proto.String("All")}
	number := int32(0)
	add := func(name string, k kind, label descriptorpb.FieldDescriptorProto_Label, optional bool) *descriptorpb.FieldDescriptorProto {
		number++
		f := &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(number), Type: k.Enum(), Label: label.Enum()}
		switch k {
		case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
			f.TypeName = proto.String(".strictjson.test.Colour")
		case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
			f.TypeName = proto.String(".strictjson.test.All")
		}
		if optional {
			f.Proto3Optional = proto.Bool(true)
			f.OneofIndex = proto.Int32(int32(len(m.OneofDecl)))
			m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + name)})
		}
		m.Field = append(m.Field, f)
		return f
	}
	for _, k := range kinds {
		name := k.String()[len("TYPE_"):]
		add("one_"+name, k, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, false)
		if k != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
			add("maybe_"+name, k, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, true)
		}
		add("many_"+name, k, descriptorpb.FieldDescriptorProto_LABEL_REPEATED, false)
		entry := &descriptorpb.DescriptorProto{Name: proto.String("Map" + name + "Entry"), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}}
		fields, top := m.Field, number
		m.Field, number = nil, 0
		add("key", descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, false)
		add("value", k, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, false)
		entry.Field, m.Field, number = m.Field, fields, top
		m.NestedType = append(m.NestedType, entry)
		add("map"+name, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_LABEL_REPEATED, false).
			TypeName = proto.String(".strictjson.test.All.Map" + name + "Entry")
	}
	for name, target := range map[string]string{"at": "Timestamp", "facts": "Struct"} {
		add(name, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, false).
			TypeName = proto.String(".google.protobuf." + target)
	}
	// Proto3 wants real oneofs before the synthetic ones; there are none here.
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("strictjson/test.proto"), Package: proto.String("strictjson.test"), Syntax: proto.String("proto3"),
		Dependency:  []string{"google/protobuf/timestamp.proto", "google/protobuf/struct.proto"},
		MessageType: []*descriptorpb.DescriptorProto{m},
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: proto.String("Colour"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: proto.String("NONE"), Number: proto.Int32(0)}, {Name: proto.String("RED"), Number: proto.Int32(1)}, {Name: proto.String("BLUE"), Number: proto.Int32(2)},
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessageType(file.Messages().Get(0))
}

// fill sets random fields of m.
func fill(t *rapid.T, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if rapid.IntRange(0, 2).Draw(t, "set "+f.TextName()) == 0 {
			continue
		}
		switch {
		case f.IsMap():
			for range rapid.IntRange(0, 2).Draw(t, "entries") {
				if v, ok := value(t, f.MapValue(), depth, func() protoreflect.Value { return m.Mutable(f).Map().NewValue() }); ok {
					m.Mutable(f).Map().Set(protoreflect.ValueOfString(anyText.Draw(t, "key")).MapKey(), v)
				}
			}
		case f.IsList():
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				if v, ok := value(t, f, depth, func() protoreflect.Value { return m.Mutable(f).List().NewElement() }); ok {
					m.Mutable(f).List().Append(v)
				}
			}
		default:
			if v, ok := value(t, f, depth, func() protoreflect.Value { return m.NewField(f) }); ok {
				m.Set(f, v)
			}
		}
	}
}

var anyText = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\"\\/\b\f\n\r\t\x00\x1f", "é €\U0001F600\u2028", "null"}))

func value(t *rapid.T, f protoreflect.FieldDescriptor, depth int, empty func() protoreflect.Value) (protoreflect.Value, bool) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool")), true
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(anyText.Draw(t, "string")), true
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")), true
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(0, 2).Draw(t, "enum"))), true
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32")), true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32")), true
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64})).Draw(t, "int64")), true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(rapid.OneOf(rapid.Uint64(), rapid.Just(uint64(math.MaxUint64))).Draw(t, "uint64")), true
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "float")), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "double")), true
	}
	v := empty()
	switch f.Message().FullName() {
	case "google.protobuf.Timestamp":
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos"))
		set(v.Message(), timestamppb.New(at))
	case "google.protobuf.Struct":
		set(v.Message(), freeStruct(t, 2))
	default:
		if depth <= 0 {
			return v, false
		}
		fill(t, v.Message(), depth-1)
	}
	return v, true
}

// set copies m into a message of the same type, whatever made that type.
func set(into protoreflect.Message, m proto.Message) {
	wire, err := proto.Marshal(m)
	if err == nil {
		err = proto.Unmarshal(wire, into.Interface())
	}
	if err != nil {
		panic(err)
	}
}

func freeStruct(t *rapid.T, depth int) *structpb.Struct {
	s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		s.Fields[anyText.Draw(t, "name")] = free(t, depth-1)
	}
	return s
}

func free(t *rapid.T, depth int) *structpb.Value {
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
	case kind == 0:
		return structpb.NewNullValue()
	case kind == 1:
		return structpb.NewBoolValue(rapid.Bool().Draw(t, "bool"))
	case kind == 2:
		return structpb.NewNumberValue(rapid.Float64Range(-1e300, 1e300).Draw(t, "number"))
	case kind == 3 && depth > 0:
		return structpb.NewStructValue(freeStruct(t, depth))
	case kind == 4 && depth > 0:
		return structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{free(t, depth-1)}})
	}
	return structpb.NewStringValue(anyText.Draw(t, "text"))
}
