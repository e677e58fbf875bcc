package checkout

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/privacy"
)

// TillEventType is what a till saw.
type TillEventType string

// What tills record.
const (
	OfferShown       TillEventType = "offer_shown"
	OfferDeclined    TillEventType = "offer_declined"
	TenderChosen     TillEventType = "tender_chosen"
	PromptShown      TillEventType = "prompt_shown"
	PromptSkipped    TillEventType = "prompt_skipped"
	RecoveryShown    TillEventType = "recovery_shown"
	RecoveryDeclined TillEventType = "recovery_declined"
)

// Bounds of what tills record.
const (
	// MaxTillEvents is how many a session takes.
	MaxTillEvents = 1_000
	// MaxTillData is how many bytes of JSON one takes.
	MaxTillData = 4_096
	// clockAhead is how far a till's clock may be ahead of ours.
	clockAhead = 5 * time.Minute
)

// TillEvent is what a till saw in a session and did not decide: telemetry.
// Immutable. Data is a JSON object of the till's own, of ids and figures.
type TillEvent struct {
	ID, SessionID          string
	Type                   TillEventType
	OfferID, TraceID       string
	TenderType, Prompt     string
	Data                   json.RawMessage
	OccurredAt, RecordedAt time.Time
}

// AboutOffer reports whether the event is about an offer, which then it names.
func (t TillEventType) AboutOffer() bool { return t == OfferShown || t == OfferDeclined }

// AboutRecovery reports whether the event is about ways out of a shortfall.
func (t TillEventType) AboutRecovery() bool { return t == RecoveryShown || t == RecoveryDeclined }

func (t TillEventType) aboutPrompt() bool { return t == PromptShown || t == PromptSkipped }

// Validate checks that the event says what its type needs and nothing else.
// Errors: VALIDATION_FAILED naming every field at fault.
func (e TillEvent) Validate() error {
	var wrong []fault.Detail
	for _, f := range []struct {
		field, value   string
		needed, usable bool
	}{
		{"offer_id", e.OfferID, e.Type.AboutOffer(), e.Type.AboutOffer()},
		{"decision_trace_id", e.TraceID, false, e.Type.AboutOffer() || e.Type.AboutRecovery()},
		{"tender_type", e.TenderType, e.Type == TenderChosen, e.Type == TenderChosen},
		{"prompt", e.Prompt, e.Type.aboutPrompt(), e.Type.aboutPrompt()},
	} {
		switch {
		case f.needed && f.value == "":
			wrong = append(wrong, fault.Detail{Field: f.field, Rule: "required", Message: "an event of type " + string(e.Type) + " needs " + f.field})
		case !f.usable && f.value != "":
			wrong = append(wrong, fault.Detail{Field: f.field, Rule: "not_of_type", Message: "an event of type " + string(e.Type) + " has no " + f.field + "; leave it out"})
		}
	}
	if len(e.Data) > MaxTillData {
		wrong = append(wrong, fault.Detail{Field: "data", Rule: "max_bytes", Message: "data takes at most 4,096 bytes of JSON; keep ids and figures"})
	}
	if privacy.HoldsContact(e.Data) { // what is kept with a session outlives an erasure, where the session knew nobody
		wrong = append(wrong, fault.Detail{Field: "data", Rule: "no_personal_data", Message: "data holds what looks like a phone number or an e-mail address; it takes ids and figures only"})
	}
	if len(wrong) > 0 {
		return fault.Invalid(wrong)
	}
	return nil
}

// Within checks that the event lies in the session's time and not ahead of the
// server's. Errors: VALIDATION_FAILED.
func (e TillEvent) Within(s Session, now time.Time) error {
	switch {
	case e.OccurredAt.Before(s.OpenedAt.Add(-clockAhead)):
		return fault.Field(fault.CodeValidationFailed, "occurred_at", "within_session", "occurred_at is before the session was opened, at %s; check the till's clock", s.OpenedAt.UTC().Format(time.RFC3339))
	case e.OccurredAt.After(now.Add(clockAhead)):
		return fault.Field(fault.CodeValidationFailed, "occurred_at", "not_ahead", "occurred_at is more than 5 minutes ahead of the server, where it is %s; check the till's clock", now.UTC().Format(time.RFC3339))
	}
	return nil
}
