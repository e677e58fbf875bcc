package rewards

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/proposals"
	"github.com/feddi/feddi/core/offers"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

func (a api) customerOffers(ctx context.Context, call *app.Call, req *partnerv1.GetCustomerOffersRequest) (*partnerv1.GetCustomerOffersResponse, error) {
	in := incentives.ProspectInput{CustomerID: req.GetCustomerId(), BranchID: req.GetBranchId()}
	return pipeline.Run(ctx, call, a.Incentives.CustomerOffers, in, func(_ *app.Call, f incentives.ProspectResult) *partnerv1.GetCustomerOffersResponse {
		res := &partnerv1.GetCustomerOffersResponse{Meta: pipeline.Trace(f.TraceID), CustomerId: f.CustomerID, Currency: f.Currency}
		for i := range f.Feed.Offers {
			res.Offers = append(res.Offers, shape.Shown(&f.Feed.Offers[i], ""))
		}
		for i := range f.Feed.Withheld {
			res.Withheld = append(res.Withheld, shape.Withheld(&f.Feed.Withheld[i]))
		}
		return res
	})
}

func (a api) createProposal(ctx context.Context, call *app.Call, req *partnerv1.CreateProposalRequest) (*partnerv1.CreateProposalResponse, error) {
	in := proposals.CreateInput{
		Kind: offers.ProposalKind(req.GetKind()), CustomerID: req.GetCustomerId(), SessionID: req.GetSessionId(), Title: req.GetTitle(),
		Value: shape.ValueOf(req.GetValue()), Currency: req.GetCurrency(), BudgetID: req.GetBudgetId(), Reason: req.GetReason(),
		ExpiresAt: shape.Moment(req.GetExpiresAt()),
	}
	return pipeline.Run(ctx, call, a.Proposals.Create, in, func(_ *app.Call, v proposals.View) *partnerv1.CreateProposalResponse {
		return shape.Flat(shape.Proposal(v.Proposal, v.At), &partnerv1.CreateProposalResponse{Meta: pipeline.Trace(v.Proposal.TraceID)})
	})
}

func (a api) listProposals(ctx context.Context, call *app.Call, req *partnerv1.ListProposalsRequest) (*partnerv1.ListProposalsResponse, error) {
	in := proposals.ListInput{
		State: offers.ProposalState(req.GetState()), CustomerID: req.GetCustomerId(), SessionID: req.GetSessionId(),
		Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.Proposals.List, in, func(_ *app.Call, p proposals.Page) *partnerv1.ListProposalsResponse {
		res := &partnerv1.ListProposalsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, one := range p.Proposals {
			res.Proposals = append(res.Proposals, shape.Proposal(one, p.At))
		}
		return res
	})
}

func (a api) decideProposal(ctx context.Context, call *app.Call, req *partnerv1.DecideProposalRequest) (*partnerv1.DecideProposalResponse, error) {
	in := proposals.DecideInput{ProposalID: req.GetProposalId(), Accept: req.GetDecision() == "accept", Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.Proposals.Decide, in, func(_ *app.Call, v proposals.View) *partnerv1.DecideProposalResponse {
		res := &partnerv1.DecideProposalResponse{Meta: pipeline.Trace(v.Proposal.TraceID)}
		if v.Application != nil {
			res.Application = shape.Application(*v.Application)
		}
		if v.Grant != nil {
			res.Grant = shape.Grant(*v.Grant)
		}
		return shape.Flat(shape.Proposal(v.Proposal, v.At), res)
	})
}
