package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// lot gives a guest promotional credit that expires then; never where at is
// the zero time.
func (s *shop) lot(g guest, budget string, minor int64, at time.Time) (grant string) {
	s.t.Helper()
	body := object{"customer_id": g.id, "source": "GOODWILL", "amount_minor": minor, "currency": "USD", "budget_id": budget}
	if !at.IsZero() {
		body["expires_at"] = at.UTC().Format(time.RFC3339)
	}
	return s.expect(s.manage("/grants", body), http.StatusCreated).text("data.grant_id")
}

// pays pays with a new code.
func (s *shop) pays(g guest, minor int64) *answer {
	s.t.Helper()
	return s.expect(s.post("/payments", bill(minor, s.mint(g, "qr"))), http.StatusCreated)
}

func TestRule14_OffersNeverDebitAWallet(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	session := s.sale(byPhone(g))
	offer := s.get("/checkout/sessions/" + session + "/offers").text("data.offers.0.offer_id")
	const full = `{"actual_minor":2500,"promo_available_minor":250,"promo_locked_minor":0}`
	for _, step := range []string{"apply", "release", "apply", "redeem"} {
		a := s.post("/offers/"+offer+"/"+step, object{"session_id": session})
		if a.Status >= 300 {
			t.Errorf("%s: %d %s", step, a.Status, a.Raw)
		}
		s.is(s.balance(g), step, full)
	}
	s.closed(session, 1175) // in cash: the offer's discount was no debit
	s.is(s.balance(g), "after the sale", `{"actual_minor":2500,"promo_available_minor":308}`)
	for _, e := range s.events() {
		if o, _ := e.(object); o["type"] == "grant.spent" || o["type"] == "payment.succeeded" {
			t.Errorf("a debit without a payment: %v", o)
		}
	}
}

func TestRule15_PromoFirstEarliestExpiry(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	budget := s.budget(10000)
	s.fund(g, 900) // below every tier: actual only
	never := s.lot(g, budget, 40, time.Time{})
	late := s.lot(g, budget, 30, time.Now().AddDate(2, 0, 0))
	soon := s.lot(g, budget, 12, time.Now().AddDate(0, 1, 0))
	second := s.lot(g, budget, 10, time.Now().AddDate(1, 0, 0))
	a := s.pays(g, 15) // too little to earn anything by
	s.is(a, "first", `{"debited_promo_minor":15,"debited_actual_minor":0,"promo_sources":[{"grant_id":"`+soon+`","amount_minor":12},{"grant_id":"`+second+`","amount_minor":3}]}`)
	a = s.pays(g, 100)
	s.is(a, "second", `{"debited_promo_minor":77,"debited_actual_minor":23,"promo_sources":[{"grant_id":"`+second+`","amount_minor":7},
		{"grant_id":"`+late+`","amount_minor":30},{"grant_id":"`+never+`","amount_minor":40}],"balance":{"actual_minor":877,"promo_available_minor":0}}`)
}

func TestRule16_TheTwoDebitsAreTheAmount(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500) // and 250
	for _, minor := range []int64{1, 100, 149, 1, 500, 999, 1000} {
		a := s.pays(g, minor)
		promo, actual := number(a.at("data.debited_promo_minor")), number(a.at("data.debited_actual_minor"))
		if promo+actual != minor || number(a.at("data.amount_minor")) != minor {
			t.Errorf("a payment of %d debits %d and %d", minor, promo, actual)
		}
		read := s.get("/payments/" + a.text("data.payment_id"))
		if number(read.at("data.debited_promo_minor")) != promo || number(read.at("data.debited_actual_minor")) != actual {
			t.Errorf("the payment reads %s", read.Raw)
		}
	}
}

