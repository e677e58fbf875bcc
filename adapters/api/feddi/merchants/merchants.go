// Package merchants answers what concerns merchants as tenants: found one.
package merchants

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	uses "github.com/feddi/feddi/core/app/merchants"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// api answers a part of PlatformService.
type api struct{ uses *uses.Service }

// Register mounts the operations.
func Register(reg *pipeline.Registry, service *uses.Service) {
	pipeline.Handle(reg, partnerv1connect.PlatformServiceProvisionMerchantProcedure, api{service}.provision)
}

func (a api) provision(ctx context.Context, call *app.Call, req *partnerv1.ProvisionMerchantRequest) (*partnerv1.ProvisionMerchantResponse, error) {
	in := uses.Input{
		Name: req.GetName(), Reference: req.GetReference(), Settings: settings(req), KeyName: req.GetKeyName(), KeyOperator: req.GetKeyOperator(),
	}
	for _, b := range req.GetBrands() {
		in.Brands = append(in.Brands, brand(b))
	}
	return pipeline.Run(ctx, call, a.uses.Provision, in, func(_ *app.Call, f uses.Founded) *partnerv1.ProvisionMerchantResponse {
		res := &partnerv1.ProvisionMerchantResponse{
			MerchantId: f.Merchant.ID, Name: f.Merchant.Name, Reference: shape.Optional(f.Merchant.Reference),
			RawKey: f.Raw, Key: shape.APIKey(f.Key), CreatedAt: timestamppb.New(f.Merchant.CreatedAt),
		}
		for _, b := range f.Brands {
			res.Brands = append(res.Brands, founded(b))
		}
		return res
	})
}

// settings are the defaults with what the request chooses.
func settings(req *partnerv1.ProvisionMerchantRequest) tenancy.Settings {
	out, chosen := tenancy.DefaultSettings(req.GetCurrency()), req.GetSettings()
	out.Currencies = append(out.Currencies, req.GetCurrencies()...)
	out.TimeZone, out.Country = req.GetTimezone(), req.GetCountry()
	if chosen == nil {
		return out
	}
	choose(&out.ClaimGate, (*tenancy.ClaimGate)(chosen.ClaimGate))
	count(&out.CashbackBP, chosen.CashbackBp)
	count(&out.CashbackExpiryDays, chosen.CashbackExpiryDays)
	count(&out.BonusExpiryDays, chosen.BonusExpiryDays)
	count(&out.PointsExpiryDays, chosen.PointsExpiryDays)
	count(&out.MaxStackedOffers, chosen.MaxStackedOffers)
	count(&out.CodeTTLMinutes, chosen.CodeTtlMinutes)
	count(&out.SessionTTLMinutes, chosen.SessionTtlMinutes)
	count(&out.RefundGraceDays, chosen.RefundGraceDays)
	choose(&out.MinPaymentMinor, chosen.MinPaymentMinor)
	choose(&out.TerminalMayMint, chosen.TerminalMayMint)
	if len(chosen.GetSupportedCredentialTypes()) > 0 {
		out.CredentialTypes = chosen.GetSupportedCredentialTypes()
	}
	return out
}

// choose takes over what was given.
func choose[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// count is choose for a number of another width.
func count[T int | int64](to *T, from *int32) {
	if from != nil {
		*to = T(*from)
	}
}

func brand(b *partnerv1.ProvisionMerchantBrand) uses.Brand {
	out := uses.Brand{Name: b.GetName(), Reference: b.GetReference()}
	for _, r := range b.GetBranches() {
		branch := uses.Branch{Name: r.GetName(), Reference: r.GetReference(), Address: r.GetAddress()}
		for _, t := range r.GetTerminals() {
			branch.Terminals = append(branch.Terminals, uses.Terminal{
				Name: t.GetName(), Reference: t.GetReference(), SerialNumber: t.GetSerialNumber(), Model: t.GetModel(),
			})
		}
		out.Branches = append(out.Branches, branch)
	}
	return out
}

func founded(b uses.Brand) *partnerv1.ProvisionedBrand {
	out := &partnerv1.ProvisionedBrand{BrandId: b.ID, Name: b.Name, Reference: shape.Optional(b.Reference)}
	for _, r := range b.Branches {
		branch := &partnerv1.ProvisionedBranch{BranchId: r.ID, Name: r.Name, Reference: shape.Optional(r.Reference)}
		for _, t := range r.Terminals {
			branch.Terminals = append(branch.Terminals, &partnerv1.ProvisionedTerminal{
				TerminalId: t.ID, Name: t.Name, Reference: shape.Optional(t.Reference), SerialNumber: shape.Optional(t.SerialNumber),
			})
		}
		out.Branches = append(out.Branches, branch)
	}
	return out
}
