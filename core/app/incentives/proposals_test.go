package incentives_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/proposals"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// Proposals are tested beside the offers that they become: on one shop.

func (s *shop) proposals() *proposals.Service {
	return &proposals.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.IDs, Directory: s.Directory, Incentives: s.Service,
		Grants: s.grants(),
	}
}

func (s *shop) till() *app.Call {
	return &app.Call{Tenant: s.tenant, Actor: tenancy.Actor{Kind: tenancy.TerminalCall}}
}

// amount is a value of so much on the basket.
func amount(minor int64) offers.Value {
	return offers.Value{Type: offers.ValueAmount, AmountMinor: minor, Per: offers.PerBasket}
}

func (s *shop) propose(in proposals.CreateInput) proposals.View {
	s.t.Helper()
	if in.Kind == "" {
		in.Kind = offers.ProposeGoodwill
	}
	in.Title = "For you"
	v, err := s.proposals().Create(s.t.Context(), s.till(), in)
	s.must(err)
	return v
}

func (s *shop) accept(call *app.Call, v proposals.View) (proposals.View, error) {
	return s.proposals().Decide(s.t.Context(), call, proposals.DecideInput{ProposalID: v.Proposal.ID, Accept: true})
}

// TestAProposalBecomesAnOffer follows one for a session to its redemption: it
// holds no budget before it is accepted and spends it at the close.
func TestAProposalBecomesAnOffer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann, b := s.customer("+14155550001"), s.budget(1000)
	session := s.open(ann, coffee()...)
	v := s.propose(proposals.CreateInput{Kind: offers.ProposeUpsell, CustomerID: ann, SessionID: session.ID, Value: amount(100), BudgetID: b.ID})
	p := v.Proposal
	if p.State != offers.ProposalOpen || !p.ExpiresAt.Equal(session.ExpiresAt) || p.Card.Summary != "Takes 1.00 USD off." || p.Card.Rule != "proposal.upsell" || p.TraceID == "" {
		t.Errorf("proposed: %+v", p)
	}
	funds := func() (committed, spent int64) {
		got, err := s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.ID})
		s.must(err)
		return got.Budget.CommittedMinor, got.Budget.SpentMinor
	}
	if c, _ := funds(); c != 0 {
		t.Errorf("an open proposal holds %d of its budget", c)
	}
	feed := s.feed(session)
	accepted, err := s.accept(s.till(), v)
	s.must(err)
	a := accepted.Application
	if a == nil || a.DiscountMinor != 100 || a.State != offers.Applied || a.TraceID != p.TraceID || accepted.Proposal.ApplicationID != a.ID || accepted.Grant != nil {
		t.Fatalf("accepted: %+v", accepted)
	}
	if c, _ := funds(); c != 100 {
		t.Errorf("accepted, it holds %d of its budget", c)
	}
	if again := s.feed(session); again.TraceID != feed.TraceID {
		t.Error("somebody's proposal changed everybody's catalogue")
	}
	current, err := s.UoW.Read().Checkout.Session(t.Context(), s.tenant, session.ID)
	s.must(err)
	if current.TotalMinor() != 1175 {
		t.Errorf("the session's total is %d", current.TotalMinor())
	}
	current, _ = s.revise(current, line("1", "LATTE", "coffee", 1, 60)) // less than it takes off
	if current.TotalMinor() != 0 {
		t.Errorf("on a basket of 60 the total is %d", current.TotalMinor())
	}
	s.must(s.UoW.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		_, err := s.RedeemAll(ctx, st, current, "txn_1", noon)
		return err
	}))
	if c, spent := funds(); c != 0 || spent != 60 {
		t.Errorf("redeemed: %d held, %d spent", c, spent)
	}
	_, err = s.accept(s.till(), v)
	wants(t, "accepted twice", err, fault.CodeStateConflict)
	for kind, want := range map[string]int64{"proposal.created": 1, "proposal.decided": 1, "offer.applied": 1, "offer.redeemed": 1} {
		if n := s.events(kind); n != want {
			t.Errorf("%s is told %d times", kind, n)
		}
	}
	tr, err := s.UoW.Read().Decisions.Trace(t.Context(), s.tenant, p.TraceID)
	s.must(err)
	s.must(s.proposals().Replay(t.Context(), tr))
	if n := s.count("select count(*) from decisions where decision_id = $1 and state = 'taken'", p.DecisionID); n != 1 {
		t.Error("the decision is not taken")
	}
}

