package enrollment

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// VerifyInput brings the code of an enrolment, or the token of its link.
type VerifyInput struct {
	EnrollmentID string // needed with Code; with Token it may be left out
	Code         string
	Token        string
	// ProviderCustomerID overrides the one given at initiate; may be empty.
	ProviderCustomerID string
}

// Validate checks that there is one proof (rule 32), and the form of the
// provider's customer id.
func (in VerifyInput) Validate() error {
	if (in.Code == "") == (in.Token == "") || in.Code != "" && in.EnrollmentID == "" {
		return fault.Field(fault.CodeValidationFailed, "code", "code_or_token", "give either enrollment_id with code, or verification_token")
	}
	return validProvider(in.ProviderCustomerID)
}

// VerifiedEnrollment is what a proof brought.
type VerifiedEnrollment struct {
	Enrollment identity.Enrollment
	Customer   identity.Customer
	Released   []ledger.Grant
	Balance    ledger.Balance
	// ProviderCustomerID is the one bound; empty where none was given.
	ProviderCustomerID string
}

// Verify proves the phone by the keyed code or by the signed token of the
// link. It flips the customer to VERIFIED, releases every grant whose claim
// gate is met, binds the provider's customer id (rule 31) and identifies the
// session of the enrolment, all in one transaction; when it fails none of this
// happened (rule 30).
//
// A wrong code is counted, in a transaction of its own, before the error is
// returned: that is the one thing a failed call leaves behind.
//
// Errors: NOT_FOUND, VERIFICATION_FAILED (with attempts_left in the details),
// ATTEMPTS_EXHAUSTED, CREDENTIAL_EXPIRED, CREDENTIAL_USED,
// CREDENTIAL_ALREADY_LINKED.
func (s *Service) Verify(ctx context.Context, call *app.Call, in VerifyInput) (VerifiedEnrollment, error) {
	if err := in.Validate(); err != nil {
		return VerifiedEnrollment{}, err
	}
	judge, id, err := s.judge(call.Tenant, in)
	if err != nil {
		return VerifiedEnrollment{}, err
	}
	now := s.Clock.Now()
	e, err := s.UoW.Read().Identity.Enrollment(ctx, call.Tenant, id)
	if err != nil {
		return VerifiedEnrollment{}, err
	}
	if _, err := judge(e, now); fault.Is(err, fault.CodeVerificationFailed) {
		if err := s.count(ctx, call.Tenant, id, judge, now); err != nil {
			return VerifiedEnrollment{}, err
		}
	}
	// Any other verdict is reached again below, after the idempotency key was
	// claimed: a repetition of the call that verified gets that call's answer.
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (VerifiedEnrollment, error) {
		return s.verify(ctx, st, e, in, judge, now)
	})
}

// verdict judges the proof of a call against an enrolment as it stands.
type verdict func(e identity.Enrollment, now time.Time) (identity.Enrollment, error)

// judge reads the proof: which enrolment it is for, and how to judge it.
// Errors: VERIFICATION_FAILED for a token that was not signed here.
func (s *Service) judge(t tenancy.Tenant, in VerifyInput) (verdict, string, error) {
	if in.Token == "" {
		return func(e identity.Enrollment, now time.Time) (identity.Enrollment, error) {
			return e.Try(s.Proofs.HashCode(e, in.Code), now)
		}, in.EnrollmentID, nil
	}
	ticket, err := s.Proofs.Open(t, in.Token)
	if err != nil || in.EnrollmentID != "" && in.EnrollmentID != ticket.EnrollmentID {
		return nil, "", fault.Field(fault.CodeVerificationFailed, "verification_token", "signed",
			"this is no verification token of this merchant and enrolment; use the link as it was received")
	}
	return func(e identity.Enrollment, now time.Time) (identity.Enrollment, error) {
		return e, e.Redeem(ticket, now)
	}, ticket.EnrollmentID, nil
}

