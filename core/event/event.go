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

// Logged is an event with its place in the log.
type Logged struct {
	Event
	Cursor Cursor
}

// Log appends events in the surrounding transaction.
type Log interface {
	// Append writes events in order. They become visible to readers when the
	// transaction commits, and never otherwise.
	Append(ctx context.Context, events ...Event) error
	// About reads the first limit events about subjects, in the order of the log:
	// of sessions all, of payments and top-ups all but the debit.
	About(ctx context.Context, t tenancy.Tenant, subjects []string, limit int) ([]Event, error)
}

// Reader reads the log in commit-safe order: nothing it has passed can still
// appear behind it.
type Reader interface {
	// After returns up to limit events of all tenants behind c, oldest first.
	After(ctx context.Context, c Cursor, limit int) ([]Logged, error)
	// Poll returns up to limit events of one tenant behind c whose type matches
	// one of patterns (none means all), oldest first.
	Poll(ctx context.Context, t tenancy.Tenant, c Cursor, patterns []string, limit int) ([]Logged, error)
}

// Consumers keep how far each named consumer has come. One holder at a time
// reads for a consumer; the others wait for its lease to end.
type Consumers interface {
	// Lease takes or renews the lease of consumer for holder, until now+ttl,
	// and returns how far it has come. held is false where another holder has it.
	Lease(ctx context.Context, consumer, holder string, ttl time.Duration) (c Cursor, held bool, err error)
	// Advance stores that everything up to c is done. It changes nothing where
	// holder has lost the lease.
	Advance(ctx context.Context, consumer, holder string, c Cursor) error
	// Release ends the lease so that another holder can go on at once.
	Release(ctx context.Context, consumer, holder string) error
	// Park sets an event aside that consumer could not handle, for an operator.
	Park(ctx context.Context, consumer string, e Logged, cause string) error
}
