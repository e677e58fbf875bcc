package incentives_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// seed lays the sandbox's offers down and returns the one on LATTE.
func (s *shop) seed() offers.Offer {
	s.t.Helper()
	var seeded []string
	s.must(s.UoW.Do(s.t.Context(), func(ctx context.Context, st app.Stores) error {
		var err error
		seeded, err = s.Seed(ctx, st, s.tenant, "USD", s.clock.Now())
		return err
	}))
	if len(seeded) < 3 {
		s.t.Fatalf("%d offers are seeded", len(seeded))
	}
	o, err := s.UoW.Read().Offers.Offer(s.t.Context(), s.tenant, seeded[0], 0)
	s.must(err)
	return o
}

// TestGoldenPath holds the figures of the golden path: one offer worth 100,
// the others withheld with reasons, 1175 after applying.
func TestGoldenPath(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	latte := s.seed()
	session := s.open(s.customer("+14155550101"), coffee()...)

	f := s.feed(session)
	if len(f.Feed.Offers) != 1 || f.Feed.Offers[0].OfferID != latte.ID || f.Feed.Offers[0].Value.AmountMinor != 100 || f.Feed.Offers[0].Rank != 1 {
		t.Fatalf("shown: %+v", f.Feed.Offers)
	}
	if got := f.Feed.Offers[0]; len(got.AppliesTo) != 1 || got.AppliesTo[0] != (offers.Share{LineID: "1", DiscountMinor: 100}) || !strings.Contains(got.Card.Summary, "1.00 USD") {
		t.Errorf("shown: %+v", got)
	}
	reasons := map[offers.Reason]bool{}
	for _, w := range f.Feed.Withheld {
		reasons[w.Reason] = true
	}
	if !reasons[offers.MinBasketNotMet] || !reasons[offers.MinQuantityNotMet] {
		t.Errorf("withheld: %+v", f.Feed.Withheld)
	}

	applied, err := s.apply(latte, session)
	s.must(err)
	if applied.Application.DiscountMinor != 100 || applied.Session.TotalMinor() != 1175 || applied.TraceID != f.TraceID || applied.Session.Version != session.Version+1 {
		t.Errorf("applied: %+v", applied)
	}
	again := s.feed(session)
	if again.TraceID != f.TraceID || again.Applied[latte.ID] != applied.Application.ID {
		t.Errorf("asked again after applying: %s, %v", again.TraceID, again.Applied)
	}
	if n := s.events("offer.applied"); n != 1 {
		t.Errorf("%d offer.applied", n)
	}
}

// TestFeedIsRecordedOnce holds that asking again gives the same feed, byte for
// byte, and writes nothing more, also from many tills at once and after time
// has passed.
func TestFeedIsRecordedOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	s.create(off("CROISSANT", 25))
	session := s.open(s.customer("+14155550101"), coffee()...)
	var wg sync.WaitGroup
	feeds := make([]incentives.FeedResult, 16)
	errs := make([]error, len(feeds))
	for i := range feeds {
		wg.Go(func() {
			feeds[i], errs[i] = s.SessionOffers(t.Context(), s.call, incentives.FeedInput{SessionID: session.ID})
		})
	}
	wg.Wait()
	s.clock.Advance(20 * time.Minute)
	feeds = append(feeds, s.feed(session))
	want, err := feeds[0].Feed.Outputs()
	s.must(err)
	for i, f := range feeds {
		if i < len(errs) {
			s.must(errs[i])
		}
		if got, _ := f.Feed.Outputs(); string(got) != string(want) || f.TraceID != feeds[0].TraceID {
			t.Errorf("feed %d is another one: %s", i, got)
		}
	}
	for what, sql := range map[string]string{
		"traces": "select count(*) from decision_traces", "events": "select count(*) from events where type = 'decision.made'",
	} {
		if n := s.count(sql); n != 1 {
			t.Errorf("%d %s", n, what)
		}
	}
	if n := s.count("select count(*) from counterfactuals"); n != 4 {
		t.Errorf("%d counterfactuals of 4 candidates", n)
	}
	if n := s.count("select count(*) from decisions where state = 'proposed'"); n != 2 {
		t.Errorf("%d decisions of 2 shown offers", n)
	}
}

