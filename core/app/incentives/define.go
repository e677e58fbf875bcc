package incentives

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// CreateOfferInput lays an offer down.
type CreateOfferInput struct {
	Definition offers.Definition // empty Currency means the merchant's own
	Active     bool              // starts active instead of as a draft
}

// CreateOffer defines an offer at version 1. Its rule is compiled and its cost
// bounded here, never first at a till. Errors: VALIDATION_FAILED, NOT_FOUND
// (budget), UNSUPPORTED_CURRENCY, CURRENCY_MISMATCH.
func (s *Service) CreateOffer(ctx context.Context, call *app.Call, in CreateOfferInput) (offers.Offer, error) {
	now := s.Clock.Now()
	o := offers.Offer{
		ID: s.IDs.Make(ids.Offer), Tenant: call.Tenant, Version: 1, Status: offers.Draft,
		Definition: in.Definition.Normal(), CreatedAt: now, UpdatedAt: now,
	}
	if in.Active {
		o.Status = offers.Active
	}
	o.BrandID = call.BrandID
	if err := s.prepare(ctx, &o); err != nil {
		return offers.Offer{}, err
	}
	made, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (offers.Offer, error) {
		if err := checkFunding(ctx, st, o); err != nil {
			return o, err
		}
		return o, s.insert(ctx, st, o, now)
	})
	s.catalogues.Changed(call.Tenant)
	return made, err
}

// Seed writes offers for a new sandbox in the caller's transaction, active, and
// returns their ids in the order given.
func (s *Service) Seed(ctx context.Context, st app.Stores, t tenancy.Tenant, currency string, now time.Time) ([]string, error) {
	var seeded []string
	for _, d := range SeedDefinitions() {
		d.Currency = currency
		o := offers.Offer{
			ID: s.IDs.Make(ids.Offer), Tenant: t, Version: 1, Status: offers.Active,
			Definition: d.Normal(), CreatedAt: now, UpdatedAt: now,
		}
		if err := o.Definition.Validate(); err != nil {
			return nil, err
		}
		if err := s.insert(ctx, st, o, now); err != nil {
			return nil, err
		}
		seeded = append(seeded, o.ID)
	}
	return seeded, nil
}

func (s *Service) insert(ctx context.Context, st app.Stores, o offers.Offer, now time.Time) error {
	if err := st.Offers.Insert(ctx, o); err != nil {
		return err
	}
	if o.Status != offers.Active {
		return nil
	}
	return s.tellStatus(ctx, st, o, "", now)
}

// prepare completes and checks a definition.
func (s *Service) prepare(ctx context.Context, o *offers.Offer) error {
	merchant, err := s.Directory.Merchant(ctx, o.Tenant.MerchantID)
	if err != nil {
		return err
	}
	if o.Currency == "" && len(merchant.Settings.Currencies) > 0 {
		o.Currency = merchant.Settings.Currencies[0]
	}
	if err := supported(o.Currency, merchant.Settings); err != nil {
		return err
	}
	if err := o.Definition.Validate(); err != nil {
		return err
	}
	if o.Conditions.Rule == "" {
		return nil
	}
	_, err = s.Rules.Compile(o.Conditions.Rule)
	return err
}

func supported(currency string, settings tenancy.Settings) error {
	if slices.Contains(settings.Currencies, currency) {
		return nil
	}
	return fault.Field(fault.CodeUnsupportedCurrency, "currency", "enabled", "%s is not enabled for this merchant; use one of %v", currency, settings.Currencies)
}

func checkFunding(ctx context.Context, st app.Stores, o offers.Offer) error {
	if o.Funding.BudgetID == "" {
		return nil
	}
	b, err := st.Offers.Budget(ctx, o.Tenant, o.Funding.BudgetID)
	if err != nil {
		return err
	}
	if b.Currency != o.Currency {
		return fault.Field(fault.CodeCurrencyMismatch, "funding.budget_id", "same_currency", "the budget is in %s, the offer in %s; name a budget in %s", b.Currency, o.Currency, o.Currency)
	}
	return nil
}

