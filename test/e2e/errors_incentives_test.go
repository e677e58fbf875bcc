package e2e_test

import (
	"net/http"
	"testing"
)

// off is the body of a proposal for a guest, and for a session where one is named.
func off(g guest, session, budget string) object {
	body := object{"kind": "goodwill", "customer_id": g.id, "title": "Sorry", "value": object{"type": "amount", "amount_minor": 100}, "budget_id": budget}
	if session != "" {
		body["kind"], body["session_id"] = "upsell", session
	}
	return body
}

// unwilling says that a guest wants no offers at all.
func (s *shop) unwilling(g guest) {
	s.t.Helper()
	path := "/customers/" + g.id + "/preferences"
	s.ok(request{path: path, body: object{"expected_version": number(s.get(path).at("data.version")), "offer_opt_outs": object{"all": true}}})
}

// Nobody proposes what could not be given: to whom it is not for, in a session
// that is another's or over, or in money that nobody takes.
func TestErrorsOfProposing(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, unwilling := s.verified("+14155550123"), s.verified("+14155550124")
	budget := s.budget(1000)
	others, over, unwanted := s.sale(nil), s.sale(byPhone(g)), s.sale(byPhone(unwilling))
	s.closed(over, 1275)
	s.unwilling(unwilling)
	pounds := off(g, "", budget)
	pounds["currency"] = "GBP"
	s.refuses(g, []string{others, over, unwanted},
		refusal{s.as("/proposals", off(g, over, budget)), 410, "SESSION_ENDED", "session_id", "session_open", "open a new one"},
		refusal{s.as("/proposals", off(g, others, budget)), 409, "STATE_CONFLICT", "session_id", "of_the_customer", "identify it first, or leave session_id out"},
		refusal{s.as("/proposals", off(unwilling, unwanted, budget)), 422, "OFFER_NOT_ELIGIBLE", "customer_id", "CUSTOMER_OPTED_OUT", "propose nothing"},
		refusal{s.as("/proposals", pounds), 400, "UNSUPPORTED_CURRENCY", "currency", "enabled", "use one of [USD"},
	)
	s.is(s.manage("/proposals", nil), "the proposals", `{"proposals":[]}`)
}

// What was fine when it was proposed may not be so any more when somebody
// accepts it; then it stays open, or ended by itself.
func TestErrorsOfDeciding(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, unwilling := s.verified("+14155550123"), s.verified("+14155550124")
	budget, spent := s.budget(1000), s.budget(100)
	over, unwanted := s.sale(byPhone(g)), s.sale(byPhone(unwilling))
	propose := func(body object) (decide string) {
		s.t.Helper()
		return "/proposals/" + s.expect(s.post("/proposals", body), http.StatusCreated).text("data.proposal_id")
	}
	ended, late, poor, unfit := propose(off(g, over, budget)), propose(off(g, "", budget)), propose(off(g, "", spent)), propose(off(unwilling, unwanted, budget))
	s.closed(over, 1275)
	s.expect(s.manage("/grants", object{"customer_id": g.id, "source": "GOODWILL", "amount_minor": 100, "currency": "USD", "budget_id": spent}), http.StatusCreated)
	s.unwilling(unwilling)
	accept := func(proposal string) request { return s.byKey(proposal+"/decide", object{"decision": "accept"}) }
	s.refuses(g, []string{over, unwanted},
		refusal{accept(ended), 410, "SESSION_ENDED", "session_id", "session_open", "open a new one"},
		refusal{accept(poor), 422, "BUDGET_EXHAUSTED", "budget_id", "available", "raise its cap or name another budget"},
		refusal{accept(unfit), 422, "OFFER_NOT_ELIGIBLE", "offer_id", "CUSTOMER_OPTED_OUT", "the offer can't be applied"},
	)
	for _, open := range []string{ended, poor, unfit} {
		s.is(s.expect(s.manage(open+"/decide", object{"decision": "reject"}), http.StatusOK), "rejected", `{"state":"rejected"}`)
	}
	execute(t, "update proposals set expires_at = now() - interval '1 second' where '/proposals/' || proposal_id = $1", late)
	s.refuse(refusal{accept(late), 410, "OFFER_EXPIRED", "proposal_id", "not_expired", "propose it again"}) // and the sweep ends it
	s.is(s.balance(g), "the wallet", `{"promo_available_minor":163}`)                                       // the grant, and the cashback of the sale
}

// A budget that has ended is not filled again.
func TestErrorsOfBudgets(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := s.budget(1000)
	execute(t, "update budgets set starts_at = now() - interval '2 hours', ends_at = now() - interval '1 second' where budget_id = $1", id)
	s.refuses(guest{}, nil, refusal{s.byKey("/budgets/"+id+"/adjust", object{"cap_minor": 2000}), 409, "STATE_CONFLICT", "budget_id", "not_ended", "make a new one"})
	s.is(s.manage("/budgets?status=ended", nil), "the budget", `{"budgets":[{"budget_id":"`+id+`","cap_minor":1000}]}`)
}
