package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// ask reads one value of the shared server's database.
func ask[T any](t *testing.T, sql string, args ...any) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), system.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// prove proves the phone of an enrolment.
func (s *shop) prove(begun *answer) *answer {
	s.t.Helper()
	return s.ok(request{path: "/enroll/verify", body: object{"enrollment_id": begun.text("data.enrollment_id"), "code": begun.text("data.sandbox.code")}})
}

// grantState is the state of a lot.
func (s *shop) grantState(id string) string {
	s.t.Helper()
	return s.expect(s.manage("/grants/"+id, nil), http.StatusOK).text("data.state")
}

var fraction = regexp.MustCompile(`"[a-z_]*_minor":(-?[0-9]*[.eE]|")`)

func TestRule24_AmountsAreIntegersOfMinorUnits(t *testing.T) {
	t.Parallel()
	amounts := 0
	members(any(system.spec.Tree), func(name string, value any) {
		schema, ok := value.(object)
		if !ok {
			return
		}
		if kind := fmt.Sprint(schema["type"]); strings.Contains(kind, "number") {
			t.Errorf("%s is a %s in the document", name, kind)
		} else if strings.HasSuffix(name, "_minor") {
			if amounts++; !strings.Contains(kind, "integer") {
				t.Errorf("%s is a %s in the document", name, kind)
			}
		}
	})
	if amounts < 50 {
		t.Errorf("the document has only %d amounts", amounts)
	}
	c := begin(t)
	c.walk()
	for _, step := range c.taken {
		if bad := fraction.Find(step.answer.Raw); bad != nil {
			t.Errorf("%s answers %s", step.op, bad)
		}
	}
}

// Cash goes to the merchant, and the books say so: a top-up is owed by the
// merchant's clearing account, and all accounts of a merchant sum to nothing.
func TestRule25_TheServiceHoldsNoMoney(t *testing.T) {
	t.Parallel()
	c := begin(t)
	c.walk()
	const of = " from postings p join merchants m using (tenant_no) where m.merchant_id = $1"
	merchant := c.made.text("data.merchant_id")
	if held := ask[int64](t, "select coalesce(sum(abs(s)), 0) from (select sum(amount_minor) s"+of+" group by class, currency) x", merchant); held != 0 {
		t.Errorf("the service holds %d", held)
	}
	if cleared := ask[int64](t, "select sum(amount_minor)"+of+" and account_name(account) = 'topup_clearing' and class_name(class) = 'actual'", merchant); cleared != -2500 && cleared != 2500 {
		t.Errorf("a top-up of 2500 clears %d", cleared)
	}
	for _, op := range system.spec.Operations() {
		for _, cash := range []string{"payout", "withdraw", "cashout", "transfer"} {
			if strings.Contains(strings.ToLower(op.ID+op.Path), cash) {
				t.Errorf("%s %s moves cash", op.ID, op.Path)
			}
		}
	}
}

func TestRule26_ALotIsReleasedByProofAndGateAlone(t *testing.T) {
	t.Parallel()
	for gate, opens := range map[string]func(s *shop, g guest){
		"on_verification":   func(*shop, guest) {},
		"on_first_topup":    func(s *shop, g guest) { s.fund(g, 100) },
		"on_first_purchase": func(s *shop, g guest) { s.closed(s.sale(byPhone(g)), 1275) },
	} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			if gate != "on_verification" {
				s.gate(gate)
			}
			budget := s.budget(100000)
			locked := func(when, lot string) {
				t.Helper()
				s.is(s.expect(s.manage("/claims", object{"customer_id": s.ownerOf(lot)}), http.StatusCreated), "claim", `{"released_grants":[]}`)
				if got := s.grantState(lot); got != "LOCKED" {
					t.Errorf("%s: the lot is %s", when, got)
				}
			}
			// The gate first, then the proof.
			g, begun := s.enrol("+14155550123")
			lot := s.lot(g, budget, 50, time.Time{})
			locked("unproven", lot)
			opens(s, g)
			locked("unproven with an open gate", lot)
			s.prove(begun)
			if got := s.grantState(lot); got != "RELEASED" {
				t.Errorf("with both conditions the lot is %s", got)
			}
			// The proof first, then the gate.
			h := s.verified("+14155550124")
			lot = s.lot(h, budget, 50, time.Time{})
			if gate == "on_verification" {
				if got := s.grantState(lot); got != "RELEASED" {
					t.Errorf("a lot of a proven guest begins %s", got)
				}
				return
			}
			locked("proven with a closed gate", lot)
			opens(s, h)
			if got := s.grantState(lot); got != "RELEASED" {
				t.Errorf("once the gate opens the lot is %s", got)
			}
		})
	}
}

