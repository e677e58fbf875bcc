// Package merchants is the use cases of merchants as tenants: found one whole.
package merchants

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases. Every member is required.
type Service struct {
	UoW   app.UnitOfWork
	Clock clock.Clock
	IDs   *ids.Source
	// Changes is told of a new merchant after it committed, so that a platform
	// key acts for it at once on this server.
	Changes tenancy.Listener
}

// maxInSandbox is how many merchants a sandbox integration may have.
const maxInSandbox = 50

// Input describes a merchant to found. References are the partner's own ids;
// they may be empty, and each is unique among its kind in the merchant.
type Input struct {
	Name, Reference string
	Settings        tenancy.Settings
	Brands          []Brand
	KeyName         string
	// KeyOperator gives the first key operator authority.
	KeyOperator bool
}

// Brand is a brand to found; ID is set by Provision.
type Brand struct {
	ID, Name, Reference string
	Branches            []Branch
}

// Branch is a branch to found; ID is set by Provision.
type Branch struct {
	ID, Name, Reference, Address string
	Terminals                    []Terminal
}

// Terminal is a terminal to register; ID is set by Provision.
type Terminal struct{ ID, Name, Reference, SerialNumber, Model string }

// Founded is a merchant with its places, in the order of the input, and its
// first key, which is shown this once.
type Founded struct {
	Merchant tenancy.Merchant
	Brands   []Brand
	auth.IssuedKey
}

// Provision founds a merchant with its places, settings and first key, of
// enterprise scope, in the caller's integration and mode: all of it or nothing.
// Errors: VALIDATION_FAILED, UNSUPPORTED_CURRENCY, UNSUPPORTED_CREDENTIAL_TYPE,
// DUPLICATE_REFERENCE, OPERATOR_REQUIRED; STATE_CONFLICT where a sandbox has as
// many merchants as it may.
func (s *Service) Provision(ctx context.Context, call *app.Call, in Input) (Founded, error) {
	if err := in.Validate(); err != nil {
		return Founded{}, err
	}
	if in.KeyOperator && !call.Actor.Operator {
		return Founded{}, fault.Field(fault.CodeOperatorRequired, "key_operator", "within_own",
			"only a key with operator authority can give it; leave key_operator out or use such a key")
	}
	founded, places, err := s.plan(call, in)
	if err != nil {
		return Founded{}, err
	}
	out, err := app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (Founded, error) {
		if err := room(ctx, st, call); err != nil {
			return Founded{}, err
		}
		out := founded
		if out.Merchant, err = st.Tenancy.AddMerchant(ctx, founded.Merchant); err != nil {
			return out, err
		}
		if err := st.Tenancy.AddPlaces(ctx, out.Merchant.Tenant(), places); err != nil {
			return out, err
		}
		return out, st.Tenancy.AddKey(ctx, out.Key)
	})
	s.Changes.Changed(tenancy.Change{Kind: tenancy.ChangeMerchant, ID: founded.Merchant.ID})
	return out, err
}

// room refuses one merchant too many for a sandbox that anybody could make.
func room(ctx context.Context, st app.Stores, call *app.Call) error {
	if call.Actor.Scope == tenancy.ScopePlatform {
		return nil
	}
	n, err := st.Tenancy.Merchants(ctx, tenancy.Owner{PartnerID: call.Actor.PartnerID, Mode: call.Actor.Mode})
	if err == nil && n >= maxInSandbox {
		err = fault.Field(fault.CodeStateConflict, "integration", "max_merchants",
			"this sandbox has %d merchants, which is as many as it may have; make a new sandbox at POST /auth/keys/sandbox", n)
	}
	return err
}

// plan gives everything its id and writes nothing.
func (s *Service) plan(call *app.Call, in Input) (Founded, tenancy.Places, error) {
	now := s.Clock.Now()
	m := tenancy.Merchant{
		ID: s.IDs.Make(ids.Merchant), PartnerID: call.Actor.PartnerID, Mode: call.Actor.Mode, Name: in.Name, Reference: in.Reference,
		Status: tenancy.MerchantActive, Settings: in.Settings, CreatedAt: now,
	}
	key, err := auth.Issue(s.IDs, tenancy.APIKey{
		PartnerID: m.PartnerID, Mode: m.Mode, Name: in.KeyName, Scope: tenancy.ScopeEnterprise, Operator: in.KeyOperator, Merchants: []string{m.ID},
	})
	var places tenancy.Places
	brands := make([]Brand, len(in.Brands))
	for i, b := range in.Brands {
		b.ID = s.IDs.Make(ids.Brand)
		places.Brands = append(places.Brands, tenancy.Brand{ID: b.ID, MerchantID: m.ID, Name: b.Name, Reference: b.Reference, CreatedAt: now})
		b.Branches = s.branches(&places, m, b)
		brands[i] = b
	}
	return Founded{Merchant: m, Brands: brands, IssuedKey: key}, places, err
}

func (s *Service) branches(places *tenancy.Places, m tenancy.Merchant, b Brand) []Branch {
	out := make([]Branch, len(b.Branches))
	for i, r := range b.Branches {
		r.ID = s.IDs.Make(ids.Branch)
		places.Branches = append(places.Branches, tenancy.Branch{
			ID: r.ID, MerchantID: m.ID, BrandID: b.ID, Name: r.Name, Reference: r.Reference, Address: r.Address, CreatedAt: m.CreatedAt,
		})
		terminals := make([]Terminal, len(r.Terminals))
		for n, t := range r.Terminals {
			t.ID = s.IDs.Make(ids.Terminal)
			places.Terminals = append(places.Terminals, tenancy.Terminal{
				ID: t.ID, MerchantID: m.ID, BrandID: b.ID, BranchID: r.ID, Name: t.Name, Status: tenancy.TerminalActive,
				Reference: t.Reference, SerialNumber: t.SerialNumber, Model: t.Model, CreatedAt: m.CreatedAt,
			})
			terminals[n] = t
		}
		r.Terminals = terminals
		out[i] = r
	}
	return out
}
