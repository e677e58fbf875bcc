// Package enrollment is the way from a phone number to a proven wallet:
// initiate, verify, resend, and the re-drive of what waits for the proof.
package enrollment

import (
	"context"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of enrolment.
type Service struct {
	UoW        app.UnitOfWork
	Clock      clock.Clock
	IDs        *ids.Source // its Random draws the codes
	Directory  tenancy.Directory
	Identities *identities.Service
	Proofs     identity.Proofs
	Sender     identity.Sender
}

// send hands the proof of e to the sender. What it proves is committed
// already, so a failure changes no answer: the sender reports it to the
// operator, and the guest asks for another message.
func (s *Service) send(ctx context.Context, call *app.Call, m tenancy.Merchant, c identity.Customer, e identity.Enrollment, p identity.Proof) {
	locale := call.Locale
	if locale == "" {
		locale = c.Locale
	}
	_ = s.Sender.Send(ctx, identity.Message{
		ID: e.ID + "." + strconv.Itoa(e.Issue), Kind: identity.MessageEnrollment, Tenant: e.Tenant, MerchantName: m.Name,
		To: c.Phone, Code: p.Code, Token: p.Token, Locale: locale, ExpiresAt: e.ExpiresAt,
	})
}

// Prove marks the customer's phone as proven by other means than an enrolment
// (the code of a payment), in the caller's transaction, with all that follows:
// eligible grants are released and events written. Proving again changes
// nothing. It takes the wallet's lock: call it before reading the wallet.
// Errors: NOT_FOUND.
func (s *Service) Prove(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string, now time.Time) error {
	_, err := s.prove(ctx, st, t, customerID, "", now)
	return err
}

// prove flips the customer to VERIFIED and releases what waited for it (rules
// 26 and 30).
func (s *Service) prove(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID, enrollmentID string, now time.Time) ([]ledger.Grant, error) {
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return nil, err
	}
	flipped, err := st.Identity.MarkVerified(ctx, t, customerID, now)
	if err != nil || !flipped {
		return nil, err
	}
	if err := st.Events.Append(ctx, identity.VerifiedEvent(t, customerID, enrollmentID, s.IDs.Make(ids.Event), now)); err != nil {
		return nil, err
	}
	return grants.Release(ctx, st, t, m.Settings.ClaimGate, customerID, now)
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func blocked() error {
	return fault.Field(fault.CodeStateConflict, "phone", "enrollable", "this phone cannot be enrolled here; refer the guest to the merchant's customer care")
}
