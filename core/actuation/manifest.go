package actuation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/feddi/feddi/core/fault"
)

// Bounds of Manifest.TimeLimit.
const (
	MinTimeLimit = time.Millisecond
	MaxTimeLimit = 10 * time.Second
)

// movers are the decision kinds in which an effect that moves money or points
// may occur at all. Effects that are not listed move nothing and may occur
// anywhere, as far as the actuator declares them.
var movers = map[EffectKind][]Kind{
	EffectDebit:  {KindWalletDebit},
	EffectGrant:  {KindCashback, KindOffer, KindUpsell},
	EffectPoints: {KindCashback, KindOffer, KindUpsell},
}

var (
	kinds = []Kind{KindOffer, KindRecovery, KindCashback, KindUpsell, KindAttribution, KindFraudFlag, KindEnrichment, KindWalletDebit}

	effectKinds = []EffectKind{EffectDebit, EffectGrant, EffectPoints, EffectAttribution, EffectMessage, EffectAnnotation}

	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]{1,40})?(\+[0-9A-Za-z.-]{1,40})?$`)
	hostPattern    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9]\d{0,4})?$`)
	wordPattern    = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)
)

// Kinds lists every decision kind.
func Kinds() []Kind { return slices.Clone(kinds) }

// EffectKinds lists every effect kind.
func EffectKinds() []EffectKind { return slices.Clone(effectKinds) }

// Serves reports whether the actuator declares the decision kind.
func (m Manifest) Serves(k Kind) bool { return slices.Contains(m.DecisionKinds, k) }

// Emits reports whether the actuator declares the effect kind.
func (m Manifest) Emits(k EffectKind) bool { return slices.Contains(m.EffectKinds, k) }

// Known returns m without the kinds that this core does not know: an actuator
// may be newer than its host and still serve what both know.
func (m Manifest) Known() Manifest {
	m.DecisionKinds = slices.DeleteFunc(slices.Clone(m.DecisionKinds), func(k Kind) bool { return !slices.Contains(kinds, k) })
	m.EffectKinds = slices.DeleteFunc(slices.Clone(m.EffectKinds), func(k EffectKind) bool { return !slices.Contains(effectKinds, k) })
	return m
}

// Validate checks a declaration. Errors: VALIDATION_FAILED naming the member
// and what it may be.
func (m Manifest) Validate() error {
	switch {
	case !namePattern.MatchString(m.Name):
		return manifestFault("name", "1 to 40 of a to z, 0 to 9 and hyphen, beginning with a letter")
	case !versionPattern.MatchString(m.Version):
		return manifestFault("version", "a semantic version such as 1.4.0")
	case m.TimeLimit < MinTimeLimit || m.TimeLimit > MaxTimeLimit:
		return manifestFault("time_limit", "1 ms to 10 s")
	case m.Policy != Required && m.Policy != Optional:
		return manifestFault("policy", "required or optional")
	case len(m.DecisionKinds) == 0 || !distinct(m.DecisionKinds, kinds):
		return manifestFault("decision_kinds", "at least one known kind, each once")
	case !distinct(m.EffectKinds, effectKinds):
		return manifestFault("effect_kinds", "known kinds, each once")
	case !commandKindsFit(m.CommandKinds):
		return manifestFault("command_kinds", "lower-case words such as sms.send, each once")
	case !text(m.Description, 0, 200):
		return manifestFault("description", "at most 200 characters of readable text")
	case !hostsFit(m.Hosts):
		return manifestFault("hosts", "at most 32 host names, each once, with or without a port, or *")
	case !m.schedulesFit():
		return manifestFault("schedules", "at most 8 of its command kinds, each once, every 1 s to 30 days")
	}
	if _, err := ParseSchema(m.SettingsSchema); err != nil {
		return manifestFault("settings_schema", "a JSON Schema of the supported keywords: %v", err)
	}
	return nil
}

// Same reports whether two declarations are the same, whatever the order of
// members in their schemas.
func (m Manifest) Same(o Manifest) bool { return bytes.Equal(m.canonical(), o.canonical()) }

func (m Manifest) canonical() []byte {
	var schema any
	_ = json.Unmarshal(m.SettingsSchema, &schema) // nothing, where there is none
	m.SettingsSchema, _ = json.Marshal(schema)    // maps are written in order
	raw, _ := json.Marshal(m)
	return raw
}

func hostsFit(list []string) bool {
	for _, h := range list {
		if h != AnyHost && !hostPattern.MatchString(h) {
			return false
		}
	}
	return len(list) <= maxHosts && distinct(list, list)
}

func manifestFault(member, want string, args ...any) error {
	return fault.Field(fault.CodeValidationFailed, "manifest."+member, "manifest", "the actuator's %s must be %s; correct what it describes of itself", member, fmt.Sprintf(want, args...))
}

// distinct reports whether every element of list is of known, once.
func distinct[T comparable](list, known []T) bool {
	for i, v := range list {
		if !slices.Contains(known, v) || slices.Contains(list[:i], v) {
			return false
		}
	}
	return true
}

func commandKindsFit(list []string) bool {
	for _, k := range list {
		if !wordPattern.MatchString(k) {
			return false
		}
	}
	return distinct(list, list)
}