// While payments that take from both classes commit, nobody ever reads a
// wallet of which one class was debited and the other not.
func TestRule17_ADebitIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	budget := s.budget(100000)
	const guests = 12
	people, codes := make([]guest, guests), make([]object, guests)
	for i := range people {
		people[i] = s.verified(fmt.Sprintf("+1415555%04d", 300+i))
		s.fund(people[i], 60)
		s.lot(people[i], budget, 40, time.Time{})
		codes[i] = s.mint(people[i], "qr")
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				a := send(t, request{method: http.MethodGet, path: "/wallets/" + people[n%guests].id + "/balance", as: s.till})
				actual, promo := number(a.at("data.actual_minor")), number(a.at("data.promo_available_minor"))
				if whole := actual == 60 && promo == 40 || actual == 0 && promo%40 != 0 || actual == 0 && promo == 0; !whole {
					t.Errorf("half a debit: %s", a.Raw)
				}
			}
		})
	}
	for _, a := range atOnce(t, guests, func(i int) request { return s.as("/payments", bill(100, codes[i])) }) {
		s.expect(a, http.StatusCreated)
	}
	close(stop)
	readers.Wait()
}

func TestRule18_AShortPaymentChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500) // and 250
	grants := func() string {
		raw, _ := marshal(s.get("/customers/" + g.id + "/grants").at("data"))
		return string(raw)
	}
	before, qr := grants(), s.mint(g, "qr")
	a := s.refused(s.post("/payments", bill(2751, qr)), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
	want(t, "recovery", `{"shortfall_minor":1}`, a.at("error.recovery"))
	s.is(s.balance(g), "balance", `{"actual_minor":2500,"promo_available_minor":250}`)
	if after := grants(); after != before {
		t.Errorf("the grants were\n%s\nand are\n%s", before, after)
	}
	s.is(s.expect(s.post("/payments", bill(2750, qr)), http.StatusCreated), "the same code", `{"balance":{"actual_minor":0,"promo_available_minor":0}}`)
}

