// Package rewards answers the operations of IncentivesService beside the
// session's own offers: new versions of offers, envelopes, grants by hand,
// customers' own feeds, proposals, trials of offers.
package rewards

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/proposals"
	"github.com/feddi/feddi/core/app/trials"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// Deps are the use cases behind the operations.
type Deps struct {
	Incentives *incentives.Service
	Budgets    *budgets.Service
	Grants     *grants.Service
	Proposals  *proposals.Service
	Trials     *trials.Service
}

type api struct{ Deps }

// Register mounts the operations.
func Register(reg *pipeline.Registry, d Deps) {
	a := api{d}
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceUpdateOfferProcedure, a.updateOffer)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceListBudgetsProcedure, a.listBudgets)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceAdjustBudgetProcedure, a.adjustBudget)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceIssueGrantProcedure, a.issueGrant)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceGetGrantProcedure, a.getGrant)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceGetCustomerOffersProcedure, a.customerOffers)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceEvaluateOffersProcedure, a.evaluateOffers)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceCreateProposalProcedure, a.createProposal)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceListProposalsProcedure, a.listProposals)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceDecideProposalProcedure, a.decideProposal)
}

func (a api) updateOffer(ctx context.Context, call *app.Call, req *partnerv1.UpdateOfferRequest) (*partnerv1.UpdateOfferResponse, error) {
	in := incentives.UpdateOfferInput{OfferID: req.GetOfferId(), ExpectedVersion: int64(req.GetExpectedVersion()), Change: shape.ChangeOf(req)}
	return pipeline.Run(ctx, call, a.Incentives.UpdateOffer, in, func(_ *app.Call, o offers.Offer) *partnerv1.UpdateOfferResponse {
		return shape.Flat(shape.Definition(o, o.UpdatedAt), &partnerv1.UpdateOfferResponse{})
	})
}

func (a api) listBudgets(ctx context.Context, call *app.Call, req *partnerv1.ListBudgetsRequest) (*partnerv1.ListBudgetsResponse, error) {
	in := budgets.ListInput{Status: req.GetStatus(), BrandID: req.GetBrandId(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.Budgets.List, in, func(_ *app.Call, p budgets.Page) *partnerv1.ListBudgetsResponse {
		res := &partnerv1.ListBudgetsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, b := range p.Budgets {
			res.Budgets = append(res.Budgets, shape.Budget(b, p.At))
		}
		return res
	})
}

func (a api) adjustBudget(ctx context.Context, call *app.Call, req *partnerv1.AdjustBudgetRequest) (*partnerv1.AdjustBudgetResponse, error) {
	in := budgets.AdjustInput{BudgetID: req.GetBudgetId(), CapMinor: req.GetCapMinor(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.Budgets.Adjust, in, func(_ *app.Call, d budgets.Adjusted) *partnerv1.AdjustBudgetResponse {
		return shape.Flat(shape.Budget(d.Budget, d.At), &partnerv1.AdjustBudgetResponse{})
	})
}

func (a api) issueGrant(ctx context.Context, call *app.Call, req *partnerv1.IssueGrantRequest) (*partnerv1.IssueGrantResponse, error) {
	in := grants.HandInput{
		CustomerID: req.GetCustomerId(), Source: ledger.Source(req.GetSource()), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency(),
		BudgetID: req.GetBudgetId(), ExpiresAt: shape.Moment(req.GetExpiresAt()), Reason: req.GetReason(),
	}
	return pipeline.Run(ctx, call, a.Grants.IssueByHand, in, func(_ *app.Call, g ledger.Grant) *partnerv1.IssueGrantResponse {
		return shape.Flat(shape.Grant(g), &partnerv1.IssueGrantResponse{})
	})
}

func (a api) getGrant(ctx context.Context, call *app.Call, req *partnerv1.GetGrantRequest) (*partnerv1.GetGrantResponse, error) {
	return pipeline.Run(ctx, call, a.Grants.Get, req.GetId(), func(_ *app.Call, d grants.Detail) *partnerv1.GetGrantResponse {
		res := &partnerv1.GetGrantResponse{}
		for _, m := range d.Movements {
			res.Movements = append(res.Movements, &partnerv1.GrantMovement{
				Type: m.Type, AmountMinor: m.AmountMinor, RemainingMinor: m.RemainingMinor, ReferenceId: shape.Optional(m.ReferenceID),
				EntryId: shape.Optional(m.EntryID), OccurredAt: timestamppb.New(m.At),
			})
		}
		return shape.Flat(shape.Grant(d.Grant), res)
	})
}
