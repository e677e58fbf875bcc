package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/hook"
)

// stock is a shop that holds one of everything, so that every operation could
// be called with success. What every shop has is there at once; the rest is
// made when an operation needs it (id).
type stock struct {
	*shop
	over  *endedCredentials // made by ended
	guest guest
	ids   map[string]string // by what they are, for example "session"
	qr    object
	code  string // that the waiting enrolment was sent
	otp   string // that captures the waiting payment
	// held is a session with an applied offer.
	held string
	// exposure is the offer that the sold transaction redeemed, as it is reported.
	exposure object
}

func stocked(t *testing.T) *stock {
	t.Helper()
	return stockUp(open(t))
}

// stockUp fills a shop.
func stockUp(shop *shop) *stock {
	shop.t.Helper()
	s := &stock{shop: shop}
	s.ids = map[string]string{"sku": "TOPUP-20", "provider": "stripe"}
	for _, name := range []string{"merchant", "terminal", "branch", "integration"} {
		s.ids[name] = s.made.text("data." + name + "_id")
	}
	s.people()
	s.ids["session"], _ = s.withOffer(false)
	s.held, s.ids["offer"] = s.withOffer(true)
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
	waiting := s.expect(s.post("/payments", bill(100, byPhone(s.guest))), http.StatusAccepted)
	s.ids["payment"], s.otp = waiting.text("data.payment_id"), waiting.text("data.sandbox.code")
	s.ids["grant"] = s.get("/customers/" + s.guest.id + "/grants").text("data.grants.0.grant_id")
	pending := s.expect(s.post("/topup/prepare", object{"customer_id": s.guest.id, "amount_minor": 1000, "currency": "USD"}), http.StatusCreated)
	s.ids["topup"] = pending.text("data.topup_id")
}

// withOffer opens a session with a basket and, where asked, an applied offer.
func (s *stock) withOffer(applied bool) (session, offer string) {
	s.t.Helper()
	session = s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(s.guest)}})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	if applied {
		offer = s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK).text("data.offers.0.offer_id")
		s.ok(request{path: "/offers/" + offer + "/apply", body: object{"session_id": session}})
	}
	return session, offer
}

// make makes what only some operations need and returns its id; empty where
// nobody knows how.
func (s *stock) make(name string) string {
	s.t.Helper()
	switch name {
	case "key":
		return s.manage("/auth/keys", object{"scope": "branch", "branch_id": s.ids["branch"], "name": "till"}).text("data.key.key_id")
	case "subscription":
		return s.manage("/webhooks/subscriptions", object{"url": "http://127.0.0.1:9/hook", "event_types": []string{"dispute.*"}}).text("data.subscription_id")
	case "budget":
		return s.manage("/budgets", object{"name": "June", "cap_minor": 500000, "currency": "USD"}).text("data.budget_id")
	case "delivery":
		return s.delivered()
	case "transaction":
		return s.sold()
	case "credential":
		return s.post("/customers/"+s.guest.id+"/credentials", object{"credential": object{"credential_type": "provider_customer_id", "value": "pos-" + s.guest.id}}).text("data.credential_id")
	case "claim":
		return s.manage("/claims", object{"customer_id": s.guest.id}).text("data.claim_id")
	case "request":
		return s.manage("/customers/"+s.guest.id+"/gdpr/export", object{"reason": "asked"}).text("data.request_id")
	case "dispute":
		return s.manage("/disputes", object{"transaction_id": s.soldByWallet(), "reason": "wrong_amount", "amount_minor": 375, "description": "x"}).text("data.dispute_id")
	case "proposal":
		return s.post("/proposals", object{"kind": "upsell", "customer_id": s.guest.id, "session_id": s.ids["session"], "title": "A cookie",
			"value": object{"type": "amount", "amount_minor": 100, "per": "basket"}, "budget_id": s.id("budget")}).text("data.proposal_id")
	case "run":
		return s.manage("/reconciliation", object{"period_start": "2026-06-01T00:00:00Z", "period_end": "2026-06-08T00:00:00Z", "currency": "USD",
			"totals": []object{{"item": "payments", "amount_minor": 0, "count": 0}}}).text("data.run_id")
	case "paid":
		return s.paid()
	case "deposit":
		return s.deposit(s.guest, 900)
	case "duplicate": // who has proven nothing, so that it can be merged
		id, _ := s.enrol("+14155550126")
		return id.id
	case "leaver":
		return s.verified("+14155550127").id
	case "device":
		return s.manage("/auth/terminals", object{"branch_id": s.ids["branch"], "name": "Spare"}).text("data.terminal.terminal_id")
	case "settlement":
		return s.gathered()
	case "stranger":
		return s.verified("+14155550128").id
	case "trace":
		return s.get("/checkout/sessions/" + s.ids["session"] + "/offers").text("meta.decision_trace_id")
	}
	return ""
}

// id is the id of what the shop holds, made now where it is not there yet.
func (s *stock) id(name string) string {
	s.t.Helper()
	if s.ids[name] == "" {
		s.ids[name] = s.make(name)
	}
	if s.ids[name] == "" {
		s.t.Fatalf("no %s could be stocked; say in make how", name)
	}
	return s.ids[name]
}

// delivered stocks a webhook delivery, to an endpoint that took it.
func (s *stock) delivered() (id string) {
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
		if id = a.text("data.deliveries.0.delivery_id"); id == "" {
			return fmt.Errorf("nothing was delivered: %s", a.Raw)
		}
		return nil
	})
	return id
}

