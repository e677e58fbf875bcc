// Package idempotency keeps outcomes so that a retried call changes nothing
// and gets the same answer (rules 43 to 45). The record commits in the
// transaction that it describes; there is no window in between.
package idempotency

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// DefaultTTL is how long an outcome stays pinned.
const DefaultTTL = 24 * time.Hour

// Scope is the namespace of a key: REST and Connect share it.
type Scope struct {
	PartnerID string // "anonymous" where no credential is needed
	Mode      tenancy.Mode
	Operation string // operation id, for example "paymentAuthorize"
	Key       string // the UUID of the Idempotency-Key header, lower case
}

// Outcome is a pinned answer: every 2xx and every 402.
type Outcome struct {
	Status int // HTTP status on REST
	// Body is the encoded answer (a response message for 2xx, an error for
	// 402), sealed where it holds a secret. Opaque to core.
	Body []byte
}

// Record is an outcome with what it answers.
type Record struct {
	Scope
	// PayloadHash is SHA-256 of the decoded message without meta.request_id.
	PayloadHash [32]byte
	Outcome     Outcome
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Store keeps records.
type Store interface {
	// Find returns the live record of scope, or nil. An expired one does not count.
	Find(ctx context.Context, scope Scope, now time.Time) (*Record, error)
	// Claim inserts scope with its payload hash before the work starts, in the
	// surrounding transaction. It waits for a concurrent claim of the same
	// scope to end: then it returns that one's record (the caller must undo and
	// replay), or nil where this caller now holds the claim. Waiting longer
	// than a short bound gives fault.CodeIdempotencyInProgress.
	Claim(ctx context.Context, r Record, now time.Time) (*Record, error)
	// Settle writes the outcome of a claimed record, in the same transaction.
	Settle(ctx context.Context, scope Scope, o Outcome) error
	// Sweep deletes up to limit records that expired before now; returns how many.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
}
