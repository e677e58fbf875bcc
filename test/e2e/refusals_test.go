package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// These tests get, one by one, the refusals that the contract names and that
// no scenario comes across.

// refusedAll checks refusals of terminal calls, each a path and a body.
func (s *shop) refusedAll(status int, code string, calls map[string]object) {
	s.t.Helper()
	for path, body := range calls {
		bad{path + " " + code, s.as(path, body), status, code, ""}.check(s.t)
	}
}

// A session that has ended takes nothing more, whichever operation brings it.
func TestEndedSessionsRefuse(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	ended := s.ids["session"]
	waiting := bill(100, byPhone(s.guest))
	waiting["session_id"] = ended
	leg := s.expect(s.post("/payments", waiting), http.StatusAccepted)
	s.closed(ended, 1275)
	g := s.guest.id
	s.refusedAll(http.StatusGone, "SESSION_ENDED", map[string]object{
		"/offers/" + s.ids["offer"] + "/apply": {"session_id": ended}, "/offers/" + s.ids["offer"] + "/redeem": {"session_id": ended},
		"/offers/" + s.ids["offer"] + "/release": {"session_id": ended}, "/enroll/initiate": {"phone": "+14155550140", "session_id": ended},
		"/topup/prepare":      {"customer_id": g, "amount_minor": 900, "currency": "USD", "session_id": ended},
		"/topup/sku/TOPUP-20": {"customer_id": g, "session_id": ended},
		"/payments/" + leg.text("data.payment_id") + "/capture": {"code": leg.at("data.sandbox.code")},
	})
}

// A code that was used, or is past its time, identifies nobody and opens
// nothing.
func TestSpentCodesRefuse(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	everywhere := func(code string, credential object) {
		s.refusedAll(http.StatusGone, code, map[string]object{
			"/checkout/sessions":                              {"currency": "USD", "credential": credential},
			"/checkout/sessions/" + s.session() + "/identify": {"credential": credential},
			"/redeem/balance-check":                           {"credential": credential}, "/identify": {"credential": credential},
		})
	}
	used, late := s.mint(g, "qr"), s.mint(g, "qr")
	s.expect(s.post("/payments", bill(crumb, used)), http.StatusCreated)
	everywhere("CREDENTIAL_USED", used)
	execute(t, "update payment_codes set expires_at = now() - interval '1 second' where customer_id = $1 and used_at is null", g.id)
	everywhere("CREDENTIAL_EXPIRED", late)

	leg := s.expect(s.post("/payments", bill(100, byPhone(g))), http.StatusAccepted)
	execute(t, "update payments set code_expires_at = now() - interval '1 second' where payment_id = $1", leg.text("data.payment_id"))
	s.refused(s.post("/payments/"+leg.text("data.payment_id")+"/capture", object{"code": leg.at("data.sandbox.code")}), http.StatusGone, "CREDENTIAL_EXPIRED")
	_, begun := s.enrol("+14155550124")
	execute(t, "update enrollments set expires_at = now() - interval '1 second' where enrollment_id = $1", begun.text("data.enrollment_id"))
	s.refused(s.post("/enroll/verify", object{"enrollment_id": begun.text("data.enrollment_id"), "code": begun.at("data.sandbox.code")}), http.StatusGone, "CREDENTIAL_EXPIRED")
}

// set changes a setting of the merchant behind the server's back; the caller
// waits until it shows.
func (s *shop) set(name, json string) {
	s.t.Helper()
	execute(s.t, "update merchants set settings = jsonb_set(settings, array[$2], $3::jsonb) where merchant_id = $1", s.made.text("data.merchant_id"), name, json)
}

