package checkout_test

import (
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// sold is a sale in which an offer was shown and redeemed, with the decision
// that showed it.
type sold struct {
	transaction, session, customer string
	offer, passed                  string // redeemed; shown and not taken
	trace                          string
}

func (s *shop) soldWithOffer(phone string) sold {
	s.t.Helper()
	out := sold{customer: s.guest(phone, identity.Verified)}
	session := s.open(phone, coffee())
	feed, err := s.offers.SessionOffers(s.t.Context(), s.call("getSessionOffers"), incentives.FeedInput{SessionID: session.ID})
	s.must(err)
	out.session, out.trace, out.offer = session.ID, feed.TraceID, feed.Feed.Offers[0].OfferID
	out.passed = feed.Feed.Withheld[0].OfferID
	_, err = s.offers.ApplyOffer(s.t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: out.offer, SessionID: session.ID})
	s.must(err)
	s.clock.Advance(time.Minute)
	closed := s.close(session.ID, cash(s.session(session.ID).TotalMinor()))
	out.transaction = closed.Sale.Transaction.ID
	return out
}

func (s *shop) report(call *app.Call, transaction string, exposures ...transactions.Reported) (transactions.ReportView, error) {
	return s.transactions.Report(s.t.Context(), call, transactions.ReportInput{TransactionID: transaction, Exposures: exposures})
}

// TestAReportTiesExposuresToTheSale holds rule 54: the report stands beside the
// sale, which does not change; what is reported again changes nothing; the
// credit is the sale's own.
func TestAReportTiesExposuresToTheSale(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	sale := s.soldWithOffer("+14155550123")
	earlier, err := s.offers.CustomerOffers(t.Context(), s.call("getCustomerOffers"), incentives.ProspectInput{CustomerID: sale.customer})
	s.must(err)
	before := s.count("select sum(hashtext(x::text)::bigint)::bigint from transactions x")
	redeemed := transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeRedeemed}
	v, err := s.report(s.call("reportAttribution"), sale.transaction, redeemed)
	s.must(err)
	if !v.Added || len(v.Offers) != 1 || v.Offers[0].AttributedMinor != 1175 || v.Offers[0].DiscountMinor != 100 || v.Offers[0].Card.Rule != "attribution.redeemed_by_discount" {
		t.Fatalf("%+v", v)
	}
	again, err := s.report(s.call("reportAttribution"), sale.transaction, redeemed)
	s.must(err)
	if again.Added || again.Report.ID != v.Report.ID || again.TraceID != v.TraceID || len(again.Offers) != 1 {
		t.Errorf("reported again: %+v", again)
	}
	told := len(s.events("decision.made"))
	_, err = s.report(s.call("reportAttribution"), sale.transaction, redeemed, redeemed)
	s.must(err)
	if n := len(s.events("decision.made")); n != told {
		t.Errorf("reported again it is told again")
	}
	_, err = s.report(s.call("reportAttribution"), sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeShownNotTaken})
	wantCode(t, err, fault.CodeStateConflict)
	_, err = s.report(s.call("reportAttribution"), sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: earlier.TraceID, Outcome: checkout.OutcomeShownNotTaken})
	s.must(err) // in the same instant as the sale
	got, err := s.transactions.Get(t.Context(), s.call("getTransaction"), transactions.GetInput{IntegrationID: s.tenant.PartnerID, TransactionID: sale.transaction})
	s.must(err)
	if got.Reported == nil || len(got.Reported.Exposures) != 2 || got.Reported.ID != v.Report.ID {
		t.Errorf("the transaction shows %+v", got.Reported)
	}
	tr, err := s.uow.Read().Decisions.Trace(t.Context(), s.tenant, v.TraceID)
	s.must(err)
	s.must(s.transactions.ReplayReport(t.Context(), tr))
	if s.count("select sum(hashtext(x::text)::bigint)::bigint from transactions x") != before {
		t.Error("the sale changed")
	}
	credited := int64(0)
	for _, o := range transactions.Credited(got.Transaction, *got.Reported) {
		credited += o.AttributedMinor
	}
	if credited != got.Transaction.TotalMinor {
		t.Errorf("%d of %d credited", credited, got.Transaction.TotalMinor)
	}
	if _, err := s.db.Q().Exec(t.Context(), "update attribution_exposures set outcome = 'redeemed'"); err == nil {
		t.Error("an exposure can be changed")
	}
}