func (s *shop) ownerOf(grant string) string {
	s.t.Helper()
	return s.expect(s.manage("/grants/"+grant, nil), http.StatusOK).text("data.customer_id")
}

func TestRule27_AnyTenderEarnsCashback(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i, kind := range []string{"cash", "card", "wallet"} {
		g := s.verified(fmt.Sprintf("+1415555012%d", i))
		session := s.sale(byPhone(g))
		tender := object{"type": kind, "amount_minor": 1275}
		switch kind {
		case "card":
			tender["card_scheme"], tender["card_last_four"], tender["reference"] = "visa", "4242", "a-1"
		case "wallet":
			s.expect(s.post("/topup/sku/TOPUP-20", object{"customer_id": g.id}), http.StatusCreated)
			body := bill(1275, s.mint(g, "qr"))
			body["session_id"] = session
			tender["payment_id"] = s.expect(s.post("/payments", body), http.StatusCreated).text("data.payment_id")
		}
		a := s.expect(s.post("/checkout/sessions/"+session+"/close", object{"tenders": []object{tender}}), http.StatusOK)
		s.is(a, kind, `{"decisions":[{"kind":"cashback","grant":{"source":"CASHBACK","amount_minor":63,"state":"RELEASED"}},{"kind":"attribution"}]}`)
	}
}

func TestRule28_AnUnprovenWalletTakesDepositsAndLocksPromo(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, _ := s.enrol("+14155550123")
	s.fund(g, 2500)
	s.is(s.balance(g), "after a top-up", `{"actual_minor":2500,"promo_available_minor":0,"promo_locked_minor":250}`)
	s.expect(s.post("/topup/sku/TOPUP-20", object{"customer_id": g.id}), http.StatusCreated)
	s.is(s.balance(g), "after a SKU", `{"actual_minor":4500,"promo_available_minor":0,"promo_locked_minor":450}`)
	s.closed(s.sale(byPhone(g)), 1275)
	s.is(s.balance(g), "after a sale", `{"actual_minor":4500,"promo_available_minor":0,"promo_locked_minor":513}`)
}

func TestRule29_BeginningAnEnrolmentMovesAndBindsNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.expect(s.post("/enroll/initiate", object{"phone": "+14155550123", "provider_customer_id": "pos-1"}), http.StatusCreated)
	g := guest{"+14155550123", a.text("data.customer_id")}
	s.is(s.identify(byPOS("pos-1")), "the POS id", `{"status":"not_found","customer_context":null}`)
	s.is(s.lookup("provider_customer_id=pos-1"), "the POS id", `{"status":"not_found"}`)
	s.is(s.balance(g), "balance", `{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":0,"pending_topups_minor":0,"promo_grants":[]}`)
	if n := ask[int64](t, "select count(*) from postings where owner = $1", g.id); n != 0 {
		t.Errorf("%d postings", n)
	}
}

// deferred enrols a guest who has earned something and brings a POS id.
func (s *shop) deferred(phone, pos string) (guest, *answer) {
	s.t.Helper()
	begun := s.expect(s.post("/enroll/initiate", object{"phone": phone, "provider_customer_id": pos}), http.StatusCreated)
	g := guest{phone, begun.text("data.customer_id")}
	s.closed(s.sale(byPhone(g)), 1275)
	return g, begun
}

func TestRule30_TheProofDoesEverythingOrNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	other := s.verified("+14155550124")
	s.link(other, byPOS("pos-taken"))
	g, begun := s.deferred("+14155550123", "pos-taken")
	verify := func(more object) *answer {
		body := object{"enrollment_id": begun.text("data.enrollment_id"), "code": begun.text("data.sandbox.code")}
		for name, value := range more {
			body[name] = value
		}
		return s.post("/enroll/verify", body)
	}
	wrong := "000000"
	if begun.text("data.sandbox.code") == wrong {
		wrong = "111111"
	}
	// The code is wrong; and the last effect fails, after all the others.
	for what, more := range map[string]object{"VERIFICATION_FAILED": {"code": wrong}, "CREDENTIAL_ALREADY_LINKED": nil} {
		if refused := verify(more); refused.code() != what {
			t.Errorf("answered %s, want %s", refused.Raw, what)
		}
		s.is(s.lookup("phone=%2B14155550123"), what, `{"status":"pending_proof","customer":{"state":"PENDING_PROOF"},"unclaimed_cashback":{"amount_minor":63}}`)
		s.is(s.balance(g), what, `{"promo_available_minor":0,"promo_locked_minor":63}`)
	}
	if n := len(s.eventsOf("grant.released")); n != 0 {
		t.Errorf("%d lots were released by refused proofs", n)
	}
	s.is(s.expect(verify(object{"provider_customer_id": "pos-free"}), http.StatusOK), "verify", `{"state":"VERIFIED","released_grants":[{"amount_minor":63,"state":"RELEASED"}]}`)
	s.is(s.lookup("provider_customer_id=pos-free"), "all of it", `{"status":"registered","customer":{"customer_id":"`+g.id+`","state":"VERIFIED"},"balance":{"promo_available_minor":63}}`)
}

func TestRule31_TheProvenPOSIdIdentifiesLaterOrders(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, begun := s.deferred("+14155550123", "pos-1")
	s.prove(begun)
	s.is(s.identify(byPOS("pos-1")), "identify", `{"customer_context":{"customer_id":"`+g.id+`","state":"VERIFIED"}}`)
	sold := s.closed(s.sale(byPOS("pos-1")), 1275)
	s.is(s.get("/"+s.made.text("data.integration_id")+"/transactions/"+sold.text("data.transaction.transaction_id")), "a later order", `{"customer":{"customer_id":"`+g.id+`"}}`)
}

func TestRule32_TheLinkOrTheCodeProves(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, one := s.enrol("+14155550123")
	_, two := s.enrol("+14155550124")
	s.is(s.prove(one), "by code", `{"state":"VERIFIED"}`)
	s.is(s.expect(s.post("/enroll/verify", object{"verification_token": two.text("data.sandbox.verification_token")}), http.StatusOK), "by link", `{"state":"VERIFIED"}`)
	_, three := s.enrol("+14155550125")
	for _, body := range []object{
		{}, {"enrollment_id": three.text("data.enrollment_id")}, {"code": three.text("data.sandbox.code")},
		{"verification_token": three.text("data.sandbox.verification_token"), "code": three.text("data.sandbox.code")},
	} {
		s.refused(s.post("/enroll/verify", body), http.StatusBadRequest, "VALIDATION_FAILED")
	}
	forged := three.text("data.sandbox.verification_token")
	forged = forged[:len(forged)-4] + "AAAA"
	if a := s.post("/enroll/verify", object{"verification_token": forged}); a.Status < 400 {
		t.Errorf("a forged link proves: %s", a.Raw)
	}
}

