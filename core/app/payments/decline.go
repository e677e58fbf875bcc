package payments

import (
	"context"
	"encoding/json"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/recovery"
	"github.com/feddi/feddi/core/money"
)

// recoveryEngine names what decides recoveries, and its version.
const recoveryEngine = "recovery/1"

// RecoveryInputs are what a recovery is decided on, as its trace keeps them.
type RecoveryInputs struct {
	Snapshot actuation.Snapshot `json:"snapshot"`
	Plan     actuation.Plan     `json:"plan"`
	Shortage recovery.Shortage  `json:"shortage"`
}

// Recover is the engine of the trace: it decides the recovery again.
func Recover(_ context.Context, inputs json.RawMessage) (json.RawMessage, error) {
	var in RecoveryInputs
	if err := json.Unmarshal(inputs, &in); err != nil {
		return nil, err
	}
	return json.Marshal(recovery.Decide(in.Shortage))
}

// decline records the decision against a payment: its trace, an event, and the
// answer pinned to the key. Nothing is debited and the code stays unused
// (rule 18). It always returns an error.
func (s *Service) decline(ctx context.Context, call *app.Call, d *declined) (Result, error) {
	shortage, err := s.shortage(ctx, d)
	if err != nil {
		return Result{}, err
	}
	trace, decided, err := recoveryTrace(s.IDs.Make(ids.Trace), d, shortage)
	if err != nil {
		return Result{}, err
	}
	decisions := []decision.Decision{{
		ID: s.IDs.Make(ids.Decision), Tenant: d.payment.Tenant, TraceID: trace.ID, Kind: string(actuation.KindRecovery),
		SessionID: d.payment.SessionID, CustomerID: d.payment.CustomerID, AmountMinor: d.payment.AmountMinor, State: "proposed",
		Actuator: d.plan.Actuator.Name, ActuatorVersion: d.plan.Actuator.Version,
		Card: decision.Card{Summary: d.plan.Plan.Reasoning.Summary, Rule: d.plan.Plan.Reasoning.Rule, Facts: d.plan.Plan.Reasoning.Facts}, At: d.at,
	}}
	failed := d.payment
	failed.Status, failed.FailureCode = ledger.PaymentFailed, string(fault.CodeInsufficientFunds)
	news := failed.Event(s.IDs.Make(ids.Event), ledger.EventPaymentFailed, d.at)
	news.TraceID = trace.ID
	return app.Mutate(ctx, s.UoW, d.at, call, func(ctx context.Context, st app.Stores) (Result, error) {
		if err := st.Decisions.SaveTrace(ctx, trace, decisions, nil); err != nil {
			return Result{}, err
		}
		if err := st.Events.Append(ctx, news); err != nil {
			return Result{}, err
		}
		return Result{}, insufficient(decided, d.payment.Currency, trace.ID)
	})
}

// insufficient is the 402 with its ways out.
func insufficient(r fault.Recovery, currency, traceID string) *fault.Error {
	e := fault.Field(fault.CodeInsufficientFunds, "amount_minor", "spendable",
		"the wallet is %s short; nothing was debited and the credential stays usable: see recovery", money.Text(r.ShortfallMinor, currency))
	e.Recovery, e.TraceID = &r, traceID
	return e
}

func (s *Service) shortage(ctx context.Context, d *declined) (recovery.Shortage, error) {
	tiers, err := s.UoW.Read().Ledger.Tiers(ctx, d.payment.Tenant, d.payment.Currency)
	if err != nil {
		return recovery.Shortage{}, err
	}
	// A top-up made now would be the first where there was none.
	after := *d.state.Wallet
	after.FirstTopupAt = &d.at
	return recovery.Shortage{
		AmountMinor: d.payment.AmountMinor, Currency: d.payment.Currency,
		ActualMinor: d.snapshot.Wallet.ActualMinor, PromoMinor: d.snapshot.Wallet.PromoAvailableMinor,
		Tiers: tiers, BonusSpendable: after.Qualifies(d.settings.ClaimGate, d.state.Verified),
	}, nil
}

func recoveryTrace(id string, d *declined, shortage recovery.Shortage) (decision.Trace, fault.Recovery, error) {
	decided := recovery.Decide(shortage)
	inputs, err := json.Marshal(RecoveryInputs{d.snapshot, d.plan.Plan, shortage})
	if err != nil {
		return decision.Trace{}, decided, fault.Internal(err)
	}
	outputs, err := json.Marshal(decided)
	if err != nil {
		return decision.Trace{}, decided, fault.Internal(err)
	}
	return decision.Trace{
		ID: id, Tenant: d.payment.Tenant, Kind: string(actuation.KindRecovery), SessionID: d.payment.SessionID,
		CustomerID: d.payment.CustomerID, Engine: recoveryEngine, Inputs: inputs, Outputs: outputs, At: d.at,
	}, decided, nil
}
