package actuation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/feddi/feddi/core/fault"
)

// maxSchemaDepth bounds how deep a schema nests.
const maxSchemaDepth = 8

// Schema is what an actuator's settings must look like: the part of JSON Schema
// that says all that settings need, and whose check takes a time that settings
// cannot stretch. The zero value (no type) accepts anything.
type Schema struct {
	Type                 string             `json:"type"`
	Properties           map[string]*Schema `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties *bool              `json:"additionalProperties"`
	Items                *Schema            `json:"items"`
	Enum                 []json.RawMessage  `json:"enum"`
	Minimum              json.Number        `json:"minimum"`
	Maximum              json.Number        `json:"maximum"`
	MinLength            *int               `json:"minLength"`
	MaxLength            *int               `json:"maxLength"`
	Pattern              string             `json:"pattern"`
	Dialect              string             `json:"$schema"`
	Title                string             `json:"title"`
	Description          string             `json:"description"`
	Default              json.RawMessage    `json:"default"`

	pattern  *regexp.Regexp
	min, max *big.Rat
}

// schemaTypes are the types that a schema may name; empty means any.
var schemaTypes = []string{"", "object", "array", "string", "integer", "number", "boolean"}

// ParseSchema reads a schema of at most 16 KiB; empty is nil, which accepts an
// empty object only. Errors say which keyword is wrong.
func ParseSchema(raw json.RawMessage) (*Schema, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > MaxDocumentBytes || !document(raw) {
		return nil, fmt.Errorf("it must be one JSON object of at most %d bytes", MaxDocumentBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	s := &Schema{}
	if err := decoder.Decode(s); err != nil {
		return nil, err
	}
	if s.Type != "object" {
		return nil, errors.New(`its type must be "object"`)
	}
	return s, s.compile("settings", 0)
}

func (s *Schema) compile(path string, depth int) (err error) {
	switch {
	case depth > maxSchemaDepth:
		return fmt.Errorf("%s is nested deeper than %d", path, maxSchemaDepth)
	case !slices.Contains(schemaTypes, s.Type):
		return fmt.Errorf("%s has type %q; known are %q", path, s.Type, schemaTypes[1:])
	}
	if s.Pattern != "" {
		if s.pattern, err = regexp.Compile(s.Pattern); err != nil {
			return fmt.Errorf("the pattern of %s: %w", path, err)
		}
	}
	if s.min, err = bound(s.Minimum); err != nil {
		return fmt.Errorf("the minimum of %s: %w", path, err)
	}
	if s.max, err = bound(s.Maximum); err != nil {
		return fmt.Errorf("the maximum of %s: %w", path, err)
	}
	for _, name := range s.names() {
		if s.Properties[name] == nil {
			return fmt.Errorf("%s.%s is null", path, name)
		}
		if err := s.Properties[name].compile(path+"."+name, depth+1); err != nil {
			return err
		}
	}
	if s.Items != nil {
		return s.Items.compile(path+"[]", depth+1)
	}
	return nil
}

// bound reads a limit; nil where there is none. The length keeps a number such
// as 1e999999999 from being written out.
func bound(n json.Number) (*big.Rat, error) {
	if n == "" {
		return nil, nil
	}
	return number(n)
}

func number(n json.Number) (*big.Rat, error) {
	if f, err := n.Float64(); err != nil || len(n) > 40 || f > 1e18 || f < -1e18 || (f != 0 && f < 1e-18 && f > -1e-18) {
		return nil, fmt.Errorf("%.40s is out of range", n)
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return nil, fmt.Errorf("%s is no number", n)
	}
	return r, nil
}

// names lists the properties in order.
func (s *Schema) names() []string {
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CheckSettings holds a merchant's settings to what the actuator declares; empty
// settings are an empty object. Errors: VALIDATION_FAILED with one detail per
// setting that is wrong, each with its path.
func (m Manifest) CheckSettings(settings json.RawMessage) error {
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	if len(settings) > MaxDocumentBytes || !document(settings) {
		return fault.Field(fault.CodeValidationFailed, "settings", "document", "the settings must be one JSON object of at most %d bytes", MaxDocumentBytes)
	}
	schema, wrongSchema := ParseSchema(m.SettingsSchema)
	if wrongSchema != nil {
		return manifestFault("settings_schema", "a JSON Schema of the supported keywords: %v", wrongSchema)
	}
	if schema == nil {
		closed := false
		schema = &Schema{Type: "object", AdditionalProperties: &closed}
	}
	decoder := json.NewDecoder(bytes.NewReader(settings))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fault.Field(fault.CodeValidationFailed, "settings", "document", "the settings are no JSON object: %v", err)
	}
	var wrong []fault.Detail
	schema.check("settings", value, &wrong)
	if len(wrong) == 0 {
		return nil
	}
	err := fault.New(fault.CodeValidationFailed, "the settings are not what %s takes", m.Name)
	for _, d := range wrong {
		err = err.With(d.Field, d.Rule, d.Message)
	}
	return err
}

// check adds what is wrong with value.
func (s *Schema) check(path string, value any, wrong *[]fault.Detail) {
	say := func(rule, format string, args ...any) {
		*wrong = append(*wrong, fault.Detail{Field: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
	}
	if s.Type != "" && !s.typed(value) {
		say("type", "must be of type %s", s.Type)
		return
	}
	if len(s.Enum) > 0 && !s.listed(value) {
		say("enum", "must be one of %s", enumText(s.Enum))
	}
	switch v := value.(type) {
	case map[string]any:
		s.checkObject(path, v, wrong)
	case []any:
		for i, item := range v {
			if s.Items != nil {
				s.Items.check(fmt.Sprintf("%s[%d]", path, i), item, wrong)
			}
		}
	case string:
		switch n := utf8.RuneCountInString(v); {
		case s.MinLength != nil && n < *s.MinLength:
			say("minLength", "must have %d characters or more", *s.MinLength)
		case s.MaxLength != nil && n > *s.MaxLength:
			say("maxLength", "must have %d characters or fewer", *s.MaxLength)
		case s.pattern != nil && !s.pattern.MatchString(v):
			say("pattern", "must match %s", s.Pattern)
		}
	case json.Number:
		switch r, err := number(v); {
		case err != nil:
			say("range", "%v", err)
		case s.min != nil && r.Cmp(s.min) < 0:
			say("minimum", "must be %s or more", s.Minimum)
		case s.max != nil && r.Cmp(s.max) > 0:
			say("maximum", "must be %s or less", s.Maximum)
		}
	}
}

func (s *Schema) checkObject(path string, v map[string]any, wrong *[]fault.Detail) {
	for _, name := range s.Required {
		if _, set := v[name]; !set {
			*wrong = append(*wrong, fault.Detail{Field: path + "." + name, Rule: "required", Message: "must be set"})
		}
	}
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if property := s.Properties[name]; property != nil {
			property.check(path+"."+name, v[name], wrong)
		} else if s.AdditionalProperties != nil && !*s.AdditionalProperties {
			*wrong = append(*wrong, fault.Detail{Field: path + "." + name, Rule: "unknown", Message: fmt.Sprintf("is not a setting; there are %q", s.names())})
		}
	}
}

func (s *Schema) typed(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return s.Type == "object"
	case []any:
		return s.Type == "array"
	case string:
		return s.Type == "string"
	case bool:
		return s.Type == "boolean"
	case json.Number:
		if s.Type == "number" {
			return true
		}
		r, err := number(v)
		return s.Type == "integer" && err == nil && r.IsInt()
	default:
		return false // null
	}
}

func (s *Schema) listed(value any) bool {
	got, err := json.Marshal(value)
	return err == nil && slices.ContainsFunc(s.Enum, func(want json.RawMessage) bool {
		var compact bytes.Buffer
		return json.Compact(&compact, want) == nil && bytes.Equal(compact.Bytes(), got)
	})
}

func enumText(list []json.RawMessage) string {
	texts := make([]byte, 0, 64)
	for i, v := range list {
		if i > 0 {
			texts = append(texts, ", "...)
		}
		texts = append(texts, v...)
	}
	return string(texts)
}
