package identity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/feddi"
	customersapi "github.com/feddi/feddi/adapters/api/feddi/customers"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/postgres/pg"
	tenancystore "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/test/contract/exchange"
)

type object = map[string]any

// door is a served bench. Each answer is held against the published document.
type door struct {
	b         *bench
	t         *testing.T
	url       string
	published *exchange.Checker
}

// credentials are what the tests present; the real verifiers have tests of
// their own.
type credentials map[string]tenancy.Actor

func (c credentials) Key(_ context.Context, raw string) (tenancy.Actor, error) {
	return c.known(raw, tenancy.KeyCall)
}

func (c credentials) Terminal(_ context.Context, token string) (tenancy.Actor, error) {
	return c.known(token, tenancy.TerminalCall)
}

func (c credentials) known(raw string, kind tenancy.CredentialKind) (tenancy.Actor, error) {
	if a, ok := c[raw]; ok && a.Kind == kind {
		return a, nil
	}
	return tenancy.Actor{}, fault.New(fault.CodeUnauthenticated, "unknown credential")
}

func serve(t *testing.T, b *bench) *door {
	t.Helper()
	actor := tenancy.Actor{PartnerID: b.tenant.PartnerID, Mode: b.tenant.Mode, KeyID: "key_1", Scope: tenancy.ScopeEnterprise, Merchants: []string{b.tenant.MerchantID}, TenantNos: []int32{b.tenant.No}}
	till, key := actor, actor
	till.Kind, key.Kind = tenancy.TerminalCall, tenancy.KeyCall
	operator := key
	operator.Operator = true
	catalogue, err := api.Catalogue()
	must(t, err)
	reg := pipeline.NewRegistry(catalogue, b.tenant.Mode)
	feddi.RegisterIdentity(reg, b.identities)
	feddi.RegisterEnrollment(reg, b.enrollment)
	customersapi.Register(reg, b.customers)
	feddi.RegisterQR(reg, b.customers)
	server, err := api.New(pipeline.Config{
		Registry: reg, Auth: credentials{"till": till, "key": key, "operator": operator}, Limits: ratelimit.Off{},
		Places: feddi.Places{Directory: tenancystore.NewDirectory(b.db)}, Replays: b.uow.Read().Idempotency, Clock: b.clock, IDs: b.ids,
		Versions: pipeline.Versions, ServerKey: bytes.Repeat([]byte{9}, 32), Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	listening := httptest.NewServer(server)
	t.Cleanup(func() {
		listening.Close()
		if n := server.Pipeline.Defects(); n != 0 {
			t.Errorf("%d answers were not pinned", n)
		}
	})
	d := &door{b: b, t: t, url: listening.URL + api.Base}
	res, err := http.Get(d.url + "/openapi")
	must(t, err)
	defer res.Body.Close()
	document, err := io.ReadAll(res.Body)
	must(t, err)
	d.published, err = exchange.New(api.Base, document)
	must(t, err)
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
		m, ok := v.(object)
		if !ok {
			a.t.Fatalf("no %s in %s", path, a.Body)
		}
		if v, ok = m[part]; !ok {
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

func (d *door) send(method, path, as, key string, body object) answer {
	d.t.Helper()
	var raw []byte
	if body != nil {
		var err error
		raw, err = json.Marshal(body)
		must(d.t, err)
	}
	req, err := http.NewRequest(method, d.url+path, bytes.NewReader(raw))
	must(d.t, err)
	if as != "till" {
		req.Header.Set("X-Api-Key", as)
	} else {
		req.Header.Set("Authorization", "Bearer "+as)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	must(d.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(d.t, err)
	a := answer{t: d.t, Status: res.StatusCode, Header: res.Header, Body: string(text)}
	must(d.t, json.Unmarshal(text, &a))
	if err := d.published.Check(method, req.URL.Path, raw, res.StatusCode, res.Header.Get("Content-Type"), text); err != nil {
		d.t.Error(err)
	}
	return a
}

func (d *door) body(fields object) object {
	body := object{"meta": object{"api_version": "2026-06-01"}, "context": object{"merchant_id": d.b.tenant.MerchantID}}
	for k, v := range fields {
		body[k] = v
	}
	return body
}

func (d *door) post(path string, fields object) answer {
	d.t.Helper()
	return d.send(http.MethodPost, path, "till", uuid.NewString(), d.body(fields))
}

func (d *door) lookup(query string) answer {
	d.t.Helper()
	return d.send(http.MethodGet, "/customers/lookup?"+query, "till", "", nil)
}

func TestTheGoldenPathsEnrolment(t *testing.T) {
	t.Parallel()
	d := serve(t, setup(t))
	if a := d.lookup("phone="+url.QueryEscape(guest)).want(200, ""); a.at("status") != "not_found" || a.at("customer") != nil || a.at("balance") != nil {
		t.Errorf("before: %s", a.Body)
	}
	initiated := d.post("/enroll/initiate", object{"phone": guest, "session_id": d.b.session(t).ID}).want(201, "")
	customer, enrollment := initiated.at("customer_id"), initiated.at("enrollment_id")
	if initiated.at("state") != "PENDING_PROOF" || initiated.at("attempts_left") != 5.0 || len(initiated.at("sandbox.code").(string)) != 6 {
		t.Errorf("initiated %s", initiated.Body)
	}
	if a := d.lookup("phone="+url.QueryEscape(guest)).want(200, ""); a.at("status") != "pending_proof" || a.at("unclaimed_cashback.amount_minor") != 0.0 {
		t.Errorf("pending: %s", a.Body)
	}
	again := d.post("/enroll/initiate", object{"phone": guest}).want(200, "")
	if again.at("customer_id") != customer || again.at("state") != "PENDING_PROOF" {
		t.Errorf("again %s", again.Body)
	}
	failed := d.post("/enroll/verify", object{"enrollment_id": enrollment, "code": "x"}).want(422, "VERIFICATION_FAILED")
	if left := failed.Error.Details[1]; left.Field != "attempts_left" || left.Message != "4" {
		t.Errorf("details %+v", failed.Error.Details)
	}
	verified := d.post("/enroll/verify", object{"enrollment_id": enrollment, "code": again.at("sandbox.code")}).want(200, "")
	if verified.at("customer_id") != customer || verified.at("state") != "VERIFIED" || len(verified.at("released_grants").([]any)) != 0 {
		t.Errorf("verified %s", verified.Body)
	}
	known := d.post("/enroll/initiate", object{"phone": guest}).want(200, "")
	if known.at("state") != "VERIFIED" || known.at("enrollment_id") != nil || strings.Contains(known.Body, "sandbox") {
		t.Errorf("known %s", known.Body)
	}
	found := d.post("/identify", object{"credential": object{"credential_type": "phone", "value": guest}}).want(200, "")
	if found.at("status") != "identified" || found.at("customer_context.customer_id") != customer || found.at("customer_context.badge") != "new" ||
		found.at("customer_context.probationary") != false || found.at("customer_context.balance.currency") != "USD" {
		t.Errorf("identified %s", found.Body)
	}
	registered := d.lookup("phone="+url.QueryEscape(guest)).want(200, "")
	if registered.at("status") != "registered" || registered.at("customer.customer_id") != customer || registered.at("customer.phone") != nil ||
		registered.at("customer.phone_masked") != "+1********23" || registered.at("unclaimed_cashback") != nil {
		t.Errorf("registered %s", registered.Body)
	}
}

func TestTheGoldenPathsCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := serve(t, b)
	c := b.verified(t, guest)
	minted := d.post("/qr/mint", object{"customer_id": c.ID, "kind": "qr"}).want(201, "")
	if minted.at("credential.credential_type") != "qr" || !strings.HasPrefix(minted.at("svg").(string), "<svg") ||
		minted.at("expires_at") != start.Add(10*time.Minute).Format(time.RFC3339) {
		t.Errorf("minted %s", minted.Body)
	}
	for range 2 { // identify uses nothing up
		found := d.post("/identify", object{"credential": minted.at("credential")}).want(200, "")
		if found.at("customer_context.customer_id") != c.ID || strings.Contains(found.Body, minted.at("credential.value").(string)) {
			t.Errorf("identified %s", found.Body)
		}
	}
	short := d.post("/qr/mint", object{"customer_id": c.ID, "kind": "short_code"}).want(201, "")
	if len(short.at("credential.value").(string)) != 5 || short.at("svg") != nil {
		t.Errorf("minted %s", short.Body)
	}
	d.post("/qr/mint", object{"customer_id": "cus_unknown"}).want(404, "NOT_FOUND")
	d.post("/qr/mint", object{"customer_id": c.ID, "kind": "nfc"}).want(400, "VALIDATION_FAILED")
	d.post("/identify", object{"credential": object{"credential_type": "iris", "value": "x"}}).want(400, "UNSUPPORTED_CREDENTIAL_TYPE")
	d.post("/identify", object{"credential": object{"credential_type": "phone", "value": "12"}}).want(400, "VALIDATION_FAILED")
	if a := d.post("/identify", object{"credential": object{"credential_type": "qr", "value": "Q1-NONE"}}).want(200, ""); a.at("status") != "not_found" || a.at("customer_context") != nil {
		t.Errorf("unknown %s", a.Body)
	}
	b.clock.Advance(10 * time.Minute)
	d.post("/identify", object{"credential": minted.at("credential")}).want(410, "CREDENTIAL_EXPIRED")
}

func TestRule44AnEnrolmentIsReplayedByteForByte(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := serve(t, b)
	key := uuid.NewString()
	first := d.send(http.MethodPost, "/enroll/initiate", "till", key, d.body(object{"phone": guest})).want(201, "")
	second := d.send(http.MethodPost, "/enroll/initiate", "till", key, d.body(object{"phone": guest})).want(201, "")
	if want := strings.Replace(first.Body, `"idempotency_replayed":false`, `"idempotency_replayed":true`, 1); second.Body != want {
		t.Errorf("replayed %s\nfirst    %s", second.Body, first.Body)
	}
	if n := len(b.outbox.Latest(b.tenant)); n != 1 {
		t.Errorf("%d messages for one enrolment", n)
	}
	d.send(http.MethodPost, "/enroll/initiate", "till", key, d.body(object{"phone": number(1)})).want(409, "IDEMPOTENCY_KEY_REUSED")
	// A wrong code is not pinned: with the right one the same key... is another payload.
	verify := uuid.NewString()
	d.send(http.MethodPost, "/enroll/verify", "till", verify, d.body(object{"enrollment_id": first.at("enrollment_id"), "code": "x"})).want(422, "VERIFICATION_FAILED")
	right := d.body(object{"enrollment_id": first.at("enrollment_id"), "code": first.at("sandbox.code")})
	a := d.send(http.MethodPost, "/enroll/verify", "till", verify, right).want(200, "")
	if replayed := d.send(http.MethodPost, "/enroll/verify", "till", verify, right).want(200, ""); replayed.Meta["idempotency_replayed"] != true || a.Meta["idempotency_replayed"] != false {
		t.Errorf("replay %s", replayed.Body)
	}
}

func TestProductionShowsNoCodeAnywhere(t *testing.T) {
	t.Parallel()
	b := setup(t, live)
	d := serve(t, b)
	initiated := d.post("/enroll/initiate", object{"phone": guest}).want(201, "")
	resent := d.post("/enroll/resend", object{"enrollment_id": initiated.at("enrollment_id")}).want(200, "")
	sent := b.outbox.Latest(b.tenant)
	if len(sent) != 2 {
		t.Fatalf("%d messages", len(sent))
	}
	for _, a := range []answer{initiated, resent} {
		for _, m := range sent {
			if strings.Contains(a.Body, "sandbox") || strings.Contains(a.Body, `"`+m.Code+`"`) || strings.Contains(a.Body, m.Token) {
				t.Errorf("the answer shows the proof: %s", a.Body)
			}
		}
	}
	limited := d.post("/enroll/resend", object{"enrollment_id": initiated.at("enrollment_id")}).want(429, "RATE_LIMITED")
	if limited.Header.Get("Retry-After") != "30" || resent.at("next_resend_at") != start.Add(30*time.Second).Format(time.RFC3339) {
		t.Errorf("Retry-After %s, next_resend_at %v", limited.Header.Get("Retry-After"), resent.at("next_resend_at"))
	}
	c := b.verified(t, number(1))
	d.post("/qr/mint", object{"customer_id": c.ID}).want(403, "SCOPE_INSUFFICIENT")
	d.send(http.MethodPost, "/qr/mint", "key", uuid.NewString(), d.body(object{"customer_id": c.ID})).want(201, "")
}

func TestStoredAnswersHoldNoPhoneAndNoProof(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := serve(t, b)
	initiated := d.post("/enroll/initiate", object{"phone": guest, "name": "Ada"}).want(201, "")
	d.post("/enroll/resend", object{"enrollment_id": initiated.at("enrollment_id")}).want(200, "")
	d.post("/identify", object{"credential": object{"credential_type": "phone", "value": guest}}).want(200, "")
	events, err := pg.Many[[]byte](t.Context(), b.db.Q(), `SELECT convert_to(data::text, 'UTF8') FROM events`)
	must(t, err)
	answers, err := pg.Many[[]byte](t.Context(), b.db.Q(), `SELECT body FROM idempotency`)
	must(t, err)
	if len(events) != 1 || len(answers) != 3 {
		t.Fatalf("%d events, %d answers", len(events), len(answers))
	}
	for _, row := range append(events, answers...) {
		for _, secret := range []string{"4155550123", "Ada", initiated.at("sandbox.code").(string), initiated.at("sandbox.verification_token").(string)} {
			if bytes.Contains(row, []byte(secret)) {
				t.Errorf("%q is in %q", secret, row)
			}
		}
	}
}

func TestClaimsOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t, gate(tenancy.GateOnFirstPurchase))
	d := serve(t, b)
	c := b.verified(t, guest)
	g := b.issue(t, c.ID, 42)
	body := func() object { return d.body(object{"customer_id": c.ID}) }
	d.send(http.MethodPost, "/claims", "till", uuid.NewString(), body()).want(403, "SCOPE_INSUFFICIENT")
	a := d.send(http.MethodPost, "/claims", "key", uuid.NewString(), body()).want(201, "")
	locked := a.at("locked_grants").([]any)
	if len(locked) != 1 || a.at("state") != "completed" {
		t.Fatalf("claims %s", a.Body)
	}
	row := locked[0].(object)
	if row["reason"] != "CLAIM_GATE_NOT_MET" || row["grant"].(object)["grant_id"] != g.ID || row["reasoning"].(object)["facts"].(object)["claim_gate"] != "on_first_purchase" {
		t.Errorf("locked %v", row)
	}
	panel := d.lookup("phone="+url.QueryEscape(guest)).want(200, "")
	if panel.at("unclaimed_cashback.amount_minor") != 42.0 || panel.at("unclaimed_cashback.needs").([]any)[0] != "first_purchase" || panel.at("customer.program.claim_gate_met") != false {
		t.Errorf("panel %s", panel.Body)
	}
	if row := panel.at("recent_activity").([]any)[0].(object); row["summary"] != "Got 0.42 of promotional credit (cashback)" || row["amount_minor"] != 42.0 || row["money_class"] != "promo" {
		t.Errorf("activity %v", row)
	}
}

func TestRule12ALookupIgnoresTheMerchantOfTheQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := serve(t, b)
	other := b.merchant(t)
	b.verified(t, guest)
	for _, query := range []string{"&merchant_id=" + other.MerchantID, "&enterprise_id=" + other.MerchantID, "&merchant_id=nonsense"} {
		if a := d.lookup("phone="+url.QueryEscape(guest)+query).want(200, ""); a.at("status") != "registered" {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	d.send(http.MethodGet, "/customers/lookup?phone=%2B14155550123", "key", "", nil).want(403, "SCOPE_INSUFFICIENT")
	d.lookup("phone=12").want(400, "VALIDATION_FAILED")
	d.lookup("").want(400, "VALIDATION_FAILED")
	d.lookup("phone=%2B14155550123&session_id=cs_1").want(400, "VALIDATION_FAILED")
	d.lookup("session_id=cs_unknown").want(404, "NOT_FOUND")
}
