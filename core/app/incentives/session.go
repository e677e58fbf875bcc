package incentives

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

// Recheck judges the session's applied offers anew for the basket that is
// about to become its latest revision, in the order in which they were
// applied. What no longer fits is released, what is worth another amount is
// changed. It returns what the remaining ones take off, never more than the
// basket's total, and the released ones. The caller saves the session with it.
func (s *Service) Recheck(ctx context.Context, st app.Stores, session checkout.Session, basket checkout.Basket, now time.Time) (discountMinor int64, released []offers.Application, err error) {
	apps, err := st.Offers.Applications(ctx, session.Tenant, session.ID)
	if err != nil || len(apps) == 0 {
		return 0, nil, err
	}
	_, defs, err := held(ctx, st, session.Tenant, apps)
	if err != nil {
		return 0, nil, err
	}
	facts, err := s.factsOf(ctx, st, session, basket, now)
	if err != nil {
		return 0, nil, err
	}
	w := s.work(st, session, now)
	for _, a := range apps {
		switch a.State {
		case offers.Redeemed: // consumed: it stands, whatever the basket
			facts.Held = append(facts.Held, holding(a, defs[refOf(a)]))
		case offers.Applied:
			kept, err := s.recheckOne(ctx, w, a, defs[refOf(a)], &facts)
			if err != nil {
				return 0, nil, err
			}
			if kept == nil {
				released = append(released, a)
				continue
			}
			facts.Held = append(facts.Held, holding(*kept, defs[refOf(a)]))
		case offers.Released:
		}
	}
	for i := range released {
		if err := w.release(ctx, &released[i], defs[refOf(released[i])], offers.ReasonBasketChanged); err != nil {
			return 0, nil, err
		}
	}
	for _, h := range facts.Held {
		discountMinor += h.DiscountMinor
	}
	return min(discountMinor, basket.TotalMinor), released, w.finish(ctx)
}

// recheckOne gives the application as it is on the new basket, or nil where it
// no longer fits or its budget can't pay what it would be worth.
func (s *Service) recheckOne(ctx context.Context, w *work, a offers.Application, def offers.Offer, facts *offers.Facts) (*offers.Application, error) {
	shown, _ := engine.Judge(ctx, def, s.Rules, facts, engine.Ask{Uncounted: true})
	if shown == nil {
		return nil, nil
	}
	more := shown.Value.AmountMinor - a.ValueMinor
	if more > 0 && a.BudgetID != "" {
		funds, err := w.st.Offers.Funds(ctx, a.Tenant, []string{a.BudgetID}, w.now)
		if err != nil {
			return nil, err
		}
		if len(funds) == 0 || !funds[0].Open || funds[0].Available-w.pending(a.BudgetID) < more {
			return nil, nil
		}
	}
	next := a
	price(&next, shown, facts.Revision)
	if err := w.st.Offers.SaveApplication(ctx, next, offers.Applied); err != nil {
		return nil, err
	}
	switch {
	case more > 0:
		w.move(a.BudgetID, "committed", more, a.ID)
	case more < 0:
		w.move(a.BudgetID, "released", -more, a.ID)
	}
	return &next, nil
}

// RedeemAll consumes what the session holds; for the close that writes
// transactionID. It returns every redeemed application of the session, those
// redeemed before the close too. Nothing is debited (rule 14).
func (s *Service) RedeemAll(ctx context.Context, st app.Stores, session checkout.Session, transactionID string, now time.Time) ([]offers.Application, error) {
	apps, err := st.Offers.Applications(ctx, session.Tenant, session.ID)
	if err != nil {
		return nil, err
	}
	w := s.work(st, session, now)
	var redeemed []offers.Application
	for _, a := range apps {
		if a.State == offers.Released {
			continue
		}
		if err := w.redeem(ctx, &a, transactionID); err != nil {
			return nil, err
		}
		redeemed = append(redeemed, a)
	}
	if err := w.finish(ctx); err != nil {
		return nil, err
	}
	return redeemed, st.Decisions.MarkTaken(ctx, session.Tenant, session.ID, "", "not_taken")
}

// ReleaseAll gives back what the session holds and has not redeemed, for one
// of the reasons of package offers; for sessions that end without a sale.
func (s *Service) ReleaseAll(ctx context.Context, st app.Stores, session checkout.Session, reason string, now time.Time) error {
	apps, err := st.Offers.Applications(ctx, session.Tenant, session.ID)
	if err != nil {
		return err
	}
	w := s.work(st, session, now)
	for _, a := range inState(apps, offers.Applied) {
		def, err := st.Offers.Offer(ctx, a.Tenant, a.OfferID, a.Version)
		if err != nil {
			return err
		}
		if err := w.release(ctx, &a, def, reason); err != nil {
			return err
		}
	}
	if err := w.finish(ctx); err != nil {
		return err
	}
	return st.Decisions.MarkTaken(ctx, session.Tenant, session.ID, "", "not_taken")
}

