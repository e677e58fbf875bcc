package sessions

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/timeline"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// history answers the timeline's part of CheckoutSessionService.
type history struct{ uses *timeline.Service }

// RegisterTimeline mounts telemetry and the timeline.
func RegisterTimeline(reg *pipeline.Registry, service *timeline.Service) {
	h := history{service}
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceRecordSessionEventProcedure, h.record)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceGetSessionTimelineProcedure, h.read)
}

func (h history) record(ctx context.Context, call *app.Call, req *partnerv1.RecordSessionEventRequest) (*partnerv1.RecordSessionEventResponse, error) {
	in := timeline.RecordInput{
		SessionID: req.GetId(), Type: checkout.TillEventType(req.GetType()), OfferID: req.GetOfferId(), TraceID: req.GetDecisionTraceId(),
		TenderType: req.GetTenderType(), Prompt: req.GetPrompt(), OccurredAt: shape.Moment(req.GetOccurredAt()),
	}
	if req.GetData() != nil {
		var err error
		if in.Data, err = json.Marshal(req.GetData().AsMap()); err != nil {
			return nil, fault.Internal(err)
		}
	}
	return pipeline.Run(ctx, call, h.uses.Record, in, func(_ *app.Call, e checkout.TillEvent) *partnerv1.RecordSessionEventResponse {
		return &partnerv1.RecordSessionEventResponse{
			EventId: e.ID, Type: string(e.Type), OccurredAt: timestamppb.New(e.OccurredAt),
			OfferId: shape.Optional(e.OfferID), DecisionTraceId: shape.Optional(e.TraceID),
		}
	})
}

func (h history) read(ctx context.Context, call *app.Call, req *partnerv1.GetSessionTimelineRequest) (*partnerv1.GetSessionTimelineResponse, error) {
	in := timeline.ReadInput{
		SessionID: req.GetId(), Happened: req.IncludeCounterfactuals != nil && !req.GetIncludeCounterfactuals(),
		Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, h.uses.Read, in, func(_ *app.Call, p timeline.Page) *partnerv1.GetSessionTimelineResponse {
		res := &partnerv1.GetSessionTimelineResponse{Meta: pipeline.Cursor(p.Next), SessionId: p.SessionID}
		for _, e := range p.Entries {
			res.Entries = append(res.Entries, entry(e))
		}
		return res
	})
}

func entry(e timeline.Entry) *partnerv1.TimelineEntry {
	data, err := shape.Struct(e.Data)
	if err != nil { // the core made it: it is an object
		data = nil
	}
	return &partnerv1.TimelineEntry{
		Sequence: int32(e.Sequence), Type: e.Type, Happened: e.Happened, Summary: e.Summary, OccurredAt: timestamppb.New(e.At),
		EventId: shape.Optional(e.EventID), DecisionId: shape.Optional(e.DecisionID), DecisionTraceId: shape.Optional(e.TraceID),
		OfferId: shape.Optional(e.OfferID), PaymentId: shape.Optional(e.PaymentID), BasketRevision: int32(e.BasketRevision), Data: data,
	}
}
