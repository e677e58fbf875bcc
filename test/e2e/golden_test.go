package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// taken is one exchange of a walk, as it can be made again.
type taken struct {
	op      string // operation id
	request request
	answer  *answer
}

// coffee is one walk of the golden path: one coffee, from hello to receipt.
type coffee struct {
	*shop
	taken []taken
	// What the walk learnt on its way.
	guest                                              guest
	session, offer, topup, payment, bonus, transaction string
	qr                                                 object
}

// step makes a POST whose bytes and key are kept, so that it can be retried.
func (c *coffee) step(op string, status int, r request) *answer {
	c.t.Helper()
	if body, ok := r.body.(object); ok {
		raw, err := json.Marshal(c.whole(body))
		if err != nil {
			c.t.Fatal(err)
		}
		r.body = raw
	}
	if r.as == nobody && r.path != "/auth/keys/sandbox" {
		r.as = c.till
	}
	r.key = uuid.NewString()
	a := sendTo(c.t, c.server, r)
	c.taken = append(c.taken, taken{op, r, a})
	return c.expect(a, status)
}

// read makes a GET of the walk.
func (c *coffee) read(op, path string) *answer {
	c.t.Helper()
	r := request{method: http.MethodGet, path: path, as: c.till}
	a := c.expect(sendTo(c.t, c.server, r), http.StatusOK)
	c.taken = append(c.taken, taken{op, r, a})
	return a
}

// basket is the one of the golden path: two lattes and a croissant.
func basket() object {
	return object{
		"expected_revision": 0,
		"lines": []object{
			{"line_id": "1", "sku": "LATTE", "name": "Caffe latte", "category": "coffee", "quantity": 2, "unit_price_minor": 450},
			{"line_id": "2", "sku": "CROISSANT", "category": "bakery", "quantity": 1, "unit_price_minor": 375, "tax_minor": 0},
		},
		"discount_minor": 0, "tax_minor": 0,
	}
}

// The golden path over REST: every field that the page names, every figure.
func TestGoldenPath(t *testing.T) {
	t.Parallel()
	c := begin(t)
	c.walk()
	c.afterwards()
}

// begin is step 0: a sandbox, and its terminal's token.
func begin(t *testing.T) *coffee {
	t.Helper()
	return beginOn(t, system.server.URL)
}

func beginOn(t *testing.T, server string) *coffee {
	t.Helper()
	c := &coffee{shop: &shop{t: t, server: server, marks: map[string]bool{}}}
	c.made = c.step("createSandboxCredentials", http.StatusCreated, request{
		path: "/auth/keys/sandbox", body: []byte(`{"meta":{"api_version":"2026-06-01"},"currency":"USD"}`),
	})
	c.is(c.made, "sandbox", `{"raw_key":"$string","key":{"key_id":"$id:key_","scope":"enterprise","status":"active"},
		"integration_id":"$id:par_","merchant_id":"$id:mer_","brand_id":"$id:brd_","branch_id":"$id:brn_","terminal_id":"$id:trm_",
		"seed":{"offers":["$id:off_","$id:off_","$id:off_","$more"],"skus":["$string","$more"],
			"customers":[{"customer_id":"$id:cus_","phone":"+14155550101"},"$more"]}}`)
	want(t, "sandbox envelope", `{"ok":true,"error":null,"meta":{"api_version":"2026-06-01","request_id":"$id:req_","idempotency_replayed":false}}`, c.made.Body)
	if !strings.HasPrefix(c.made.text("data.raw_key"), "fddi_test_") {
		t.Errorf("raw_key: %s", c.made.text("data.raw_key"))
	}
	c.key = credential{"X-Api-Key", c.made.text("data.raw_key")}
	c.where = object{
		"merchant_id": c.made.text("data.merchant_id"), "branch_id": c.made.text("data.branch_id"),
		"terminal_id": c.made.text("data.terminal_id"), "cashier_id": "c-17", "locale": "en-US",
	}
	a := c.step("exchangeTerminalToken", http.StatusOK, request{path: "/auth/token", as: c.key, body: object{"terminal_id": c.made.text("data.terminal_id")}})
	c.is(a, "token", `{"token":"$string","token_type":"Bearer","expires_in":600,"scope":{"merchant_id":"$id:mer_","branch_id":"$id:brn_","terminal_id":"$id:trm_"}}`)
	for _, place := range []string{"merchant_id", "branch_id", "terminal_id"} {
		if a.text("data.scope."+place) != c.made.text("data."+place) {
			t.Errorf("the token's %s is %s", place, a.text("data.scope."+place))
		}
	}
	c.till = credential{"Authorization", "Bearer " + a.text("data.token")}
	return c
}

