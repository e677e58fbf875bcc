package returns

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/disputes"
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

func (a api) open(ctx context.Context, call *app.Call, req *partnerv1.OpenDisputeRequest) (*partnerv1.OpenDisputeResponse, error) {
	in := disputes.OpenInput{
		TransactionID: req.GetTransactionId(), Reason: req.GetReason(), AmountMinor: req.GetAmountMinor(), Description: req.GetDescription(),
	}
	for i, e := range req.GetEvidence() {
		one := dispute.Evidence{Type: e.GetType(), Text: e.GetText(), URL: e.GetUrl()}
		if len(e.GetFacts().GetFields()) > 0 {
			raw, err := e.GetFacts().MarshalJSON()
			if err != nil {
				return nil, fault.Field(fault.CodeValidationFailed, fmt.Sprintf("evidence[%d].facts", i), "json_object", "give a JSON object").Because(err)
			}
			one.Facts = raw
		}
		in.Evidence = append(in.Evidence, one)
	}
	return pipeline.Run(ctx, call, a.disputes.Open, in, func(_ *app.Call, d dispute.Dispute) *partnerv1.OpenDisputeResponse {
		return shape.Flat(message(d), &partnerv1.OpenDisputeResponse{})
	})
}

func (a api) list(ctx context.Context, call *app.Call, req *partnerv1.ListDisputesRequest) (*partnerv1.ListDisputesResponse, error) {
	in := disputes.ListInput{
		State: dispute.State(req.GetState()), TransactionID: req.GetTransactionId(), CustomerID: req.GetCustomerId(),
		Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.disputes.List, in, func(_ *app.Call, p disputes.Page) *partnerv1.ListDisputesResponse {
		res := &partnerv1.ListDisputesResponse{Meta: pipeline.Cursor(p.Next)}
		for _, d := range p.Disputes {
			res.Disputes = append(res.Disputes, message(d))
		}
		return res
	})
}

func (a api) get(ctx context.Context, call *app.Call, req *partnerv1.GetDisputeRequest) (*partnerv1.GetDisputeResponse, error) {
	return pipeline.Run(ctx, call, a.disputes.Get, req.GetDisputeId(), func(_ *app.Call, d dispute.Dispute) *partnerv1.GetDisputeResponse {
		return shape.Flat(message(d), &partnerv1.GetDisputeResponse{})
	})
}

func (a api) resolve(ctx context.Context, call *app.Call, req *partnerv1.ResolveDisputeRequest) (*partnerv1.ResolveDisputeResponse, error) {
	in := disputes.ResolveInput{
		DisputeID: req.GetDisputeId(), Outcome: dispute.Outcome(req.GetOutcome()), AmountMinor: req.GetAmountMinor(), Note: req.GetNote(),
	}
	return pipeline.Run(ctx, call, a.disputes.Resolve, in, func(_ *app.Call, d dispute.Dispute) *partnerv1.ResolveDisputeResponse {
		return shape.Flat(message(d), &partnerv1.ResolveDisputeResponse{})
	})
}

// message is a dispute; the answers carry the same fields.
func message(d dispute.Dispute) *partnerv1.Dispute {
	out := &partnerv1.Dispute{
		DisputeId: d.ID, TransactionId: d.TransactionID, CustomerId: shape.Optional(d.CustomerID), State: string(d.State), Reason: d.Reason,
		AmountMinor: d.AmountMinor, Currency: d.Currency, Description: shape.Optional(d.Description),
		OpenedAt: timestamppb.New(d.OpenedAt), DueAt: timestamppb.New(d.DueAt), ResolvedAt: shape.Stamp(d.ResolvedAt),
	}
	for _, e := range d.Evidence {
		facts, _ := shape.Struct(e.Facts) // written from one
		out.Evidence = append(out.Evidence, &partnerv1.DisputeEvidence{Type: e.Type, Text: e.Text, Url: shape.Optional(e.URL), Facts: facts})
	}
	for _, h := range d.History {
		out.History = append(out.History, &partnerv1.DisputeEvent{
			Type: h.Type, ActorId: h.ActorID, Note: shape.Optional(h.Note), OccurredAt: timestamppb.New(h.At),
		})
	}
	if r := d.Resolution; r != nil {
		out.Resolution = &partnerv1.DisputeResolution{
			Outcome: string(r.Outcome), RefundedActualMinor: r.ActualMinor, RefundedPromoMinor: r.PromoMinor,
			ForfeitedPromoMinor: r.ForfeitedMinor, EntryIds: r.EntryIDs, Note: shape.Optional(r.Note),
		}
	}
	return out
}
