package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// mac is how both providers sign: HMAC-SHA256 of "timestamp.body".
func mac(secret string, body []byte) (timestamp string, sum []byte) {
	timestamp = fmt.Sprint(time.Now().Unix())
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(timestamp + "."))
	h.Write(body)
	return timestamp, h.Sum(nil)
}

// callback is a stripe callback of a deposit, signed with the secret that a
// partner derives for a top-up.
func callback(t *testing.T, topup, reference string, amount int64, currency string) request {
	t.Helper()
	return signedBy(t, "sandbox_whsec_"+topup, topup, reference, amount, currency)
}

// signedBy is a stripe callback of a deposit. No API key, no Idempotency-Key.
func signedBy(t *testing.T, secret, topup, reference string, amount int64, currency string) request {
	t.Helper()
	body, err := json.Marshal(object{"id": "evt_1", "type": "payment_intent.succeeded", "data": object{"object": object{
		"id": reference, "amount_received": amount, "currency": currency, "metadata": object{"topup_id": topup},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	timestamp, sum := mac(secret, body)
	return request{path: "/topup/providers/stripe/webhook", body: body, header: map[string]string{
		"Stripe-Signature": "t=" + timestamp + ",v1=" + hex.EncodeToString(sum), "Idempotency-Key": "",
	}}
}

func (s *shop) prepare(g guest, amount int) string {
	s.t.Helper()
	a := s.expect(s.post("/topup/prepare", object{"customer_id": g.id, "amount_minor": amount, "currency": "USD"}), http.StatusCreated)
	return a.text("data.topup_id")
}

func TestProviderWebhook(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	top := s.prepare(g, 2500)
	reference := "pi_" + uuid.NewString()
	unsigned := callback(t, top, reference, 2500, "usd")
	unsigned.header["Stripe-Signature"] = ""
	s.refused(send(t, unsigned), http.StatusUnauthorized, "SIGNATURE_INVALID")
	forged := callback(t, top, reference, 2500, "usd")
	forged.body = append(forged.body.([]byte), ' ')
	s.refused(send(t, forged), http.StatusUnauthorized, "SIGNATURE_INVALID")
	elsewhere := callback(t, top, reference, 2500, "usd")
	elsewhere.path = "/topup/providers/paypal/webhook"
	s.refused(send(t, elsewhere), http.StatusNotFound, "NOT_FOUND")
	s.is(s.expect(send(t, callback(t, top, reference, 2400, "usd")), http.StatusOK), "another amount", `{"received":true,"topup_id":"`+top+`","result":"amount_differs"}`)
	s.is(s.expect(send(t, callback(t, "top_none", reference, 2500, "usd")), http.StatusOK), "unknown", `{"received":true,"topup_id":null,"result":"unmatched"}`)
	s.is(s.balance(g), "balance", `{"actual_minor":0,"pending_topups_minor":2500}`)

	// Rule 40: callbacks and confirms at once credit once.
	answers := atOnce(t, 8, func(i int) request {
		if i%2 == 0 {
			return s.as("/topup/confirm", object{"topup_id": top, "provider_settlement_reference": reference})
		}
		return callback(t, top, reference, 2500, "usd")
	})
	if got := tally(answers); got["200 "] != 8 {
		t.Errorf("answers: %v", got)
	}
	s.is(s.balance(g), "balance", `{"actual_minor":2500,"pending_topups_minor":0}`)
	if n := s.happened("topup.completed", ""); n != 1 {
		t.Errorf("%d top-ups completed", n)
	}
	s.is(s.get("/topup/"+top), "the top-up", `{"state":"COMPLETED","provider_settlement_reference":"`+reference+`"}`)

	// The other provider, and the other door.
	body := []byte(`{"transaction_status":3,"transaction_number":"SD1","website_ref_no":"` + top + `","txn_amount":"25.00"}`)
	timestamp, sum := mac("sandbox_whsec_"+top, body)
	sadad := request{path: "/topup/providers/sadad/webhook", body: body, header: map[string]string{
		"X-Sadad-Timestamp": timestamp, "X-Sadad-Signature": base64.StdEncoding.EncodeToString(sum),
	}}
	s.is(s.expect(send(t, sadad), http.StatusOK), "another provider's top-up", `{"result":"unmatched"}`)
	again := callback(t, top, reference, 2500, "usd")
	over := &headers{as: credential{"Stripe-Signature", again.header["Stripe-Signature"]}}
	res, err := protocols[0].clients(over).topup.ReceiveProviderWebhook(t.Context(), &partnerv1.ReceiveProviderWebhookRequest{Provider: "stripe", Payload: again.body.([]byte)})
	if err != nil || res.GetResult() != "credited" || res.GetTopupId() != top {
		t.Errorf("over Connect: %v %v", res, err)
	}
}

func TestSettlementReport(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	one, two := s.prepare(g, 2500), s.prepare(g, 1000)
	for topup, reference := range map[string]string{one: "pi_one", two: "pi_two"} {
		s.expect(s.post("/topup/confirm", object{"topup_id": topup, "provider_settlement_reference": reference}), http.StatusOK)
	}
	s.is(s.manage("/topup/settlement?state=unsettled", nil), "before", `{"settlements":[{"state":"unsettled","reported_minor":null,"settled_at":null},{"fee_minor":0}]}`)
	line := func(reference string, gross int) object {
		return object{"provider_settlement_reference": reference, "gross_minor": gross, "fee_minor": 3, "net_minor": gross - 3, "settled_at": "2026-06-07T06:00:00Z"}
	}
	body := object{
		"provider": "stripe", "report_reference": "po_1", "currency": "USD", "period_start": "2026-06-01T00:00:00Z", "period_end": "2026-06-08T00:00:00Z",
		"lines": []object{line("pi_one", 2500), line("pi_two", 999), line("pi_none", 5), line("pi_one", 2500), line("pi_two", -1000)},
	}
	a := s.expect(s.twice("/settlement/report", body), http.StatusCreated)
	s.is(a, "report", `{"report_id":"$id:srp_","matched_count":1,"unmatched_count":1,"amount_differs_count":1,"duplicate_count":1,"chargeback_count":1,
		"already_settled_count":0,"matched_gross_minor":2500,"matched_fee_minor":3,"matched_net_minor":2497,"gross_minor":5004,"currency":"USD","lines":[
		{"result":"matched","topup_id":"`+one+`","gross_minor":2500,"ledger_minor":2500,"difference_minor":0},
		{"result":"amount_differs","topup_id":"`+two+`","gross_minor":999,"ledger_minor":1000,"difference_minor":-1},
		{"result":"unmatched","topup_id":null,"ledger_minor":null,"difference_minor":null},{"result":"duplicate"},{"result":"chargeback"}]}`)
	s.refused(s.manage("/settlement/report", body), http.StatusConflict, "DUPLICATE_REFERENCE")
	s.refused(s.post("/settlement/report", body), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	body["lines"] = []object{{"provider_settlement_reference": "pi_one", "gross_minor": 2500, "fee_minor": 3, "net_minor": 2500, "settled_at": "2026-06-07T06:00:00Z"}}
	s.refused(s.manage("/settlement/report", body), http.StatusBadRequest, "VALIDATION_FAILED")
	s.is(s.manage("/topup/settlement?state=differs", nil), "differs", `{"settlements":[{"topup_id":"`+two+`","amount_minor":1000,"reported_minor":999}]}`)

	settle := object{"bank_reference": "B1", "currency": "USD", "settled_at": "2026-06-14T06:00:00Z", "lines": []object{{"topup_id": two, "fee_minor": 3}}}
	a = s.expect(s.twice("/topup/settlement", settle), http.StatusOK)
	s.is(a, "settled", `{"gross_minor":1000,"fee_minor":3,"net_minor":997,"settlements":[{"topup_id":"`+two+`","state":"settled","bank_reference":"B1"}]}`)
	settle["lines"] = []object{{"topup_id": one, "fee_minor": 3}}
	s.refused(s.manage("/topup/settlement", settle), http.StatusConflict, "STATE_CONFLICT")
	s.refused(open(t).manage("/topup/settlement", settle), http.StatusNotFound, "NOT_FOUND")
	if n := s.happened("topup.settled", ""); n != 2 {
		t.Errorf("%d top-ups settled", n)
	}
	page := s.manage("/topup/settlement?limit=1", nil)
	next := s.manage("/topup/settlement?limit=1&cursor="+page.text("meta.next_cursor"), nil)
	if page.text("data.settlements.0.topup_id") == next.text("data.settlements.0.topup_id") || next.text("meta.next_cursor") != "" {
		t.Errorf("%s\nand then %s", page.Raw, next.Raw)
	}
}

// What a shop does is in its open batches, and its own books agree with it.
func TestSettlementsAndReconciliation(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 5000)
	paid := s.expect(s.post("/payments", bill(crumb, s.mint(g, "qr"))), http.StatusCreated).text("data.payment_id")
	totals := []object{{"item": "payments", "amount_minor": crumb, "count": 1}, {"item": "topups", "amount_minor": 5000, "count": 1}}
	body := object{
		"context":  object{"merchant_id": s.made.text("data.merchant_id")}, // deposits outside of sessions belong to no branch
		"currency": "USD", "period_start": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "period_end": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"totals": totals,
	}
	var a *answer
	eventually(t, func() error {
		if a = s.expect(s.manage("/reconciliation", body), http.StatusCreated); a.text("data.state") != "matched" {
			return fmt.Errorf("%s", a.Raw)
		}
		return nil
	})
	s.is(a, "run", `{"run_id":"$id:rec_","complete":false,"differences":[],"differences_count":0,"lines":[{"item":"payments","ledger_minor":19,"difference_minor":0,"result":"matched"},{"result":"matched"}]}`)
	s.is(s.manage("/reconciliation/"+a.text("data.run_id"), nil), "read", `{"state":"matched","lines":[{"ledger_count":1},{"ledger_minor":5000}]}`)
	s.refused(open(t).manage("/reconciliation/"+a.text("data.run_id"), nil), http.StatusNotFound, "NOT_FOUND")

	body["entries"] = []object{{"item": "payments", "reference_id": paid, "amount_minor": 20}, {"item": "topups", "reference_id": "top_none", "amount_minor": 1}}
	run := s.expect(s.twice("/reconciliation", body), http.StatusCreated)
	s.is(run, "large", `{"state":"running","lines":[],"completed_at":null}`)
	eventually(t, func() error {
		if a = s.manage("/reconciliation/"+run.text("data.run_id"), nil); a.text("data.state") == "running" {
			return fmt.Errorf("%s", a.Raw)
		}
		return nil
	})
	s.is(a, "differences", `{"state":"differs","differences_count":3,"differences":[
		{"item":"payments","reference_id":"`+paid+`","result":"differs","partner_minor":20,"ledger_minor":19,"difference_minor":1},{"item":"topups"},{"item":"topups"}]}`)
	body["period_end"] = body["period_start"]
	s.refused(s.manage("/reconciliation", body), http.StatusBadRequest, "VALIDATION_FAILED")

	list := s.expect(s.manage("/settlements?state=open", nil), http.StatusOK)
	batches, _ := list.at("data.settlements").([]any)
	credited, debited, lines := int64(0), int64(0), 0
	for i := range batches {
		batch := s.expect(s.manage("/settlements/"+list.text(fmt.Sprintf("data.settlements.%d.settlement_id", i)), nil), http.StatusOK)
		rows, _ := batch.at("data.lines").([]any)
		lines += len(rows)
		totals, _ := batch.at("data.totals").([]any)
		for _, row := range totals {
			switch total, _ := row.(object); total["money_class"] {
			case "actual":
				credited += number(total["credited_minor"])
			case "promo": // the guest pays with the reload bonus
				debited += number(total["debited_minor"])
			}
		}
	}
	if credited != 5000 || debited != crumb || lines < 2 {
		t.Errorf("the batches have %d lines, %d in and %d out: %s", lines, credited, debited, list.Raw)
	}
	s.refused(open(t).manage("/settlements/"+list.text("data.settlements.0.settlement_id"), nil), http.StatusNotFound, "NOT_FOUND")
	s.refused(s.get("/settlements"), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	if n := s.happened("reconciliation.completed", ""); n < 2 {
		t.Errorf("%d runs completed", n)
	}
}
