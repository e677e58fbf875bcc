package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// bill is the body of a payment outside of sessions.
func bill(minor int64, credential object) object {
	return object{"amount_minor": minor, "currency": "USD", "credential": credential}
}

func byPhone(g guest) object { return object{"credential_type": "phone", "value": g.phone} }

// happened is how many events of a type the log has about a subject; any
// subject where it is empty.
func (s *shop) happened(kind, subject string) (n int) {
	s.t.Helper()
	for _, e := range s.events() {
		if shape.At(e, "type") == kind && (subject == "" || shape.At(e, "subject") == subject) {
			n++
		}
	}
	return n
}

// A phone pays in two legs: 202 and a code, then the capture.
func TestOneTimeCodePayment(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 1000) // and 50 on top
	a := s.expect(s.post("/payments", bill(600, byPhone(g))), http.StatusAccepted)
	s.is(a, "first leg", `{"payment_id":"$id:pay_","status":"requires_capture","amount_minor":600,"debited_promo_minor":0,"debited_actual_minor":0,
		"currency":"USD","session_id":null,"promo_sources":[],"sandbox":{"code":"$string"},"expires_at":"$time","attempts_left":5,"captured_at":null,
		"balance":{"actual_minor":1000,"promo_available_minor":50}}`)
	payment, code := a.text("data.payment_id"), a.text("data.sandbox.code")
	if n := s.happened("payment.authorized", payment); n != 1 {
		t.Errorf("%d payment.authorized", n)
	}

	path := "/payments/" + payment + "/capture"
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	a = s.refused(s.post(path, object{"code": wrong}), http.StatusUnprocessableEntity, "VERIFICATION_FAILED")
	if retryable, _ := a.at("error.retryable").(bool); retryable {
		t.Errorf("a wrong code is retryable: %s", a.Raw)
	}
	s.is(s.get("/payments/"+payment), "after a wrong code", `{"status":"requires_capture","attempts_left":4,"debited_actual_minor":0}`)

	key := uuid.NewString()
	first := s.expect(s.do(request{path: path, key: key, body: object{"code": code}}), http.StatusOK)
	s.is(first, "second leg", `{"payment_id":"`+payment+`","status":"succeeded","amount_minor":600,"debited_promo_minor":50,"debited_actual_minor":550,
		"promo_sources":[{"amount_minor":50}],"balance":{"actual_minor":450,"promo_available_minor":0},"captured_at":"$time","attempts_left":null}`)
	again := s.expect(s.do(request{path: path, key: key, body: object{"code": code}}), http.StatusOK)
	if !bytes.Equal(fresh(again.Raw), first.Raw) {
		t.Errorf("%s\nand again\n%s", first.Raw, again.Raw)
	}
	s.refused(s.post(path, object{"code": code}), http.StatusConflict, "STATE_CONFLICT")
	read := s.manage("/payments/"+payment, nil)
	s.is(read, "read by key", `{"payment_id":"`+payment+`","status":"succeeded","debited_promo_minor":50,"debited_actual_minor":550}`)
	if read.at("data.sandbox") != nil {
		t.Errorf("the code shows on: %s", read.Raw)
	}
	if n := s.happened("payment.succeeded", payment); n != 1 {
		t.Errorf("%d payment.succeeded", n)
	}
}

