package actuation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

// sends is an actuator that sends messages and refreshes facts.
func sends() actuation.Manifest {
	return actuation.Manifest{
		Name: "sender", Version: "1.0.0", TimeLimit: time.Second, Policy: actuation.Optional,
		DecisionKinds: []actuation.Kind{actuation.KindEnrichment},
		EffectKinds:   []actuation.EffectKind{actuation.EffectMessage, actuation.EffectAnnotation, actuation.EffectAttribution},
		CommandKinds:  []string{"sms.send", "facts.refresh"},
		Schedules:     []actuation.Schedule{{Command: "facts.refresh", Every: time.Minute}},
	}
}

func TestSchedulesAreDeclared(t *testing.T) {
	t.Parallel()
	if err := sends().Validate(); err != nil {
		t.Fatal(err)
	}
	for what, list := range map[string][]actuation.Schedule{
		"of a command kind that is none": {{Command: "x.y", Every: time.Minute}},
		"twice":                          {{Command: "sms.send", Every: time.Minute}, {Command: "sms.send", Every: time.Hour}},
		"too often":                      {{Command: "sms.send", Every: time.Second - 1}},
		"too rarely":                     {{Command: "sms.send", Every: 30*24*time.Hour + 1}},
		"never":                          {{Command: "sms.send"}},
	} {
		m := sends()
		m.Schedules = list
		if f := fault.As(m.Validate()); f == nil || f.Details[0].Field != "manifest.schedules" {
			t.Errorf("%s: %v", what, f)
		}
	}
	if m := sends(); m.Every("facts.refresh") != time.Minute || m.Every("sms.send") != 0 || !m.Executes("sms.send") || m.Executes("x.y") {
		t.Error("what is declared is not found")
	}
	if m := sends().Undriven(); len(m.CommandKinds)+len(m.Schedules) > 0 || m.Validate() != nil {
		t.Errorf("%+v", m)
	}
}

// TestACommandIsDeclared: rule command, and rule field for all but messages.
func TestACommandIsDeclared(t *testing.T) {
	t.Parallel()
	s := actuation.Snapshot{ID: "1", Kind: actuation.KindEnrichment}
	for _, c := range []struct {
		kind    actuation.EffectKind
		command string
		rule    actuation.Rule
	}{
		{actuation.EffectMessage, "", ""},
		{actuation.EffectMessage, "sms.send", ""},
		{actuation.EffectMessage, "sms.sent", actuation.RuleCommand},
		{actuation.EffectAnnotation, "sms.send", actuation.RuleField},
		{actuation.EffectAttribution, "sms.send", actuation.RuleField},
	} {
		p := actuation.Plan{SnapshotID: "1", Reasoning: actuation.Reasoning{Summary: "A message.", Rule: "r"}, Effects: []actuation.Effect{
			{Kind: c.kind, Command: c.command, Data: []byte(`{"to":"cus_1"}`)},
		}}
		r := actuation.RejectionOf(actuation.Validate(sends(), s, p))
		if got := ruleOf(r); got != c.rule {
			t.Errorf("%s by %q: rule %q, want %q", c.kind, c.command, got, c.rule)
		}
		if got := p.Commands(); len(got) != min(len(c.command), 1) || len(got) == 1 && (got[0].Kind != c.command || string(got[0].Payload) != `{"to":"cus_1"}`) {
			t.Errorf("%s by %q asks for %+v", c.kind, c.command, got)
		}
	}
}

func ruleOf(r *actuation.Rejected) actuation.Rule {
	if r == nil {
		return ""
	}
	return r.Rule
}

func TestRetry(t *testing.T) {
	t.Parallel()
	again := actuation.Unavailable("x", &actuation.Failure{Code: "unavailable", Retryable: true})
	for _, c := range []struct {
		attempt int
		cause   error
		every   time.Duration
		after   time.Duration
		again   bool
	}{
		{1, again, 0, time.Second, true},
		{4, again, 0, 8 * time.Second, true},
		{19, again, 0, time.Hour, true},
		{20, again, 0, 0, false},
		{10, again, time.Minute, time.Minute, true},
		{1, fault.New(fault.CodeDeadlineExceeded, "late"), 0, time.Second, true},
		{1, actuation.Unavailable("x", &actuation.Failure{Code: "no_such_number"}), 0, 0, false},
		{1, &actuation.Failure{Code: "garbage"}, 0, 0, false},
		{1, errors.New("something else"), 0, 0, false},
	} {
		if after, again := actuation.Retry(c.attempt, c.cause, c.every); after != c.after || again != c.again {
			t.Errorf("attempt %d of %v: %v %v, want %v %v", c.attempt, c.cause, after, again, c.after, c.again)
		}
	}
}

// Facts go into traces, which no erasure changes; a result goes with its command.
func TestFactsAreAboutNobody(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{"vip": ["ada@example.com"]}`, `{"call": "+44 20 7946 0123"}`} {
		err := actuation.Receipt{Facts: []byte(doc)}.Storable()
		if f := actuation.FailureOf(err); f == nil || f.Field != "facts" || f.Retryable {
			t.Errorf("%s: %v", doc, err)
		}
		if err := (actuation.Receipt{Result: []byte(doc)}).Storable(); err != nil {
			t.Errorf("%s as a result: %v", doc, err)
		}
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	large := []byte(`{"a":"` + strings.Repeat("x", actuation.MaxDocumentBytes) + `"}`)
	for field, r := range map[string]actuation.Receipt{
		"":          {Reference: "m1", Result: []byte(`{}`), Facts: []byte(`{"a":[1]}`)},
		"reference": {Reference: "a\x00b"},
		"result":    {Result: large},
		"facts":     {Facts: []byte(`"text"`)},
	} {
		err := r.Storable()
		if f := actuation.FailureOf(err); (field == "") != (err == nil) || f != nil && (f.Field != field || f.Retryable) {
			t.Errorf("%q: %v", field, err)
		}
	}
}