// TestAProposalBecomesAGrant holds rule 26 for what is accepted outside of a
// session: RELEASED for who meets the gate, LOCKED for who does not.
func TestAProposalBecomesAGrant(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann, b := s.customer("+14155550001"), s.budget(1000)
	v := s.propose(proposals.CreateInput{CustomerID: ann, Value: amount(300), BudgetID: b.ID})
	if v.Proposal.Card.Summary != "Gives 3.00 USD of credit, whatever the customer buys next." || !v.Proposal.ExpiresAt.Equal(noon.Add(proposals.DefaultLife)) {
		t.Errorf("%+v", v.Proposal)
	}
	_, err := s.accept(s.till(), v)
	wants(t, "a till that issues a grant", err, fault.CodeOperatorRequired)
	accepted, err := s.accept(s.operator(), v)
	s.must(err)
	g := accepted.Grant
	if g == nil || g.State != ledger.Released || g.AmountMinor != 300 || g.Source != ledger.SourceGoodwill || g.BudgetID != b.ID || g.OriginID != v.Proposal.ID {
		t.Fatalf("%+v", g)
	}
	got, err := s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.ID})
	s.must(err)
	if got.Budget.SpentMinor != 300 || got.Budget.CommittedMinor != 0 {
		t.Errorf("%+v", got.Budget)
	}
	_, err = s.db.Q().Exec(t.Context(), "update customers set state = 'PENDING_PROOF', verified_at = null where customer_id = $1", ann)
	s.must(err)
	locked, err := s.accept(s.operator(), s.propose(proposals.CreateInput{Kind: offers.ProposeRecovery, CustomerID: ann, Value: amount(50)}))
	s.must(err)
	if locked.Grant.State != ledger.Locked || locked.Grant.Source != ledger.SourceOffer {
		t.Errorf("of who is not verified: %+v", locked.Grant)
	}
}

// TestProposalsNeverOverdrawABudget lets 64 people accept at once what a budget
// can pay for ten: ten get it, in sessions and outside of them.
func TestProposalsNeverOverdrawABudget(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.budget(1050)
	views := make([]proposals.View, 64)
	for i := range views {
		in := proposals.CreateInput{CustomerID: s.customer(fmt.Sprintf("+1415555%04d", i)), Value: amount(100), BudgetID: b.ID}
		if i%2 == 0 {
			in.SessionID = s.open(in.CustomerID, coffee()...).ID
		}
		views[i] = s.propose(in)
	}
	errs := make([]error, len(views))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range views {
		wg.Go(func() {
			<-start
			_, errs[i] = s.accept(s.operator(), views[i])
		})
	}
	close(start)
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !fault.Is(err, fault.CodeBudgetExhausted):
			t.Errorf("lost with %v", err)
		}
	}
	got, err := s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.ID})
	s.must(err)
	if won != 10 || got.Budget.CommittedMinor+got.Budget.SpentMinor != 1000 {
		t.Errorf("%d accepted, %d held, %d spent", won, got.Budget.CommittedMinor, got.Budget.SpentMinor)
	}
	if open := s.count("select count(*) from proposals where state = 'open'"); open != 54 {
		t.Errorf("%d are still open, 54 got nothing", open)
	}
	if n := s.count("select (select count(*) from offer_applications) + (select count(*) from grants)"); n != 10 {
		t.Errorf("%d were given", n)
	}
}

// TestAProposalIsDecidedOnce lets 16 callers accept and reject one at once.
func TestAProposalIsDecidedOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.propose(proposals.CreateInput{CustomerID: s.customer("+14155550001"), Value: amount(100)})
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = s.proposals().Decide(t.Context(), s.operator(), proposals.DecideInput{ProposalID: v.Proposal.ID, Accept: i%2 == 0})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !fault.Is(err, fault.CodeStateConflict) {
			t.Errorf("lost with %v", err)
		}
	}
	if n := s.events("proposal.decided"); won != 1 || n != 1 {
		t.Errorf("decided %d times, told %d times", won, n)
	}
}

