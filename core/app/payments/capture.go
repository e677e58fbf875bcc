package payments

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// CaptureInput is the customer's code.
type CaptureInput struct {
	PaymentID string
	Code      string
}

// Capture debits a payment that waits for its one-time code (rule 21). A right
// code also proves the phone of a customer who was not verified, whatever
// becomes of the debit. A wrong code debits nothing and counts; after
// MaxCodeAttempts the payment fails.
// Errors: NOT_FOUND, STATE_CONFLICT, CREDENTIAL_EXPIRED, SESSION_ENDED,
// VERIFICATION_FAILED, ATTEMPTS_EXHAUSTED, and those of the debit as for
// Authorize.
func (s *Service) Capture(ctx context.Context, call *app.Call, in CaptureInput) (Result, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Result{}, err
	}
	now := s.Clock.Now()
	p, err := s.waiting(ctx, call.Tenant, in.PaymentID, now)
	if err != nil {
		return Result{}, err
	}
	if err := s.attempt(ctx, p, in.Code, now); err != nil {
		return Result{}, err
	}
	err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		if err := st.Ledger.ReturnAttempt(ctx, p.Tenant, p.ID); err != nil {
			return err
		}
		return s.Prove(ctx, st, p.Tenant, p.CustomerID, now)
	})
	if err != nil {
		return Result{}, err
	}
	j := newJob(ctx, call, m.Settings)
	j.payment = p
	j.want = Want{Tenant: p.Tenant, CustomerID: p.CustomerID, PaymentID: p.ID, SessionID: p.SessionID}
	return s.debit(ctx, call, j)
}

// waiting reads a payment that may be captured now.
func (s *Service) waiting(ctx context.Context, t tenancy.Tenant, id string, now time.Time) (ledger.Payment, error) {
	st := s.UoW.Read()
	p, err := st.Ledger.Payment(ctx, t, id)
	if err != nil {
		return p, err
	}
	switch {
	case p.Status == ledger.PaymentFailed && p.FailureCode == string(fault.CodeAttemptsExhausted):
		return p, exhausted()
	case p.Code == nil || p.Status != ledger.PaymentRequiresCapture:
		return p, capturable(p.Status)
	case !now.Before(p.Code.ExpiresAt):
		return p, fault.Field(fault.CodeCredentialExpired, "code", "live", "the code is past its time; authorise the payment again")
	}
	session, err := sessionOf(ctx, st, t, p.SessionID)
	if err != nil || session == nil {
		return p, err
	}
	return p, session.Live(now)
}

// attempt judges a code. It is counted before it is compared, so that guesses
// made side by side count like guesses in a row.
func (s *Service) attempt(ctx context.Context, p ledger.Payment, code string, now time.Time) error {
	left, ok, err := s.UoW.Read().Ledger.TakeAttempt(ctx, p.Tenant, p.ID)
	switch {
	case err != nil:
		return err
	case ok && subtle.ConstantTimeCompare(codeHash(p.ID, code), p.Code.Hash) == 1:
		return nil
	case ok && left > 0:
		return fault.Field(fault.CodeVerificationFailed, "code", "right_code", "the code is wrong; %d attempts are left", left).
			With("attempts_left", "count", fmt.Sprint(left))
	}
	return s.exhaust(ctx, p, now)
}

// exhaust fails a payment whose attempts are used up.
func (s *Service) exhaust(ctx context.Context, p ledger.Payment, now time.Time) error {
	err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		failed, err := st.Ledger.FailPayment(ctx, p.Tenant, p.ID, string(fault.CodeAttemptsExhausted))
		if err != nil || !failed {
			return err
		}
		p.Status, p.FailureCode = ledger.PaymentFailed, string(fault.CodeAttemptsExhausted)
		return st.Events.Append(ctx, p.Event(s.IDs.Make(ids.Event), ledger.EventPaymentFailed, now))
	})
	if err != nil {
		return err
	}
	return exhausted()
}

func exhausted() error {
	return fault.New(fault.CodeAttemptsExhausted, "too many wrong codes: the payment failed; authorise it again").After(time.Minute)
}