// Applied lists the offers in force of a session, in the order in which they
// were applied: what a session shows, and what a transaction copies.
func Applied(ctx context.Context, st app.Stores, t tenancy.Tenant, sessionID string) ([]offers.Application, error) {
	apps, err := st.Offers.Applications(ctx, t, sessionID)
	return slices.DeleteFunc(apps, func(a offers.Application) bool { return a.State == offers.Released }), err
}

// Credit is promotional credit that an applied cashback offer is worth at close.
type Credit struct {
	ApplicationID, OfferID, BudgetID string
	AmountMinor                      int64
}

// Credits lists what applied cashback offers are worth, for the facts of the
// close's cashback decision. Their budget has held it since they were applied.
func Credits(apps []offers.Application) []Credit {
	var out []Credit
	for _, a := range apps {
		if a.State != offers.Released && a.ValueMinor > a.DiscountMinor {
			out = append(out, Credit{ApplicationID: a.ID, OfferID: a.OfferID, BudgetID: a.BudgetID, AmountMinor: a.ValueMinor - a.DiscountMinor})
		}
	}
	return out
}

func inState(apps []offers.Application, state offers.ApplicationState) []offers.Application {
	return slices.DeleteFunc(slices.Clone(apps), func(a offers.Application) bool { return a.State != state })
}

func inForceByOffer(apps []offers.Application) map[string]string {
	out := map[string]string{}
	for _, a := range apps {
		if a.State != offers.Released {
			out[a.OfferID] = a.ID
		}
	}
	return out
}

func refOf(a offers.Application) offers.Ref {
	return offers.Ref{OfferID: a.OfferID, Version: a.Version}
}

// held turns the applications in force into what stacking asks of them, with
// the versions they were applied at.
func held(ctx context.Context, st app.Stores, t tenancy.Tenant, apps []offers.Application) ([]offers.Held, map[offers.Ref]offers.Offer, error) {
	var refs []offers.Ref
	for _, a := range apps {
		if a.State != offers.Released {
			refs = append(refs, refOf(a))
		}
	}
	if len(refs) == 0 {
		return nil, nil, nil
	}
	versions, err := st.Offers.Versions(ctx, t, refs)
	if err != nil {
		return nil, nil, err
	}
	defs := make(map[offers.Ref]offers.Offer, len(versions))
	for _, o := range versions {
		defs[offers.Ref{OfferID: o.ID, Version: o.Version}] = o
	}
	holds := make([]offers.Held, 0, len(refs))
	for _, a := range apps {
		if a.State != offers.Released {
			holds = append(holds, holding(a, defs[refOf(a)]))
		}
	}
	return holds, defs, nil
}

func holding(a offers.Application, def offers.Offer) offers.Held {
	return offers.Held{
		ApplicationID: a.ID, OfferID: a.OfferID, Version: a.Version,
		Group: def.Stacking.Group, Alone: def.Stacking.Alone, Exclusive: def.Stacking.Exclusive,
		DiscountMinor: a.DiscountMinor, ValueMinor: a.ValueMinor, Points: a.Points, Lines: a.Lines,
	}
}

// price writes what an offer is worth on a basket into its application.
func price(a *offers.Application, o *offers.Shown, revision int64) {
	a.ValueMinor, a.Points, a.Lines, a.BasketRevision = o.Value.AmountMinor, o.Value.Points, o.AppliesTo, revision
	a.DiscountMinor = 0
	if o.Value.Type.Discounts() {
		a.DiscountMinor = o.Value.AmountMinor
	}
}

// work is one change of a session's applications: budget moves are gathered
// and carried out last, in the order of the budgets, so that two sessions
// never wait for each other in a circle.
type work struct {
	s       *Service
	st      app.Stores
	session checkout.Session
	now     time.Time
	moves   []offers.Move
	events  []eventDraft
}

type eventDraft struct {
	kind, subject, traceID string
	data                   map[string]any
}

func (s *Service) work(st app.Stores, session checkout.Session, now time.Time) *work {
	return &work{s: s, st: st, session: session, now: now}
}

// move notes a change of a budget; offers without one cost nobody's envelope.
func (w *work) move(budgetID, kind string, amountMinor int64, applicationID string) {
	if budgetID == "" || amountMinor == 0 {
		return
	}
	w.moves = append(w.moves, offers.Move{
		MovementID: w.s.IDs.Make("bmv"), BudgetID: budgetID, Type: kind, AmountMinor: amountMinor, ReferenceID: applicationID, At: w.now,
	})
}