// TestReportsAreRefused holds what can't have been.
func TestReportsAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	sale, other := s.soldWithOffer("+14155550123"), s.soldWithOffer("+14155550124")
	anonymous := s.open("", coffee())
	s.clock.Advance(time.Minute)
	later, err := s.offers.CustomerOffers(t.Context(), s.call("getCustomerOffers"), incentives.ProspectInput{CustomerID: sale.customer})
	s.must(err)
	unseen := s.close(anonymous.ID, cash(1275)).Sale.Transaction.ID
	tooEarly, tooLate := start.Add(-time.Hour), start.Add(time.Hour)
	for what, c := range map[string]struct {
		transaction string
		e           transactions.Reported
		code        fault.Code
		rule        string
	}{
		"no sale":              {"txn_none", transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeRedeemed}, fault.CodeNotFound, "exists"},
		"no decision":          {sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: "dt_none", Outcome: checkout.OutcomeRedeemed}, fault.CodeNotFound, "exists"},
		"another's decision":   {sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: other.trace, Outcome: checkout.OutcomeRedeemed}, fault.CodeStateConflict, "of_this_sale"},
		"nobody's sale":        {unseen, transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeShownNotTaken}, fault.CodeStateConflict, "of_this_sale"},
		"decided after":        {sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: later.TraceID, Outcome: checkout.OutcomeShownNotTaken}, fault.CodeStateConflict, "before_the_sale"},
		"shown before decided": {sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeRedeemed, ShownAt: &tooEarly}, fault.CodeStateConflict, "between"},
		"shown after the sale": {sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeRedeemed, ShownAt: &tooLate}, fault.CodeStateConflict, "between"},
		"withheld, not shown":  {sale.transaction, transactions.Reported{OfferID: sale.passed, TraceID: sale.trace, Outcome: checkout.OutcomeShownNotTaken}, fault.CodeStateConflict, "shown_by_decision"},
	} {
		_, err := s.report(s.call("reportAttribution"), c.transaction, c.e)
		if f := fault.As(err); f == nil || f.Code != c.code || f.Details[0].Rule != c.rule {
			t.Errorf("%s: %v, want %s of %s", what, err, c.code, c.rule)
		}
	}
	elsewhere := s.call("reportAttribution")
	elsewhere.Tenant.No++
	_, err = s.report(elsewhere, sale.transaction, transactions.Reported{OfferID: sale.offer, TraceID: sale.trace, Outcome: checkout.OutcomeRedeemed})
	wantCode(t, err, fault.CodeNotFound)
}

// TestReportsAtOnceTieOneRedemption lets eight partners report the redemption at
// once, by two decisions that both showed the offer: it is tied to one of them.
func TestReportsAtOnceTieOneRedemption(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	customer := s.guest("+14155550123", identity.Verified)
	own, err := s.offers.CustomerOffers(t.Context(), s.call("getCustomerOffers"), incentives.ProspectInput{CustomerID: customer})
	s.must(err)
	session := s.open("+14155550123", coffee())
	feed, err := s.offers.SessionOffers(t.Context(), s.call("getSessionOffers"), incentives.FeedInput{SessionID: session.ID})
	s.must(err)
	offer := feed.Feed.Offers[0].OfferID
	_, err = s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: offer, SessionID: session.ID})
	s.must(err)
	tx := s.close(session.ID, cash(1175)).Sale.Transaction.ID
	added := make([]bool, 8)
	var wg sync.WaitGroup
	for i := range added {
		trace := []string{own.TraceID, feed.TraceID}[i%2]
		call := s.call("reportAttribution")
		wg.Go(func() {
			v, err := s.report(call, tx, transactions.Reported{OfferID: offer, TraceID: trace, Outcome: checkout.OutcomeRedeemed})
			if err != nil && !fault.Is(err, fault.CodeStateConflict) {
				t.Error(err)
			}
			added[i] = err == nil && v.Added
		})
	}
	wg.Wait()
	won := 0
	for _, a := range added {
		if a {
			won++
		}
	}
	if n := s.count("select count(*) from attribution_exposures where outcome = 'redeemed'"); won != 1 || n != 1 {
		t.Errorf("%d reports brought something, %d redemptions are tied", won, n)
	}
}
