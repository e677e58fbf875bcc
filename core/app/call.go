// Package app holds what every use case shares: the call it answers, the
// stores it may touch, the unit of work, and the idempotent mutation. The use
// cases themselves live in one package per area below it.
package app

import (
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/tenancy"
)

// Call is who asks, for whom, where, and how the answer is to be pinned.
// Adapters make it after verifying the credential; use cases only read it.
type Call struct {
	// Operation is the operation id, for example "paymentAuthorize".
	Operation string
	Actor     tenancy.Actor
	// Tenant is the verified boundary of this call: Tenant.MerchantID is always
	// one that Actor is authorised for (empty for operations without merchant).
	Tenant tenancy.Tenant
	// Where the call happens; verified to belong to the merchant where given.
	BrandID, BranchID, TerminalID string
	CashierID, Locale             string
	RequestID                     string
	APIVersion                    string
	// Pin is how the outcome is stored; nil for reads.
	Pin *Pin
	// Status is the HTTP status of a success that differs from the operation's
	// ordinary one; 0 where it does not. Written by the adapter's encoder only.
	Status int
}

// Sandbox reports whether the call runs on test data.
func (c *Call) Sandbox() bool { return c.Actor.Mode == tenancy.Sandbox }

// Pin is the idempotency of one call: its scope, the hash of its payload, and
// how its outcome is encoded.
type Pin struct {
	Scope       idempotency.Scope
	PayloadHash [32]byte
	TTL         time.Duration // 0 means idempotency.DefaultTTL
	// Encode turns a use case's result, or the 402 fault that declined it, into
	// the outcome to store. Exactly one of the two is given. Set by the adapter.
	Encode func(result any, declined *fault.Error) (idempotency.Outcome, error)
}

// Record is the idempotency record of the pinned outcome.
func (p *Pin) Record(now time.Time) idempotency.Record {
	ttl := p.TTL
	if ttl == 0 {
		ttl = idempotency.DefaultTTL
	}
	return idempotency.Record{Scope: p.Scope, PayloadHash: p.PayloadHash, CreatedAt: now, ExpiresAt: now.Add(ttl)}
}

// Replay is returned, as an error, by a use case whose call turns out to have
// an outcome already (a concurrent call with the same key won). The door
// answers with the stored outcome.
type Replay struct{ Record idempotency.Record }

// Error implements error.
func (*Replay) Error() string { return "idempotent replay" }

// Check judges a found record against this call: another payload gives
// IDEMPOTENCY_KEY_REUSED, the same one a *Replay.
func (p *Pin) Check(found idempotency.Record) error {
	if found.PayloadHash != p.PayloadHash {
		return fault.Field(fault.CodeIdempotencyKeyReused, "Idempotency-Key", "one_key_one_operation",
			"this Idempotency-Key was used for another payload; use a new UUID for a new operation")
	}
	return &Replay{Record: found}
}
