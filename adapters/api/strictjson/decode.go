package strictjson

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/feddi/feddi/core/fault"
)

// MaxDepth is how deep objects and arrays may nest.
const MaxDepth = 32

// maxDetails bounds the answer to a body that is wrong everywhere.
const maxDetails = 50

// Without returns a plan that does not know the named members: those that a
// door fills from elsewhere (the path).
func (p *Plan) Without(names ...string) *Plan {
	if len(names) == 0 {
		return p
	}
	c := *p
	c.byName = make(map[string]*field, len(p.byName))
	for name, f := range p.byName {
		c.byName[name] = f
	}
	for _, name := range names {
		delete(c.byName, name)
	}
	return &c
}

// Decode reads one JSON object into m, which must be of the plan's type and have
// none of its members set. It returns fault.CodeValidationFailed with a detail for
// every member at fault, or one for the place where the text stops being JSON.
func (p *Plan) Decode(in []byte, m protoreflect.Message) error {
	d := decoders.Get().(*decoder)
	d.in = in
	defer d.release()
	if !utf8.Valid(in) {
		d.stop("the body is not valid UTF-8")
	} else if d.space(); d.at('{') {
		if d.message(p) {
			d.end()
		}
	} else if d.value() {
		d.wrong("object", "the body must be a JSON object")
	}
	if len(d.details) > 0 {
		return fault.Invalid(d.details)
	}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(d.out, m.Interface()); err != nil {
		return fault.Internal(err) // what was written is well formed
	}
	return nil
}

// decoder walks a text once and writes the message's wire form. Its methods
// return false where the text is not JSON and reading must stop; what is JSON but
// not the contract's is noted in details and stepped over.
type decoder struct {
	in      []byte
	pos     int
	depth   int
	path    []step
	details []fault.Detail
	out     []byte
}

var decoders = sync.Pool{New: func() any { return &decoder{} }}

// release gives d back for another text, with its memory for path and output.
func (d *decoder) release() {
	if cap(d.out) <= maxKept {
		clear(d.path[:cap(d.path)])
		*d = decoder{path: d.path[:0], out: d.out[:0]}
		decoders.Put(d)
	}
}

// step is one part of the path to the value being read: a member or, where
// name is empty, an element.
type step struct {
	name  string
	index int
}

func (d *decoder) where() string {
	var b []byte
	for _, s := range d.path {
		switch {
		case s.name == "":
			b = append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
		case len(b) > 0:
			b = append(append(b, '.'), s.name...)
		default:
			b = append(b, s.name...)
		}
	}
	return string(b)
}

// wrong notes what breaks the contract at the current path.
func (d *decoder) wrong(rule, message string) {
	if len(d.details) < maxDetails {
		d.details = append(d.details, fault.Detail{Field: d.where(), Rule: rule, Message: message})
	}
}

// stop notes where the text stops being JSON.
func (d *decoder) stop(message string) bool {
	d.details = append(d.details, fault.Detail{
		Field: d.where(), Rule: "json", Message: fmt.Sprintf("%s (at byte %d)", message, d.pos),
	})
	return false
}

