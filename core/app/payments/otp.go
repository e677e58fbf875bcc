package payments

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// maxOpenCodes bounds the payments of one customer that wait for a code, or
// failed for want of the right one, within the life of a code: each gives
// MaxCodeAttempts guesses.
const maxOpenCodes = 5

// open makes a payment that waits for the customer's one-time code. Nothing is
// debited and no funds are reserved; they are looked at when the code comes.
func (s *Service) open(ctx context.Context, call *app.Call, set tenancy.Settings, in AuthorizeInput) (Result, error) {
	now := s.Clock.Now()
	if err := s.replayed(ctx, call, now); err != nil {
		return Result{}, err
	}
	p, err := s.draft(ctx, call, set, in, now)
	if err != nil {
		return Result{}, err
	}
	code, err := identity.NewDigits(s.Random)
	if err != nil {
		return Result{}, err
	}
	p.Code = &ledger.Code{Hash: codeHash(p.ID, code), ExpiresAt: now.Add(ledger.CodeLife)}
	// Before the commit: a code for a payment that then fails does no harm, a
	// payment whose code never went out would.
	if !call.Sandbox() {
		if err := s.Messages.SendPaymentCode(ctx, p.Tenant, p.CustomerID, code, p.AmountMinor, p.Currency); err != nil {
			return Result{}, err
		}
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Result, error) {
		if err := st.Ledger.InsertPayment(ctx, p); err != nil {
			return Result{}, err
		}
		if err := st.Events.Append(ctx, p.Event(s.IDs.Make(ids.Event), ledger.EventPaymentAuthorized, now)); err != nil {
			return Result{}, err
		}
		b, err := st.Ledger.Balance(ctx, p.Tenant, p.CustomerID)
		r := Result{Payment: p, Balance: b.At(now)}
		if call.Sandbox() {
			r.SandboxCode = code
		}
		return r, err
	})
}

// replayed looks for an outcome of the call's key before anything is judged.
func (s *Service) replayed(ctx context.Context, call *app.Call, now time.Time) error {
	if call.Pin == nil {
		return nil
	}
	found, err := s.UoW.Read().Idempotency.Find(ctx, call.Pin.Scope, now)
	if err != nil || found == nil {
		return err
	}
	return call.Pin.Check(*found)
}

// draft checks what can be known before the code: the payer, the session and
// the amount, in the contract's order.
func (s *Service) draft(ctx context.Context, call *app.Call, set tenancy.Settings, in AuthorizeInput, now time.Time) (ledger.Payment, error) {
	st, t := s.UoW.Read(), call.Tenant
	who, err := s.Resolve(ctx, st, t, in.Credential, now)
	if err != nil {
		return ledger.Payment{}, err
	}
	if who.Customer == nil || who.Customer.Status != identity.Active {
		return ledger.Payment{}, fault.NotFound("credential")
	}
	p := ledger.Payment{
		ID: s.IDs.Make(ids.Payment), Tenant: t, CustomerID: who.Customer.ID, SessionID: in.SessionID,
		Status: ledger.PaymentRequiresCapture, AmountMinor: in.AmountMinor, Currency: in.Currency,
		CredentialType: string(in.Credential.Type), CashierID: call.CashierID, CreatedAt: now,
		Place: tenancy.Place{BrandID: call.BrandID, BranchID: call.BranchID, TerminalID: call.TerminalID},
	}
	b, err := st.Ledger.Balance(ctx, t, p.CustomerID)
	if err != nil {
		return p, err
	}
	session, err := sessionOf(ctx, st, t, in.SessionID)
	if err != nil {
		return p, err
	}
	if err := checkSession(session, p, p.CustomerID, now); err != nil {
		return p, err
	}
	if err := checkAmount(session, p, b.Currency, set.MinPaymentMinor); err != nil {
		return p, err
	}
	if err := who.MovesMoney(); err != nil {
		return p, err
	}
	return p, s.mayOpen(ctx, st, p, now)
}

func sessionOf(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (*checkout.Session, error) {
	if id == "" {
		return nil, nil
	}
	session, err := st.Checkout.Session(ctx, t, id)
	return &session, err
}

// mayOpen bounds how many codes may be guessed at.
func (s *Service) mayOpen(ctx context.Context, st app.Stores, p ledger.Payment, now time.Time) error {
	open, err := st.Ledger.OpenCodes(ctx, p.Tenant, p.CustomerID, now.Add(-ledger.CodeLife))
	if err != nil || open < maxOpenCodes {
		return err
	}
	return fault.New(fault.CodeAttemptsExhausted, "too many one-time codes were sent to this customer; wait, or pay with a qr").After(ledger.CodeLife)
}

// codeHash is how a one-time code is kept. The payment's id is its salt.
func codeHash(paymentID, code string) []byte {
	sum := sha256.Sum256([]byte(paymentID + " " + code))
	return sum[:]
}
