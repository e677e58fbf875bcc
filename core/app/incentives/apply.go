package incentives

import (
	"context"
	"slices"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// TakeInput names an offer and the session that takes or holds it.
type TakeInput struct {
	OfferID, SessionID string
	// ApplicationID is needed only where the session holds the offer more than
	// once; never for ApplyOffer.
	ApplicationID string
}

// TakeResult is an application with its session as they stand now.
type TakeResult struct {
	Application offers.Application
	Session     checkout.Session
	Basket      *checkout.Basket // nil before the first revision
	Customer    offers.Customer
	Applied     []offers.Application // in force, in the order they were applied
	TraceID     string               // of the feed that showed the offer
}

// ApplyOffer holds an offer, its use and its budget for a session, and takes
// its discount off the session's total. It is judged anew in the transaction,
// at the version that the session was shown. Never debits a wallet (rule 14).
// Errors: NOT_FOUND, SESSION_ENDED, OFFER_EXPIRED, OFFER_NOT_ELIGIBLE,
// OFFER_LIMIT_REACHED, BUDGET_EXHAUSTED, STATE_CONFLICT.
func (s *Service) ApplyOffer(ctx context.Context, call *app.Call, in TakeInput) (TakeResult, error) {
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (TakeResult, error) {
		t, err := s.open(ctx, st, call, in)
		if err != nil {
			return TakeResult{}, err
		}
		return t.apply(ctx)
	})
}

// ReleaseOffer gives an applied offer and its budget back; the session's total
// rises. Errors: NOT_FOUND, SESSION_ENDED, STATE_CONFLICT.
func (s *Service) ReleaseOffer(ctx context.Context, call *app.Call, in TakeInput) (TakeResult, error) {
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (TakeResult, error) {
		t, err := s.open(ctx, st, call, in)
		if err != nil {
			return TakeResult{}, err
		}
		return t.release(ctx)
	})
}

// RedeemOffer consumes an applied offer before the close does. Never debits a
// wallet (rule 14). Errors: NOT_FOUND, SESSION_ENDED, STATE_CONFLICT.
func (s *Service) RedeemOffer(ctx context.Context, call *app.Call, in TakeInput) (TakeResult, error) {
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (TakeResult, error) {
		t, err := s.open(ctx, st, call, in)
		if err != nil {
			return TakeResult{}, err
		}
		return t.redeem(ctx)
	})
}

// taking is one offer being taken, redeemed or given back in a locked session.
type taking struct {
	*work
	in    TakeInput
	offer offers.Offer // at its latest version
	apps  []offers.Application
}

// open checks in the order of the contract: existence, then the session's state.
func (s *Service) open(ctx context.Context, st app.Stores, call *app.Call, in TakeInput) (*taking, error) {
	now := s.Clock.Now()
	offer, err := st.Offers.Offer(ctx, call.Tenant, in.OfferID, 0)
	if err != nil {
		return nil, err
	}
	session, err := st.Checkout.Lock(ctx, call.Tenant, in.SessionID)
	if err != nil {
		return nil, err
	}
	if err := session.Live(now); err != nil {
		return nil, err
	}
	apps, err := st.Offers.Applications(ctx, call.Tenant, session.ID)
	return &taking{work: s.work(st, session, now), in: in, offer: offer, apps: apps}, err
}

func (t *taking) apply(ctx context.Context) (TakeResult, error) {
	def, traceID, err := t.seen(ctx)
	if err != nil {
		return TakeResult{}, err
	}
	if err := t.live(def); err != nil {
		return TakeResult{}, err
	}
	return t.hold(ctx, def, traceID)
}

// hold judges an offer and holds it, its use and its budget for the session.
func (t *taking) hold(ctx context.Context, def offers.Offer, traceID string) (TakeResult, error) {
	facts, err := t.facts(ctx, def)
	if err != nil {
		return TakeResult{}, err
	}
	shown, withheld := engine.Judge(ctx, def, t.s.Rules, &facts, engine.Ask{})
	if withheld != nil {
		return TakeResult{}, refusal(withheld)
	}
	a := t.newApplication(def, shown, &facts, traceID)
	if a.DiscountMinor > t.session.DueMinor() {
		return TakeResult{}, fault.Field(fault.CodeStateConflict, "session_id", "at_least_paid",
			"the session's payments leave only %d minor units due, the offer takes %d off; apply offers before paying", t.session.DueMinor(), a.DiscountMinor)
	}
	reached, err := t.st.Offers.Take(ctx, a.Tenant, a.OfferID, def.Limits, a.CustomerID, a.Day)
	if err != nil {
		return TakeResult{}, err
	}
	if reached != "" {
		return TakeResult{}, limitReached(reached)
	}
	if err := t.st.Offers.InsertApplication(ctx, a); err != nil {
		return TakeResult{}, err
	}
	t.move(a.BudgetID, "committed", a.ValueMinor, a.ID)
	t.tell("offer.applied", a)
	t.apps = append(t.apps, a)
	if err := t.st.Decisions.MarkTaken(ctx, a.Tenant, a.SessionID, a.OfferID, "taken"); err != nil {
		return TakeResult{}, err
	}
	return t.done(ctx, a)
}

