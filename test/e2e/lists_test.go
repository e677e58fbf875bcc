package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// aList says how a list's rows are told apart and how it gets another one.
type aList struct {
	rows, id string // names in the answer; without an id a row is told by all it says
	// add makes the nth row; nil where only time makes rows.
	add func(s *stock, n int)
	// late marks a list that other work fills: a row is there some time after.
	late bool
}

// manages makes a row with the API key.
func (s *stock) manages(path string, body object) {
	s.t.Helper()
	if a := s.manage(path, body); a.Status >= 300 {
		s.t.Fatalf("%s: %d %s", path, a.Status, a.Raw)
	}
}

// reviseAgain revises the basket of the stock's session for the nth time.
func (s *stock) reviseAgain(n int) {
	s.t.Helper()
	body := basket()
	body["expected_revision"] = n + 1 // there is one already
	s.ok(request{path: "/checkout/sessions/" + s.ids["session"] + "/basket", body: body})
}

var lists = map[string]aList{
	"listApiKeys": {rows: "keys", id: "key_id", add: func(s *stock, n int) {
		s.manages("/auth/keys", object{"scope": "enterprise", "name": fmt.Sprint(n)})
	}},
	"listBudgets": {rows: "budgets", id: "budget_id", add: func(s *stock, n int) { s.budget(100 + n) }},
	"getBudget": {rows: "movements", id: "movement_id", add: func(s *stock, n int) {
		s.manages("/budgets/"+s.id("budget")+"/adjust", object{"cap_minor": 600000 + n})
	}},
	"listCheckoutSessions": {rows: "sessions", id: "session_id", add: func(s *stock, _ int) { s.session() }},
	"listBasketRevisions":  {rows: "revisions", id: "revision", add: (*stock).reviseAgain},
	"listSessionDecisions": {rows: "decisions", id: "decision_id", add: func(s *stock, n int) {
		s.reviseAgain(n)
		s.expect(s.get("/checkout/sessions/"+s.ids["session"]+"/offers"), http.StatusOK)
	}},
	"listCustomerActivity": {rows: "activity", id: "activity_id", add: func(s *stock, _ int) { s.fund(s.guest, 100) }},
	"listConsents": {rows: "consents", id: "consent_id", add: func(s *stock, n int) {
		s.consents("marketing", object{"channel": "email", "version": fmt.Sprint(n)})
	}},
	"listCustomerCredentials": {rows: "credentials", id: "credential_id", add: func(s *stock, n int) { s.link(s.guest, fingerprint(100+n)) }},
	"listCustomerEvents": {rows: "events", id: "customer_event_id", add: func(s *stock, n int) {
		if n == 0 {
			s.consents("profiling", nil)
		}
		s.ok(request{path: "/customers/" + s.guest.id + "/events", body: object{"type": "visit", "occurred_at": time.Now().UTC().Format(time.RFC3339)}})
	}},
	"listCustomerGrants": {rows: "grants", id: "grant_id", add: func(s *stock, _ int) { s.lot(s.guest, s.id("budget"), 5, time.Time{}) }},
	"listOffers": {rows: "offers", id: "offer_id", add: func(s *stock, n int) {
		s.manages("/offers", object{"kind": "basket_discount", "title": "An offer", "name": fmt.Sprint(n), "value": object{"type": "amount", "amount_minor": 10, "per": "basket"},
			"targets": object{"basket_wide": true}, "currency": "USD", "status": "draft"})
	}},
	"listTopupSkus": {rows: "skus", id: "sku_id", add: func(s *stock, n int) {
		s.manages("/topup/skus", object{"sku_id": fmt.Sprintf("SKU-%02d", (n*7)%97), "name": "A SKU", "value_minor": 100, "currency": "USD"})
	}},
	"listSubscriptions": {rows: "subscriptions", id: "subscription_id", add: func(s *stock, _ int) {
		s.manages("/webhooks/subscriptions", object{"url": "http://127.0.0.1:9/hook", "event_types": []string{"dispute.*"}})
	}},
	"listDeliveries": {rows: "deliveries", id: "delivery_id", late: true, add: func(s *stock, n int) {
		if n == 0 {
			s.manages("/webhooks/subscriptions", object{"url": "http://127.0.0.1:9/hook", "event_types": []string{"checkout.session.opened"}})
		}
		s.session()
	}},
	"listTerminals": {rows: "terminals", id: "terminal_id", add: func(s *stock, n int) {
		s.manages("/auth/terminals", object{"branch_id": s.ids["branch"], "name": fmt.Sprint(n)})
	}},
	"getSessionTimeline": {rows: "entries", id: "sequence", add: (*stock).reviseAgain},
	"listDisputes": {rows: "disputes", id: "dispute_id", add: func(s *stock, _ int) {
		s.manages("/disputes", object{"transaction_id": s.sold(), "reason": "wrong_amount", "amount_minor": 375, "description": "x"})
	}},
	"listProposals": {rows: "proposals", id: "proposal_id", add: func(s *stock, n int) {
		s.ok(request{path: "/proposals", body: object{"kind": "upsell", "customer_id": s.guest.id, "session_id": s.ids["session"], "title": fmt.Sprint(n),
			"value": object{"type": "amount", "amount_minor": 100, "per": "basket"}, "budget_id": s.id("budget")}})
	}},
	"listTopupSettlements": {rows: "settlements", id: "topup_id", add: func(s *stock, _ int) { s.fund(s.guest, 100) }},
	"listSettlements":      {rows: "settlements", id: "settlement_id"},
	"getSettlement":        {rows: "lines"},
	"pollEvents":           {rows: "events", id: "id", late: true, add: func(s *stock, _ int) { s.session() }},
	"listTransactions":     {rows: "transactions", id: "transaction_id", add: func(s *stock, _ int) { s.closed(s.sale(byPhone(s.guest)), 1275) }},
}