// TestFeedFollowsItsFunction holds that basket, identity and offers each make
// a new decision, and nothing else does.
func TestFeedFollowsItsFunction(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	session := s.open("", coffee()...)
	seen := map[string]string{s.feed(session).TraceID: "the first"}
	next := func(what string) {
		t.Helper()
		id := s.feed(session).TraceID
		if was := seen[id]; was != "" {
			t.Errorf("%s gives the trace of %s", what, was)
		}
		seen[id] = what
	}
	session, _ = s.revise(session, append(coffee(), line("3", "TEA", "tea", 1, 300))...)
	next("a basket revision")
	s.create(off("TEA", 10))
	next("another offer")
	who := s.customer("+14155550101")
	session.CustomerID, session.CredentialType = who, "phone"
	saved, err := s.UoW.Read().Checkout.Save(t.Context(), session)
	s.must(err)
	session = saved
	next("an identity")
	if session.Version++; len(seen) != 4 {
		t.Fatal(seen)
	}
	if id := s.feed(session).TraceID; seen[id] != "an identity" {
		t.Errorf("asked again: %s", id)
	}
}

// TestTracesReplay holds that each recorded feed replays to the same bytes,
// after its offers have changed and ended, and that a touched trace does not.
func TestTracesReplay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	latte := s.seed()
	ruled := off("CROISSANT", 30)
	ruled.Conditions.Rule = "basket.lines.exists(l, l.category == 'bakery' && l.quantity >= 1) && now < timestamp('2030-01-01T00:00:00Z')"
	s.create(ruled)
	session := s.open(s.customer("+14155550101"), coffee()...)
	first := s.feed(session)
	if len(first.Feed.Offers) != 2 {
		t.Fatalf("the rule does not hold: %+v", first.Feed.Withheld)
	}
	_, err := s.apply(latte, session)
	s.must(err)
	session, _ = s.revise(session, line("1", "LATTE", "coffee", 5, 450))
	second := s.feed(session)
	_, err = s.UpdateOffer(t.Context(), s.call, incentives.UpdateOfferInput{OfferID: latte.ID, Change: func(d *offers.Definition) { d.Value.AmountMinor = 1 }})
	s.must(err)
	s.clock.Advance(50 * time.Hour)
	for _, id := range []string{first.TraceID, second.TraceID} {
		if err := s.Replay(t.Context(), s.tenant, id); err != nil {
			t.Error(err)
		}
	}
	_, err = s.db.Q().Exec(t.Context(), "update decision_traces set inputs = replace(inputs::text, '\"total_minor\":1275', '\"total_minor\":9999')::json where trace_id = $1", first.TraceID)
	s.must(err)
	var mismatch *decision.Mismatch
	if err := s.Replay(t.Context(), s.tenant, first.TraceID); !asMismatch(err, &mismatch) || mismatch.TraceID != first.TraceID {
		t.Errorf("a touched trace: %v", err)
	}
}

func asMismatch(err error, target **decision.Mismatch) bool {
	m, ok := err.(*decision.Mismatch) //nolint:errorlint // Replay gives it as it is
	*target = m
	return ok
}

// TestCounterfactualsSettle holds what becomes of offers: taken, released, not taken.
func TestCounterfactualsSettle(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a, b, c := s.create(off("LATTE", 10)), s.create(off("LATTE", 20)), s.create(off("LATTE", 30))
	session := s.open("", coffee()...)
	s.feed(session)
	for _, o := range []offers.Offer{a, b} {
		_, err := s.apply(o, session)
		s.must(err)
	}
	_, err := s.ReleaseOffer(t.Context(), s.call, incentives.TakeInput{OfferID: b.ID, SessionID: session.ID})
	s.must(err)
	s.must(s.UoW.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		_, err := s.RedeemAll(ctx, st, session, "txn_1", s.clock.Now())
		return err
	}))
	st := s.UoW.Read()
	cf, err := st.Decisions.Counterfactuals(t.Context(), s.tenant, session.ID)
	s.must(err)
	got := map[string]string{}
	for _, x := range cf {
		got[x.OfferID] = x.Outcome
	}
	for id, want := range map[string]string{a.ID: "taken", b.ID: "released", c.ID: "not_taken"} {
		if got[id] != want {
			t.Errorf("%s is %q, want %q", id, got[id], want)
		}
	}
	decisions, err := st.Decisions.BySession(t.Context(), s.tenant, session.ID)
	s.must(err)
	states := map[string]string{}
	for _, d := range decisions {
		states[d.OfferID] = d.State
		if d.Card.Summary == "" || !json.Valid(d.Card.Facts) {
			t.Errorf("no card: %+v", d)
		}
	}
	if states[a.ID] != "taken" || states[b.ID] != "declined" || states[c.ID] != "declined" {
		t.Errorf("decisions: %v", states)
	}
	detail, err := s.GetOffer(t.Context(), s.call, incentives.GetOfferInput{OfferID: a.ID})
	s.must(err)
	if want := (offers.Counters{Shown: 1, Applied: 1, Redeemed: 1, RedeemedMinor: 20}); detail.Counters != want {
		t.Errorf("counters %+v, want %+v", detail.Counters, want)
	}
}

