package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
)

const fixedKey = "7F6F2E7C-3C1B-4F6E-9A44-0D5A1C0B8F11"

// The second answer is the first one, byte for byte, but for the flag.
func TestReplayAnswersTheSameBytes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran := 0
	b.prepare = func(_ context.Context, _ *app.Call, amount int64) (prepared, error) {
		ran++
		return prepared{ID: "top_1", Amount: amount}, nil
	}
	header := map[string]string{"Idempotency-Key": fixedKey}
	first := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody})
	// Other members' order, another request id and the key in lower case make no
	// other payload.
	again := `{"currency":"USD","amount_minor":2500,"customer_id":"cus_1","context":{"merchant_id":"mer_a"},"meta":{"request_id":"second","api_version":"2026-06-01"}}`
	second := b.do(call{path: "/v1/partner/topup/prepare", header: map[string]string{"Idempotency-Key": strings.ToLower(fixedKey)}, body: again})
	if first.status != 201 || second.status != 201 || ran != 1 {
		t.Fatalf("%d, %d, ran %d times", first.status, second.status, ran)
	}
	want := bytes.Replace(first.body, []byte(`"idempotency_replayed":false`), []byte(`"idempotency_replayed":true`), 1)
	if !bytes.Equal(second.body, want) || bytes.Equal(first.body, second.body) {
		t.Errorf("first  %s\nsecond %s", first.body, second.body)
	}
	if second.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("headers: %v", second.header)
	}
	if n := b.api.Pipeline.Defects(); n != 0 {
		t.Errorf("%d defects", n)
	}
}

func TestOneKeyOneOperation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Idempotency-Key": fixedKey}
	b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody})
	r := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: with("2500", "2501")})
	if r.status != 409 || r.code() != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("%d %s", r.status, r.body)
	}
	// The same key for another operation is another namespace.
	if r := b.do(call{path: "/v1/partner/payments", header: header, body: payBody}); r.status != 201 {
		t.Errorf("%d %s", r.status, r.body)
	}
	// Scope comes before reuse.
	r = b.do(call{path: "/v1/partner/topup/prepare", header: header, body: with("mer_a", "mer_z")})
	if r.code() != "MERCHANT_NOT_AUTHORIZED" {
		t.Errorf("%s", r.body)
	}
	// After its time a key is free again.
	b.clock.Advance(24 * time.Hour)
	if r := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: with("2500", "2501")}); r.status != 201 || r.meta["idempotency_replayed"] != false {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestADeclineIsAnOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran, topup := 0, int64(1175)
	b.prepare = func(context.Context, *app.Call, int64) (prepared, error) {
		ran++
		e := fault.New(fault.CodeInsufficientFunds, "the balance is short by 1175")
		e.TraceID = "dt_7"
		e.Recovery = &fault.Recovery{ShortfallMinor: 1175, Options: []fault.RecoveryOption{
			{Type: "topup_exact", TopupMinor: &topup, BalanceAfter: &fault.Spendable{ActualMinor: 0}, Summary: "Top up 11.75"},
		}}
		return prepared{}, e
	}
	header := map[string]string{"Idempotency-Key": fixedKey}
	first := b.do(call{path: "/v1/partner/payments", header: header, body: payBody})
	second := b.do(call{path: "/v1/partner/payments", header: header, body: payBody})
	if first.status != 402 || second.status != 402 || ran != 1 {
		t.Fatalf("%d, %d, ran %d times: %s", first.status, second.status, ran, second.body)
	}
	want := `"error":{"code":"INSUFFICIENT_FUNDS","message":"the balance is short by 1175","retryable":true,"details":[],"recovery":{"shortfall_minor":1175,` +
		`"spendable":{"actual_minor":0,"promo_available_minor":0},"options":[{"type":"topup_exact","topup_minor":1175,` +
		`"balance_after":{"actual_minor":0,"promo_available_minor":0},"summary":"Top up 11.75"}]}}`
	if !strings.Contains(string(first.body), want) || first.meta["decision_trace_id"] != "dt_7" {
		t.Errorf("%s\nwants %s", first.body, want)
	}
	flagged := bytes.Replace(first.body, []byte(`"idempotency_replayed":false`), []byte(`"idempotency_replayed":true`), 1)
	if !bytes.Equal(second.body, flagged) {
		t.Errorf("first  %s\nsecond %s", first.body, second.body)
	}
}

func TestOtherFailuresAreJudgedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran := 0
	b.prepare = func(_ context.Context, _ *app.Call, amount int64) (prepared, error) {
		if ran++; ran == 1 {
			return prepared{}, fault.New(fault.CodeStateConflict, "not now")
		}
		return prepared{ID: "top_1", Amount: amount}, nil
	}
	header := map[string]string{"Idempotency-Key": fixedKey}
	if r := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody}); r.code() != "STATE_CONFLICT" {
		t.Errorf("%s", r.body)
	}
	if r := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody}); r.status != 201 || r.meta["idempotency_replayed"] != false {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A call that finds its key claimed while it works gets the winner's answer.
func TestALateReplayComesFromTheUseCase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Idempotency-Key": fixedKey}
	first := b.do(call{path: "/v1/partner/payments", header: header, body: payBody})
	finds := b.replays.finds
	second := b.do(call{path: "/v1/partner/payments", header: header, body: payBody})
	if b.replays.finds != finds || finds != 0 {
		t.Errorf("the payment path looks nothing up beforehand: %d", b.replays.finds)
	}
	want := bytes.Replace(first.body, []byte(`"idempotency_replayed":false`), []byte(`"idempotency_replayed":true`), 1)
	if second.status != 201 || !bytes.Equal(second.body, want) {
		t.Errorf("%d %s", second.status, second.body)
	}
	if r := b.do(call{path: "/v1/partner/payments", header: header, body: strings.Replace(payBody, "1175", "1176", 1)}); r.code() != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("%s", r.body)
	}
}

func TestTheStatusIsPinnedToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Idempotency-Key": fixedKey, "Authorization": "", "X-Api-Key": "key-a"}
	body := `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"sku_id":"GIFT","name":"Gift","value_minor":1000,"currency":"USD"}`
	first := b.do(call{path: "/v1/partner/topup/skus", header: header, body: body})
	second := b.do(call{path: "/v1/partner/topup/skus", header: header, body: body})
	if first.status != http.StatusOK || second.status != http.StatusOK || second.meta["idempotency_replayed"] != true {
		t.Errorf("%d %d %s", first.status, second.status, second.body)
	}
}

// A stored answer with a secret is unreadable in the store, replayable by its
// owner, and useless in any other place.
func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Idempotency-Key": fixedKey, "Authorization": ""}
	body := `{"meta":{"api_version":"2026-06-01"},"currency":"USD"}`
	first := b.do(call{path: "/v1/partner/auth/keys/sandbox", header: header, body: body})
	if first.status != 201 || first.data["raw_key"] != "fddi_test_secret" {
		t.Fatalf("%d %s", first.status, first.body)
	}
	scope := idempotency.Scope{PartnerID: "anonymous", Mode: "sandbox", Operation: "createSandboxCredentials", Key: strings.ToLower(fixedKey)}
	record := b.replays.records[scope]
	if len(record.Outcome.Body) == 0 || bytes.Contains(record.Outcome.Body, []byte("secret")) {
		t.Fatalf("stored in the clear: %q", record.Outcome.Body)
	}
	second := b.do(call{path: "/v1/partner/auth/keys/sandbox", header: header, body: body})
	if second.status != 201 || second.data["raw_key"] != "fddi_test_secret" || second.meta["idempotency_replayed"] != true {
		t.Errorf("%d %s", second.status, second.body)
	}
	record.Outcome.Status = 200 // tampered with
	b.replays.records[scope] = record
	third := b.do(call{path: "/v1/partner/auth/keys/sandbox", header: header, body: body})
	if third.status != 500 || bytes.Contains(third.body, []byte("sealed")) {
		t.Errorf("%d %s", third.status, third.body)
	}
	if !strings.Contains(b.logged(), "cannot be opened") {
		t.Errorf("the operator is told nothing: %s", b.logged())
	}
}

// A use case that tries again encodes again, from the start.
func TestARetriedUseCaseForgetsItsFirstTry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.retried = true
	header := map[string]string{"Idempotency-Key": fixedKey, "Authorization": "", "X-Api-Key": "key-a"}
	body := `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"sku_id":"GIFT","name":"Gift","value_minor":1000,"currency":"USD"}`
	first := b.do(call{path: "/v1/partner/topup/skus", header: header, body: body})
	second := b.do(call{path: "/v1/partner/topup/skus", header: header, body: body})
	if first.status != http.StatusCreated || second.status != http.StatusCreated {
		t.Errorf("%d %d %s", first.status, second.status, second.body)
	}
}

