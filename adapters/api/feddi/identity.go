package feddi

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// identityAPI answers identify outside of sessions.
type identityAPI struct{ uses *identities.Service }

// RegisterIdentity mounts identify.
func RegisterIdentity(reg *pipeline.Registry, uses *identities.Service) {
	pipeline.Handle(reg, partnerv1connect.PlatformServiceIdentifyProcedure, identityAPI{uses}.identify)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceResolveIdentityProcedure, identityAPI{uses}.resolve)
}

func (a identityAPI) identify(ctx context.Context, call *app.Call, req *partnerv1.IdentifyRequest) (*partnerv1.IdentifyResponse, error) {
	in := identities.IdentifyInput{Credential: credentialOf(req.GetCredential())}
	return pipeline.Run(ctx, call, a.uses.Identify, in, func(_ *app.Call, found identities.Identified) *partnerv1.IdentifyResponse {
		return &partnerv1.IdentifyResponse{Status: identifiedStatus(found.Context), CustomerContext: shape.CustomerContext(found.Context)}
	})
}

// resolve leaves the name out of its context, as identify does: the answer is stored.
func (a identityAPI) resolve(ctx context.Context, call *app.Call, req *partnerv1.ResolveIdentityRequest) (*partnerv1.ResolveIdentityResponse, error) {
	var in identities.SeveralInput
	for _, c := range req.GetCredentials() {
		in.Credentials = append(in.Credentials, credentialOf(c))
	}
	return pipeline.Run(ctx, call, a.uses.ResolveSeveral, in, func(_ *app.Call, r identities.Several) *partnerv1.ResolveIdentityResponse {
		res := &partnerv1.ResolveIdentityResponse{
			Meta: pipeline.Trace(r.TraceID), Status: string(r.Verdict.Status), CustomerContext: shape.CustomerContext(r.Context),
			ConfidenceBp: int32(r.Verdict.ConfidenceBP), Reasoning: shape.Reasoning(r.Verdict.Summary, r.Verdict.Rule, r.Facts()),
		}
		for i, s := range r.Signals {
			res.Signals = append(res.Signals, &partnerv1.IdentitySignal{
				CredentialType: string(s.Type), MaskedValue: r.Masked[i], CustomerIds: s.CustomerIDs, WeightBp: int32(s.Weight()),
				Conflicting: r.Verdict.Conflicting[i], State: string(s.State),
			})
		}
		return res
	})
}

// identifiedStatus tells whether somebody was found.
func identifiedStatus(c *identities.CustomerContext) string {
	if c == nil {
		return "not_found"
	}
	return "identified"
}
