package feddi

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/enrollment"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

func (a enrollmentAPI) merge(ctx context.Context, call *app.Call, req *partnerv1.MergeIdentitiesRequest) (*partnerv1.MergeIdentitiesResponse, error) {
	in := enrollment.MergeInput{CustomerID: req.GetCustomerId(), SourceID: req.GetSourceCustomerId(), SessionID: req.GetSessionId(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.uses.Merge, in, func(_ *app.Call, m enrollment.Merged) *partnerv1.MergeIdentitiesResponse {
		res := &partnerv1.MergeIdentitiesResponse{
			MergeId: m.ID, CustomerId: m.CustomerID, SourceCustomerId: shape.Optional(m.SourceID), MovedActualMinor: m.ActualMinor,
			MovedPoints: m.Points, MovedGrants: shape.Grants(m.Grants), EntryIds: m.EntryIDs, Balance: shape.Balance(m.Balance),
			CreatedAt: timestamppb.New(m.At),
		}
		for _, l := range m.Links {
			res.MovedCredentials = append(res.MovedCredentials, shape.Link(l))
		}
		return res
	})
}
