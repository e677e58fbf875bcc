package incentives

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

// FeedInput names the session.
type FeedInput struct{ SessionID string }

// FeedResult is a session's feed.
type FeedResult struct {
	Feed    offers.Feed
	TraceID string
	Session checkout.Session
	// Applied are the applications in force by offer: not part of the decision,
	// they change while the feed stays.
	Applied map[string]string
}

// SessionOffers decides what a session is offered (rule 58). The feed is a
// function of session, basket revision, identity and offer versions: asked
// again it gives the recorded one and writes nothing more (rule 47).
// Errors: NOT_FOUND, SESSION_ENDED.
func (s *Service) SessionOffers(ctx context.Context, call *app.Call, in FeedInput) (FeedResult, error) {
	now := s.Clock.Now()
	st := s.UoW.Read()
	session, err := st.Checkout.Session(ctx, call.Tenant, in.SessionID)
	if err != nil {
		return FeedResult{}, err
	}
	if err := session.Live(now); err != nil {
		return FeedResult{}, err
	}
	apps, err := st.Offers.Applications(ctx, session.Tenant, session.ID)
	if err != nil {
		return FeedResult{}, err
	}
	d, err := s.decide(ctx, st, session, apps, now)
	if err != nil {
		return FeedResult{}, err
	}
	if d.fresh {
		err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error { return s.record(ctx, st, &d) })
	}
	return FeedResult{Feed: d.feed, TraceID: d.trace.ID, Session: session, Applied: inForceByOffer(apps)}, err
}

// decided is a feed with its trace.
type decided struct {
	feed  offers.Feed
	trace decision.Trace
	held  []offers.Held
	fresh bool // not recorded yet
}

// decide reads the recorded feed of the session as it stands, or decides it.
func (s *Service) decide(ctx context.Context, st app.Stores, session checkout.Session, apps []offers.Application, now time.Time) (decided, error) {
	catalogue, err := s.Catalogue(ctx, st, session.Tenant, now)
	if err != nil {
		return decided{}, err
	}
	customer, err := profile(ctx, st, session)
	if err != nil {
		return decided{}, err
	}
	id := s.traceID(session, customer, catalogue)
	recorded, err := st.Decisions.Trace(ctx, session.Tenant, id)
	if err == nil {
		return replayed(recorded)
	}
	if !fault.Is(err, fault.CodeNotFound) {
		return decided{}, err
	}
	facts, err := s.gather(ctx, st, session, customer, apps, catalogue, now)
	if err != nil {
		return decided{}, err
	}
	feed := catalogue.Evaluate(ctx, &facts)
	if err := inTime(ctx); err != nil {
		return decided{}, err
	}
	tr, err := s.trace(id, session.Tenant, facts, catalogue, feed)
	return decided{feed: feed, trace: tr, held: facts.Held, fresh: true}, err
}

// inTime refuses a feed in which a rule may have been stopped: such a verdict
// must not be recorded.
func inTime(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.CodeDeadlineExceeded, "the offers could not be decided in time; nothing was changed; ask again").Because(err)
	}
	return nil
}

// gather reads everything the feed is decided from.
func (s *Service) gather(ctx context.Context, st app.Stores, session checkout.Session, customer offers.Customer, apps []offers.Application, catalogue *engine.Catalogue, now time.Time) (offers.Facts, error) {
	basket, err := basketOf(ctx, st, session)
	if err != nil {
		return offers.Facts{}, err
	}
	facts, err := s.facts(ctx, session, basket, customer, now)
	if err != nil {
		return facts, err
	}
	if facts.Held, _, err = held(ctx, st, session.Tenant, apps); err != nil {
		return facts, err
	}
	counted, budgets := catalogue.Needs(&facts)
	return facts, loadState(ctx, st, session.Tenant, &facts, counted, budgets)
}

// traceID derives the trace's id from what the feed is a function of.
func (s *Service) traceID(session checkout.Session, c offers.Customer, catalogue *engine.Catalogue) string {
	parts := []string{
		"offers", engine.Version, s.Rules.Environment(),
		strconv.FormatInt(int64(session.Tenant.No), 10), session.ID, strconv.FormatInt(session.BasketRevision, 10),
		c.ID, c.State, strconv.FormatBool(session.Probationary), strconv.FormatInt(catalogue.Version(), 10),
	}
	if out := c.OptOut; !out.Empty() { // a customer who opts out is obeyed at once
		parts = append(parts, strconv.FormatBool(out.All), strings.Join(out.Kinds, "\x00"), strings.Join(out.Categories, "\x00"))
	}
	return decision.TraceID(parts...)
}

func (s *Service) trace(id string, t tenancy.Tenant, facts offers.Facts, catalogue *engine.Catalogue, feed offers.Feed) (decision.Trace, error) {
	inputs, err := json.Marshal(engine.Inputs{
		Engine: engine.Version, Rules: s.Rules.Environment(), CatalogueVersion: catalogue.Version(),
		Facts: facts, Offers: catalogue.Candidates(&facts),
	})
	if err != nil {
		return decision.Trace{}, fault.Internal(err)
	}
	outputs, err := feed.Outputs()
	if err != nil {
		return decision.Trace{}, fault.Internal(err)
	}
	return decision.Trace{
		ID: id, Tenant: t, Kind: string(actuation.KindOffer), SessionID: facts.SessionID, CustomerID: facts.Customer.ID,
		Engine: engine.Version, Inputs: inputs, Outputs: outputs, At: facts.At,
	}, nil
}

