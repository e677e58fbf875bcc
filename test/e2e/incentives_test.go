package e2e_test

import (
	"net/http"
	"testing"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// A customer's own feed (rules 47 and 58) over both doors.
func TestCustomerOffers(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550160")
	path := "/customers/" + g.id + "/offers"
	a := s.expect(s.get(path), http.StatusOK)
	s.is(a, "feed", `{"customer_id":"`+g.id+`","currency":"USD"}`)
	shown, _ := a.at("data.offers").([]any)
	if len(shown) != 3 || a.text("meta.decision_trace_id") == "" || number(a.at("data.offers.0.value.amount_minor")) != 0 {
		t.Errorf("%s", a.Raw)
	}
	if again := s.expect(s.get(path), http.StatusOK); again.text("meta.decision_trace_id") != a.text("meta.decision_trace_id") {
		t.Error("asked again it is another decision")
	}
	anywhere := s.expect(s.manage(path, nil), http.StatusOK) // a key is at no branch, which is another question
	s.refused(s.get("/customers/cus_none/offers"), http.StatusNotFound, "NOT_FOUND")
	s.refused(s.get(path+"?branch_id=brn_none"), http.StatusForbidden, "SCOPE_INSUFFICIENT") // a till is bound to its branch
	s.refused(s.manage(path+"?branch_id=brn_none", nil), http.StatusNotFound, "NOT_FOUND")
	s.refused(open(t).manage(path, nil), http.StatusNotFound, "NOT_FOUND")
	over, err := s.rpc().incentives.GetCustomerOffers(t.Context(), &partnerv1.GetCustomerOffersRequest{CustomerId: g.id})
	if err != nil || len(over.GetOffers()) != 3 || over.GetMeta().GetDecisionTraceId() != anywhere.text("meta.decision_trace_id") {
		t.Errorf("over Connect: %v, %v", over, err)
	}
	version := number(s.get("/customers/" + g.id + "/preferences").at("data.version"))
	s.expect(s.post("/customers/"+g.id+"/preferences", object{"expected_version": version, "offer_opt_outs": object{"all": true}}), http.StatusOK)
	a = s.expect(s.get(path), http.StatusOK)
	if shown, _ := a.at("data.offers").([]any); len(shown) != 0 || a.text("data.withheld.0.reason") != "CUSTOMER_OPTED_OUT" {
		t.Errorf("to who wants none: %s", a.Raw)
	}
}

// A proposal, from being made to what it became, over both doors.
func TestProposals(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, budget := s.verified("+14155550161"), s.budget(1000)
	session := s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	upsell := object{"kind": "upsell", "customer_id": g.id, "session_id": session, "title": "A cookie for 1.00 less",
		"value": object{"type": "amount", "amount_minor": 100, "per": "basket"}, "budget_id": budget}
	a := s.expect(s.twice("/proposals", upsell), http.StatusCreated)
	s.is(a, "proposal", `{"proposal_id":"$id:prp_","kind":"upsell","state":"open","customer_id":"`+g.id+`","session_id":"`+session+`",
		"budget_id":"`+budget+`","reasoning":{"summary":"Takes 1.00 USD off.","rule":"proposal.upsell"},"application_id":null,"grant_id":null}`)
	if a.text("meta.decision_trace_id") != a.text("data.decision_trace_id") || a.text("data.decision_trace_id") == "" {
		t.Errorf("%s", a.Raw)
	}
	id := a.text("data.proposal_id")
	decide := "/proposals/" + id + "/decide"
	s.refused(s.post("/proposals/prp_none/decide", object{"decision": "accept"}), http.StatusNotFound, "NOT_FOUND")
	s.refused(open(t).manage(decide, object{"decision": "accept"}), http.StatusNotFound, "NOT_FOUND")
	a = s.expect(s.post(decide, object{"decision": "accept"}), http.StatusOK)
	s.is(a, "accepted", `{"proposal_id":"`+id+`","state":"accepted","application_id":"$id:apl_","grant":null,
		"application":{"state":"applied","discount_minor":100,"session_id":"`+session+`"}}`)
	s.refused(s.post(decide, object{"decision": "reject"}), http.StatusConflict, "STATE_CONFLICT")
	s.is(s.get("/checkout/sessions/"+session), "session", `{"session":{"total_minor":1175,"discount_minor":100}}`)
	s.is(s.manage("/budgets/"+budget, nil), "budget", `{"committed_minor":100,"spent_minor":0}`)

	goodwill := object{"kind": "goodwill", "customer_id": g.id, "title": "Sorry", "value": object{"type": "amount", "amount_minor": 300}, "budget_id": budget}
	second := s.expect(s.manage("/proposals", goodwill), http.StatusCreated).text("data.proposal_id")
	s.refused(s.post("/proposals/"+second+"/decide", object{"decision": "accept"}), http.StatusForbidden, "OPERATOR_REQUIRED")
	a = s.expect(s.twice("/proposals/"+second+"/decide", object{"decision": "accept", "reason": "Long wait"}), http.StatusOK)
	s.is(a, "granted", `{"state":"accepted","grant_id":"$id:grt_","application":null,"grant":{"state":"RELEASED","amount_minor":300,"source":"GOODWILL"}}`)
	s.is(s.manage("/budgets/"+budget, nil), "budget", `{"committed_minor":100,"spent_minor":300,"available_minor":600}`)

	goodwill["value"] = object{"type": "amount", "amount_minor": 601}
	s.refused(s.manage("/proposals", goodwill), http.StatusUnprocessableEntity, "BUDGET_EXHAUSTED")
	goodwill["value"] = object{"type": "percent", "percent_bp": 100}
	s.refused(s.manage("/proposals", goodwill), http.StatusBadRequest, "VALIDATION_FAILED")
	a = s.expect(s.manage("/proposals?state=accepted&customer_id="+g.id, nil), http.StatusOK)
	if listed, _ := a.at("data.proposals").([]any); len(listed) != 2 || a.text("data.proposals.0.proposal_id") != second {
		t.Errorf("%s", a.Raw)
	}
	s.refused(s.get("/proposals"), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(s.manage("/proposals?cursor=bm9uZQ", nil), http.StatusBadRequest, "CURSOR_INVALID")
	over, err := s.rpc().incentives.ListProposals(t.Context(), &partnerv1.ListProposalsRequest{SessionId: &session})
	if err != nil || len(over.GetProposals()) != 1 || over.GetProposals()[0].GetProposalId() != id {
		t.Errorf("over Connect: %v, %v", over, err)
	}
	if n := len(s.told("proposal.created")); n != 2 {
		t.Errorf("proposal.created is told %d times", n)
	}
	if n := len(s.told("proposal.decided")); n != 2 {
		t.Errorf("proposal.decided is told %d times", n)
	}
}

// told are the events of a type, as they are read.
func (s *shop) told(kind string) (out []any) {
	s.t.Helper()
	for _, e := range s.events() {
		if m, ok := e.(object); ok && m["type"] == kind {
			out = append(out, e)
		}
	}
	return out
}

// What a draft would have done in a past session, over both doors.
func TestEvaluateOffers(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550162")
	session := s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK)
	latte := object{"draft_id": "latte-75", "kind": "item_discount", "title": "75 off each latte",
		"value": object{"type": "amount", "amount_minor": 75, "per": "unit"}, "targets": object{"skus": []string{"LATTE"}}}
	body := object{"drafts": []object{latte}, "session_ids": []string{session}, "drafts_only": true}
	a := s.expect(s.twice("/offers/evaluate", body), http.StatusOK)
	s.is(a, "trial", `{"totals":{"cases_count":1,"changed_count":1,"baseline_minor":100,"trial_minor":150,"currency":"USD","skipped_count":0},
		"evaluations":[{"case_id":"`+session+`","customer_id":"`+g.id+`","trial":[{"offer_id":"latte-75","version":0,"value":{"type":"amount","amount_minor":150}}]}],
		"truncated":[],"skipped":[]}`)
	if a.text("data.offers.0.offer_id") != "latte-75" || a.text("data.offers.0.gained_customer_ids.0") != g.id {
		t.Errorf("%s", a.Raw)
	}
	s.refused(s.manage("/offers/evaluate", object{"drafts": []object{latte}}), http.StatusBadRequest, "VALIDATION_FAILED")
	s.refused(s.manage("/offers/evaluate", object{"session_ids": []string{"cs_none"}}), http.StatusNotFound, "NOT_FOUND")
	s.refused(open(t).manage("/offers/evaluate", object{"session_ids": []string{session}}), http.StatusNotFound, "NOT_FOUND")
	s.refused(s.post("/offers/evaluate", body), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	over := object{"basket_id": "b", "lines": []object{{"line_id": "1", "sku": "TEA", "quantity": 1, "unit_price_minor": 300, "discount_minor": 301}}}
	s.refused(s.manage("/offers/evaluate", object{"baskets": []object{over}}), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	rpc, err := s.rpc().incentives.EvaluateOffers(t.Context(), &partnerv1.EvaluateOffersRequest{
		Meta: &partnerv1.RequestMeta{ApiVersion: version}, Context: s.place(), SessionIds: []string{session},
	})
	if err != nil || rpc.GetTotals().GetCasesCount() != 1 || rpc.GetTotals().GetChangedCount() != 0 {
		t.Errorf("over Connect: %v, %v", rpc, err)
	}
}

// A partner's report ties what it showed to the sale, over both doors.
func TestReportAttribution(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	tx := s.id("transaction")
	path := "/transactions/" + tx + "/attribution"
	a := s.expect(s.twice(path, object{"exposures": []object{s.exposure}}), http.StatusCreated)
	s.is(a, "attribution", `{"attribution_id":"$id:atb_","transaction_id":"`+tx+`","source":"partner","offers":[{"outcome":"redeemed",
		"attributed_minor":1175,"discount_minor":100,"reasoning":{"rule":"attribution.redeemed_by_discount"}}]}`)
	again := s.expect(s.manage(path, object{"exposures": []object{s.exposure}}), http.StatusOK)
	if again.text("data.attribution_id") != a.text("data.attribution_id") || again.text("meta.decision_trace_id") != a.text("meta.decision_trace_id") {
		t.Errorf("reported again: %s", again.Raw)
	}
	got := s.expect(s.manage("/"+s.ids["integration"]+"/transactions/"+tx, nil), http.StatusOK)
	s.is(got, "transaction", `{"attribution":{"source":"system"},"partner_attribution":{"attribution_id":"`+a.text("data.attribution_id")+`","source":"partner"}}`)
	wrong := object{"offer_id": s.exposure["offer_id"], "decision_trace_id": "dt_none", "outcome": "redeemed"}
	s.refused(s.manage(path, object{"exposures": []object{wrong}}), http.StatusNotFound, "NOT_FOUND")
	wrong = object{"offer_id": s.exposure["offer_id"], "decision_trace_id": s.exposure["decision_trace_id"], "outcome": "shown_not_taken"}
	s.refused(s.manage(path, object{"exposures": []object{wrong}}), http.StatusConflict, "STATE_CONFLICT")
	s.refused(s.post(path, object{"exposures": []object{s.exposure}}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(open(t).manage(path, object{"exposures": []object{s.exposure}}), http.StatusNotFound, "NOT_FOUND")
	offer, _ := s.exposure["offer_id"].(string)
	trace, _ := s.exposure["decision_trace_id"].(string)
	over, err := s.rpc().transactions.ReportAttribution(t.Context(), &partnerv1.ReportAttributionRequest{
		Meta: &partnerv1.RequestMeta{ApiVersion: version}, Context: s.place(), TransactionId: tx,
		Exposures: []*partnerv1.OfferExposure{{OfferId: offer, DecisionTraceId: trace, Outcome: "redeemed"}},
	})
	if err != nil || over.GetAttributionId() != a.text("data.attribution_id") {
		t.Errorf("over Connect: %v, %v", over, err)
	}
}