// seen is the offer at the version that the session was shown, with the trace
// that showed it. A session that never asked is decided for first, so that
// whatever is taken has a decision behind it.
func (t *taking) seen(ctx context.Context) (offers.Offer, string, error) {
	version, traceID, err := t.st.Offers.Seen(ctx, t.session.Tenant, t.session.ID, t.offer.ID)
	if err != nil {
		return offers.Offer{}, "", err
	}
	if version == 0 {
		d, err := t.s.decide(ctx, t.st, t.session, t.apps, t.now)
		if err == nil && d.fresh {
			err = t.s.record(ctx, t.st, &d)
		}
		return t.offer, d.trace.ID, err
	}
	if version == t.offer.Version {
		return t.offer, traceID, nil
	}
	def, err := t.st.Offers.Offer(ctx, t.session.Tenant, t.offer.ID, version)
	return def, traceID, err
}

// live refuses an offer that nobody may take now.
func (t *taking) live(def offers.Offer) error {
	switch {
	case def.Window.Ended(t.now):
		return fault.Field(fault.CodeOfferExpired, "offer_id", "window", "the offer has ended; ask for the session's offers again")
	case t.offer.Status != offers.Active:
		return fault.Field(fault.CodeOfferNotEligible, "offer_id", "NOT_ACTIVE", "the offer is %s; ask for the session's offers again", t.offer.Status)
	}
	return nil
}

// facts gathers what the one offer is judged by.
func (t *taking) facts(ctx context.Context, def offers.Offer) (offers.Facts, error) {
	basket, err := basketOf(ctx, t.st, t.session)
	if err != nil {
		return offers.Facts{}, err
	}
	facts, err := t.s.factsOf(ctx, t.st, t.session, basket, t.now)
	if err != nil {
		return facts, err
	}
	if facts.Held, _, err = held(ctx, t.st, t.session.Tenant, t.apps); err != nil {
		return facts, err
	}
	var budgets []string
	if def.Funding.BudgetID != "" {
		budgets = []string{def.Funding.BudgetID}
	}
	return facts, loadState(ctx, t.st, t.session.Tenant, &facts, []string{def.ID}, budgets)
}

// refusal turns the engine's reason into the fault of an apply.
func refusal(w *offers.Withheld) error {
	code := fault.CodeOfferNotEligible
	switch w.Reason {
	case offers.LimitReached:
		code = fault.CodeOfferLimitReached
	case offers.BudgetExhausted:
		code = fault.CodeBudgetExhausted
	default: // the reason is the rule
	}
	return fault.Field(code, "offer_id", string(w.Reason), "the offer can't be applied: %s", w.Card.Summary)
}

func limitReached(limit string) error {
	return fault.Field(fault.CodeOfferLimitReached, "offer_id", limit, "the offer's limit %s is reached; show the session's other offers", limit)
}

func (t *taking) release(ctx context.Context) (TakeResult, error) {
	a, err := t.find(offers.Applied)
	if err != nil {
		return TakeResult{}, err
	}
	def, err := t.st.Offers.Offer(ctx, a.Tenant, a.OfferID, a.Version)
	if err != nil {
		return TakeResult{}, err
	}
	if err := t.work.release(ctx, a, def, offers.ReasonRequested); err != nil {
		return TakeResult{}, err
	}
	return t.done(ctx, *a)
}

func (t *taking) redeem(ctx context.Context) (TakeResult, error) {
	a, err := t.find(offers.Applied)
	if err != nil {
		return TakeResult{}, err
	}
	if err := t.work.redeem(ctx, a, ""); err != nil {
		return TakeResult{}, err
	}
	return t.done(ctx, *a)
}

// find picks the application that is meant: one in force, by id where the
// session holds the offer more than once.
func (t *taking) find(state offers.ApplicationState) (*offers.Application, error) {
	var found *offers.Application
	for i := range t.apps {
		a := &t.apps[i]
		if a.OfferID != t.in.OfferID || t.in.ApplicationID != "" && t.in.ApplicationID != a.ID {
			continue
		}
		if found == nil || found.State != state {
			found = a
			continue
		}
		if a.State == state {
			return nil, fault.Field(fault.CodeStateConflict, "application_id", "required", "the session holds this offer more than once; name the application")
		}
	}
	if found == nil {
		return nil, fault.NotFound("application")
	}
	if found.State != state {
		return nil, fault.Field(fault.CodeStateConflict, "offer_id", "applied", "the offer is %s in this session; only an applied one can be redeemed or released", found.State)
	}
	return found, nil
}

// done carries out what is noted and saves the session with its new discount.
func (t *taking) done(ctx context.Context, a offers.Application) (TakeResult, error) {
	if err := t.finish(ctx); err != nil {
		return TakeResult{}, err
	}
	r := TakeResult{Application: a, TraceID: a.TraceID}
	r.Applied = slices.DeleteFunc(t.apps, func(a offers.Application) bool { return a.State == offers.Released })
	discount := int64(0)
	for _, held := range r.Applied {
		discount += held.DiscountMinor
	}
	session, err := t.session.Discount(min(discount, t.session.BasketMinor))
	if err != nil {
		return r, err
	}
	if r.Session, err = t.st.Checkout.Save(ctx, session); err != nil {
		return r, err
	}
	if session.BasketRevision > 0 {
		b, err := basketOf(ctx, t.st, session)
		if err != nil {
			return r, err
		}
		r.Basket = &b
	}
	r.Customer, err = profile(ctx, t.st, session)
	return r, err
}
