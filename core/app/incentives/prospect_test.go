package incentives_test

import (
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

func (s *shop) prospects(customer string) incentives.ProspectResult {
	s.t.Helper()
	f, err := s.CustomerOffers(s.t.Context(), s.call, incentives.ProspectInput{CustomerID: customer})
	s.must(err)
	return f
}

// wide is a definition on the whole basket.
func wide(percentBP int64) offers.Definition {
	return offers.Definition{
		Kind: offers.BasketDiscount, Title: "Off everything", Value: offers.Value{Type: offers.ValuePercent, PercentBP: percentBP},
		Targets: offers.Targets{BasketWide: true},
	}
}

// TestCustomerOffers holds rules 47 and 58: the feed knows the identity alone,
// no offer counts for more in it than in a session of the same customer, asked
// again it is the same trace and writes nothing, and the trace replays.
func TestCustomerOffers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.create(off("LATTE", 50))
	s.create(wide(500))
	gold := off("CROISSANT", 20)
	gold.Targets.Tiers = []string{"gold"}
	s.create(gold)
	cashback := offers.Definition{Kind: offers.Cashback, Title: "Back", Value: offers.Value{Type: offers.ValueCashback, AmountMinor: 30}}
	s.create(cashback)
	ann := s.customer("+14155550001")

	feed := s.prospects(ann)
	if len(feed.Feed.Offers) != 3 || len(feed.Feed.Withheld) != 1 || feed.Feed.Withheld[0].Reason != offers.TierMismatch || feed.Currency != "USD" {
		t.Fatalf("%+v", feed)
	}
	if first := feed.Feed.Offers[0]; first.Value.AmountMinor != 30 || first.Kind != offers.Cashback {
		t.Errorf("what is worth the same on every basket comes first: %+v", first)
	}
	session := s.feed(s.open(ann, coffee()...))
	for _, mine := range feed.Feed.Offers {
		for _, there := range session.Feed.Offers {
			if mine.OfferID == there.OfferID && mine.Value.AmountMinor > there.Value.AmountMinor {
				t.Errorf("%s: %d without a basket, %d with one", mine.Title, mine.Value.AmountMinor, there.Value.AmountMinor)
			}
		}
	}
	written := func() int64 {
		return s.count("select (select count(*) from decision_traces) + (select count(*) from decisions) + (select count(*) from counterfactuals) + (select count(*) from events)")
	}
	before := written()
	s.clock.Advance(time.Hour)
	if again := s.prospects(ann); again.TraceID != feed.TraceID || again.Feed.Offers[0].Card.Summary != feed.Feed.Offers[0].Card.Summary {
		t.Errorf("asked again it is %s, it was %s", again.TraceID, feed.TraceID)
	}
	if after := written(); after != before {
		t.Errorf("asked again it wrote %d rows", after-before)
	}
	s.must(s.Replay(t.Context(), s.tenant, feed.TraceID))
	if n := s.count("select count(*) from counterfactuals where trace_id = $1 and outcome = 'shown'", feed.TraceID); n != 3 {
		t.Errorf("%d counterfactuals (rule 59)", n)
	}
	s.clock.Advance(24 * time.Hour)
	if next := s.prospects(ann); next.TraceID == feed.TraceID {
		t.Error("the next day's decision is the same")
	}
	if bob := s.prospects(s.customer("+14155550002")); bob.TraceID == feed.TraceID {
		t.Error("another customer's decision is the same")
	}
}

// TestCustomerOffersFollowWhatTheyAreDecidedFrom holds that the feed obeys
// preferences at once, and limits and budgets as they stand.
func TestCustomerOffersFollowWhatTheyAreDecidedFrom(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann := s.customer("+14155550001")
	b := s.budget(90)
	d := off("LATTE", 50) // 100 on the basket: more than the budget, which a feed without basket can't know
	d.Funding.BudgetID, d.Limits.PerCustomer = b.ID, 1
	o := s.create(d)
	s.create(wide(500))
	first := s.prospects(ann)
	if len(first.Feed.Offers) != 2 {
		t.Fatalf("%+v", first.Feed)
	}
	_, err := s.apply(o, s.open(ann, line("1", "LATTE", "coffee", 1, 450)))
	s.must(err)
	held := s.prospects(ann)
	if held.TraceID == first.TraceID || len(held.Feed.Withheld) != 1 || held.Feed.Withheld[0].Reason != offers.LimitReached {
		t.Errorf("with its limit reached: %+v", held.Feed.Withheld)
	}
	s.optOut(ann, false, string(offers.BasketDiscount))
	wish := s.prospects(ann)
	if len(wish.Feed.Offers) != 0 || wish.TraceID == held.TraceID {
		t.Errorf("%+v is shown to who wants no basket discounts", wish.Feed.Offers)
	}
}

// optOut writes what a customer does not want to see.
func (s *shop) optOut(customer string, all bool, kinds ...string) {
	s.t.Helper()
	_, err := s.db.Q().Exec(s.t.Context(), `
		insert into customer_preferences (tenant_no, customer_id, version, channels, opt_out_all, opt_out_kinds, opt_out_categories, updated_at)
		values ($1, $2, 2, '[]', $3, $4, '{}', now())`, s.tenant.No, customer, all, append([]string{}, kinds...))
	s.must(err)
}

// TestCustomerOffersAreRefused holds whose feed there is none of (rule 10).
func TestCustomerOffersAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.create(wide(500))
	ann := s.customer("+14155550001")
	ask := func(call *app.Call, in incentives.ProspectInput) error {
		_, err := s.CustomerOffers(t.Context(), call, in)
		return err
	}
	other := &app.Call{Tenant: s.merchant()}
	wants(t, "nobody", ask(s.call, incentives.ProspectInput{CustomerID: "cus_none"}), fault.CodeNotFound)
	wants(t, "another merchant's", ask(other, incentives.ProspectInput{CustomerID: ann}), fault.CodeNotFound)
	wants(t, "an unknown branch", ask(s.call, incentives.ProspectInput{CustomerID: ann, BranchID: "brn_none"}), fault.CodeNotFound)
	bound := &app.Call{Tenant: s.tenant, BranchID: "brn_1", Actor: tenancy.Actor{BranchID: "brn_1"}}
	wants(t, "another branch", ask(bound, incentives.ProspectInput{CustomerID: ann, BranchID: "brn_2"}), fault.CodeScopeInsufficient)
	_, err := s.db.Q().Exec(t.Context(), `update customers set status = 'disabled' where customer_id = $1`, ann)
	s.must(err)
	wants(t, "a disabled customer", ask(s.call, incentives.ProspectInput{CustomerID: ann}), fault.CodeNotFound)
}
