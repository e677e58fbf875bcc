package contract_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/test/contract/exchange"
)

// The checker finds what breaks the contract and nothing else.
func TestExchangesAreChecked(t *testing.T) {
	t.Parallel()
	checker, err := exchange.New(api.Base, document(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	pay := c.ID("paymentAuthorize").Options
	good := `{"ok":true,"data":` + pay.GetExampleResponse() + `,"error":null,"meta":{"api_version":"2026-06-01","request_id":"r","idempotency_replayed":false}}`
	failure := func(code string) string {
		return `{"ok":false,"data":null,"error":{"code":"` + code + `","message":"m","retryable":false,"details":[]},"meta":{"api_version":"2026-06-01","request_id":"r","idempotency_replayed":false}}`
	}
	const path = "/v1/partner/payments"
	for _, e := range []struct {
		name, method, path, request string
		status                      int
		response                    string
		broken                      string
	}{
		{"a success", "POST", path, pay.GetExampleRequest(), 201, good, ""},
		{"a failure", "POST", path, `{}`, 400, failure("VALIDATION_FAILED"), ""},
		{"an unlisted status", "POST", path, pay.GetExampleRequest(), 200, good, "does not list"},
		{"an unlisted code", "POST", path, pay.GetExampleRequest(), 409, failure("DUPLICATE_REFERENCE"), "code"},
		{"a member missing", "POST", path, pay.GetExampleRequest(), 201, strings.Replace(good, `"payment_id"`, `"paymentId"`, 1), "payment_id"},
		{"a number as text", "POST", path, pay.GetExampleRequest(), 201, strings.Replace(good, `"amount_minor":1175`, `"amount_minor":"1175"`, 1), "amount_minor"},
		{"a bad request taken", "POST", path, `{"amount_minor":0}`, 201, good, "was accepted"},
		{"a literal before a variable", "GET", "/v1/partner/customers/lookup", "", 200, `{}`, "/customers/lookup"},
		{"a variable", "GET", "/v1/partner/customers/cus_1", "", 200, `{}`, "/customers/{customerId}"},
		{"no such path", "GET", "/v1/partner/nothing", "", 404, `{}`, ""},
		{"another surface", "GET", "/v1/other", "", 200, `{}`, ""},
		{"another method", "DELETE", path, "", 405, `{}`, ""},
	} {
		err := checker.Check(e.method, e.path, []byte(e.request), e.status, "application/json", []byte(e.response))
		if (err == nil) != (e.broken == "") || err != nil && !strings.Contains(err.Error(), e.broken) {
			t.Errorf("%s: %v, want %q", e.name, err, e.broken)
		}
	}
}

func TestTransportReportsAndPassesOn(t *testing.T) {
	t.Parallel()
	checker, err := exchange.New(api.Base, document(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ok":true}`))
	}))
	defer server.Close()
	var reported []error
	client := &http.Client{Transport: &exchange.Transport{Next: server.Client().Transport, Checker: checker, Report: func(err error) { reported = append(reported, err) }}}
	res, err := client.Get(server.URL + "/v1/partner/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || len(reported) != 1 {
		t.Errorf("%d, reported %v", res.StatusCode, reported)
	}
}
