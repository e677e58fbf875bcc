package feddi

import (
	"context"
	"encoding/json"
	"net/http"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/identity"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// enrollmentAPI answers EnrollmentService.
type enrollmentAPI struct{ uses *enrollment.Service }

// RegisterEnrollment mounts the enrollment domain.
func RegisterEnrollment(reg *pipeline.Registry, uses *enrollment.Service) {
	a := enrollmentAPI{uses}
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceInitiateEnrollmentProcedure, a.initiate)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceVerifyEnrollmentProcedure, a.verify)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceResendVerificationProcedure, a.resend)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceMergeIdentitiesProcedure, a.merge)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceRedriveClaimsProcedure, a.redrive)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceGetClaimProcedure, a.claim)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceGetEnrollmentProcedure, a.standing)
}

func (a enrollmentAPI) initiate(ctx context.Context, call *app.Call, req *partnerv1.InitiateEnrollmentRequest) (*partnerv1.InitiateEnrollmentResponse, error) {
	in := enrollment.InitiateInput{
		Phone: req.GetPhone(), SessionID: req.GetSessionId(), ProviderCustomerID: req.GetProviderCustomerId(), Name: req.GetName(),
	}
	return pipeline.Run(ctx, call, a.uses.Initiate, in, func(call *app.Call, out enrollment.Initiated) *partnerv1.InitiateEnrollmentResponse {
		if !out.Created {
			pipeline.SetStatus(call, http.StatusOK)
		}
		res := &partnerv1.InitiateEnrollmentResponse{CustomerId: out.Customer.ID, State: string(out.Customer.State)}
		if e := out.Enrollment; e != nil {
			res.EnrollmentId, res.ExpiresAt = &e.ID, timestamppb.New(e.ExpiresAt)
			res.AttemptsLeft, res.ResendsLeft = int32(e.AttemptsLeft), int32(e.ResendsLeft)
		}
		if out.Proof != nil {
			res.Sandbox = shownProof(call, *out.Proof)
		}
		return res
	})
}

// shownProof is what the guest receives; only the sandbox shows it.
func shownProof(call *app.Call, p identity.Proof) *partnerv1.EnrollmentSandbox {
	if !call.Sandbox() {
		return nil
	}
	return &partnerv1.EnrollmentSandbox{Code: p.Code, VerificationToken: p.Token}
}

func (a enrollmentAPI) verify(ctx context.Context, call *app.Call, req *partnerv1.VerifyEnrollmentRequest) (*partnerv1.VerifyEnrollmentResponse, error) {
	in := enrollment.VerifyInput{
		EnrollmentID: req.GetEnrollmentId(), Code: req.GetCode(), Token: req.GetVerificationToken(), ProviderCustomerID: req.GetProviderCustomerId(),
	}
	return pipeline.Run(ctx, call, a.uses.Verify, in, func(_ *app.Call, out enrollment.VerifiedEnrollment) *partnerv1.VerifyEnrollmentResponse {
		return &partnerv1.VerifyEnrollmentResponse{
			CustomerId: out.Customer.ID, State: string(out.Customer.State), ReleasedGrants: shape.Grants(out.Released),
			EnrollmentId: out.Enrollment.ID, Balance: shape.Balance(out.Balance), ProviderCustomerId: shape.Optional(out.ProviderCustomerID),
			VerifiedAt: shape.Stamp(out.Customer.VerifiedAt),
		}
	})
}

