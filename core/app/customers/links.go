package customers

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
)

// LinkInput is a credential to link.
type LinkInput struct {
	CustomerID string
	Credential identity.Credential
	Provider   string // who mints a provider_customer_id; may be empty
}

// Validate checks that a provider is named only for what one mints.
func (in LinkInput) Validate() error {
	if in.Provider != "" && in.Credential.Type != identity.ProviderCustomerID {
		return fault.Field(fault.CodeValidationFailed, "provider", "provider_customer_id_only",
			"provider says who mints a provider_customer_id; leave it out for a %s", in.Credential.Type)
	}
	return nil
}

// Link links a credential to a customer for good. A card fingerprint is on
// probation until the phone is proven (rule 4), and one that leads to somebody
// else too is linked, collides and resolves to neither (rule 5). Linking again
// changes nothing. Errors: NOT_FOUND, UNSUPPORTED_CREDENTIAL_TYPE,
// VALIDATION_FAILED, CREDENTIAL_ALREADY_LINKED.
func (s *Service) Link(ctx context.Context, call *app.Call, in LinkInput) (identity.Link, error) {
	if err := in.Validate(); err != nil {
		return identity.Link{}, err
	}
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return identity.Link{}, err
	}
	if err := in.Credential.Enabled(m.Settings.CredentialTypes); err != nil {
		return identity.Link{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identity.Link, error) {
		c, err := held(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return identity.Link{}, err
		}
		l, err := s.Identities.Link(ctx, st, identities.LinkInput{
			Tenant: call.Tenant, CustomerID: c.ID, Credential: in.Credential, Provider: in.Provider, Now: now,
		})
		l.Probationary = identity.Probationary(l.Type, c.State)
		return l, err
	})
}

// UnlinkInput names the link to remove, and why.
type UnlinkInput struct{ CustomerID, LinkID, Reason string }

// Unlink removes a link: it stops identifying at once, and its record stays.
// The phone is not a link that can go; it is the identity itself.
// Errors: NOT_FOUND, STATE_CONFLICT (the phone; removed already).
func (s *Service) Unlink(ctx context.Context, call *app.Call, in UnlinkInput) (identity.Link, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identity.Link, error) {
		c, err := held(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return identity.Link{}, err
		}
		if in.LinkID == c.PhoneLink().ID {
			return identity.Link{}, fault.Field(fault.CodeStateConflict, "credential_id", "not_the_phone",
				"the phone is the identity itself and cannot be unlinked; disable the customer, or erase them")
		}
		l, err := st.Identity.Unlink(ctx, call.Tenant, c.ID, in.LinkID, in.Reason, now)
		if err != nil {
			return identity.Link{}, err
		}
		if l == nil {
			return identity.Link{}, gone(ctx, st, c, in.LinkID)
		}
		l.Probationary = identity.Probationary(l.Type, c.State)
		return *l, st.Events.Append(ctx, l.Linked(s.IDs.Make(ids.Event), now))
	})
}

// gone tells a link that was removed before from one that never was.
func gone(ctx context.Context, st app.Stores, c identity.Customer, linkID string) error {
	links, err := st.Identity.LinksEver(ctx, c.Tenant, c.ID)
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.ID == linkID {
			return fault.Field(fault.CodeStateConflict, "credential_id", "linked", "the link was removed already; there is nothing to do")
		}
	}
	return fault.NotFound("credential")
}
