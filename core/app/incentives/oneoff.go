package incentives

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/offers"
)

// OneOffFacts gathers what an offer that is made for one session is judged by
// there, as HoldOneOff will.
func (s *Service) OneOffFacts(ctx context.Context, st app.Stores, session checkout.Session, o offers.Offer, now time.Time) (offers.Facts, error) {
	apps, err := st.Offers.Applications(ctx, session.Tenant, session.ID)
	if err != nil {
		return offers.Facts{}, err
	}
	t := &taking{work: s.work(st, session, now), offer: o, apps: apps}
	return t.facts(ctx, o)
}

// WouldBe gathers what the session of a trial would be decided from, and the
// active offers that it would be judged by. The session need not exist.
// Errors: NOT_FOUND (customer).
func (s *Service) WouldBe(ctx context.Context, st app.Stores, session checkout.Session, basket checkout.Basket, at time.Time) (offers.Facts, []offers.Ref, error) {
	catalogue, err := s.Catalogue(ctx, st, session.Tenant, s.Clock.Now())
	if err != nil {
		return offers.Facts{}, nil, err
	}
	facts, err := s.factsOf(ctx, st, session, basket, at)
	if err != nil {
		return facts, nil, err
	}
	counted, budgets := catalogue.Needs(&facts)
	return facts, catalogue.Candidates(&facts), loadState(ctx, st, session.Tenant, &facts, counted, budgets)
}

// Prepare completes and checks an offer as storing it would, and stores nothing.
// Errors: as those of CreateOffer.
func (s *Service) Prepare(ctx context.Context, st app.Stores, o *offers.Offer) error {
	if err := s.prepare(ctx, o); err != nil {
		return err
	}
	return checkFunding(ctx, st, *o)
}

// HoldOneOff writes an offer that is made for one session, in nobody's
// catalogue, and holds it for that session: from there on it is an applied offer
// as any other. The caller's transaction has locked the session.
// Errors: as those of ApplyOffer.
func (s *Service) HoldOneOff(ctx context.Context, st app.Stores, session checkout.Session, o offers.Offer, traceID string, now time.Time) (TakeResult, error) {
	if err := session.Live(now); err != nil {
		return TakeResult{}, err
	}
	apps, err := st.Offers.Applications(ctx, session.Tenant, session.ID)
	if err != nil {
		return TakeResult{}, err
	}
	if err := st.Offers.InsertOneOff(ctx, o); err != nil {
		return TakeResult{}, err
	}
	t := &taking{work: s.work(st, session, now), in: TakeInput{OfferID: o.ID, SessionID: session.ID}, offer: o, apps: apps}
	return t.hold(ctx, o, traceID)
}
