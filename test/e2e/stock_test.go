package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/hook"
)

// stock is a shop that holds one of everything, so that every operation could
// be called with success.
type stock struct {
	*shop
	guest guest
	ids   map[string]string // by what they are, for example "session"
	qr    object
	code  string // that the waiting enrolment was sent
	otp   string // that captures the waiting payment
	// held is a session with an applied offer.
	held string
}

func stocked(t *testing.T) *stock {
	t.Helper()
	s := &stock{shop: open(t)}
	s.ids = map[string]string{"merchant": s.made.text("data.merchant_id"), "terminal": s.made.text("data.terminal_id"), "branch": s.made.text("data.branch_id")}
	s.people()
	s.ids["session"], _ = s.withOffer(false)
	s.held, s.ids["offer"] = s.withOffer(true)
	s.things()
	return s
}

// people stocks a guest with money, one who is being enrolled, and what pays.
func (s *stock) people() {
	s.t.Helper()
	s.guest = s.verified("+14155550123")
	s.fund(s.guest, 5000)
	_, begun := s.enrol("+14155550124")
	s.ids["customer"], s.ids["enrollment"], s.code = s.guest.id, begun.text("data.enrollment_id"), begun.text("data.sandbox.code")
	s.qr = s.mint(s.guest, "qr")
	waiting := s.expect(s.post("/payments", object{"amount_minor": 100, "currency": "USD", "credential": object{"credential_type": "phone", "value": s.guest.phone}}), http.StatusAccepted)
	s.ids["payment"], s.otp = waiting.text("data.payment_id"), waiting.text("data.sandbox.code")
	s.ids["grant"] = s.get("/customers/" + s.guest.id + "/grants").text("data.grants.0.grant_id")
	pending := s.expect(s.post("/topup/prepare", object{"customer_id": s.guest.id, "amount_minor": 1000, "currency": "USD"}), http.StatusCreated)
	s.ids["topup"] = pending.text("data.topup_id")
}

// withOffer opens a session with a basket and, where asked, an applied offer.
func (s *stock) withOffer(applied bool) (session, offer string) {
	s.t.Helper()
	session = s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": object{"credential_type": "phone", "value": s.guest.phone}}})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	if applied {
		offer = s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK).text("data.offers.0.offer_id")
		s.ok(request{path: "/offers/" + offer + "/apply", body: object{"session_id": session}})
	}
	return session, offer
}

// things stocks what the back office manages.
func (s *stock) things() {
	s.t.Helper()
	s.ids["key"] = s.expect(s.manage("/auth/keys", object{"scope": "branch", "branch_id": s.ids["branch"], "name": "till"}), http.StatusCreated).text("data.key.key_id")
	s.ids["subscription"] = s.expect(s.manage("/webhooks/subscriptions", object{"url": "http://127.0.0.1:9/hook", "event_types": []string{"dispute.*"}}), http.StatusCreated).text("data.subscription_id")
	s.ids["budget"] = s.expect(s.manage("/budgets", object{"name": "June", "cap_minor": 500000, "currency": "USD"}), http.StatusCreated).text("data.budget_id")
}

// deliver stocks a webhook delivery, to an endpoint that took it.
func (s *stock) deliver() {
	s.t.Helper()
	r := hook.Listen()
	s.t.Cleanup(r.Close)
	made := s.expect(s.manage("/webhooks/subscriptions", object{"url": r.URL(), "event_types": []string{"enrollment.initiated"}}), http.StatusCreated)
	if err := r.Trust(made.text("data.secret")); err != nil {
		s.t.Fatal(err)
	}
	s.enrol("+14155550125")
	eventually(s.t, func() error {
		a := s.manage("/webhooks/deliveries?state=delivered", nil)
		if s.ids["delivery"] = a.text("data.deliveries.0.delivery_id"); s.ids["delivery"] == "" {
			return fmt.Errorf("nothing was delivered: %s", a.Raw)
		}
		return nil
	})
}

// params says which of the stocked ids fills a path variable of an operation.
func (s *stock) params(op, name string) string {
	switch {
	case name == "id" && strings.HasPrefix(op, "payment"):
		return s.ids["payment"]
	case name == "id" && op == "clawbackGrant":
		return s.ids["grant"]
	case name == "id":
		return s.ids["session"]
	case name == "skuId":
		return "TOPUP-20"
	}
	return s.ids[strings.TrimSuffix(name, "Id")]
}

// path fills the variables of an operation's path.
func (s *stock) path(op document.Operation) string {
	parts := strings.Split(op.Path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			if parts[i] = s.params(op.ID, strings.TrimSuffix(name, "}")); parts[i] == "" {
				s.t.Fatalf("%s is new here: stock what fills %s in %s", op.ID, part, op.Path)
			}
		}
	}
	return strings.Join(parts, "/")
}

// good is a call of op that must succeed: the document's own example, with
// what the shop holds in place of the example's ids.
func (s *stock) good(op document.Operation) request {
	s.t.Helper()
	body := object{}
	maps.Copy(body, op.Example)
	if body["context"] != nil {
		body["context"] = s.where
	}
	for name, value := range map[string]any{
		"customer_id": s.guest.id, "session_id": s.ids["session"], "enrollment_id": s.ids["enrollment"], "topup_id": s.ids["topup"],
		"terminal_id": s.ids["terminal"], "branch_id": s.ids["branch"], "credential": s.qr, "amount_minor": 1000,
		"provider_settlement_reference": "pi_" + uuid.NewString(),
	} {
		if body[name] != nil {
			body[name] = value
		}
	}
	switch op.ID {
	case "verifyEnrollment":
		body["code"] = s.code
	case "paymentCapture":
		body["code"] = s.otp
	case "initiateEnrollment":
		body["phone"] = "+14155550199"
		delete(body, "session_id") // which is another guest's
	case "reviseBasket":
		body["expected_revision"] = 1
	case "closeCheckoutSession":
		body["tenders"] = []any{object{"type": "cash", "amount_minor": 1275}}
	case "redeemOffer", "releaseOffer":
		body["session_id"] = s.held
	case "createOffer":
		body["funding"] = object{"budget_id": s.ids["budget"], "funded_by": "merchant"}
	case "createSubscription":
		body["url"] = "https://partner.example.com/hook"
	}
	return request{method: op.Method, path: s.path(op), as: s.caller(op), body: body}
}

// caller is the credential that op takes.
func (s *stock) caller(op document.Operation) credential {
	for _, name := range op.Credentials {
		if name == "PosTerminalJWT" {
			return s.till
		}
	}
	if len(op.Credentials) > 0 {
		return s.key
	}
	return nobody
}
