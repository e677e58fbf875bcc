package checkout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/api/feddi/sessions"
	"github.com/feddi/feddi/adapters/api/pipeline"
	tenancystore "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/adapters/receipt"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/test/contract/exchange"
)

type object = map[string]any

// door is a served shop. Each JSON answer is held against the published document.
type door struct {
	*shop
	url       string
	published *exchange.Checker
}

// credentials are what the tests present; the real verifiers have tests of
// their own.
type credentials map[string]tenancy.Actor

func (c credentials) Key(_ context.Context, raw string) (tenancy.Actor, error) { return c.known(raw) }

func (c credentials) Terminal(_ context.Context, token string) (tenancy.Actor, error) {
	return c.known(token)
}

func (c credentials) known(raw string) (tenancy.Actor, error) {
	if a, ok := c[raw]; ok {
		return a, nil
	}
	return tenancy.Actor{}, fault.New(fault.CodeUnauthenticated, "unknown credential")
}

func serve(t *testing.T) *door {
	t.Helper()
	s := newShop(t)
	key := tenancy.Actor{
		Kind: tenancy.KeyCall, PartnerID: s.tenant.PartnerID, Mode: s.tenant.Mode, KeyID: "key_1", Scope: tenancy.ScopeEnterprise,
		Merchants: []string{s.tenant.MerchantID}, TenantNos: []int32{s.tenant.No},
	}
	catalogue, err := api.Catalogue()
	s.must(err)
	reg := pipeline.NewRegistry(catalogue, s.tenant.Mode)
	feddi.RegisterCheckout(reg, s.Service)
	sessions.RegisterTimeline(reg, s.timeline)
	feddi.RegisterTransactions(reg, feddi.TransactionsDeps{Transactions: s.transactions, Text: receipt.Text, PDF: receipt.PDF})
	feddi.RegisterOffers(reg, s.offers)
	server, err := api.New(pipeline.Config{
		Registry: reg, Auth: credentials{"key": key}, Limits: ratelimit.Off{}, Places: feddi.Places{Directory: tenancystore.NewDirectory(s.db)},
		Replays: s.uow.Read().Idempotency, Clock: s.clock, IDs: s.ids, Versions: pipeline.Versions,
		ServerKey: bytes.Repeat([]byte{9}, 32), Log: slog.New(slog.DiscardHandler),
	})
	s.must(err)
	listening := httptest.NewServer(server)
	t.Cleanup(func() {
		listening.Close()
		if n := server.Pipeline.Defects(); n != 0 {
			t.Errorf("%d answers were not pinned", n)
		}
	})
	d := &door{shop: s, url: listening.URL + api.Base}
	document := d.raw(http.MethodGet, "/openapi", "application/json", "", nil)
	d.published, err = exchange.New(api.Base, []byte(document.Body))
	s.must(err)
	return d
}

// answer is what came back.
type answer struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   string
	Data   object
	Meta   object
	Error  struct {
		Code    string
		Details []struct{ Field, Rule, Message string }
	}
}

// at reads a member of data by path; nil where it is null.
func (a answer) at(path string) any {
	a.t.Helper()
	var v any = a.Data
	for part := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case object:
			member, ok := in[part]
			if !ok {
				a.t.Fatalf("no %s in %s", path, a.Body)
			}
			v = member
		case []any:
			v = in[part[0]-'0']
		default:
			a.t.Fatalf("no %s in %s", path, a.Body)
		}
	}
	return v
}

func (a answer) want(status int, code string) answer {
	a.t.Helper()
	if a.Status != status || a.Error.Code != code {
		a.t.Fatalf("got %d %s, want %d %s: %s", a.Status, a.Error.Code, status, code, a.Body)
	}
	return a
}

// is fails where a member is not want, as JSON has it.
func (a answer) is(path string, want any) {
	a.t.Helper()
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	if got := a.at(path); got != want {
		a.t.Errorf("%s is %v, want %v", path, got, want)
	}
}

func (d *door) raw(method, path, accept, key string, body []byte) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, bytes.NewReader(body))
	d.must(err)
	req.Header.Set("X-Api-Key", "key")
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	d.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	d.must(err)
	a := answer{t: d.t, Status: res.StatusCode, Header: res.Header, Body: string(text)}
	if d.published == nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		return a
	}
	d.must(json.Unmarshal(text, &a))
	if err := d.published.Check(method, req.URL.Path, body, res.StatusCode, res.Header.Get("Content-Type"), text); err != nil {
		d.t.Error(err)
	}
	return a
}