// UpdateOfferInput changes an offer.
type UpdateOfferInput struct {
	OfferID string
	// ExpectedVersion is the one the change rests on; 0 for whatever is the latest.
	ExpectedVersion int64
	// Change edits the definition; kind and currency stay as they are.
	Change func(*offers.Definition)
}

// UpdateOffer makes the next version of an offer; sessions that saw an earlier
// one keep it. Errors: NOT_FOUND, STATE_CONFLICT where it is archived,
// REVISION_CONFLICT, VALIDATION_FAILED, CURRENCY_MISMATCH.
func (s *Service) UpdateOffer(ctx context.Context, call *app.Call, in UpdateOfferInput) (offers.Offer, error) {
	now := s.Clock.Now()
	changed, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (offers.Offer, error) {
		o, err := st.Offers.Offer(ctx, call.Tenant, in.OfferID, 0)
		if err != nil {
			return o, err
		}
		if o.Status == offers.Archived {
			return o, fault.Field(fault.CodeStateConflict, "offer_id", "not_archived", "the offer is archived, which is final; define a new one")
		}
		if in.ExpectedVersion != 0 && in.ExpectedVersion != o.Version {
			return o, fault.Field(fault.CodeRevisionConflict, "expected_version", "latest", "the offer is at version %d; read it, decide again and send that version", o.Version)
		}
		kind, currency := o.Kind, o.Currency
		in.Change(&o.Definition)
		o.Kind, o.Currency, o.Definition = kind, currency, o.Definition.Normal()
		o.Version, o.UpdatedAt = o.Version+1, now
		if err := s.prepare(ctx, &o); err != nil {
			return o, err
		}
		if err := checkFunding(ctx, st, o); err != nil {
			return o, err
		}
		return o, st.Offers.AddVersion(ctx, o)
	})
	s.catalogues.Changed(call.Tenant)
	return changed, err
}

// SetOfferStatusInput names an offer and its new status.
type SetOfferStatusInput struct {
	OfferID string
	Status  offers.Status // active, paused, archived
	Reason  string        // for the record; may be empty
}

// SetOfferStatus activates, pauses or archives an offer. Archived is final;
// setting the status it has changes nothing. Errors: NOT_FOUND, STATE_CONFLICT.
func (s *Service) SetOfferStatus(ctx context.Context, call *app.Call, in SetOfferStatusInput) (OfferDetail, error) {
	now := s.Clock.Now()
	changed, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (OfferDetail, error) {
		o, err := s.turn(ctx, st, call.Tenant, in, now)
		return OfferDetail{Offer: o, At: now}, err
	})
	s.catalogues.Changed(call.Tenant)
	return changed, err
}

func (s *Service) turn(ctx context.Context, st app.Stores, t tenancy.Tenant, in SetOfferStatusInput, now time.Time) (offers.Offer, error) {
	o, err := st.Offers.Offer(ctx, t, in.OfferID, 0)
	if err != nil || o.Status == in.Status {
		return o, err
	}
	if err := mayTurn(o.Status, in.Status); err != nil {
		return o, err
	}
	if err := st.Offers.SetStatus(ctx, t, o.ID, o.Status, in.Status, now); err != nil {
		return o, err
	}
	was := o.Status
	o.Status, o.UpdatedAt = in.Status, now
	if was == offers.Draft && in.Status != offers.Active {
		return o, nil // it never was live
	}
	return o, s.tellStatus(ctx, st, o, in.Reason, now)
}

func mayTurn(from, to offers.Status) error {
	switch {
	case from == offers.Archived:
		return fault.Field(fault.CodeStateConflict, "status", "archived_is_final", "the offer is archived, which is final; define a new one")
	case from == offers.Draft && to == offers.Paused:
		return fault.Field(fault.CodeStateConflict, "status", "draft_is_not_live", "a draft is shown to nobody; activate or archive it")
	}
	return nil
}

