package checkout_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/timeline"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// record keeps what a till saw, as the till would.
func (s *shop) record(in timeline.RecordInput) (checkout.TillEvent, error) {
	return s.timeline.Record(s.t.Context(), s.call("recordSessionEvent"), in)
}

func (s *shop) recorded(in timeline.RecordInput) checkout.TillEvent {
	s.t.Helper()
	e, err := s.record(in)
	s.must(err)
	return e
}

// history is a session's whole timeline, read page by page.
func (s *shop) history(session string, limit int) (all []timeline.Entry) {
	s.t.Helper()
	in := timeline.ReadInput{SessionID: session, Limit: limit}
	for {
		page, err := s.timeline.Read(s.t.Context(), s.call("getSessionTimeline"), in)
		s.must(err)
		all = append(all, page.Entries...)
		if in.Cursor = page.Next; in.Cursor == "" {
			return all
		}
	}
}

// brunch is a basket that two of the seeded offers fit, and the third does not.
func brunch() checkout.Draft {
	d := coffee()
	d.Lines[1].Quantity = 2
	return d
}

func types(entries []timeline.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Type)
	}
	return out
}

func (s *shop) feed(session string) incentives.FeedResult {
	s.t.Helper()
	f, err := s.offers.SessionOffers(s.t.Context(), s.call("getSessionOffers"), incentives.FeedInput{SessionID: session})
	s.must(err)
	return f
}

func TestTheTimelineTellsASaleFromBeginningToEnd(t *testing.T) { // rule 59
	t.Parallel()
	s := newShop(t)
	s.seed()
	s.topUp(s.guest(ann, identity.Verified), 500)
	tick := func() { s.clock.Advance(time.Second) }
	opened := s.open(ann, brunch())
	tick()
	feed := s.feed(opened.ID)
	if len(feed.Feed.Offers) < 2 || len(feed.Feed.Withheld) == 0 {
		t.Fatalf("the feed shows %d and withholds %d", len(feed.Feed.Offers), len(feed.Feed.Withheld))
	}
	taken, declined := feed.Feed.Offers[0].OfferID, feed.Feed.Offers[1].OfferID
	tick()
	s.recorded(timeline.RecordInput{SessionID: opened.ID, Type: checkout.OfferShown, OfferID: taken})
	tick()
	s.recorded(timeline.RecordInput{SessionID: opened.ID, Type: checkout.OfferDeclined, OfferID: declined, TraceID: feed.TraceID})
	tick()
	_, err := s.offers.ApplyOffer(s.t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: taken, SessionID: opened.ID})
	s.must(err)
	tick()
	due := s.session(opened.ID).DueMinor()
	_, err = s.payments.Authorize(s.t.Context(), s.call("paymentAuthorize"), payments.AuthorizeInput{
		SessionID: opened.ID, Credential: s.code(opened.CustomerID), AmountMinor: due, Currency: "USD",
	})
	wantCode(t, err, fault.CodeInsufficientFunds)
	tick()
	s.recorded(timeline.RecordInput{SessionID: opened.ID, Type: checkout.RecoveryShown})
	tick()
	s.recorded(timeline.RecordInput{SessionID: opened.ID, Type: checkout.TenderChosen, TenderType: "cash"})
	tick()
	s.close(opened.ID, cash(due))

	all := s.history(opened.ID, 200)
	for i, want := range []string{
		"checkout.session.opened", "checkout.session.identified", "checkout.session.basket_revised", "decision.made",
	} {
		if all[i].Type != want || !all[i].Happened || all[i].EventID == "" || all[i].Summary == "" {
			t.Errorf("entry %d is %+v, want %s", i, all[i], want)
		}
	}
	order := []string{"decision.made", "offer_not_shown", "offer_shown", "offer_declined", "offer.applied", "payment.failed", "recovery_shown", "tender_chosen", "offer.redeemed", "checkout.session.closed"}
	at := -1
	for _, kind := range order {
		i := slices.Index(types(all), kind)
		if i <= at {
			t.Fatalf("%s stands at %d of %v", kind, i, types(all))
		}
		at = i
	}
	find := func(kind string) timeline.Entry { return all[slices.Index(types(all), kind)] }
	if e := find("offer_not_shown"); e.Happened || e.EventID != "" || e.TraceID != feed.TraceID || !strings.Contains(e.Summary, "not shown") || !strings.Contains(string(e.Data), "reason") {
		t.Errorf("withheld: %+v", e)
	}
	if e := find("offer_declined"); e.TraceID != feed.TraceID || e.OfferID != declined || !e.Happened {
		t.Errorf("declined: %+v", e)
	}
	not := find("offer_not_taken")
	if not.Happened || not.OfferID != declined || not.TraceID != feed.TraceID || not.DecisionID == "" || !strings.Contains(string(not.Data), "customer_declined") {
		t.Errorf("not taken: %+v %s", not, not.Data)
	}
	if e := find("payment.failed"); e.DecisionID == "" || e.TraceID == "" || !strings.Contains(e.Summary, "insufficient funds") {
		t.Errorf("declined payment: %+v", e)
	}
	if e := find("recovery_shown"); e.TraceID != find("payment.failed").TraceID {
		t.Errorf("the recovery is not tied to its decision: %+v", e)
	}
	kinds := 0
	for _, e := range all {
		if e.Type == "decision.made" && e.DecisionID != "" {
			kinds++
		}
		if !e.Happened && e.OfferID == taken {
			t.Errorf("the offer that was taken shows as %s", e.Type)
		}
	}
	if kinds != 2 {
		t.Errorf("%d decisions of the close, want cashback and attribution", kinds)
	}
	s.numbered(opened.ID, all)
}

