package feddi

import (
	"context"
	"net/http"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// topupAPI answers TopupService.
type topupAPI struct{ uses *topup.Service }

// RegisterTopup mounts the top-up domain.
func RegisterTopup(reg *pipeline.Registry, uses *topup.Service) {
	a := topupAPI{uses}
	pipeline.Handle(reg, partnerv1connect.TopupServicePrepareTopupProcedure, a.prepare)
	pipeline.Handle(reg, partnerv1connect.TopupServiceConfirmTopupProcedure, a.confirm)
	pipeline.Handle(reg, partnerv1connect.TopupServiceGetTopupProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.TopupServiceReverseTopupProcedure, a.reverse)
	pipeline.Handle(reg, partnerv1connect.TopupServiceRecordSkuTopupProcedure, a.recordSKU)
	pipeline.Handle(reg, partnerv1connect.TopupServiceRegisterTopupSkuProcedure, a.registerSKU)
	pipeline.Handle(reg, partnerv1connect.TopupServiceListTopupSkusProcedure, a.listSKUs)
	pipeline.Handle(reg, partnerv1connect.TopupServiceConfigureReloadBonusProcedure, a.configureBonus)
	pipeline.Handle(reg, partnerv1connect.TopupServiceGetReloadBonusConfigProcedure, a.bonus)
	pipeline.Handle(reg, partnerv1connect.TopupServiceGetWalletBalanceProcedure, a.balance)
	pipeline.Handle(reg, partnerv1connect.TopupServiceReceiveProviderWebhookProcedure, a.callback)
}

func (a topupAPI) prepare(ctx context.Context, call *app.Call, req *partnerv1.PrepareTopupRequest) (*partnerv1.PrepareTopupResponse, error) {
	in := topup.PrepareInput{CustomerID: req.GetCustomerId(), SessionID: req.GetSessionId(), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency()}
	return pipeline.Run(ctx, call, a.uses.Prepare, in, func(_ *app.Call, o topup.Outcome) *partnerv1.PrepareTopupResponse {
		return shape.Flat(topupMessage(o), &partnerv1.PrepareTopupResponse{})
	})
}

func (a topupAPI) confirm(ctx context.Context, call *app.Call, req *partnerv1.ConfirmTopupRequest) (*partnerv1.ConfirmTopupResponse, error) {
	in := topup.ConfirmInput{TopupID: req.GetTopupId(), Reference: req.GetProviderSettlementReference()}
	return pipeline.Run(ctx, call, a.uses.Confirm, in, func(_ *app.Call, o topup.Outcome) *partnerv1.ConfirmTopupResponse {
		return shape.Flat(topupMessage(o), &partnerv1.ConfirmTopupResponse{Balance: shape.Balance(o.Balance)})
	})
}

func (a topupAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetTopupRequest) (*partnerv1.GetTopupResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetTopupId(), func(_ *app.Call, o topup.Outcome) *partnerv1.GetTopupResponse {
		return shape.Flat(topupMessage(o), &partnerv1.GetTopupResponse{})
	})
}

func (a topupAPI) reverse(ctx context.Context, call *app.Call, req *partnerv1.ReverseTopupRequest) (*partnerv1.ReverseTopupResponse, error) {
	in := topup.ReverseInput{TopupID: req.GetTopupId(), Reason: req.GetReason(), Note: req.GetNote(), AllowPartial: req.GetAllowPartial()}
	return pipeline.Run(ctx, call, a.uses.Reverse, in, func(_ *app.Call, o topup.Outcome) *partnerv1.ReverseTopupResponse {
		t := o.Topup
		return shape.Flat(topupMessage(o), &partnerv1.ReverseTopupResponse{
			Balance: shape.Balance(o.Balance), Reason: t.ReversalReason, ReversedActualMinor: t.ReversedActualMinor,
			ReversedBonusMinor: t.ReversedBonusMinor, UnrecoveredActualMinor: t.AmountMinor - t.ReversedActualMinor,
			UnrecoveredBonusMinor: t.BonusMinor - t.ReversedBonusMinor,
		})
	})
}

