package topup

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// Gateway reads the callbacks of one payment provider.
type Gateway interface {
	// Read proves the provider's signature over the body as it came, in constant
	// time and against now, and says what the callback tells. header gives a
	// request header by name, empty where there is none.
	// Errors: SIGNATURE_INVALID, VALIDATION_FAILED (signed, but not understood).
	Read(header func(name string) string, body []byte, now time.Time) (Notice, error)
}

// Notice is what a verified callback tells.
type Notice struct {
	// Paid is true where a deposit settled; any other callback changes nothing.
	Paid        bool
	TopupID     string // as the payment was opened with
	Reference   string // the provider's settlement reference; it credits once
	AmountMinor int64
	Currency    string
}

// CallbackInput is a provider's request as it came.
type CallbackInput struct {
	Provider string
	Header   func(name string) string
	Body     []byte
}

// CallbackResult is what a callback did.
type CallbackResult string

// The results. Only credited moved money, now or before; all but it and ignored
// are recorded, because somebody has to look after that money.
const (
	CallbackCredited   CallbackResult = "credited"
	CallbackIgnored    CallbackResult = "ignored"
	CallbackUnmatched  CallbackResult = "unmatched"
	CallbackAmount     CallbackResult = "amount_differs"
	CallbackNotPending CallbackResult = "not_pending" // or its wallet is gone or full
	CallbackDuplicate  CallbackResult = "duplicate_reference"
)

// Received is the answer to a callback. TopupID is empty where it led to none.
type Received struct {
	TopupID string
	Result  CallbackResult
}

// Callback takes a provider's callback: once its signature is proven, the
// effect is that of Confirm, once per reference (rule 40), whichever of the two
// comes first. What cannot be credited is recorded and taken, so that the
// provider stops repeating it; only what may succeed later is an error.
// Errors: NOT_FOUND (provider), SIGNATURE_INVALID, VALIDATION_FAILED,
// SUBSYSTEM_DEGRADED.
func (s *Service) Callback(ctx context.Context, call *app.Call, in CallbackInput) (Received, error) {
	gateway, ok := s.Gateways[in.Provider]
	if !ok {
		return Received{}, fault.NotFound("provider")
	}
	now := s.Clock.Now()
	notice, err := gateway.Read(in.Header, in.Body, now)
	switch {
	case err != nil:
		return Received{}, err
	case !notice.Paid:
		return Received{Result: CallbackIgnored}, nil
	}
	top, err := s.UoW.Read().Ledger.TopupOf(ctx, call.Actor.Mode, in.Provider, notice.TopupID)
	if fault.Is(err, fault.CodeNotFound) {
		return s.set(ctx, call, in.Provider, ledger.Topup{}, notice, CallbackUnmatched, now)
	}
	if err != nil {
		return Received{}, err
	}
	call.Tenant = top.Tenant
	if notice.AmountMinor != top.AmountMinor || notice.Currency != top.Currency {
		return s.set(ctx, call, in.Provider, top, notice, CallbackAmount, now)
	}
	switch err := s.settled(ctx, call, top, notice.Reference, now); {
	case err == nil:
		return Received{top.ID, CallbackCredited}, nil
	case fault.Is(err, fault.CodeDuplicateReference):
		return s.set(ctx, call, in.Provider, top, notice, CallbackDuplicate, now)
	case fault.Is(err, fault.CodeStateConflict), fault.Is(err, fault.CodeNotFound):
		return s.set(ctx, call, in.Provider, top, notice, CallbackNotPending, now)
	default:
		return Received{}, err
	}
}

// settled credits a top-up that its provider has proven, once.
func (s *Service) settled(ctx context.Context, call *app.Call, top ledger.Topup, reference string, now time.Time) error {
	set, err := s.settings(ctx, top.Tenant)
	if err != nil {
		return err
	}
	_, err = s.confirm(ctx, call, set, ConfirmInput{top.ID, reference}, now)
	return err
}

// set sets aside what could not be credited. The sandbox, whose secrets anybody
// can derive, keeps none that leads to no top-up. Of what may belong to nobody
// known here, references that hold a phone or an e-mail address are kept as hashes.
func (s *Service) set(ctx context.Context, call *app.Call, provider string, top ledger.Topup, n Notice, result CallbackResult, now time.Time) (Received, error) {
	if top.ID == "" && call.Actor.Mode == tenancy.Sandbox {
		return Received{Result: result}, nil
	}
	err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		return st.Settlement.RecordCallback(ctx, settlement.Callback{
			ID: s.IDs.Make(ids.Callback), Tenant: top.Tenant, Provider: provider, Result: string(result), TopupID: privacy.Opaque(n.TopupID),
			Reference: privacy.Opaque(n.Reference), AmountMinor: n.AmountMinor, Currency: n.Currency, At: now,
		})
	})
	return Received{top.ID, result}, err
}

// Signed is a production provider that proves a deposit by its signed callback
// and by nothing else: the till passes the order to the provider's own checkout.
type Signed struct{ Name string }

// Open implements Provider.
func (p Signed) Open(_ context.Context, top ledger.Topup) (json.RawMessage, error) {
	return json.Marshal(map[string]any{
		"type": "order", "provider": p.Name, "order_id": top.ID, "amount_minor": top.AmountMinor, "currency": top.Currency,
		"metadata": map[string]string{"topup_id": top.ID},
	})
}

// Settled implements Provider: a deposit whose callback came is completed by it
// already, and is never asked about.
func (p Signed) Settled(context.Context, ledger.Topup, string) error {
	return fault.Field(fault.CodeVerificationFailed, "provider_settlement_reference", "provider_callback",
		"%s has not confirmed this deposit; its signed callback completes the top-up by itself: read the top-up again", p.Name)
}
