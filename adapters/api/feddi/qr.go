package feddi

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/identity"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// qrAPI answers qrMint, the one operation of PaymentsService that is identity's.
type qrAPI struct{ uses *customers.Service }

// RegisterQR mounts qrMint.
func RegisterQR(reg *pipeline.Registry, uses *customers.Service) {
	pipeline.Handle(reg, partnerv1connect.PaymentsServiceQrMintProcedure, qrAPI{uses}.mint)
}

func (a qrAPI) mint(ctx context.Context, call *app.Call, req *partnerv1.QrMintRequest) (*partnerv1.QrMintResponse, error) {
	in := customers.MintInput{CustomerID: req.GetCustomerId(), Kind: identity.CredentialType(req.GetKind())}
	return pipeline.Run(ctx, call, a.uses.Mint, in, func(_ *app.Call, m customers.Minted) *partnerv1.QrMintResponse {
		return &partnerv1.QrMintResponse{
			Credential: &partnerv1.Credential{CredentialType: string(m.Credential.Type), Value: m.Credential.Value},
			ExpiresAt:  timestamppb.New(m.ExpiresAt), Svg: shape.Optional(m.SVG),
		}
	})
}
