package identity

import (
	"strings"
	"time"

	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// LinkState says whether a link resolves.
type LinkState string

// The link states.
const (
	LinkActive    LinkState = "active"
	LinkColliding LinkState = "colliding" // points at several customers, resolves to none
	LinkUnlinked  LinkState = "unlinked"
)

// Link is one way a customer is recognised for good; codes are not links.
type Link struct {
	ID         string
	Tenant     tenancy.Tenant
	CustomerID string
	Type       CredentialType
	// Value is what the database keeps (Credential.Stored); empty where the
	// phone of the customer itself is the link.
	Value       string
	MaskedValue string
	Provider    string // who mints a provider_customer_id; empty where unknown
	Card        *LinkedCard
	State       LinkState
	// Probationary is true until the phone is proven (rule 4); set when read.
	Probationary bool
	LinkedAt     time.Time
	LastUsedAt   *time.Time
}

// LinkedCard is all that is kept of a card: never its number.
type LinkedCard struct {
	Scheme      string `json:"scheme"`
	FirstSix    string `json:"first_six,omitempty"`
	LastFour    string `json:"last_four"`
	ExpiryMonth int    `json:"expiry_month,omitempty"`
	ExpiryYear  int    `json:"expiry_year,omitempty"`
}

// Probationary reports whether a link of type t to a customer in state s is on
// probation: what a card's hash says is no proof until the phone is (rule 4).
// A code that Feddi minted counts as proven (rule 6), and a phone proves
// itself by the code that a payment sends to it.
func Probationary(t CredentialType, s State) bool {
	return s != Verified && (t == CardFingerprint || t == Card)
}

// PhoneLink is the customer's own phone as a link. Its id shares the unique
// part of the customer's, so that it needs no row of its own.
func (c Customer) PhoneLink() Link {
	return Link{
		ID: ids.Credential + "_" + strings.TrimPrefix(c.ID, ids.Customer+"_"), Tenant: c.Tenant, CustomerID: c.ID,
		Type: Phone, MaskedValue: MaskPhone(c.Phone), State: LinkActive, LinkedAt: c.CreatedAt, LastUsedAt: c.PhoneUsedAt,
	}
}