// walk is steps 1 to 6.
func (c *coffee) walk() {
	c.t.Helper()
	c.hello()
	c.ringUp()
	c.payShort()
	c.topUp()
	c.pay()
	c.close()
}

func (c *coffee) hello() {
	c.t.Helper()
	a := c.step("openCheckoutSession", http.StatusCreated, request{path: "/checkout/sessions", body: object{"currency": "USD", "channel": "in_store"}})
	c.is(a, "open", `{"session":{"session_id":"$id:cs_","state":"open","currency":"USD","origin":"pos","identity":null,"basket":null,
		"basket_revision":0,"opened_at":"$time","expires_at":"$time"}}`)
	c.session = a.text("data.session.session_id")

	c.guest.phone = "+14155550123"
	a = c.step("initiateEnrollment", http.StatusCreated, request{path: "/enroll/initiate", body: object{"phone": c.guest.phone, "session_id": c.session}})
	c.is(a, "initiate", `{"enrollment_id":"$id:enr_","customer_id":"$id:cus_","state":"PENDING_PROOF","attempts_left":5,"expires_at":"$time",
		"sandbox":{"code":"$string","verification_token":"$string"}}`)
	c.guest.id = a.text("data.customer_id")

	a = c.step("verifyEnrollment", http.StatusOK, request{path: "/enroll/verify", body: object{
		"enrollment_id": a.text("data.enrollment_id"), "code": a.text("data.sandbox.code"),
	}})
	c.is(a, "verify", `{"customer_id":"`+c.guest.id+`","state":"VERIFIED","released_grants":[]}`)

	a = c.step("identifyCheckoutSession", http.StatusOK, request{path: "/checkout/sessions/" + c.session + "/identify", body: object{
		"credential": object{"credential_type": "phone", "value": c.guest.phone},
	}})
	c.is(a, "identify", `{"session":{"session_id":"`+c.session+`","state":"open","identity":{"customer_id":"`+c.guest.id+`","credential_type":"phone","state":"VERIFIED","probationary":false}},
		"customer_context":{"customer_id":"`+c.guest.id+`","state":"VERIFIED","balance":{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":0,
			"pending_topups_minor":0,"currency":"USD","promo_grants":[]},"program":{"cashback_bp":500,"claim_gate":"on_verification"},"badge":"new","probationary":false}}`)
	c.is(c.read("getWalletBalance", "/wallets/"+c.guest.id+"/balance"), "balance",
		`{"actual_minor":0,"promo_available_minor":0,"promo_locked_minor":0,"pending_topups_minor":0,"currency":"USD","promo_grants":[]}`)
}

func (c *coffee) ringUp() {
	c.t.Helper()
	a := c.step("reviseBasket", http.StatusOK, request{path: "/checkout/sessions/" + c.session + "/basket", body: basket()})
	c.is(a, "basket", `{"basket":{"revision":1,"total_minor":1275,"subtotal_minor":1275,"discount_minor":0,"tax_minor":0,"currency":"USD","lines":[
		{"line_id":"1","sku":"LATTE","name":"Caffe latte","category":"coffee","quantity":2,"unit_price_minor":450},
		{"line_id":"2","sku":"CROISSANT","category":"bakery","quantity":1,"unit_price_minor":375,"tax_minor":0}]}}`)

	a = c.read("getSessionOffers", "/checkout/sessions/"+c.session+"/offers")
	want(c.t, "feed", `{"meta":{"decision_trace_id":"$id:dt_"}}`, a.Body)
	c.is(a, "feed", `{"offers":[{"offer_id":"$id:off_","kind":"item_discount","title":"$string","value":{"type":"amount","amount_minor":100},
			"applies_to":[{"line_id":"1"}],"redemption_methods":["apply"],"expires_at":"$any",
			"reasoning":{"summary":"$string","rule":"$string","facts":{}},"rank":1}],
		"withheld":[{"offer_id":"$id:off_","reason":"$string","reasoning":{"summary":"$string","rule":"$string","facts":{}}},"$more"]}`)
	if !strings.Contains(string(a.Raw), `"MIN_BASKET_NOT_MET"`) {
		c.t.Errorf("the basket-wide offer is not withheld for its minimum: %s", a.Raw)
	}
	c.offer = a.text("data.offers.0.offer_id")

	a = c.step("applyOffer", http.StatusOK, request{path: "/offers/" + c.offer + "/apply", body: object{"session_id": c.session}})
	c.is(a, "apply", `{"application_id":"$id:apl_","state":"applied","discount_minor":100,
		"session":{"session_id":"`+c.session+`","total_minor":1175,"paid_minor":0,"due_minor":1175,"discount_minor":100}}`)
}