func (a enrollmentAPI) resend(ctx context.Context, call *app.Call, req *partnerv1.ResendVerificationRequest) (*partnerv1.ResendVerificationResponse, error) {
	in := enrollment.ResendInput{EnrollmentID: req.GetEnrollmentId()}
	return pipeline.Run(ctx, call, a.uses.Resend, in, func(call *app.Call, out enrollment.Resent) *partnerv1.ResendVerificationResponse {
		e := out.Enrollment
		return &partnerv1.ResendVerificationResponse{
			EnrollmentId: e.ID, CustomerId: e.CustomerID, State: string(e.State), AttemptsLeft: int32(e.AttemptsLeft),
			ExpiresAt: timestamppb.New(e.ExpiresAt), Sandbox: shownProof(call, out.Proof), ResendsLeft: int32(e.ResendsLeft),
			NextResendAt: shape.Stamp(e.NextResendAt()),
		}
	})
}

func (a enrollmentAPI) redrive(ctx context.Context, call *app.Call, req *partnerv1.RedriveClaimsRequest) (*partnerv1.RedriveClaimsResponse, error) {
	in := enrollment.RedriveInput{CustomerID: req.GetCustomerId(), GrantIDs: req.GetGrantIds()}
	return pipeline.Run(ctx, call, a.uses.Redrive, in, func(_ *app.Call, out enrollment.Redriven) *partnerv1.RedriveClaimsResponse {
		return shape.Flat(claimMessage(out), &partnerv1.RedriveClaimsResponse{})
	})
}

func (a enrollmentAPI) claim(ctx context.Context, call *app.Call, req *partnerv1.GetClaimRequest) (*partnerv1.GetClaimResponse, error) {
	return pipeline.Run(ctx, call, a.uses.GetClaim, req.GetClaimId(), func(_ *app.Call, out enrollment.Redriven) *partnerv1.GetClaimResponse {
		return shape.Flat(claimMessage(out), &partnerv1.GetClaimResponse{})
	})
}

func claimMessage(out enrollment.Redriven) *partnerv1.Claim {
	res := &partnerv1.Claim{
		ClaimId: out.Claim.ID, CustomerId: out.Customer.ID, State: "completed", ReleasedGrants: shape.Grants(out.Released),
		CreatedAt: timestamppb.New(out.Claim.CreatedAt),
	}
	for _, l := range out.Locked {
		res.LockedGrants = append(res.LockedGrants, &partnerv1.LockedGrant{
			Grant: shape.Grant(l.Grant), Reason: string(l.Reason), Reasoning: lockedReasoning(out, l.Reason),
		})
	}
	return res
}

func (a enrollmentAPI) standing(ctx context.Context, call *app.Call, req *partnerv1.GetEnrollmentRequest) (*partnerv1.GetEnrollmentResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetEnrollmentId(), func(_ *app.Call, out enrollment.Standing) *partnerv1.GetEnrollmentResponse {
		e := out.Enrollment
		res := &partnerv1.GetEnrollmentResponse{
			EnrollmentId: e.ID, CustomerId: e.CustomerID, State: string(e.State), AttemptsLeft: int32(e.AttemptsLeft), ExpiresAt: timestamppb.New(e.ExpiresAt),
			ResendsLeft: int32(e.ResendsLeft), SessionId: shape.Optional(e.SessionID), CreatedAt: timestamppb.New(e.CreatedAt), VerifiedAt: shape.Stamp(e.VerifiedAt),
		}
		if out.Expired {
			res.State = "EXPIRED"
		}
		return res
	})
}

// lockedReasoning says why a grant stays LOCKED and what would change it.
func lockedReasoning(out enrollment.Redriven, reason identity.LockReason) *partnerv1.Reasoning {
	summary := map[identity.LockReason]string{
		identity.NotVerified:     "The phone is not proven yet; verifying it releases what the claim gate allows",
		identity.ClaimGateNotMet: "The phone is proven, but the merchant's claim gate is not met yet",
		identity.CustomerOff:     "The customer is disabled; nothing is released until they are enabled again",
	}[reason]
	facts, _ := json.Marshal(map[string]string{ // strings always marshal
		"state": string(out.Customer.State), "status": string(out.Customer.Status), "claim_gate": string(out.Gate),
	})
	return shape.Reasoning(summary, "verified_and_claim_gate_met", facts)
}