func (a topupAPI) recordSKU(ctx context.Context, call *app.Call, req *partnerv1.RecordSkuTopupRequest) (*partnerv1.RecordSkuTopupResponse, error) {
	in := topup.RecordSKUInput{SKUID: req.GetSkuId(), CustomerID: req.GetCustomerId(), SessionID: req.GetSessionId(), Quantity: 1}
	if req.Quantity != nil {
		in.Quantity = req.GetQuantity()
	}
	return pipeline.Run(ctx, call, a.uses.RecordSKU, in, func(_ *app.Call, o topup.Outcome) *partnerv1.RecordSkuTopupResponse {
		return shape.Flat(topupMessage(o), &partnerv1.RecordSkuTopupResponse{Balance: shape.Balance(o.Balance), Quantity: o.Topup.Quantity})
	})
}

func (a topupAPI) registerSKU(ctx context.Context, call *app.Call, req *partnerv1.RegisterTopupSkuRequest) (*partnerv1.RegisterTopupSkuResponse, error) {
	sku := ledger.SKU{
		ID: req.GetSkuId(), Name: req.GetName(), ValueMinor: req.GetValueMinor(), BonusMinor: req.GetBonusMinor(),
		ExpiryDays: int(req.GetBonusExpiresAfterDays()), Currency: req.GetCurrency(), Active: req.Active == nil || req.GetActive(),
	}
	return pipeline.Run(ctx, call, a.uses.RegisterSKU, sku, func(call *app.Call, r topup.Registered) *partnerv1.RegisterTopupSkuResponse {
		if !r.Created {
			pipeline.SetStatus(call, http.StatusOK)
		}
		return &partnerv1.RegisterTopupSkuResponse{Sku: skuMessage(r.SKU)}
	})
}

func (a topupAPI) listSKUs(ctx context.Context, call *app.Call, req *partnerv1.ListTopupSkusRequest) (*partnerv1.ListTopupSkusResponse, error) {
	in := topup.ListSKUsInput{Active: req.Active, Cursor: req.GetCursor(), Limit: int(req.GetLimit())}
	return pipeline.Run(ctx, call, a.uses.ListSKUs, in, func(_ *app.Call, p topup.SKUPage) *partnerv1.ListTopupSkusResponse {
		res := &partnerv1.ListTopupSkusResponse{Meta: pipeline.Cursor(p.Next)}
		for _, k := range p.SKUs {
			res.Skus = append(res.Skus, skuMessage(k))
		}
		return res
	})
}

func (a topupAPI) configureBonus(ctx context.Context, call *app.Call, req *partnerv1.ConfigureReloadBonusRequest) (*partnerv1.ConfigureReloadBonusResponse, error) {
	in := ledger.Tiers{Currency: req.GetCurrency()}
	for _, t := range req.GetTiers() {
		in.Steps = append(in.Steps, ledger.Tier{MinTopupMinor: t.GetMinTopupMinor(), BonusMinor: t.GetBonusMinor(), ExpiryDays: int(t.GetBonusExpiresAfterDays())})
	}
	return pipeline.Run(ctx, call, a.uses.ConfigureBonus, in, func(call *app.Call, t ledger.Tiers) *partnerv1.ConfigureReloadBonusResponse {
		return &partnerv1.ConfigureReloadBonusResponse{
			MerchantId: call.Tenant.MerchantID, Currency: t.Currency, Tiers: tierMessages(t.Steps), Revision: t.Revision, UpdatedAt: shape.Stamp(t.UpdatedAt),
		}
	})
}