func (c *coffee) payShort() {
	c.t.Helper()
	a := c.step("qrMint", http.StatusCreated, request{path: "/qr/mint", body: object{"customer_id": c.guest.id, "kind": "qr"}})
	c.is(a, "mint", `{"credential":{"credential_type":"qr","value":"$string"},"expires_at":"$time","svg":"$string"}`)
	if !strings.HasPrefix(a.text("data.svg"), "<svg") {
		c.t.Errorf("svg: %.40s", a.text("data.svg"))
	}
	c.qr = object{"credential_type": "qr", "value": a.text("data.credential.value")}

	a = c.step("paymentAuthorize", http.StatusPaymentRequired, request{path: "/payments", body: c.bill()})
	want(c.t, "short payment", `{"ok":false,"data":null,"meta":{"decision_trace_id":"$id:dt_"},
		"error":{"code":"INSUFFICIENT_FUNDS","message":"$string","retryable":true,
			"recovery":{"shortfall_minor":1175,"spendable":{"actual_minor":0,"promo_available_minor":0},
				"options":[{"type":"topup_exact","topup_minor":1175,"bonus_minor":0,"balance_after":{"actual_minor":0,"promo_available_minor":0}},
					{"type":"topup_tier","topup_minor":2500,"bonus_minor":250,"balance_after":{"actual_minor":1575,"promo_available_minor":0}},
					{"type":"split_tender","wallet_minor":0,"other_minor":1175}]}}}`, a.Body)
}

// bill is the body of the payment, the same each time.
func (c *coffee) bill() object {
	return object{"session_id": c.session, "amount_minor": 1175, "currency": "USD", "credential": c.qr}
}

func (c *coffee) topUp() {
	c.t.Helper()
	a := c.step("prepareTopup", http.StatusCreated, request{path: "/topup/prepare", body: object{
		"customer_id": c.guest.id, "amount_minor": 2500, "currency": "USD", "session_id": c.session,
	}})
	c.is(a, "prepare", `{"topup_id":"$id:top_","state":"PENDING","provider":"$string","provider_artifact":{},"amount_minor":2500,"credited_actual_minor":0}`)
	c.topup = a.text("data.topup_id")
	c.is(c.read("getWalletBalance", "/wallets/"+c.guest.id+"/balance"), "balance before confirm", `{"actual_minor":0,"promo_available_minor":0,"pending_topups_minor":2500}`)

	a = c.step("confirmTopup", http.StatusOK, request{path: "/topup/confirm", body: object{"topup_id": c.topup, "provider_settlement_reference": "pi_" + c.topup}})
	c.is(a, "confirm", `{"topup_id":"`+c.topup+`","state":"COMPLETED","credited_actual_minor":2500,
		"bonus_grant":{"grant_id":"$id:grt_","source":"RELOAD_BONUS","state":"RELEASED","amount_minor":250,"remaining_minor":250},
		"balance":{"actual_minor":2500,"promo_available_minor":250,"promo_locked_minor":0,"pending_topups_minor":0,"currency":"USD",
			"promo_grants":[{"source":"RELOAD_BONUS","state":"RELEASED","remaining_minor":250,"expires_at":"$any"}]}}`)
	c.bonus = a.text("data.bonus_grant.grant_id")
}

