package feddi

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// AuthDeps are what the auth domain needs.
type AuthDeps struct {
	Auth    *auth.Service
	Sandbox *sandbox.Service
}

// authAPI answers AuthService.
type authAPI struct{ AuthDeps }

// RegisterAuth mounts the auth domain. Keys belong to the integration, so their
// operations work for a key of several merchants, or of none yet, too.
func RegisterAuth(reg *pipeline.Registry, d AuthDeps) {
	a := authAPI{d}
	pipeline.Handle(reg, partnerv1connect.AuthServiceCreateApiKeyProcedure, a.create, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.AuthServiceListApiKeysProcedure, a.list, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.AuthServiceGetApiKeyProcedure, a.get, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.AuthServiceRevokeApiKeyProcedure, a.revoke, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.AuthServiceRegenerateApiKeyProcedure, a.regenerate, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.AuthServiceDeleteApiKeyProcedure, a.delete, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.AuthServiceCreateSandboxCredentialsProcedure, a.sandbox)
	pipeline.Handle(reg, partnerv1connect.AuthServiceExchangeTerminalTokenProcedure, a.exchange)
	pipeline.Handle(reg, partnerv1connect.AuthServiceValidateTerminalTokenProcedure, a.validate)
	pipeline.Handle(reg, partnerv1connect.AuthServiceRevokeTerminalTokenProcedure, a.revokeToken)
}

func (a authAPI) create(ctx context.Context, call *app.Call, req *partnerv1.CreateApiKeyRequest) (*partnerv1.CreateApiKeyResponse, error) {
	in := auth.CreateKeyInput{
		Name: req.GetName(), Scope: tenancy.Scope(req.GetScope()), BrandID: req.GetBrandId(), BranchID: req.GetBranchId(), Operator: req.GetOperator(),
	}
	return pipeline.Run(ctx, call, a.Auth.CreateKey, in, func(_ *app.Call, k auth.IssuedKey) *partnerv1.CreateApiKeyResponse {
		return &partnerv1.CreateApiKeyResponse{RawKey: k.Raw, Key: shape.APIKey(k.Key)}
	})
}

func (a authAPI) list(ctx context.Context, call *app.Call, req *partnerv1.ListApiKeysRequest) (*partnerv1.ListApiKeysResponse, error) {
	in := auth.ListKeysInput{Status: tenancy.KeyStatus(req.GetStatus()), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.Auth.ListKeys, in, func(_ *app.Call, p auth.KeyPage) *partnerv1.ListApiKeysResponse {
		res := &partnerv1.ListApiKeysResponse{Meta: pipeline.Cursor(p.Next)}
		for _, k := range p.Keys {
			res.Keys = append(res.Keys, shape.APIKey(k))
		}
		return res
	})
}

func (a authAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetApiKeyRequest) (*partnerv1.GetApiKeyResponse, error) {
	return pipeline.Run(ctx, call, a.Auth.Key, req.GetKeyId(), func(_ *app.Call, k tenancy.APIKey) *partnerv1.GetApiKeyResponse {
		return &partnerv1.GetApiKeyResponse{Key: shape.APIKey(k)}
	})
}

func (a authAPI) revoke(ctx context.Context, call *app.Call, req *partnerv1.RevokeApiKeyRequest) (*partnerv1.RevokeApiKeyResponse, error) {
	return pipeline.Run(ctx, call, a.Auth.RevokeKey, req.GetKeyId(), func(_ *app.Call, k tenancy.APIKey) *partnerv1.RevokeApiKeyResponse {
		return &partnerv1.RevokeApiKeyResponse{Key: shape.APIKey(k)}
	})
}

