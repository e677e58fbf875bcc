package e2e_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/google/uuid"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// sell has a guest pay all that a session has due and closes it.
func (s *shop) sell(session string, g guest) (transaction, payment string) {
	s.t.Helper()
	body := bill(1275, s.mint(g, "qr"))
	body["session_id"] = session
	payment = s.expect(s.post("/payments", body), http.StatusCreated).text("data.payment_id")
	closed := s.expect(s.post("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "wallet", "amount_minor": 1275, "payment_id": payment}}}), http.StatusOK)
	return closed.text("data.transaction.transaction_id"), payment
}

// filled opens a session with a basket of 1275.
func (s *shop) filled() string {
	s.t.Helper()
	id := s.session()
	s.ok(request{path: "/checkout/sessions/" + id + "/basket", body: basket()})
	return id
}

// A payment in a session is voided while it is open, and its sale once it is
// closed; each answer says what went back, and a replay says it again.
func TestVoidAPayment(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	session := s.filled()
	body := bill(1000, s.mint(g, "qr"))
	body["session_id"] = session
	paid := s.expect(s.post("/payments", body), http.StatusCreated).text("data.payment_id")

	s.refused(s.manage("/redeem/void", object{"payment_id": paid}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(s.post("/redeem/void", object{"payment_id": "pay_none"}), http.StatusNotFound, "NOT_FOUND")
	s.refused(open(t).post("/redeem/void", object{"payment_id": paid}), http.StatusNotFound, "NOT_FOUND")
	r := request{path: "/redeem/void", as: s.till, body: s.whole(object{"payment_id": paid, "reason": "Order cancelled"}), key: uuid.NewString()}
	a, again := s.expect(s.do(r), http.StatusOK), s.do(r)
	s.is(a, "void", `{"payment_id":"`+paid+`","status":"voided","amount_minor":1000,"restored_promo_minor":250,"restored_actual_minor":750,
		"forfeited_promo_minor":0,"currency":"USD","session_id":"`+session+`","customer_id":"`+g.id+`","promo_sources":[{"grant_id":"$id:grt_","amount_minor":250}],
		"balance":{"actual_minor":2500,"promo_available_minor":250},"reason":"Order cancelled","voided_at":"$time"}`)
	if again.Status != a.Status || again.at("meta.idempotency_replayed") != true || !reflect.DeepEqual(again.at("data"), a.at("data")) {
		t.Errorf("the replay: %d %s", again.Status, again.Raw)
	}
	s.refused(s.post("/redeem/void", object{"payment_id": paid}), http.StatusConflict, "STATE_CONFLICT")
	s.is(s.get("/checkout/sessions/"+session), "session", `{"session":{"paid_minor":0,"due_minor":1275}}`)
	s.is(s.get("/payments/"+paid), "payment", `{"status":"voided","refunded_minor":1000}`)

	transaction, payment := s.sell(session, g)
	refused := s.post("/redeem/void", object{"payment_id": payment})
	s.refused(refused, http.StatusConflict, "STATE_CONFLICT")
	a = s.expect(s.twice("/transactions/"+transaction+"/void", object{"reason": "Wrong customer"}), http.StatusOK)
	s.is(a, "voided sale", `{"transaction_id":"`+transaction+`","status":"voided","refunded_minor":0,"voided_at":"$time","cashback":{"amount_minor":63,"state":"CLAWED_BACK"},
		"reversals":[{"type":"payment","reference_id":"`+payment+`","amount_minor":1275,"forfeited_promo_minor":0,"entry_id":"$id:ent_","unrecovered_minor":0},
		{"type":"cashback","reference_id":"$id:grt_","amount_minor":63,"entry_id":"$id:ent_","unrecovered_minor":0}]}`)
	s.refused(s.post("/transactions/"+transaction+"/void", object{}), http.StatusConflict, "STATE_CONFLICT")
	s.refused(open(t).manage("/transactions/"+transaction+"/void", object{}), http.StatusNotFound, "NOT_FOUND")
	s.is(s.balance(g), "balance", `{"actual_minor":2500,"promo_available_minor":250,"promo_locked_minor":0}`)
	s.is(s.manage("/transactions/"+transaction+"/receipt", nil), "receipt", `{"status":"voided"}`)
	list := s.expect(s.get("/"+s.made.text("data.integration_id")+"/transactions?status=voided"), http.StatusOK)
	s.is(list, "transactions", `{"transactions":[{"transaction_id":"`+transaction+`","status":"voided"}]}`)
	for kind, n := range map[string]int{"payment.voided": 2, "transaction.voided": 1} {
		if got := s.happened(kind, ""); got != n {
			t.Errorf("%d %s", got, kind)
		}
	}
}

// Refunds give back in parts, never beyond the payment, whose reads and whose
// sale show them.
func TestRefund(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	transaction, payment := s.sell(s.filled(), g)
	refund := object{"payment_id": payment, "amount_minor": 1100, "currency": "USD", "reason": "Sent back"}
	s.refused(s.post("/refund/create", refund), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(open(t).manage("/refund/create", refund), http.StatusNotFound, "NOT_FOUND")
	a := s.expect(s.twice("/refund/create", refund), http.StatusCreated)
	s.is(a, "refund", `{"refund_id":"$id:ref_","payment_id":"`+payment+`","status":"succeeded","payment_status":"partially_refunded","amount_minor":1100,
		"restored_promo_minor":75,"restored_actual_minor":1025,"forfeited_promo_minor":0,"refunded_minor":1100,"customer_id":"`+g.id+`",
		"promo_sources":[{"grant_id":"$id:grt_","amount_minor":75}],"balance":{"actual_minor":2500},"created_at":"$time"}`)
	s.refused(s.manage("/refund/create", object{"payment_id": payment, "currency": "QAR"}), http.StatusBadRequest, "CURRENCY_MISMATCH")
	s.refused(s.manage("/refund/create", object{"payment_id": payment, "amount_minor": 176}), http.StatusUnprocessableEntity, "REFUND_EXCEEDS_PAYMENT")
	s.is(s.manage("/"+s.made.text("data.integration_id")+"/transactions/"+transaction, nil), "sale", `{"status":"partially_refunded","refunded_minor":1100,"voided_at":null}`)

	over, err := s.rpc().payments.RefundCreate(t.Context(), &partnerv1.RefundCreateRequest{
		Meta: &partnerv1.RequestMeta{ApiVersion: version}, Context: s.place(), PaymentId: payment,
	})
	if err != nil || over.GetAmountMinor() != 175 || over.GetPaymentStatus() != "refunded" {
		t.Errorf("over Connect: %v, %v", over, err)
	}
	s.is(s.get("/payments/"+payment), "payment", `{"status":"refunded","refunded_minor":1275}`)
	s.refused(s.manage("/refund/create", object{"payment_id": payment}), http.StatusUnprocessableEntity, "REFUND_EXCEEDS_PAYMENT")
	waiting := s.expect(s.post("/payments", bill(100, byPhone(g))), http.StatusAccepted).text("data.payment_id")
	s.refused(s.manage("/refund/create", object{"payment_id": waiting}), http.StatusConflict, "STATE_CONFLICT")
	if n := s.happened("payment.refunded", ""); n != 2 {
		t.Errorf("%d payment.refunded", n)
	}
}

// A top-up is taken back with its bonus, as far as neither is spent.
func TestReverseTopup(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	deposit := func() string {
		id := s.post("/topup/prepare", object{"customer_id": g.id, "amount_minor": 2500, "currency": "USD"}).text("data.topup_id")
		s.ok(request{path: "/topup/confirm", body: object{"topup_id": id, "provider_settlement_reference": "ref-" + id}})
		return id
	}
	id := deposit()
	path := "/topup/" + id + "/reverse"
	s.refused(s.post(path, object{"reason": "fraud"}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(open(t).manage(path, object{"reason": "fraud"}), http.StatusNotFound, "NOT_FOUND")
	a := s.expect(s.twice(path, object{"reason": "uncollected", "note": "Never captured"}), http.StatusOK)
	s.is(a, "reversal", `{"topup_id":"`+id+`","state":"REVERSED","credited_actual_minor":2500,"bonus_grant":{"state":"CLAWED_BACK","remaining_minor":0},
		"reversed_at":"$time","balance":{"actual_minor":0,"promo_available_minor":0},"reason":"uncollected","reversed_actual_minor":2500,
		"reversed_bonus_minor":250,"unrecovered_actual_minor":0,"unrecovered_bonus_minor":0}`)
	s.refused(s.manage(path, object{"reason": "other"}), http.StatusConflict, "STATE_CONFLICT")
	s.is(s.get("/topup/"+id), "top-up", `{"state":"REVERSED"}`)

	id = deposit()
	s.expect(s.post("/payments", bill(1000, s.mint(g, "qr"))), http.StatusCreated) // 250 of the bonus
	s.refused(s.manage("/topup/"+id+"/reverse", object{"reason": "chargeback"}), http.StatusConflict, "STATE_CONFLICT")
	a = s.expect(s.manage("/topup/"+id+"/reverse", object{"reason": "chargeback", "allow_partial": true}), http.StatusOK)
	s.is(a, "partial reversal", `{"reversed_actual_minor":1750,"reversed_bonus_minor":0,"unrecovered_actual_minor":750,"unrecovered_bonus_minor":250,"balance":{"actual_minor":0}}`)
	if n := s.happened("topup.reversed", ""); n != 2 {
		t.Errorf("%d topup.reversed", n)
	}
}

// A dispute is opened, read, and resolved for the customer by a refund.
func TestDisputes(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	transaction, payment := s.sell(s.filled(), g)
	body := object{"transaction_id": transaction, "reason": "wrong_amount", "amount_minor": 375, "description": "Not handed out",
		"evidence": []object{{"type": "statement", "text": "Called at 9:30", "url": "https://example.com/call", "facts": object{"minute": 4}}}}
	s.refused(s.post("/disputes", body), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(open(t).manage("/disputes", body), http.StatusNotFound, "NOT_FOUND")
	a := s.expect(s.twice("/disputes", body), http.StatusCreated)
	id := a.text("data.dispute_id")
	s.is(a, "dispute", `{"dispute_id":"$id:dsp_","transaction_id":"`+transaction+`","customer_id":"`+g.id+`","state":"open","reason":"wrong_amount","amount_minor":375,
		"currency":"USD","description":"Not handed out","evidence":[{"type":"statement","text":"Called at 9:30","url":"https://example.com/call","facts":{"minute":4}}],
		"history":[{"type":"opened","note":null}],"resolution":null,"opened_at":"$time","due_at":"$time","resolved_at":null}`)
	s.refused(s.manage("/disputes", body), http.StatusConflict, "STATE_CONFLICT")
	s.is(s.expect(s.manage("/disputes?state=open&transaction_id="+transaction, nil), http.StatusOK), "list", `{"disputes":[{"dispute_id":"`+id+`","state":"open"}]}`)
	s.refused(s.manage("/disputes?cursor=bm9uZQ", nil), http.StatusBadRequest, "CURSOR_INVALID")
	s.refused(open(t).manage("/disputes/"+id, nil), http.StatusNotFound, "NOT_FOUND")

	path := "/disputes/" + id + "/resolve"
	s.refused(s.manage(path, object{"outcome": "customer", "amount_minor": 376}), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	s.refused(s.manage(path, object{"outcome": "merchant", "amount_minor": 1}), http.StatusBadRequest, "VALIDATION_FAILED")
	a = s.expect(s.twice(path, object{"outcome": "customer", "note": "Agreed"}), http.StatusOK)
	s.is(a, "resolved", `{"dispute_id":"`+id+`","state":"resolved","history":[{"type":"opened"},{"type":"resolved","note":"Agreed"}],
		"resolution":{"outcome":"customer","refunded_actual_minor":375,"refunded_promo_minor":0,"forfeited_promo_minor":0,"entry_ids":["$id:ent_"],"note":"Agreed"},"resolved_at":"$time"}`)
	s.refused(s.manage(path, object{"outcome": "merchant"}), http.StatusConflict, "STATE_CONFLICT")
	s.is(s.get("/payments/"+payment), "payment", `{"status":"partially_refunded","refunded_minor":375}`)
	over, err := s.rpc().transactions.GetDispute(t.Context(), &partnerv1.GetDisputeRequest{DisputeId: id})
	if err != nil || over.GetState() != "resolved" || len(over.GetEvidence()) != 1 {
		t.Errorf("over Connect: %v, %v", over, err)
	}

	cash := s.expect(s.post("/checkout/sessions/"+s.filled()+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}}), http.StatusOK)
	other := s.expect(s.manage("/disputes", object{"transaction_id": cash.text("data.transaction.transaction_id"), "reason": "other"}), http.StatusCreated)
	s.refused(s.manage("/disputes/"+other.text("data.dispute_id")+"/resolve", object{"outcome": "customer"}), http.StatusUnprocessableEntity, "REFUND_EXCEEDS_PAYMENT")
	for kind, n := range map[string]int{"dispute.opened": 2, "dispute.resolved": 1} {
		if got := s.happened(kind, ""); got != n {
			t.Errorf("%d %s", got, kind)
		}
	}
}
