package incentives_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// race lets n sessions, each of a customer of its own, apply o at once. It
// returns how many succeeded; any other failure than code fails the test.
func (s *shop) race(n int, o offers.Offer, code fault.Code) int {
	s.t.Helper()
	sessions := make([]checkout.Session, n)
	for i := range sessions {
		sessions[i] = s.open(s.customer(fmt.Sprintf("+1415555%04d", i)), coffee()...)
	}
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			<-start
			_, errs[i] = s.apply(o, sessions[i])
		})
	}
	close(start)
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !fault.Is(err, code):
			s.t.Errorf("lost with %v, want %s", err, code)
		}
	}
	return won
}

// TestLimitUnderConcurrency holds that of 64 sessions one gets the last use.
func TestLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	d := off("LATTE", 50)
	d.Limits.Total = 1
	if won := s.race(64, s.create(d), fault.CodeOfferLimitReached); won != 1 {
		t.Errorf("%d sessions hold an offer for one", won)
	}
	if n := s.count("select count(*) from offer_applications"); n != 1 {
		t.Errorf("%d applications", n)
	}
}

// TestBudgetUnderConcurrency holds that 64 sessions never get more out of a
// budget than its cap, and that low and exhausted are told once each.
func TestBudgetUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.budget(1050)
	d := off("LATTE", 50) // 100 on the basket: ten fit
	d.Funding.BudgetID = b.ID
	if won := s.race(64, s.create(d), fault.CodeBudgetExhausted); won != 10 {
		t.Errorf("%d applications of 100 out of 1050", won)
	}
	got, err := s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.ID, Limit: 4})
	s.must(err)
	if got.Budget.CommittedMinor != 1000 || got.Budget.AvailableMinor() != 50 || len(got.Movements) != 4 || got.Next == "" || got.Movements[0].AvailableAfterMinor != 50 {
		t.Errorf("budget %+v, movements %+v", got.Budget, got.Movements)
	}
	if low, used := s.events("budget.low"), s.events("budget.exhausted"); low != 1 || used != 0 {
		t.Errorf("budget.low %d times, budget.exhausted %d times", low, used)
	}
}

// TestBudgetToTheEnd holds that a budget used up is told once, that releasing
// gives back, and that spending does not.
func TestBudgetToTheEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.budget(200)
	d := off("LATTE", 50)
	d.Funding.BudgetID = b.ID
	o := s.create(d)
	first, second, third := s.open("", coffee()...), s.open("", coffee()...), s.open("", coffee()...)
	for _, session := range []checkout.Session{first, second} {
		_, err := s.apply(o, session)
		s.must(err)
	}
	if n := s.events("budget.exhausted"); n != 1 {
		t.Errorf("budget.exhausted %d times", n)
	}
	_, err := s.apply(o, third)
	wants(t, "a third hundred of two", err, fault.CodeBudgetExhausted)
	released, err := s.ReleaseOffer(t.Context(), s.call, incentives.TakeInput{OfferID: o.ID, SessionID: first.ID})
	s.must(err)
	if released.Session.TotalMinor() != 1275 || released.Application.State != offers.Released || len(released.Applied) != 0 {
		t.Errorf("released: %+v", released)
	}
	_, err = s.RedeemOffer(t.Context(), s.call, incentives.TakeInput{OfferID: o.ID, SessionID: second.ID})
	s.must(err)
	_, err = s.apply(o, third)
	s.must(err)
	got, err := s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.ID})
	s.must(err)
	if got.Budget.CommittedMinor != 100 || got.Budget.SpentMinor != 100 || got.Budget.StatusAt(noon) != "exhausted" {
		t.Errorf("budget %+v", got.Budget)
	}
	kinds := ""
	for _, m := range got.Movements {
		kinds = m.Type + " " + kinds
	}
	if kinds != "created committed committed released spent committed " {
		t.Errorf("movements: %s", kinds)
	}
}

func (s *shop) budget(minor int64) offers.Budget {
	s.t.Helper()
	d, err := s.CreateBudget(s.t.Context(), s.call, incentives.CreateBudgetInput{Name: "spring", CapMinor: minor})
	s.must(err)
	return d.Budget
}