// A record without an outcome belongs to a call that still runs.
func TestAClaimWithoutOutcomeIsInProgress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Idempotency-Key": fixedKey}
	b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody})
	for scope, record := range b.replays.records {
		record.Outcome = idempotency.Outcome{}
		b.replays.records[scope] = record
	}
	r := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody})
	if r.status != 409 || r.code() != "IDEMPOTENCY_IN_PROGRESS" || r.fault["retryable"] != true {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestEveryAnswerIsObserved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Idempotency-Key": fixedKey}
	b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody})
	b.do(call{path: "/v1/partner/topup/prepare", header: header, body: prepareBody})
	b.do(call{path: "/v1/partner/topup/prepare", header: header, body: "{"})
	b.do(call{path: "/v1/partner/topup/prepare", header: map[string]string{"Authorization": ""}})
	b.do(call{path: "/v1/partner/nothing"})
	b.mu.Lock()
	defer b.mu.Unlock()
	want := []string{"prepareTopup 201  false", "prepareTopup 201  true", "prepareTopup 400 VALIDATION_FAILED false", "prepareTopup 401 UNAUTHENTICATED false", " 404 NOT_FOUND false"}
	if !slices.Equal(b.observed, want) {
		t.Errorf("%q", b.observed)
	}
}

func TestForgettingToPinIsADefect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.do(call{path: "/v1/partner/grants/grt_1/clawback", header: map[string]string{"Authorization": "", "X-Api-Key": "key-a"},
		body: `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"reason":"fraud"}`})
	if r.status != 200 {
		t.Fatalf("what was done is answered: %d %s", r.status, r.body)
	}
	if b.api.Pipeline.Defects() != 1 || !strings.Contains(b.logged(), "without pinning") {
		t.Errorf("%d defects, log %s", b.api.Pipeline.Defects(), b.logged())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limits.refused = map[string]time.Duration{"key:key_a": 1500 * time.Millisecond, "sandbox:127.0.0.1": 0}
	r := b.do(call{path: "/v1/partner/topup/prepare", header: map[string]string{"Idempotency-Key": ""}})
	if r.status != 429 || r.code() != "RATE_LIMITED" || r.header.Get("Retry-After") != "2" || r.fault["retryable"] != true {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	r = b.do(call{path: "/v1/partner/auth/keys/sandbox", header: map[string]string{"Authorization": ""}})
	if r.status != 429 || r.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	if r := b.do(call{method: "GET", path: "/v1/partner/health"}); r.status != 200 {
		t.Errorf("health is never limited: %d", r.status)
	}
}

// What goes wrong inside is told to the operator, never to the caller.
func TestInternalErrorsStayInside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, secret := range map[string]string{"panic": "pomegranate", "broken": "password", "nothing": "neither", "mangled": "UTF-8"} {
		r := b.do(call{method: "GET", path: "/v1/partner/topup/" + path})
		if r.status != 500 || r.code() != "INTERNAL" || strings.Contains(string(r.body), secret) || r.meta["request_id"] == "" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		id := r.meta["request_id"].(string)
		if log := b.logged(); !strings.Contains(log, secret) || strings.Count(log, id) != 1 {
			t.Errorf("%s: %s is not in the log exactly once: %s", path, id, log)
		}
	}
}

func TestTheDeadlineIsTyped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.prepare = func(ctx context.Context, _ *app.Call, _ int64) (prepared, error) {
		<-ctx.Done()
		return prepared{}, ctx.Err()
	}
	r := b.do(call{path: "/v1/partner/topup/prepare", body: prepareBody})
	if r.status != 504 || r.code() != "DEADLINE_EXCEEDED" || r.fault["retryable"] != true {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestOpenAPIIsServedAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.do(call{method: "GET", path: "/v1/partner/openapi", header: map[string]string{"Authorization": ""}})
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(r.body, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v %.100s", err, r.body)
	}
	if doc.Paths["/payments"]["post"].OperationID != "paymentAuthorize" || doc.Paths["/refund/create"] != nil {
		t.Error("not exactly what is mounted")
	}
	again := b.do(call{method: "GET", path: "/v1/partner/openapi", header: map[string]string{"If-None-Match": r.header.Get("ETag")}})
	if again.status != http.StatusNotModified || len(again.body) != 0 {
		t.Errorf("%d, %d bytes", again.status, len(again.body))
	}
}
