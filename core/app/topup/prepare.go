package topup

import (
	"context"
	"encoding/json"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
)

// PrepareInput asks for a deposit.
type PrepareInput struct {
	CustomerID  string // the session's when empty
	SessionID   string // may be empty
	AmountMinor int64
	Currency    string
}

// Validate checks the amount.
func (in PrepareInput) Validate() error { return amountInRange("amount_minor", in.AmountMinor) }

// Prepare opens a session at the payment provider that the server chooses.
// Only the informational figure of pending top-ups rises; no money moves
// (rule 37).
// Errors: UNSUPPORTED_CURRENCY, CURRENCY_MISMATCH, NOT_FOUND, STATE_CONFLICT,
// SESSION_ENDED, AMOUNT_OUT_OF_RANGE, SUBSYSTEM_DEGRADED.
func (s *Service) Prepare(ctx context.Context, call *app.Call, in PrepareInput) (Outcome, error) {
	if err := in.Validate(); err != nil {
		return Outcome{}, err
	}
	top, err := s.draft(ctx, call, in)
	if err != nil {
		return Outcome{}, err
	}
	provider, err := s.provider(call, top.Provider)
	if err != nil {
		return Outcome{}, err
	}
	if top.Artifact, err = provider.Open(ctx, top); err != nil {
		return Outcome{}, err
	}
	return app.Mutate(ctx, s.UoW, top.CreatedAt, call, func(ctx context.Context, st app.Stores) (Outcome, error) {
		return s.open(ctx, st, top)
	})
}

// draft checks everything that can fail before the provider is asked.
func (s *Service) draft(ctx context.Context, call *app.Call, in PrepareInput) (ledger.Topup, error) {
	now, t := s.Clock.Now(), call.Tenant
	set, err := s.settings(ctx, t)
	if err != nil {
		return ledger.Topup{}, err
	}
	if err := currencyEnabled(set, in.Currency); err != nil {
		return ledger.Topup{}, err
	}
	st := s.UoW.Read()
	customer, err := s.customer(ctx, st, t, in.CustomerID, in.SessionID, in.Currency)
	if err != nil {
		return ledger.Topup{}, err
	}
	b, err := st.Ledger.Balance(ctx, t, customer)
	if err != nil {
		return ledger.Topup{}, err
	}
	if err := sameCurrency(ledger.Wallet{Currency: b.Currency}, in.Currency); err != nil {
		return ledger.Topup{}, err
	}
	if err := (ledger.Wallet{ActualMinor: b.ActualMinor, PendingTopupsMinor: b.PendingTopupsMinor}).Room("amount_minor", in.AmountMinor); err != nil {
		return ledger.Topup{}, err
	}
	until := now.Add(ledger.PendingLife)
	return ledger.Topup{
		ID: s.IDs.Make(ids.Topup), Tenant: t, CustomerID: customer, SessionID: in.SessionID, State: ledger.TopupPending,
		AmountMinor: in.AmountMinor, Currency: in.Currency, Source: ledger.TopupByProvider,
		Provider: ledger.ProviderFor(in.Currency), Artifact: json.RawMessage(nil), ExpiresAt: &until, CreatedAt: now,
	}, nil
}

// open writes the prepared top-up.
func (s *Service) open(ctx context.Context, st app.Stores, top ledger.Topup) (Outcome, error) {
	book, err := st.Ledger.Book(ctx, top.Tenant, top.CustomerID)
	if err != nil {
		return Outcome{}, err
	}
	if err := book.Wallet.Room("amount_minor", top.AmountMinor); err != nil { // others may have come since
		return Outcome{}, err
	}
	c := ledger.Begin(book.Wallet)
	if err := c.Expect(top.AmountMinor); err != nil {
		return Outcome{}, err
	}
	after, err := st.Ledger.Apply(ctx, c)
	if err != nil {
		return Outcome{}, err
	}
	if err := st.Ledger.InsertTopup(ctx, top); err != nil {
		return Outcome{}, err
	}
	tiers, err := st.Ledger.Tiers(ctx, top.Tenant, top.Currency)
	if err != nil {
		return Outcome{}, err
	}
	tier, _ := tiers.Earned(top.AmountMinor)
	top.BonusMinor = tier.BonusMinor
	err = st.Events.Append(ctx, top.Event(s.IDs.Make(ids.Event), ledger.EventTopupPrepared, top.CreatedAt))
	return Outcome{Topup: top, Balance: after.Balance(book.Lots, top.CreatedAt)}, err
}
