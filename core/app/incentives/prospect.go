package incentives

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

// ProspectInput names the customer and, where it matters, the branch.
type ProspectInput struct{ CustomerID, BranchID string }

// ProspectResult is a customer's own feed.
type ProspectResult struct {
	Feed       offers.Feed
	TraceID    string
	CustomerID string
	Currency   string
}

// CustomerOffers decides what a customer is offered while no basket is known:
// by identity alone (rule 58), with the engine of session feeds. Asked again on
// the same day it gives the recorded feed and writes nothing more, for as long
// as the answer is the same (rule 47).
// Errors: NOT_FOUND (customer, branch), SCOPE_INSUFFICIENT.
func (s *Service) CustomerOffers(ctx context.Context, call *app.Call, in ProspectInput) (ProspectResult, error) {
	now, st := s.Clock.Now(), s.UoW.Read()
	place, err := s.place(ctx, call, in.BranchID)
	if err != nil {
		return ProspectResult{}, err
	}
	facts, err := s.prospectFacts(ctx, st, call.Tenant, in.CustomerID, place, now)
	if err != nil {
		return ProspectResult{}, err
	}
	catalogue, err := s.Catalogue(ctx, st, call.Tenant, now)
	if err != nil {
		return ProspectResult{}, err
	}
	counted, budgets := catalogue.Needs(&facts)
	if err := loadState(ctx, st, call.Tenant, &facts, counted, budgets); err != nil {
		return ProspectResult{}, err
	}
	feed := catalogue.Evaluate(ctx, &facts)
	if err := inTime(ctx); err != nil {
		return ProspectResult{}, err
	}
	d, err := s.prospected(ctx, st, call.Tenant, facts, catalogue, feed)
	if err == nil && d.fresh {
		err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error { return s.record(ctx, st, &d) })
	}
	return ProspectResult{Feed: d.feed, TraceID: d.trace.ID, CustomerID: in.CustomerID, Currency: facts.Currency}, err
}

// place is where the feed is asked for: what the credential is bound to, or the
// branch that the call names.
func (s *Service) place(ctx context.Context, call *app.Call, branchID string) (tenancy.Place, error) {
	bound := tenancy.Place{BrandID: call.BrandID, BranchID: call.BranchID}
	if branchID == "" || branchID == bound.BranchID {
		return bound, nil
	}
	if bound.BranchID != "" {
		return bound, fault.Field(fault.CodeScopeInsufficient, "branch_id", "within_credential",
			"the credential is bound to another branch; leave the field out or use a credential of that branch")
	}
	return s.Directory.Place(ctx, call.Tenant.MerchantID, bound.BrandID, branchID, "")
}

// prospectFacts gathers what is known without a basket, but for uses and budgets.
func (s *Service) prospectFacts(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string, at tenancy.Place, now time.Time) (offers.Facts, error) {
	if _, err := identities.Active(ctx, st, t, customerID); err != nil {
		return offers.Facts{}, err
	}
	profile, err := st.Offers.Profile(ctx, t, customerID)
	if err != nil {
		return offers.Facts{}, err
	}
	merchant, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return offers.Facts{}, err
	}
	zone, err := s.zone(merchant.Settings.TimeZone)
	f := offers.Facts{
		At: now, BrandID: at.BrandID, BranchID: at.BranchID, Lines: []offers.Line{}, NoBasket: true, Customer: profile,
		MaxStacked: merchant.Settings.MaxStackedOffers,
	}
	if err == nil {
		f.Local = offers.LocalTime(now, zone)
	}
	if len(merchant.Settings.Currencies) > 0 {
		f.Currency = merchant.Settings.Currencies[0]
	}
	return f, err
}

// prospected is the feed as it was recorded first. Time and what others take of
// limits and budgets are part of what it is a function of, so its trace is named
// by the day and by the answer itself: another answer is another decision.
func (s *Service) prospected(ctx context.Context, st app.Stores, t tenancy.Tenant, facts offers.Facts, catalogue *engine.Catalogue, feed offers.Feed) (decided, error) {
	outputs, err := feed.Outputs()
	if err != nil {
		return decided{}, fault.Internal(err)
	}
	customer, err := json.Marshal(facts.Customer)
	if err != nil {
		return decided{}, fault.Internal(err)
	}
	id := decision.TraceID("customer offers", engine.Version, s.Rules.Environment(), strconv.FormatInt(int64(t.No), 10), string(customer),
		facts.BrandID, facts.BranchID, facts.Local.Day, strconv.FormatInt(catalogue.Version(), 10), string(outputs))
	recorded, err := st.Decisions.Trace(ctx, t, id)
	if err == nil {
		return replayed(recorded)
	}
	if !fault.Is(err, fault.CodeNotFound) {
		return decided{}, err
	}
	tr, err := s.trace(id, t, facts, catalogue, feed)
	return decided{feed: feed, trace: tr, fresh: true}, err
}
