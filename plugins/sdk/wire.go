package sdk

import (
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
)

func wireManifest(m Manifest) *actuatorv1.Manifest {
	out := &actuatorv1.Manifest{
		Name: m.Name, Version: m.Version, DecisionKinds: words(m.DecisionKinds), EffectKinds: words(m.EffectKinds),
		TimeLimit: durationpb.New(m.TimeLimit), Policy: string(m.Policy), CommandKinds: m.CommandKinds, Description: m.Description,
		SettingsSchemaJson: m.SettingsSchema, Hosts: m.Hosts,
	}
	for _, s := range m.Schedules {
		out.Schedules = append(out.Schedules, &actuatorv1.Schedule{CommandKind: s.Command, Every: durationpb.New(s.Every)})
	}
	return out
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// fromWire reads a snapshot. Byte slices are shared with the message, which
// nobody else uses.
func fromWire(in *actuatorv1.Snapshot) Snapshot {
	s := Snapshot{
		ID: in.GetId(), Kind: Kind(in.GetKind()), PartnerID: in.GetPartnerId(), MerchantID: in.GetMerchantId(), Mode: in.GetMode(),
		CustomerID: in.GetCustomerId(), SessionID: in.GetSessionId(), Currency: in.GetCurrency(), At: instant(in.GetAt()),
		AmountMinor: in.GetAmountMinor(),
		Wallet: Wallet{
			ActualMinor: in.GetWallet().GetActualMinor(), PromoAvailableMinor: in.GetWallet().GetPromoAvailableMinor(),
			Verified: in.GetWallet().GetVerified(),
		},
		Allowance: Allowance{
			MaxGrantMinor: in.GetAllowance().GetMaxGrantMinor(), MaxPoints: in.GetAllowance().GetMaxPoints(),
			Sources: in.GetAllowance().GetSources(),
		},
		Settings: in.GetSettingsJson(), Facts: in.GetFactsJson(), Stored: in.GetStoredJson(), StoredAt: instant(in.GetStoredAt()),
	}
	if lots := in.GetLots(); len(lots) > 0 {
		s.Lots = make([]Lot, len(lots))
		for i, l := range lots {
			s.Lots[i] = Lot{GrantID: l.GetGrantId(), RemainingMinor: l.GetRemainingMinor(), ExpiresAt: instant(l.GetExpiresAt()), IssuedAt: instant(l.GetIssuedAt())}
		}
	}
	for _, b := range in.GetAllowance().GetBudgets() {
		s.Allowance.Budgets = append(s.Allowance.Budgets, Budget{BudgetID: b.GetBudgetId(), RemainingMinor: b.GetRemainingMinor()})
	}
	return s
}

func wirePlan(p *Plan) *actuatorv1.Plan {
	out := &actuatorv1.Plan{
		SnapshotId: p.SnapshotID, Refusal: p.Refusal,
		Reasoning: &actuatorv1.Reasoning{Summary: p.Reasoning.Summary, Rule: p.Reasoning.Rule, FactsJson: p.Reasoning.Facts},
	}
	if len(p.Effects) == 0 {
		return out
	}
	out.Effects = make([]*actuatorv1.Effect, len(p.Effects))
	for i := range p.Effects {
		e := &p.Effects[i]
		out.Effects[i] = &actuatorv1.Effect{
			Kind: string(e.Kind), Class: string(e.Class), AmountMinor: e.AmountMinor, Currency: e.Currency, GrantId: e.GrantID,
			Source: e.Source, ExpiresAt: timestamp(e.ExpiresAt), BudgetId: e.BudgetID, DataJson: e.Data, Command: e.Command,
		}
	}
	return out
}

// readable reports whether protobuf can carry the texts of the plan.
func (p *Plan) readable() bool {
	ok := valid(p.SnapshotID, p.Refusal, p.Reasoning.Summary, p.Reasoning.Rule)
	for i := range p.Effects {
		e := &p.Effects[i]
		ok = ok && valid(string(e.Kind), string(e.Class), e.Currency, e.GrantID, e.Source, e.BudgetID, e.Command)
	}
	return ok
}

func valid(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

func commandFromWire(in *actuatorv1.ExecuteRequest) Command {
	return Command{
		IdempotencyKey: in.GetIdempotencyKey(), Kind: in.GetKind(), PartnerID: in.GetPartnerId(), MerchantID: in.GetMerchantId(), Mode: in.GetMode(),
		CommittedAt: instant(in.GetCommittedAt()), Attempt: int(in.GetAttempt()), Payload: in.GetPayloadJson(), Settings: in.GetSettingsJson(),
	}
}

// instant is the zero time where the wire has none.
func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// timestamp is nil for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