// Codes can be tried five times; the cap holds although rate limits are off.
func TestOneTimeCodeAttempts(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 1000)
	a := s.expect(s.post("/payments", bill(600, byPhone(g))), http.StatusAccepted)
	path, code := "/payments/"+a.text("data.payment_id")+"/capture", a.text("data.sandbox.code")
	wrong := func(i int) string {
		if text := fmt.Sprintf("%06d", i); text != code {
			return text
		}
		return "999999"
	}
	for i := range 4 {
		s.refused(s.post(path, object{"code": wrong(i)}), http.StatusUnprocessableEntity, "VERIFICATION_FAILED")
	}
	a = s.refused(s.post(path, object{"code": wrong(4)}), http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.refused(s.post(path, object{"code": code}), http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED")
	s.is(s.balance(g), "balance", `{"actual_minor":1000,"promo_available_minor":50}`)

	_, begun := s.enrol("+14155550124")
	enrollment, code := begun.text("data.enrollment_id"), begun.text("data.sandbox.code")
	for i := range 5 {
		a := s.refused(s.post("/enroll/verify", object{"enrollment_id": enrollment, "code": wrong(i)}), http.StatusUnprocessableEntity, "VERIFICATION_FAILED")
		want(t, "details", fmt.Sprintf(`[{"field":"code"},{"field":"attempts_left","message":"%d"}]`, 4-i), a.at("error.details"))
	}
	s.refused(s.post("/enroll/verify", object{"enrollment_id": enrollment, "code": code}), http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED")
}

// A capture that finds too little money is declined like any payment; the code
// stays good.
func TestOneTimeCodeDecline(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	a := s.expect(s.post("/payments", bill(600, byPhone(g))), http.StatusAccepted)
	path, code := "/payments/"+a.text("data.payment_id")+"/capture", object{"code": a.text("data.sandbox.code")}
	a = s.refused(s.post(path, code), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
	want(t, "decline", `{"data":null,"error":{"retryable":true,"recovery":{"shortfall_minor":600}},"meta":{"decision_trace_id":"$id:dt_"}}`, a.Body)
	s.fund(g, 600)
	s.is(s.expect(s.post(path, code), http.StatusOK), "capture", `{"status":"succeeded","debited_actual_minor":600,"balance":{"actual_minor":0}}`)
}

// A short code is five characters, identifies and pays, once.
func TestShortCode(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	code, spare := s.mint(g, "short_code"), s.mint(g, "short_code")
	if value, _ := code["value"].(string); len(value) != 5 || code["credential_type"] != "short_code" {
		t.Errorf("minted %v", code)
	}
	// Neither identifying nor a balance check nor a decline uses it up.
	for range 2 {
		s.is(s.post("/identify", object{"credential": code}), "identify", `{"status":"identified","customer_context":{"customer_id":"`+g.id+`"}}`)
		s.is(s.post("/redeem/balance-check", object{"credential": code}), "balance check", `{"spendable":{"actual_minor":900,"promo_available_minor":0}}`)
		s.refused(s.post("/payments", bill(901, code)), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
	}
	s.is(s.expect(s.post("/payments", bill(15, code)), http.StatusCreated), "payment", `{"status":"succeeded","debited_actual_minor":15,"credential_type":"short_code"}`)
	s.refused(s.post("/payments", bill(15, code)), http.StatusGone, "CREDENTIAL_USED")
	s.refused(s.post("/payments", bill(1, code)), http.StatusGone, "CREDENTIAL_USED")
	// Minting again left the earlier one usable, and the other way.
	s.expect(s.post("/payments", bill(15, spare)), http.StatusCreated)
	s.is(s.balance(g), "balance", `{"actual_minor":870}`)
}

// A code that identified a session pays in that session and nowhere else.
func TestCodeBindsToItsSession(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	code := s.mint(g, "short_code")
	id, other := s.session(), s.session()
	s.is(s.post("/checkout/sessions/"+id+"/identify", object{"credential": code}), "identify",
		`{"status":"identified","session":{"identity":{"customer_id":"`+g.id+`","credential_type":"short_code","state":"VERIFIED","probationary":false}}}`)
	s.refused(s.post("/payments", bill(100, code)), http.StatusConflict, "STATE_CONFLICT")
	for _, session := range []string{id, other} {
		s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	}
	in := func(session string) object {
		body := bill(100, code)
		body["session_id"] = session
		return body
	}
	s.refused(s.post("/payments", in(other)), http.StatusConflict, "STATE_CONFLICT")
	s.expect(s.post("/payments", in(id)), http.StatusCreated)
}

// A code past its time is 410 CREDENTIAL_EXPIRED and pays nothing. The test
// lets the time pass in the database.
func TestExpiredCode(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	for _, kind := range []string{"qr", "short_code"} {
		code := s.mint(g, kind)
		execute(t, "update payment_codes set expires_at = now() - interval '1 second' where customer_id = $1 and used_at is null", g.id)
		s.refused(s.post("/payments", bill(100, code)), http.StatusGone, "CREDENTIAL_EXPIRED")
		s.refused(s.post("/identify", object{"credential": code}), http.StatusGone, "CREDENTIAL_EXPIRED")
		s.refused(s.post("/redeem/balance-check", object{"credential": code}), http.StatusGone, "CREDENTIAL_EXPIRED")
	}
	s.is(s.balance(g), "balance", `{"actual_minor":900}`)
}

// execute changes the shared server's database behind its back: the only way
// to let time pass.
func execute(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), system.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	tag, err := conn.Exec(t.Context(), sql, args...)
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
	}
}

// An unproven guest earns, locked; deposits count at once (rule 28); QR does
// not pay; the one-time code does, and proves the phone.
func TestUnverifiedGuest(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, _ := s.enrol("+14155550123")
	s.fund(g, 2500)
	s.is(s.balance(g), "after the top-up", `{"actual_minor":2500,"promo_available_minor":0,"promo_locked_minor":250,"promo_grants":[{"source":"RELOAD_BONUS","state":"LOCKED"}]}`)
	s.is(s.get("/customers/lookup?phone=%2B14155550123"), "lookup", `{"status":"pending_proof","customer":{"customer_id":"`+g.id+`","state":"PENDING_PROOF"}}`)

	qr := s.mint(g, "qr")
	s.refused(s.post("/payments", bill(100, qr)), http.StatusForbidden, "IDENTITY_PROBATIONARY")
	s.is(s.balance(g), "after the refusal", `{"actual_minor":2500,"promo_locked_minor":250}`)

	// LOCKED promo does not count (rule 19): the decline says so.
	a := s.expect(s.post("/payments", bill(2600, byPhone(g))), http.StatusAccepted)
	s.expect(s.post("/payments", bill(1000, byPhone(g))), http.StatusAccepted)
	a = s.do(request{path: "/payments/" + a.text("data.payment_id") + "/capture", body: object{"code": a.text("data.sandbox.code")}})
	// The code proves the phone, which releases the bonus: now it suffices.
	s.is(s.expect(a, http.StatusOK), "capture", `{"status":"succeeded","debited_promo_minor":250,"debited_actual_minor":2350,"balance":{"actual_minor":150,"promo_available_minor":0,"promo_locked_minor":0}}`)
	s.is(s.get("/customers/lookup?phone=%2B14155550123"), "lookup", `{"status":"registered","customer":{"state":"VERIFIED"}}`)
	if n := s.happened("enrollment.verified", ""); n != 2 { // the seeded guest's and this one's
		t.Errorf("%d enrollment.verified", n)
	}
	s.expect(s.post("/payments", bill(100, qr)), http.StatusCreated)
}

// Cashback accrues for any tender (rule 27), locked until the phone is proven;
// the proof releases it.
func TestCashbackOfAnUnverifiedGuest(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, begun := s.enrol("+14155550123")
	id := s.session()
	s.ok(request{path: "/checkout/sessions/" + id + "/identify", body: object{"credential": byPhone(g)}})
	s.ok(request{path: "/checkout/sessions/" + id + "/basket", body: basket()})
	a := s.expect(s.post("/checkout/sessions/"+id+"/close", object{"tenders": []object{
		{"type": "cash", "amount_minor": 275}, {"type": "card", "amount_minor": 1000, "card_scheme": "visa", "card_last_four": "4242", "reference": "a-1"},
	}}), http.StatusOK)
	s.is(a, "close", `{"transaction":{"total_minor":1275,"tenders":[{"type":"cash","amount_minor":275},{"type":"card","amount_minor":1000}]},
		"decisions":[{"kind":"cashback","grant":{"source":"CASHBACK","amount_minor":63,"state":"LOCKED"}},{"kind":"attribution"}]}`)
	s.is(s.balance(g), "balance", `{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":63}`)
	s.is(s.get("/customers/lookup?phone=%2B14155550123"), "lookup", `{"status":"pending_proof","unclaimed_cashback":{"amount_minor":63}}`)

	// A claim changes none of the conditions (rule 34).
	s.is(s.expect(s.manage("/claims", object{"customer_id": g.id}), http.StatusCreated), "claim", `{"released_grants":[],"locked_grants":[{"grant":{"amount_minor":63,"state":"LOCKED"}}]}`)

	a = s.expect(s.post("/enroll/verify", object{"verification_token": begun.text("data.sandbox.verification_token")}), http.StatusOK)
	s.is(a, "verify", `{"customer_id":"`+g.id+`","state":"VERIFIED","released_grants":[{"source":"CASHBACK","state":"RELEASED","amount_minor":63}]}`)
	s.is(s.balance(g), "balance", `{"promo_available_minor":63,"promo_locked_minor":0}`)
	// The proof works once.
	a = s.post("/enroll/verify", object{"verification_token": begun.text("data.sandbox.verification_token")})
	if a.Status != http.StatusGone && a.Status != http.StatusOK {
		t.Errorf("the token again: %d %s", a.Status, a.Raw)
	}
	if n := len(s.eventsOf("grant.released")); n != 1 {
		t.Errorf("%d grant.released", n)
	}
}

func (s *shop) eventsOf(kind string) (out []any) {
	s.t.Helper()
	for _, e := range s.events() {
		if shape.At(e, "type") == kind {
			out = append(out, e)
		}
	}
	return out
}

// A payment without a session is its own transaction, decided after the answer.
func TestPaymentWithoutSession(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	a := s.expect(s.post("/payments", bill(800, s.mint(g, "qr"))), http.StatusCreated)
	s.is(a, "payment", `{"session_id":null,"debited_actual_minor":800,"balance":{"actual_minor":100,"promo_available_minor":0}}`)
	eventually(t, func() error {
		if got := s.balance(g); fmt.Sprint(got.at("data.promo_available_minor")) != "40" {
			return fmt.Errorf("no cashback of 5 %% yet: %s", got.Raw)
		}
		return nil
	})
	list := s.expect(s.get("/"+s.made.text("data.integration_id")+"/transactions"), http.StatusOK)
	s.is(list, "transactions", `{"transactions":[{"transaction_id":"$id:txn_","status":"completed","session_id":null,"customer":{"customer_id":"`+g.id+`"},"total_minor":800,"cashback_minor":40,"tender_types":["wallet"]}]}`)
	s.is(s.get("/payments/"+a.text("data.payment_id")), "payment", `{"transaction_id":"`+list.text("data.transactions.0.transaction_id")+`"}`)
	if n := s.happened("transaction.created", ""); n != 1 {
		t.Errorf("%d transaction.created", n)
	}
}

// The rules of a tender.
func TestPaymentsInSessions(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, h := s.verified("+14155550123"), s.verified("+14155550124")
	s.fund(g, 5000)
	s.fund(h, 5000)
	id := s.session()
	in := func(minor int64, g guest) *answer {
		body := bill(minor, s.mint(g, "qr"))
		body["session_id"] = id
		return s.post("/payments", body)
	}
	// Nothing is due without a basket.
	s.refused(in(100, g), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	s.ok(request{path: "/checkout/sessions/" + id + "/basket", body: basket()})
	s.refused(in(1276, g), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	// An unidentified session takes the payer's identity.
	s.expect(in(500, g), http.StatusCreated)
	s.is(s.get("/checkout/sessions/"+id), "session", `{"session":{"identity":{"customer_id":"`+g.id+`"},"paid_minor":500,"due_minor":775}}`)
	s.refused(in(100, h), http.StatusConflict, "STATE_CONFLICT")
	s.refused(in(776, g), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	s.refused(s.post("/checkout/sessions/"+id+"/abandon", object{"reason": "customer_left"}), http.StatusConflict, "STATE_CONFLICT")
	s.tendersOf(id)
	s.refused(in(100, g), http.StatusGone, "SESSION_ENDED")
	for path, body := range map[string]object{
		"/identify": {"credential": byPhone(g)}, "/basket": basket(), "/abandon": {}, "/close": {"tenders": []object{}},
	} {
		s.refused(s.post("/checkout/sessions/"+id+path, body), http.StatusGone, "SESSION_ENDED")
	}
	s.refused(s.get("/checkout/sessions/"+id+"/offers"), http.StatusGone, "SESSION_ENDED")
	s.is(s.balance(h), "the other wallet", `{"actual_minor":5000}`)
}

// tendersOf closes a session that holds a wallet payment of 500 on a total of
// 1275, after every way to get the tenders wrong.
func (s *shop) tendersOf(id string) {
	s.t.Helper()
	payment := ""
	for _, e := range s.eventsOf("payment.succeeded") {
		payment, _ = shape.At(e, "data.payment_id").(string)
	}
	wallet := object{"type": "wallet", "amount_minor": 500, "payment_id": payment}
	closing := func(tenders ...object) *answer {
		return s.post("/checkout/sessions/"+id+"/close", object{"tenders": tenders})
	}
	for _, tenders := range [][]object{
		{}, {wallet}, {wallet, {"type": "cash", "amount_minor": 774}}, {wallet, {"type": "cash", "amount_minor": 776}},
		{{"type": "cash", "amount_minor": 1275}}, {{"type": "wallet", "amount_minor": 1275, "payment_id": payment}},
		{wallet, wallet, {"type": "cash", "amount_minor": 275}},
	} {
		s.refused(closing(tenders...), http.StatusUnprocessableEntity, "TENDERS_MISMATCH")
	}
	a := s.expect(closing(wallet, object{"type": "cash", "amount_minor": 775}), http.StatusOK)
	s.is(a, "close", `{"session":{"state":"closed"},"transaction":{"total_minor":1275,"tenders":[{"type":"wallet","amount_minor":500},{"type":"cash","amount_minor":775}]},
		"decisions":[{"kind":"cashback","grant":{"amount_minor":63}},{"kind":"attribution"}]}`)
}

// Offers follow the basket: a revision that no longer fits gives them back.
func TestOffersFollowTheBasket(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	revise := func(expected int, lines ...object) *answer {
		return s.post("/checkout/sessions/"+s.held+"/basket", object{"expected_revision": expected, "lines": lines})
	}
	lattes := func(n int) object {
		return object{"line_id": "1", "sku": "LATTE", "category": "coffee", "quantity": n, "unit_price_minor": 450}
	}
	a := s.refused(revise(0, lattes(1)), http.StatusConflict, "REVISION_CONFLICT")
	if !bytes.Contains(a.Raw, []byte(`"1"`)) && !bytes.Contains(a.Raw, []byte(" 1")) {
		t.Errorf("the conflict does not name the current revision: %s", a.Raw)
	}
	s.is(s.expect(revise(1, lattes(3)), http.StatusOK), "three lattes", `{"basket":{"revision":2,"total_minor":1350},"session":{"total_minor":1200,"discount_minor":150}}`)
	s.is(s.expect(revise(2, object{"line_id": "9", "sku": "TEA", "quantity": 1, "unit_price_minor": 300}), http.StatusOK), "no latte",
		`{"basket":{"revision":3,"total_minor":300},"session":{"total_minor":300,"discount_minor":0}}`)
	if n := s.happened("offer.released", ""); n != 1 {
		t.Errorf("%d offer.released", n)
	}
	s.refused(s.post("/offers/"+s.ids["offer"]+"/apply", object{"session_id": s.held}), http.StatusUnprocessableEntity, "OFFER_NOT_ELIGIBLE")
	// The feed of one revision is one decision: asked again it is the same.
	one, two := s.get("/checkout/sessions/"+s.ids["session"]+"/offers"), s.get("/checkout/sessions/"+s.ids["session"]+"/offers")
	if one.text("meta.decision_trace_id") == "" || one.text("meta.decision_trace_id") != two.text("meta.decision_trace_id") {
		t.Errorf("two traces for one feed: %s %s", one.text("meta.decision_trace_id"), two.text("meta.decision_trace_id"))
	}
	if n := s.happened("decision.made", s.ids["session"]); n != 1 {
		t.Errorf("%d decision.made for one feed", n)
	}
}

// A settlement reference credits once, under whatever key and for whatever
// top-up (rule 40).
func TestSettlementReferencesCreditOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	prepare := func() string {
		return s.ok(request{path: "/topup/prepare", body: object{"customer_id": g.id, "amount_minor": 900, "currency": "USD"}}).text("data.topup_id")
	}
	one, two := prepare(), prepare()
	confirm := func(topup, reference string) *answer {
		return s.post("/topup/confirm", object{"topup_id": topup, "provider_settlement_reference": reference})
	}
	s.expect(confirm(one, "pi_1"), http.StatusOK)
	s.is(s.expect(confirm(one, "pi_1"), http.StatusOK), "again", `{"state":"COMPLETED","credited_actual_minor":900,"balance":{"actual_minor":900}}`)
	s.refused(confirm(two, "pi_1"), http.StatusConflict, "DUPLICATE_REFERENCE")
	s.refused(confirm(one, "pi_2"), http.StatusConflict, "STATE_CONFLICT")
	s.is(s.balance(g), "balance", `{"actual_minor":900,"pending_topups_minor":900}`)
	s.expect(confirm(two, "pi_2"), http.StatusOK)
	s.is(s.balance(g), "balance", `{"actual_minor":1800,"pending_topups_minor":0}`)
	if n := s.happened("topup.completed", ""); n != 2 {
		t.Errorf("%d topup.completed", n)
	}
}

// A top-up SKU credits its value and its bonus; an operator claws the bonus
// back and leaves actual alone (rules 36 and 42).
func TestSKUAndClawback(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	a := s.expect(s.post("/topup/sku/TOPUP-20", object{"customer_id": g.id, "quantity": 2}), http.StatusCreated)
	s.is(a, "SKU", `{"state":"COMPLETED","source":"sku","sku_id":"TOPUP-20","credited_actual_minor":4000,"bonus_grant":{"source":"SKU_BONUS","state":"RELEASED","amount_minor":400},
		"balance":{"actual_minor":4000,"promo_available_minor":400}}`)
	grant := a.text("data.bonus_grant.grant_id")
	s.expect(s.post("/payments", bill(150, s.mint(g, "qr"))), http.StatusCreated) // all promo
	s.is(s.expect(s.manage("/grants/"+grant+"/clawback", object{"reason": "fraud"}), http.StatusOK), "clawback",
		`{"grant_id":"`+grant+`","state":"CLAWED_BACK","clawed_back_minor":250,"remaining_minor":0,"balance":{"actual_minor":4000}}`)
	s.refused(s.manage("/grants/"+grant+"/clawback", object{"reason": "fraud"}), http.StatusUnprocessableEntity, "GRANT_NOT_CLAWBACKABLE")
	s.is(s.balance(g), "balance", `{"actual_minor":4000}`)
	if n := s.happened("grant.clawed_back", ""); n != 1 {
		t.Errorf("%d grant.clawed_back", n)
	}
}

// A known phone is the customer it is: 200, and no second one (rule 35).
func TestEnrolAgain(t *testing.T) {
	t.Parallel()
	s, other := open(t), open(t)
	g := s.verified("+14155550123")
	s.is(s.expect(s.post("/enroll/initiate", object{"phone": "+1 (415) 555-0123"}), http.StatusOK), "known", `{"customer_id":"`+g.id+`","state":"VERIFIED"}`)
	h, begun := s.enrol("+14155550124")
	s.is(s.expect(s.post("/enroll/initiate", object{"phone": "+14155550124"}), http.StatusOK), "pending", `{"customer_id":"`+h.id+`","state":"PENDING_PROOF","enrollment_id":"`+begun.text("data.enrollment_id")+`"}`)
	// At another enterprise the phone is another customer, whom this one does not see.
	s.is(other.get("/customers/lookup?phone=%2B14155550123"), "another enterprise", `{"status":"not_found","customer":null}`)
	if stranger, _ := other.enrol("+14155550123"); stranger.id == g.id {
		t.Error("two enterprises share a customer")
	}
	for _, phone := range []string{"12", "phone", "+999999999999999999", "+1415555012x"} {
		a := s.refused(s.post("/enroll/initiate", object{"phone": phone}), http.StatusBadRequest, "VALIDATION_FAILED")
		want(t, phone, `{"error":{"details":[{"field":"phone"}]}}`, a.Body)
	}
}
