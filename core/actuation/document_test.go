package actuation

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		`{}`:                                    true,
		`{"a":"b\"\\\u00e9","c":[]}`:            true,
		`{"a":"\ud83d\ude00"}`:                  true,
		`{"a":-1.5e10}`:                         true,
		`{"a":"\\u0000"}`:                       true, // a backslash and letters, not a NUL
		``:                                      false,
		`null`:                                  false,
		` {}`:                                   false,
		`{"a":`:                                 false,
		`{"a":"\u0000"}`:                        false,
		`{"\u0000":1}`:                          false,
		`{"a":"\ud83d"}`:                        false,
		`{"a":"\ud83dx"}`:                       false,
		`{"a":"\ud83d\n"}`:                      false,
		`{"a":"\ude00"}`:                        false,
		"{\"a\":\"\xff\"}":                      false,
		`{"a":1e400000}`:                        false,
		`{"a":` + strings.Repeat("9", 41) + `}`: false,
		strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33):          false,
		strings.Repeat(`{"a":`, 32) + `1` + strings.Repeat(`}`, 32):          true,
		`{"a":"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{"}`: true,
	} {
		if got := document(json.RawMessage(raw)); got != want {
			t.Errorf("document(%.60q) = %v", raw, got)
		}
	}
}

// FuzzDocument: it never panics, and what it accepts decodes to an object
// whose texts are free of what a database refuses.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":"\ud83d\ude00"}`, `{"a":[1,2.5e3,{"b":null}]}`, `{"a":"\u0000"}`, `{"`, `{"a":"\ud8`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !document(raw) {
			return
		}
		var into map[string]any
		if err := json.Unmarshal(raw, &into); err != nil {
			t.Fatal(err)
		}
		mustBeStorable(t, into)
	})
}

func mustBeStorable(t *testing.T, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			mustBeStorable(t, k)
			mustBeStorable(t, e)
		}
	case []any:
		for _, e := range v {
			mustBeStorable(t, e)
		}
	case string:
		if strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
			t.Fatalf("%q", v)
		}
	}
}