// TestApplyRefuses holds the code, and the reason as the rule, of each refusal.
func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	change := func(edit func(*offers.Definition)) offers.Offer {
		d := off("LATTE", 50)
		edit(&d)
		return s.create(d)
	}
	soon := noon.Add(time.Minute)
	ended := change(func(d *offers.Definition) { d.Window.EndsAt = &soon })
	paused := s.create(off("LATTE", 50))
	_, err := s.SetOfferStatus(t.Context(), s.call, incentives.SetOfferStatusInput{OfferID: paused.ID, Status: offers.Paused})
	s.must(err)
	s.clock.Advance(time.Minute)
	anonymous := s.open("", coffee()...)
	for name, c := range map[string]struct {
		offer offers.Offer
		code  fault.Code
		rule  string
	}{
		"ended":          {ended, fault.CodeOfferExpired, "window"},
		"paused":         {paused, fault.CodeOfferNotEligible, "NOT_ACTIVE"},
		"minimum":        {change(func(d *offers.Definition) { d.Conditions.MinBasketMinor = 5000 }), fault.CodeOfferNotEligible, "MIN_BASKET_NOT_MET"},
		"nothing of it":  {s.create(off("TEA", 50)), fault.CodeOfferNotEligible, "NO_MATCHING_LINES"},
		"known only":     {change(func(d *offers.Definition) { d.Limits.PerCustomer = 1 }), fault.CodeOfferNotEligible, "NOT_IDENTIFIED"},
		"another day":    {change(func(d *offers.Definition) { d.Conditions.Days = []string{"friday"} }), fault.CodeOfferNotEligible, "OUTSIDE_DAYS"},
		"the rule":       {change(func(d *offers.Definition) { d.Conditions.Rule = "basket.quantity > 3" }), fault.CodeOfferNotEligible, "RULE_NOT_MET"},
		"a failing rule": {change(func(d *offers.Definition) { d.Conditions.Rule = "basket.lines[7].quantity > 3" }), fault.CodeOfferNotEligible, "RULE_FAILED"},
		"no such offer":  {offers.Offer{ID: "off_none"}, fault.CodeNotFound, "exists"},
	} {
		_, err := s.apply(c.offer, anonymous)
		wants(t, name, err, c.code)
		if f := fault.As(err); f != nil && (len(f.Details) == 0 || f.Details[0].Rule != c.rule) {
			t.Errorf("%s: %+v, want the rule %s", name, f.Details, c.rule)
		}
	}
	_, err = s.apply(ended, checkout.Session{ID: "cs_none"})
	wants(t, "no such session", err, fault.CodeNotFound)
	if n := s.count("select count(*) from offer_applications") + s.events("offer.applied"); n != 0 {
		t.Errorf("a refusal left %d rows", n)
	}
	s.clock.Advance(2 * time.Hour)
	_, err = s.apply(paused, anonymous)
	wants(t, "a session that is over", err, fault.CodeSessionEnded)
}

// TestPerSessionAndPerCustomer holds the two personal limits.
func TestPerSessionAndPerCustomer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	once, twice := s.create(off("LATTE", 10)), off("LATTE", 20)
	twice.Limits = offers.Limits{PerSession: 2, PerCustomer: 3}
	double := s.create(twice)
	who := s.customer("+14155550101")
	session := s.open(who, coffee()...)
	s.apply2(once, session, fault.CodeOfferLimitReached)
	_, err := s.apply(double, session)
	s.must(err)
	s.apply2(double, session, fault.CodeOfferLimitReached)
	next := s.open(who, coffee()...)
	_, err = s.apply(double, next)
	s.must(err)
	_, err = s.apply(double, next)
	wants(t, "a fourth of three for a customer", err, fault.CodeOfferLimitReached)
	_, err = s.ReleaseOffer(t.Context(), s.call, incentives.TakeInput{OfferID: double.ID, SessionID: session.ID})
	wants(t, "which of the two", err, fault.CodeStateConflict)
	apps, err := incentives.Applied(t.Context(), s.UoW.Read(), s.tenant, session.ID)
	s.must(err)
	i := slices.IndexFunc(apps, func(a offers.Application) bool { return a.OfferID == double.ID })
	_, err = s.ReleaseOffer(t.Context(), s.call, incentives.TakeInput{OfferID: double.ID, SessionID: session.ID, ApplicationID: apps[i].ID})
	s.must(err)
	_, err = s.apply(double, next)
	s.must(err)
}

// apply2 applies once and then again, which must fail with code.
func (s *shop) apply2(o offers.Offer, session checkout.Session, code fault.Code) {
	s.t.Helper()
	_, err := s.apply(o, session)
	s.must(err)
	_, err = s.apply(o, session)
	wants(s.t, "applied again", err, code)
}

