package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// The tests of the files rules_*_test.go hold one behavioural rule of
// docs/rules.md each and are named by its number. What a longer scenario of
// this package shows beside it is in the table there too.

// texts walks a decoded value and gives every string in it.
func textsOf(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case object:
		for _, member := range v {
			out = append(out, textsOf(member)...)
		}
	case []any:
		for _, element := range v {
			out = append(out, textsOf(element)...)
		}
	}
	return out
}

// members walks a decoded value and visits each member of each object.
func members(v any, visit func(name string, value any)) {
	switch v := v.(type) {
	case object:
		for name, value := range v {
			visit(name, value)
			members(value, visit)
		}
	case []any:
		for _, element := range v {
			members(element, visit)
		}
	}
}

// sale opens a session with the basket of the golden path (1275), identified
// where there is a credential.
func (s *shop) sale(credential object) (session string) {
	s.t.Helper()
	session = s.session()
	if credential != nil {
		s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": credential}})
	}
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	return session
}

// closed closes a session paid in cash.
func (s *shop) closed(session string, minor int64) *answer {
	s.t.Helper()
	return s.expect(s.post("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": minor}}}), http.StatusOK)
}

// link links a credential to a guest.
func (s *shop) link(g guest, credential object) *answer {
	s.t.Helper()
	return s.ok(request{path: "/customers/" + g.id + "/credentials", body: object{"credential": credential}})
}

func (s *shop) identify(credential object) *answer {
	s.t.Helper()
	return s.expect(s.post("/identify", object{"credential": credential}), http.StatusOK)
}

func (s *shop) lookup(query string) *answer {
	s.t.Helper()
	return s.expect(s.get("/customers/lookup?"+query), http.StatusOK)
}

func byPOS(id string) object {
	return object{"credential_type": "provider_customer_id", "value": id}
}

// fingerprint is the hash of a card, as a terminal sends it.
func fingerprint(n int) object {
	return object{"credential_type": "card_fingerprint", "value": fmt.Sprintf("%064x", 0xfeedd1+n)}
}

// shop.identities are the answers of both ways to identify a guest who has
// money, credentials and an enrolment.
func (s *shop) identities(g guest) []*answer {
	s.t.Helper()
	s.fund(g, 2500)
	s.link(g, byPOS("pos-1"))
	return []*answer{
		s.identify(byPhone(g)), s.identify(s.mint(g, "qr")),
		s.expect(s.post("/checkout/sessions/"+s.session()+"/identify", object{"credential": byPhone(g)}), http.StatusOK),
	}
}

func TestRule01_IdentifyGivesNothingThatMovesMoney(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	for _, a := range s.identities(g) {
		members(a.at("data"), func(name string, value any) {
			for _, never := range []string{"token", "secret", "otp", "svg", "raw_key", "authorization", "nonce", "debit"} {
				if strings.Contains(name, never) && value != nil {
					t.Errorf("identify answers with %s: %v", name, value)
				}
			}
		})
		for _, text := range textsOf(a.at("data")) {
			if strings.Count(text, ".") == 2 && len(text) > 60 || strings.HasPrefix(text, "fddi_") {
				t.Errorf("identify answers with what looks like a credential of calls: %s", text)
			}
		}
	}
}

func TestRule02_AnIdentityIsNoPaymentCredential(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	var offered []string
	for _, a := range s.identities(g) {
		offered = append(offered, textsOf(a.at("data"))...)
	}
	slices.Sort(offered)
	offered = slices.Compact(offered)
	if len(offered) < 10 {
		t.Fatalf("only %q to try", offered)
	}
	for _, text := range offered {
		if text == "" || len(text) > 256 {
			continue
		}
		for _, kind := range []string{"qr", "short_code"} {
			if a := s.post("/payments", bill(100, object{"credential_type": kind, "value": text})); a.Status < 400 {
				t.Errorf("%q out of an identity paid as %s: %s", text, kind, a.Raw)
			}
		}
		if a := s.do(request{method: http.MethodGet, path: "/auth/token/validate", as: credential{"Authorization", "Bearer " + url.QueryEscape(text)}}); a.Status != http.StatusUnauthorized {
			t.Errorf("%q out of an identity is a token: %s", text, a.Raw)
		}
	}
	s.is(s.balance(g), "balance", `{"actual_minor":2500,"promo_available_minor":250}`)
}

