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
}

func (a identityAPI) identify(ctx context.Context, call *app.Call, req *partnerv1.IdentifyRequest) (*partnerv1.IdentifyResponse, error) {
	in := identities.IdentifyInput{Credential: credentialOf(req.GetCredential())}
	return pipeline.Run(ctx, call, a.uses.Identify, in, func(_ *app.Call, found identities.Identified) *partnerv1.IdentifyResponse {
		return &partnerv1.IdentifyResponse{Status: identifiedStatus(found.Context), CustomerContext: shape.CustomerContext(found.Context)}
	})
}

// identifiedStatus tells whether somebody was found.
func identifiedStatus(c *identities.CustomerContext) string {
	if c == nil {
		return "not_found"
	}
	return "identified"
}