// count takes an attempt for a wrong code and returns the verdict. The
// enrolment is locked meanwhile, so that guesses in parallel count one by one.
func (s *Service) count(ctx context.Context, t tenancy.Tenant, id string, judge verdict, now time.Time) error {
	var wrong error
	err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		e, err := st.Identity.LockEnrollment(ctx, t, id)
		if err != nil {
			return err
		}
		e, wrong = judge(e, now)
		if !fault.Is(wrong, fault.CodeVerificationFailed) {
			return nil
		}
		return st.Identity.SaveEnrollment(ctx, e)
	})
	if err != nil {
		return err
	}
	return wrong
}

// verify is the one transaction of rule 30. seen is the enrolment as it was
// read before; it is read again under its lock.
func (s *Service) verify(ctx context.Context, st app.Stores, seen identity.Enrollment, in VerifyInput, judge verdict, now time.Time) (VerifiedEnrollment, error) {
	t := seen.Tenant
	session, err := hold(ctx, st, t, seen.SessionID)
	if err != nil {
		return VerifiedEnrollment{}, err
	}
	var out VerifiedEnrollment
	if out.Customer, err = st.Identity.LockCustomer(ctx, t, seen.CustomerID); err != nil || out.Customer.Usable() != nil {
		return out, orNotFound(err)
	}
	e, err := st.Identity.LockEnrollment(ctx, t, seen.ID)
	if err != nil {
		return out, err
	}
	if e, err = judge(e, now); err != nil {
		return out, err
	}
	e.ProviderCustomerID = orElse(in.ProviderCustomerID, e.ProviderCustomerID)
	out.Enrollment, out.ProviderCustomerID = e.Prove(now), e.ProviderCustomerID
	if err := st.Identity.SaveEnrollment(ctx, out.Enrollment); err != nil {
		return out, err
	}
	if out.Released, err = s.prove(ctx, st, t, e.CustomerID, e.ID, now); err != nil {
		return out, err
	}
	if err := s.bind(ctx, st, e, now); err != nil {
		return out, err
	}
	if err := s.identify(ctx, st, session, e, now); err != nil {
		return out, err
	}
	if out.Customer, err = st.Identity.Customer(ctx, t, e.CustomerID); err != nil {
		return out, err
	}
	b, err := st.Ledger.Balance(ctx, t, e.CustomerID)
	out.Balance = b.At(now)
	return out, err
}

func orNotFound(err error) error {
	if err == nil {
		err = fault.NotFound("enrollment")
	}
	return err
}

// hold locks the enrolment's session, which comes before the customer; nil
// where there is none (any more).
func hold(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (*checkout.Session, error) {
	if id == "" {
		return nil, nil
	}
	session, err := st.Checkout.Lock(ctx, t, id)
	if fault.Is(err, fault.CodeNotFound) {
		return nil, nil
	}
	return &session, err
}

// bind links the provider's customer id, so that it identifies later orders
// (rule 31).
func (s *Service) bind(ctx context.Context, st app.Stores, e identity.Enrollment, now time.Time) error {
	if e.ProviderCustomerID == "" {
		return nil
	}
	_, err := s.Identities.Link(ctx, st, identities.LinkInput{
		Tenant: e.Tenant, CustomerID: e.CustomerID, Now: now,
		Credential: identity.Credential{Type: identity.ProviderCustomerID, Value: e.ProviderCustomerID},
	})
	return err
}

// identify gives the guest's session its identity where it is still open and
// anonymous. A session that has ended or has become somebody else's stays as it
// is: the proof of the phone does not depend on what the till did meanwhile.
func (s *Service) identify(ctx context.Context, st app.Stores, session *checkout.Session, e identity.Enrollment, now time.Time) error {
	open := session != nil && session.Live(now) == nil
	if !open || session.CustomerID != "" {
		return nil
	}
	next, err := session.Attach(checkout.Identity{CustomerID: e.CustomerID, CredentialType: string(identity.Phone)}, false, now)
	if err != nil {
		return err
	}
	if _, err := st.Checkout.Save(ctx, next); err != nil {
		return err
	}
	return st.Events.Append(ctx, next.Identified(s.IDs.Make(ids.Event), now))
}
