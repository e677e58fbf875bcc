package identity

import (
	"crypto/hmac"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// The limits of an enrolment. They hold in the sandbox too.
const (
	// MaxAttempts is how many wrong codes an enrolment bears; a new message
	// gives none back.
	MaxAttempts = 5
	// MaxResends is how often its message may be sent again (rule 33).
	MaxResends = 5
	// ResendInterval is the least time between two resends (rule 33).
	ResendInterval = 30 * time.Second
	// ProofTTL is the life of a code and its link.
	ProofTTL = 10 * time.Minute
	// MaxDailyEnrollments is how many enrolments one customer may begin within
	// EnrollmentWindow: with MaxAttempts it bounds the codes that can be guessed
	// at one phone to 50 a day, out of a million.
	MaxDailyEnrollments = 10
	// EnrollmentWindow is what MaxDailyEnrollments counts over.
	EnrollmentWindow = 24 * time.Hour
)

// Enrollment is one attempt to prove a phone. State goes from PendingProof to
// Verified, once.
type Enrollment struct {
	ID         string
	Tenant     tenancy.Tenant
	CustomerID string
	SessionID  string // the session the guest stands in; empty outside of one
	// ProviderCustomerID waits here until the phone is proven (rule 29).
	ProviderCustomerID string
	State              State
	// Issue counts the messages made; only the latest one's code and link hold.
	Issue        int
	CodeHash     []byte
	AttemptsLeft int
	ResendsLeft  int
	SentAt       time.Time  // when the latest message was made
	ResentAt     *time.Time // when it was last sent again on request
	ExpiresAt    time.Time  // of the latest code and link
	CreatedAt    time.Time
	VerifiedAt   *time.Time
}

// Begin starts an enrolment with its first message; its proof is still to be set.
func Begin(id string, c Customer, now time.Time) Enrollment {
	return Enrollment{
		ID: id, Tenant: c.Tenant, CustomerID: c.ID, State: PendingProof, Issue: 1, AttemptsLeft: MaxAttempts,
		ResendsLeft: MaxResends, SentAt: now, ExpiresAt: now.Add(ProofTTL), CreatedAt: now,
	}
}

// Live reports whether a code of the enrolment is out at now.
func (e Enrollment) Live(now time.Time) bool {
	return e.State == PendingProof && now.Before(e.ExpiresAt)
}

// renew makes the next message; the earlier code and link end.
func (e Enrollment) renew(now time.Time) Enrollment {
	e.Issue++
	e.SentAt, e.ExpiresAt = now, now.Add(ProofTTL)
	return e
}

// Repeat is what beginning again does to an enrolment that is live: a new
// message where one may go out, which uses up a resend. Where none may (the
// last one is younger than ResendInterval, or the resends are used up) sent is
// false and the earlier code stays good. In the sandbox no message reaches
// anybody, so that there is always a new one and it costs nothing.
// Errors: ATTEMPTS_EXHAUSTED.
func (e Enrollment) Repeat(sandbox bool, now time.Time) (_ Enrollment, sent bool, err error) {
	switch {
	case e.AttemptsLeft == 0:
		return e, false, e.exhausted(now)
	case sandbox:
		return e.renew(now), true, nil
	case e.ResendsLeft == 0 || now.Sub(e.SentAt) < ResendInterval:
		return e, false, nil
	}
	e.ResendsLeft--
	return e.renew(now), true, nil
}

// Resend makes a new message on request, at most MaxResends times and
// ResendInterval apart (rule 33).
// Errors: STATE_CONFLICT (verified), ATTEMPTS_EXHAUSTED, RATE_LIMITED.
func (e Enrollment) Resend(now time.Time) (Enrollment, error) {
	switch {
	case e.State == Verified:
		return e, fault.Field(fault.CodeStateConflict, "enrollment_id", "pending", "the phone is verified already; there is nothing to send")
	case e.AttemptsLeft == 0:
		return e, e.exhausted(now)
	case e.ResendsLeft == 0:
		return e, fault.Field(fault.CodeAttemptsExhausted, "enrollment_id", "max_resends",
			"the message was sent %d times; begin a new enrolment once this one's code has expired", 1+MaxResends).After(e.remaining(now))
	case now.Before(e.nextResend()):
		return e, fault.Field(fault.CodeRateLimited, "enrollment_id", "resend_interval",
			"the message was sent again a moment ago; wait for Retry-After").After(e.nextResend().Sub(now))
	}
	e.ResendsLeft--
	e = e.renew(now)
	e.ResentAt = &now
	return e, nil
}

// nextResend is the earliest time of the next resend; the first one is free.
func (e Enrollment) nextResend() time.Time {
	if e.ResentAt == nil {
		return e.SentAt
	}
	return e.ResentAt.Add(ResendInterval)
}

// NextResendAt is from when on the message can be sent again; nil where it can't.
func (e Enrollment) NextResendAt() *time.Time {
	if e.State == Verified || e.AttemptsLeft == 0 || e.ResendsLeft == 0 {
		return nil
	}
	at := e.nextResend()
	return &at
}

// Try judges a keyed code by its hash. The enrolment that comes back has the
// attempt counted where the code was wrong, and must be kept also then.
// Errors: CREDENTIAL_USED, CREDENTIAL_EXPIRED, ATTEMPTS_EXHAUSTED,
// VERIFICATION_FAILED with the attempts left.
func (e Enrollment) Try(codeHash []byte, now time.Time) (Enrollment, error) {
	if err := e.open("code", now); err != nil {
		return e, err
	}
	if e.AttemptsLeft == 0 {
		return e, e.exhausted(now)
	}
	if hmac.Equal(e.CodeHash, codeHash) {
		return e, nil
	}
	e.AttemptsLeft--
	return e, WrongCode(e.AttemptsLeft)
}

// WrongCode says that a keyed code is wrong and how many more may be tried.
func WrongCode(attemptsLeft int) error {
	return fault.Field(fault.CodeVerificationFailed, "code", "matches", "the code is wrong; ask the customer to read it again").
		With("attempts_left", "remaining", strconv.Itoa(attemptsLeft))
}

// Redeem judges a signed token: it must be of the latest message. Wrong codes
// do not count against it, as a signature cannot be guessed.
// Errors: CREDENTIAL_USED, CREDENTIAL_EXPIRED.
func (e Enrollment) Redeem(ticket Ticket, now time.Time) error {
	if err := e.open("verification_token", now); err != nil {
		return err
	}
	if ticket.Issue != e.Issue || !now.Before(ticket.ExpiresAt) {
		return fault.Field(fault.CodeCredentialExpired, "verification_token", "latest", "a later message replaced this link; use the latest one")
	}
	return nil
}

// open gives nil while the enrolment's latest proof is out.
func (e Enrollment) open(field string, now time.Time) error {
	switch {
	case e.State == Verified:
		return fault.Field(fault.CodeCredentialUsed, field, "single_use", "this enrolment is verified already; identify the customer by the phone")
	case !e.Live(now):
		return fault.Field(fault.CodeCredentialExpired, field, "unexpired", "the code and link have expired; send a new message")
	}
	return nil
}

// Prove ends the enrolment with success.
func (e Enrollment) Prove(now time.Time) Enrollment {
	e.State, e.VerifiedAt, e.CodeHash = Verified, &now, nil
	return e
}

func (e Enrollment) exhausted(now time.Time) error {
	return fault.Field(fault.CodeAttemptsExhausted, "enrollment_id", "max_attempts",
		"%d wrong codes were tried; wait for Retry-After and begin a new enrolment", MaxAttempts).After(e.remaining(now))
}

// remaining is how long the latest code would still hold, at least a second.
func (e Enrollment) remaining(now time.Time) time.Duration {
	return max(e.ExpiresAt.Sub(now), time.Second)
}