// What a merchant has not enabled is refused wherever a credential is taken.
func TestDisabledCredentialTypesRefuse(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.set("supported_credential_types", `["phone"]`)
	eventually(t, func() error {
		if a := s.post("/identify", object{"credential": fingerprint(9)}); a.code() != "UNSUPPORTED_CREDENTIAL_TYPE" {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
	s.refusedAll(http.StatusBadRequest, "UNSUPPORTED_CREDENTIAL_TYPE", map[string]object{
		"/checkout/sessions":                              {"currency": "USD", "credential": fingerprint(9)},
		"/checkout/sessions/" + s.session() + "/identify": {"credential": fingerprint(9)},
		"/redeem/balance-check":                           {"credential": fingerprint(9)},
		"/customers/" + g.id + "/credentials":             {"credential": byPhone(g)},
	})
}

// Amounts of one currency never meet those of another.
func TestCurrenciesDoNotMix(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	s.set("currencies", `["USD", "EUR"]`)
	var session string
	eventually(t, func() error {
		a := s.post("/checkout/sessions", object{"currency": "EUR"})
		if session = a.text("data.session.session_id"); session == "" {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	pay := bill(100, s.mint(g, "qr"))
	pay["session_id"] = session
	s.expect(s.manage("/topup/skus", object{"sku_id": "EURO", "name": "Euro", "value_minor": 500, "currency": "EUR"}), http.StatusCreated)
	s.refusedAll(http.StatusBadRequest, "CURRENCY_MISMATCH", map[string]object{
		"/payments": pay, "/topup/prepare": {"customer_id": g.id, "amount_minor": 900, "currency": "EUR"}, "/topup/sku/EURO": {"customer_id": g.id},
		"/redeem/balance-check": {"credential": s.mint(g, "qr"), "amount_minor": 100, "currency": "EUR"},
	})
	budget := s.expect(s.manage("/budgets", object{"name": "Euro", "cap_minor": 1000, "currency": "EUR"}), http.StatusCreated).text("data.budget_id")
	offer := object{"kind": "basket_discount", "title": "Off", "name": "Off", "value": object{"type": "amount", "amount_minor": 10, "per": "basket"},
		"targets": object{"basket_wide": true}, "currency": "USD", "status": "draft", "funding": object{"budget_id": budget, "funded_by": "merchant"}}
	s.refused(s.manage("/offers", offer), http.StatusBadRequest, "CURRENCY_MISMATCH")
	s.refused(s.manage("/offers/"+s.made.text("data.seed.offers.0")+"/update", object{"funding": object{"budget_id": budget, "funded_by": "merchant"}}), http.StatusBadRequest, "CURRENCY_MISMATCH")
	proposal, deposit := off(g, "", ""), s.deposit(g, 900)
	delete(proposal, "budget_id")
	proposal["currency"] = "EUR"
	s.refuses(g, nil,
		refusal{s.as("/proposals", proposal), 400, "CURRENCY_MISMATCH", "currency", "wallet_currency", "propose in USD"},
		refusal{s.byKey("/topup/settlement", object{"bank_reference": "B1", "currency": "EUR", "settled_at": "2026-06-14T06:00:00Z",
			"lines": []object{{"topup_id": deposit, "fee_minor": 3}}}), 400, "CURRENCY_MISMATCH", "currency", "topup_currency", "settle it with others of that currency"},
	)
	offer["draft_id"] = "off"
	for _, stored := range []string{"name", "currency", "status"} {
		delete(offer, stored)
	}
	s.refused(s.manage("/offers/evaluate", object{"drafts": []object{offer}, "session_ids": []string{session}}), http.StatusBadRequest, "CURRENCY_MISMATCH")
	s.refused(s.get("/topup/reload-bonus/config?currency=GBP"), http.StatusBadRequest, "UNSUPPORTED_CURRENCY")
}

// Nothing is kept of a person who has not agreed to it.
func TestConsentComesFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.refusedAll(http.StatusForbidden, "CONSENT_REQUIRED", map[string]object{
		"/customers/" + g.id + "/events":      {"type": "app.opened"},
		"/enroll/identity":                    {"customer_id": g.id, "name": "Ada", "email": "ada@example.com", "birth_date": "1990-12-10"},
		"/customers/" + g.id + "/preferences": {"channels": []object{{"channel": "email", "enabled": true}}, "expected_version": 1},
	})
	s.refused(s.post("/customers/"+g.id+"/preferences", object{"channels": []object{{"channel": "email", "enabled": false}}, "expected_version": 99}), http.StatusConflict, "REVISION_CONFLICT")
}

// What stands in the way of an operation is said as it is.
func TestStatesThatRefuse(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	for _, step := range []string{"apply", "redeem"} {
		_ = s.post("/offers/"+s.ids["offer"]+"/"+step, object{"session_id": s.held}) // applied already; now redeemed
	}
	s.refused(s.post("/offers/"+s.ids["offer"]+"/redeem", object{"session_id": s.held}), http.StatusConflict, "STATE_CONFLICT")
	s.refused(s.post("/offers/"+s.ids["offer"]+"/release", object{"session_id": s.held}), http.StatusConflict, "STATE_CONFLICT")

	link := s.link(s.guest, byPOS("pos-1")).text("data.credential_id")
	unlink := "/customers/" + s.guest.id + "/credentials/" + link + "/unlink"
	s.ok(request{path: unlink, as: s.key, body: object{"reason": "lost"}})
	s.refused(s.manage(unlink, object{"reason": "lost"}), http.StatusConflict, "STATE_CONFLICT")
	other := s.verified("+14155550140")
	s.link(other, byPOS("pos-2"))
	s.refused(s.post("/customers/"+s.guest.id+"/credentials", object{"credential": byPOS("pos-2")}), http.StatusConflict, "CREDENTIAL_ALREADY_LINKED")

	_, begun := s.enrol("+14155550141")
	s.prove(begun)
	s.refused(s.post("/enroll/resend", object{"enrollment_id": begun.text("data.enrollment_id")}), http.StatusConflict, "STATE_CONFLICT")

	made, _ := s.keyed(object{"scope": "enterprise"})
	key := "/auth/keys/" + made.text("data.key.key_id")
	s.expect(s.manage(key+"/revoke", object{}), http.StatusOK)
	s.refused(s.manage(key+"/regenerate", object{}), http.StatusConflict, "STATE_CONFLICT")

	offer := "/offers/" + s.made.text("data.seed.offers.1") + "/status"
	s.expect(s.manage(offer, object{"status": "archived"}), http.StatusOK)
	s.refused(s.manage(offer, object{"status": "active"}), http.StatusConflict, "STATE_CONFLICT")

	execute(t, "update terminals set status = 'retired' where terminal_id = $1", s.ids["terminal"])
	eventually(t, func() error {
		if a := s.do(request{path: "/auth/token", as: s.key, body: object{"terminal_id": s.ids["terminal"]}}); a.code() != "STATE_CONFLICT" {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
}

// What nobody has ever heard of is not found, and says of what.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.refused(s.get("/customers/lookup?session_id=cs_none"), http.StatusNotFound, "NOT_FOUND")
	s.refused(s.post("/enroll/initiate", object{"phone": "+14155550123", "session_id": "cs_none"}), http.StatusNotFound, "NOT_FOUND")
	where := object{"merchant_id": s.made.text("data.merchant_id"), "branch_id": "brn_none"}
	s.refused(s.manage("/identify", object{"credential": byPhone(guest{phone: "+14155550123"}), "context": where}), http.StatusNotFound, "NOT_FOUND")
	s.refused(s.manage("/checkout/sessions", object{"currency": "USD", "context": where}), http.StatusNotFound, "NOT_FOUND")
}

// An offer's window, limit and budget hold when it is applied.
func TestOffersRefuse(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	offer := func(more object) string {
		body := object{"kind": "basket_discount", "title": "Off", "name": "Off", "value": object{"type": "amount", "amount_minor": 60, "per": "basket"},
			"targets": object{"basket_wide": true}, "stacking": object{"stackable": true}, "currency": "USD", "status": "active"}
		for name, value := range more {
			body[name] = value
		}
		return s.expect(s.manage("/offers", body), http.StatusCreated).text("data.offer_id")
	}
	applies := func(offer string) *answer {
		session := s.sale(byPhone(g))
		s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK)
		return s.post("/offers/"+offer+"/apply", object{"session_id": session})
	}
	once := offer(object{"limits": object{"total": 1}})
	s.expect(applies(once), http.StatusOK)
	s.refused(applies(once), http.StatusUnprocessableEntity, "OFFER_LIMIT_REACHED")
	poor := offer(object{"funding": object{"budget_id": s.budget(100), "funded_by": "merchant"}})
	s.expect(applies(poor), http.StatusOK)
	s.refused(applies(poor), http.StatusUnprocessableEntity, "BUDGET_EXHAUSTED")
	soon := offer(object{"window": object{"ends_at": time.Now().Add(1500 * time.Millisecond).UTC().Format(time.RFC3339Nano)}})
	session := s.sale(byPhone(g))
	eventually(t, func() error {
		if a := s.post("/offers/"+soon+"/apply", object{"session_id": session}); a.code() != "OFFER_EXPIRED" {
			_ = s.post("/offers/"+soon+"/release", object{"session_id": session})
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
}

// Guessing short codes ends.
func TestGuessesAreCounted(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := s.session()
	var last *answer
	for i := range 200 {
		if last = s.post("/identify", object{"credential": object{"credential_type": "short_code", "value": fmt.Sprintf("2%04d", i)}}); last.Status >= 400 {
			break
		}
	}
	s.refused(last, http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED")
	guess := object{"credential_type": "short_code", "value": "Z2345"}
	s.refusedAll(http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED", map[string]object{
		"/checkout/sessions": {"currency": "USD", "credential": guess}, "/checkout/sessions/" + id + "/identify": {"credential": guess}, "/redeem/balance-check": {"credential": guess},
	})
}