// TestProposalsAreRefused holds what can't be proposed, and what can't be
// decided any more.
func TestProposalsAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann, bob := s.customer("+14155550001"), s.customer("+14155550002")
	session := s.open(ann, coffee()...)
	euros, err := s.CreateBudget(t.Context(), s.call, incentives.CreateBudgetInput{Name: "Small", CapMinor: 50})
	s.must(err)
	_, err = s.db.Q().Exec(t.Context(), "update customers set name = 'Ann Quillfeather' where customer_id = $1", ann)
	s.must(err)
	past, far := noon.Add(-time.Second), noon.Add(offers.MaxProposalLife+time.Second)
	for what, c := range map[string]struct {
		in   proposals.CreateInput
		code fault.Code
	}{
		"nobody":                  {proposals.CreateInput{CustomerID: "cus_none", Value: amount(1)}, fault.CodeNotFound},
		"no session":              {proposals.CreateInput{CustomerID: ann, SessionID: "cs_none", Value: amount(1)}, fault.CodeNotFound},
		"another's session":       {proposals.CreateInput{CustomerID: bob, SessionID: session.ID, Value: amount(1)}, fault.CodeStateConflict},
		"no budget":               {proposals.CreateInput{CustomerID: ann, Value: amount(1), BudgetID: "bud_none"}, fault.CodeNotFound},
		"too small a budget":      {proposals.CreateInput{CustomerID: ann, Value: amount(51), BudgetID: euros.Budget.ID}, fault.CodeBudgetExhausted},
		"another currency":        {proposals.CreateInput{CustomerID: ann, Value: amount(1), Currency: "EUR"}, fault.CodeUnsupportedCurrency},
		"a rate without a basket": {proposals.CreateInput{CustomerID: ann, Value: offers.Value{Type: offers.ValuePercent, PercentBP: 100}}, fault.CodeValidationFailed},
		"points without a basket": {proposals.CreateInput{CustomerID: ann, Value: offers.Value{Type: offers.ValuePoints, Points: 5}}, fault.CodeValidationFailed},
		"over before it begins":   {proposals.CreateInput{CustomerID: ann, Value: amount(1), ExpiresAt: &past}, fault.CodeValidationFailed},
		"a title with a name":     {proposals.CreateInput{CustomerID: ann, Value: amount(1), Title: "Sorry, ann!"}, fault.CodeValidationFailed},
		"a title with a phone":    {proposals.CreateInput{CustomerID: ann, Value: amount(1), Title: "For +14155550009"}, fault.CodeValidationFailed},
		"open for a hundred days": {proposals.CreateInput{CustomerID: ann, Value: amount(1), ExpiresAt: &far}, fault.CodeValidationFailed},
	} {
		c.in.Kind, c.in.Title = offers.ProposeGoodwill, cmp.Or(c.in.Title, "t")
		_, err := s.proposals().Create(t.Context(), s.till(), c.in)
		wants(t, what, err, c.code)
	}
	v := s.propose(proposals.CreateInput{CustomerID: ann, SessionID: session.ID, Value: amount(100)})
	gone := s.open(ann, coffee()...)
	over := s.propose(proposals.CreateInput{CustomerID: ann, SessionID: gone.ID, Value: amount(100)})
	_, err = s.db.Q().Exec(t.Context(), "update checkout_sessions set state = 'abandoned', ended_at = now() where session_id = $1", gone.ID)
	s.must(err)
	_, err = s.accept(s.till(), over)
	wants(t, "for a session that was abandoned", err, fault.CodeSessionEnded)
	_, err = s.accept(s.call, v)
	wants(t, "a key that applies an offer", err, fault.CodeScopeInsufficient)
	elsewhere := s.till()
	elsewhere.Tenant = s.merchant()
	_, err = s.accept(elsewhere, v)
	wants(t, "another merchant", err, fault.CodeNotFound)
	s.optOut(ann, true)
	_, err = s.accept(s.till(), v)
	wants(t, "who wants no offers by now", err, fault.CodeOfferNotEligible)
	_, err = s.proposals().Create(t.Context(), s.till(), proposals.CreateInput{Kind: offers.ProposeUpsell, Title: "t", CustomerID: ann, SessionID: session.ID, Value: amount(1)})
	wants(t, "who wants no offers", err, fault.CodeOfferNotEligible)
	s.clock.Advance(time.Hour) // the session is over, and so is the proposal
	_, err = s.accept(s.till(), v)
	wants(t, "too late", err, fault.CodeOfferExpired)
	_, err = s.proposals().Create(t.Context(), s.till(), proposals.CreateInput{Kind: offers.ProposeUpsell, Title: "t", CustomerID: ann, SessionID: session.ID, Value: amount(1)})
	wants(t, "a session that is over", err, fault.CodeSessionEnded)
}

