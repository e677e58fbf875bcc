package ledger

import (
	"strings"
	"time"

	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// PaymentStatus is where a payment stands.
type PaymentStatus string

// The payment statuses. Only requires_capture and failed have debited nothing.
const (
	PaymentSucceeded         PaymentStatus = "succeeded"
	PaymentRequiresCapture   PaymentStatus = "requires_capture"
	PaymentVoided            PaymentStatus = "voided"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentFailed            PaymentStatus = "failed"
)

// Bounds of a one-time code.
const (
	MaxCodeAttempts = 5
	CodeLife        = 10 * time.Minute
)

// Payment is one debit of a wallet, or one that waits for the customer's code.
type Payment struct {
	ID            string
	Tenant        tenancy.Tenant
	CustomerID    string
	SessionID     string // empty outside of sessions
	TransactionID string // empty until there is one
	Status        PaymentStatus
	AmountMinor   int64
	Debit         Debit // empty until the debit
	RefundedMinor int64
	Currency      string
	// CredentialType is the kind of credential that paid.
	CredentialType string
	EntryID        string // empty until the debit
	tenancy.Place
	CashierID   string
	FailureCode string
	// Code guards a payment that requires capture; nil for others.
	Code       *Code
	CreatedAt  time.Time
	CapturedAt *time.Time
}

// Code is the one-time code of a payment that waits for it.
type Code struct {
	Hash      []byte // SHA-256 of payment id and code
	Attempts  int    // wrong ones so far
	ExpiresAt time.Time
}

// AttemptsLeft is how many wrong codes may still be tried.
func (c Code) AttemptsLeft() int { return max(MaxCodeAttempts-c.Attempts, 0) }

// TraceID is the decision trace of a payment's debit: it shares the unique
// part of the payment's id, so that either leads to the other without an index.
func TraceID(paymentID string) string {
	return ids.Trace + "_" + strings.TrimPrefix(paymentID, ids.Payment+"_")
}

// PaymentOfTrace is the payment whose debit a trace belongs to.
func PaymentOfTrace(traceID string) string {
	return ids.Payment + "_" + strings.TrimPrefix(traceID, ids.Trace+"_")
}
