package payments

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// ErrStale says that a guard of a commit did not hold: a wallet, session, code
// or key that it rests on was changed by somebody else since it was read.
// Nothing was written; read and decide again.
var ErrStale = errors.New("payments: the books changed since they were read")

// Journal reads what many payments rest on and commits many payments, in one
// statement each, whatever their number. Wallets, sessions and keys are
// distinct within a batch; the pipeline sees to that.
type Journal interface {
	// Read answers every want in one consistent snapshot. State i answers want i.
	Read(ctx context.Context, wants []Want, now time.Time) ([]State, error)
	// Commit writes all postings or none. Errors: ErrStale; SUBSYSTEM_DEGRADED
	// and DEADLINE_EXCEEDED where it is not known to be written (the keys tell);
	// anything else means that something in the batch cannot be written.
	Commit(ctx context.Context, batch []Posting) error
}

// Want names what a payment rests on.
type Want struct {
	Tenant tenancy.Tenant
	// Scope is the idempotency scope; the zero value where the call has no key.
	Scope idempotency.Scope
	// LookUp asks whether the key has an outcome. A commit finds out anyway, so
	// that it is asked only where there is reason to.
	LookUp bool
	// CodeHash is the single-use code that pays; nil for a capture.
	CodeHash []byte
	// CustomerID and PaymentID are set for a capture: the payer is known.
	CustomerID, PaymentID string
	SessionID             string // empty outside of sessions
}

// State is what a payment rests on.
type State struct {
	// Where is the journal's own note of where it read this. It goes back with
	// the posting that is decided on it.
	Where any
	// Replay is the outcome that the key has already.
	Replay *idempotency.Record
	// Code is nil where no code has the hash.
	Code *identity.PaymentCode
	// Status is the status of the payment to capture; empty where there is none.
	Status ledger.PaymentStatus
	// Wallet is nil where the payer has none.
	Wallet *ledger.Wallet
	// Verified and Active tell about the payer.
	Verified, Active bool
	// Lots are the wallet's LOCKED and RELEASED lots, in spending order.
	Lots []ledger.Grant
	// Session is nil where there is none of that id. Only what a payment needs
	// is filled in.
	Session *checkout.Session
}

// Posting is one payment to commit, with everything that it changes.
type Posting struct {
	// Pin is the idempotency record with the response bytes; nil without a key.
	Pin *idempotency.Record
	// CodeHash is used up; nil for a capture.
	CodeHash []byte
	// Change is the wallet, its lots and the entry.
	Change *ledger.Change
	// Payment is new, or captured where it required capture.
	Payment ledger.Payment
	// Decision is the snapshot and the plan of the debit as they were proven,
	// written by core/actuation/record.
	Decision []byte
	// Session is as it is after, Version as read; nil outside of sessions.
	Session *checkout.Session
	Events  []event.Event
	// At is when it was decided: the time of everything that it writes.
	At time.Time
	// Where is that of the state this was decided on.
	Where any
}
