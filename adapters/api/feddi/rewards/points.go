package rewards

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// pointsAPI answers the points of IncentivesService.
type pointsAPI struct{ uses *points.Service }

// RegisterPoints mounts the operations on points.
func RegisterPoints(reg *pipeline.Registry, uses *points.Service) {
	a := pointsAPI{uses}
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceGetPointsProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceMovePointsProcedure, a.move)
}

func (a pointsAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetPointsRequest) (*partnerv1.GetPointsResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetCustomerId(), func(_ *app.Call, p ledger.PointsAccount) *partnerv1.GetPointsResponse {
		res := &partnerv1.GetPointsResponse{
			CustomerId: p.CustomerID, BalancePoints: p.Balance, LifetimeEarnedPoints: p.Earned, LifetimeBurnedPoints: p.Burned,
		}
		for _, l := range p.Lots {
			res.Lots = append(res.Lots, &partnerv1.PointsLot{
				LotId: l.ID, Points: l.Points, RemainingPoints: l.Remaining, ReferenceId: shape.Optional(l.ReferenceID),
				EarnedAt: timestamppb.New(l.EarnedAt), ExpiresAt: shape.Stamp(l.ExpiresAt),
			})
		}
		return res
	})
}

func (a pointsAPI) move(ctx context.Context, call *app.Call, req *partnerv1.MovePointsRequest) (*partnerv1.MovePointsResponse, error) {
	in := points.MoveInput{
		CustomerID: req.GetCustomerId(), Type: ledger.PointsMove(req.GetType()), Points: req.GetPoints(), ReferenceID: req.GetReferenceId(),
		ExpiresAt: shape.Moment(req.GetExpiresAt()), Reason: req.GetReason(),
	}
	return pipeline.Run(ctx, call, a.uses.Move, in, func(_ *app.Call, m ledger.PointsMovement) *partnerv1.MovePointsResponse {
		return &partnerv1.MovePointsResponse{
			MovementId: m.ID, CustomerId: m.CustomerID, Type: string(m.Type), Points: m.Points, BalancePoints: m.Balance,
			ReferenceId: shape.Optional(m.ReferenceID), Reason: shape.Optional(m.Reason), EntryId: m.EntryID, CreatedAt: timestamppb.New(m.At),
		}
	})
}