func TestRule33_ResendsAreRateLimitedAndCapped(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, begun := s.enrol("+14155550123")
	id := begun.text("data.enrollment_id")
	resend := func() *answer { return s.post("/enroll/resend", object{"enrollment_id": id}) }
	for i := range 5 {
		a := s.expect(resend(), http.StatusOK)
		s.is(a, "resend", fmt.Sprintf(`{"enrollment_id":"%s","state":"PENDING_PROOF","resends_left":%d}`, id, 4-i))
		if i < 4 {
			if a := s.refused(resend(), http.StatusTooManyRequests, "RATE_LIMITED"); number(a.Header.Get("Retry-After")) < 1 {
				t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
			}
		}
		execute(t, "update enrollments set sent_at = sent_at - interval '31 seconds', resent_at = resent_at - interval '31 seconds' where enrollment_id = $1", id)
	}
	a := s.refused(resend(), http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestRule34_AClaimReleasesWhatMayBeReleasedAndNoMore(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.gate("on_first_topup")
	g := s.verified("+14155550123")
	lot := s.lot(g, s.budget(1000), 50, time.Time{})
	claim := func() *answer { return s.expect(s.manage("/claims", object{"customer_id": g.id}), http.StatusCreated) }
	s.is(claim(), "gate closed", `{"released_grants":[],"locked_grants":[{"grant":{"grant_id":"`+lot+`","state":"LOCKED"},"reason":"CLAIM_GATE_NOT_MET"}]}`)
	// The merchant changes its mind: the lot may go, and only a claim lets it.
	s.gate("on_verification")
	if got := s.grantState(lot); got != "LOCKED" {
		t.Errorf("without a claim the lot is %s", got)
	}
	s.is(claim(), "gate open", `{"released_grants":[{"grant_id":"`+lot+`","state":"RELEASED"}],"locked_grants":[]}`)
	s.is(claim(), "again", `{"released_grants":[],"locked_grants":[]}`)
	s.is(s.balance(g), "balance", `{"promo_available_minor":50,"promo_locked_minor":0}`)
}

func TestRule35_APhoneIsOneCustomerOfOneEnterprise(t *testing.T) {
	t.Parallel()
	s, other := open(t), open(t)
	g := s.verified("+14155550123")
	for _, spelling := range []string{"+14155550123", "+1 (415) 555-0123", "+1-415-555-0123"} {
		s.is(s.expect(s.post("/enroll/initiate", object{"phone": spelling}), http.StatusOK), spelling, `{"customer_id":"`+g.id+`"}`)
	}
	h := other.verified("+14155550123")
	if g.id == h.id {
		t.Error("two enterprises share a customer")
	}
	s.fund(g, 900)
	other.is(other.balance(h), "the other's wallet", `{"actual_minor":0}`)
	other.refused(other.get("/wallets/"+g.id+"/balance"), http.StatusNotFound, "NOT_FOUND")
}

func TestRule36_ClawbackNeedsAnOperatorAndLeavesActualAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	grant := s.get("/customers/" + g.id + "/grants").text("data.grants.0.grant_id")
	path, why := "/grants/"+grant+"/clawback", object{"reason": "fraud"}
	s.refused(s.post(path, why), http.StatusForbidden, "OPERATOR_REQUIRED")
	made := s.expect(s.manage("/auth/keys", object{"scope": "enterprise", "name": "no operator"}), http.StatusCreated)
	s.refused(s.do(request{path: path, as: credential{"X-Api-Key", made.text("data.raw_key")}, body: why}), http.StatusForbidden, "OPERATOR_REQUIRED")
	s.is(s.balance(g), "refused", `{"actual_minor":2500,"promo_available_minor":250}`)
	s.expect(s.manage(path, why), http.StatusOK)
	s.is(s.balance(g), "clawed back", `{"actual_minor":2500,"promo_available_minor":0}`)
}

func (s *shop) begins(g guest, minor int64) *answer {
	s.t.Helper()
	return s.expect(s.post("/topup/prepare", object{"customer_id": g.id, "amount_minor": minor, "currency": "USD"}), http.StatusCreated)
}

func (s *shop) settles(topup *answer, reference string) *answer {
	s.t.Helper()
	return s.post("/topup/confirm", object{"topup_id": topup.text("data.topup_id"), "provider_settlement_reference": reference})
}

func TestRule37_OnlyAConfirmedTopupCredits(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	topup := s.begins(g, 2500)
	s.is(s.balance(g), "prepared", `{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":0,"pending_topups_minor":2500}`)
	if n := ask[int64](t, "select count(*) from entries where ref_id = $1", topup.text("data.topup_id")); n != 0 {
		t.Errorf("%d entries of a prepared top-up", n)
	}
	s.expect(s.settles(topup, "pi_1"), http.StatusOK)
	s.is(s.balance(g), "confirmed", `{"actual_minor":2500,"pending_topups_minor":0}`)
}

func TestRule38_ConfirmCreditsAndAccruesAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	topup := s.begins(g, 2500)
	s.is(topup, "prepare", `{"state":"PENDING","credited_actual_minor":0}`)
	s.is(s.expect(s.settles(topup, "pi_1"), http.StatusOK), "confirm", `{"state":"COMPLETED","credited_actual_minor":2500,"bonus_grant":{"amount_minor":250},"balance":{"actual_minor":2500,"promo_available_minor":250,"pending_topups_minor":0}}`)
	// One transaction of the database wrote both events, and so all of it.
	xids := ask[int64](t, "select count(distinct xid::text) from events e join merchants m using (tenant_no) where merchant_id = $1 and type in ('topup.completed', 'grant.released')", s.made.text("data.merchant_id"))
	if xids != 1 {
		t.Errorf("the confirm took %d transactions", xids)
	}
}