// replayed reads a recorded feed.
func replayed(tr decision.Trace) (decided, error) {
	d := decided{trace: tr}
	if err := json.Unmarshal(tr.Outputs, &d.feed); err != nil {
		return d, fault.Internal(fmt.Errorf("trace %s: %w", tr.ID, err))
	}
	return d, nil
}

// record writes the trace, its decisions, counterfactuals and event, once: of
// two that decided at the same time the later one takes over what the earlier
// recorded.
func (s *Service) record(ctx context.Context, st app.Stores, d *decided) error {
	decisions, cf := s.rows(d)
	stored, written, err := st.Decisions.Record(ctx, d.trace, decisions, cf)
	if err != nil {
		return err
	}
	if !written {
		*d, err = replayed(stored)
		return err
	}
	shown := make([]string, len(d.feed.Offers))
	for i := range d.feed.Offers {
		shown[i] = d.feed.Offers[i].OfferID
	}
	subject := cmp.Or(d.trace.SessionID, d.trace.CustomerID)
	e, err := s.event(d.trace.Tenant, "decision.made", subject, d.trace.ID, d.trace.At, map[string]any{
		"decision_trace_id": d.trace.ID, "kind": d.trace.Kind, "session_id": orNull(d.trace.SessionID),
		"customer_id": orNull(d.trace.CustomerID), "offer_ids": shown, "withheld_count": len(d.feed.Withheld),
	})
	if err != nil {
		return err
	}
	return st.Events.Append(ctx, e)
}

// rows are the decisions and counterfactuals of a feed (rule 59).
func (s *Service) rows(d *decided) ([]decision.Decision, []decision.Counterfactual) {
	tr := d.trace
	decisions := make([]decision.Decision, 0, len(d.feed.Offers))
	cf := make([]decision.Counterfactual, 0, len(d.feed.Offers)+len(d.feed.Withheld))
	for i := range d.feed.Offers {
		o, outcome := &d.feed.Offers[i], "shown"
		if slices.ContainsFunc(d.held, func(h offers.Held) bool { return h.OfferID == o.OfferID }) {
			outcome = "taken" // decided by an earlier feed of the session
		} else {
			decisions = append(decisions, s.proposal(tr, o))
		}
		cf = append(cf, decision.Counterfactual{
			TraceID: tr.ID, SessionID: tr.SessionID, OfferID: o.OfferID, Version: o.Version,
			Outcome: outcome, ValueMinor: o.Value.AmountMinor, At: tr.At,
		})
	}
	for i := range d.feed.Withheld {
		w := &d.feed.Withheld[i]
		cf = append(cf, decision.Counterfactual{
			TraceID: tr.ID, SessionID: tr.SessionID, OfferID: w.OfferID, Version: w.Version,
			Outcome: "withheld", Reason: string(w.Reason), ValueMinor: w.Worth, At: tr.At,
		})
	}
	return decisions, cf
}

// proposal is the decision to show an offer.
func (s *Service) proposal(tr decision.Trace, o *offers.Shown) decision.Decision {
	kind := actuation.KindOffer
	if o.Kind == offers.Upsell {
		kind = actuation.KindUpsell
	}
	return decision.Decision{
		ID: s.IDs.Make(ids.Decision), Tenant: tr.Tenant, TraceID: tr.ID, Kind: string(kind), SessionID: tr.SessionID,
		CustomerID: tr.CustomerID, OfferID: o.OfferID, AmountMinor: o.Value.AmountMinor, State: "proposed", Card: o.Card, At: tr.At,
	}
}

// Replay decides a recorded feed again from its stored inputs and gives nil
// where the outputs are the same, byte for byte. Errors: NOT_FOUND,
// *decision.Mismatch.
func (s *Service) Replay(ctx context.Context, t tenancy.Tenant, traceID string) error {
	st := s.UoW.Read()
	tr, err := st.Decisions.Trace(ctx, t, traceID)
	if err != nil {
		return err
	}
	return decision.Replay(ctx, tr, func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
		var in engine.Inputs
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, err
		}
		versions, err := st.Offers.Versions(ctx, t, in.Offers)
		if err != nil {
			return nil, err
		}
		return engine.Replay(ctx, in, versions, s.Rules)
	})
}

// event makes an event; data must marshal.
func (s *Service) event(t tenancy.Tenant, kind, subject, traceID string, at time.Time, data map[string]any) (event.Event, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return event.Event{}, fault.Internal(err)
	}
	return event.Event{ID: s.IDs.Make(ids.Event), Tenant: t, Type: kind, Subject: subject, At: at, Data: raw, TraceID: traceID}, nil
}

// orNull shows an absent id as null.
func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}