func (d *decoder) space() {
	for d.pos < len(d.in) {
		switch d.in[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) at(c byte) bool { return d.pos < len(d.in) && d.in[d.pos] == c }

func (d *decoder) take(c byte) bool {
	if d.at(c) {
		d.pos++
		return true
	}
	return false
}

func (d *decoder) end() {
	if d.space(); d.pos < len(d.in) {
		d.stop("there is text behind the JSON object")
	}
}

// enter opens an object or array, and must be paired with leave.
func (d *decoder) enter() bool {
	d.pos++
	if d.depth++; d.depth > MaxDepth {
		return d.stop(fmt.Sprintf("objects and arrays nest deeper than %d", MaxDepth))
	}
	d.space()
	return true
}

// more steps to the next member or element: it reports whether there is one,
// and whether the text is JSON so far.
func (d *decoder) more(first bool, closing byte) (more, ok bool) {
	if d.space(); d.take(closing) {
		d.depth--
		return false, true
	}
	if first {
		return true, true
	}
	if !d.take(',') {
		return false, d.stop(fmt.Sprintf("expected a comma or %q", closing))
	}
	d.space()
	return true, true
}

// key reads a member's name and its colon.
func (d *decoder) key() (name []byte, ok bool) {
	if !d.at('"') {
		return nil, d.stop("expected a member's name in double quotes")
	}
	if name, ok = d.text(); !ok {
		return nil, false
	}
	if d.space(); !d.take(':') {
		return nil, d.stop("expected a colon behind the member's name")
	}
	d.space()
	return name, true
}

// message reads an object and writes its members.
func (d *decoder) message(p *Plan) bool {
	if !d.enter() {
		return false
	}
	var seen [4]uint64 // of the first 256 fields; a contract message has fewer
	for first := true; ; first = false {
		more, ok := d.more(first, '}')
		if !more {
			return ok
		}
		name, ok := d.key()
		if !ok {
			return false
		}
		f := p.byName[string(name)]
		if f == nil {
			if !d.unknown(p, string(name)) {
				return false
			}
			continue
		}
		d.path = append(d.path, step{name: f.name})
		bit := uint64(1) << (f.index & 63)
		if seen[f.index>>6&3]&bit != 0 {
			d.wrong("unique_member", "the member is there twice; send it once")
			ok = d.value()
		} else {
			seen[f.index>>6&3] |= bit
			ok = d.member(f)
		}
		d.path = d.path[:len(d.path)-1]
		if !ok {
			return false
		}
	}
}

func (d *decoder) unknown(p *Plan, name string) bool {
	d.path = append(d.path, step{name: name})
	if right := p.twins[name]; right != "" && p.byName[right] != nil {
		d.wrong("unknown_member", fmt.Sprintf("the contract has no member of this name; it is written %s", right))
	} else {
		d.wrong("unknown_member", "the contract has no member of this name here; leave it out")
	}
	d.path = d.path[:len(d.path)-1]
	return d.value()
}

// member reads the value of field f.
func (d *decoder) member(f *field) bool {
	if d.at('n') {
		return d.null(f)
	}
	switch f.shape {
	case list:
		return d.list(f)
	case mapping:
		return d.mapping(f)
	}
	return d.one(f, f.number)
}

// one reads a value of f's kind and writes it as the field of that number.
func (d *decoder) one(f *field, number protoreflect.FieldNumber) bool {
	if f.kind != protoreflect.MessageKind {
		return d.scalar(f, number)
	}
	switch f.message.special {
	case timestampType:
		return d.timestamp(number)
	case structType:
		return d.free(number)
	}
	if !d.at('{') {
		d.wrong("type", "must be an object")
		return d.value()
	}
	begin := d.open(number)
	ok := d.message(f.message)
	d.close(begin)
	return ok
}

// open begins a message in the output; close puts its length in front of it.
func (d *decoder) open(number protoreflect.FieldNumber) (begin int) {
	d.out = protowire.AppendTag(d.out, number, protowire.BytesType)
	return len(d.out)
}

func (d *decoder) close(begin int) {
	size := uint64(len(d.out) - begin)
	var prefix [binary.MaxVarintLen64]byte
	d.out = slices.Insert(d.out, begin, protowire.AppendVarint(prefix[:0], size)...)
}

// null leaves a field unset, where unset is something the field can be.
func (d *decoder) null(f *field) bool {
	if !d.literal("null") {
		return false
	}
	switch {
	case f.shape == list:
		d.wrong("type", "must be an array; leave it out where there is nothing to send")
	case f.shape == mapping:
		d.wrong("type", "must be an object; leave it out where there is nothing to send")
	case !f.presence:
		d.wrong("type", "must not be null; must be "+f.noun())
	}
	return true
}

func (d *decoder) list(f *field) bool {
	if !d.at('[') {
		d.wrong("type", "must be an array")
		return d.value()
	}
	if !d.enter() {
		return false
	}
	for i := 0; ; i++ {
		more, ok := d.more(i == 0, ']')
		if !more {
			return ok
		}
		d.path = append(d.path, step{index: i})
		ok = d.one(f, f.number)
		d.path = d.path[:len(d.path)-1]
		if !ok {
			return false
		}
	}
}

func (d *decoder) mapping(f *field) bool {
	if !d.at('{') {
		d.wrong("type", "must be an object")
		return d.value()
	}
	if !d.enter() {
		return false
	}
	seen := map[string]bool{}
	for first := true; ; first = false {
		more, ok := d.more(first, '}')
		if !more {
			return ok
		}
		text, ok := d.key()
		if !ok {
			return false
		}
		name := string(text)
		d.path = append(d.path, step{name: name})
		ok = d.entry(f, name, seen[name])
		seen[name] = true
		d.path = d.path[:len(d.path)-1]
		if !ok {
			return false
		}
	}
}

func (d *decoder) entry(f *field, name string, again bool) bool {
	if again {
		d.wrong("unique_member", "the member is there twice; send it once")
		return d.value()
	}
	begin := d.open(f.number)
	d.out = protowire.AppendString(protowire.AppendTag(d.out, mapKey, protowire.BytesType), name)
	ok := d.one(f, mapValue)
	d.close(begin)
	return ok
}