func TestRule39_TheReloadBonusIsPromo(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	a := s.expect(s.settles(s.begins(g, 2500), "pi_1"), http.StatusOK)
	s.is(a, "confirm", `{"amount_minor":2500,"credited_actual_minor":2500,"bonus_grant":{"source":"RELOAD_BONUS","amount_minor":250}}`)
	s.is(s.get("/customers/"+g.id+"/grants?source=RELOAD_BONUS"), "grants", `{"grants":[{"grant_id":"`+a.text("data.bonus_grant.grant_id")+`","amount_minor":250,"remaining_minor":250}]}`)
}

func TestRule40_ASettlementReferenceCreditsOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	one, two := s.begins(g, 900), s.begins(g, 900)
	for range 3 { // a new Idempotency-Key each time
		s.is(s.expect(s.settles(one, "pi_1"), http.StatusOK), "confirm", `{"state":"COMPLETED","credited_actual_minor":900}`)
	}
	s.refused(s.settles(two, "pi_1"), http.StatusConflict, "DUPLICATE_REFERENCE")
	s.is(s.balance(g), "balance", `{"actual_minor":900,"pending_topups_minor":900}`)
}

func TestRule41_TheServerChoosesTheProvider(t *testing.T) {
	t.Parallel()
	for currency, provider := range map[string]string{"QAR": "sadad", "USD": "stripe", "EUR": "stripe"} {
		t.Run(currency, func(t *testing.T) {
			t.Parallel()
			s := openIn(t, currency)
			g := s.verified("+14155550123")
			body := object{"customer_id": g.id, "amount_minor": 900, "currency": currency}
			s.is(s.expect(s.post("/topup/prepare", body), http.StatusCreated), currency, `{"provider":"`+provider+`"}`)
			body["provider"] = "paypal"
			a := s.refused(s.post("/topup/prepare", body), http.StatusBadRequest, "VALIDATION_FAILED")
			want(t, "details", `[{"field":"provider"}]`, a.at("error.details"))
		})
	}
}

func TestRule42_ASoldTopupSKUCreditsValueAndBonus(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	a := s.expect(s.post("/topup/sku/TOPUP-20", object{"customer_id": g.id}), http.StatusCreated)
	s.is(a, "SKU", `{"state":"COMPLETED","credited_actual_minor":2000,"bonus_grant":{"source":"SKU_BONUS","amount_minor":200},"balance":{"actual_minor":2000,"promo_available_minor":200}}`)
	s.refused(s.post("/topup/sku/NONE", object{"customer_id": g.id}), http.StatusNotFound, "NOT_FOUND")
	if got := shape.At(a.Body, "data.sku_id"); got != "TOPUP-20" {
		t.Errorf("sku_id is %v", got)
	}
}
