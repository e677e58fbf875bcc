package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
)

// side tells the two uses of a message apart: what a caller sends is closed
// and may be left out; what the server answers is open and always there.
type side bool

const (
	sent     side = true
	answered side = false
)

// schemas collects the components that the operations refer to.
type schemas struct {
	comments Comments
	done     map[string]bool
	list     object
	// both are the messages that are sent and answered; they have two schemas.
	both map[protoreflect.FullName]bool
}

func (s *schemas) add(name string, schema object) {
	s.done[name] = true
	s.list = s.list.with(name, schema)
}

// ref is a reference to the schema of d, which is made where it is new.
func (s *schemas) ref(d protoreflect.MessageDescriptor, as side) object {
	name := s.name(d, as)
	if !s.done[name] {
		s.done[name] = true // before its members: messages may refer to themselves
		at := len(s.list)
		s.list = append(s.list, member{name: name})
		s.list[at].value = s.message(d, as, nil)
	}
	return reference(name)
}

func reference(name string) object { return object{{"$ref", "#/components/schemas/" + name}} }

func (s *schemas) name(d protoreflect.MessageDescriptor, as side) string {
	name := strings.ReplaceAll(strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+"."), ".", "")
	if as == sent && s.both[d.FullName()] {
		return name + "Input"
	}
	return name
}

// message is the schema of d without the fields that skip names.
func (s *schemas) message(d protoreflect.MessageDescriptor, as side, skip func(protoreflect.FieldDescriptor) bool) object {
	out := object{{"type", "object"}}.maybe("description", s.about(d))
	properties, required := object{}, []string{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if skip != nil && skip(f) || as == sent && f.FullName() == refused {
			continue
		}
		properties = properties.with(string(f.Name()), s.field(f, as))
		if as == sent && mustSend(f) || as == answered && !fieldOptions(f).GetOmitUnset() {
			required = append(required, string(f.Name()))
		}
	}
	out = out.with("properties", properties)
	if len(required) > 0 {
		out = out.with("required", required)
	}
	if as == sent {
		out = out.with("additionalProperties", false)
	}
	if rules, _ := proto.GetExtension(d.Options(), validate.E_Message).(*validate.MessageRules); as == sent && len(rules.GetCel()) > 0 {
		out = out.with("x-rules", celRules(rules.GetCel()))
	}
	return out
}

// about is the comment of a message without the message's name, which Go style
// begins it with.
func (s *schemas) about(d protoreflect.MessageDescriptor) string {
	comment, named := strings.CutPrefix(s.comments[string(d.FullName())], string(d.Name())+" ")
	if !named {
		return comment
	}
	comment = strings.TrimPrefix(comment, "is ")
	return strings.ToUpper(comment[:1]) + comment[1:]
}

func celRules(rules []*validate.Rule) []object {
	var out []object
	for _, r := range rules {
		out = append(out, object{{"id", r.GetId()}, {"message", r.GetMessage()}})
	}
	return out
}

// refused is in the contract only so that its refusal can be explained.
const refused protoreflect.FullName = "feddi.partner.v1.RequestMeta.idempotency_key"

// versioned is required by the server beyond its annotated rules.
const versioned protoreflect.FullName = "feddi.partner.v1.RequestMeta.api_version"

// mustSend reports whether a request without f breaks a rule: f is required,
// or the value of a field left out is not among those allowed.
func mustSend(f protoreflect.FieldDescriptor) bool {
	rules := fieldRules(f)
	switch {
	case rules.GetRequired(), f.FullName() == versioned:
		return true
	case f.IsList():
		return rules.GetRepeated().GetMinItems() > 0
	case f.HasPresence(), f.IsMap():
		return false
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return refusesEmpty(rules.GetString())
	case protoreflect.BytesKind:
		return rules.GetBytes().GetMinLen() > 0
	case protoreflect.Int64Kind:
		low, _ := limits(rules)
		return low != nil && *low > 0
	case protoreflect.Int32Kind:
		low, _ := limits(rules)
		return low != nil && *low > 0
	}
	return false
}

func refusesEmpty(r *validate.StringRules) bool {
	if r.GetMinLen() > 0 || len(r.GetIn()) > 0 && !slices.Contains(r.GetIn(), "") {
		return true
	}
	if r.HasPattern() {
		pattern, err := regexp.Compile(r.GetPattern())
		return err == nil && !pattern.MatchString("")
	}
	return r.GetUri() || r.GetEmail() || r.GetUuid()
}