// pending is what the moves noted so far will take of a budget.
func (w *work) pending(budgetID string) int64 {
	sum := int64(0)
	for _, m := range w.moves {
		switch {
		case m.BudgetID != budgetID:
		case m.Type == "committed":
			sum += m.AmountMinor
		case m.Type == "released":
			sum -= m.AmountMinor
		}
	}
	return sum
}

func (w *work) release(ctx context.Context, a *offers.Application, def offers.Offer, reason string) error {
	a.State, a.ReleaseReason, a.ReleasedAt = offers.Released, reason, &w.now
	if err := w.st.Offers.SaveApplication(ctx, *a, offers.Applied); err != nil {
		return err
	}
	if err := w.st.Offers.GiveBack(ctx, a.Tenant, a.OfferID, def.Limits, a.CustomerID, a.Day); err != nil {
		return err
	}
	w.move(a.BudgetID, "released", a.ValueMinor, a.ID)
	w.tell("offer.released", *a)
	return w.st.Decisions.MarkTaken(ctx, a.Tenant, a.SessionID, a.OfferID, "released")
}

// redeem consumes an application; one that is redeemed already only learns
// which transaction it belongs to.
func (w *work) redeem(ctx context.Context, a *offers.Application, transactionID string) error {
	was := a.State
	if was == offers.Redeemed && a.TransactionID == transactionID {
		return nil
	}
	a.TransactionID = cmp.Or(transactionID, a.TransactionID)
	if was == offers.Applied {
		a.State, a.RedeemedAt = offers.Redeemed, &w.now
		w.move(a.BudgetID, "spent", a.ValueMinor, a.ID)
		w.tell("offer.redeemed", *a)
	}
	return w.st.Offers.SaveApplication(ctx, *a, was)
}

func (w *work) tell(kind string, a offers.Application) {
	w.events = append(w.events, eventDraft{kind: kind, subject: a.OfferID, traceID: a.TraceID, data: map[string]any{
		"offer_id": a.OfferID, "offer_version": a.Version, "application_id": a.ID, "session_id": a.SessionID,
		"customer_id": orNull(a.CustomerID), "state": string(a.State), "discount_minor": a.DiscountMinor, "value_minor": a.ValueMinor,
		"currency": a.Currency, "budget_id": orNull(a.BudgetID), "release_reason": orNull(a.ReleaseReason), "transaction_id": orNull(a.TransactionID),
	}})
}

// finish carries out the budget moves and appends the events.
func (w *work) finish(ctx context.Context) error {
	slices.SortStableFunc(w.moves, func(a, b offers.Move) int { return cmp.Compare(a.BudgetID, b.BudgetID) })
	for _, m := range w.moves {
		before, after, err := w.st.Offers.MoveBudget(ctx, w.session.Tenant, m)
		if err != nil {
			return err
		}
		w.tellBudget(before, after)
	}
	for _, d := range w.events {
		e, err := w.s.event(w.session.Tenant, d.kind, d.subject, d.traceID, w.now, d.data)
		if err != nil {
			return err
		}
		if err := w.st.Events.Append(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// tellBudget tells of a budget that a move made low or used up.
func (w *work) tellBudget(before, after offers.Budget) {
	data := map[string]any{
		"budget_id": after.ID, "currency": after.Currency, "cap_minor": after.CapMinor,
		"committed_minor": after.CommittedMinor, "spent_minor": after.SpentMinor, "available_minor": after.AvailableMinor(),
	}
	if after.LowTold && !before.LowTold {
		w.events = append(w.events, eventDraft{kind: "budget.low", subject: after.ID, data: maps.Clone(data)})
	}
	if after.AvailableMinor() == 0 && before.AvailableMinor() > 0 {
		w.events = append(w.events, eventDraft{kind: "budget.exhausted", subject: after.ID, data: data})
	}
}

// newApplication is an offer held for the session as it was judged.
func (w *work) newApplication(o offers.Offer, shown *offers.Shown, facts *offers.Facts, traceID string) offers.Application {
	a := offers.Application{
		ID: w.s.IDs.Make(ids.Application), Tenant: w.session.Tenant, SessionID: w.session.ID, OfferID: o.ID, Version: o.Version,
		CustomerID: w.session.CustomerID, State: offers.Applied, Kind: o.Kind, Title: o.Title, Currency: w.session.Currency,
		BudgetID: o.Funding.BudgetID, Day: facts.Local.Day, TraceID: traceID, AppliedAt: w.now,
	}
	price(&a, shown, facts.Revision)
	return a
}
