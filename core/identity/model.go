// Package identity is the one identity graph: customers, the credentials that
// lead to them, enrolment, and the single-use codes that pay. Resolving an
// identity never gives anything that can be spent (rules 1 and 2).
package identity

import (
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// State is how far a customer's phone is proven. It moves one way only:
// PENDING_PROOF to VERIFIED.
type State string

// The customer states.
const (
	PendingProof State = "PENDING_PROOF"
	Verified     State = "VERIFIED"
)

// Status is whether an identity may be used at all.
type Status string

// The customer statuses. Everything but Active looks up as not found (rule 10).
const (
	Active   Status = "active"
	Disabled Status = "disabled"
	Merged   Status = "merged"
	Erased   Status = "erased"
)

// Customer is a person at one merchant: unique per (merchant, E.164 phone);
// the same phone at another merchant is another customer (rule 35).
type Customer struct {
	ID         string
	Tenant     tenancy.Tenant
	Phone      string // E.164; empty once erased
	Name       string // empty where unknown
	Email      string // empty where unknown
	BirthDate  string // YYYY-MM-DD; empty where unknown
	State      State
	Status     Status
	Locale     string
	Tier       string // loyalty tier, empty where none
	MergedInto string // the customer that remains; empty unless Merged
	VerifiedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	// PhoneUsedAt is when the phone last identified the customer.
	PhoneUsedAt *time.Time
}

// Usable gives nil where the customer may be served, else NOT_FOUND: a
// disabled or erased identity reads as one that does not exist, and a merged one
// says where it went.
func (c Customer) Usable() error {
	if c.Status == Merged && c.MergedInto != "" {
		return fault.Field(fault.CodeNotFound, "customer", "merged", "this customer was merged into %s; use that id", c.MergedInto)
	}
	if c.Status != Active {
		return fault.NotFound("customer")
	}
	return nil
}

// Resolution is what a credential led to. Customer is nil where it led nowhere.
type Resolution struct {
	Customer *Customer
	// Via is the credential type that matched.
	Via CredentialType
	// Probationary is true where the link is not proven yet (rule 4); it never
	// moves money.
	Probationary bool
	// Colliding is true where the credential points at several customers: it
	// resolves to none of them (rule 5).
	Colliding bool
	// LinkID is the link that matched; empty for codes.
	LinkID string
	// CodeHash is set where a single-use code identified.
	CodeHash []byte
	// BoundSessionID is the session that the code is bound to; empty where it is free.
	BoundSessionID string
}

// MovesMoney gives nil where this identification may lead to a debit or credit
// without further proof of the credential, else IDENTITY_PROBATIONARY: a
// probationary or colliding link never moves money (rules 4 and 5).
func (r Resolution) MovesMoney() error {
	if r.Probationary || r.Colliding {
		return fault.Field(fault.CodeIdentityProbationary, "credential", "proven",
			"this credential is not proven to belong to the customer; pay with the customer's code, or verify the phone first")
	}
	return nil
}

// PaymentCode is a single-use code (qr or short_code). Only the SHA-256 of the
// value is stored (HashCode). Neither identify, nor a balance check, nor a
// decline uses one up; identifying a session with one binds it to that session;
// a payment uses it. Minting again leaves earlier ones usable, each once.
type PaymentCode struct {
	Hash           []byte
	Tenant         tenancy.Tenant
	CustomerID     string
	Type           CredentialType // QR or ShortCode
	ExpiresAt      time.Time
	UsedAt         *time.Time
	BoundSessionID string // empty where unbound
}

// Live gives nil where the code may still be used at now.
// Errors: CREDENTIAL_USED, CREDENTIAL_EXPIRED.
func (c PaymentCode) Live(now time.Time) error {
	switch {
	case c.UsedAt != nil:
		return fault.Field(fault.CodeCredentialUsed, "credential.value", "single_use", "this code has paid already; ask the customer for a new one")
	case !now.Before(c.ExpiresAt):
		return fault.Field(fault.CodeCredentialExpired, "credential.value", "unexpired", "this code is past its time; ask the customer for a new one")
	}
	return nil
}
