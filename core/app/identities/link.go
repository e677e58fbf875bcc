package identities

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// LinkInput is a credential to link to a customer.
type LinkInput struct {
	Tenant     tenancy.Tenant
	CustomerID string
	Credential identity.Credential
	Provider   string // who mints a provider_customer_id; may be empty
	Card       *identity.LinkedCard
	Now        time.Time
}

// Validate checks that the type can be linked and the value's form.
func (in LinkInput) Validate() error {
	switch in.Credential.Type {
	case identity.CardFingerprint, identity.ProviderCustomerID, identity.Card, identity.ClientRecipientID:
		return in.Credential.Validate()
	}
	return fault.Field(fault.CodeUnsupportedCredentialType, "credential.credential_type", "linkable",
		"a credential of this type cannot be linked; link a card_fingerprint or a provider_customer_id")
}

// Link links a credential to a customer, in the caller's transaction, and
// tells of it. One that the customer has already changes nothing. A card
// fingerprint that leads to somebody else too is linked all the same, and
// collides: it resolves to neither and moves nothing (rule 5).
// Errors: UNSUPPORTED_CREDENTIAL_TYPE, VALIDATION_FAILED,
// CREDENTIAL_ALREADY_LINKED.
func (s *Service) Link(ctx context.Context, st app.Stores, in LinkInput) (identity.Link, error) {
	if err := in.Validate(); err != nil {
		return identity.Link{}, err
	}
	l, created, err := st.Identity.AddLink(ctx, identity.Link{
		ID: s.IDs.Make(ids.Credential), Tenant: in.Tenant, CustomerID: in.CustomerID, Type: in.Credential.Type,
		Value: in.Credential.Stored(), MaskedValue: in.Credential.Masked(), Provider: in.Provider, Card: in.Card, LinkedAt: in.Now,
	})
	if err != nil || !created {
		return l, err
	}
	return l, st.Events.Append(ctx, l.Linked(s.IDs.Make(ids.Event), in.Now))
}