// numbered checks the order, the numbers, and that pages of any size agree.
func (s *shop) numbered(session string, all []timeline.Entry) {
	s.t.Helper()
	for i, e := range all {
		if e.Sequence != i+1 || i > 0 && e.At.Before(all[i-1].At) || i > 0 && e.BasketRevision < all[i-1].BasketRevision {
			s.t.Errorf("entry %d is %+v", i, e)
		}
	}
	for _, limit := range []int{1, 3} {
		got := s.history(session, limit)
		same := slices.EqualFunc(got, all, func(a, b timeline.Entry) bool {
			return a.Sequence == b.Sequence && a.Type == b.Type && a.EventID == b.EventID && a.OfferID == b.OfferID && a.Summary == b.Summary
		})
		if !same {
			s.t.Errorf("pages of %d give %v", limit, types(got))
		}
	}
	happened, err := s.timeline.Read(s.t.Context(), s.call("getSessionTimeline"), timeline.ReadInput{SessionID: session, Happened: true, Limit: 200})
	s.must(err)
	for i, e := range happened.Entries {
		if !e.Happened || e.Sequence != i+1 {
			s.t.Errorf("without counterfactuals: %+v", e)
		}
	}
}

func TestTheTimelineOfASessionThatEndsWithoutASale(t *testing.T) { // rule 59
	t.Parallel()
	for name, end := range map[string]func(s *shop, id string){
		"abandoned": func(s *shop, id string) {
			_, err := s.Abandon(s.t.Context(), s.call("abandonCheckoutSession"), uses.AbandonInput{SessionID: id, Reason: "price"})
			s.must(err)
		},
		"expired": func(s *shop, _ string) {
			s.clock.Advance(2 * time.Hour)
			_, err := s.Expire(s.t.Context())
			s.must(err)
		},
		"over, and not swept": func(s *shop, _ string) { s.clock.Advance(2 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.seed()
			opened := s.open("", brunch())
			shown := s.feed(opened.ID).Feed.Offers
			applied := shown[0].OfferID
			_, err := s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: applied, SessionID: opened.ID})
			s.must(err)
			live := s.history(opened.ID, 200)
			if slices.Contains(types(live), "offer_not_taken") {
				t.Errorf("the session is live, and yet: %v", types(live))
			}
			s.clock.Advance(time.Minute)
			end(s, opened.ID)
			all := s.history(opened.ID, 200)
			not := 0
			for _, e := range all {
				if e.Type == "offer_not_taken" {
					not++
					if !strings.Contains(string(e.Data), "session_ended") || !strings.Contains(string(e.Data), `"seen":false`) {
						t.Errorf("not taken: %s", e.Data)
					}
				}
			}
			if not != len(shown)-1 {
				t.Errorf("%d offers not taken of %d shown, one of which was applied: %v", not, len(shown), types(all))
			}
			if swept := name != "over, and not swept"; swept != slices.Contains(types(all), "checkout.session.abandoned") || swept != slices.Contains(types(all), "offer.released") {
				t.Errorf("%v", types(all))
			}
			s.numbered(opened.ID, all)
			_, err = s.record(timeline.RecordInput{SessionID: opened.ID, Type: checkout.OfferShown, OfferID: shown[1].OfferID})
			wantFault(t, err, fault.CodeSessionEnded)
		})
	}
}

