// Package settlements answers the operations of settlement: providers' reports,
// the way of top-ups to the bank, settlement batches and reconciliation.
package settlements

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/settlement"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// api answers the operations.
type api struct{ uses *settlements.Service }

// Register mounts them.
func Register(reg *pipeline.Registry, uses *settlements.Service) {
	a := api{uses}
	pipeline.Handle(reg, partnerv1connect.PlatformServiceSubmitSettlementReportProcedure, a.report)
	pipeline.Handle(reg, partnerv1connect.PlatformServiceSubmitReconciliationProcedure, a.reconcile)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceGetReconciliationProcedure, a.reconciliation)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceListSettlementsProcedure, a.batches)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceGetSettlementProcedure, a.batch)
	pipeline.Handle(reg, partnerv1connect.TopupServiceSubmitTopupSettlementProcedure, a.settle)
	pipeline.Handle(reg, partnerv1connect.TopupServiceListTopupSettlementsProcedure, a.deposits)
}

func (a api) report(ctx context.Context, call *app.Call, req *partnerv1.SubmitSettlementReportRequest) (*partnerv1.SubmitSettlementReportResponse, error) {
	in := settlement.Report{
		Provider: req.GetProvider(), Reference: req.GetReportReference(), Currency: req.GetCurrency(),
		PeriodStart: req.GetPeriodStart().AsTime(), PeriodEnd: req.GetPeriodEnd().AsTime(),
	}
	for _, l := range req.GetLines() {
		in.Lines = append(in.Lines, settlement.ReportLine{
			Reference: l.GetProviderSettlementReference(), GrossMinor: l.GetGrossMinor(), FeeMinor: l.GetFeeMinor(), NetMinor: l.GetNetMinor(),
			SettledAt: l.GetSettledAt().AsTime(),
		})
	}
	return pipeline.Run(ctx, call, a.uses.Report, in, func(_ *app.Call, r settlements.Reported) *partnerv1.SubmitSettlementReportResponse {
		t := settlement.TotalsOf(r.Fits)
		count := func(result settlement.Result) int32 { return int32(t.Counts[result]) }
		return &partnerv1.SubmitSettlementReportResponse{
			ReportId: r.Report.ID, Currency: r.Report.Currency, Lines: fits(r.Fits),
			MatchedCount: count(settlement.Matched), UnmatchedCount: count(settlement.Unmatched),
			AmountDiffersCount: count(settlement.AmountDiffers), DuplicateCount: count(settlement.Duplicate),
			AlreadySettledCount: count(settlement.AlreadySettled), ChargebackCount: count(settlement.Chargeback),
			MatchedGrossMinor: t.Matched.GrossMinor, MatchedFeeMinor: t.Matched.FeeMinor, MatchedNetMinor: t.Matched.NetMinor,
			GrossMinor: t.All.GrossMinor, FeeMinor: t.All.FeeMinor, NetMinor: t.All.NetMinor,
		}
	})
}

func fits(all []settlement.Fit) []*partnerv1.SettlementReportMatch {
	out := make([]*partnerv1.SettlementReportMatch, 0, len(all))
	for _, f := range all {
		m := &partnerv1.SettlementReportMatch{ProviderSettlementReference: f.Reference, Result: string(f.Result), GrossMinor: f.GrossMinor}
		if d := f.Deposit; d != nil {
			difference := f.GrossMinor - d.AmountMinor
			m.TopupId, m.LedgerMinor, m.DifferenceMinor = &d.TopupID, &d.AmountMinor, &difference
		}
		out = append(out, m)
	}
	return out
}

func (a api) settle(ctx context.Context, call *app.Call, req *partnerv1.SubmitTopupSettlementRequest) (*partnerv1.SubmitTopupSettlementResponse, error) {
	in := settlements.SettleInput{BankReference: req.GetBankReference(), Currency: req.GetCurrency(), SettledAt: req.GetSettledAt().AsTime()}
	for _, l := range req.GetLines() {
		in.Lines = append(in.Lines, settlements.SettleLine{TopupID: l.GetTopupId(), FeeMinor: l.GetFeeMinor()})
	}
	return pipeline.Run(ctx, call, a.uses.Settle, in, func(_ *app.Call, all []settlement.Deposit) *partnerv1.SubmitTopupSettlementResponse {
		res := &partnerv1.SubmitTopupSettlementResponse{Currency: in.Currency}
		for _, d := range all {
			res.GrossMinor += d.Reported.GrossMinor
			res.FeeMinor += d.Reported.FeeMinor
			res.NetMinor += d.Reported.NetMinor
			res.Settlements = append(res.Settlements, deposit(d))
		}
		return res
	})
}

func (a api) deposits(ctx context.Context, call *app.Call, req *partnerv1.ListTopupSettlementsRequest) (*partnerv1.ListTopupSettlementsResponse, error) {
	in := settlements.DepositsInput{
		Stage: settlement.Progress(req.GetState()), CompletedFrom: shape.Moment(req.GetCompletedAfter()),
		CompletedBefore: shape.Moment(req.GetCompletedBefore()), Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.uses.Deposits, in, func(_ *app.Call, p settlements.DepositsPage) *partnerv1.ListTopupSettlementsResponse {
		res := &partnerv1.ListTopupSettlementsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, d := range p.Deposits {
			res.Settlements = append(res.Settlements, deposit(d))
		}
		return res
	})
}

func deposit(d settlement.Deposit) *partnerv1.TopupSettlement {
	out := &partnerv1.TopupSettlement{
		TopupId: d.TopupID, State: string(d.Stage()), AmountMinor: d.AmountMinor, Currency: d.Currency, Provider: shape.Optional(d.Provider),
		ProviderSettlementReference: shape.Optional(d.Reference), CompletedAt: timestamppb.New(d.CompletedAt),
	}
	if r := d.Reported; r != nil {
		out.ReportedMinor, out.FeeMinor, out.NetMinor = &r.GrossMinor, r.FeeMinor, r.NetMinor
		out.BankReference, out.SettledAt = &r.BankReference, timestamppb.New(r.SettledAt)
	}
	return out
}