// TestWhoIsDisabledGetsNothing holds that a proposal to somebody who was disabled
// since can be rejected and not accepted, in a session or outside (rule 10).
func TestWhoIsDisabledGetsNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann := s.customer("+14155550001")
	there := s.propose(proposals.CreateInput{Kind: offers.ProposeUpsell, CustomerID: ann, SessionID: s.open(ann, coffee()...).ID, Value: amount(100)})
	outside := s.propose(proposals.CreateInput{CustomerID: ann, Value: amount(100)})
	status := func(to string) {
		_, err := s.db.Q().Exec(t.Context(), `update customers set status = $2 where customer_id = $1`, ann, to)
		s.must(err)
	}
	status("disabled")
	_, err := s.accept(s.till(), there)
	wants(t, "an offer to a disabled customer", err, fault.CodeNotFound)
	_, err = s.accept(s.operator(), outside)
	wants(t, "a grant to a disabled customer", err, fault.CodeNotFound)
	status("active")
	_, err = s.accept(s.operator(), outside)
	s.must(err)
	status("disabled")
	_, err = s.proposals().Decide(t.Context(), s.till(), proposals.DecideInput{ProposalID: there.Proposal.ID})
	s.must(err)
}

// TestARejectedProposalGivesNothing holds that a no is final, and what was
// shown counts as not taken (rule 59).
func TestARejectedProposalGivesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann := s.customer("+14155550001")
	v := s.propose(proposals.CreateInput{Kind: offers.ProposeUpsell, CustomerID: ann, SessionID: s.open(ann, coffee()...).ID, Value: amount(100)})
	rejected, err := s.proposals().Decide(t.Context(), s.call, proposals.DecideInput{ProposalID: v.Proposal.ID, Reason: "No"})
	s.must(err)
	if p := rejected.Proposal; p.State != offers.ProposalRejected || p.DecidedAt == nil || p.ApplicationID != "" || rejected.Application != nil {
		t.Errorf("%+v", rejected)
	}
	_, err = s.accept(s.till(), v)
	wants(t, "accepted after all", err, fault.CodeStateConflict)
	if n := s.count("select count(*) from counterfactuals where offer_id = $1 and outcome = 'not_taken'", v.Proposal.OfferID); n != 1 {
		t.Error("the counterfactual is not closed")
	}
	if n := s.count("select count(*) from decisions where decision_id = $1 and state = 'declined'", v.Proposal.DecisionID); n != 1 {
		t.Error("the decision is not closed")
	}
}

// TestProposalsExpire lets four servers sweep at once: each proposal ends once.
// One that is over counts as expired before the sweep comes.
func TestProposalsExpire(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann := s.customer("+14155550001")
	session := s.open(ann, coffee()...)
	for i := range 30 {
		in := proposals.CreateInput{CustomerID: ann, Value: amount(1)}
		if i%3 == 0 {
			in.SessionID = session.ID
		}
		s.propose(in)
	}
	soon := noon.Add(30 * 24 * time.Hour)
	kept := s.propose(proposals.CreateInput{CustomerID: ann, Value: amount(1), ExpiresAt: &soon})
	s.clock.Advance(25 * time.Hour)
	state := func(state offers.ProposalState) int {
		page, err := s.proposals().List(t.Context(), s.call, proposals.ListInput{State: state, Limit: 200})
		s.must(err)
		for _, p := range page.Proposals {
			if got := p.StateAt(page.At); got != state {
				t.Errorf("listed as %s: %s", state, got)
			}
		}
		return len(page.Proposals)
	}
	if open, expired := state(offers.ProposalOpen), state(offers.ProposalExpired); open != 1 || expired != 30 {
		t.Errorf("before the sweep: %d open, %d expired", open, expired)
	}
	ended := make([]int, 4)
	var wg sync.WaitGroup
	for i := range ended {
		wg.Go(func() {
			n, err := s.proposals().Expire(context.Background(), 500)
			if err != nil {
				t.Error(err)
			}
			ended[i] = n
		})
	}
	wg.Wait()
	if sum := ended[0] + ended[1] + ended[2] + ended[3]; sum != 30 || s.events("proposal.decided") != 30 {
		t.Errorf("%v ended, %d told", ended, s.events("proposal.decided"))
	}
	if open, expired := state(offers.ProposalOpen), state(offers.ProposalExpired); open != 1 || expired != 30 {
		t.Errorf("after the sweep: %d open, %d expired", open, expired)
	}
	if n := s.count("select count(*) from counterfactuals where outcome = 'not_taken'"); n != 10 {
		t.Errorf("%d counterfactuals are closed, ten were for the session", n)
	}
	_, err := s.accept(s.operator(), kept)
	s.must(err)
}

