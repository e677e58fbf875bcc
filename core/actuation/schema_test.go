package actuation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

const punchSchema = `{"type":"object","additionalProperties":false,"required":["every"],"properties":{
  "every":{"type":"integer","minimum":2,"maximum":100},"category":{"type":"string","minLength":1,"maxLength":5,"pattern":"^[a-z]+$"},
  "days":{"type":"array","items":{"enum":["mon","tue"]}},"share":{"type":"number","maximum":0.5},"on":{"type":"boolean"}}}`

func TestSettingsAreHeldToTheSchema(t *testing.T) {
	t.Parallel()
	m := actuation.Manifest{Name: "punchcard", SettingsSchema: []byte(punchSchema)}
	for settings, wrong := range map[string]string{
		`{"every":10}`: "", `{"every":10.0,"days":["mon","tue"],"share":0.5,"on":true,"category":"tea"}`: "",
		``: "settings.every required", `{"every":1}`: "settings.every minimum", `{"every":101}`: "settings.every maximum",
		`{"every":2.5}`: "settings.every type", `{"every":"2"}`: "settings.every type", `{"every":null}`: "settings.every type",
		`{"every":2,"ever":3}`: "settings.ever unknown", `{"every":2,"category":""}`: "settings.category minLength",
		`{"every":2,"category":"coffee"}`: "settings.category maxLength", `{"every":2,"category":"T"}`: "settings.category pattern",
		`{"every":2,"days":["mon","sun"]}`: "settings.days[1] enum", `{"every":2,"share":0.51}`: "settings.share maximum",
		`{"every":2,"on":1}`: "settings.on type", `{"every":1e2009}`: "settings document", `[1]`: "settings document", `{"every":`: "settings document",
	} {
		err := m.CheckSettings([]byte(settings))
		if wrong == "" {
			if err != nil {
				t.Errorf("%s: %v", settings, err)
			}
			continue
		}
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.CodeValidationFailed || f.Details[0].Field+" "+f.Details[0].Rule != wrong {
			t.Errorf("%s: got %+v, want %s", settings, f, wrong)
		}
	}
	if err := (actuation.Manifest{Name: "x"}).CheckSettings([]byte(`{"a":1}`)); err == nil {
		t.Error("an actuator without a schema took a setting")
	}
}

func TestSchemasThatCannotBeHeldAreRefused(t *testing.T) {
	t.Parallel()
	for schema, says := range map[string]string{
		`{"type":"array"}`:                                                                             `must be "object"`,
		`{"type":"object","oneOf":[]}`:                                                                 "oneOf",
		`{"type":"object","properties":{"a":null}}`:                                                    "settings.a is null",
		`{"type":"object","properties":{"a":{"type":"date"}}}`:                                         "date",
		`{"type":"object","properties":{"a":{"pattern":"("}}}`:                                         "pattern of settings.a",
		`{"type":"object","properties":{"a":{"minimum":1e200}}}`:                                       "minimum of settings.a",
		`{"type":"object","items":` + strings.Repeat(`{"items":`, 20) + `{}` + strings.Repeat("}", 21): "deeper",
		`[]`: "JSON object",
	} {
		if _, err := actuation.ParseSchema([]byte(schema)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(punchSchema), []byte(`{"every":10}`))
	f.Fuzz(func(t *testing.T, schema, settings []byte) {
		_ = actuation.Manifest{Name: "a", SettingsSchema: schema}.CheckSettings(settings)
	})
}

func TestManifestsAreComparedByMeaning(t *testing.T) {
	t.Parallel()
	a := actuation.Manifest{Name: "a", SettingsSchema: []byte(`{"type":"object","title":"x"}`)}
	b := actuation.Manifest{Name: "a", SettingsSchema: []byte(` {"title": "x", "type": "object"}`)}
	if !a.Same(b) {
		t.Error("the order of members counts")
	}
	if b.TimeLimit = 5; a.Same(b) {
		t.Error("another time limit does not count")
	}
}
