package incentives_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/trials"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// Trials are tested beside the feeds that they are compared with: on one shop.

func (s *shop) trials() *trials.Service {
	return &trials.Service{UoW: s.UoW, Clock: s.clock, Directory: s.Directory, Incentives: s.Service}
}

func (s *shop) try(in trials.Input) trials.Result {
	s.t.Helper()
	r, err := s.trials().Evaluate(s.t.Context(), s.call, in)
	s.must(err)
	return r
}

func draft(id string, d offers.Definition) trials.Draft { return trials.Draft{ID: id, Definition: d} }

// state is everything that a trial could have touched.
func (s *shop) state() string {
	s.t.Helper()
	out := ""
	for _, table := range []string{
		"offers", "offer_versions", "offer_applications", "offer_uses", "budgets", "budget_movements", "decision_traces", "decisions",
		"counterfactuals", "events", "checkout_sessions", "grants", "proposals",
	} {
		out += fmt.Sprintf("%s %d; ", table, s.count("select coalesce(sum(hashtext(x::text)::bigint), 0)::bigint + count(*) from "+table+" x"))
	}
	return out
}

// TestATrialOfNothingChangesNothing holds that past sessions decide as they did
// then: without drafts both sides are the recorded feed, whatever became of the
// offers since, and of what the sessions took.
func TestATrialOfNothingChangesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.create(off("LATTE", 50))
	s.create(wide(500))
	var sessions []string
	for i := range 5 {
		session := s.open(s.customer(fmt.Sprintf("+1415555000%d", i)), coffee()...)
		s.feed(session)
		sessions = append(sessions, session.ID)
		if i%2 == 0 {
			_, err := s.apply(o, session)
			s.must(err)
		}
	}
	_, err := s.SetOfferStatus(t.Context(), s.call, incentives.SetOfferStatusInput{OfferID: o.ID, Status: offers.Archived})
	s.must(err)
	s.clock.Advance(48 * time.Hour)
	before := s.state()
	r := s.try(trials.Input{SessionIDs: sessions})
	if r.Totals.Cases != 5 || r.Totals.Changed != 0 || r.Totals.BaselineMinor != r.Totals.TrialMinor || r.Totals.BaselineMinor != 5*(100+58) {
		t.Errorf("%+v", r.Totals)
	}
	for _, c := range r.Cases {
		if len(c.Baseline.Offers) != 2 || c.TraceID == "" || c.CustomerID == "" {
			t.Errorf("%+v", c)
		}
	}
	if after := s.state(); after != before {
		t.Errorf("the trial wrote:\n%s\nafter\n%s", before, after)
	}
}

// TestATrialTellsTheDifference tries a better offer on past sessions: how often
// it would be shown, for how much, and to whom, beside what was decided then.
func TestATrialTellsTheDifference(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	live := s.create(off("LATTE", 50))
	var sessions, customers []string
	for i := range 4 {
		basket := coffee()
		if i == 3 {
			basket = []checkout.Line{line("1", "TEA", "tea", 1, 300)}
		}
		customers = append(customers, s.customer(fmt.Sprintf("+1415555000%d", i)))
		session := s.open(customers[i], basket...)
		s.feed(session)
		sessions = append(sessions, session.ID)
	}
	b := s.budget(1000)
	tea := off("TEA", 40)
	tea.Funding.BudgetID = b.ID
	before := s.state()
	in := trials.Input{SessionIDs: sessions, Drafts: []trials.Draft{draft(live.ID, off("LATTE", 75)), draft("tea", tea)}}
	r := s.try(in)
	want := trials.Totals{Cases: 4, Changed: 4, BaselineMinor: 300, TrialMinor: 3*150 + 40, Currency: "USD"}
	if r.Totals != want {
		t.Errorf("totals %+v, want %+v", r.Totals, want)
	}
	if len(r.Offers) != 2 || r.Offers[0].OfferID != live.ID || r.Offers[0].BaselineCount != 3 || r.Offers[0].TrialCount != 3 ||
		r.Offers[0].BaselineMinor != 300 || r.Offers[0].TrialMinor != 450 || len(r.Offers[0].Gained)+len(r.Offers[0].Lost) != 0 {
		t.Errorf("the better latte: %+v", r.Offers)
	}
	if d := r.Offers[1]; d.OfferID != "tea" || d.TrialCount != 1 || d.TrialMinor != 40 || !slices.Equal(d.Gained, customers[3:]) {
		t.Errorf("the tea: %+v", d)
	}
	alone := s.try(trials.Input{SessionIDs: sessions, DraftsOnly: true, Drafts: in.Drafts[1:]})
	if d := alone.Offers[0]; d.OfferID != live.ID || d.TrialCount != 0 || len(d.Lost) != 3 || alone.Totals.TrialMinor != 40 {
		t.Errorf("the tea alone: %+v", alone.Offers)
	}
	// The same question gives the same bytes, and nothing was written.
	one, err := json.Marshal(r)
	s.must(err)
	two, err := json.Marshal(s.try(in))
	s.must(err)
	if string(one) != string(two) || s.try(in).TraceID != r.TraceID || alone.TraceID == r.TraceID {
		t.Errorf("asked again:\n%s\n%s", one, two)
	}
	if after := s.state(); after != before {
		t.Errorf("the trial wrote:\n%s\nafter\n%s", before, after)
	}
}