// tellStatus tells that an offer went live or stopped being so.
func (s *Service) tellStatus(ctx context.Context, st app.Stores, o offers.Offer, reason string, now time.Time) error {
	kind := "offer.paused"
	if o.Status == offers.Active {
		kind = "offer.activated"
	}
	e, err := s.event(o.Tenant, kind, o.ID, "", now, map[string]any{
		"offer_id": o.ID, "offer_version": o.Version, "status": string(o.Status), "kind": string(o.Kind), "reason": orNull(reason),
	})
	if err != nil {
		return err
	}
	return st.Events.Append(ctx, e)
}

// GetOfferInput names an offer and a version; 0 is the latest.
type GetOfferInput struct {
	OfferID string
	Version int64
}

// OfferDetail is an offer with what became of it.
type OfferDetail struct {
	Offer    offers.Offer
	Counters offers.Counters // of GetOffer only
	At       time.Time       // what a status that follows the window is judged at
}

// GetOffer reads one offer with its counters. Errors: NOT_FOUND.
func (s *Service) GetOffer(ctx context.Context, call *app.Call, in GetOfferInput) (OfferDetail, error) {
	st := s.UoW.Read()
	d := OfferDetail{At: s.Clock.Now()}
	var err error
	if d.Offer, err = st.Offers.Offer(ctx, call.Tenant, in.OfferID, in.Version); err != nil {
		return d, err
	}
	if d.Counters, err = st.Offers.Counters(ctx, call.Tenant, in.OfferID); err != nil {
		return d, err
	}
	d.Counters.Shown, d.Counters.Withheld, err = st.Decisions.Tally(ctx, call.Tenant, in.OfferID)
	return d, err
}

// ListOffersInput selects offers; Filter.Limit 0 means 50.
type ListOffersInput struct {
	Filter offers.Filter
	Cursor string
}

// OfferPage is one page of offers, latest first.
type OfferPage struct {
	Offers []offers.Offer
	Next   string // empty on the last page
	At     time.Time
}

// ListOffers pages offers at their latest version. Errors: CURSOR_INVALID.
func (s *Service) ListOffers(ctx context.Context, call *app.Call, in ListOffersInput) (OfferPage, error) {
	f := in.Filter
	f.Now, f.Limit = s.Clock.Now(), pageSize(f.Limit)
	before, err := openCursor("offers", in.Cursor)
	if err != nil {
		return OfferPage{}, err
	}
	f.Before = before
	want := f.Limit
	f.Limit++
	found, err := s.UoW.Read().Offers.List(ctx, call.Tenant, f)
	p := OfferPage{Offers: found, At: f.Now}
	if len(found) > want {
		p.Offers = found[:want]
		p.Next = sealCursor("offers", p.Offers[want-1].ID)
	}
	return p, err
}

// SeedDefinitions are the offers of a new sandbox: one on a SKU, one on a
// category, one on the whole basket, so that the golden path has something
// shown and something withheld with a reason.
func SeedDefinitions() []offers.Definition {
	return []offers.Definition{
		{
			Kind: offers.ItemDiscount, Name: "seed: latte", Title: "0.50 off every latte", Description: "Half a unit of currency off each latte.",
			Value:   offers.Value{Type: offers.ValueAmount, AmountMinor: 50, Per: offers.PerUnit},
			Targets: offers.Targets{SKUs: []string{"LATTE"}},
		},
		{
			Kind: offers.ItemDiscount, Name: "seed: bakery", Title: "10 % off two or more from the bakery",
			Value:      offers.Value{Type: offers.ValuePercent, PercentBP: 1000, Per: offers.PerLine},
			Targets:    offers.Targets{Categories: []string{"bakery"}},
			Conditions: offers.Conditions{MinQuantity: 2},
		},
		{
			Kind: offers.BasketDiscount, Name: "seed: basket", Title: fmt.Sprintf("5 %% off baskets from %d.00", seedMinBasket/100),
			Value:      offers.Value{Type: offers.ValuePercent, PercentBP: 500, Per: offers.PerBasket},
			Targets:    offers.Targets{BasketWide: true},
			Conditions: offers.Conditions{MinBasketMinor: seedMinBasket},
		},
	}
}

// seedMinBasket is the minimum of the sandbox's basket-wide offer, in minor units.
const seedMinBasket = 2_000
