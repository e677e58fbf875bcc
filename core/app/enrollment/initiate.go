package enrollment

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// InitiateInput names the phone to enrol.
type InitiateInput struct {
	Phone string // as the guest said it; normalised with the merchant's country
	// SessionID is the open session the guest stands in; empty outside of one.
	// Nothing happens to it now; verifying identifies it.
	SessionID string
	// ProviderCustomerID is kept and bound when the phone is verified (rule 29).
	ProviderCustomerID string
	Name               string // empty where unknown
}

// Validate checks the form of the provider's customer id. The phone is judged
// where the merchant's country is known.
func (in InitiateInput) Validate() error { return validProvider(in.ProviderCustomerID) }

func validProvider(id string) error {
	if id == "" {
		return nil
	}
	if err := (identity.Credential{Type: identity.ProviderCustomerID, Value: id}).Validate(); err != nil {
		return fault.Field(fault.CodeValidationFailed, "provider_customer_id", "length", "give 1 to 128 bytes that are not all blank")
	}
	return nil
}

// Initiated is the enrolment as it stands.
type Initiated struct {
	Customer identity.Customer
	// Created is true where the customer is new.
	Created bool
	// Enrollment is nil where the phone is verified already.
	Enrollment *identity.Enrollment
	// Proof is what the guest receives; nil where no new message was made. Only
	// the sandbox shows it.
	Proof *identity.Proof
}

// Initiate makes a PENDING_PROOF wallet and sends the link and the code. It
// moves no money and binds nothing (rule 29). A phone that is known already
// gives the customer there is (rule 35), and a new message only while it is
// unverified.
// Errors: VALIDATION_FAILED (phone), NOT_FOUND, SESSION_ENDED, STATE_CONFLICT,
// ATTEMPTS_EXHAUSTED.
func (s *Service) Initiate(ctx context.Context, call *app.Call, in InitiateInput) (Initiated, error) {
	if err := in.Validate(); err != nil {
		return Initiated{}, err
	}
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Initiated{}, err
	}
	if in.Phone, err = s.Identities.E164(in.Phone, m.Settings.Country, "phone"); err != nil {
		return Initiated{}, err
	}
	now := s.Clock.Now()
	out, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Initiated, error) {
		return s.initiate(ctx, st, call, m, in, now)
	})
	if err == nil && out.Proof != nil {
		s.send(ctx, call, m, out.Customer, *out.Enrollment, *out.Proof)
	}
	return out, err
}

func (s *Service) initiate(ctx context.Context, st app.Stores, call *app.Call, m tenancy.Merchant, in InitiateInput, now time.Time) (Initiated, error) {
	session, err := session(ctx, st, call.Tenant, in.SessionID, now)
	if err != nil {
		return Initiated{}, err
	}
	var out Initiated
	out.Customer, out.Created, err = st.Identity.Enrol(ctx, identity.Customer{
		ID: s.IDs.Make(ids.Customer), Tenant: call.Tenant, Phone: in.Phone, Name: in.Name, State: identity.PendingProof,
		Status: identity.Active, Locale: call.Locale, CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		return out, err
	}
	if session.CustomerID != "" && session.CustomerID != out.Customer.ID {
		return out, fault.Field(fault.CodeStateConflict, "session_id", "anonymous",
			"the session belongs to another customer; enrol this guest in a session of their own")
	}
	if out.Created {
		err = st.Ledger.OpenWallet(ctx, call.Tenant, out.Customer.ID, orElse(session.Currency, currency(m)))
	} else {
		err = s.welcomeBack(ctx, st, &out, in.Name, now)
	}
	if err != nil || out.Customer.State == identity.Verified {
		return out, err
	}
	return out, s.issue(ctx, st, call, &out, in, now)
}

// session reads the session of an enrolment; the zero value outside of one.
func session(ctx context.Context, st app.Stores, t tenancy.Tenant, id string, now time.Time) (checkout.Session, error) {
	if id == "" {
		return checkout.Session{}, nil
	}
	found, err := st.Checkout.Session(ctx, t, id)
	if err != nil {
		return checkout.Session{}, err
	}
	return found, found.Live(now)
}

// currency is the one that a wallet opens in outside of a session.
func currency(m tenancy.Merchant) string {
	if len(m.Settings.Currencies) == 0 {
		return "USD"
	}
	return m.Settings.Currencies[0]
}

// welcomeBack is what a known phone gets: its customer, with the name where
// none was known. A name that is known, or proven, is not overwritten by
// whoever stands at the till.
func (s *Service) welcomeBack(ctx context.Context, st app.Stores, out *Initiated, name string, now time.Time) error {
	if out.Customer.Usable() != nil {
		return blocked()
	}
	if name == "" || out.Customer.Name != "" || out.Customer.State == identity.Verified {
		return nil
	}
	out.Customer.Name, out.Customer.UpdatedAt = name, now
	return st.Identity.NameCustomer(ctx, out.Customer.Tenant, out.Customer.ID, name, now)
}

// issue makes a message: of the enrolment that is live, or of a new one. The
// caller holds the customer, so that one enrolment at most is live.
func (s *Service) issue(ctx context.Context, st app.Stores, call *app.Call, out *Initiated, in InitiateInput, now time.Time) error {
	latest, err := st.Identity.LatestEnrollment(ctx, call.Tenant, out.Customer.ID)
	if err != nil {
		return err
	}
	if latest == nil || !latest.Live(now) {
		return s.begin(ctx, st, out, in, now)
	}
	e, sent, err := latest.Repeat(call.Sandbox(), now)
	if err != nil {
		return err
	}
	e.SessionID = orElse(in.SessionID, e.SessionID)
	e.ProviderCustomerID = orElse(in.ProviderCustomerID, e.ProviderCustomerID)
	if sent {
		if out.Proof, err = s.proof(&e); err != nil {
			return err
		}
	}
	out.Enrollment = &e
	return st.Identity.SaveEnrollment(ctx, e)
}

func (s *Service) begin(ctx context.Context, st app.Stores, out *Initiated, in InitiateInput, now time.Time) error {
	n, oldest, err := st.Identity.EnrollmentsSince(ctx, out.Customer.Tenant, out.Customer.ID, now.Add(-identity.EnrollmentWindow))
	if err != nil {
		return err
	}
	if n >= identity.MaxDailyEnrollments {
		return fault.Field(fault.CodeAttemptsExhausted, "phone", "max_enrollments",
			"this phone began %d enrolments within a day and verified none; wait for Retry-After", n).
			After(oldest.Add(identity.EnrollmentWindow).Sub(now))
	}
	e := identity.Begin(s.IDs.Make(ids.Enrollment), out.Customer, now)
	e.SessionID, e.ProviderCustomerID = in.SessionID, in.ProviderCustomerID
	if out.Proof, err = s.proof(&e); err != nil {
		return err
	}
	out.Enrollment = &e
	if err := st.Identity.InsertEnrollment(ctx, e); err != nil {
		return err
	}
	return st.Events.Append(ctx, e.Initiated(s.IDs.Make(ids.Event), now))
}

// proof draws the code of e's current issue and sets its hash.
func (s *Service) proof(e *identity.Enrollment) (*identity.Proof, error) {
	p, hash, err := s.Proofs.New(s.IDs.Random, *e)
	e.CodeHash = hash
	return &p, err
}
