// Package spoil makes request bodies that break a contract in one place each,
// from a body that keeps it and the schema it keeps.
package spoil

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Body is a body with one thing wrong.
type Body struct {
	What string // for a person
	Raw  []byte
	// Field is the path that the refusal must name; empty where the text as a
	// whole is at fault.
	Field string
}

// Resolve follows a schema's reference, where it is one.
type Resolve func(schema map[string]any) map[string]any

// Bodies spoils good, member by member, as deep as it goes.
func Bodies(resolve Resolve, schema, good map[string]any) ([]Body, error) {
	s := &spoiler{resolve: resolve, good: good}
	s.object(nil, schema, good)
	return s.out, s.err
}

type spoiler struct {
	resolve Resolve
	good    map[string]any
	out     []Body
	err     error
}

// step is a member's name or an element's index.
type step any

// add spoils the value at path: set replaces it, or removes it where set is nil.
func (s *spoiler) add(what string, path []step, field string, set any) {
	var spoilt any = clone(s.good)
	if len(path) == 0 {
		spoilt = set
	}
	put(spoilt, path, set)
	raw, err := json.Marshal(spoilt)
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("%s at %s: %w", what, field, err)
	}
	s.out = append(s.out, Body{what + " at " + field, raw, field})
}

func (s *spoiler) object(path []step, schema, good map[string]any) {
	schema = s.resolve(schema)
	properties, _ := schema["properties"].(map[string]any)
	if closed, _ := schema["additionalProperties"].(bool); !closed && schema["additionalProperties"] != nil {
		s.add("unknown member", with(path, "colour"), join(path, "colour"), json.RawMessage(`"red"`))
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if text, ok := name.(string); ok {
			s.add("missing", with(path, text), join(path, text), nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(map[string]any)
		s.member(with(path, name), property, good[name])
		if _, there := good[name]; there {
			s.twins(path, name, good)
		}
	}
}

// twins repeats a member, and writes it in camelCase.
func (s *spoiler) twins(path []step, name string, good map[string]any) {
	s.add("repeated member", path, join(path, name), twice{good, name})
	camel := camelCase(name)
	if camel == name {
		return
	}
	renamed := clone(good)
	renamed[camel] = renamed[name]
	delete(renamed, name)
	s.add("camelCase", path, join(path, camel), renamed)
	both := clone(good)
	both[camel] = both[name]
	s.add("camelCase twin", path, join(path, camel), both)
}

func (s *spoiler) member(path []step, schema map[string]any, good any) {
	schema, nullable := s.narrow(schema)
	field := join(path)
	wrong := func(what string, values ...string) {
		for _, v := range values {
			s.add(what+" "+clip(v), path, field, json.RawMessage(v))
		}
	}
	if !nullable {
		wrong("null", `null`)
	}
	switch schema["type"] {
	case "integer":
		wrong("no integer", `"5"`, `5.0`, `5e0`, `0.5`, `true`, `[5]`, `{}`)
		wrong("no int64", `9223372036854775808`, `-9223372036854775809`, `100000000000000000000000`)
		s.bounds(path, schema)
	case "string":
		wrong("no string", `5`, `true`, `["x"]`, `{}`)
		s.texts(path, schema)
	case "boolean":
		wrong("no boolean", `"true"`, `1`, `[]`)
	case "array":
		wrong("no array", `{}`, `"x"`, `5`)
		s.elements(path, schema, good)
	case "object":
		wrong("no object", `[]`, `"x"`, `5`)
		if object, ok := good.(map[string]any); ok && schema["properties"] != nil {
			s.object(path, schema, object)
		}
	}
}

// narrow resolves a member's schema, and says whether it may be null.
func (s *spoiler) narrow(schema map[string]any) (_ map[string]any, nullable bool) {
	schema = s.resolve(schema)
	if choices, ok := schema["anyOf"].([]any); ok {
		for _, c := range choices {
			choice, _ := c.(map[string]any)
			if choice["type"] != "null" {
				schema = s.resolve(choice)
			}
		}
		return schema, true
	}
	if types, ok := schema["type"].([]any); ok {
		schema = clone(schema)
		schema["type"] = types[0]
		return schema, slices.Contains(types, "null")
	}
	return schema, false
}

func (s *spoiler) bounds(path []step, schema map[string]any) {
	for _, b := range []struct {
		limit string
		past  int64
	}{{"minimum", -1}, {"maximum", +1}} {
		if limit, ok := schema[b.limit].(float64); ok {
			n := strconv.FormatInt(int64(limit)+b.past, 10)
			s.add("past the "+b.limit+" "+n, path, join(path), json.RawMessage(n))
		}
	}
}

func (s *spoiler) texts(path []step, schema map[string]any) {
	field := join(path)
	if n, ok := schema["maxLength"].(float64); ok {
		s.add("too long", path, field, strings.Repeat("x", int(n)+1))
		s.add("too long", path, field, strings.Repeat("é", int(n)+1))
	}
	if n, ok := schema["minLength"].(float64); ok && n > 0 {
		s.add("too short", path, field, strings.Repeat("x", int(n)-1))
	}
	if schema["pattern"] != nil {
		s.add("against the pattern", path, field, "~ no such thing ~")
	}
	if schema["enum"] != nil {
		s.add("not of the list", path, field, "nonsense")
	}
	if schema["format"] == "date-time" {
		s.add("no time", path, field, "yesterday")
		s.add("no time", path, field, "2026-06-01 08:00")
	}
}

func (s *spoiler) elements(path []step, schema map[string]any, good any) {
	items, _ := schema["items"].(map[string]any)
	list, _ := good.([]any)
	if len(list) == 0 || items == nil {
		return
	}
	s.member(with(path, 0), items, list[0])
	if n, ok := schema["maxItems"].(float64); ok {
		s.add("too many elements", path, join(path), slices.Repeat(list[:1], int(n)+1))
	}
	if n, ok := schema["minItems"].(float64); ok && n > 0 {
		s.add("too few elements", path, join(path), []any{})
	}
	if unique, _ := schema["uniqueItems"].(bool); unique {
		s.add("repeated element", path, join(path), append(slices.Clone(list), list[0]))
	}
}

// twice is an object with one of its members there twice.
type twice struct {
	object map[string]any
	name   string
}

// MarshalJSON implements json.Marshaler.
func (t twice) MarshalJSON() ([]byte, error) {
	whole, err := json.Marshal(t.object)
	if err != nil {
		return nil, err
	}
	again, err := json.Marshal(map[string]any{t.name: t.object[t.name]})
	if err != nil {
		return nil, err
	}
	return slices.Concat(bytes.TrimSuffix(whole, []byte("}")), []byte(","), again[1:]), nil
}

func with(path []step, next step) []step { return append(slices.Clone(path), next) }

// join writes a path as refusals name it: lines[0].sku.
func join(path []step, more ...step) string {
	var b strings.Builder
	for _, s := range append(slices.Clone(path), more...) {
		if i, ok := s.(int); ok {
			fmt.Fprintf(&b, "[%d]", i)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, s)
	}
	return b.String()
}

// put sets or removes the value at path in v, which holds everything above it.
func put(v any, path []step, set any) {
	for i, s := range path {
		last := i == len(path)-1
		switch in := v.(type) {
		case map[string]any:
			name, _ := s.(string)
			switch {
			case last && set == nil:
				delete(in, name)
			case last:
				in[name] = set
			}
			v = in[name]
		case []any:
			index, _ := s.(int)
			if last {
				in[index] = set
			}
			v = in[index]
		}
	}
}

// clone copies a decoded value deeply.
func clone(v map[string]any) map[string]any {
	out := make(map[string]any, len(v))
	for name, member := range v {
		out[name] = cloneAny(member)
	}
	return out
}

func cloneAny(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return clone(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cloneAny(v[i])
		}
		return out
	}
	return v
}

func camelCase(name string) string {
	parts := strings.Split(name, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

func clip(text string) string {
	if len(text) > 30 {
		return text[:30] + "..."
	}
	return text
}
