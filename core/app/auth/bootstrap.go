package auth

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Bootstrap is what the operator of the installation does from the command
// line, with the database at hand and no credential: the first keys have to
// come from somewhere. A running server hears of it within a second.
type Bootstrap struct {
	UoW   app.UnitOfWork
	Clock clock.Clock
	IDs   *ids.Source
}

// PlatformKeyInput describes a platform key.
type PlatformKeyInput struct {
	// PartnerID is the integration that gets the key; empty makes a new one of
	// the name PartnerName.
	PartnerID, PartnerName string
	Mode                   tenancy.Mode
	Name                   string
	Operator               bool
}

// CreatePlatformKey issues a platform-scoped key. The raw key is shown this
// once. Errors: VALIDATION_FAILED, NOT_FOUND (integration).
func (b *Bootstrap) CreatePlatformKey(ctx context.Context, in PlatformKeyInput) (issued IssuedKey, err error) {
	if in.Mode != tenancy.Sandbox && in.Mode != tenancy.Production {
		return issued, fault.Field(fault.CodeValidationFailed, "mode", "known", "mode must be sandbox or production")
	}
	err = b.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		partner, err := b.partner(ctx, st, in.PartnerID, in.PartnerName)
		if err != nil {
			return err
		}
		issued, err = Issue(b.IDs, tenancy.APIKey{
			PartnerID: partner.ID, Mode: in.Mode, Name: in.Name, Scope: tenancy.ScopePlatform, Operator: in.Operator,
		})
		if err != nil {
			return err
		}
		return st.Tenancy.AddKey(ctx, issued.Key)
	})
	return issued, err
}

// partner reads an integration, or makes one where no id is given.
func (b *Bootstrap) partner(ctx context.Context, st app.Stores, id, name string) (tenancy.Partner, error) {
	if id != "" {
		return st.Tenancy.Partner(ctx, id)
	}
	if name == "" {
		return tenancy.Partner{}, fault.Field(fault.CodeValidationFailed, "name", "required", "name the new integration, or say which existing one the key is for")
	}
	p := tenancy.Partner{ID: b.IDs.Make(ids.Partner), Name: name, CreatedAt: b.Clock.Now()}
	return p, st.Tenancy.AddPartner(ctx, p)
}

// Enterprise is a merchant with one brand, branch and terminal.
type Enterprise struct {
	Merchant tenancy.Merchant
	Brand    tenancy.Brand
	Branch   tenancy.Branch
	Terminal tenancy.Terminal
}

// EnterpriseInput describes a merchant to found.
type EnterpriseInput struct {
	PartnerID               string
	Mode                    tenancy.Mode
	Name                    string
	Settings                tenancy.Settings
	Brand, Branch, Terminal string // names; empty ones get the merchant's
}

// Validate checks what the settings must hold. Errors: VALIDATION_FAILED,
// UNSUPPORTED_CURRENCY.
func (in EnterpriseInput) Validate() error {
	if in.Name == "" {
		return fault.Field(fault.CodeValidationFailed, "name", "required", "name the merchant")
	}
	if len(in.Settings.Currencies) == 0 {
		return fault.Field(fault.CodeValidationFailed, "currency", "required", "say in which currency its wallets are")
	}
	for _, c := range in.Settings.Currencies {
		if !tenancy.KnownCurrency(c) {
			return fault.Field(fault.CodeUnsupportedCurrency, "currency", "iso_4217", "%s is not a currency that can be enabled; use an ISO 4217 code such as USD", c)
		}
	}
	if _, err := time.LoadLocation(in.Settings.TimeZone); err != nil || in.Settings.TimeZone == "Local" {
		return fault.Field(fault.CodeValidationFailed, "time_zone", "iana", "%q is not an IANA time zone; use one such as Asia/Qatar", in.Settings.TimeZone)
	}
	return nil
}

// CreateMerchant founds a merchant with a first brand, branch and terminal.
// Errors: VALIDATION_FAILED, UNSUPPORTED_CURRENCY, NOT_FOUND (integration).
func (b *Bootstrap) CreateMerchant(ctx context.Context, in EnterpriseInput) (e Enterprise, err error) {
	if err := in.Validate(); err != nil {
		return e, err
	}
	err = b.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		if _, err := st.Tenancy.Partner(ctx, in.PartnerID); err != nil {
			return err
		}
		e, err = Found(ctx, st, b.IDs, in)
		return err
	})
	return e, err
}

// Found writes a merchant with a brand, a branch and a terminal, in the
// caller's transaction. in is valid.
func Found(ctx context.Context, st app.Stores, source *ids.Source, in EnterpriseInput) (e Enterprise, err error) {
	now := source.Clock.Now()
	e.Merchant, err = st.Tenancy.AddMerchant(ctx, tenancy.Merchant{
		ID: source.Make(ids.Merchant), PartnerID: in.PartnerID, Mode: in.Mode, Name: in.Name,
		Status: tenancy.MerchantActive, Settings: in.Settings, CreatedAt: now,
	})
	if err != nil {
		return e, err
	}
	t := e.Merchant.Tenant()
	e.Brand = tenancy.Brand{ID: source.Make(ids.Brand), MerchantID: t.MerchantID, Name: named(in.Brand, in.Name), CreatedAt: now}
	if err := st.Tenancy.AddBrand(ctx, t, e.Brand); err != nil {
		return e, err
	}
	e.Branch = tenancy.Branch{
		ID: source.Make(ids.Branch), MerchantID: t.MerchantID, BrandID: e.Brand.ID, Name: named(in.Branch, in.Name), CreatedAt: now,
	}
	if err := st.Tenancy.AddBranch(ctx, t, e.Branch); err != nil {
		return e, err
	}
	e.Terminal = tenancy.Terminal{
		ID: source.Make(ids.Terminal), MerchantID: t.MerchantID, BrandID: e.Brand.ID, BranchID: e.Branch.ID,
		Name: named(in.Terminal, in.Name), Status: tenancy.TerminalActive, CreatedAt: now,
	}
	return e, st.Tenancy.AddTerminal(ctx, t, e.Terminal)
}

func named(name, otherwise string) string {
	if name != "" {
		return name
	}
	return otherwise
}

// ListKeys lists the latest keys of an integration in one mode, at most limit.
func (b *Bootstrap) ListKeys(ctx context.Context, o tenancy.Owner, limit int) ([]tenancy.APIKey, error) {
	return b.UoW.Read().Tenancy.ListKeys(ctx, tenancy.KeyFilter{
		Owner: o, Within: tenancy.Reach{PartnerID: o.PartnerID, Mode: o.Mode, Scope: tenancy.ScopePlatform, Operator: true}, Limit: limit,
	})
}

// RevokeKey revokes a key. Errors: NOT_FOUND.
func (b *Bootstrap) RevokeKey(ctx context.Context, o tenancy.Owner, id string) (k tenancy.APIKey, err error) {
	now := b.Clock.Now()
	err = b.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		k, _, err = st.Tenancy.RevokeKey(ctx, o, id, "", now)
		return err
	})
	return k, err
}
