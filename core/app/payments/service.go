// Package payments is the wallet debit, the one way money leaves a wallet
// (rule 14): authorise, capture, read, and the balance check. Debits travel
// through the Pipeline, many at a time.
package payments

import (
	"context"
	"io"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of payments.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	Pipeline  *Pipeline
	// Resolve finds who a credential leads to; Customer nil where nobody.
	// Errors: UNSUPPORTED_CREDENTIAL_TYPE, CREDENTIAL_EXPIRED, CREDENTIAL_USED.
	Resolve func(ctx context.Context, st app.Stores, t tenancy.Tenant, c identity.Credential, now time.Time) (identity.Resolution, error)
	// Prove marks the customer's phone as proven, in the caller's transaction,
	// with everything that follows from it (released grants, events). Proving
	// again changes nothing.
	Prove func(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string, now time.Time) error
	// Guesses caps how many short codes may be tried in vain; the one that
	// identification counts with.
	Guesses *identities.Guesses
	// Messages takes one-time codes to customers in production.
	Messages CodeSender
	// Random is where one-time codes come from; crypto/rand.Reader.
	Random io.Reader
}

// CodeSender sends one-time codes of payments. It is called outside any
// transaction.
type CodeSender interface {
	// SendPaymentCode sends code to the customer's phone, naming the amount.
	// Errors: SUBSYSTEM_DEGRADED.
	SendPaymentCode(ctx context.Context, t tenancy.Tenant, customerID, code string, amountMinor int64, currency string) error
}

// Result is a payment as its caller sees it.
type Result struct {
	Payment ledger.Payment
	// Balance is the wallet after the payment, or now for a read.
	Balance ledger.Balance
	// SandboxCode is the one-time code, in the sandbox only.
	SandboxCode string
}

// AuthorizeInput asks for a debit.
type AuthorizeInput struct {
	SessionID   string // empty outside of sessions
	AmountMinor int64  // 1 to 10^12
	Currency    string
	Credential  identity.Credential
}

// Authorize debits the wallet that a single-use code leads to, or opens a
// payment that waits for a one-time code where the credential is a phone. All
// or nothing (rule 17); where funds are short nothing changes and the
// credential stays usable (rule 18).
// Errors: UNSUPPORTED_CREDENTIAL_TYPE, UNSUPPORTED_CURRENCY, NOT_FOUND,
// CREDENTIAL_EXPIRED, CREDENTIAL_USED, SESSION_ENDED, STATE_CONFLICT,
// CURRENCY_MISMATCH, AMOUNT_OUT_OF_RANGE, IDENTITY_PROBATIONARY,
// INSUFFICIENT_FUNDS, ATTEMPTS_EXHAUSTED, OVERLOADED, ACTUATOR_UNAVAILABLE,
// SUBSYSTEM_DEGRADED, DEADLINE_EXCEEDED.
func (s *Service) Authorize(ctx context.Context, call *app.Call, in AuthorizeInput) (Result, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Result{}, err
	}
	if err := credentialEnabled(m.Settings, in.Credential.Type); err != nil {
		return Result{}, err
	}
	if err := currencyEnabled(m.Settings, in.Currency); err != nil {
		return Result{}, err
	}
	if in.Credential.Type == identity.Phone {
		return s.open(ctx, call, m.Settings, in)
	}
	j := newJob(ctx, call, m.Settings)
	j.want = Want{Tenant: call.Tenant, CodeHash: identity.HashCode(call.Tenant, in.Credential), SessionID: in.SessionID}
	j.payment = ledger.Payment{
		SessionID: in.SessionID, AmountMinor: in.AmountMinor, Currency: in.Currency,
		CredentialType: string(in.Credential.Type),
	}
	return identities.Guarded(s.Guesses, call, in.Credential, s.Clock.Now(), paid, func() (Result, error) {
		return s.debit(ctx, call, j)
	})
}

// paid says of every result that its code exists.
func paid(Result) bool { return true }

// debit sends a job through the pipeline. A decline comes back to be recorded
// here: it is a transaction of its own, which the batch need not wait for.
func (s *Service) debit(ctx context.Context, call *app.Call, j *job) (Result, error) {
	switch done := s.Pipeline.submit(j); {
	case done.err != nil:
		return Result{}, done.err
	case done.declined != nil:
		return s.decline(ctx, call, done.declined)
	default:
		return *done.result, nil
	}
}

// credentialEnabled answers UNSUPPORTED_CREDENTIAL_TYPE for one that cannot
// pay (rule 20).
func credentialEnabled(set tenancy.Settings, kind identity.CredentialType) error {
	pays := kind == identity.QR || kind == identity.ShortCode || kind == identity.Phone
	for _, enabled := range set.CredentialTypes {
		if pays && enabled == string(kind) {
			return nil
		}
	}
	if pays && len(set.CredentialTypes) == 0 {
		return nil
	}
	return fault.Field(fault.CodeUnsupportedCredentialType, "credential.credential_type", "pays",
		"a credential of type %.32q cannot pay here; use qr, short_code or phone as GET /capabilities lists them", kind)
}

func currencyEnabled(set tenancy.Settings, currency string) error {
	for _, c := range set.Currencies {
		if c == currency {
			return nil
		}
	}
	return fault.Field(fault.CodeUnsupportedCurrency, "currency", "enabled",
		"%s is not enabled for this merchant; GET /capabilities lists the currencies that are", currency)
}
