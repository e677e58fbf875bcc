package payments

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/recovery"
	"github.com/feddi/feddi/core/tenancy"
)

// Get reads one payment with its wallet as it is now. One that waits for a
// code past its time shows as failed. Errors: NOT_FOUND, also for one of a place
// that the caller's credential does not see.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (Result, error) {
	st := s.UoW.Read()
	p, err := st.Ledger.Payment(ctx, call.Tenant, id)
	if err == nil && !checkout.Within(call.Actor, p.Place) {
		err = fault.NotFound("payment")
	}
	if err != nil {
		return Result{}, err
	}
	now := s.Clock.Now()
	if p.Status == ledger.PaymentRequiresCapture && p.Code != nil && !now.Before(p.Code.ExpiresAt) {
		p.Status, p.FailureCode = ledger.PaymentFailed, string(fault.CodeCredentialExpired)
	}
	b, err := st.Ledger.Balance(ctx, call.Tenant, p.CustomerID)
	return Result{Payment: p, Balance: b.At(now)}, err
}

// CheckInput asks what a credential could spend.
type CheckInput struct {
	Credential  identity.Credential
	AmountMinor int64  // 0 where only the balance is asked for
	Currency    string // of the amount; the wallet's when empty
}

// Check is what a credential could spend now. Classes are never summed.
type Check struct {
	CustomerID              string
	Currency                string
	ActualMinor, PromoMinor int64
	// Asked is true where an amount was given; the rest is about it.
	Asked      bool
	Sufficient bool
	Recovery   fault.Recovery
}

// BalanceCheck tells what a credential could spend, without debit; the
// credential stays usable. It is open to every credential that resolves to a
// customer for certain.
// Errors: UNSUPPORTED_CREDENTIAL_TYPE, UNSUPPORTED_CURRENCY, NOT_FOUND,
// CREDENTIAL_EXPIRED, CREDENTIAL_USED, IDENTITY_PROBATIONARY,
// CURRENCY_MISMATCH.
func (s *Service) BalanceCheck(ctx context.Context, call *app.Call, in CheckInput) (Check, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Check{}, err
	}
	if in.Currency != "" {
		if err := currencyEnabled(m.Settings, in.Currency); err != nil {
			return Check{}, err
		}
	}
	now := s.Clock.Now()
	known := func(Check) bool { return true }
	return identities.Guarded(s.Guesses, call, in.Credential, now, known, func() (Check, error) {
		return s.look(ctx, call, m.Settings, in, now)
	})
}

func (s *Service) look(ctx context.Context, call *app.Call, settings tenancy.Settings, in CheckInput, now time.Time) (Check, error) {
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Check, error) {
		who, err := s.Resolve(ctx, st, call.Tenant, in.Credential, now)
		switch {
		case err != nil:
			return Check{}, err
		case who.Customer == nil || who.Customer.Status != identity.Active:
			return Check{}, fault.NotFound("credential")
		case who.MovesMoney() != nil:
			return Check{}, who.MovesMoney()
		}
		book, err := st.Ledger.Book(ctx, call.Tenant, who.Customer.ID)
		if err != nil {
			return Check{}, err
		}
		return s.check(ctx, st, settings, book, in, now)
	})
}

func (s *Service) check(ctx context.Context, st app.Stores, set tenancy.Settings, book ledger.Book, in CheckInput, now time.Time) (Check, error) {
	w := book.Wallet
	c := Check{CustomerID: w.CustomerID, Currency: w.Currency, ActualMinor: w.ActualMinor, PromoMinor: ledger.SpendablePromo(book.Lots, now)}
	if in.Currency != "" && in.Currency != w.Currency {
		return Check{}, fault.Field(fault.CodeCurrencyMismatch, "currency", "wallet_currency", "the wallet is in %s; ask in %s", w.Currency, w.Currency)
	}
	if in.AmountMinor == 0 {
		return c, nil
	}
	tiers, err := st.Ledger.Tiers(ctx, w.Tenant, w.Currency)
	if err != nil {
		return Check{}, err
	}
	w.FirstTopupAt = &now
	c.Asked = true
	c.Recovery = recovery.Decide(recovery.Shortage{
		AmountMinor: in.AmountMinor, Currency: w.Currency, ActualMinor: c.ActualMinor, PromoMinor: c.PromoMinor,
		Tiers: tiers, BonusSpendable: w.Qualifies(set.ClaimGate, book.Verified),
	})
	c.Sufficient = c.Recovery.ShortfallMinor == 0
	return c, nil
}