// TestATrialOnBaskets tries drafts, stored drafts and live offers on baskets
// that were made up, and reckons what goes together.
func TestATrialOnBaskets(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.create(off("LATTE", 50))
	stored, err := s.CreateOffer(t.Context(), s.call, incentives.CreateOfferInput{Definition: wide(1000)})
	s.must(err)
	alone := off("CROISSANT", 200)
	alone.Stacking.Alone = true
	basket := trials.Basket{ID: "b1", CustomerID: s.customer("+14155550001"), Draft: checkout.Draft{Lines: coffee()}}
	r := s.try(trials.Input{Baskets: []trials.Basket{basket}, Drafts: []trials.Draft{draft("alone", alone)}})
	// It ranks first, and nothing goes beside it; together the others are worth less.
	if c := r.Cases[0]; c.BaselineMinor != 100 || c.TrialMinor != 200 || len(c.Trial.Offers) != 2 || c.Trial.Offers[0].OfferID != "alone" {
		t.Errorf("%+v", c)
	}
	r = s.try(trials.Input{Baskets: []trials.Basket{basket}, OfferIDs: []string{stored.ID}})
	if c := r.Cases[0]; c.TrialMinor != 127 || len(c.Trial.Offers) != 1 || c.Trial.Offers[0].OfferID != stored.ID {
		t.Errorf("a stored draft: %+v", c)
	}
	at := noon.Add(12 * time.Hour)
	late := wide(100)
	late.Conditions.TimeWindow = &offers.TimeWindow{From: 0, To: 60}
	basket.At = &at
	if r = s.try(trials.Input{Baskets: []trials.Basket{basket}, DraftsOnly: true, Drafts: []trials.Draft{draft("late", late)}}); r.Cases[0].TrialMinor != 12 {
		t.Errorf("at midnight: %+v", r.Cases[0])
	}
}

// TestATrialIsBounded holds that a sample takes no more than its limit, evenly
// over the time, passes by what was never decided, says where it was cut, and
// stops when its time is over.
func TestATrialIsBounded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.create(off("LATTE", 50))
	opened := map[string]time.Time{}
	for i := range 40 {
		s.clock.Advance(time.Minute)
		session := s.open("", coffee()...)
		if i%4 > 0 { // one in four is never asked for
			s.feed(session)
			opened[session.ID] = s.clock.Now()
		}
	}
	window := checkout.Sample{From: noon, Before: noon.Add(41 * time.Minute), Limit: 10}
	r := s.try(trials.Input{Sample: &window})
	if r.Totals.Cases != 10 || !slices.Equal(r.Truncated, []string{trials.CutSample}) {
		t.Fatalf("%+v %v", r.Totals, r.Truncated)
	}
	first, last := opened[r.Cases[0].ID], opened[r.Cases[9].ID]
	if first.IsZero() || last.IsZero() || last.Sub(first) < 30*time.Minute {
		t.Errorf("from %s to %s", first, last)
	}
	window.Limit = 1000
	if r = s.try(trials.Input{Sample: &window}); r.Totals.Cases != 30 || len(r.Truncated) != 0 {
		t.Errorf("%+v %v", r.Totals, r.Truncated)
	}
	never := s.open("", coffee()...)
	if r = s.try(trials.Input{SessionIDs: []string{never.ID}}); r.Totals.Cases != 0 || len(r.Skipped) != 1 || r.Skipped[0] != (trials.Skipped{ID: never.ID, Reason: trials.NotDecided}) {
		t.Errorf("%+v", r)
	}
	_, err := s.db.Q().Exec(t.Context(), `update decision_traces set inputs = replace(inputs::text, '"engine":"offers/1"', '"engine":"offers/0"')::json`)
	s.must(err)
	if r = s.try(trials.Input{Sample: &window}); r.Totals.Cases != 0 || r.Totals.Skipped != 30 || r.Skipped[0].Reason != trials.EngineChanged {
		t.Errorf("%+v", r.Totals)
	}
	slow := s.trials()
	slow.Clock, slow.Limit = &ticking{Manual: s.clock}, time.Second
	r, err = slow.Evaluate(t.Context(), s.call, trials.Input{Sample: &window})
	s.must(err)
	if r.Totals.Skipped >= 30 || !slices.Equal(r.Truncated, []string{trials.CutTime}) {
		t.Errorf("out of time: %+v %v", r.Totals, r.Truncated)
	}
}

