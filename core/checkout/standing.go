package checkout

import (
	"time"

	"github.com/feddi/feddi/core/fault"
)

// Status is where a sale stands.
type Status string

// The statuses. Voids and refunds are records beside the transaction.
const (
	Completed         Status = "completed"
	PartiallyRefunded Status = "partially_refunded"
	Refunded          Status = "refunded"
	Voided            Status = "voided"
)

// Standing is what went back of a sale since it was made.
type Standing struct {
	RefundedMinor int64      // by refunds; what a void took back is not in it
	VoidedAt      *time.Time // nil unless it was voided
}

// Status is where the sale stands. A sale that other tenders paid in part is
// refunded when the whole of its total was.
func (t Transaction) Status() Status {
	switch {
	case t.Standing.VoidedAt != nil:
		return Voided
	case t.Standing.RefundedMinor == 0:
		return Completed
	case t.Standing.RefundedMinor < t.TotalMinor:
		return PartiallyRefunded
	}
	return Refunded
}

// LeftMinor is what of the total was not given back.
func (t Transaction) LeftMinor() int64 {
	if t.Status() == Voided {
		return 0
	}
	return t.TotalMinor - t.Standing.RefundedMinor
}

// Voidable gives nil where the sale may be voided. Errors: STATE_CONFLICT.
func (t Transaction) Voidable() error {
	if t.Standing.VoidedAt == nil {
		return nil
	}
	return fault.Field(fault.CodeStateConflict, "transaction_id", "not_voided",
		"the sale was voided already, at %s", t.Standing.VoidedAt.UTC().Format(time.RFC3339))
}

// ReversalKind is what kind of thing a void took back.
type ReversalKind string

// The kinds of reversal.
const (
	ReversalPayment  ReversalKind = "payment"
	ReversalCashback ReversalKind = "cashback"
	ReversalPoints   ReversalKind = "points"
	ReversalOffer    ReversalKind = "offer"
)

// Reversal is one thing that a void took back.
type Reversal struct {
	Type        ReversalKind `json:"type"`
	ReferenceID string       `json:"reference_id"` // a payment, a grant, the transaction for points, an application
	// AmountMinor is what was given or taken back, in minor units (points for
	// points); an offer's is what returned to its budget.
	AmountMinor int64 `json:"amount_minor"`
	// ForfeitedMinor is promotional credit that could not go back to its lot,
	// which was clawed back since.
	ForfeitedMinor int64 `json:"forfeited_promo_minor,omitempty"`
	// UnrecoveredMinor is what the sale had given and could not be taken back:
	// it was spent, or ended, before. It is never taken from actual money.
	UnrecoveredMinor int64  `json:"unrecovered_minor,omitempty"`
	EntryID          string `json:"entry_id,omitempty"` // the contra entry; empty where no money moved
}

// Void is the record, beside a transaction, of its being undone.
type Void struct {
	TransactionID string
	Reversals     []Reversal
	Reason        string // may be empty
	ActorID       string // the key or terminal that asked
	At            time.Time
}
