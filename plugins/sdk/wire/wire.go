// Package wire writes the core's snapshots to the actuator contract and reads
// plans from it. The host and the conformance suite use it; an author of an
// actuator has no need for it.
package wire

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
)

// PlanBatchRequest writes a batch. The message shares the batch's byte slices.
func PlanBatchRequest(batch []actuation.Snapshot) *actuatorv1.PlanBatchRequest {
	req := &actuatorv1.PlanBatchRequest{Snapshots: make([]*actuatorv1.Snapshot, len(batch))}
	for i := range batch {
		req.Snapshots[i] = snapshot(&batch[i])
	}
	return req
}

func snapshot(s *actuation.Snapshot) *actuatorv1.Snapshot {
	out := &actuatorv1.Snapshot{
		Id: s.ID, Kind: string(s.Kind), PartnerId: s.PartnerID, MerchantId: s.MerchantID, Mode: string(s.Mode), CustomerId: s.CustomerID,
		SessionId: s.SessionID, Currency: string(s.Currency), At: timestamp(s.At), AmountMinor: s.AmountMinor,
		Wallet: &actuatorv1.Wallet{
			ActualMinor: s.Wallet.ActualMinor, PromoAvailableMinor: s.Wallet.PromoAvailableMinor, Verified: s.Wallet.Verified,
		},
		Allowance: allowance(&s.Allowance), SettingsJson: s.Settings, FactsJson: s.Facts,
		StoredJson: s.Stored, StoredAt: timestamp(s.StoredAt),
	}
	if len(s.Lots) > 0 {
		out.Lots = make([]*actuatorv1.Lot, len(s.Lots))
		for i := range s.Lots {
			l := &s.Lots[i]
			out.Lots[i] = &actuatorv1.Lot{GrantId: l.GrantID, RemainingMinor: l.RemainingMinor, ExpiresAt: timestamp(l.ExpiresAt), IssuedAt: timestamp(l.IssuedAt)}
		}
	}
	return out
}

func allowance(a *actuation.Allowance) *actuatorv1.Allowance {
	if a.MaxGrantMinor == 0 && a.MaxPoints == 0 && len(a.Sources) == 0 && len(a.Budgets) == 0 {
		return nil
	}
	out := &actuatorv1.Allowance{MaxGrantMinor: a.MaxGrantMinor, MaxPoints: a.MaxPoints, Sources: a.Sources}
	for _, b := range a.Budgets {
		out.Budgets = append(out.Budgets, &actuatorv1.Budget{BudgetId: b.BudgetID, RemainingMinor: b.RemainingMinor})
	}
	return out
}

// Plans reads what an actuator answered. Nothing of it is proven yet.
func Plans(res *actuatorv1.PlanBatchResponse) []actuation.Plan {
	plans := make([]actuation.Plan, len(res.GetPlans()))
	for i, p := range res.GetPlans() {
		plans[i] = plan(p)
	}
	return plans
}

func plan(in *actuatorv1.Plan) actuation.Plan {
	p := actuation.Plan{SnapshotID: in.GetSnapshotId(), Refusal: in.GetRefusal()}
	if e := in.GetError(); e != nil {
		p.Failure = failure(e)
		return p
	}
	p.Reasoning = actuation.Reasoning{
		Summary: in.GetReasoning().GetSummary(), Rule: in.GetReasoning().GetRule(), Facts: in.GetReasoning().GetFactsJson(),
	}
	if effects := in.GetEffects(); len(effects) > 0 {
		p.Effects = make([]actuation.Effect, len(effects))
		for i, e := range effects {
			p.Effects[i] = actuation.Effect{
				Kind: actuation.EffectKind(e.GetKind()), Class: money.Class(e.GetClass()), AmountMinor: e.GetAmountMinor(),
				Currency: money.Currency(e.GetCurrency()), GrantID: e.GetGrantId(), Source: e.GetSource(),
				ExpiresAt: instant(e.GetExpiresAt()), BudgetID: e.GetBudgetId(), Data: e.GetDataJson(), Command: e.GetCommand(),
			}
		}
	}
	return p
}

// Manifest reads a declaration, without checking it.
func Manifest(in *actuatorv1.Manifest) actuation.Manifest {
	m := actuation.Manifest{
		Name: in.GetName(), Version: in.GetVersion(), TimeLimit: in.GetTimeLimit().AsDuration(),
		Policy: actuation.Policy(in.GetPolicy()), CommandKinds: in.GetCommandKinds(), Description: in.GetDescription(),
		SettingsSchema: in.GetSettingsSchemaJson(), Hosts: in.GetHosts(),
	}
	for _, k := range in.GetDecisionKinds() {
		m.DecisionKinds = append(m.DecisionKinds, actuation.Kind(k))
	}
	for _, k := range in.GetEffectKinds() {
		m.EffectKinds = append(m.EffectKinds, actuation.EffectKind(k))
	}
	for _, s := range in.GetSchedules() {
		m.Schedules = append(m.Schedules, actuation.Schedule{Command: s.GetCommandKind(), Every: s.GetEvery().AsDuration()})
	}
	return m
}

// ExecuteRequest writes a command.
func ExecuteRequest(c actuation.Command) *actuatorv1.ExecuteRequest {
	return &actuatorv1.ExecuteRequest{
		IdempotencyKey: c.IdempotencyKey, Kind: c.Kind, PartnerId: c.PartnerID, MerchantId: c.MerchantID, Mode: string(c.Mode),
		CommittedAt: timestamp(c.CommittedAt), Attempt: int32(min(c.Attempt, 1<<30)), PayloadJson: c.Payload, SettingsJson: c.Settings,
	}
}

// Receipt reads the outcome of a command.
func Receipt(res *actuatorv1.ExecuteResponse) actuation.Receipt {
	return actuation.Receipt{Reference: res.GetReference(), Result: res.GetResultJson(), Facts: res.GetFactsJson()}
}

// Failure reads the error of a call: the actuator's own where it sent one,
// otherwise what gRPC says. nil for nil.
func Failure(err error) *actuation.Failure {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	for _, d := range st.Details() {
		if e, ok := d.(*actuatorv1.Error); ok {
			return failure(e)
		}
	}
	return &actuation.Failure{
		Code: codeOf(st.Code()), Message: st.Message(), Retryable: st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded,
	}
}

// codeOf names the failures of a call that the actuator had no word in.
func codeOf(c codes.Code) string {
	switch c {
	case codes.Unavailable:
		return "not_running"
	case codes.DeadlineExceeded:
		return "deadline"
	case codes.Canceled:
		return "canceled"
	case codes.ResourceExhausted:
		return "oversized"
	case codes.Unimplemented:
		return "unsupported_kind"
	default:
		return "garbage"
	}
}

func failure(e *actuatorv1.Error) *actuation.Failure {
	return &actuation.Failure{Code: e.GetCode(), Message: e.GetMessage(), Field: e.GetField(), Retryable: e.GetRetryable()}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
