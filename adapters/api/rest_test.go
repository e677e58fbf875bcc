package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Everything a caller can get wrong, answered in the contract's order of checks.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	none := map[string]string{"Authorization": ""}
	key := func(k string) map[string]string { return map[string]string{"Authorization": "", "X-Api-Key": k} }
	big := `{"meta":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
		detail string
	}{
		{"no such path", call{path: "/v1/partner/nothing"}, 404, "NOT_FOUND", "route exists"},
		{"outside the base", call{path: "/elsewhere"}, 404, "NOT_FOUND", "route exists"},
		{"trailing slash", call{path: "/v1/partner/payments/"}, 404, "NOT_FOUND", "route exists"},
		{"wrong method", call{method: "DELETE", path: "/v1/partner/payments"}, 405, "METHOD_NOT_ALLOWED", ""},
		{"size comes before credential", call{path: "/v1/partner/topup/prepare", header: none, body: big}, 413, "BODY_TOO_LARGE", ""},
		{"no credential", call{path: "/v1/partner/topup/prepare", header: none, body: "no json"}, 401, "UNAUTHENTICATED", ""},
		{"unknown key", call{path: "/v1/partner/topup/prepare", header: key("nope")}, 401, "UNAUTHENTICATED", ""},
		{"revoked key", call{path: "/v1/partner/topup/prepare", header: key("key-revoked")}, 401, "API_KEY_REVOKED", ""},
		{"another scheme", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Authorization": "Basic eDp5"}}, 401, "UNAUTHENTICATED", "Authorization bearer"},
		{"a bad token counts beside a good key", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Authorization": "Bearer nope", "X-Api-Key": "key-a"}}, 401, "UNAUTHENTICATED", ""},
		{"idempotency key missing, before the body", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Idempotency-Key": ""}, body: "no json"}, 400, "IDEMPOTENCY_KEY_MISSING", "Idempotency-Key required"},
		{"idempotency key no uuid", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Idempotency-Key": "abc"}}, 400, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key uuid"},
		{"idempotency key as urn", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Idempotency-Key": "urn:uuid:7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11"}}, 400, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key uuid"},
		{"media type", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Content-Type": "text/plain"}, body: prepareBody}, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type application/json"},
		{"charset", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Content-Type": "application/json; charset=latin1"}, body: prepareBody}, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type application/json"},
		{"compressed", call{path: "/v1/partner/topup/prepare", header: map[string]string{"Content-Encoding": "gzip"}, body: prepareBody}, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding identity"},
		{"no body", call{path: "/v1/partner/topup/prepare"}, 400, "VALIDATION_FAILED", " json"},
		{"an array", call{path: "/v1/partner/topup/prepare", body: `[]`}, 400, "VALIDATION_FAILED", " object"},
		{"unknown member", call{path: "/v1/partner/topup/prepare", body: with(`"currency"`, `"colour":1,"currency"`)}, 400, "VALIDATION_FAILED", "colour unknown_member"},
		{"camel twin", call{path: "/v1/partner/topup/prepare", body: with(`amount_minor`, `amountMinor`)}, 400, "VALIDATION_FAILED", "amountMinor unknown_member"},
		{"version missing", call{path: "/v1/partner/topup/prepare", body: with(`"api_version":"2026-06-01"`, ``)}, 400, "VALIDATION_FAILED", "meta.api_version required"},
		{"version unknown, before field rules", call{path: "/v1/partner/topup/prepare", body: strings.Replace(with(`2026-06-01`, `2020-01-01`), "2500", "0", 1)}, 400, "UNSUPPORTED_API_VERSION", "meta.api_version supported"},
		{"key in the body", call{path: "/v1/partner/topup/prepare", body: with(`"api_version"`, `"idempotency_key":"x","api_version"`)}, 400, "VALIDATION_FAILED", "meta.idempotency_key idempotency_key_in_header"},
		{"empty key in the body", call{path: "/v1/partner/topup/prepare", body: with(`"api_version"`, `"idempotency_key":"","api_version"`)}, 400, "VALIDATION_FAILED", "meta.idempotency_key idempotency_key_in_header"},
		{"field rule", call{path: "/v1/partner/topup/prepare", body: with(`2500`, `0`)}, 400, "VALIDATION_FAILED", "amount_minor int64.gte_lte"},
		{"field rules come before scope", call{path: "/v1/partner/payments", header: key("key-a"), body: strings.Replace(payBody, "1175", "0", 1)}, 400, "VALIDATION_FAILED", "amount_minor int64.gte_lte"},
		{"context missing", call{path: "/v1/partner/topup/prepare", body: with(`"context":{"merchant_id":"mer_a"},`, ``)}, 400, "VALIDATION_FAILED", "context required"},
		{"key where a token is needed", call{path: "/v1/partner/payments", header: key("key-a"), body: payBody}, 403, "SCOPE_INSUFFICIENT", ""},
		{"token where a key is needed", call{method: "GET", path: "/v1/partner/auth/keys"}, 403, "SCOPE_INSUFFICIENT", ""},
		{"no operator", call{path: "/v1/partner/grants/grt_1/clawback", header: key("key-branch"), body: `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"reason":"x"}`}, 403, "OPERATOR_REQUIRED", ""},
		{"foreign merchant", call{path: "/v1/partner/topup/prepare", body: with(`mer_a`, `mer_z`)}, 403, "MERCHANT_NOT_AUTHORIZED", "context.merchant_id authorised"},
		{"merchant of another key", call{method: "GET", path: "/v1/partner/topup/top_1?merchant_id=mer_b", header: key("key-a")}, 403, "MERCHANT_NOT_AUTHORIZED", "merchant_id authorised"},
		{"which merchant", call{path: "/v1/partner/topup/prepare", header: key("key-2"), body: with(`mer_a`, ``)}, 400, "VALIDATION_FAILED", "context.merchant_id required"},
		{"which merchant, reading", call{method: "GET", path: "/v1/partner/topup/top_1", header: key("key-2")}, 400, "VALIDATION_FAILED", "merchant_id required"},
		{"another terminal", call{path: "/v1/partner/topup/prepare", body: with(`"mer_a"`, `"mer_a","terminal_id":"trm_2"`)}, 403, "SCOPE_INSUFFICIENT", "context.terminal_id within_credential"},
		{"another branch", call{path: "/v1/partner/topup/prepare", header: key("key-branch"), body: with(`"mer_a"`, `"mer_a","branch_id":"brn_2"`)}, 403, "SCOPE_INSUFFICIENT", "context.branch_id within_credential"},
		{"terminal of another branch", call{path: "/v1/partner/topup/prepare", header: key("key-branch"), body: with(`"mer_a"`, `"mer_a","terminal_id":"trm_2"`)}, 404, "NOT_FOUND", "terminal exists"},
		{"unknown branch", call{path: "/v1/partner/topup/prepare", header: key("key-a"), body: with(`"mer_a"`, `"mer_a","branch_id":"brn_9"`)}, 404, "NOT_FOUND", "branch exists"},
		{"unknown query name", call{method: "GET", path: "/v1/partner/topup/top_1?colour=red"}, 400, "VALIDATION_FAILED", "colour unknown_member"},
		{"repeated query name", call{method: "GET", path: "/v1/partner/topup/skus?limit=5&limit=6"}, 400, "VALIDATION_FAILED", "limit unique_member"},
		{"query no integer", call{method: "GET", path: "/v1/partner/topup/skus?limit=5.0"}, 400, "VALIDATION_FAILED", "limit integer"},
		{"query integer padded", call{method: "GET", path: "/v1/partner/topup/skus?limit=05"}, 400, "VALIDATION_FAILED", "limit integer"},
		{"query out of range", call{method: "GET", path: "/v1/partner/topup/skus?limit=201"}, 400, "VALIDATION_FAILED", "limit int32.gte_lte"},
		{"query on a post", call{path: "/v1/partner/topup/prepare?limit=5", body: prepareBody}, 400, "VALIDATION_FAILED", "limit unknown_member"},
		{"query badly escaped", call{method: "GET", path: "/v1/partner/topup/skus?limit=%zz"}, 400, "VALIDATION_FAILED", " query"},
		{"version header", call{method: "GET", path: "/v1/partner/topup/top_1", header: map[string]string{"Feddi-Api-Version": "2020-01-01"}}, 400, "UNSUPPORTED_API_VERSION", "Feddi-Api-Version supported"},
		{"not there", call{method: "GET", path: "/v1/partner/topup/top_9"}, 404, "NOT_FOUND", "topup exists"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := b.with(t).do(c.call)
			if r.status != c.status || r.code() != c.code || r.detail() != c.detail {
				t.Fatalf("%d %s %q, want %d %s %q: %s", r.status, r.code(), r.detail(), c.status, c.code, c.detail, r.body)
			}
			if r.ok || r.data != nil || r.meta["request_id"] == "" || r.meta["api_version"] != version || r.fault["message"] == "" {
				t.Errorf("not an envelope of a failure: %s", r.body)
			}
			if c.status == http.StatusMethodNotAllowed && r.header.Get("Allow") != "POST" {
				t.Errorf("Allow: %q", r.header.Get("Allow"))
			}
		})
	}
}

// with is the bundle for a subtest.
func (b *bundle) with(t *testing.T) *bundle {
	return &bundle{t: t, server: b.server, api: b.api}
}

func TestEnvelopeOfASuccess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.do(call{path: "/v1/partner/topup/prepare", body: with(`"api_version"`, `"request_id":"mine-1","api_version"`)})
	want := `{"ok":true,"data":{"topup_id":"top_1","state":"PENDING","customer_id":"","session_id":null,"amount_minor":2500,"currency":"USD",` +
		`"credited_actual_minor":0,"bonus_minor":0,"bonus_grant":null,"source":"","sku_id":null,"provider":null,"provider_artifact":null,` +
		`"provider_settlement_reference":null,"expires_at":null,"created_at":"2026-06-12T08:00:00Z","completed_at":null,"reversed_at":null},` +
		`"error":null,"meta":{"api_version":"2026-06-01","request_id":"mine-1","idempotency_replayed":false}}` + "\n"
	if r.status != http.StatusCreated || string(r.body) != want {
		t.Errorf("%d\n%s\nwant\n%s", r.status, r.body, want)
	}
	if r.header.Get("X-Request-Id") != "mine-1" || r.header.Get("Idempotency-Replayed") != "" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", r.header)
	}
	if n := b.api.Pipeline.Defects(); n != 0 {
		t.Errorf("%d defects", n)
	}
}

// A caller's request id is echoed whatever it holds, in a header only where it
// can stand there.
func TestOddRequestIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.do(call{path: "/v1/partner/topup/prepare", body: with(`"api_version"`, `"request_id":"a\r\nSet-Cookie: x=y","api_version"`)})
	if r.status != 201 || r.meta["request_id"] != "a\r\nSet-Cookie: x=y" || r.header.Get("X-Request-Id") != "" || r.header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	long := strings.Repeat("é", 128)
	if r := b.do(call{path: "/v1/partner/topup/prepare", body: with(`"api_version"`, `"request_id":"`+long+`","api_version"`)}); r.meta["request_id"] != long {
		t.Errorf("%s", r.body)
	}
	if r := b.do(call{path: "/v1/partner/topup/prepare", body: with(`"api_version"`, `"request_id":"`+long+`x","api_version"`)}); r.code() != "VALIDATION_FAILED" || r.meta["request_id"] == long+"x" {
		t.Errorf("%s", r.body)
	}
}

// A body of unknown length is bounded too.
func TestChunkedBodies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for size, want := range map[int]int{10: http.StatusCreated, 1 << 20: http.StatusRequestEntityTooLarge} {
		body := prepareBody + strings.Repeat(" ", size)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+"/v1/partner/topup/prepare", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer token-a")
		req.Header.Set("Content-Type", "application/json; charset=UTF-8")
		req.Header.Set("Idempotency-Key", uuid.NewString())
		res, err := b.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d bytes: %d, want %d", len(body), res.StatusCode, want)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.do(call{method: "GET", path: "/v1/partner/topup/top_1", header: map[string]string{"Feddi-Api-Version": version}})
	if r.status != 200 || r.meta["decision_trace_id"] != "dt_1" || !strings.Contains(string(r.body), `"amount_minor":1152921504606846976,`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = b.do(call{method: "GET", path: "/v1/partner/topup/skus?limit=5"})
	if r.status != 200 || r.meta["next_cursor"] != "next" || !strings.Contains(string(r.body), `"skus":[]`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	head := b.do(call{method: "HEAD", path: "/v1/partner/topup/top_1"})
	if head.status != 200 || len(head.body) != 0 || head.header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %d %q", head.status, head.body)
	}
	escaped := b.do(call{method: "GET", path: "/v1/partner/topup/a%2Fb"})
	if escaped.status != 404 || escaped.detail() != "topup exists" {
		t.Errorf("an escaped slash is part of the id: %s", escaped.body)
	}
}

func TestTheCallIsFilledFromWhatIsProven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(call{path: "/v1/partner/topup/prepare", body: with(`"mer_a"`, `"mer_a","branch_id":"brn_1","cashier_id":"c-17","locale":"en-US"`)})
	c := b.last()
	if c.Tenant.PartnerID != "par_1" || c.Tenant.Mode != "sandbox" || c.Tenant.MerchantID != merchant ||
		c.BrandID != "brd_1" || c.BranchID != "brn_1" || c.TerminalID != "trm_1" || c.CashierID != "c-17" || c.Locale != "en-US" ||
		c.Operation != "prepareTopup" || c.APIVersion != version || c.Pin == nil {
		t.Errorf("%+v", c)
	}
	b.do(call{path: "/v1/partner/topup/prepare", header: map[string]string{"Authorization": "", "X-Api-Key": "key-a"},
		body: with(`"mer_a"`, `"mer_a","terminal_id":"trm_2"`)})
	if c := b.last(); c.BrandID != "brd_1" || c.BranchID != "brn_2" || c.TerminalID != "trm_2" {
		t.Errorf("a key's terminal brings its branch and brand: %+v", c)
	}
	b.do(call{path: "/v1/partner/topup/prepare", header: map[string]string{"Authorization": "Bearer token-b"}, body: prepareBody})
	if c := b.last(); c.BrandID != "brd_1" || c.BranchID != "brn_2" || c.TerminalID != "trm_2" {
		t.Errorf("a token's branch brings its brand: %+v", c)
	}
	b.do(call{method: "GET", path: "/v1/partner/customers/lookup?phone=%2B1&merchant_id=mer_z&enterprise_id=x"})
	if c := b.last(); c.Operation != "lookupCustomer" || c.Tenant.MerchantID != merchant {
		t.Errorf("a look-up takes the merchant from the token: %+v", c)
	}
	b.do(call{method: "GET", path: "/v1/partner/auth/keys", header: map[string]string{"Authorization": "", "X-Api-Key": "key-2"}})
	if c := b.last(); c.Operation != "listApiKeys" || c.Tenant.MerchantID != "" {
		t.Errorf("keys belong to the partner: %+v", c)
	}
}

func TestHealthIsAReportEvenWhenItFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if r := b.do(call{method: "GET", path: "/v1/partner/health", header: map[string]string{"Authorization": "Bearer nonsense"}}); r.status != 200 || !r.ok {
		t.Errorf("a public operation does not look at credentials: %d %s", r.status, r.body)
	}
	b.health = http.StatusServiceUnavailable
	r := b.do(call{method: "GET", path: "/v1/partner/health"})
	if r.status != 503 || r.ok || r.data["status"] != "degraded" || r.code() != "SUBSYSTEM_DEGRADED" || r.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", r.status, r.body)
	}
	b.health = http.StatusTeapot
	if r := b.do(call{method: "GET", path: "/v1/partner/health"}); r.status != 500 || r.code() != "INTERNAL" {
		t.Errorf("a status that the contract does not list is a defect: %d %s", r.status, r.body)
	}
}

func TestRepresentations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for accept, want := range map[string]string{
		"":                                  "application/json",
		"*/*":                               "application/json",
		"text/*":                            "text/plain; charset=utf-8",
		"application/pdf":                   "application/pdf",
		"application/pdf;q=0.5, text/plain": "text/plain; charset=utf-8",
		"application/json;q=0.1, application/pdf;q=0.2, */*;q=0": "application/pdf",
		"image/png": "application/json", // the failure
	} {
		r := b.do(call{method: "GET", path: "/v1/partner/transactions/txn_1/receipt", header: map[string]string{"Accept": accept}})
		if got := r.header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q: %q, want %q", accept, got, want)
		}
		if accept == "image/png" && r.code() != "VALIDATION_FAILED" {
			t.Errorf("Accept %q: %s", accept, r.body)
		}
	}
	r := b.do(call{method: "GET", path: "/v1/partner/transactions/txn_1/receipt", header: map[string]string{"Accept": "text/plain"}})
	if string(r.body) != "receipt of txn_1\n" || r.header.Get("Vary") != "Accept" {
		t.Errorf("%q", r.body)
	}
}

// A planned operation answers that it is not there yet. (The bundle reserves
// it: the published document may call it callable by now, so this reply is not
// held against it.)
func TestPlannedOperationsAreNotImplemented(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, err := b.server.Client().Post(b.server.URL+"/v1/partner/refund/create", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), `"NOT_IMPLEMENTED"`) {
		t.Errorf("%d %s %v", res.StatusCode, body, err)
	}
}