func (d *door) get(path string) answer {
	d.t.Helper()
	return d.raw(http.MethodGet, path, "application/json", "", nil)
}

func (d *door) post(path string, fields object) answer {
	d.t.Helper()
	return d.postWith(uuid.NewString(), path, fields)
}

func (d *door) postWith(key, path string, fields object) answer {
	d.t.Helper()
	body := object{
		"meta":    object{"api_version": "2026-06-01"},
		"context": object{"merchant_id": d.tenant.MerchantID, "branch_id": "brn_1", "cashier_id": "c-17", "locale": "en-US"},
	}
	for k, v := range fields {
		body[k] = v
	}
	raw, err := json.Marshal(body)
	d.must(err)
	return d.raw(http.MethodPost, path, "application/json", key, raw)
}

func lines() []object {
	return []object{
		{"line_id": "1", "sku": "LATTE", "name": "Caffe latte", "category": "coffee", "quantity": 2, "unit_price_minor": 450},
		{"line_id": "2", "sku": "CROISSANT", "category": "bakery", "quantity": 1, "unit_price_minor": 375, "tax_minor": 0},
	}
}

func TestTheSessionOverHTTP(t *testing.T) {
	t.Parallel()
	d := serve(t)
	d.seed()
	guest := d.guest(ann, identity.Verified)

	opened := d.post("/checkout/sessions", object{"currency": "USD", "channel": "in_store"}).want(201, "")
	opened.is("session.state", "open")
	opened.is("session.identity", nil)
	opened.is("session.basket", nil)
	opened.is("session.basket_revision", 0)
	opened.is("session.brand_id", "brd_1")
	opened.is("session.cashier_id", "c-17")
	opened.is("customer_context", nil)
	path := "/checkout/sessions/" + opened.at("session.session_id").(string)

	d.post(path+"/identify", object{"credential": object{"credential_type": "phone", "value": bob}}).want(200, "").is("status", "not_found")
	identified := d.post(path+"/identify", object{"credential": object{"credential_type": "phone", "value": ann}}).want(200, "")
	identified.is("customer_context.customer_id", guest)
	identified.is("session.identity.state", "VERIFIED")

	d.get(path+"/basket").want(200, "").is("basket", nil)
	basket := d.post(path+"/basket", object{"expected_revision": 0, "lines": lines(), "discount_minor": 0, "tax_minor": 0}).want(200, "")
	basket.is("basket.revision", 1)
	basket.is("basket.total_minor", 1275)
	basket.is("session.due_minor", 1275)
	stale := d.post(path+"/basket", object{"expected_revision": 0, "lines": lines()}).want(409, "REVISION_CONFLICT")
	if len(stale.Error.Details) != 1 || stale.Error.Details[0].Field != "expected_revision" || !strings.Contains(stale.Error.Details[0].Message, "revision 1") {
		t.Errorf("details = %+v", stale.Error.Details)
	}
	d.get(path+"/basket?revision=1").want(200, "").is("basket.lines.0.quantity", 2)
	d.get(path+"/basket?revision=2").want(404, "NOT_FOUND")

	offer := d.apply100(opened.at("session.session_id").(string))
	d.get(path).want(200, "").is("session.applied_offers.0.offer_id", offer)

	mismatch := object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}}
	d.post(path+"/close", mismatch).want(422, "TENDERS_MISMATCH")
	key := uuid.NewString()
	tenders := object{"tenders": []object{{"type": "cash", "amount_minor": 1000}, {"type": "card", "amount_minor": 175, "card_last_four": "4242"}}}
	closed := d.postWith(key, path+"/close", tenders).want(200, "")
	closed.is("session.state", "closed")
	closed.is("transaction.total_minor", 1175)
	closed.is("transaction.applied_offers.0.state", "redeemed")
	closed.is("decisions.0.kind", "cashback")
	closed.is("decisions.0.state", "committed")
	closed.is("decisions.0.grant.amount_minor", 58)
	closed.is("decisions.0.grant.state", "RELEASED")
	closed.is("decisions.1.kind", "attribution")
	closed.is("transaction.attribution.offers.0.outcome", "redeemed")
	closed.is("transaction.cashback.percent_bp", 500)
	if closed.Meta["decision_trace_id"] != closed.at("transaction.decision_trace_id") || closed.Meta["decision_trace_id"] == nil {
		t.Errorf("meta = %v", closed.Meta)
	}
	again := d.postWith(key, path+"/close", tenders).want(200, "")
	if strings.Replace(again.Body, `"idempotency_replayed":true`, `"idempotency_replayed":false`, 1) != closed.Body {
		t.Errorf("replayed with other bytes:\n%s\n%s", closed.Body, again.Body)
	}
	d.post(path+"/close", tenders).want(410, "SESSION_ENDED")
	d.post(path+"/abandon", nil).want(410, "SESSION_ENDED")
	d.reads(closed)
}