// ticking is a clock on which every look takes 0.7 seconds.
type ticking struct {
	*clock.Manual
	looks atomic.Int64
}

func (c *ticking) Now() time.Time {
	return c.Manual.Now().Add(time.Duration(c.looks.Add(1)) * 700 * time.Millisecond)
}

// passed opens n sessions that were asked for their offers, and one that never was.
func (s *shop) passed(n int) (sessions []string) {
	s.t.Helper()
	for range n {
		session := s.open("", coffee()...)
		s.feed(session)
		sessions = append(sessions, session.ID)
	}
	return append(sessions, s.open("", coffee()...).ID)
}

// TestATrialTellsHowFarItIs holds that every case is told once, tried or
// skipped, from none to all, with the sums that the answer has at last; and that
// who asks for it gets the answer of who does not.
func TestATrialTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.create(off("LATTE", 50))
	in := trials.Input{
		SessionIDs: s.passed(25), Drafts: []trials.Draft{draft("d", wide(500))},
		Baskets: []trials.Basket{{ID: "b1", Draft: checkout.Draft{Lines: coffee()}}},
	}
	silent := s.try(in)
	var told []trials.Progress
	in.Progress = func(p trials.Progress) { told = append(told, p) }
	r := s.try(in)
	one, err := json.Marshal(silent)
	s.must(err)
	two, err := json.Marshal(r)
	s.must(err)
	if string(one) != string(two) || silent.TraceID != r.TraceID {
		t.Errorf("telling changes the answer:\n%s\n%s", one, two)
	}
	if len(told) != 28 {
		t.Fatalf("told %d times", len(told))
	}
	for done, p := range told {
		if p.Done != done || p.Total != 27 || p.Totals.Cases+p.Totals.Skipped != done {
			t.Errorf("told %+v, want %d of 27", p, done)
		}
	}
	if last := told[27]; last.Totals != r.Totals || last.Offers != len(r.Offers) || r.Totals.Skipped != 1 || r.Totals.Changed != 26 {
		t.Errorf("at last %+v\nthe answer %+v", last, r.Totals)
	}
	slow := s.trials()
	slow.Clock, slow.Limit = &ticking{Manual: s.clock}, time.Second
	told = nil
	r, err = slow.Evaluate(t.Context(), s.call, in)
	s.must(err)
	if last := told[len(told)-1]; last.Done >= last.Total || last.Totals != r.Totals || !slices.Equal(r.Truncated, []string{trials.CutTime}) {
		t.Errorf("out of time: %+v, %+v", last, r.Totals)
	}
}

// watched counts how often sessions are read for a trial.
type watched struct {
	app.UnitOfWork
	reads int
}

func (w *watched) Read() app.Stores {
	st := w.UnitOfWork.Read()
	st.Decisions = reading{st.Decisions, w}
	return st
}

type reading struct {
	decision.Store
	by *watched
}

func (r reading) Feeds(ctx context.Context, t tenancy.Tenant, sessions []string) (map[string]decision.Trace, error) {
	r.by.reads++
	return r.Store.Feeds(ctx, t, sessions)
}