// TestProposalsArePaged holds that a list is stable while proposals come in,
// narrows by customer, session and place, and shows each once.
func TestProposalsArePaged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann, bob := s.customer("+14155550001"), s.customer("+14155550002")
	session := s.open(ann, coffee()...)
	for i := range 7 {
		s.clock.Advance(time.Second)
		in := proposals.CreateInput{CustomerID: ann, Value: amount(1)}
		if i%2 == 0 {
			in.SessionID = session.ID
		}
		s.propose(in)
		s.propose(proposals.CreateInput{CustomerID: bob, Value: amount(1)})
	}
	list := func(call *app.Call, in proposals.ListInput) (ids []string) {
		for {
			page, err := s.proposals().List(t.Context(), call, in)
			s.must(err)
			for _, p := range page.Proposals {
				if len(ids) > 0 && p.CreatedAt.After(noon.Add(time.Minute)) {
					t.Error("one that came later is in a later page")
				}
				ids = append(ids, p.ID)
			}
			if in.Cursor = page.Next; page.Next == "" {
				return ids
			}
		}
	}
	all := list(s.call, proposals.ListInput{Limit: 3})
	if len(all) != 14 || !sortedDown(all) {
		t.Errorf("%d listed: %v", len(all), all)
	}
	for want, in := range map[int]proposals.ListInput{
		7: {CustomerID: ann, Limit: 2}, 4: {SessionID: session.ID, Limit: 3}, 0: {State: offers.ProposalAccepted},
	} {
		if got := list(s.call, in); len(got) != want {
			t.Errorf("%+v lists %d, want %d", in, len(got), want)
		}
	}
	if got := list(&app.Call{Tenant: s.merchant()}, proposals.ListInput{}); len(got) != 0 {
		t.Errorf("another merchant sees %d", len(got))
	}
	_, err := s.proposals().List(t.Context(), s.call, proposals.ListInput{Cursor: "bm9uZQ"})
	wants(t, "a cursor of nobody", err, fault.CodeCursorInvalid)
}

func sortedDown(ids []string) bool {
	for i := 1; i < len(ids); i++ {
		if strings.Compare(ids[i-1], ids[i]) <= 0 {
			return false
		}
	}
	return true
}

// TestEveryProposalListHasItsIndex holds that no list of proposals, nor the
// sweep, reads the table from end to end.
func TestEveryProposalListHasItsIndex(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, where := range []string{
		"tenant_no = 1 and proposal_id < 'prp_9'", "tenant_no = 1 and state = 'open'", "tenant_no = 1 and customer_id = 'cus_1'",
		"tenant_no = 1 and session_id = 'cs_1'", "state = 'open' and expires_at <= now()",
	} {
		order := "proposal_id desc"
		if !strings.HasPrefix(where, "tenant_no") {
			order = "expires_at, proposal_id"
		}
		plan := ""
		lines, err := pg.Many[struct {
			Plan string `db:"QUERY PLAN"`
		}](t.Context(), s.db.Q(), "explain select * from proposals where "+where+" order by "+order+" limit 10")
		s.must(err)
		for _, l := range lines {
			plan += l.Plan + "\n"
		}
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Errorf("%s:\n%s", where, plan)
		}
	}
}
