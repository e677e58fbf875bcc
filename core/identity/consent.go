package identity

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Purpose is what a consent is for.
type Purpose string

// The purposes.
const (
	ForTerms       Purpose = "terms"
	ForMarketing   Purpose = "marketing"
	ForProfiling   Purpose = "profiling"
	ForReceipts    Purpose = "receipts"
	ForDataSharing Purpose = "data_sharing"
)

// ConsentState is what the customer did.
type ConsentState string

// The consent states.
const (
	ConsentGranted   ConsentState = "granted"
	ConsentWithdrawn ConsentState = "withdrawn"
)

// Consent is one act of agreeing or withdrawing. Immutable.
type Consent struct {
	ID         string
	Tenant     tenancy.Tenant
	CustomerID string
	Purpose    Purpose
	Channel    string // sms, email, push, whatsapp; empty for every channel
	State      ConsentState
	Version    string          // of the wording that the customer saw
	Evidence   json.RawMessage // a JSON object: how it was collected
	OccurredAt time.Time       // when the customer acted
	RecordedAt time.Time
}

// ConsentActs are a customer's acts, of each purpose and channel at least the
// latest. What nobody agreed to is not allowed.
type ConsentActs []Consent

// Allow reports whether the customer agrees to purpose on channel: the latest
// act about that channel or about every channel decides. An empty channel asks
// about the acts that name none.
func (acts ConsentActs) Allow(purpose Purpose, channel string) bool {
	var latest *Consent
	for i := range acts {
		c := &acts[i]
		if c.Purpose != purpose || c.Channel != "" && c.Channel != channel {
			continue
		}
		if latest == nil || latest.before(c) {
			latest = c
		}
	}
	return latest != nil && latest.State == ConsentGranted
}

// before orders acts by when the customer acted, then by when they were recorded.
func (c *Consent) before(o *Consent) bool {
	switch {
	case !c.OccurredAt.Equal(o.OccurredAt):
		return c.OccurredAt.Before(o.OccurredAt)
	case !c.RecordedAt.Equal(o.RecordedAt):
		return c.RecordedAt.Before(o.RecordedAt)
	}
	return c.ID < o.ID
}

// Require gives nil where Allow does, else CONSENT_REQUIRED naming field.
func (acts ConsentActs) Require(purpose Purpose, channel, field string) error {
	if acts.Allow(purpose, channel) {
		return nil
	}
	if channel != "" {
		return fault.Field(fault.CodeConsentRequired, field, "consent_"+string(purpose),
			"the customer has not agreed to %s by %s; record that consent first (POST /enroll/consent)", purpose, channel)
	}
	return fault.Field(fault.CodeConsentRequired, field, "consent_"+string(purpose),
		"the customer has not agreed to %s; record that consent first (POST /enroll/consent)", purpose)
}

// Happened settles when something happened that a partner reports: at, or now
// where it does not say. Errors: VALIDATION_FAILED for a time to come.
func Happened(at *time.Time, now time.Time) (time.Time, error) {
	if at == nil {
		return now, nil
	}
	if at.After(now) {
		return now, fault.Field(fault.CodeValidationFailed, "occurred_at", "not_in_future",
			"occurred_at is in the future; the time here is %s", now.UTC().Format(time.RFC3339))
	}
	return *at, nil
}
