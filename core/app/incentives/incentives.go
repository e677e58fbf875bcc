// Package incentives is the use cases of offers and budgets: what a session is
// offered and why, what it holds, and what merchants lay down. Offers never
// debit a wallet (rule 14).
package incentives

import (
	"context"
	"sync"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives/catalogues"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of incentives. Make it once; it keeps the merchants'
// compiled catalogues.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	Rules     offers.RuleCompiler

	catalogues catalogues.Cache
	zones      sync.Map // time zones by name: loading one reads a file
}

// Catalogue is the tenant's active offers, compiled.
func (s *Service) Catalogue(ctx context.Context, st app.Stores, t tenancy.Tenant, now time.Time) (*engine.Catalogue, error) {
	return s.catalogues.Get(ctx, st, s.Rules, t, now)
}

// zone is a merchant's time zone. Errors: INTERNAL, since settings are checked
// when they are made.
func (s *Service) zone(name string) (*time.Location, error) {
	if z, ok := s.zones.Load(name); ok {
		if zone, ok := z.(*time.Location); ok {
			return zone, nil
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fault.Internal(err)
	}
	s.zones.Store(name, zone)
	return zone, nil
}

// factsOf gathers what an offer may know of a session, but for what the
// session holds, uses and budgets.
func (s *Service) factsOf(ctx context.Context, st app.Stores, session checkout.Session, basket checkout.Basket, now time.Time) (offers.Facts, error) {
	customer, err := profile(ctx, st, session)
	if err != nil {
		return offers.Facts{}, err
	}
	return s.facts(ctx, session, basket, customer, now)
}

func (s *Service) facts(ctx context.Context, session checkout.Session, basket checkout.Basket, customer offers.Customer, now time.Time) (offers.Facts, error) {
	merchant, err := s.Directory.Merchant(ctx, session.Tenant.MerchantID)
	if err != nil {
		return offers.Facts{}, err
	}
	zone, err := s.zone(merchant.Settings.TimeZone)
	if err != nil {
		return offers.Facts{}, err
	}
	return offers.Facts{
		SessionID: session.ID, At: now, Local: offers.LocalTime(now, zone), Currency: session.Currency,
		Channel: session.Channel, BrandID: session.BrandID, BranchID: session.BranchID,
		Revision: basket.Revision, Lines: linesOf(basket), Total: basket.TotalMinor,
		Customer: customer, MaxStacked: merchant.Settings.MaxStackedOffers,
	}, nil
}

// profile is what offers may know of the session's customer.
func profile(ctx context.Context, st app.Stores, session checkout.Session) (offers.Customer, error) {
	customer, err := st.Offers.Profile(ctx, session.Tenant, session.CustomerID)
	customer.Probationary = session.Probationary
	return customer, err
}

// basketOf reads the session's latest basket; a session without one has an empty basket.
func basketOf(ctx context.Context, st app.Stores, session checkout.Session) (checkout.Basket, error) {
	if session.BasketRevision == 0 {
		return checkout.Basket{SessionID: session.ID, Currency: session.Currency}, nil
	}
	return st.Checkout.Basket(ctx, session.Tenant, session.ID, session.BasketRevision)
}

func linesOf(b checkout.Basket) []offers.Line {
	lines := make([]offers.Line, len(b.Lines))
	for i, l := range b.Lines {
		lines[i] = offers.Line{
			LineID: l.LineID, SKU: l.SKU, Name: l.Name, Category: l.Category, Quantity: l.Quantity,
			Unit: l.UnitPriceMinor, Net: l.TotalMinor - l.TaxMinor,
		}
	}
	return lines
}

// loadState reads the uses and budgets that the facts' candidates are judged by.
func loadState(ctx context.Context, st app.Stores, t tenancy.Tenant, f *offers.Facts, counted, budgets []string) error {
	var err error
	if len(counted) > 0 {
		f.Uses, err = st.Offers.Uses(ctx, t, counted, f.Customer.ID, f.Local.Day)
	}
	if err == nil && len(budgets) > 0 {
		f.Budgets, err = st.Offers.Funds(ctx, t, budgets, f.At)
	}
	return err
}
