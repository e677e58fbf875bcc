// Package strictjson reads and writes protobuf messages as the JSON of a
// published REST surface. It differs from protojson on purpose: names are the
// contract's (snake case) and no others, 64-bit integers are numbers, an unset
// message or optional scalar is null, and whatever the contract does not know
// (an unknown or repeated member, a wrong type, a number written another way)
// is refused with its path.
//
// Between JSON and a message lie the bytes of its wire form, which the generated
// code reads and writes several times faster than fields can be set and read by
// reflection, and which the pipeline has at hand anyway.
package strictjson

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
)

// Plan is how one message type is read and written, worked out once.
// Immutable and safe for concurrent use.
type Plan struct {
	name     protoreflect.FullName
	special  special
	fields   []*field
	byName   map[string]*field
	byNumber []*field          // nil where there is no such number
	twins    map[string]string // camel-case name -> contract name
}

// special are the types that JSON writes in a form of its own.
type special uint8

const (
	plain special = iota
	timestampType
	structType
)

var specials = map[protoreflect.FullName]special{
	"google.protobuf.Timestamp": timestampType,
	"google.protobuf.Struct":    structType,
}

type field struct {
	number    protoreflect.FieldNumber
	name      string
	opening   []byte // "name":
	kind      protoreflect.Kind
	wire      protowire.Type // of a value, or of each
	shape     shape
	presence  bool // unset can be told from zero
	omitUnset bool
	message   *Plan // of a message, of a list's element or of a map's value
	value     protoreflect.FieldDescriptor
	index     int // position in Plan.fields
}

// wireTypes are the forms of values; every other kind is a varint.
var wireTypes = map[protoreflect.Kind]protowire.Type{
	protoreflect.Fixed32Kind: protowire.Fixed32Type, protoreflect.Sfixed32Kind: protowire.Fixed32Type, protoreflect.FloatKind: protowire.Fixed32Type,
	protoreflect.Fixed64Kind: protowire.Fixed64Type, protoreflect.Sfixed64Kind: protowire.Fixed64Type, protoreflect.DoubleKind: protowire.Fixed64Type,
	protoreflect.StringKind: protowire.BytesType, protoreflect.BytesKind: protowire.BytesType, protoreflect.MessageKind: protowire.BytesType,
}

// The numbers of fields inside of a map's entries and of a Timestamp.
const (
	mapKey, mapValue                 = 1, 2
	timestampSeconds, timestampNanos = 1, 2
)

type shape uint8

const (
	single shape = iota
	list
	mapping
)

// Plans makes and keeps plans. Not safe for concurrent use: make every plan
// before serving.
type Plans struct {
	made map[protoreflect.FullName]*Plan
}

// NewPlans returns an empty set.
func NewPlans() *Plans { return &Plans{made: map[protoreflect.FullName]*Plan{}} }

// maxNumber bounds the field numbers of a message, each of which takes a place.
const maxNumber = 10_000

// Of returns the plan of a message type, making it and those of the types it
// holds where they are new. Groups, extensions, other well-known types than
// Timestamp and Struct, and field numbers above 10,000 are not supported.
func (s *Plans) Of(d protoreflect.MessageDescriptor) (*Plan, error) {
	if p := s.made[d.FullName()]; p != nil {
		return p, nil
	}
	p := &Plan{name: d.FullName(), special: specials[d.FullName()], byName: map[string]*field{}, twins: map[string]string{}}
	s.made[d.FullName()] = p
	if p.special != plain {
		return p, nil
	}
	if strings.HasPrefix(string(p.name), "google.protobuf.") {
		return nil, fmt.Errorf("strictjson: %s has no form here", p.name)
	}
	for i := range d.Fields().Len() {
		if err := s.add(p, d.Fields().Get(i)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s *Plans) add(p *Plan, d protoreflect.FieldDescriptor) error {
	f := &field{
		number: d.Number(), name: string(d.Name()), opening: fmt.Appendf(nil, "%q:", d.Name()), kind: d.Kind(), value: d,
		presence: d.HasPresence(), index: len(p.fields),
	}
	switch {
	case f.number > maxNumber:
		return fmt.Errorf("strictjson: %s: the number is above %d", d.FullName(), maxNumber)
	case d.IsMap():
		f.shape, f.value, f.kind = mapping, d.MapValue(), d.MapValue().Kind()
		if d.MapKey().Kind() != protoreflect.StringKind {
			return fmt.Errorf("strictjson: %s: keys must be strings", d.FullName())
		}
	case d.IsList():
		f.shape = list
	}
	if options, _ := proto.GetExtension(d.Options(), optionsv1.E_Field).(*optionsv1.Field); options != nil {
		f.omitUnset = options.GetOmitUnset()
	}
	var err error
	switch f.kind {
	case protoreflect.GroupKind:
		err = fmt.Errorf("strictjson: %s: groups have no form here", d.FullName())
	case protoreflect.MessageKind:
		f.message, err = s.Of(f.value.Message())
	}
	f.wire = wireTypes[f.kind]
	p.fields = append(p.fields, f)
	p.byName[f.name] = f
	if missing := int(f.number) + 1 - len(p.byNumber); missing > 0 {
		p.byNumber = append(p.byNumber, make([]*field, missing)...)
	}
	p.byNumber[f.number] = f
	if camel := d.JSONName(); camel != f.name {
		p.twins[camel] = f.name
	}
	return err
}
