// Package customers serves the cashier panel and mints the codes that
// customers pay with.
package customers

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of the customers area.
type Service struct {
	UoW        app.UnitOfWork
	Clock      clock.Clock
	IDs        *ids.Source // its Random draws the codes
	Directory  tenancy.Directory
	Identities *identities.Service
	// Draw draws a value as a QR code, an SVG document.
	Draw func(value string) (string, error)
	// Suggest decides the next offer of a summary; nil where nothing does.
	Suggest Suggest
}

// Status is what a look-up found.
type Status string

// The statuses of a look-up. All of them answer 200 (rule 9).
const (
	Registered          Status = "registered"
	PendingProof        Status = "pending_proof"
	NotFound            Status = "not_found"
	IdentifiedInSession Status = "identified_in_session"
)

// recentActivity is how many rows of activity the panel shows.
const recentActivity = 10

// LookupInput names a customer in exactly one way. The merchant is not among
// them: it is the credential's own (rule 12).
type LookupInput struct{ Phone, ProviderCustomerID, SessionID string }

// Validate checks that there is exactly one.
func (in LookupInput) Validate() error {
	given := 0
	for _, value := range []string{in.Phone, in.ProviderCustomerID, in.SessionID} {
		if value != "" {
			given++
		}
	}
	if given != 1 {
		return fault.Field(fault.CodeValidationFailed, "phone", "exactly_one", "give exactly one of phone, provider_customer_id and session_id")
	}
	return nil
}

// Panel is what the cashier sees. Context is nil for NotFound.
type Panel struct {
	Status   Status
	Context  *identities.CustomerContext
	Activity []identity.Activity // newest first
	// RegistrationAllowed says whether the panel may offer to register this
	// person; never for a disabled identity (rule 10).
	RegistrationAllowed bool
}

// Lookup reads a customer for the cashier panel (rules 9 to 13).
// Errors: VALIDATION_FAILED, NOT_FOUND (session).
func (s *Service) Lookup(ctx context.Context, call *app.Call, in LookupInput) (Panel, error) {
	if err := in.Validate(); err != nil {
		return Panel{}, err
	}
	st := s.UoW.Read()
	c, err := s.find(ctx, st, call.Tenant, in)
	if err != nil || c == nil || c.Usable() != nil {
		return Panel{Status: NotFound, RegistrationAllowed: c == nil}, err
	}
	found, err := s.Identities.ContextOf(ctx, st, call.Tenant, c.ID, s.Clock.Now())
	if err != nil {
		return Panel{}, err
	}
	activity, err := latest(ctx, st, *c)
	return Panel{Status: statusOf(in, *c), Context: &found, Activity: activity}, err
}

// latest is what the panel shows of a customer's activity.
func latest(ctx context.Context, st app.Stores, c identity.Customer) ([]identity.Activity, error) {
	return st.Identity.Activity(ctx, c.Tenant, identity.ActivityFilter{CustomerID: c.ID, Before: paging.First().At, Limit: recentActivity})
}

func statusOf(in LookupInput, c identity.Customer) Status {
	switch {
	case in.SessionID != "":
		return IdentifiedInSession
	case c.State == identity.Verified:
		return Registered
	}
	return PendingProof
}

// find returns the customer that is asked for, whatever their status; nil
// where there is none.
func (s *Service) find(ctx context.Context, st app.Stores, t tenancy.Tenant, in LookupInput) (*identity.Customer, error) {
	switch {
	case in.SessionID != "":
		return bySession(ctx, st, t, in.SessionID)
	case in.ProviderCustomerID != "":
		matches, err := st.Identity.Matches(ctx, t, identity.Credential{Type: identity.ProviderCustomerID, Value: in.ProviderCustomerID})
		if err != nil || len(matches) == 0 {
			return nil, err
		}
		return &matches[0].Customer, nil
	}
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return nil, err
	}
	phone, err := s.Identities.E164(in.Phone, m.Settings.Country, "phone")
	if err != nil {
		return nil, err
	}
	return st.Identity.CustomerByPhone(ctx, t, phone)
}

func bySession(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (*identity.Customer, error) {
	session, err := st.Checkout.Session(ctx, t, id)
	if err != nil || session.CustomerID == "" {
		return nil, err
	}
	c, err := identities.Served(ctx, st, t, session.CustomerID)
	if fault.Is(err, fault.CodeNotFound) && c.ID != "" { // known, and not to be served
		err = nil
	}
	return &c, err
}
