package spoil_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/spoil"
)

const schemas = `{
	"Body": {"type":"object","additionalProperties":false,"required":["unit_price"],"properties":{
		"unit_price":{"type":"integer","minimum":1,"maximum":5},
		"name":{"type":["string","null"],"maxLength":2,"minLength":1},
		"on":{"type":"boolean"},
		"where":{"anyOf":[{"$ref":"Where"},{"type":"null"}]},
		"free":{"type":"object","additionalProperties":true},
		"lines":{"type":"array","maxItems":2,"items":{"$ref":"Line"}}}},
	"Where": {"type":"object","additionalProperties":false,"properties":{"at":{"type":"string","format":"date-time"}}},
	"Line": {"type":"object","additionalProperties":false,"required":["sku"],"properties":{"sku":{"type":"string","pattern":"^[A-Z]+$"}}}
}`

// Every place of a body is spoilt, the refusal's field is that place, and the
// rest of the body stays as it was.
func TestBodies(t *testing.T) {
	t.Parallel()
	all, good := map[string]map[string]any{}, map[string]any{}
	if err := json.Unmarshal([]byte(schemas), &all); err != nil {
		t.Fatal(err)
	}
	const text = `{"free":{"any":1},"lines":[{"sku":"A"}],"name":"x","on":true,"unit_price":3,"where":{"at":"2026-06-01T08:00:00Z"}}`
	if err := json.Unmarshal([]byte(text), &good); err != nil {
		t.Fatal(err)
	}
	resolve := func(s map[string]any) map[string]any {
		if ref, ok := s["$ref"].(string); ok {
			return all[ref]
		}
		return s
	}
	got, err := spoil.Bodies(resolve, all["Body"], good)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []spoil.Body{
		{"missing at unit_price", nil, "unit_price"},
		{`no integer 5.0 at unit_price`, []byte(`"unit_price":5.0`), "unit_price"},
		{`no integer 5e0 at unit_price`, []byte(`"unit_price":5e0`), "unit_price"},
		{`no integer "5" at unit_price`, []byte(`"unit_price":"5"`), "unit_price"},
		{"past the minimum 0 at unit_price", []byte(`"unit_price":0`), "unit_price"},
		{"past the maximum 6 at unit_price", []byte(`"unit_price":6`), "unit_price"},
		{"null null at unit_price", []byte(`"unit_price":null`), "unit_price"},
		{"camelCase at unitPrice", []byte(`"unitPrice":3`), "unitPrice"},
		{"camelCase twin at unitPrice", []byte(`"unitPrice":3,"unit_price":3`), "unitPrice"},
		{"repeated member at unit_price", []byte(`,"unit_price":3}`), "unit_price"},
		{"unknown member at colour", []byte(`"colour":"red"`), "colour"},
		{"unknown member at where.colour", []byte(`"where":{"at":"2026-06-01T08:00:00Z","colour":"red"}`), "where.colour"},
		{"no time at where.at", []byte(`"at":"yesterday"`), "where.at"},
		{"too long at name", []byte(`"name":"xxx"`), "name"},
		{"too short at name", []byte(`"name":""`), "name"},
		{"too many elements at lines", []byte(`"lines":[{"sku":"A"},{"sku":"A"},{"sku":"A"}]`), "lines"},
		{"against the pattern at lines[0].sku", []byte(`"lines":[{"sku":"~ no such thing ~"}]`), "lines[0].sku"},
		{"missing at lines[0].sku", []byte(`"lines":[{}]`), "lines[0].sku"},
		{"repeated member at lines[0].sku", []byte(`[{"sku":"A","sku":"A"}]`), "lines[0].sku"},
		{`no boolean "true" at on`, []byte(`"on":"true"`), "on"},
	} {
		i := slices.IndexFunc(got, func(b spoil.Body) bool { return b.What == want.What && bytes.Contains(b.Raw, want.Raw) })
		if i < 0 {
			t.Errorf("nothing is %s with %s", want.What, want.Raw)
		} else if got[i].Field != want.Field || want.What == "missing at unit_price" && bytes.Contains(got[i].Raw, []byte("unit_price")) {
			t.Errorf("%s: field %s, body %s", want.What, got[i].Field, got[i].Raw)
		}
	}
	for _, b := range got {
		if !json.Valid(b.Raw) || string(b.Raw) == text {
			t.Errorf("%s: %s", b.What, b.Raw)
		}
	}
	if again, err := json.Marshal(good); err != nil || string(again) != text {
		t.Errorf("the good body was changed: %s %v", again, err)
	}
}
