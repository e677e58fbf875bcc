// Package event is the log of what happened. Every state change appends to it
// in its own transaction (the outbox); webhooks, polling and background
// decisions read it. Event data holds ids, never phone, name or e-mail, so
// that an erasure touches identity tables only.
package event

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Event is one thing that happened. Immutable.
type Event struct {
	ID      string // evt_...
	Tenant  tenancy.Tenant
	Type    string // one of the catalogue, for example "payment.succeeded"
	Subject string // the id that deliveries may be ordered by: customer, session, offer, ...
	At      time.Time
	// Data is a JSON object; what a webhook's "data" shows.
	Data json.RawMessage
	// TraceID is the decision trace behind it, where there is one.
	TraceID string
}

// Log appends events in the surrounding transaction.
type Log interface {
	// Append writes events in order. They become visible to readers when the
	// transaction commits, and never otherwise.
	Append(ctx context.Context, events ...Event) error
}