func fieldRules(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

func fieldOptions(f protoreflect.FieldDescriptor) *optionsv1.Field {
	options, _ := proto.GetExtension(f.Options(), optionsv1.E_Field).(*optionsv1.Field)
	return options
}

// field is the schema of a member.
func (s *schemas) field(f protoreflect.FieldDescriptor, as side) object {
	rules, options := fieldRules(f), fieldOptions(f)
	var out object
	switch {
	case f.IsMap():
		out = object{{"type", "object"}, {"additionalProperties", s.one(f.MapValue(), rules.GetMap().GetValues(), nil, as)}}
	case f.IsList():
		out = s.array(f, rules, options, as)
	default:
		out = s.one(f, rules, options, as)
		if nullable(f, as) {
			out = orNull(out)
		}
	}
	out = out.maybe("description", s.comments[string(f.FullName())])
	if options.GetExample() != "" {
		out = out.with("examples", []rawJSON{rawJSON(options.GetExample())})
	}
	if options.GetSecret() {
		out = out.with("x-secret", true)
	}
	if as == sent && len(rules.GetCel()) > 0 {
		out = out.with("x-rules", celRules(rules.GetCel()))
	}
	return out
}

// nullable reports whether a member may be null: what the contract calls
// optional. In an answer one that is left out where unset is never null.
func nullable(f protoreflect.FieldDescriptor, as side) bool {
	if as == answered {
		return f.HasOptionalKeyword() && !fieldOptions(f).GetOmitUnset()
	}
	return f.HasPresence() && !fieldRules(f).GetRequired()
}

func orNull(schema object) object {
	for i, m := range schema {
		switch m.name {
		case "type":
			schema[i].value = []any{m.value, "null"}
		case "enum":
			schema[i].value = append(slices.Clone(m.value.([]any)), nil)
		case "$ref":
			return object{{"anyOf", []object{{m}, {{"type", "null"}}}}}
		}
	}
	return schema
}

func (s *schemas) array(f protoreflect.FieldDescriptor, rules *validate.FieldRules, options *optionsv1.Field, as side) object {
	out := object{{"type", "array"}, {"items", s.one(f, rules.GetRepeated().GetItems(), options, as)}}
	if r := rules.GetRepeated(); as == sent && r != nil {
		if r.HasMinItems() {
			out = out.with("minItems", r.GetMinItems())
		}
		if r.HasMaxItems() {
			out = out.with("maxItems", r.GetMaxItems())
		}
		if r.GetUnique() {
			out = out.with("uniqueItems", true)
		}
	}
	return out
}

// one is the schema of a single value of f.
func (s *schemas) one(f protoreflect.FieldDescriptor, rules *validate.FieldRules, options *optionsv1.Field, as side) object {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return object{{"type", "boolean"}}
	case protoreflect.StringKind:
		return text(rules.GetString(), options, as)
	case protoreflect.BytesKind:
		return object{{"type", "string"}, {"contentEncoding", "base64"}}
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return object{{"type", "number"}}
	case protoreflect.MessageKind:
		return s.nested(f.Message(), as)
	}
	out := object{{"type", "integer"}, {"format", f.Kind().String()}}
	low, high := limits(rules)
	if low != nil {
		out = out.with("minimum", *low)
	}
	if high != nil {
		out = out.with("maximum", *high)
	}
	return out
}

func (s *schemas) nested(d protoreflect.MessageDescriptor, as side) object {
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		return object{{"type", "string"}, {"format", "date-time"}}
	case "google.protobuf.Struct":
		return object{{"type", "object"}, {"additionalProperties", true}}
	case "google.protobuf.ListValue":
		return object{{"type", "array"}, {"items", true}}
	case "google.protobuf.Value":
		return object{}
	}
	return s.ref(d, as)
}

// limits are the least and greatest integers allowed; nil where there is none.
func limits(rules *validate.FieldRules) (low, high *int64) {
	wide := func(n int64) *int64 { return &n }
	if r := rules.GetInt64(); r != nil {
		if r.HasGte() {
			low = wide(r.GetGte())
		} else if r.HasGt() {
			low = wide(r.GetGt() + 1)
		}
		if r.HasLte() {
			high = wide(r.GetLte())
		} else if r.HasLt() {
			high = wide(r.GetLt() - 1)
		}
	}
	if r := rules.GetInt32(); r != nil {
		if r.HasGte() {
			low = wide(int64(r.GetGte()))
		} else if r.HasGt() {
			low = wide(int64(r.GetGt()) + 1)
		}
		if r.HasLte() {
			high = wide(int64(r.GetLte()))
		} else if r.HasLt() {
			high = wide(int64(r.GetLt()) - 1)
		}
	}
	return low, high
}

// text is the schema of a string. The values of an answer are an open set:
// more may be added without a new version.
func text(r *validate.StringRules, options *optionsv1.Field, as side) object {
	out := object{{"type", "string"}}
	if len(r.GetIn()) > 0 {
		var values []any
		for _, v := range r.GetIn() {
			values = append(values, v)
		}
		out = out.with("enum", values)
	} else if len(options.GetValues()) > 0 {
		out = out.with("x-extensible-enum", options.GetValues())
	}
	if as == answered || r == nil {
		return out
	}
	if n := max(r.GetMinLen(), r.GetLen()); n > 0 {
		out = out.with("minLength", n)
	}
	if n := max(r.GetMaxLen(), r.GetLen()); n > 0 {
		out = out.with("maxLength", n)
	}
	out = out.maybe("pattern", r.GetPattern())
	switch {
	case r.GetUri():
		out = out.with("format", "uri")
	case r.GetEmail():
		out = out.with("format", "email")
	case r.GetUuid():
		out = out.with("format", "uuid")
	}
	return out
}

// rawJSON is JSON text from the contract.
type rawJSON string

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// sentAndAnswered are the messages that both requests and responses hold.
func sentAndAnswered(requests, responses []protoreflect.MessageDescriptor) map[protoreflect.FullName]bool {
	in, out := map[protoreflect.FullName]bool{}, map[protoreflect.FullName]bool{}
	for _, d := range requests {
		reach(d, in)
	}
	for _, d := range responses {
		reach(d, out)
	}
	for name := range in {
		if !out[name] {
			delete(in, name)
		}
	}
	return in
}

func reach(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[d.FullName()] {
		return
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsMap() {
			f = f.MapValue()
		}
		if f.Kind() == protoreflect.MessageKind {
			reach(f.Message(), seen)
		}
	}
}

// describe joins sentences of a description.
func describe(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "\n\n")
}

func codeLine(code, what string) string { return fmt.Sprintf("- `%s`: %s", code, what) }
