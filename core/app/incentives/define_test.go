package incentives_test

import (
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// TestCreateOfferRefuses holds that what could not work at a till is refused
// at the desk, rules that cost too much among it.
func TestCreateOfferRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	euro, err := s.CreateBudget(t.Context(), s.call, incentives.CreateBudgetInput{Name: "euro", CapMinor: 1, Currency: "EUR"})
	wants(t, "a budget in another currency", err, fault.CodeUnsupportedCurrency)
	if euro.Budget.ID != "" && s.count("select count(*) from budgets") != 0 {
		t.Error("a refused budget is there")
	}
	for name, c := range map[string]struct {
		edit func(*offers.Definition)
		code fault.Code
	}{
		"a loop in a loop": {func(d *offers.Definition) {
			d.Conditions.Rule = "basket.lines.all(a, basket.lines.all(b, a.sku <= b.sku))"
		}, fault.CodeValidationFailed},
		"an unknown variable":    {func(d *offers.Definition) { d.Conditions.Rule = "basket.colour == 'red'" }, fault.CodeValidationFailed},
		"a rule of another type": {func(d *offers.Definition) { d.Conditions.Rule = "basket.total_minor + 1" }, fault.CodeValidationFailed},
		"a rate and an amount":   {func(d *offers.Definition) { d.Value.PercentBP = 10 }, fault.CodeValidationFailed},
		"points in a discount":   {func(d *offers.Definition) { d.Value.Type = offers.ValuePoints }, fault.CodeValidationFailed},
		"an empty window":        {func(d *offers.Definition) { d.Conditions.TimeWindow = &offers.TimeWindow{From: 60, To: 60} }, fault.CodeValidationFailed},
		"another currency":       {func(d *offers.Definition) { d.Currency = "EUR" }, fault.CodeUnsupportedCurrency},
		"no such budget":         {func(d *offers.Definition) { d.Funding.BudgetID = "bud_none" }, fault.CodeNotFound},
	} {
		d := off("LATTE", 50)
		c.edit(&d)
		_, err := s.CreateOffer(t.Context(), s.call, incentives.CreateOfferInput{Definition: d})
		wants(t, name, err, c.code)
	}
	if n := s.count("select count(*) from offers"); n != 0 {
		t.Errorf("%d refused offers are there", n)
	}
}

// TestOfferLife holds the statuses an offer goes through, and its events.
func TestOfferLife(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	d := off("LATTE", 50)
	ends := noon.Add(time.Hour)
	d.Window.EndsAt = &ends
	draft, err := s.CreateOffer(t.Context(), s.call, incentives.CreateOfferInput{Definition: d})
	s.must(err)
	turn := func(to offers.Status) error {
		_, err := s.SetOfferStatus(t.Context(), s.call, incentives.SetOfferStatusInput{OfferID: draft.ID, Status: to})
		return err
	}
	wants(t, "pausing a draft", turn(offers.Paused), fault.CodeStateConflict)
	for _, to := range []offers.Status{offers.Active, offers.Active, offers.Paused, offers.Active} {
		s.must(turn(to))
	}
	s.clock.Advance(2 * time.Hour)
	got, err := s.GetOffer(t.Context(), s.call, incentives.GetOfferInput{OfferID: draft.ID, Version: 1})
	s.must(err)
	if got.Offer.StatusAt(got.At) != offers.StatusExpired || !got.Offer.CreatedAt.Equal(noon) || got.Offer.Value.AmountMinor != 50 {
		t.Errorf("past its window: %+v", got.Offer)
	}
	s.must(turn(offers.Archived))
	wants(t, "activating an archived one", turn(offers.Active), fault.CodeStateConflict)
	_, err = s.UpdateOffer(t.Context(), s.call, incentives.UpdateOfferInput{OfferID: draft.ID, Change: func(*offers.Definition) {}})
	wants(t, "changing an archived one", err, fault.CodeStateConflict)
	if a, p := s.events("offer.activated"), s.events("offer.paused"); a != 2 || p != 2 {
		t.Errorf("%d activated, %d paused", a, p)
	}
	_, err = s.GetOffer(t.Context(), s.call, incentives.GetOfferInput{OfferID: draft.ID, Version: 2})
	wants(t, "a version that is not there", err, fault.CodeNotFound)
	_, err = s.GetOffer(t.Context(), &app.Call{Tenant: s.merchant()}, incentives.GetOfferInput{OfferID: draft.ID})
	wants(t, "another merchant's offer", err, fault.CodeNotFound)
}

