// Package topup is the use cases of deposits: prepare, confirm, the SKUs that
// top up when they are sold, and the reload bonus. The service holds no money:
// cash settles to the merchant, the ledger records it (rule 25).
package topup

import (
	"context"
	"encoding/json"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of top-ups.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	// Providers are the payment providers of production by name (sadad,
	// stripe). The sandbox has its own.
	Providers map[string]Provider
	// Gateways read the callbacks of providers, by the same names.
	Gateways map[string]Gateway
}

// Provider takes deposits. It is called outside any transaction.
type Provider interface {
	// Open opens a session for a prepared top-up and returns what the customer
	// must be shown, a JSON object. Errors: SUBSYSTEM_DEGRADED.
	Open(ctx context.Context, top ledger.Topup) (json.RawMessage, error)
	// Settled proves that reference settles the top-up.
	// Errors: VERIFICATION_FAILED, SUBSYSTEM_DEGRADED.
	Settled(ctx context.Context, top ledger.Topup, reference string) error
}

// Outcome is a top-up with its bonus and the wallet.
type Outcome struct {
	Topup ledger.Topup
	// Bonus is nil where there is none or not yet. It is never part of the
	// actual credit (rule 39).
	Bonus   *ledger.Grant
	Balance ledger.Balance
}

func (s *Service) settings(ctx context.Context, t tenancy.Tenant) (tenancy.Settings, error) {
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	return m.Settings, err
}

// provider is the one that the server chooses for a currency (rule 41).
func (s *Service) provider(call *app.Call, name string) (Provider, error) {
	if call.Sandbox() {
		return sandbox{}, nil
	}
	if p, ok := s.Providers[name]; ok {
		return p, nil
	}
	return nil, fault.New(fault.CodeSubsystemDegraded, "the payment provider %s is not set up on this server; ask its operator", name)
}

// currencyEnabled answers UNSUPPORTED_CURRENCY for one that the merchant does not take.
func currencyEnabled(set tenancy.Settings, currency string) error {
	for _, c := range set.Currencies {
		if c == currency {
			return nil
		}
	}
	return fault.Field(fault.CodeUnsupportedCurrency, "currency", "enabled",
		"%s is not enabled for this merchant; GET /capabilities lists the currencies that are", currency)
}

func amountInRange(field string, amountMinor int64) error {
	if amountMinor < 1 || amountMinor > money.MaxMinor {
		return fault.Field(fault.CodeAmountOutOfRange, field, "1..10^12", "give 1 to %d minor units", money.MaxMinor)
	}
	return nil
}

// customer is whose wallet is topped up: the one named, else the session's.
// Errors: NOT_FOUND, SESSION_ENDED, CURRENCY_MISMATCH, STATE_CONFLICT.
func (s *Service) customer(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID, sessionID, currency string) (string, error) {
	if customerID != "" { // existence is looked at before any state
		if _, err := st.Ledger.Balance(ctx, t, customerID); err != nil {
			return "", err
		}
	}
	if sessionID == "" {
		return customerID, nil
	}
	session, err := st.Checkout.Session(ctx, t, sessionID)
	if err != nil {
		return "", err
	}
	switch {
	case session.Live(s.Clock.Now()) != nil:
		return "", session.Live(s.Clock.Now())
	case customerID == "" && session.CustomerID == "":
		return "", fault.Field(fault.CodeStateConflict, "session_id", "identified",
			"nobody is identified in the session; identify it or name the customer_id")
	case customerID != "" && session.CustomerID != "" && customerID != session.CustomerID:
		return "", fault.Field(fault.CodeStateConflict, "customer_id", "session_customer",
			"the session belongs to another customer; leave customer_id out, or the session_id")
	case session.Currency != currency:
		return "", fault.Field(fault.CodeCurrencyMismatch, "currency", "session_currency", "the session is in %s; top up in %s, or leave session_id out", session.Currency, session.Currency)
	case customerID == "":
		return session.CustomerID, nil
	}
	return customerID, nil
}

// sameCurrency answers CURRENCY_MISMATCH where a wallet is in another currency.
func sameCurrency(w ledger.Wallet, currency string) error {
	if w.Currency == currency {
		return nil
	}
	return fault.Field(fault.CodeCurrencyMismatch, "currency", "wallet_currency", "the wallet is in %s; top up in %s", w.Currency, w.Currency)
}

// sandbox is the payment provider of the sandbox: it shows what a provider
// would and accepts any reference.
type sandbox struct{}

// Open implements Provider.
func (sandbox) Open(_ context.Context, top ledger.Topup) (json.RawMessage, error) {
	return json.Marshal(map[string]any{
		"type": "redirect", "sandbox": true, "provider": top.Provider,
		"checkout_url": "https://pay.example.test/" + top.Provider + "/" + top.ID, "metadata": map[string]string{"topup_id": top.ID},
		"client_secret": "sandbox_" + top.ID,
	})
}

// Settled implements Provider.
func (sandbox) Settled(context.Context, ledger.Topup, string) error { return nil }