// reads compares what is read with what the close answered.
func (d *door) reads(closed answer) {
	d.t.Helper()
	id := closed.at("transaction.transaction_id").(string)
	whole := d.get("/"+d.tenant.PartnerID+"/transactions/"+id).want(200, "")
	want, err := json.Marshal(closed.at("transaction"))
	d.must(err)
	got, err := json.Marshal(whole.Data)
	d.must(err)
	if !bytes.Equal(want, got) {
		d.t.Errorf("the transaction reads otherwise:\n%s\n%s", want, got)
	}
	list := d.get("/"+d.tenant.PartnerID+"/transactions?limit=1").want(200, "")
	list.is("transactions.0.transaction_id", id)
	list.is("transactions.0.cashback_minor", 58)
	d.get("/par_other/transactions").want(404, "NOT_FOUND")
	d.get("/"+d.tenant.PartnerID+"/transactions?cursor=x").want(400, "CURSOR_INVALID")

	receiptPath := "/transactions/" + id + "/receipt"
	r := d.get(receiptPath).want(200, "")
	r.is("issuer.merchant_name", "Bean & Leaf")
	r.is("discounts.0.amount_minor", 100)
	r.is("total_minor", 1175)
	text := d.raw(http.MethodGet, receiptPath, "text/plain", "", nil)
	if text.Status != 200 || !strings.HasPrefix(text.Header.Get("Content-Type"), "text/plain") || !strings.Contains(text.Body, "TOTAL USD                            11.75\n") {
		d.t.Errorf("text = %d %s:\n%s", text.Status, text.Header.Get("Content-Type"), text.Body)
	}
	pdf := d.raw(http.MethodGet, receiptPath, "application/pdf", "", nil)
	if pdf.Status != 200 || pdf.Header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(pdf.Body, "%PDF-") {
		d.t.Errorf("pdf = %d %s", pdf.Status, pdf.Header.Get("Content-Type"))
	}
}

func TestOneCallOpensIdentifiesAndRingsUp(t *testing.T) {
	t.Parallel()
	d := serve(t)
	d.guest(ann, identity.PendingProof)
	a := d.post("/checkout/sessions", object{
		"currency": "USD", "credential": object{"credential_type": "phone", "value": ann}, "basket": object{"lines": lines()},
	}).want(201, "")
	a.is("status", "identified")
	a.is("session.basket.total_minor", 1275)
	a.is("customer_context.state", "PENDING_PROOF")
	d.post("/checkout/sessions", object{"currency": "EUR"}).want(400, "UNSUPPORTED_CURRENCY")
	d.post("/checkout/sessions", object{"currency": "USD", "basket": object{"lines": append(lines(), lines()...)}}).want(400, "VALIDATION_FAILED")
	d.get("/checkout/sessions/cs_none").want(404, "NOT_FOUND")
}

func TestAPendingDecisionShowsInTheAnswer(t *testing.T) {
	t.Parallel()
	d := serve(t)
	d.guest(ann, identity.Verified)
	c := d.open(ann, coffee())
	d.actuators.fail(actuation.KindCashback)
	a := d.post("/checkout/sessions/"+c.ID+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}}).want(200, "")
	a.is("decisions.0.state", "pending")
	a.is("decisions.1.state", "committed")
	a.is("transaction.cashback", nil)
}

func TestAbandonOverHTTP(t *testing.T) {
	t.Parallel()
	d := serve(t)
	c := d.open("", coffee())
	a := d.post("/checkout/sessions/"+c.ID+"/abandon", object{"reason": "price", "note": "too dear"}).want(200, "")
	a.is("session.state", "abandoned")
	a.is("reason", "price")
}
