package actuation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

func TestManifest(t *testing.T) {
	t.Parallel()
	if err := allManifest().Validate(); err != nil {
		t.Fatal(err)
	}
	for member, spoil := range map[string]func(*actuation.Manifest){
		"name":           func(m *actuation.Manifest) { m.Name = "Wallet" },
		"version":        func(m *actuation.Manifest) { m.Version = "1.0" },
		"time_limit":     func(m *actuation.Manifest) { m.TimeLimit = 11 * time.Second },
		"policy":         func(m *actuation.Manifest) { m.Policy = "maybe" },
		"decision_kinds": func(m *actuation.Manifest) { m.DecisionKinds = nil },
		"effect_kinds":   func(m *actuation.Manifest) { m.EffectKinds = append(m.EffectKinds, m.EffectKinds[0]) },
		"command_kinds":  func(m *actuation.Manifest) { m.CommandKinds = []string{"Send It"} },
		"description":    func(m *actuation.Manifest) { m.Description = strings.Repeat("x", 201) },
	} {
		t.Run(member, func(t *testing.T) {
			t.Parallel()
			m := allManifest()
			spoil(&m)
			f := fault.As(m.Validate())
			if f == nil || f.Code != fault.CodeValidationFailed || f.Details[0].Field != "manifest."+member {
				t.Fatalf("got %+v", f)
			}
		})
	}
}

func TestManifestOfANewerActuator(t *testing.T) {
	t.Parallel()
	m := allManifest()
	m.DecisionKinds = append(m.DecisionKinds, "teleport")
	m.EffectKinds = append(m.EffectKinds, "parcel.send")
	known := m.Known()
	if err := known.Validate(); err != nil || known.Serves("teleport") || !known.Serves(actuation.KindOffer) {
		t.Fatalf("%v %+v", err, known)
	}
	if !m.Serves("teleport") {
		t.Fatal("Known changed the manifest it was asked of")
	}
}
