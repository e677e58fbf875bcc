// Package identities finds who a credential leads to and what there is to know
// about them. Nothing it returns can be spent (rules 1 and 2).
package identities

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service resolves identities.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	Phones    identity.Phones
	// Guesses caps the guessing of short codes, wherever one is taken.
	Guesses Guesses
}

// Resolve finds the customer that a credential leads to, whichever kind it is
// (rule 3). Customer is nil where it leads nowhere: unknown here (rule 11),
// disabled (rule 10), or colliding (rule 5). Codes are not used up.
//
// Errors: UNSUPPORTED_CREDENTIAL_TYPE, VALIDATION_FAILED (a phone that cannot
// be a number, a fingerprint that is a card number), CREDENTIAL_EXPIRED,
// CREDENTIAL_USED.
func (s *Service) Resolve(ctx context.Context, st app.Stores, t tenancy.Tenant, c identity.Credential, now time.Time) (identity.Resolution, error) {
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return identity.Resolution{}, err
	}
	if err := c.Enabled(m.Settings.CredentialTypes); err != nil {
		return identity.Resolution{}, err
	}
	if err := c.Validate(); err != nil {
		return identity.Resolution{}, err
	}
	switch c.Type {
	case identity.Phone:
		return s.byPhone(ctx, st, t, c.Value, m.Settings.Country)
	case identity.QR, identity.ShortCode:
		return byCode(ctx, st, t, c, now)
	}
	return byLink(ctx, st, t, c)
}

// E164 normalises a phone with the merchant's country.
// Errors: VALIDATION_FAILED naming field.
func (s *Service) E164(number, country, field string) (string, error) {
	phone, err := s.Phones.E164(number, country)
	if err != nil {
		return "", fault.Field(fault.CodeValidationFailed, field, "phone", "%s; give an international number such as +14155550123", err)
	}
	return phone, nil
}

func (s *Service) byPhone(ctx context.Context, st app.Stores, t tenancy.Tenant, number, country string) (identity.Resolution, error) {
	r := identity.Resolution{Via: identity.Phone}
	phone, err := s.E164(number, country, "credential.value")
	if err != nil {
		return r, err
	}
	c, err := st.Identity.CustomerByPhone(ctx, t, phone)
	if err != nil || c == nil || c.Usable() != nil {
		return r, err
	}
	r.Customer, r.LinkID = c, c.PhoneLink().ID
	return r, nil
}

func byCode(ctx context.Context, st app.Stores, t tenancy.Tenant, c identity.Credential, now time.Time) (identity.Resolution, error) {
	r := identity.Resolution{Via: c.Type}
	hash := identity.HashCode(t, c)
	code, err := st.Identity.Code(ctx, t, hash)
	if err != nil || code == nil {
		return r, err
	}
	if err := code.Live(now); err != nil {
		return r, err
	}
	customer, err := st.Identity.Customer(ctx, t, code.CustomerID)
	if err != nil || customer.Usable() != nil {
		return r, err
	}
	r.Customer, r.CodeHash, r.BoundSessionID = &customer, hash, code.BoundSessionID
	return r, nil
}

func byLink(ctx context.Context, st app.Stores, t tenancy.Tenant, c identity.Credential) (identity.Resolution, error) {
	r := identity.Resolution{Via: c.Type}
	matches, err := st.Identity.Matches(ctx, t, c)
	if err != nil || len(matches) == 0 {
		return r, err
	}
	if len(matches) > 1 {
		r.Colliding = true // whoever it is, it is not for us to guess (rule 5)
		return r, nil
	}
	customer := matches[0].Customer
	if customer.Status != identity.Active {
		return r, nil
	}
	r.Customer, r.LinkID = &customer, matches[0].LinkID
	r.Probationary = identity.Probationary(c.Type, customer.State)
	return r, nil
}

// Bind ties the single-use code that identified a session to that session, in
// the caller's transaction; a resolution by anything else needs none. It also
// notes that the link has identified its customer.
// Errors: STATE_CONFLICT where another session has the code.
func Bind(ctx context.Context, st app.Stores, t tenancy.Tenant, r identity.Resolution, sessionID string, now time.Time) error {
	if r.CodeHash == nil {
		return Seen(ctx, st, t, r, now)
	}
	ok, err := st.Identity.BindCode(ctx, t, r.CodeHash, sessionID)
	if err != nil || ok {
		return err
	}
	return fault.Field(fault.CodeStateConflict, "credential.value", "bound_to_session",
		"this code identified another session and belongs to it; ask the customer for a new one")
}

// Seen notes that a link has identified its customer.
func Seen(ctx context.Context, st app.Stores, t tenancy.Tenant, r identity.Resolution, now time.Time) error {
	if r.Customer == nil || r.LinkID == "" {
		return nil
	}
	return st.Identity.Seen(ctx, t, r.Customer.ID, r.LinkID, now)
}
