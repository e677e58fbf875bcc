package actuation

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
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

// TestPlain: what is accepted at the first look would be at the second one, and
// what the payments have is.
func TestPlain(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`{"a":1}`, `{"debited_promo_minor":250,"lots_used":-1,"a":"b c","z":0}`, `{"":""}`} {
		if !plain([]byte(raw)) {
			t.Errorf("%s is plain", raw)
		}
	}
	pieces := rapid.SampledFrom([]string{`{`, `}`, `"`, `"a"`, `:`, `,`, `0`, `-`, `12`, `1.5`, `1e9`, ` `, `\`, `\"`, `é`, "\x7f", "\x00", "\n", `[]`, `null`, strings.Repeat("9", 40)})
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(`{` + strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(t, "pieces"), "") + `}`)
		if plain(raw) && (!utf8.Valid(raw) || !json.Valid(raw) || !storable(raw)) {
			t.Fatalf("%q", raw)
		}
	})
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