// TestAnotherServerSeesChanges holds that an offer made on one server is
// offered by another within a second, and at once by its own.
func TestAnotherServerSeesChanges(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	other := s.server()
	in := incentives.FeedInput{SessionID: s.open("", coffee()...).ID}
	for _, server := range []*incentives.Service{s.Service, other} {
		f, err := server.SessionOffers(t.Context(), s.call, in)
		s.must(err)
		if len(f.Feed.Offers) != 0 {
			t.Fatal("an offer before there is one")
		}
	}
	o := s.create(off("LATTE", 10))
	own, err := s.SessionOffers(t.Context(), s.call, in)
	s.must(err)
	s.clock.Advance(time.Second)
	others, err := other.SessionOffers(t.Context(), s.call, in)
	s.must(err)
	if len(own.Feed.Offers) != 1 || own.TraceID != others.TraceID {
		t.Errorf("own %+v, other's %+v", own.Feed, others.Feed)
	}
	_, err = s.SetOfferStatus(t.Context(), s.call, incentives.SetOfferStatusInput{OfferID: o.ID, Status: offers.Paused})
	s.must(err)
	s.clock.Advance(time.Second)
	others, err = other.SessionOffers(t.Context(), s.call, in)
	s.must(err)
	if len(others.Feed.Offers) != 0 {
		t.Errorf("a paused offer is shown: %+v", others.Feed.Offers)
	}
}

// TestFeedErrors holds the errors of the feed.
func TestFeedErrors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	session := s.open("", coffee()...)
	_, err := s.SessionOffers(t.Context(), s.call, incentives.FeedInput{SessionID: "cs_none"})
	wants(t, "no such session", err, fault.CodeNotFound)
	foreign := &app.Call{Tenant: s.merchant()}
	_, err = s.SessionOffers(t.Context(), foreign, incentives.FeedInput{SessionID: session.ID})
	wants(t, "another merchant's session", err, fault.CodeNotFound)
	s.clock.Advance(2 * time.Hour)
	_, err = s.SessionOffers(t.Context(), s.call, incentives.FeedInput{SessionID: session.ID})
	wants(t, "an expired session", err, fault.CodeSessionEnded)
}

// TestPreferencesAreObeyed holds that a session neither shows nor gives what
// its customer does not want, from the moment on in which they say so.
func TestPreferencesAreObeyed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	latte, all := s.create(off("LATTE", 50)), s.create(wide(500))
	ann := s.customer("+14155550001")
	session := s.open(ann, coffee()...)
	before := s.feed(session)
	if len(before.Feed.Offers) != 2 {
		t.Fatalf("%+v", before.Feed)
	}
	s.optOut(ann, false, string(offers.BasketDiscount))
	after := s.feed(session)
	if after.TraceID == before.TraceID || len(after.Feed.Offers) != 1 || after.Feed.Offers[0].OfferID != latte.ID || after.Feed.Withheld[0].Reason != offers.CustomerOptedOut {
		t.Errorf("%+v", after.Feed)
	}
	_, err := s.apply(all, session)
	wants(t, "what was shown before they said so", err, fault.CodeOfferNotEligible)
	_, err = s.apply(latte, session)
	s.must(err)
	_, err = s.db.Q().Exec(t.Context(), "update customer_preferences set opt_out_all = true where customer_id = $1", ann)
	s.must(err)
	if _, released := s.revise(mustSession(s, session.ID), coffee()...); len(released) != 1 {
		t.Errorf("a new basket keeps what they do not want: %v", released)
	}
}

func mustSession(s *shop, id string) checkout.Session {
	s.t.Helper()
	c, err := s.UoW.Read().Checkout.Session(s.t.Context(), s.tenant, id)
	s.must(err)
	return c
}