// TestStackingAtApply holds that an exclusive offer stands alone, that a group
// gives one, and that a second discount works on what the first left.
func TestStackingAtApply(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	group := off("LATTE", 50)
	group.Stacking.Group = "drinks"
	a, b := s.create(group), s.create(group)
	lone := off("CROISSANT", 5)
	lone.Stacking.Exclusive = true
	exclusive := s.create(lone)
	tenth := s.create(offers.Definition{
		Kind: offers.BasketDiscount, Title: "A tenth", Value: offers.Value{Type: offers.ValuePercent, PercentBP: 1000, Per: offers.PerBasket},
		Targets: offers.Targets{BasketWide: true},
	})
	session := s.open("", coffee()...)
	_, err := s.apply(a, session)
	s.must(err)
	for name, o := range map[string]offers.Offer{"of its group": b, "an exclusive one": exclusive} {
		_, err := s.apply(o, session)
		wants(t, name, err, fault.CodeOfferNotEligible)
	}
	r, err := s.apply(tenth, session)
	s.must(err)
	if r.Application.DiscountMinor != 117 || r.Session.TotalMinor() != 1275-100-117 {
		t.Errorf("a tenth of 1175 took %d off, left %d", r.Application.DiscountMinor, r.Session.TotalMinor())
	}
}

// TestRecheck holds that a new basket keeps what fits at its new worth and
// releases what does not, with uses and budget given back.
func TestRecheck(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.budget(10_000)
	funded, limited := off("LATTE", 50), off("CROISSANT", 75)
	funded.Funding.BudgetID, limited.Funding.BudgetID = b.ID, b.ID
	limited.Limits.Total = 1
	latte, croissant := s.create(funded), s.create(limited)
	session := s.open("", coffee()...)
	for _, o := range []offers.Offer{latte, croissant} {
		_, err := s.apply(o, session)
		s.must(err)
	}
	held := func(want int64) {
		t.Helper()
		got, err := s.UoW.Read().Offers.Budget(t.Context(), s.tenant, b.ID)
		s.must(err)
		if got.CommittedMinor != want || got.SpentMinor != 0 {
			t.Errorf("the budget holds %d and spent %d, want %d held", got.CommittedMinor, got.SpentMinor, want)
		}
	}
	held(175)
	session, released := s.revise(session, line("1", "LATTE", "coffee", 3, 450))
	if len(released) != 1 || released[0].OfferID != croissant.ID || released[0].ReleaseReason != offers.ReasonBasketChanged {
		t.Errorf("released: %+v", released)
	}
	if session.DiscountMinor != 150 {
		t.Errorf("three lattes take %d off", session.DiscountMinor)
	}
	held(150)
	session, _ = s.revise(session, coffee()...)
	_, err := s.apply(croissant, session)
	s.must(err) // its one use was given back
	held(175)
	session, released = s.revise(session, line("1", "TEA", "tea", 1, 100))
	if len(released) != 2 || session.DiscountMinor != 0 {
		t.Errorf("released %d, discount %d", len(released), session.DiscountMinor)
	}
	held(0)
	if n := s.events("offer.released"); n != 3 {
		t.Errorf("offer.released %d times", n)
	}
}

// TestRecheckWithinBudget holds that an offer whose budget can't pay what a
// larger basket would make it worth is released, not overspent.
func TestRecheckWithinBudget(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.budget(120)
	d := off("LATTE", 50)
	d.Funding.BudgetID = b.ID
	o := s.create(d)
	session := s.open("", coffee()...)
	_, err := s.apply(o, session)
	s.must(err)
	session, released := s.revise(session, line("1", "LATTE", "coffee", 3, 450))
	if len(released) != 1 || session.DiscountMinor != 0 {
		t.Errorf("released %d, discount %d out of a budget of 120", len(released), session.DiscountMinor)
	}
}

