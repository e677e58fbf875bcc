// Package identity is the one identity graph: customers, the credentials that
// lead to them, enrolment, and the single-use codes that pay. Resolving an
// identity never gives anything that can be spent (rules 1 and 2).
package identity

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// State is how far a customer's phone is proven.
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

// CredentialType tells the branches of the credential union apart.
type CredentialType string

// The credential types of the point-of-sale surface.
const (
	Phone              CredentialType = "phone"
	CardFingerprint    CredentialType = "card_fingerprint"
	ShortCode          CredentialType = "short_code"
	ProviderCustomerID CredentialType = "provider_customer_id"
	QR                 CredentialType = "qr"
)

// Credential is a value that identifies or pays.
type Credential struct {
	Type  CredentialType
	Value string
}

// Customer is a person at one merchant: unique per (merchant, E.164 phone);
// the same phone at another merchant is another customer (rule 35).
type Customer struct {
	ID         string
	Tenant     tenancy.Tenant
	Phone      string // E.164; empty once erased
	Name       string // empty where unknown
	State      State
	Status     Status
	Locale     string
	Tier       string // loyalty tier, empty where none
	VerifiedAt *time.Time
	CreatedAt  time.Time
}

// Resolution is what a credential led to. Customer is nil where it led nowhere.
type Resolution struct {
	Customer *Customer
	// Via is the credential type that matched.
	Via CredentialType
	// Probationary is true where the link is not proven yet (rule 4); it never
	// moves money.
	Probationary bool
	// CodeHash is set where a single-use code identified.
	CodeHash []byte
}

// PaymentCode is a single-use code (qr or short_code). Only the SHA-256 of the value is
// stored. Neither identify, nor a balance check, nor a decline uses one up;
// identifying a session with one binds it to that session; a payment uses it.
type PaymentCode struct {
	Hash           []byte
	Tenant         tenancy.Tenant
	CustomerID     string
	Type           CredentialType // QR or ShortCode
	ExpiresAt      time.Time
	UsedAt         *time.Time
	BoundSessionID string // empty where unbound
}
