package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// sales is the path of the shop's transactions.
func (s *shop) sales() string { return "/" + s.made.text("data.integration_id") + "/transactions" }

// mounted reports whether the server serves an operation.
func mounted(id string) bool {
	for _, op := range system.spec.Operations() {
		if op.ID == id {
			return true
		}
	}
	return false
}

func TestRule54_ATransactionNeverChanges(t *testing.T) {
	t.Parallel()
	c := begin(t)
	c.walk()
	path := c.sales() + "/" + c.transaction
	read := func() string {
		body, _ := c.expect(c.get(path), http.StatusOK).at("data").(object)
		delete(body, "cashback") // shows the lot as it is now, which stands beside the sale
		body["customer"] = c.guest.id == shape.At(body, "customer.customer_id")
		raw, err := marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	before := read()
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		c.refused(c.do(request{method: method, path: path, as: c.key}), http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	}
	// What it was made of goes on living.
	c.fund(c.guest, 900)
	c.pays(c.guest, 58) // its cashback
	c.ok(request{path: "/offers/" + c.offer + "/update", as: c.key, body: object{"title": "Renamed"}})
	c.ok(request{path: "/customers/" + c.guest.id + "/status", as: c.key, body: object{"status": "disabled", "reason": "fraud"}})
	if after := read(); after != before {
		t.Errorf("the transaction was\n%s\nand is\n%s", before, after)
	}
	// Not even behind the server's back.
	conn, err := pgx.Connect(t.Context(), system.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, sql := range []string{"update transactions set total_minor = total_minor where transaction_id = $1", "delete from transactions where transaction_id = $1"} {
		if _, err := conn.Exec(t.Context(), sql, c.transaction); err == nil {
			t.Errorf("%s is possible", sql)
		}
	}
}

func TestRule55_EverySaleAndEveryDebitIsATransaction(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2000)
	list := func() []any {
		rows, _ := s.expect(s.get(s.sales()+"?include_unidentified=true"), http.StatusOK).at("data.transactions").([]any)
		return rows
	}
	s.closed(s.sale(nil), 1275)
	if got := list(); len(got) != 1 {
		t.Errorf("a closed session is %d transactions", len(got))
	}
	alone := s.pays(g, 100)
	eventually(t, func() error {
		if got := s.get("/payments/" + alone.text("data.payment_id")); got.text("data.transaction_id") == "" {
			return fmt.Errorf("the payment is in no transaction: %s", got.Raw)
		}
		return nil
	})
	// A debit inside a session is a tender of the session's one transaction.
	session := s.sale(byPhone(g))
	body := bill(1275, s.mint(g, "qr"))
	body["session_id"] = session
	paid := s.expect(s.post("/payments", body), http.StatusCreated).text("data.payment_id")
	a := s.expect(s.post("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "wallet", "amount_minor": 1275, "payment_id": paid}}}), http.StatusOK)
	s.is(s.get("/payments/"+paid), "payment", `{"transaction_id":"`+a.text("data.transaction.transaction_id")+`"}`)
	if got := list(); len(got) != 3 || s.happened("transaction.created", "") != 3 {
		t.Errorf("%d transactions, want 3: %v", len(got), got)
	}
}

func TestRule56_EveryIdentifiedSaleHasAReceipt(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.expect(s.post("/topup/sku/TOPUP-20", object{"customer_id": g.id}), http.StatusCreated)
	numbers := map[string]bool{}
	for what, tenders := range map[string][]object{
		"cash": {{"type": "cash", "amount_minor": 1275}}, "card": {{"type": "card", "amount_minor": 1275, "card_scheme": "visa", "card_last_four": "4242", "reference": "a-1"}},
		"both": {{"type": "cash", "amount_minor": 1000}, {"type": "card", "amount_minor": 275}}, "wallet": {{"type": "wallet", "amount_minor": 1275}},
	} {
		session := s.sale(byPhone(g))
		if what == "wallet" {
			body := bill(1275, s.mint(g, "qr"))
			body["session_id"] = session
			tenders[0]["payment_id"] = s.expect(s.post("/payments", body), http.StatusCreated).text("data.payment_id")
		}
		a := s.expect(s.post("/checkout/sessions/"+session+"/close", object{"tenders": tenders}), http.StatusOK)
		id := a.text("data.transaction.transaction_id")
		receipt := s.expect(s.get("/transactions/"+id+"/receipt"), http.StatusOK)
		s.is(receipt, what, `{"transaction_id":"`+id+`","receipt_number":"$string","total_minor":1275,"tenders":[{"type":"`+fmt.Sprint(tenders[0]["type"])+`"},"$more"],"issued_at":"$time"}`)
		numbers[receipt.text("data.receipt_number")] = true
	}
	if len(numbers) != 4 {
		t.Errorf("four receipts have the numbers %v", numbers)
	}
}

func TestRule57_UnidentifiedSalesAreListedOnRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	known := s.closed(s.sale(byPhone(g)), 1275).text("data.transaction.transaction_id")
	unknown := s.closed(s.sale(nil), 1275).text("data.transaction.transaction_id")
	for query, both := range map[string]bool{"": false, "?include_unidentified=false": false, "?include_unidentified=true": true} {
		a := s.expect(s.get(s.sales()+query), http.StatusOK)
		if text := string(a.Raw); !strings.Contains(text, known) || strings.Contains(text, unknown) != both {
			t.Errorf("%q lists %s", query, text)
		}
	}
}

// offered are the ids of a feed's offers.
func offered(a *answer) string {
	var ids []string
	offers, _ := a.at("data.offers").([]any)
	for _, o := range offers {
		id, _ := shape.At(o, "offer_id").(string)
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

func TestRule58_TheSessionFeedKnowsBasketAndGuest(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	known := s.expect(s.manage("/offers", object{
		"kind": "basket_discount", "title": "For guests", "name": "For guests", "value": object{"type": "amount", "amount_minor": 10, "per": "basket"},
		"targets": object{"basket_wide": true}, "conditions": object{"customer_states": []string{"VERIFIED"}}, "currency": "USD", "status": "active",
	}), http.StatusCreated).text("data.offer_id")
	session := s.session()
	revise := func(expected int, lines ...object) {
		s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: object{"expected_revision": expected, "lines": lines}})
	}
	feed := func() string {
		return offered(s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK))
	}
	latte := object{"line_id": "1", "sku": "LATTE", "category": "coffee", "quantity": 1, "unit_price_minor": 450}
	revise(0, latte)
	if anonymous := feed(); anonymous == "" || strings.Contains(anonymous, known) {
		t.Errorf("an anonymous latte is offered %q", anonymous)
	}
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
	eventually(t, func() error {
		if got := feed(); !strings.Contains(got, known) {
			return fmt.Errorf("the guest is offered %s", got)
		}
		return nil
	})
	guest := feed()
	revise(1, object{"line_id": "9", "sku": "TEA", "quantity": 1, "unit_price_minor": 300})
	if tea := feed(); tea == guest || !strings.Contains(tea, known) {
		t.Errorf("with tea the guest is offered %q, with a latte %q", tea, guest)
	}
	path := "/customers/" + g.id + "/offers"
	if !mounted("getCustomerOffers") {
		s.refused(s.get(path), http.StatusNotImplemented, "NOT_IMPLEMENTED")
		return
	}
	// The guest's own feed does not know of any basket.
	before := offered(s.expect(s.get(path), http.StatusOK))
	revise(2, latte)
	if after := offered(s.expect(s.get(path), http.StatusOK)); after != before || !strings.Contains(after, known) {
		t.Errorf("the guest's own feed was %q and is %q", before, after)
	}
}

func TestRule59_WhatWasShownAndNotTakenIsKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	outcome := func(session, offer string) string {
		return ask[string](t, "select coalesce(string_agg(distinct outcome, ','), '') from counterfactuals where session_id = $1 and offer_id = $2", session, offer)
	}
	taken, left := s.sale(byPhone(g)), s.sale(byPhone(g))
	offer := s.get("/checkout/sessions/" + taken + "/offers").text("data.offers.0.offer_id")
	a := s.get("/checkout/sessions/" + left + "/offers")
	withheld := a.text("data.withheld.0.offer_id")
	if a.text("data.offers.0.offer_id") != offer || withheld == "" {
		t.Fatalf("the feed: %s", a.Raw)
	}
	s.ok(request{path: "/offers/" + offer + "/apply", body: object{"session_id": taken}})
	s.closed(taken, 1175)
	s.closed(left, 1275)
	for what, got := range map[string]string{"taken": outcome(taken, offer), "not_taken": outcome(left, offer), "withheld": outcome(left, withheld)} {
		if got != what {
			t.Errorf("what was %s is kept as %q", what, got)
		}
	}
	if mounted("getSessionTimeline") {
		told := s.expect(s.manage("/checkout/sessions/"+left+"/timeline?include_counterfactuals=true", nil), http.StatusOK)
		if !strings.Contains(string(told.Raw), `"happened":false`) || !strings.Contains(string(told.Raw), offer) {
			t.Errorf("the timeline does not tell: %s", told.Raw)
		}
	}
}