func TestRule03_EveryCredentialLeadsToOneContext(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	s.link(g, byPOS("pos-1"))
	s.link(g, fingerprint(1))
	kinds := map[string]object{
		"phone": byPhone(g), "provider_customer_id": byPOS("pos-1"), "card_fingerprint": fingerprint(1), "short_code": s.mint(g, "short_code"), "qr": s.mint(g, "qr"),
	}
	supported, _ := s.get("/capabilities").at("data.supported_credential_types").([]any)
	for _, kind := range supported {
		name, _ := kind.(string)
		if name == "" {
			name, _ = shape.At(kind, "credential_type").(string)
		}
		if kinds[name] == nil {
			t.Errorf("the capabilities list %v, which this test does not know", kind)
		}
	}
	context := func(c object) string {
		found := s.identify(c).at("data.customer_context")
		links, _ := shape.At(found, "linked_credentials").([]any)
		for _, l := range links { // which of them was used last is theirs alone
			delete(l.(object), "last_used_at")
		}
		raw, err := marshal(found)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := context(byPhone(g))
	if !strings.Contains(first, g.id) {
		t.Errorf("the phone leads to %s", first)
	}
	for kind, c := range kinds {
		if got := context(c); got != first {
			t.Errorf("%s leads to\n%s\nthe phone to\n%s", kind, got, first)
		}
	}
}

func TestRule04_ACardLinkIsProbationaryUntilThePhoneIsProven(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, begun := s.enrol("+14155550123")
	s.is(s.link(g, fingerprint(2)), "link", `{"credential_type":"card_fingerprint","probationary":true}`)
	s.is(s.identify(fingerprint(2)), "before the proof", `{"customer_context":{"customer_id":"`+g.id+`","state":"PENDING_PROOF","probationary":true}}`)
	session := s.sale(fingerprint(2))
	s.is(s.get("/checkout/sessions/"+session), "session", `{"session":{"identity":{"probationary":true}}}`)
	s.ok(request{path: "/enroll/verify", body: object{"enrollment_id": begun.text("data.enrollment_id"), "code": begun.text("data.sandbox.code")}})
	s.is(s.identify(fingerprint(2)), "after it", `{"customer_context":{"customer_id":"`+g.id+`","state":"VERIFIED","probationary":false}}`)
}

func TestRule05_ACollidingCardMovesNoMoney(t *testing.T) {
	t.Parallel()
	s := open(t)
	one, two := s.verified("+14155550123"), s.verified("+14155550124")
	s.fund(one, 900)
	s.link(one, fingerprint(3))
	s.link(two, fingerprint(3))
	if a := s.identify(fingerprint(3)); a.at("data.customer_context") != nil {
		t.Errorf("a card of two guests identifies one of them: %s", a.Raw)
	}
	if a := s.post("/payments", bill(100, fingerprint(3))); a.Status < 400 {
		t.Errorf("a card of two guests pays: %s", a.Raw)
	}
	session := s.session()
	s.expect(s.post("/checkout/sessions/"+session+"/identify", object{"credential": fingerprint(3)}), http.StatusOK)
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	if a := s.closed(session, 1275); strings.Contains(string(a.Raw), `"grant_id"`) {
		t.Errorf("a sale of nobody earned cashback: %s", a.Raw)
	}
	s.is(s.balance(one), "one wallet", `{"actual_minor":900,"promo_available_minor":0,"promo_locked_minor":0}`)
	s.is(s.balance(two), "the other", `{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":0}`)
}

func TestRule06_AShortCodeHasFiveCharactersAndIsProof(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	for range 20 {
		code := s.mint(g, "short_code")
		if value, _ := code["value"].(string); len(value) != 5 {
			t.Errorf("minted %v", code)
		}
	}
	a := s.post("/checkout/sessions/"+s.session()+"/identify", object{"credential": s.mint(g, "short_code")})
	s.is(s.expect(a, http.StatusOK), "session", `{"session":{"identity":{"credential_type":"short_code","state":"VERIFIED","probationary":false}},"customer_context":{"probationary":false}}`)
	value, _ := s.mint(g, "short_code")["value"].(string)
	for _, other := range []string{value[:4], value + "A"} {
		if a := s.identify(object{"credential_type": "short_code", "value": other}); a.at("data.customer_context") != nil {
			t.Errorf("%s identifies in place of %s: %s", other, value, a.Raw)
		}
	}
}

func TestRule07_AQRCodePaysOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	qr := s.mint(g, "qr")
	s.expect(s.post("/payments", bill(crumb, qr)), http.StatusCreated)
	s.refused(s.post("/payments", bill(crumb, qr)), http.StatusGone, "CREDENTIAL_USED")
	s.refused(s.post("/identify", object{"credential": qr}), http.StatusGone, "CREDENTIAL_USED")
	s.is(s.balance(g), "balance", `{"actual_minor":881}`)
}

