package system

import (
	"context"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/proposals"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/tenancy"
)

// ReplayTrace decides a stored trace again with the engine of its kind.
func (s *System) ReplayTrace(ctx context.Context, t tenancy.Tenant, kind, id string) error {
	if kind == string(actuation.KindOffer) {
		return s.Uses.Incentives.Replay(ctx, t, id)
	}
	trace, err := s.UoW.Read().Decisions.Trace(ctx, t, id)
	switch {
	case err != nil:
		return err
	case kind == proposals.TraceKind:
		return s.Uses.Proposals.Replay(ctx, trace)
	case kind == transactions.ReportKind:
		return s.Uses.Transactions.ReplayReport(ctx, trace)
	case kind == string(actuation.KindRecovery):
		return decision.Replay(ctx, trace, payments.Recover)
	case kind == identities.KindResolution:
		return decision.Replay(ctx, trace, identities.Reweigh)
	}
	return s.Uses.Transactions.Replay(ctx, trace)
}

// ReplayPayment plans a stored payment again, for a merchant.
func (s *System) ReplayPayment(ctx context.Context, merchantID string, stored []byte) ([]byte, error) {
	actuator, err := s.Host.For(actuation.KindWalletDebit, merchantID)
	if err != nil {
		return nil, err
	}
	return payments.Replay(ctx, actuator, stored)
}
