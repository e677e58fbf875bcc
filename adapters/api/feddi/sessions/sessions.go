// Package sessions answers what is read and recorded of sessions beside the
// session itself: lists, revisions of the basket, decisions, the timeline.
package sessions

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/checkout"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// api answers a part of CheckoutSessionService.
type api struct{ uses *uses.Service }

// Register mounts the reads.
func Register(reg *pipeline.Registry, service *uses.Service) {
	a := api{service}
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceListCheckoutSessionsProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceListBasketRevisionsProcedure, a.revisions)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceListSessionDecisionsProcedure, a.decisions)
}

func (a api) list(ctx context.Context, call *app.Call, req *partnerv1.ListCheckoutSessionsRequest) (*partnerv1.ListCheckoutSessionsResponse, error) {
	in := uses.ListInput{
		State: checkout.State(req.GetState()), BranchID: req.GetBranchId(), TerminalID: req.GetTerminalId(), CustomerID: req.GetCustomerId(),
		OpenedFrom: shape.Moment(req.GetOpenedAfter()), OpenedBefore: shape.Moment(req.GetOpenedBefore()), Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.uses.List, in, func(_ *app.Call, p uses.ListPage) *partnerv1.ListCheckoutSessionsResponse {
		res := &partnerv1.ListCheckoutSessionsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, v := range p.Sessions {
			res.Sessions = append(res.Sessions, shape.Session(v))
		}
		return res
	})
}

func (a api) revisions(ctx context.Context, call *app.Call, req *partnerv1.ListBasketRevisionsRequest) (*partnerv1.ListBasketRevisionsResponse, error) {
	in := uses.OfInput{SessionID: req.GetId(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.Revisions, in, func(_ *app.Call, p uses.RevisionPage) *partnerv1.ListBasketRevisionsResponse {
		res := &partnerv1.ListBasketRevisionsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, r := range p.Revisions {
			res.Revisions = append(res.Revisions, revision(r))
		}
		return res
	})
}

func revision(r checkout.Revision) *partnerv1.BasketRevision {
	out := &partnerv1.BasketRevision{
		Revision: int32(r.Revision), TotalMinor: r.TotalMinor, Currency: r.Currency, CreatedAt: timestamppb.New(r.CreatedAt),
	}
	for _, c := range r.Changes {
		out.Changes = append(out.Changes, &partnerv1.BasketLineChange{
			Type: c.Kind(), LineId: c.LineID, Before: shape.BasketLine(c.Before), After: shape.BasketLine(c.After),
		})
	}
	return out
}

func (a api) decisions(ctx context.Context, call *app.Call, req *partnerv1.ListSessionDecisionsRequest) (*partnerv1.ListSessionDecisionsResponse, error) {
	in := uses.OfInput{SessionID: req.GetId(), Kind: req.GetKind(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.Decisions, in, func(_ *app.Call, p uses.DecisionPage) *partnerv1.ListSessionDecisionsResponse {
		res := &partnerv1.ListSessionDecisionsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, d := range p.Decisions {
			res.Decisions = append(res.Decisions, taken(d))
		}
		return res
	})
}

// states are the published names of where a decision stands.
var states = map[string]string{"proposed": "pending", "taken": "committed"}

func taken(t uses.Taken) *partnerv1.Decision {
	d := t.Decision
	out := &partnerv1.Decision{
		DecisionId: d.ID, Kind: d.Kind, State: "refused", AmountMinor: d.AmountMinor, Currency: t.Currency, SessionId: shape.Optional(d.SessionID),
		CustomerId: shape.Optional(d.CustomerID), OfferId: shape.Optional(d.OfferID), Reasoning: shape.Reasoning(d.Card.Summary, d.Card.Rule, d.Card.Facts),
		DecisionTraceId: d.TraceID, CreatedAt: timestamppb.New(d.At),
	}
	if published, ok := states[d.State]; ok {
		out.State = published
	}
	if d.Actuator != "" {
		out.Actuator = &partnerv1.DecisionActuator{Name: d.Actuator, Version: d.ActuatorVersion}
	}
	if t.Grant != nil {
		out.Grant = shape.Grant(*t.Grant)
	}
	return out
}