// TestEndOfSession holds that a close redeems what is held and an abandoned
// session gives it back.
func TestEndOfSession(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.budget(10_000)
	d := off("LATTE", 50)
	d.Funding.BudgetID = b.ID
	o := s.create(d)
	credit := s.create(offers.Definition{
		Kind: offers.Cashback, Title: "A tenth back", Value: offers.Value{Type: offers.ValueCashback, PercentBP: 1000, Per: offers.PerBasket},
		Targets: offers.Targets{BasketWide: true}, Funding: offers.Funding{BudgetID: b.ID},
	})
	closing, leaving := s.open(s.customer("+14155550101"), coffee()...), s.open("", coffee()...)
	for _, session := range []checkout.Session{closing, leaving} {
		_, err := s.apply(o, session)
		s.must(err)
	}
	back, err := s.apply(credit, closing)
	s.must(err)
	if back.Application.DiscountMinor != 0 || back.Application.ValueMinor != 117 || back.Session.TotalMinor() != 1175 {
		t.Errorf("cashback: %+v", back.Application)
	}
	var redeemed []offers.Application
	s.must(s.UoW.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		if redeemed, err = s.RedeemAll(ctx, st, closing, "txn_1", s.clock.Now()); err != nil {
			return err
		}
		return s.ReleaseAll(ctx, st, leaving, offers.ReasonSessionAbandoned, s.clock.Now())
	}))
	credits := incentives.Credits(redeemed)
	if len(redeemed) != 2 || redeemed[0].TransactionID != "txn_1" || len(credits) != 1 || credits[0].AmountMinor != 117 || credits[0].BudgetID != b.ID {
		t.Errorf("redeemed %+v, credits %+v", redeemed, credits)
	}
	got, err := s.UoW.Read().Offers.Budget(t.Context(), s.tenant, b.ID)
	s.must(err)
	if got.SpentMinor != 217 || got.CommittedMinor != 0 {
		t.Errorf("budget %+v", got)
	}
	if r, l := s.events("offer.redeemed"), s.events("offer.released"); r != 2 || l != 1 {
		t.Errorf("%d redeemed, %d released", r, l)
	}
	_, err = s.RedeemOffer(t.Context(), s.call, incentives.TakeInput{OfferID: o.ID, SessionID: closing.ID})
	wants(t, "redeemed twice", err, fault.CodeStateConflict)
	_, err = s.ReleaseOffer(t.Context(), s.call, incentives.TakeInput{OfferID: o.ID, SessionID: leaving.ID})
	wants(t, "released twice", err, fault.CodeStateConflict)
}

// TestSessionKeepsTheVersionItSaw holds that a session takes the version it
// was shown, and another session the latest.
func TestSessionKeepsTheVersionItSaw(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.create(off("LATTE", 50))
	early := s.open("", coffee()...)
	seen := s.feed(early)
	_, err := s.UpdateOffer(t.Context(), s.call, incentives.UpdateOfferInput{OfferID: o.ID, ExpectedVersion: 1, Change: func(d *offers.Definition) { d.Value.AmountMinor = 5 }})
	s.must(err)
	_, err = s.UpdateOffer(t.Context(), s.call, incentives.UpdateOfferInput{OfferID: o.ID, ExpectedVersion: 1, Change: func(*offers.Definition) {}})
	wants(t, "a stale change", err, fault.CodeRevisionConflict)
	kept, err := s.apply(o, early)
	s.must(err)
	if kept.Application.Version != 1 || kept.Application.DiscountMinor != 100 || kept.TraceID != seen.TraceID {
		t.Errorf("the early session got %+v", kept.Application)
	}
	late, err := s.apply(o, s.open("", coffee()...)) // never asked: it is decided for
	s.must(err)
	if late.Application.Version != 2 || late.Application.DiscountMinor != 10 || late.TraceID == "" {
		t.Errorf("the late session got %+v", late.Application)
	}
	if err := s.Replay(t.Context(), s.tenant, late.TraceID); err != nil {
		t.Error(err)
	}
}

// TestApplyAfterPayment holds that an offer can't make a session cost less
// than what is paid already.
func TestApplyAfterPayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.create(off("LATTE", 50))
	session := s.open("", coffee()...)
	session.PaidMinor = 1200
	_, err := s.UoW.Read().Checkout.Save(t.Context(), session)
	s.must(err)
	_, err = s.apply(o, session)
	wants(t, "75 due, 100 off", err, fault.CodeStateConflict)
}

// TestOneSessionFromManyTills holds that concurrent applications in one session
// are serialised: each discount counts once.
func TestOneSessionFromManyTills(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	all := make([]offers.Offer, 8)
	for i := range all {
		all[i] = s.create(off("LATTE", int64(1+i)))
	}
	session := s.open("", coffee()...)
	var wg sync.WaitGroup
	for _, o := range all {
		wg.Go(func() {
			if _, err := s.apply(o, session); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.UoW.Read().Checkout.Session(t.Context(), s.tenant, session.ID)
	s.must(err)
	if got.DiscountMinor != 2*36 {
		t.Errorf("eight offers take %d off, want 72", got.DiscountMinor)
	}
}
