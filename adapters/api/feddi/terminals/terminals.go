// Package terminals answers what concerns tills as devices: register, list,
// heartbeat.
package terminals

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	uses "github.com/feddi/feddi/core/app/terminals"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// api answers a part of AuthService.
type api struct{ uses *uses.Service }

// Register mounts the operations.
func Register(reg *pipeline.Registry, service *uses.Service) {
	a := api{service}
	pipeline.Handle(reg, partnerv1connect.AuthServiceRegisterTerminalProcedure, a.register)
	pipeline.Handle(reg, partnerv1connect.AuthServiceListTerminalsProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.AuthServiceTerminalHeartbeatProcedure, a.heartbeat)
}

func (a api) register(ctx context.Context, call *app.Call, req *partnerv1.RegisterTerminalRequest) (*partnerv1.RegisterTerminalResponse, error) {
	in := uses.RegisterInput{
		BranchID: req.GetBranchId(), Name: req.GetName(), Reference: req.GetReference(), SerialNumber: req.GetSerialNumber(), Model: req.GetModel(),
	}
	return pipeline.Run(ctx, call, a.uses.Register, in, func(_ *app.Call, v uses.View) *partnerv1.RegisterTerminalResponse {
		return &partnerv1.RegisterTerminalResponse{Terminal: terminal(v)}
	})
}

func (a api) list(ctx context.Context, call *app.Call, req *partnerv1.ListTerminalsRequest) (*partnerv1.ListTerminalsResponse, error) {
	in := uses.ListInput{
		BranchID: req.GetBranchId(), State: tenancy.TerminalState(req.GetState()), Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.uses.List, in, func(_ *app.Call, p uses.Page) *partnerv1.ListTerminalsResponse {
		res := &partnerv1.ListTerminalsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, v := range p.Terminals {
			res.Terminals = append(res.Terminals, terminal(v))
		}
		return res
	})
}

func (a api) heartbeat(ctx context.Context, call *app.Call, req *partnerv1.TerminalHeartbeatRequest) (*partnerv1.TerminalHeartbeatResponse, error) {
	in := uses.HeartbeatInput{
		SoftwareVersion: req.GetSoftwareVersion(), StateToken: req.GetStateToken(), TerminalTime: shape.Moment(req.GetTerminalTime()),
	}
	return pipeline.Run(ctx, call, a.uses.Heartbeat, in, func(_ *app.Call, r uses.Report) *partnerv1.TerminalHeartbeatResponse {
		res := &partnerv1.TerminalHeartbeatResponse{
			Terminal: terminal(r.Terminal), StateToken: r.StateToken, OpenSessionIds: r.OpenSessions, DegradedSubsystems: r.Degraded,
			ServerTime: timestamppb.New(r.At), NextHeartbeatSeconds: int32(r.Next.Seconds()),
		}
		for _, subject := range r.Changed {
			res.Changed = append(res.Changed, string(subject))
		}
		if r.Skew != nil {
			ms := r.Skew.Milliseconds()
			res.ClockSkewMs = &ms
		}
		return res
	})
}

func terminal(v uses.View) *partnerv1.Terminal {
	return &partnerv1.Terminal{
		TerminalId: v.ID, MerchantId: v.MerchantID, BrandId: v.BrandID, BranchId: v.BranchID, Name: v.Name, State: string(v.State),
		Reference: shape.Optional(v.Reference), SerialNumber: shape.Optional(v.SerialNumber), Model: shape.Optional(v.Model),
		SoftwareVersion: shape.Optional(v.SoftwareVersion), LastHeartbeatAt: shape.Stamp(v.LastSeenAt), CreatedAt: timestamppb.New(v.CreatedAt),
	}
}
