// Package messaging is the queue of messages to customers: what is to be sent,
// by which channel, and how it went. A message holds ids only; whom it goes to
// and what it says is read when it goes.
package messaging

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// State is where a message stands.
type State string

// The states of messages.
const (
	Queued    State = "queued"
	Sent      State = "sent"      // whoever delivers has taken it over
	Failed    State = "failed"    // it was refused, or a day was over
	Cancelled State = "cancelled" // the customer may not be written to any more
)

// Patience is how long a message is tried.
const Patience = 24 * time.Hour

// Message is one receipt on its way.
type Message struct {
	ID            string
	Tenant        tenancy.Tenant
	CustomerID    string
	TransactionID string
	Channel       string
	State         State
	Attempts      int
	Cause         string // in machine form; empty unless failed or cancelled
	DueAt         time.Time
	CreatedAt     time.Time
	EndedAt       *time.Time // nil while it is queued
}

// End is the message in a final state.
func (m Message) End(s State, cause string, now time.Time) Message {
	m.State, m.Cause, m.EndedAt = s, cause, &now
	return m
}

// Again says whether the message is tried again after a failure at now; else it
// has failed for good.
func (m Message) Again(now time.Time) bool { return now.Before(m.CreatedAt.Add(Patience)) }

// Store keeps messages.
type Store interface {
	// AddMessage writes a queued one.
	AddMessage(ctx context.Context, m Message) error
	// ClaimMessages leases up to limit queued ones of a mode that are due at now, so
	// that no other worker has them until they are due again: in a minute, then twice
	// as long with every attempt, an hour at most. Attempts counts it.
	// It serves the worker of all tenants.
	ClaimMessages(ctx context.Context, mode tenancy.Mode, now time.Time, limit int) ([]Message, error)
	// EndMessage writes the final state of a queued one; another's end stays.
	EndMessage(ctx context.Context, m Message) error
	// Message reads one. Errors: NOT_FOUND.
	Message(ctx context.Context, t tenancy.Tenant, id string) (Message, error)
}