// gathered waits until the background has put a deposit into a batch.
func (s *stock) gathered() (id string) {
	s.t.Helper()
	s.id("deposit")
	eventually(s.t, func() error {
		a := s.manage("/settlements", nil)
		if id = a.text("data.settlements.0.settlement_id"); id == "" {
			return fmt.Errorf("nothing is gathered: %s", a.Raw)
		}
		return nil
	})
	return id
}

// sold sells something for cash, with an offer that was shown and redeemed, and
// returns the transaction.
func (s *stock) sold() string {
	s.t.Helper()
	id, offer := s.withOffer(true)
	s.exposure = object{
		"offer_id": offer, "outcome": "redeemed",
		"decision_trace_id": s.get("/checkout/sessions/" + id + "/offers").text("meta.decision_trace_id"),
	}
	a := s.expect(s.post("/checkout/sessions/"+id+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1175}}}), http.StatusOK)
	return a.text("data.transaction.transaction_id")
}

// paid pays a crumb outside of sessions and waits for the sale that the outbox
// makes of it, so that nothing changes by itself any more.
func (s *stock) paid() string {
	s.t.Helper()
	id := s.post("/payments", bill(crumb, s.mint(s.guest, "qr"))).text("data.payment_id")
	eventually(s.t, func() error {
		if a := s.get("/payments/" + id); a.at("data.transaction_id") == nil {
			return fmt.Errorf("no transaction yet: %s", a.Raw)
		}
		return nil
	})
	return id
}

// soldByWallet sells something that the guest pays from the wallet and returns
// the transaction: a dispute about it can be resolved for the customer.
func (s *stock) soldByWallet() string {
	s.t.Helper()
	id, _ := s.withOffer(false)
	transaction, _ := s.sell(id, s.guest)
	return transaction
}

// consents records what the guest agreed to.
func (s *stock) consents(purpose string, more object) {
	s.t.Helper()
	body := object{"customer_id": s.guest.id, "purpose": purpose, "state": "granted", "version": "2026-05"}
	maps.Copy(body, more)
	s.expect(s.post("/enroll/consent", body), http.StatusCreated)
}

// fills is the id that fills a path variable of an operation.
func (s *stock) fills(op document.Operation, variable string) string {
	noun := strings.TrimSuffix(variable, "Id")
	switch {
	case variable == "id" && strings.HasPrefix(op.Path, "/payments"):
		noun = "payment"
	case variable == "id" && strings.HasPrefix(op.Path, "/grants"):
		noun = "grant"
	case variable == "id":
		noun = "session"
	case op.ID == "reverseTopup":
		noun = "deposit"
	case op.ID == "requestGdprErasure":
		noun = "leaver" // who has nothing under way
	}
	return s.id(noun)
}

// path fills the variables of an operation's path.
func (s *stock) path(op document.Operation) string {
	s.t.Helper()
	parts := strings.Split(op.Path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parts[i] = s.fills(op, strings.TrimSuffix(name, "}"))
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
	for name := range body {
		switch name {
		case "payment_id":
			body[name] = s.id("paid")
		case "source_customer_id":
			body[name] = s.id("duplicate")
		case "decision_trace_id":
			body[name] = s.id("trace")
		case "customer_id", "session_id", "enrollment_id", "topup_id", "terminal_id", "branch_id", "budget_id", "transaction_id", "offer_id":
			body[name] = s.id(strings.TrimSuffix(name, "_id"))
		case "credential":
			if op.ID != "linkCustomerCredential" {
				body[name] = s.qr
			}
		case "provider_settlement_reference":
			body[name] = "pi_" + uuid.NewString()
		case "occurred_at", "terminal_time":
			body[name] = time.Now().UTC().Format(time.RFC3339)
		case "session_ids":
			body[name] = []any{s.ids["session"]}
		}
	}
	s.suit(op, body)
	return request{method: op.Method, path: s.path(op), as: s.caller(op), body: body}
}

// suit changes what an operation's example says of a world that is not the
// shop's.
func (s *stock) suit(op document.Operation, body object) {
	s.t.Helper()
	switch op.ID {
	case "verifyEnrollment":
		body["code"] = s.code
	case "paymentCapture":
		body["code"] = s.otp
	case "paymentAuthorize":
		body["amount_minor"] = 1000
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
		body["funding"] = object{"budget_id": s.id("budget"), "funded_by": "merchant"}
	case "submitIdentity":
		s.consents("terms", nil)
		s.consents("profiling", nil)
	case "logCustomerEvent":
		s.consents("profiling", nil)
	case "updateCustomerPreferences":
		s.consents("marketing", object{"channel": "email"})
		s.consents("receipts", object{"channel": "email"})
		body["expected_version"] = number(s.get("/customers/" + s.guest.id + "/preferences").at("data.version"))
	case "resolveIdentity":
		body["credentials"] = []any{byPhone(s.guest)}
	case "issueGrant":
		body["expires_at"] = time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339)
	case "refundCreate":
		body["amount_minor"] = crumb
	case "sendReceipt":
		s.consents("receipts", object{"channel": "sms"})
		body["channel"] = "sms"
	case "submitTopupSettlement":
		body["lines"] = []any{object{"topup_id": s.id("deposit"), "fee_minor": 3}}
	case "revokeTerminalToken":
		body["terminal_id"] = s.id("device") // not the till's own, which goes on calling
	case "submitSettlementReport":
		body["report_reference"] = "po_" + uuid.NewString()
	case "reportAttribution":
		s.id("transaction")
		body["exposures"] = []any{s.exposure}
	}
}

// caller is the credential that op takes.
func (s *stock) caller(op document.Operation) credential {
	if op.ID == "revokeTerminalToken" {
		return s.key // a till may end its own tokens only
	}
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
