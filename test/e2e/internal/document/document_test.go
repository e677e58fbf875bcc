package document_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/document"
)

// The judge must be able to say no: a judge that takes everything would let
// every other test of this folder pass.
func TestJudge(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../../contracts/openapi/feddi.partner.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := document.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	const refusal = `{"ok":false,"data":null,"error":{"code":"NOT_FOUND","message":"x","retryable":false,"details":[]},"meta":{"api_version":"2026-06-01","request_id":"r","idempotency_replayed":false}}`
	for _, c := range []struct {
		what   string
		status int
		body   string
		good   bool
	}{
		{"a refusal", 404, refusal, true},
		{"a code of another status", 404, strings.Replace(refusal, "NOT_FOUND", "VALIDATION_FAILED", 1), false},
		{"a code that is none", 404, strings.Replace(refusal, "NOT_FOUND", "OOPS", 1), false},
		{"a status that is not documented", 418, refusal, false},
		{"no envelope", 404, `{"code":"NOT_FOUND"}`, false},
		{"a success without its data", 201, `{"ok":true,"data":{},"error":null,"meta":{"api_version":"2026-06-01","request_id":"r","idempotency_replayed":false}}`, false},
		{"a member missing in meta", 404, strings.Replace(refusal, `,"idempotency_replayed":false`, "", 1), false},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/v1/partner/payments", http.NoBody)
		problems := d.Answer(r, c.status, http.Header{"Content-Type": {"application/json"}}, []byte(c.body))
		if (len(problems) == 0) != c.good {
			t.Errorf("%s: %v", c.what, problems)
		}
	}
	for what, good := range map[string]bool{`"amount_minor":5`: true, `"amount_minor":0`: false, `"amount_minor":"5"`: false, `"colour":1`: false} {
		body := `{"meta":{"api_version":"2026-06-01"},"context":{},"currency":"USD","credential":{"credential_type":"qr","value":"x"},` + what + `}`
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/v1/partner/payments", strings.NewReader(body))
		for name, value := range map[string]string{"Content-Type": "application/json", "Idempotency-Key": "7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11", "Authorization": "Bearer x"} {
			r.Header.Set(name, value)
		}
		if problems := d.Request(r, []byte(body)); (len(problems) == 0) != good {
			t.Errorf("%s: %v", what, problems)
		}
	}
	ops := d.Operations()
	if len(ops) < 100 {
		t.Errorf("%d operations", len(ops))
	}
	for _, op := range ops {
		if op.Method == http.MethodPost && d.Resolve(op.Request)["type"] != "object" && op.ID != "receiveProviderWebhook" {
			t.Errorf("%s has no body: %v", op.ID, op.Request)
		}
	}
}