func (c *coffee) pay() {
	c.t.Helper()
	a := c.step("paymentAuthorize", http.StatusCreated, request{path: "/payments", body: c.bill()})
	c.is(a, "payment", `{"payment_id":"$id:pay_","status":"succeeded","amount_minor":1175,"debited_promo_minor":250,"debited_actual_minor":925,"currency":"USD",
		"session_id":"`+c.session+`","promo_sources":[{"grant_id":"`+c.bonus+`","amount_minor":250}],
		"balance":{"actual_minor":1575,"promo_available_minor":0,"promo_locked_minor":0,"pending_topups_minor":0,"currency":"USD"}}`)
	c.payment = a.text("data.payment_id")
	c.is(c.read("getCheckoutSession", "/checkout/sessions/"+c.session), "paid session", `{"session":{"total_minor":1175,"paid_minor":1175,"due_minor":0}}`)

	a = c.step("paymentAuthorize", http.StatusGone, request{path: "/payments", body: c.bill()})
	c.refused(a, http.StatusGone, "CREDENTIAL_USED")
}

func (c *coffee) close() {
	c.t.Helper()
	a := c.step("closeCheckoutSession", http.StatusOK, request{path: "/checkout/sessions/" + c.session + "/close", body: object{
		"tenders": []object{{"type": "wallet", "amount_minor": 1175, "payment_id": c.payment}},
	}})
	c.is(a, "close", `{"session":{"session_id":"`+c.session+`","state":"closed","total_minor":1175,"paid_minor":1175,"due_minor":0},
		"transaction":{"transaction_id":"$id:txn_","total_minor":1175},
		"decisions":[{"kind":"cashback","grant":{"source":"CASHBACK","amount_minor":58,"state":"RELEASED"},"reasoning":{"summary":"$string","rule":"$string","facts":{}}},
			{"kind":"attribution","reasoning":{"summary":"$string","rule":"$string","facts":{}}}]}`)
	want(c.t, "close", `{"meta":{"decision_trace_id":"$id:dt_"}}`, a.Body)
	c.transaction = a.text("data.transaction.transaction_id")
	c.is(c.read("getWalletBalance", "/wallets/"+c.guest.id+"/balance"), "balance in the end",
		`{"actual_minor":1575,"promo_available_minor":58,"promo_locked_minor":0,"pending_topups_minor":0,
			"promo_grants":[{"source":"CASHBACK","state":"RELEASED","amount_minor":58,"remaining_minor":58}]}`)
}

// afterwards is what can be asked about a walk when it is over.
func (c *coffee) afterwards() {
	c.t.Helper()
	c.is(c.read("getTransaction", "/"+c.made.text("data.integration_id")+"/transactions/"+c.transaction), "transaction",
		`{"transaction_id":"`+c.transaction+`","status":"completed","origin":"pos","session_id":"`+c.session+`","currency":"USD",
			"subtotal_minor":1275,"discount_minor":100,"tax_minor":0,"total_minor":1175,"refunded_minor":0,
			"customer":{"customer_id":"`+c.guest.id+`"},
			"lines":[{"line_id":"1","sku":"LATTE","quantity":2},{"line_id":"2","sku":"CROISSANT","quantity":1}],
			"applied_offers":[{"offer_id":"`+c.offer+`","discount_minor":100,"state":"redeemed"}],
			"tenders":[{"type":"wallet","amount_minor":1175,"payment_id":"`+c.payment+`"}],"cashback":{},"attribution":{}}`)
	c.receipts()
	c.lookups()
	c.capabilities()
	want(c.t, "health", `{"status":"ok","degraded_subsystems":[]}`, send(c.t, request{method: http.MethodGet, path: "/health"}).at("data"))
	if n := c.at("/webhooks/events/catalog"); n < 30 {
		c.t.Errorf("the catalogue has %d event types", n)
	}
}

func (c *coffee) at(path string) int {
	types, _ := c.expect(c.manage(path, nil), http.StatusOK).at("data.event_types").([]any)
	return len(types)
}

