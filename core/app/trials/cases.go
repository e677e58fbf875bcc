package trials

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

// load prepares the drafts and the offers that the request names, with the
// budgets behind them.
func (t *trial) load(ctx context.Context, in Input) error {
	t.alone = in.DraftsOnly || len(in.OfferIDs) > 0
	for i, d := range in.Drafts {
		if slices.ContainsFunc(t.drafts, func(o offers.Offer) bool { return o.ID == d.ID }) {
			return fault.Field(fault.CodeValidationFailed, element("drafts", i)+".draft_id", "unique", "two drafts have this id")
		}
		o := offers.Offer{ID: d.ID, Tenant: t.call.Tenant, Status: offers.Active, Definition: d.Definition.Normal()}
		if err := t.s.Incentives.Prepare(ctx, t.st, &o); err != nil {
			return inside(err, element("drafts", i))
		}
		t.drafts = append(t.drafts, o)
	}
	if !in.DraftsOnly {
		for _, id := range in.OfferIDs {
			o, err := t.st.Offers.Offer(ctx, t.call.Tenant, id, 0)
			if err != nil {
				return err
			}
			t.fixed = append(t.fixed, o)
		}
	}
	return t.loadFunds(ctx)
}

// loadFunds reads what the budgets of tried offers have left now. A case of the
// past does not know them, and that they are open now is not what is asked.
func (t *trial) loadFunds(ctx context.Context) error {
	var budgets []string
	for _, o := range slices.Concat(t.drafts, t.fixed) {
		if o.Funding.BudgetID != "" {
			budgets = append(budgets, o.Funding.BudgetID)
		}
	}
	if len(budgets) == 0 {
		return nil
	}
	slices.Sort(budgets)
	var err error
	t.funds, err = t.st.Offers.Funds(ctx, t.call.Tenant, slices.Compact(budgets), t.now)
	for i := range t.funds {
		t.funds[i].Open = true
	}
	return err
}

// cases lists the cases in the order of the request. Those of sessions are read
// when they are tried.
func (t *trial) cases(ctx context.Context, in Input) ([]subject, error) {
	var out []subject
	for i, b := range in.Baskets {
		if slices.ContainsFunc(out, func(c subject) bool { return c.id == b.ID }) {
			return nil, fault.Field(fault.CodeValidationFailed, element("baskets", i)+".basket_id", "unique", "two baskets have this id")
		}
		c, err := t.basket(ctx, b)
		if err != nil {
			return nil, inside(err, element("baskets", i))
		}
		out = append(out, c)
	}
	for _, id := range in.SessionIDs {
		session, err := t.st.Checkout.Session(ctx, t.call.Tenant, id)
		if err == nil && !checkout.Within(t.call.Actor, session.Place) {
			err = fault.NotFound("session")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, subject{id: id, session: true})
	}
	sampled, err := t.sample(ctx, in.Sample)
	for _, id := range sampled {
		if !slices.Contains(in.SessionIDs, id) {
			out = append(out, subject{id: id, session: true})
		}
	}
	return out, err
}

func (t *trial) sample(ctx context.Context, in *checkout.Sample) ([]string, error) {
	if in == nil {
		return nil, nil
	}
	f := *in
	if !f.From.Before(f.Before) {
		return nil, fault.Field(fault.CodeValidationFailed, "sample.opened_before", "after_start", "the sample ends before it starts; give an opened_before after opened_after")
	}
	if f.Limit == 0 {
		f.Limit = DefaultSample
	}
	f.Reach = tenancy.Place{BrandID: t.call.Actor.BrandID, BranchID: t.call.Actor.BranchID}
	found, more, err := t.st.Checkout.SampleSessions(ctx, t.call.Tenant, f)
	if more {
		t.cut(CutSample)
	}
	return found, err
}

// basket makes the facts of a basket that was made up.
func (t *trial) basket(ctx context.Context, b Basket) (subject, error) {
	at, place := t.now, tenancy.Place{BrandID: t.call.BrandID, BranchID: t.call.BranchID}
	if b.At != nil {
		at = *b.At
	}
	if b.BranchID != "" && b.BranchID != place.BranchID {
		var err error
		if place, err = t.s.Directory.Place(ctx, t.call.Tenant.MerchantID, place.BrandID, b.BranchID, ""); err != nil {
			return subject{}, err
		}
	}
	session := checkout.Session{
		Tenant: t.call.Tenant, Currency: t.tally.totals.Currency, Channel: cmp.Or(b.Channel, checkout.DefaultChannel),
		Place: place, CustomerID: b.CustomerID,
	}
	if b.CustomerID != "" {
		if _, err := identities.Active(ctx, t.st, t.call.Tenant, b.CustomerID); err != nil {
			return subject{}, err
		}
	}
	priced, err := b.Draft.Price(session, at)
	if err != nil {
		return subject{}, err
	}
	facts, refs, err := t.s.Incentives.WouldBe(ctx, t.st, session, priced, at)
	return subject{id: b.ID, facts: facts, refs: refs}, err
}

// read fills in what sessions of a piece were decided on, and drops those that
// can't be tried.
func (t *trial) read(ctx context.Context, piece []subject) ([]subject, error) {
	var sessions []string
	for _, c := range piece {
		if c.session {
			sessions = append(sessions, c.id)
		}
	}
	feeds, err := t.st.Decisions.Feeds(ctx, t.call.Tenant, sessions)
	if err != nil {
		return nil, err
	}
	out := make([]subject, 0, len(piece))
	for _, c := range piece {
		if c.session {
			tr, found := feeds[c.id]
			if !found {
				t.skip(c.id, NotDecided)
				continue
			}
			var in engine.Inputs
			if err := json.Unmarshal(tr.Inputs, &in); err != nil || in.Engine != engine.Version || in.Rules != t.s.Incentives.Rules.Environment() {
				t.skip(c.id, EngineChanged)
				continue
			}
			c.traceID, c.facts, c.refs = tr.ID, in.Facts, in.Offers
			c.facts.Held = nil // tried from the start: what was taken then may not be offered in the trial
		}
		out = append(out, c)
	}
	return out, t.learn(ctx, out)
}

func (t *trial) skip(id, reason string) {
	t.out.Skipped = append(t.out.Skipped, Skipped{id, reason})
	t.report()
}

// learn reads the versions that cases are judged by and that are not known yet.
func (t *trial) learn(ctx context.Context, cases []subject) error {
	var missing []offers.Ref
	asked := map[offers.Ref]bool{}
	for _, c := range cases {
		for _, ref := range c.refs {
			if _, known := t.known[ref]; !known && !asked[ref] {
				asked[ref] = true
				missing = append(missing, ref)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := t.st.Offers.Versions(ctx, t.call.Tenant, missing)
	for _, o := range found {
		o.Status = offers.Active // it was, or it would not have been a candidate
		t.known[offers.Ref{OfferID: o.ID, Version: o.Version}] = o
	}
	return err
}