// TestListOffers holds that pages are stable, complete, latest first, and
// filtered.
func TestListOffers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	want := make([]string, 7)
	for i := range want {
		s.clock.Advance(time.Second)
		want[len(want)-1-i] = s.create(off("LATTE", 50)).ID
	}
	_, err := s.SetOfferStatus(t.Context(), s.call, incentives.SetOfferStatusInput{OfferID: want[3], Status: offers.Archived})
	s.must(err)
	var got []string
	cursor := ""
	for {
		p, err := s.ListOffers(t.Context(), s.call, incentives.ListOffersInput{Filter: offers.Filter{Limit: 2}, Cursor: cursor})
		s.must(err)
		for _, o := range p.Offers {
			got = append(got, o.ID)
		}
		if len(got) == 2 {
			s.create(off("TEA", 1)) // an insert must not move the pages
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if want := append(want[:3:3], want[4:]...); len(got) != len(want) || got[0] != want[0] || got[3] != want[3] || got[5] != want[5] {
		t.Errorf("got %v, want %v", got, want)
	}
	for status, n := range map[offers.Status]int{offers.Archived: 1, offers.Active: 7, offers.Draft: 0, offers.StatusExpired: 0} {
		p, err := s.ListOffers(t.Context(), s.call, incentives.ListOffersInput{Filter: offers.Filter{Status: status}})
		s.must(err)
		if len(p.Offers) != n {
			t.Errorf("%d offers are %s, want %d", len(p.Offers), status, n)
		}
	}
	for _, bad := range []string{"x", "b2ZmZXJz", "AAAAAG9mZmVyczpvZmY"} {
		_, err := s.ListOffers(t.Context(), s.call, incentives.ListOffersInput{Cursor: bad})
		wants(t, "cursor "+bad, err, fault.CodeCursorInvalid)
	}
}

// TestBudgetWindow holds that a budget pays inside its window only.
func TestBudgetWindow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	starts, ends := noon.Add(time.Hour), noon.Add(2*time.Hour)
	_, err := s.CreateBudget(t.Context(), s.call, incentives.CreateBudgetInput{Name: "b", CapMinor: 1, StartsAt: &ends, EndsAt: &starts})
	wants(t, "a budget that ends first", err, fault.CodeValidationFailed)
	b, err := s.CreateBudget(t.Context(), s.call, incentives.CreateBudgetInput{Name: "b", CapMinor: 1000, StartsAt: &starts, EndsAt: &ends})
	s.must(err)
	d := off("LATTE", 50)
	d.Funding.BudgetID = b.Budget.ID
	o := s.create(d)
	for i, code := range []fault.Code{fault.CodeBudgetExhausted, "", fault.CodeBudgetExhausted} {
		_, err := s.apply(o, s.open("", coffee()...))
		if code == "" {
			s.must(err)
		} else {
			wants(t, []string{"before", "inside", "after"}[i], err, code)
		}
		s.clock.Advance(61 * time.Minute)
	}
	_, err = s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.Budget.ID, Cursor: "zzz"})
	wants(t, "a mangled cursor", err, fault.CodeCursorInvalid)
	_, err = s.GetBudget(t.Context(), &app.Call{Tenant: s.merchant()}, incentives.GetBudgetInput{BudgetID: b.Budget.ID})
	wants(t, "another merchant's budget", err, fault.CodeNotFound)
}