// Whatever the contract calls planned answers 501, and is neither among the
// capabilities nor in the document that is served; nor is, in production, what
// belongs to sandboxes (TestProduction).
func TestRule60_PlannedOperationsAreNotMounted(t *testing.T) {
	t.Parallel()
	s := open(t)
	full, err := os.ReadFile("../../contracts/openapi/feddi.partner.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree object
	if err := json.Unmarshal(full, &tree); err != nil {
		t.Fatal(err)
	}
	listed, all := operations(s.by(s.key)), 0
	paths, _ := tree["paths"].(object)
	for path, item := range paths {
		methods, _ := item.(object)
		for method, spec := range methods {
			id, _ := shape.At(spec, "operationId").(string)
			planned := shape.At(spec, "x-maturity") == "planned"
			all++
			if planned == mounted(id) || planned == (listed[id] != nil) {
				t.Errorf("%s: planned %v, in the document %v, in the capabilities %v", id, planned, mounted(id), listed[id])
			}
			if planned {
				a := s.do(request{method: strings.ToUpper(method), path: strings.NewReplacer("{", "zzz_", "}", "").Replace(path), as: s.key, body: []byte("{}")})
				s.refused(a, http.StatusNotImplemented, "NOT_IMPLEMENTED")
			}
		}
	}
	if want := len((&document.Document{Tree: tree}).Operations()); all != want || all < 120 {
		t.Errorf("%d operations, the document has %d", all, want)
	}
}