func (a authAPI) regenerate(ctx context.Context, call *app.Call, req *partnerv1.RegenerateApiKeyRequest) (*partnerv1.RegenerateApiKeyResponse, error) {
	return pipeline.Run(ctx, call, a.Auth.RegenerateKey, req.GetKeyId(), func(_ *app.Call, k auth.IssuedKey) *partnerv1.RegenerateApiKeyResponse {
		return &partnerv1.RegenerateApiKeyResponse{RawKey: k.Raw, Key: shape.APIKey(k.Key), RevokedKeyId: k.ReplacedID}
	})
}

func (a authAPI) delete(ctx context.Context, call *app.Call, req *partnerv1.DeleteApiKeyRequest) (*partnerv1.DeleteApiKeyResponse, error) {
	return pipeline.Run(ctx, call, a.Auth.DeleteKey, req.GetKeyId(), func(_ *app.Call, id string) *partnerv1.DeleteApiKeyResponse {
		return &partnerv1.DeleteApiKeyResponse{KeyId: id, Deleted: true}
	})
}

func (a authAPI) sandbox(ctx context.Context, call *app.Call, req *partnerv1.CreateSandboxCredentialsRequest) (*partnerv1.CreateSandboxCredentialsResponse, error) {
	in := sandbox.Input{Currency: req.GetCurrency(), Name: req.GetName()}
	return pipeline.Run(ctx, call, a.Sandbox.Create, in, func(_ *app.Call, c sandbox.Credentials) *partnerv1.CreateSandboxCredentialsResponse {
		return &partnerv1.CreateSandboxCredentialsResponse{
			RawKey: c.Raw, Key: shape.APIKey(c.Key), IntegrationId: c.Key.PartnerID, MerchantId: c.Merchant.ID,
			BrandId: c.Brand.ID, BranchId: c.Branch.ID, TerminalId: c.Terminal.ID, Seed: sandboxSeed(c.Seed),
		}
	})
}

func (a authAPI) exchange(ctx context.Context, call *app.Call, req *partnerv1.ExchangeTerminalTokenRequest) (*partnerv1.ExchangeTerminalTokenResponse, error) {
	return pipeline.Run(ctx, call, a.Auth.ExchangeToken, req.GetTerminalId(), func(_ *app.Call, t auth.IssuedToken) *partnerv1.ExchangeTerminalTokenResponse {
		c := t.Claims
		return &partnerv1.ExchangeTerminalTokenResponse{
			Token: t.Token, TokenType: "Bearer", ExpiresIn: int32(tenancy.TokenTTL.Seconds()), ExpiresAt: timestamppb.New(c.ExpiresAt),
			Scope: tokenScope(c.MerchantID, c.BrandID, c.BranchID, c.TerminalID),
		}
	})
}

func (a authAPI) validate(ctx context.Context, call *app.Call, _ *partnerv1.ValidateTerminalTokenRequest) (*partnerv1.ValidateTerminalTokenResponse, error) {
	return pipeline.Run(ctx, call, a.Auth.ValidateToken, struct{}{}, func(_ *app.Call, t auth.TokenStanding) *partnerv1.ValidateTerminalTokenResponse {
		return &partnerv1.ValidateTerminalTokenResponse{
			Valid: true, ExpiresIn: int32(t.ExpiresIn), IssuedAt: timestamppb.New(t.IssuedAt), ExpiresAt: timestamppb.New(t.ExpiresAt),
			Scope: tokenScope(t.MerchantID, t.BrandID, t.BranchID, t.TerminalID),
		}
	})
}

func (a authAPI) revokeToken(ctx context.Context, call *app.Call, req *partnerv1.RevokeTerminalTokenRequest) (*partnerv1.RevokeTerminalTokenResponse, error) {
	in := auth.RevokeTokenInput{Token: req.GetToken(), TerminalID: req.GetTerminalId()}
	return pipeline.Run(ctx, call, a.Auth.RevokeToken, in, func(_ *app.Call, t auth.RevokedTokens) *partnerv1.RevokeTerminalTokenResponse {
		return &partnerv1.RevokeTerminalTokenResponse{TerminalId: t.TerminalID, RevokedAt: timestamppb.New(t.At)}
	})
}
