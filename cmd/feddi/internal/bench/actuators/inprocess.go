package actuators

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
)

var discarded = slog.New(slog.DiscardHandler)

// Switch is a registry whose payments are planned by an actuator of the host, or,
// while it is on, in this process by as little work as can be.
type Switch struct {
	actuation.Registry

	on atomic.Bool
}

// For implements actuation.Registry.
func (s *Switch) For(kind actuation.Kind, merchantID string) (actuation.Actuator, error) {
	if s.on.Load() && kind == actuation.KindWalletDebit {
		return &inProcess, nil
	}
	return s.Registry.For(kind, merchantID)
}

// inProcess plans payments without a process.
var inProcess planner

type planner struct{ _ byte }

// Manifest implements actuation.Actuator.
func (*planner) Manifest() actuation.Manifest {
	return actuation.Manifest{
		Name: "in-process", Version: "0.0.0", DecisionKinds: []actuation.Kind{actuation.KindWalletDebit},
		EffectKinds: []actuation.EffectKind{actuation.EffectDebit}, TimeLimit: time.Second, Policy: actuation.Required,
	}
}

// PlanBatch implements actuation.Actuator.
func (*planner) PlanBatch(_ context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	out := make([]actuation.Plan, len(batch))
	for i := range batch {
		out[i] = debits(&batch[i])
	}
	return out, nil
}

// debits spends the lots in their order and then actual, or refuses.
func debits(s *actuation.Snapshot) actuation.Plan {
	p := actuation.Plan{SnapshotID: s.ID, Reasoning: actuation.Reasoning{Summary: "Paid.", Rule: "bench"}}
	open := s.AmountMinor
	for _, l := range s.Lots {
		if open == 0 {
			break
		}
		if l.RemainingMinor <= 0 || (!l.ExpiresAt.IsZero() && !l.ExpiresAt.After(s.At)) {
			continue
		}
		n := min(open, l.RemainingMinor)
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: money.Promo, Currency: s.Currency, AmountMinor: n, GrantID: l.GrantID})
		open -= n
	}
	if open > s.Wallet.ActualMinor {
		p.Effects, p.Refusal = nil, actuation.RefusalInsufficientFunds
		return p
	}
	if open > 0 {
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: money.Actual, Currency: s.Currency, AmountMinor: open})
	}
	return p
}
