package identity

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Channels are where messages can go.
func Channels() []string { return []string{"sms", "email", "push", "whatsapp"} }

// Preferences say how a customer wants to be treated. They narrow what a
// consent allows and never widen it.
type Preferences struct {
	CustomerID string
	Language   string // BCP 47; empty where the customer chose none
	// Channels are those the customer decided on: whether messages may go there.
	Channels map[string]bool
	OptOut   OptOut
	// ReceiptChannel is where receipts go; empty where none is sent.
	ReceiptChannel string
	Version        int        // counts changes, from 1
	UpdatedAt      *time.Time // nil where they never changed
}

// OptOut names the offers that a customer does not want to see.
type OptOut struct {
	All               bool
	Kinds, Categories []string // sorted, each once
}

// PreferenceChange is what to change; nil members stay.
type PreferenceChange struct {
	Language       *string
	Channels       map[string]bool // those named
	OptOut         *OptOut         // as a whole
	ReceiptChannel *string         // empty stops receipts
	Expected       *int            // the version that the change rests on
}

// Change applies c to p at now. A channel is switched on, and receipts sent to
// one, only where the customer agreed to be written to there.
// Errors: REVISION_CONFLICT, CONSENT_REQUIRED.
func (p Preferences) Change(c PreferenceChange, acts ConsentActs, now time.Time) (Preferences, error) {
	if c.Expected != nil && *c.Expected != p.Version {
		return p, fault.Field(fault.CodeRevisionConflict, "expected_version", "latest",
			"the preferences are at version %d; read them again and repeat the change", p.Version)
	}
	next := p
	next.Channels = make(map[string]bool, len(p.Channels)+len(c.Channels))
	for _, name := range Channels() {
		if on, ok := p.Channels[name]; ok {
			next.Channels[name] = on
		}
		on, ok := c.Channels[name]
		if !ok {
			continue
		}
		if on && !acts.Allow(ForMarketing, name) && !acts.Allow(ForReceipts, name) {
			return p, acts.Require(ForMarketing, name, "channels")
		}
		next.Channels[name] = on
	}
	if c.ReceiptChannel != nil {
		next.ReceiptChannel = *c.ReceiptChannel
		if next.ReceiptChannel != "" {
			if err := acts.Require(ForReceipts, next.ReceiptChannel, "receipt_channel"); err != nil {
				return p, err
			}
		}
	}
	if c.OptOut != nil {
		next.OptOut = OptOut{All: c.OptOut.All, Kinds: once(c.OptOut.Kinds), Categories: once(c.OptOut.Categories)}
	}
	if c.Language != nil {
		next.Language = *c.Language
	}
	next.Version, next.UpdatedAt = p.Version+1, &now
	return next, nil
}

// once is a list sorted, each value once; never nil.
func once(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return slices.Compact(out)
}

// CustomerEvent is one thing that a partner tells about a customer. Immutable.
type CustomerEvent struct {
	ID         string
	Tenant     tenancy.Tenant
	CustomerID string
	Type       string // the partner's own word, for example app.opened
	SessionID  string // empty outside of sessions
	Attributes json.RawMessage
	OccurredAt time.Time
	RecordedAt time.Time
}
