// Package sandbox makes sandboxes of one's own, filled with enough to make the
// first decisions, and deletes those that nobody uses.
package sandbox

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of sandboxes. Every member is required; Seeders may
// be empty.
type Service struct {
	UoW   app.UnitOfWork
	Clock clock.Clock
	IDs   *ids.Source
	// Seeders fill a new sandbox, in this order, in the transaction that makes it.
	Seeders []Seeder
}

// Seeder puts something into a new sandbox.
type Seeder interface {
	// Seed writes through st and says what it wrote. It may run more than once
	// for one sandbox, where the transaction is tried again.
	Seed(ctx context.Context, st app.Stores, m tenancy.Merchant, now time.Time) (Seeded, error)
}

// Seeded is what a sandbox was filled with.
type Seeded struct {
	Offers    []string // ids of active offers
	SKUs      []string // codes of top-up SKUs
	Customers []Customer
}

// Customer is a seeded customer.
type Customer struct{ ID, Phone string }

// Input describes the sandbox; empty members have defaults.
type Input struct {
	Currency string // USD
	Name     string // of the merchant
}

// Credentials are a new sandbox: its key, its places and what is in it.
type Credentials struct {
	auth.IssuedKey
	auth.Enterprise
	Seed Seeded
}

const (
	defaultCurrency = "USD"
	defaultName     = "Sandbox"
)

// Create makes a partner with one merchant, brand, branch and terminal, a key
// of enterprise scope with operator authority, and seeds it; all in one
// transaction. Needs no credential. Errors: UNSUPPORTED_CURRENCY.
func (s *Service) Create(ctx context.Context, call *app.Call, in Input) (Credentials, error) {
	found := auth.EnterpriseInput{Mode: tenancy.Sandbox, Name: either(in.Name, defaultName)}
	found.Settings = tenancy.DefaultSettings(either(in.Currency, defaultCurrency))
	if err := found.Validate(); err != nil {
		return Credentials{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Credentials, error) {
		c, err := s.found(ctx, st, found, now)
		if err != nil {
			return Credentials{}, err
		}
		c.Seed, err = s.seed(ctx, st, c.Merchant, now)
		return c, err
	})
}

// found writes everything but the seed.
func (s *Service) found(ctx context.Context, st app.Stores, in auth.EnterpriseInput, now time.Time) (c Credentials, err error) {
	partner := tenancy.Partner{ID: s.IDs.Make(ids.Partner), Name: in.Name, Sandbox: true, CreatedAt: now}
	if err := st.Tenancy.AddPartner(ctx, partner); err != nil {
		return c, err
	}
	in.PartnerID = partner.ID
	if c.Enterprise, err = auth.Found(ctx, st, s.IDs, in); err != nil {
		return c, err
	}
	c.IssuedKey, err = auth.Issue(s.IDs, tenancy.APIKey{
		PartnerID: partner.ID, Mode: tenancy.Sandbox, Scope: tenancy.ScopeEnterprise, Operator: true,
		Merchants: []string{c.Merchant.ID},
	})
	if err != nil {
		return c, err
	}
	return c, st.Tenancy.AddKey(ctx, c.Key)
}

// seed runs the seeders and gathers what they wrote.
func (s *Service) seed(ctx context.Context, st app.Stores, m tenancy.Merchant, now time.Time) (all Seeded, err error) {
	for _, seeder := range s.Seeders {
		more, err := seeder.Seed(ctx, st, m, now)
		if err != nil {
			return all, err
		}
		all.Offers = append(all.Offers, more.Offers...)
		all.SKUs = append(all.SKUs, more.SKUs...)
		all.Customers = append(all.Customers, more.Customers...)
	}
	return all, nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// IdleLife is how long a sandbox that nobody uses is kept.
const IdleLife = 30 * 24 * time.Hour

// Sweep deletes up to limit sandboxes that were idle for IdleLife, each in a
// transaction of its own, and returns how many went. A job runs it.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	idle, err := s.UoW.Read().Tenancy.IdleSandboxes(ctx, s.Clock.Now().Add(-IdleLife), limit)
	if err != nil {
		return 0, err
	}
	gone := 0
	for _, id := range idle {
		err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error { return st.Tenancy.EraseSandbox(ctx, id) })
		switch {
		case err == nil:
			gone++
		case !fault.Is(err, fault.CodeNotFound): // another server was faster
			return gone, err
		}
	}
	return gone, nil
}