func TestATillEventIsTiedToADecisionOfItsSession(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	s.guest(ann, identity.Verified)
	one, two := s.open(ann, brunch()), s.open("", coffee())
	feed, other := s.feed(one.ID), s.feed(two.ID)
	shown := feed.Feed.Offers[0].OfferID
	now := s.clock.Now()
	early := now.Add(-time.Hour)
	for what, row := range map[string]struct {
		in   timeline.RecordInput
		code fault.Code
		at   string
	}{
		"no session":                {timeline.RecordInput{SessionID: "cs_none", Type: checkout.RecoveryShown}, fault.CodeNotFound, "session"},
		"no such offer":             {timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferShown, OfferID: "off_none"}, fault.CodeNotFound, "offer"},
		"a withheld offer":          {timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferShown, OfferID: feed.Feed.Withheld[0].OfferID}, fault.CodeNotFound, "offer"},
		"another session's trace":   {timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferDeclined, OfferID: shown, TraceID: other.TraceID}, fault.CodeNotFound, "offer"},
		"no recovery was decided":   {timeline.RecordInput{SessionID: one.ID, Type: checkout.RecoveryShown}, fault.CodeNotFound, "recovery"},
		"an offer without its name": {timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferShown}, fault.CodeValidationFailed, "offer_id"},
		"before the session":        {timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferShown, OfferID: shown, OccurredAt: &early}, fault.CodeValidationFailed, "occurred_at"},
	} {
		_, err := s.record(row.in)
		if !fault.Is(err, row.code) || fault.As(err).Details[0].Field != row.at {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := s.count(`select count(*) from session_events`) + s.count(`select count(*) from counterfactuals where seen_at is not null or declined_at is not null`); n != 0 {
		t.Errorf("refused events left %d rows", n)
	}

	// A second feed that shows the offer: what names no trace is tied to the latest.
	s.clock.Advance(time.Second)
	more := brunch()
	more.Lines[0].Quantity++
	_, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: one.ID, Expected: 1, Draft: more})
	s.must(err)
	latest := s.feed(one.ID)
	if e := s.recorded(timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferShown, OfferID: shown}); e.TraceID != latest.TraceID || latest.TraceID == feed.TraceID {
		t.Errorf("tied to %s, want %s", e.TraceID, latest.TraceID)
	}
	if e := s.recorded(timeline.RecordInput{SessionID: one.ID, Type: checkout.OfferDeclined, OfferID: shown, TraceID: feed.TraceID}); e.TraceID != feed.TraceID {
		t.Errorf("tied to %s, want %s", e.TraceID, feed.TraceID)
	}
	// Who declined may take it after all, and then it is taken.
	_, err = s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: shown, SessionID: one.ID})
	s.must(err)
	for _, e := range s.history(one.ID, 200) {
		if !e.Happened && e.OfferID == shown {
			t.Errorf("taken after all, and yet %+v", e)
		}
	}
	news := s.events("checkout.session.event_recorded")
	if len(news) != 2 || news[0].Subject != one.ID || !strings.Contains(string(news[0].Data), latest.TraceID) {
		t.Errorf("told of %+v", news)
	}
}

func TestATillsDataStaysOutOfTheLogAndARetryRecordsNothingMore(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	session := s.open("", coffee())
	in := timeline.RecordInput{SessionID: session.ID, Type: checkout.PromptSkipped, Prompt: "enroll", Data: []byte(`{"screen":"welcome-7"}`)}
	key := uuid.NewString()
	_, err := s.timeline.Record(t.Context(), s.callWith("recordSessionEvent", key), in)
	s.must(err)
	if _, err := s.timeline.Record(t.Context(), s.callWith("recordSessionEvent", key), in); err == nil {
		t.Error("a retry was carried out")
	}
	news := s.events("checkout.session.event_recorded")
	if len(news) != 1 || strings.Contains(string(news[0].Data), "welcome-7") {
		t.Errorf("told of %+v", news)
	}
	all := s.history(session.ID, 200)
	if e := all[len(all)-1]; e.Type != "prompt_skipped" || !strings.Contains(string(e.Data), "welcome-7") || !strings.Contains(string(e.Data), "enroll") || e.EventID != news[0].ID {
		t.Errorf("shows %+v %s", e, e.Data)
	}
}

func TestASessionTakesAThousandEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	session := s.open("", coffee())
	_, err := s.db.Q().Exec(t.Context(), `insert into session_events (tenant_no, session_id, event_id, type, prompt, data, occurred_at, recorded_at)
		select $1, $2, 'evt_' || n, 'prompt_shown', 'tip', '{}', $3, $3 from generate_series(1, 999) n`, s.tenant.No, session.ID, start)
	s.must(err)
	s.recorded(timeline.RecordInput{SessionID: session.ID, Type: checkout.PromptShown, Prompt: "tip"})
	_, err = s.record(timeline.RecordInput{SessionID: session.ID, Type: checkout.PromptShown, Prompt: "tip"})
	wantFault(t, err, fault.CodeStateConflict)
}

func TestTelemetryKeepsToItsTenantAndBranch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	call := s.call("openCheckoutSession")
	call.BrandID, call.BranchID = "brd_1", "brn_1"
	opened, err := s.Open(t.Context(), call, uses.OpenInput{Currency: "USD"})
	s.must(err)
	id := opened.View.Session.ID
	elsewhere, foreign := s.call("x"), s.call("x")
	elsewhere.Actor.BrandID, elsewhere.Actor.BranchID = "brd_1", "brn_2"
	foreign.Tenant = tenancy.Tenant{PartnerID: "par_other", Mode: tenancy.Sandbox, MerchantID: "mer_other", No: s.tenant.No + 1000}
	for _, c := range []struct {
		what string
		err  func() error
	}{
		{"another branch reads", func() error {
			_, err := s.timeline.Read(t.Context(), elsewhere, timeline.ReadInput{SessionID: id})
			return err
		}},
		{"another merchant reads", func() error {
			_, err := s.timeline.Read(t.Context(), foreign, timeline.ReadInput{SessionID: id})
			return err
		}},
		{"another branch records", func() error {
			_, err := s.timeline.Record(t.Context(), elsewhere, timeline.RecordInput{SessionID: id, Type: checkout.PromptShown, Prompt: "tip"})
			return err
		}},
		{"another merchant records", func() error {
			_, err := s.timeline.Record(t.Context(), foreign, timeline.RecordInput{SessionID: id, Type: checkout.PromptShown, Prompt: "tip"})
			return err
		}},
	} {
		if err := c.err(); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	_, err = s.timeline.Read(t.Context(), s.call("x"), timeline.ReadInput{SessionID: id, Cursor: "x"})
	wantFault(t, err, fault.CodeCursorInvalid)
}

// TestTelemetryRunsBesideTheSession records while an offer of the session is
// applied, and nothing is lost or refused.
func TestTelemetryRunsBesideTheSession(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	s.topUp(s.guest(ann, identity.Verified), 5000)
	session := s.open(ann, brunch())
	shown := s.feed(session.ID).Feed.Offers[0].OfferID
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			kind := checkout.OfferShown
			if n%2 == 1 {
				kind = checkout.OfferDeclined
			}
			if _, err := s.record(timeline.RecordInput{SessionID: session.ID, Type: kind, OfferID: shown}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		if _, err := s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: shown, SessionID: session.ID}); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if n := s.count(`select count(*) from session_events where session_id = $1`, session.ID); n != 8 {
		t.Errorf("%d events were kept", n)
	}
	if n := s.count(`select count(*) from counterfactuals where offer_id = $1 and outcome = 'taken' and seen_at is not null and declined_at is not null`, shown); n != 1 {
		t.Errorf("%d counterfactuals say so", n)
	}
	s.close(session.ID, cash(s.session(session.ID).DueMinor()))
	s.sound()
}

