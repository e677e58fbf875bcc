package customers

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/privacy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// privacyAPI answers what people ask for by right.
type privacyAPI struct{ uses *privacy.Service }

// RegisterPrivacy mounts exports and erasures.
func RegisterPrivacy(reg *pipeline.Registry, uses *privacy.Service) {
	a := privacyAPI{uses}
	pipeline.Handle(reg, partnerv1connect.CustomersServiceRequestGdprExportProcedure, a.export)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceRequestGdprErasureProcedure, a.erase)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceGetGdprRequestProcedure, a.get)
}

func request(v privacy.View) *partnerv1.GdprRequest {
	out := &partnerv1.GdprRequest{
		RequestId: v.ID, CustomerId: v.CustomerID, Type: string(v.Kind), State: string(v.State), Reason: shape.Optional(v.Reason),
		DownloadUrl: shape.Optional(v.DownloadURL), RequestedAt: timestamppb.New(v.RequestedAt), CompletedAt: shape.Stamp(v.CompletedAt),
	}
	if v.DownloadURL != "" {
		out.DownloadExpiresAt = shape.Stamp(v.ExpiresAt)
	}
	for _, c := range v.Counts {
		out.Counts = append(out.Counts, &partnerv1.GdprCount{Record: c.Record, Count: c.N})
	}
	return out
}

func (a privacyAPI) export(ctx context.Context, call *app.Call, req *partnerv1.RequestGdprExportRequest) (*partnerv1.RequestGdprExportResponse, error) {
	in := privacy.Input{CustomerID: req.GetCustomerId(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.uses.RequestExport, in, func(_ *app.Call, v privacy.View) *partnerv1.RequestGdprExportResponse {
		return shape.Flat(request(v), &partnerv1.RequestGdprExportResponse{})
	})
}

func (a privacyAPI) erase(ctx context.Context, call *app.Call, req *partnerv1.RequestGdprErasureRequest) (*partnerv1.RequestGdprErasureResponse, error) {
	in := privacy.Input{CustomerID: req.GetCustomerId(), Reason: req.GetReason(), Forfeit: req.GetForfeitBalance()}
	return pipeline.Run(ctx, call, a.uses.RequestErasure, in, func(_ *app.Call, v privacy.View) *partnerv1.RequestGdprErasureResponse {
		return shape.Flat(request(v), &partnerv1.RequestGdprErasureResponse{})
	})
}

func (a privacyAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetGdprRequestRequest) (*partnerv1.GetGdprRequestResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetRequestId(), func(_ *app.Call, v privacy.View) *partnerv1.GetGdprRequestResponse {
		return shape.Flat(request(v), &partnerv1.GetGdprRequestResponse{})
	})
}