// TestATrialStopsWithItsCaller holds that no case is tried and nothing is read
// any more once the caller is gone.
func TestATrialStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.create(off("LATTE", 50))
	in := trials.Input{SessionIDs: s.passed(44)}
	w := &watched{UnitOfWork: s.UoW}
	uses := s.trials()
	uses.UoW = w
	if _, err := uses.Evaluate(t.Context(), s.call, in); err != nil || w.reads != 3 {
		t.Fatalf("a whole trial reads %d times: %v", w.reads, err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	w.reads = 0
	last := trials.Progress{}
	in.Progress = func(p trials.Progress) {
		if last = p; p.Done == 3 {
			hangUp()
		}
	}
	_, err := uses.Evaluate(ctx, s.call, in)
	wants(t, "after its caller is gone", err, fault.CodeDeadlineExceeded)
	if last.Done != 3 || last.Total != 45 || w.reads != 1 {
		t.Errorf("it went on: %+v, %d reads", last, w.reads)
	}
}

// TestTrialsAreRefused holds what can't be tried, each told by its place.
func TestTrialsAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	basket := trials.Basket{ID: "b1", Draft: checkout.Draft{Lines: coffee()}}
	costly := wide(100)
	costly.Conditions.Rule = "basket.lines.all(a, basket.lines.all(b, basket.lines.all(c, a.sku != b.sku || b.sku != c.sku)))"
	unfunded := wide(100)
	unfunded.Funding.BudgetID = "bud_none"
	foreign, cheap := wide(100), line("1", "TEA", "tea", 1, 300)
	foreign.Funding.BudgetID = s.budget(1000).ID
	_, err := s.db.Q().Exec(t.Context(), "update budgets set currency = 'EUR' where budget_id = $1", foreign.Funding.BudgetID)
	s.must(err)
	cheap.DiscountMinor = 301
	other := s.merchant()
	session := s.open("", coffee()...)
	for what, c := range map[string]struct {
		in    trials.Input
		code  fault.Code
		field string
	}{
		"a rule that costs too much": {trials.Input{Drafts: []trials.Draft{draft("d", costly)}}, fault.CodeValidationFailed, "drafts[0].conditions.rule"},
		"two drafts of one name":     {trials.Input{Drafts: []trials.Draft{draft("d", wide(1)), draft("d", wide(2))}}, fault.CodeValidationFailed, "drafts[1].draft_id"},
		"a budget of nobody":         {trials.Input{Drafts: []trials.Draft{draft("d", unfunded)}}, fault.CodeNotFound, "drafts[0].budget"},
		"a budget of another money":  {trials.Input{Drafts: []trials.Draft{draft("d", foreign)}}, fault.CodeCurrencyMismatch, "drafts[0].funding.budget_id"},
		"a discount over its line":   {trials.Input{Baskets: []trials.Basket{{ID: "b", Draft: checkout.Draft{Lines: []checkout.Line{cheap}}}}}, fault.CodeAmountOutOfRange, "baskets[0].lines[0].discount_minor"},
		"an offer of nobody":         {trials.Input{OfferIDs: []string{"off_none"}}, fault.CodeNotFound, "offer"},
		"two baskets of one name":    {trials.Input{Baskets: []trials.Basket{basket, basket}}, fault.CodeValidationFailed, "baskets[1].basket_id"},
		"a customer of nobody":       {trials.Input{Baskets: []trials.Basket{{ID: "b", CustomerID: "cus_none", Draft: basket.Draft}}}, fault.CodeNotFound, "baskets[0].customer"},
		"a session of nobody":        {trials.Input{SessionIDs: []string{"cs_none"}}, fault.CodeNotFound, "session"},
		"a sample of no time":        {trials.Input{Sample: &checkout.Sample{From: noon, Before: noon}}, fault.CodeValidationFailed, "sample.opened_before"},
	} {
		_, err := s.trials().Evaluate(t.Context(), s.call, c.in)
		if f := fault.As(err); f == nil || f.Code != c.code || len(f.Details) == 0 || f.Details[0].Field != c.field {
			t.Errorf("%s: %+v, want %s of %s", what, f, c.code, c.field)
		}
	}
	call := *s.call
	call.Tenant = other
	_, err = s.trials().Evaluate(t.Context(), &call, trials.Input{SessionIDs: []string{session.ID}})
	wants(t, "another merchant's session", err, fault.CodeNotFound)
}