// TestTelemetryAndTheTimelineOverREST holds each answer against the published document.
func TestTelemetryAndTheTimelineOverREST(t *testing.T) {
	t.Parallel()
	d := serve(t)
	d.seed()
	session := d.open("", brunch())
	path := "/checkout/sessions/" + session.ID
	offer, _ := d.get(path+"/offers").want(200, "").at("offers.0.offer_id").(string)
	key, body := uuid.NewString(), object{"type": "offer_declined", "offer_id": offer, "data": object{"screen": "w-1", "seconds": 2.5}}
	first := d.postWith(key, path+"/events", body).want(201, "")
	first.is("type", "offer_declined")
	first.is("offer_id", offer)
	again := d.postWith(key, path+"/events", body).want(201, "")
	if strings.Replace(again.Body, `"idempotency_replayed":true`, `"idempotency_replayed":false`, 1) != first.Body {
		t.Errorf("%s and again %s", first.Body, again.Body)
	}
	for field, body := range map[string]object{
		"offer_id":    {"type": "offer_shown"},
		"tender_type": {"type": "tender_chosen"},
		"prompt":      {"type": "prompt_shown", "prompt": "Not A Word"},
		"type":        {"type": "offer_eaten"},
		"data":        {"type": "prompt_shown", "prompt": "tip", "data": object{"who": "ann@example.com"}},
	} {
		if a := d.post(path+"/events", body).want(400, "VALIDATION_FAILED"); a.Error.Details[0].Field != field {
			t.Errorf("%s: %s", field, a.Body)
		}
	}
	d.post(path+"/events", object{"type": "offer_shown", "offer_id": "off_none"}).want(404, "NOT_FOUND")
	d.post("/checkout/sessions/cs_none/events", object{"type": "recovery_shown"}).want(404, "NOT_FOUND")
	page := d.get(path+"/timeline?limit=2").want(200, "")
	page.is("entries.0.type", "checkout.session.opened")
	next, _ := page.Meta["next_cursor"].(string)
	rest := d.get(path+"/timeline?cursor="+next).want(200, "")
	rest.is("entries.0.sequence", 3)
	for _, word := range []string{`"offer_declined"`, `"offer_not_taken"`, `"offer_not_shown"`, `"customer_declined"`, `"w-1"`} {
		if !strings.Contains(rest.Body, word) {
			t.Errorf("no %s in %s", word, rest.Body)
		}
	}
	if only := d.get(path+"/timeline?include_counterfactuals=false").want(200, ""); strings.Contains(only.Body, `"happened":false`) {
		t.Errorf("counterfactuals in %s", only.Body)
	}
	d.get(path+"/timeline?cursor=x").want(400, "CURSOR_INVALID")
	d.get("/checkout/sessions/cs_none/timeline").want(404, "NOT_FOUND")
	d.post(path+"/abandon", nil).want(200, "")
	d.post(path+"/events", object{"type": "prompt_shown", "prompt": "tip"}).want(410, "SESSION_ENDED")
	d.get(path+"/timeline").want(200, "")
}

func TestTheTimelineTellsOfMoney(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	session := s.open(ann, coffee())
	top, err := s.topups.Prepare(t.Context(), s.call("prepareTopup"), topup.PrepareInput{CustomerID: guest, SessionID: session.ID, AmountMinor: 2500, Currency: "USD"})
	s.must(err)
	s.clock.Advance(time.Second)
	_, err = s.topups.Confirm(t.Context(), s.call("confirmTopup"), topup.ConfirmInput{TopupID: top.Topup.ID, Reference: "ref-1"})
	s.must(err)
	s.clock.Advance(time.Second)
	paid := s.pay(session.ID, s.code(guest), 1275)
	s.clock.Advance(time.Second)
	s.close(session.ID, []checkout.Tender{{Type: "wallet", AmountMinor: 1275, PaymentID: paid.ID}})
	all := s.history(session.ID, 200)
	var money []string
	for _, e := range all {
		if strings.HasPrefix(e.Type, "topup.") || strings.HasPrefix(e.Type, "payment.") {
			money = append(money, e.Type)
		}
		if e.Type == "payment.succeeded" && (e.PaymentID != paid.ID || e.DecisionID == "" || !strings.Contains(e.Summary, "12.75")) {
			t.Errorf("the debit shows as %+v", e)
		}
	}
	if want := []string{"topup.prepared", "topup.completed", "payment.succeeded"}; !slices.Equal(money, want) {
		t.Errorf("told %v, want %v", money, want)
	}
	if last := all[len(all)-1]; last.Type != "checkout.session.closed" {
		t.Errorf("the last entry is %+v", last)
	}
	s.numbered(session.ID, all)
}