// Whoever pages through a list while rows are added meets every row that was
// there when they began, in its place, and none of them twice. Every list is
// tried: one that this test does not know fails it.
func TestListsAreStableWhileTheyGrow(t *testing.T) {
	t.Parallel()
	paged := 0
	for _, op := range callable(t, http.MethodGet) {
		if !slices.Contains(op.Query, "limit") {
			continue
		}
		paged++
		t.Run(op.ID, func(t *testing.T) {
			t.Parallel()
			list, known := lists[op.ID]
			if !known {
				t.Fatalf("say in lists how %s gets another row", op.ID)
			}
			s := stocked(t)
			walk := &paging{stock: s, op: op, list: list}
			rows := 5
			if list.add == nil {
				rows = 0
			}
			for range rows {
				walk.add()
			}
			walk.settle(rows)
			begun := walk.ids(walk.page("limit=200"))
			met := walk.through()
			if rest := slices.DeleteFunc(slices.Clone(met), func(id string) bool { return !slices.Contains(begun, id) }); !slices.Equal(rest, begun) {
				t.Errorf("the list had %q\npage by page it has %q", begun, met)
			}
			if unique := slices.Compact(slices.Sorted(slices.Values(met))); len(unique) != len(met) {
				t.Errorf("rows came twice: %q", met)
			}
		})
	}
	if paged < 15 {
		t.Errorf("only %d lists were paged", paged)
	}
}

// paging is a walk through a list that grows.
type paging struct {
	*stock
	op    document.Operation
	list  aList
	added int
}

func (p *paging) add() {
	p.t.Helper()
	p.list.add(p.stock, p.added)
	p.added++
}

// page reads a page; of transactions the identified ones.
func (p *paging) page(query string) *answer {
	p.t.Helper()
	return p.expect(p.do(request{method: http.MethodGet, path: p.path(p.op) + "?" + query, as: p.caller(p.op)}), http.StatusOK)
}

func (p *paging) ids(a *answer) (out []string) {
	rows, _ := shape.At(a.Body, "data."+p.list.rows).([]any)
	for _, row := range rows {
		out = append(out, fmt.Sprint(shape.At(row, p.list.id))) // all of it where there is no id
	}
	return out
}

// settle waits until there are at least n rows and, where other work fills the
// list, until it has filled it.
func (p *paging) settle(n int) {
	p.t.Helper()
	if p.list.late {
		p.events() // all that happened is in the log
	}
	eventually(p.t, func() error {
		if got := p.ids(p.page("limit=200")); len(got) < n || slices.Contains(got, "<nil>") {
			return fmt.Errorf("%d rows: %q", len(got), got)
		}
		return nil
	})
}

// through pages to the end, two rows at a time, with a row more after each of
// the first pages.
func (p *paging) through() (met []string) {
	p.t.Helper()
	query := "limit=2"
	for pages := 0; ; pages++ {
		a := p.page(query)
		ids := p.ids(a)
		met = append(met, ids...)
		next, name := a.text("meta.next_cursor"), "cursor"
		if p.op.ID == "pollEvents" {
			if name = "after"; a.at("data.has_more") == true {
				next = a.text("data.cursor")
			}
		}
		if next == "" {
			return met
		}
		if len(ids) != 2 && p.op.ID != "pollEvents" || pages > 200 {
			p.t.Fatalf("page %d has %d rows and is not the last: %s", pages, len(ids), a.Raw)
		}
		query = "limit=2&" + name + "=" + url.QueryEscape(next)
		if pages < 6 && p.list.add != nil {
			p.add()
		}
	}
}

// A cursor belongs to its list: another list refuses it.
func TestCursorsAreOfOneList(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	for range 2 {
		s.budget(100)
	}
	cursor := s.manage("/budgets?limit=1", nil).text("meta.next_cursor")
	if cursor == "" || strings.Contains(cursor, "bud_") {
		t.Fatalf("the cursor is %q", cursor)
	}
	for _, op := range callable(t, http.MethodGet) {
		if slices.Contains(op.Query, "cursor") && op.ID != "listBudgets" {
			bad{op.ID, request{method: http.MethodGet, path: s.path(op) + "?cursor=" + url.QueryEscape(cursor), as: s.caller(op)}, http.StatusBadRequest, "CURSOR_INVALID", "cursor"}.check(t)
		}
	}
}
