package strictjson

import (
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// free reads an object of any members and writes it as the field of that number.
func (d *decoder) free(number protoreflect.FieldNumber) bool {
	if !d.at('{') {
		d.wrong("type", "must be an object")
		return d.value()
	}
	v, ok := d.anyObject()
	if !ok {
		return false
	}
	begin := d.open(number)
	d.out, _ = proto.MarshalOptions{}.MarshalAppend(d.out, v.GetStructValue()) // its texts are UTF-8
	d.close(begin)
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