func (c *coffee) receipts() {
	c.t.Helper()
	path := "/transactions/" + c.transaction + "/receipt"
	c.is(c.read("getReceipt", path), "receipt", `{"transaction_id":"`+c.transaction+`","receipt_number":"$string","status":"completed","currency":"USD",
		"lines":[{"name":"Caffe latte","quantity":2},{"quantity":1}],"subtotal_minor":1275,"discount_minor":100,"total_minor":1175,
		"tenders":[{"type":"wallet","amount_minor":1175}],"cashback":{},"issued_at":"$time"}`)
	text := c.expect(c.do(request{method: http.MethodGet, path: path, accept: "text/plain"}), http.StatusOK)
	if !strings.HasPrefix(text.Header.Get("Content-Type"), "text/plain") || !bytes.Contains(text.Raw, []byte("11.75")) || !bytes.Contains(text.Raw, []byte("Caffe latte")) {
		c.t.Errorf("text receipt, %s:\n%s", text.Header.Get("Content-Type"), text.Raw)
	}
	pdf := c.expect(c.do(request{method: http.MethodGet, path: path, accept: "application/pdf"}), http.StatusOK)
	if pdf.Header.Get("Content-Type") != "application/pdf" || !bytes.HasPrefix(pdf.Raw, []byte("%PDF-")) || !bytes.Contains(pdf.Raw[len(pdf.Raw)-16:], []byte("%%EOF")) {
		c.t.Errorf("PDF receipt, %s: %d bytes beginning with %.8q", pdf.Header.Get("Content-Type"), len(pdf.Raw), pdf.Raw)
	}
}

func (c *coffee) lookups() {
	c.t.Helper()
	registered := `{"status":"registered","customer":{"customer_id":"` + c.guest.id + `","state":"VERIFIED"},"balance":{"actual_minor":1575,"promo_available_minor":58},"unclaimed_cashback":"$any"}`
	c.is(c.read("lookupCustomer", "/customers/lookup?phone="+url.QueryEscape(c.guest.phone)), "lookup by phone", registered)
	// Rule 12: the enterprise comes from the token, whatever the query says.
	c.is(c.get("/customers/lookup?merchant_id=mer_other&enterprise_id=other&phone="+url.QueryEscape(c.guest.phone)), "lookup of another enterprise", registered)
	c.is(c.get("/customers/lookup?session_id="+c.session), "lookup by session", `{"status":"identified_in_session","customer":{"customer_id":"`+c.guest.id+`"}}`)
	for _, nobody := range []string{"phone=%2B14155559999", "provider_customer_id=pos-1"} {
		c.is(c.expect(c.get("/customers/lookup?"+nobody), http.StatusOK), "lookup of nobody", `{"status":"not_found","customer":null,"balance":null,"unclaimed_cashback":null}`)
	}
	a := c.expect(c.post("/checkout/sessions/"+c.shop.session()+"/identify", object{"credential": object{"credential_type": "phone", "value": "+14155559999"}}), http.StatusOK)
	c.is(a, "identify nobody", `{"status":"not_found","customer_context":null,"session":{"identity":null}}`)
}

func (c *coffee) capabilities() {
	c.t.Helper()
	a := c.manage("/capabilities", nil)
	c.is(a, "capabilities", `{"mode":"sandbox","currencies":["USD","$more"],"supported_credential_types":["$string","$more"],"feature_flags":{},
		"actuators":[{"state":"ready"},{"state":"ready"},{"state":"ready"}]}`)
	listed := map[string]any{}
	operations, _ := a.at("data.operations").([]any)
	for _, o := range operations {
		id, _ := shape.At(o, "operation_id").(string)
		listed[id] = o
	}
	want(c.t, "capabilities of the key: paymentAuthorize", `{"method":"POST","path":"/payments","maturity":"beta","callable":false,"needs":"terminal"}`, listed["paymentAuthorize"])
	want(c.t, "capabilities of the key: createApiKey", `{"method":"POST","path":"/auth/keys","maturity":"ga","callable":true,"needs":"key"}`, listed["createApiKey"])
	for _, o := range system.spec.Operations() {
		if listed[o.ID] == nil {
			c.t.Errorf("%s is in the document and not in the capabilities", o.ID)
		}
	}
	if len(listed) != len(system.spec.Operations()) {
		c.t.Errorf("%d operations are listed, %d documented", len(listed), len(system.spec.Operations()))
	}
}