func TestRule08_IdentifyingASessionGivesItToTheCustomer(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	session := s.sale(nil) // with a basket before anybody is known
	s.is(s.get("/checkout/sessions/"+session), "anonymous", `{"session":{"identity":null,"basket_revision":1}}`)
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
	s.is(s.get("/checkout/sessions/"+session), "identified", `{"session":{"session_id":"`+session+`","identity":{"customer_id":"`+g.id+`"},"basket_revision":1,"total_minor":1275}}`)
	sold := s.closed(session, 1275).text("data.transaction.transaction_id")
	s.is(s.get("/"+s.made.text("data.integration_id")+"/transactions/"+sold), "sale", `{"session_id":"`+session+`","customer":{"customer_id":"`+g.id+`"},"total_minor":1275}`)
	s.is(s.balance(g), "balance", `{"promo_available_minor":63}`)
}

func TestRule09_LookupAnswers200InEveryState(t *testing.T) {
	t.Parallel()
	s := open(t)
	registered := s.verified("+14155550123")
	s.enrol("+14155550124")
	session := s.sale(byPhone(registered))
	for query, status := range map[string]string{
		"phone=%2B14155550123": "registered", "phone=%2B14155550124": "pending_proof", "phone=%2B14155559999": "not_found",
		"provider_customer_id=nobody": "not_found", "session_id=" + session: "identified_in_session",
	} {
		if a := s.lookup(query); a.text("data.status") != status {
			t.Errorf("%s: %s, want %s", query, a.Raw, status)
		}
	}
	s.is(s.lookup("phone=%2B14155559999"), "nobody", `{"status":"not_found","customer":null}`)
}

func TestRule10_ADisabledCustomerLooksLikeNobody(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	s.ok(request{path: "/customers/" + g.id + "/status", as: s.key, body: object{"status": "disabled", "reason": "fraud"}})
	disabled, unknown := s.lookup("phone=%2B14155550123"), s.lookup("phone=%2B14155559999")
	s.is(disabled, "disabled", `{"status":"not_found","customer":null,"balance":null,"unclaimed_cashback":null}`)
	a, _ := marshal(disabled.at("data"))
	for _, pii := range []string{g.id, "0123", "900"} {
		if strings.Contains(string(a), pii) {
			t.Errorf("a disabled customer shows %s: %s", pii, a)
		}
	}
	// Nobody known may be registered; a disabled one must not be offered that.
	members(disabled.at("data"), func(name string, value any) {
		if strings.Contains(name, "regist") && value == true {
			t.Errorf("a disabled customer may be registered: %s", a)
		}
	})
	if unknown.text("data.status") != "not_found" {
		t.Errorf("unknown: %s", unknown.Raw)
	}
}

func TestRule11_ACustomerOfAnotherEnterpriseIsNobody(t *testing.T) {
	t.Parallel()
	s, other := open(t), open(t)
	g := other.verified("+14155550123")
	other.link(g, byPOS("pos-1"))
	for _, query := range []string{"phone=%2B14155550123", "provider_customer_id=pos-1"} {
		s.is(s.lookup(query), query, `{"status":"not_found","customer":null}`)
	}
	if other.lookup("phone=%2B14155550123").text("data.status") != "registered" {
		t.Error("at home the customer is not known either")
	}
}

func TestRule12_LookupTakesTheEnterpriseFromTheToken(t *testing.T) {
	t.Parallel()
	s, other := open(t), open(t)
	s.verified("+14155550123")
	foreign := other.verified("+14155550124")
	for _, name := range []string{"merchant_id", "enterprise_id"} {
		for _, id := range []string{other.made.text("data.merchant_id"), "mer_nothing"} {
			if a := s.lookup("phone=%2B14155550123&" + name + "=" + id); a.text("data.status") != "registered" {
				t.Errorf("%s=%s hides the own customer: %s", name, id, a.Raw)
			}
			if a := s.lookup("phone=%2B14155550124&" + name + "=" + id); a.text("data.status") != "not_found" || strings.Contains(string(a.Raw), foreign.id) {
				t.Errorf("%s=%s shows another's customer: %s", name, id, a.Raw)
			}
		}
	}
}

func TestRule13_LookupShowsWhatEachStateOwns(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, begun := s.enrol("+14155550123")
	s.fund(g, 900)
	s.closed(s.sale(byPhone(g)), 1275)
	s.is(s.lookup("phone=%2B14155550123"), "pending", `{"status":"pending_proof","unclaimed_cashback":{"amount_minor":63}}`)
	s.ok(request{path: "/enroll/verify", body: object{"enrollment_id": begun.text("data.enrollment_id"), "code": begun.text("data.sandbox.code")}})
	s.is(s.lookup("phone=%2B14155550123"), "registered", `{"status":"registered","balance":{"actual_minor":900,"promo_available_minor":63}}`)
}