func (a topupAPI) bonus(ctx context.Context, call *app.Call, req *partnerv1.GetReloadBonusConfigRequest) (*partnerv1.GetReloadBonusConfigResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Bonus, req.GetCurrency(), func(call *app.Call, t ledger.Tiers) *partnerv1.GetReloadBonusConfigResponse {
		return &partnerv1.GetReloadBonusConfigResponse{
			MerchantId: call.Tenant.MerchantID, Currency: t.Currency, Tiers: tierMessages(t.Steps), Revision: t.Revision, UpdatedAt: shape.Stamp(t.UpdatedAt),
		}
	})
}

func (a topupAPI) balance(ctx context.Context, call *app.Call, req *partnerv1.GetWalletBalanceRequest) (*partnerv1.GetWalletBalanceResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Balance, req.GetCustomerId(), func(_ *app.Call, b ledger.Balance) *partnerv1.GetWalletBalanceResponse {
		return shape.Flat(shape.Balance(b), &partnerv1.GetWalletBalanceResponse{})
	})
}

// callback hands on the body as the provider sent it, whichever the door: its
// signature covers the bytes.
func (a topupAPI) callback(ctx context.Context, call *app.Call, req *partnerv1.ReceiveProviderWebhookRequest) (*partnerv1.ReceiveProviderWebhookResponse, error) {
	in := topup.CallbackInput{Provider: req.GetProvider(), Header: pipeline.Wire(ctx).Header.Get, Body: req.GetPayload()}
	return pipeline.Run(ctx, call, a.uses.Callback, in, func(_ *app.Call, r topup.Received) *partnerv1.ReceiveProviderWebhookResponse {
		return &partnerv1.ReceiveProviderWebhookResponse{Received: true, TopupId: shape.Optional(r.TopupID), Result: string(r.Result)}
	})
}

// topupMessage is a top-up; the answers carry the same fields.
func topupMessage(o topup.Outcome) *partnerv1.Topup {
	t := o.Topup
	res := &partnerv1.Topup{
		TopupId: t.ID, State: string(t.State), CustomerId: t.CustomerID, SessionId: shape.Optional(t.SessionID), AmountMinor: t.AmountMinor,
		Currency: t.Currency, BonusMinor: t.BonusMinor, Source: string(t.Source), SkuId: shape.Optional(t.SKUID), Provider: shape.Optional(t.Provider),
		ProviderSettlementReference: shape.Optional(t.Reference), ExpiresAt: shape.Stamp(t.ExpiresAt), CreatedAt: timestamppb.New(t.CreatedAt),
		CompletedAt: shape.Stamp(t.CompletedAt), ReversedAt: shape.Stamp(t.ReversedAt),
	}
	if t.State == ledger.TopupCompleted || t.State == ledger.TopupReversed {
		res.CreditedActualMinor = t.AmountMinor
	}
	if o.Bonus != nil {
		res.BonusGrant = shape.Grant(*o.Bonus)
	}
	if len(t.Artifact) > 0 {
		res.ProviderArtifact, _ = shape.Struct(t.Artifact) // an object, or the provider broke its word and the member shows as null
	}
	return res
}

func skuMessage(k ledger.SKU) *partnerv1.TopupSku {
	return &partnerv1.TopupSku{
		SkuId: k.ID, Name: k.Name, ValueMinor: k.ValueMinor, BonusMinor: k.BonusMinor, BonusExpiresAfterDays: days(k.ExpiryDays),
		Currency: k.Currency, Active: k.Active, CreatedAt: timestamppb.New(k.CreatedAt), UpdatedAt: timestamppb.New(k.UpdatedAt),
	}
}

func tierMessages(steps []ledger.Tier) []*partnerv1.ReloadTier {
	out := make([]*partnerv1.ReloadTier, 0, len(steps))
	for _, s := range steps {
		out = append(out, &partnerv1.ReloadTier{MinTopupMinor: s.MinTopupMinor, BonusMinor: s.BonusMinor, BonusExpiresAfterDays: days(s.ExpiryDays)})
	}
	return out
}

// days is a number of days; nil for never.
func days(n int) *int32 {
	if n == 0 {
		return nil
	}
	d := int32(n)
	return &d
}
