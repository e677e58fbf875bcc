package checkout_test

import (
	"slices"
	"testing"
	"time"

	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

func TestSessionsAreListedByStatePlaceAndTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	customer := s.guest(ann, identity.Verified)
	var want []string
	for range 5 {
		s.clock.Advance(time.Second)
		want = append([]string{s.open(ann, coffee()).ID}, want...)
	}
	closed := s.close(want[4], cash(1275)).View.Session.ID
	list := func(in uses.ListInput) (ids []string) {
		t.Helper()
		for {
			page, err := s.List(t.Context(), s.call("listCheckoutSessions"), in)
			s.must(err)
			for _, v := range page.Sessions {
				ids = append(ids, v.Session.ID)
			}
			if in.Cursor = page.Next; in.Cursor == "" {
				return ids
			}
			s.open("", coffee()) // sessions go on while the list is read
		}
	}
	if got := list(uses.ListInput{Limit: 2}); !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if got := list(uses.ListInput{State: checkout.Closed}); !slices.Equal(got, []string{closed}) {
		t.Errorf("closed: %v", got)
	}
	if got := list(uses.ListInput{CustomerID: customer, State: checkout.Open}); len(got) != 4 {
		t.Errorf("open ones of the customer: %v", got)
	}
	from, before := start.Add(2*time.Second), start.Add(4*time.Second)
	if got := list(uses.ListInput{OpenedFrom: &from, OpenedBefore: &before}); !slices.Equal(got, want[2:4]) {
		t.Errorf("from second 2 up to 4: %v, want %v", got, want[2:4])
	}
	for _, in := range []uses.ListInput{{BranchID: "brn_none"}, {TerminalID: "trm_none"}, {CustomerID: "cus_none"}, {State: checkout.Abandoned}} {
		if got := list(in); len(got) != 0 {
			t.Errorf("%+v: %v", in, got)
		}
	}
	s.clock.Advance(24 * time.Hour) // nobody swept them yet
	if got := list(uses.ListInput{State: checkout.Expired, CustomerID: customer}); len(got) != 4 {
		t.Errorf("expired: %v", got)
	}
	if got := list(uses.ListInput{State: checkout.Open}); len(got) != 0 {
		t.Errorf("still open: %v", got)
	}
	_, err := s.List(t.Context(), s.call("listCheckoutSessions"), uses.ListInput{Cursor: "bogus"})
	wantFault(t, err, fault.CodeCursorInvalid)
}

func wantFault(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("err = %v, want %s", err, code)
	}
}

func TestSessionListsKeepToTheCallersTenantAndBranch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	call := s.call("openCheckoutSession")
	call.BrandID, call.BranchID = "brd_1", "brn_1"
	opened, err := s.Open(t.Context(), call, uses.OpenInput{Currency: "USD"})
	s.must(err)
	id := opened.View.Session.ID
	here, elsewhere, foreign := s.call("listCheckoutSessions"), s.call("listCheckoutSessions"), s.call("listCheckoutSessions")
	here.Actor.BrandID, here.Actor.BranchID = "brd_1", "brn_1"
	elsewhere.Actor.BrandID, elsewhere.Actor.BranchID = "brd_1", "brn_2"
	foreign.Tenant = tenancy.Tenant{PartnerID: "par_other", Mode: tenancy.Sandbox, MerchantID: "mer_other", No: s.tenant.No + 1000}
	page, err := s.List(t.Context(), here, uses.ListInput{BranchID: "brn_1"})
	s.must(err)
	if len(page.Sessions) != 1 || page.Sessions[0].Session.ID != id {
		t.Errorf("of the branch: %+v", page)
	}
	for _, c := range []struct {
		name string
		call func() (int, error)
	}{
		{"another branch lists", func() (int, error) {
			p, err := s.List(t.Context(), elsewhere, uses.ListInput{})
			return len(p.Sessions), err
		}},
		{"another merchant lists", func() (int, error) {
			p, err := s.List(t.Context(), foreign, uses.ListInput{})
			return len(p.Sessions), err
		}},
	} {
		if n, err := c.call(); err != nil || n != 0 {
			t.Errorf("%s %d sessions, %v", c.name, n, err)
		}
	}
	_, err = s.Revisions(t.Context(), elsewhere, uses.OfInput{SessionID: id})
	wantFault(t, err, fault.CodeNotFound)
	_, err = s.Decisions(t.Context(), foreign, uses.OfInput{SessionID: id})
	wantFault(t, err, fault.CodeNotFound)
}

func TestRevisionsSayWhatChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	session := s.open("", coffee())
	more := coffee()
	more.Lines[0].Quantity++
	more.Lines = append(more.Lines[:1:1], checkout.Line{LineID: "9", SKU: "TEA", Quantity: 1, UnitPriceMinor: 300})
	_, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: session.ID, Expected: 1, Draft: more})
	s.must(err)
	first, err := s.Revisions(t.Context(), s.call("listBasketRevisions"), uses.OfInput{SessionID: session.ID, Limit: 1})
	s.must(err)
	if len(first.Revisions) != 1 || first.Revisions[0].Revision != 1 || len(first.Revisions[0].Changes) != len(coffee().Lines) || first.Next == "" {
		t.Fatalf("first page %+v", first)
	}
	second, err := s.Revisions(t.Context(), s.call("listBasketRevisions"), uses.OfInput{SessionID: session.ID, Limit: 1, Cursor: first.Next})
	s.must(err)
	kinds := map[string]int{}
	for _, c := range second.Revisions[0].Changes {
		kinds[c.Kind()]++
	}
	if len(second.Revisions) != 1 || second.Next != "" || kinds["changed"] != 1 || kinds["added"] != 1 || kinds["removed"] != len(coffee().Lines)-1 {
		t.Errorf("second page %+v, changes %v", second, kinds)
	}
}

func TestSessionDecisionsAndListsOverREST(t *testing.T) {
	t.Parallel()
	d := serve(t)
	d.guest(ann, identity.Verified)
	session := d.open(ann, coffee())
	closed := d.close(session.ID, cash(1275))
	if len(closed.Sale.Transaction.Rulings) == 0 {
		t.Fatal("nothing was decided at the close")
	}
	path := "/checkout/sessions/" + session.ID
	a := d.get(path + "/decisions?kind=cashback")
	if rows, _ := a.at("decisions").([]any); a.Status != 200 || len(rows) != 1 || rows[0].(object)["state"] != "committed" || rows[0].(object)["grant"] == nil {
		t.Errorf("decisions %d %s", a.Status, a.Body)
	}
	first := d.get(path + "/decisions?limit=1")
	next, _ := first.Meta["next_cursor"].(string)
	if second := d.get(path + "/decisions?limit=1&cursor=" + next); next == "" || second.Status != 200 || second.Body == first.Body {
		t.Errorf("pages %s and %s", first.Body, second.Body)
	}
	if a := d.get(path + "/decisions?cursor=" + next); a.Error.Code != "" {
		t.Errorf("a cursor of the same list: %s", a.Body)
	}
	if a := d.get(path + "/basket/revisions"); a.Status != 200 || len(a.at("revisions").([]any)) != 1 {
		t.Errorf("revisions %s", a.Body)
	}
	if a := d.get("/checkout/sessions?state=closed&limit=1"); a.Status != 200 || len(a.at("sessions").([]any)) != 1 {
		t.Errorf("sessions %s", a.Body)
	}
	for _, path := range []string{path + "/decisions?cursor=x", path + "/basket/revisions?cursor=x", "/checkout/sessions?cursor=x"} {
		if a := d.get(path); a.Status != 400 || a.Error.Code != "CURSOR_INVALID" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"/checkout/sessions/cs_none/decisions", "/checkout/sessions/cs_none/basket/revisions"} {
		if a := d.get(path); a.Status != 404 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

func TestDecisionsObeyACustomersPreferencesAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	customer := s.guest(ann, identity.Verified)
	session := s.open(ann, coffee())
	feed := func() incentives.FeedResult {
		t.Helper()
		f, err := s.offers.SessionOffers(t.Context(), s.call("getSessionOffers"), incentives.FeedInput{SessionID: session.ID})
		s.must(err)
		return f
	}
	before := feed()
	if len(before.Feed.Offers) == 0 {
		t.Fatal("nothing is offered at all")
	}
	now := s.clock.Now()
	prefer := func(out identity.OptOut, version int) {
		t.Helper()
		s.must(s.uow.Read().Identity.SavePreferences(t.Context(), s.tenant, identity.Preferences{CustomerID: customer, OptOut: out, Version: version, UpdatedAt: &now}))
	}
	kind := string(before.Feed.Offers[0].Kind)
	prefer(identity.OptOut{Kinds: []string{kind}}, 2)
	after := feed()
	for _, o := range after.Feed.Offers {
		if string(o.Kind) == kind {
			t.Errorf("%s is offered in spite of the opt-out from %s", o.OfferID, kind)
		}
	}
	if after.TraceID == before.TraceID {
		t.Error("another decision has the same trace")
	}
	prefer(identity.OptOut{All: true}, 3)
	if none := feed(); len(none.Feed.Offers) != 0 {
		t.Errorf("offered in spite of the opt-out: %+v", none.Feed.Offers)
	}
	prefer(identity.OptOut{}, 4)
	if again := feed(); again.TraceID != before.TraceID {
		t.Error("the same question gives another trace (rule 47)")
	}
	s.must(s.offers.Replay(t.Context(), s.tenant, after.TraceID))
}
