package rewards

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/trials"
	"github.com/feddi/feddi/core/checkout"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// listedOffers is how many offers each list of one case shows.
const listedOffers = 20

func (a api) evaluateOffers(ctx context.Context, call *app.Call, req *partnerv1.EvaluateOffersRequest) (*partnerv1.EvaluateOffersResponse, error) {
	in := trials.Input{OfferIDs: req.GetOfferIds(), DraftsOnly: req.GetDraftsOnly(), SessionIDs: req.GetSessionIds()}
	for _, d := range req.GetDrafts() {
		in.Drafts = append(in.Drafts, trials.Draft{ID: d.GetDraftId(), Definition: shape.DraftDefinition(d)})
	}
	for _, b := range req.GetBaskets() {
		in.Baskets = append(in.Baskets, trials.Basket{
			ID: b.GetBasketId(), CustomerID: b.GetCustomerId(), BranchID: b.GetBranchId(), Channel: b.GetChannel(), At: shape.Moment(b.GetAt()),
			Draft: shape.Draft(b.GetLines(), 0, 0),
		})
	}
	if s := req.GetSample(); s != nil {
		in.Sample = &checkout.Sample{
			From: s.GetOpenedAfter().AsTime(), Before: s.GetOpenedBefore().AsTime(), BranchID: s.GetBranchId(), Limit: int(s.GetLimit()),
		}
	}
	in.Progress = pipeline.Reporter(ctx, progress)
	return pipeline.Run(ctx, call, a.Trials.Evaluate, in, func(_ *app.Call, r trials.Result) *partnerv1.EvaluateOffersResponse {
		res := &partnerv1.EvaluateOffersResponse{Meta: pipeline.Trace(r.TraceID), Truncated: r.Truncated, Totals: evaluationTotals(r.Totals)}
		for i := range r.Cases {
			res.Evaluations = append(res.Evaluations, evaluation(&r.Cases[i]))
		}
		for _, d := range r.Offers {
			res.Offers = append(res.Offers, &partnerv1.OfferDifference{
				OfferId: d.OfferID, Version: int32(d.Version), BaselineCount: int32(d.BaselineCount), TrialCount: int32(d.TrialCount),
				BaselineMinor: d.BaselineMinor, TrialMinor: d.TrialMinor, GainedCustomerIds: d.Gained, LostCustomerIds: d.Lost, Cut: d.Cut,
			})
		}
		for _, s := range r.Skipped {
			res.Skipped = append(res.Skipped, &partnerv1.SkippedEvaluation{CaseId: s.ID, Reason: s.Reason})
		}
		return res
	})
}

func progress(p trials.Progress) *partnerv1.EvaluateOffersProgress {
	return &partnerv1.EvaluateOffersProgress{
		CasesDone: int32(p.Done), CasesTotal: int32(p.Total), OffersCount: int32(p.Offers), Totals: evaluationTotals(p.Totals),
	}
}

func evaluationTotals(t trials.Totals) *partnerv1.OfferEvaluationTotals {
	return &partnerv1.OfferEvaluationTotals{
		CasesCount: int32(t.Cases), ChangedCount: int32(t.Changed), SkippedCount: int32(t.Skipped),
		BaselineMinor: t.BaselineMinor, TrialMinor: t.TrialMinor, Currency: t.Currency,
	}
}

func evaluation(c *trials.Case) *partnerv1.OfferEvaluation {
	out := &partnerv1.OfferEvaluation{
		CaseId: c.ID, BaselineMinor: c.BaselineMinor, TrialMinor: c.TrialMinor, CustomerId: shape.Optional(c.CustomerID), Currency: c.Currency,
		DecisionTraceId: shape.Optional(c.TraceID),
		Cut:             max(len(c.Baseline.Offers), len(c.Trial.Offers), len(c.Trial.Withheld)) > listedOffers,
	}
	for i := range c.Baseline.Offers[:min(len(c.Baseline.Offers), listedOffers)] {
		out.Baseline = append(out.Baseline, shape.Shown(&c.Baseline.Offers[i], ""))
	}
	for i := range c.Trial.Offers[:min(len(c.Trial.Offers), listedOffers)] {
		out.Trial = append(out.Trial, shape.Shown(&c.Trial.Offers[i], ""))
	}
	for i := range c.Trial.Withheld[:min(len(c.Trial.Withheld), listedOffers)] {
		out.Withheld = append(out.Withheld, shape.Withheld(&c.Trial.Withheld[i]))
	}
	return out
}
