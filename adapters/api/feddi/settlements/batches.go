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
)

func (a api) batches(ctx context.Context, call *app.Call, req *partnerv1.ListSettlementsRequest) (*partnerv1.ListSettlementsResponse, error) {
	in := settlements.BatchesInput{
		State: settlement.BatchState(req.GetState()), BrandID: req.GetBrandId(), PeriodAfter: shape.Moment(req.GetPeriodAfter()),
		PeriodBefore: shape.Moment(req.GetPeriodBefore()), Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.uses.Batches, in, func(_ *app.Call, p settlements.BatchesPage) *partnerv1.ListSettlementsResponse {
		res := &partnerv1.ListSettlementsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, b := range p.Batches {
			res.Settlements = append(res.Settlements, batch(b))
		}
		return res
	})
}

func (a api) batch(ctx context.Context, call *app.Call, req *partnerv1.GetSettlementRequest) (*partnerv1.GetSettlementResponse, error) {
	in := settlements.BatchInput{ID: req.GetSettlementId(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.Batch, in, func(_ *app.Call, v settlements.BatchView) *partnerv1.GetSettlementResponse {
		return shape.Flat(batch(v.Batch), &partnerv1.GetSettlementResponse{Meta: pipeline.Cursor(v.Next), Lines: lines(v.Lines)})
	})
}

func batch(b settlement.Batch) *partnerv1.Settlement {
	out := &partnerv1.Settlement{
		SettlementId: b.ID, MerchantId: b.Tenant.MerchantID, BrandId: shape.Optional(b.BrandID), State: string(b.State), Currency: b.Currency,
		PeriodStart: timestamppb.New(b.PeriodStart), PeriodEnd: timestamppb.New(b.PeriodEnd), LinesCount: b.LinesCount,
		CreatedAt: timestamppb.New(b.CreatedAt), ReadyAt: shape.Stamp(b.ReadyAt),
	}
	for _, t := range b.Totals() {
		out.Totals = append(out.Totals, &partnerv1.SettlementTotal{
			MoneyClass: string(t.Class), CreditedMinor: t.CreditedMinor, DebitedMinor: t.DebitedMinor, RefundedMinor: t.RefundedMinor,
			WithdrawnMinor: t.WithdrawnMinor, NetMinor: t.NetMinor(),
		})
	}
	return out
}

func lines(all []settlement.Line) []*partnerv1.SettlementLine {
	out := make([]*partnerv1.SettlementLine, 0, len(all))
	for _, l := range all {
		out = append(out, &partnerv1.SettlementLine{
			EntryId: l.EntryID, Type: string(l.Kind), MoneyClass: string(l.Class), AmountMinor: l.AmountMinor, ReferenceId: l.RefID,
			TransactionId: shape.Optional(l.TransactionID), ProviderSettlementReference: shape.Optional(l.Reference), OccurredAt: timestamppb.New(l.At),
		})
	}
	return out
}

func (a api) reconcile(ctx context.Context, call *app.Call, req *partnerv1.SubmitReconciliationRequest) (*partnerv1.SubmitReconciliationResponse, error) {
	in := settlements.ReconcileInput{
		PeriodStart: req.GetPeriodStart().AsTime(), PeriodEnd: req.GetPeriodEnd().AsTime(), Currency: req.GetCurrency(),
	}
	for _, t := range req.GetTotals() {
		in.Totals = append(in.Totals, settlement.Total{Item: settlement.Item(t.GetItem()), AmountMinor: t.GetAmountMinor(), Count: t.GetCount()})
	}
	for _, e := range req.GetEntries() {
		in.Entries = append(in.Entries, settlement.Entry{Item: settlement.Item(e.GetItem()), ReferenceID: e.GetReferenceId(), AmountMinor: e.GetAmountMinor()})
	}
	return pipeline.Run(ctx, call, a.uses.Reconcile, in, func(_ *app.Call, r settlement.Run) *partnerv1.SubmitReconciliationResponse {
		return shape.Flat(run(r), &partnerv1.SubmitReconciliationResponse{})
	})
}

func (a api) reconciliation(ctx context.Context, call *app.Call, req *partnerv1.GetReconciliationRequest) (*partnerv1.GetReconciliationResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Reconciliation, req.GetRunId(), func(_ *app.Call, r settlement.Run) *partnerv1.GetReconciliationResponse {
		return run(r)
	})
}

// run is a comparison; both answers carry the same fields.
func run(r settlement.Run) *partnerv1.GetReconciliationResponse {
	out := &partnerv1.GetReconciliationResponse{
		RunId: r.ID, State: string(r.State), PeriodStart: timestamppb.New(r.PeriodStart), PeriodEnd: timestamppb.New(r.PeriodEnd),
		Currency: r.Currency, CreatedAt: timestamppb.New(r.CreatedAt), Complete: r.Complete, DifferencesCount: r.DifferencesCount,
		CompletedAt: shape.Stamp(r.CompletedAt),
	}
	for _, c := range r.Lines {
		result := string(settlement.RunDiffers)
		if c.Agrees() {
			result = string(settlement.RunMatched)
		}
		out.Lines = append(out.Lines, &partnerv1.ReconciliationLine{
			Item: string(c.Item), PartnerMinor: c.PartnerMinor, LedgerMinor: c.LedgerMinor, DifferenceMinor: c.DifferenceMinor(),
			PartnerCount: c.PartnerCount, LedgerCount: c.LedgerCount, Result: result,
		})
	}
	for _, d := range r.Differences {
		out.Differences = append(out.Differences, &partnerv1.ReconciliationDifference{
			Item: string(d.Item), ReferenceId: d.ReferenceID, Result: d.Kind(), PartnerMinor: d.PartnerMinor, LedgerMinor: d.LedgerMinor,
			DifferenceMinor: d.DifferenceMinor(),
		})
	}
	return out
}
