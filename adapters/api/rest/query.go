package rest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/strictjson"
	"github.com/feddi/feddi/core/fault"
)

// fromPath sets the fields that the path fills.
func (r *route) fromPath(segments []string, req protoreflect.Message) {
	for i, s := range r.op.Segments {
		if s.Field != nil {
			req.Set(s.Field, protoreflect.ValueOfString(segments[i]))
		}
	}
}

// fromQuery sets the fields that the query fills. Unknown names, repeated
// names (of fields that are no lists) and unreadable values are refused, all
// at once.
func (r *route) fromQuery(raw string, req protoreflect.Message) error {
	if raw == "" {
		return nil
	}
	var details []fault.Detail
	wrong := func(name, rule, message string) {
		details = append(details, fault.Detail{Field: name, Rule: rule, Message: message})
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, err := unescape(pair)
		field := r.query[name]
		switch {
		case err != nil:
			wrong("", "query", "the query is not properly escaped")
		case field == nil:
			wrong(name, "unknown_member", r.unknownQuery(name))
		case seen[name] && !field.IsList():
			wrong(name, "unique_member", "the name is there twice; send it once")
		default:
			if rule, message := setFromText(req, field, value); rule != "" {
				wrong(name, rule, message)
			}
		}
		seen[name] = true
	}
	if len(details) > 0 {
		return fault.Invalid(details)
	}
	return nil
}

func unescape(pair string) (name, value string, err error) {
	name, value, _ = strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(name); err != nil {
		return "", "", err
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return "", "", err
	}
	if !utf8.ValidString(name) || !utf8.ValidString(value) {
		return "", "", fmt.Errorf("invalid UTF-8")
	}
	return name, value, nil
}

func (r *route) unknownQuery(name string) string {
	for _, f := range r.query {
		if f.JSONName() == name {
			return "there is no query member of this name; it is written " + string(f.Name())
		}
	}
	if len(r.query) == 0 {
		return "this operation takes no query"
	}
	return "this operation takes no query member of this name; leave it out"
}

// setFromText sets or appends the value that text writes; rule is not empty
// where it writes none.
func setFromText(req protoreflect.Message, f protoreflect.FieldDescriptor, text string) (rule, message string) {
	v, rule, message := parse(f, text)
	if rule != "" {
		return rule, message
	}
	if f.IsList() {
		req.Mutable(f).List().Append(v)
	} else {
		req.Set(f, v)
	}
	return "", ""
}

func parse(f protoreflect.FieldDescriptor, text string) (v protoreflect.Value, rule, message string) {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), "", ""
	case protoreflect.BoolKind:
		if text == "true" || text == "false" {
			return protoreflect.ValueOfBool(text == "true"), "", ""
		}
		return v, "type", "must be true or false"
	case protoreflect.Int32Kind:
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && canonical(text) {
			return protoreflect.ValueOfInt32(int32(n)), "", ""
		}
		return v, "integer", "must be a whole number, written with digits only"
	case protoreflect.Int64Kind:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && canonical(text) {
			return protoreflect.ValueOfInt64(n), "", ""
		}
		return v, "integer", "must be a whole number, written with digits only"
	case protoreflect.MessageKind:
		if t, ok := strictjson.ParseTime([]byte(text)); ok && f.Message().FullName() == "google.protobuf.Timestamp" {
			return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()), "", ""
		}
		return v, "timestamp", "must be a time by RFC 3339, for example 2026-06-01T12:00:00Z"
	}
	return v, "type", "cannot be sent in a query"
}

// canonical reports whether an integer has no plus sign and no leading zeros.
func canonical(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	return text[0] != '+' && (digits == "0" || digits[0] != '0')
}
