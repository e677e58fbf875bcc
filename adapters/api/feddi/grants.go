package feddi

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// grantsAPI answers the grant operations of IncentivesService.
type grantsAPI struct{ uses *grants.Service }

// RegisterGrants mounts the grant operations.
func RegisterGrants(reg *pipeline.Registry, uses *grants.Service) {
	a := grantsAPI{uses}
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceListCustomerGrantsProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceClawbackGrantProcedure, a.clawBack)
}

func (a grantsAPI) list(ctx context.Context, call *app.Call, req *partnerv1.ListCustomerGrantsRequest) (*partnerv1.ListCustomerGrantsResponse, error) {
	in := grants.ListInput{
		CustomerID: req.GetCustomerId(), State: ledger.GrantState(req.GetState()), Source: ledger.Source(req.GetSource()),
		Cursor: req.GetCursor(), Limit: int(req.GetLimit()),
	}
	return pipeline.Run(ctx, call, a.uses.List, in, func(_ *app.Call, p grants.Page) *partnerv1.ListCustomerGrantsResponse {
		return &partnerv1.ListCustomerGrantsResponse{Meta: pipeline.Cursor(p.Next), Grants: shape.Grants(p.Grants)}
	})
}

func (a grantsAPI) clawBack(ctx context.Context, call *app.Call, req *partnerv1.ClawbackGrantRequest) (*partnerv1.ClawbackGrantResponse, error) {
	in := grants.ClawBackInput{GrantID: req.GetId(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.uses.ClawBack, in, func(_ *app.Call, c grants.ClawedBack) *partnerv1.ClawbackGrantResponse {
		return shape.Flat(shape.Grant(c.Grant), &partnerv1.ClawbackGrantResponse{
			ClawedBackMinor: c.ReturnedMinor, Balance: shape.Balance(c.Balance), EntryId: c.EntryID,
		})
	})
}