func TestRule19_LockedAndPendingMoneyIsNotSpendable(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.gate("on_first_topup")
	g := s.verified("+14155550123")
	s.closed(s.sale(byPhone(g)), 1275) // 63 of cashback, LOCKED by the gate
	s.ok(request{path: "/topup/prepare", body: object{"customer_id": g.id, "amount_minor": 900, "currency": "USD"}})
	s.is(s.balance(g), "balance", `{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":63,"pending_topups_minor":900}`)
	qr := s.mint(g, "qr")
	a := s.refused(s.post("/payments", bill(1, qr)), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
	want(t, "recovery", `{"shortfall_minor":1,"spendable":{"actual_minor":0,"promo_available_minor":0}}`, a.at("error.recovery"))
	s.is(s.post("/redeem/balance-check", object{"credential": qr}), "balance check", `{"spendable":{"actual_minor":0,"promo_available_minor":0}}`)
}

// gate sets the shop's claim gate behind the server's back and waits until the
// server knows.
func (s *shop) gate(gate string) {
	s.t.Helper()
	execute(s.t, "update merchants set settings = jsonb_set(settings, '{claim_gate}', to_jsonb($2::text)) where merchant_id = $1", s.made.text("data.merchant_id"), gate)
	g := guest{phone: "+14155550999"}
	s.ok(request{path: "/enroll/initiate", body: object{"phone": g.phone}})
	eventually(s.t, func() error {
		if a := s.identify(byPhone(g)); a.text("data.customer_context.program.claim_gate") != gate {
			return fmt.Errorf("the gate is still another: %s", a.Raw)
		}
		return nil
	})
}

func TestRule20_OtherCredentialsDoNotPay(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	s.link(g, byPOS("pos-1"))
	s.link(g, fingerprint(4))
	for _, c := range []object{byPOS("pos-1"), fingerprint(4)} {
		a := s.refused(s.post("/payments", bill(crumb, c)), http.StatusBadRequest, "UNSUPPORTED_CREDENTIAL_TYPE")
		want(t, "details", `[{"field":"credential.credential_type"}]`, a.at("error.details"))
	}
	a := s.post("/payments", bill(crumb, object{"credential_type": "pass_tap", "value": "x"}))
	if a.Status != http.StatusBadRequest {
		t.Errorf("a credential nobody knows: %d %s", a.Status, a.Raw)
	}
	s.is(s.balance(g), "balance", `{"actual_minor":900}`)
}

func TestRule21_CaptureIsTheSecondLegAndNoHold(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	waiting := s.expect(s.post("/payments", bill(800, byPhone(g))), http.StatusAccepted)
	s.is(waiting, "first leg", `{"status":"requires_capture","debited_actual_minor":0,"balance":{"actual_minor":900}}`)
	paid := s.pays(g, 500) // nothing was held
	capture := func(a *answer, code any) *answer {
		return s.post("/payments/"+a.text("data.payment_id")+"/capture", object{"code": code})
	}
	s.refused(capture(waiting, waiting.at("data.sandbox.code")), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
	s.refused(capture(paid, "123456"), http.StatusConflict, "STATE_CONFLICT")
	body := bill(crumb, s.mint(g, "qr"))
	body["capture"] = false
	s.refused(s.post("/payments", body), http.StatusBadRequest, "VALIDATION_FAILED")
	s.is(s.balance(g), "balance", `{"actual_minor":400}`)
}

func TestRule22_TheClassesAreNeverSummed(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	g := s.verified("+14155550130")
	s.fund(g, 90001) // and 9000: sums that nothing else here could be
	balance := s.balance(g)
	actual, promo := number(balance.at("data.actual_minor")), number(balance.at("data.promo_available_minor"))
	if actual == 0 || promo == 0 {
		t.Fatalf("nothing to sum: %s", balance.Raw)
	}
	s.guest, s.ids["customer"] = g, g.id
	session := s.sale(byPhone(g))
	s.ids["session"] = session
	answers := []*answer{balance, s.identify(byPhone(g)), s.post("/redeem/balance-check", object{"credential": s.mint(g, "qr")}), s.lookup("phone=%2B14155550130")}
	answers = append(answers, s.refused(s.post("/payments", bill(actual+promo+1, s.mint(g, "qr"))), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS"))
	for _, op := range callable(t, http.MethodGet) {
		if strings.Contains(op.Path, "{customerId}") || op.Path == "/checkout/sessions/{id}" {
			answers = append(answers, s.do(request{method: http.MethodGet, path: s.path(op), as: s.caller(op)}))
		}
	}
	if len(answers) < 12 {
		t.Errorf("only %d answers", len(answers))
	}
	for _, a := range answers {
		members(a.Body, func(name string, value any) {
			// What a payment could take is an amount, as it is of every payment.
			if number(value) == actual+promo && name != "affordable_minor" && name != "wallet_minor" {
				t.Errorf("%s is the sum of both classes: %s", name, clip(a.Raw))
			}
		})
	}
}

// Whatever happens to promotional credit, the deposits of a wallet are what was
// topped up less what was debited from them.
func TestRule23_PromoIsNeverCash(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500) // and 250
	budget := s.budget(10000)
	clawed := s.lot(g, budget, 70, time.Time{})
	s.expect(s.manage("/grants/"+clawed+"/clawback", object{"reason": "mistake"}), http.StatusOK)
	lapsed := s.lot(g, budget, 90, time.Now().AddDate(0, 0, 2))
	execute(t, "update grants set expires_at = now() - interval '1 second' where grant_id = $1", lapsed)
	eventually(t, func() error {
		if a := s.manage("/grants/"+lapsed, nil); a.text("data.state") != "EXPIRED" {
			return fmt.Errorf("the lot is still %s", a.Raw)
		}
		return nil
	})
	s.is(s.balance(g), "after clawback and expiry", `{"actual_minor":2500,"promo_available_minor":250}`)
	a := s.pays(g, 300)
	s.is(a, "payment", `{"debited_promo_minor":250,"debited_actual_minor":50,"balance":{"actual_minor":2450}}`)
	back := s.do(request{path: "/refund/create", as: s.key, key: uuid.NewString(), body: object{"payment_id": a.text("data.payment_id"), "amount_minor": 300, "reason": "returned"}})
	if back.code() != "NOT_IMPLEMENTED" {
		s.expect(back, http.StatusCreated)
		s.is(s.balance(g), "after the refund", `{"actual_minor":2500}`) // and the promo is promo again
	}
}
