package feddi

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/identity"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

func (a enrollmentAPI) merge(ctx context.Context, call *app.Call, req *partnerv1.MergeIdentitiesRequest) (*partnerv1.MergeIdentitiesResponse, error) {
	in := enrollment.MergeInput{
		CustomerID: req.GetCustomerId(), SourceID: req.GetSourceCustomerId(), SessionID: req.GetSessionId(), Reason: req.GetReason(),
		UndoID: req.GetUndoMergeId(), Partial: req.GetAcceptPartial(),
	}
	return pipeline.Run(ctx, call, a.uses.Merge, in, func(_ *app.Call, m enrollment.Merged) *partnerv1.MergeIdentitiesResponse {
		res := &partnerv1.MergeIdentitiesResponse{
			MergeId: m.ID, CustomerId: m.CustomerID, SourceCustomerId: shape.Optional(m.SourceID), MovedActualMinor: m.ActualMinor,
			MovedPoints: m.Points, MovedGrants: shape.Grants(m.Grants), MovedCredentials: linked(m.Links), EntryIds: m.EntryIDs,
			Balance: shape.Balance(m.Balance), CreatedAt: timestamppb.New(m.At), UndoUntil: shape.Stamp(m.UndoUntil), UndoneAt: shape.Stamp(m.UndoneAt),
		}
		if u := m.Undo; u != nil {
			res.MovedActualMinor, res.MovedPoints, res.MovedGrants = u.ActualMinor, u.Points, shape.Grants(u.Grants)
			res.MovedCredentials, res.EntryIds = linked(u.Links), u.EntryIDs
			res.Unreturned = &partnerv1.Unreturned{
				ActualMinor: u.Left.ActualMinor, PromoMinor: u.Left.PromoMinor, Points: u.Left.Points, CredentialIds: u.Left.Links,
			}
		}
		if m.SourceBalance != nil {
			res.SourceBalance = shape.Balance(*m.SourceBalance)
		}
		return res
	})
}

func linked(list []identity.Link) []*partnerv1.LinkedCredential {
	var out []*partnerv1.LinkedCredential
	for _, l := range list {
		out = append(out, shape.Link(l))
	}
	return out
}
