package e2e_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestRule43_EveryChangeNeedsAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	calls := map[string]request{}
	for _, op := range callable(t, http.MethodPost) { // what their paths need is stocked first
		calls[op.ID] = request{path: s.path(op), as: s.caller(op), body: s.whole(object{}), header: map[string]string{"Idempotency-Key": ""}}
	}
	before := s.state(s.guest, s.ids["session"], s.held)
	for id, r := range calls {
		a := s.refused(s.do(r), http.StatusBadRequest, "IDEMPOTENCY_KEY_MISSING")
		want(t, id, `[{"field":"Idempotency-Key"}]`, a.at("error.details"))
	}
	if after := s.state(s.guest, s.ids["session"], s.held); after != before {
		t.Errorf("calls without a key changed something:\n%s\nafter\n%s", before, after)
	}
}

func TestRule44_ARetryIsAnsweredAgainAndDoneOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 2500)
	topup := s.begins(g, 900)
	session := s.sale(byPhone(g))
	requests := []request{
		s.as("/payments", bill(crumb, s.mint(g, "qr"))),
		s.as("/payments", bill(1_000_000, s.mint(g, "qr"))), // a decline is an outcome too
		s.as("/topup/confirm", object{"topup_id": topup.text("data.topup_id"), "provider_settlement_reference": "pi_1"}),
		s.as("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}}),
		s.as("/enroll/initiate", object{"phone": "+14155550124"}),
		{path: "/auth/keys", as: s.key, key: uuid.NewString(), body: s.whole(object{"scope": "enterprise"})},
	}
	var first []*answer
	for _, r := range requests {
		first = append(first, s.do(r))
	}
	before := s.state(g, session)
	// As late as 23 hours after, too.
	execute(t, "update idempotency set created_at = created_at - interval '23 hours', expires_at = expires_at - interval '23 hours' where key = any($1)", keysOf(requests))
	for range 2 {
		for i, r := range requests {
			again := s.do(r)
			if again.Status != first[i].Status || again.at("meta.idempotency_replayed") != true || !bytes.Equal(fresh(again.Raw), first[i].Raw) {
				t.Errorf("%s: %d %s\nand again %d %s", r.path, first[i].Status, first[i].Raw, again.Status, again.Raw)
			}
		}
	}
	if after := s.state(g, session); after != before {
		t.Errorf("the retries changed something:\n%s\nafter\n%s", before, after)
	}
}

func keysOf(requests []request) (keys []string) {
	for _, r := range requests {
		keys = append(keys, r.key)
	}
	return keys
}

func TestRule45_AKeyInTheBodyIsNoKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	inside := func(key any) object {
		body := s.whole(object{"currency": "USD"})
		body["meta"] = object{"api_version": version, "idempotency_key": key}
		return body
	}
	key := uuid.NewString()
	for _, r := range []request{
		{path: "/checkout/sessions", as: s.till, body: inside(key)},
		{path: "/checkout/sessions", as: s.till, body: inside(key), header: map[string]string{"Idempotency-Key": ""}},
	} {
		a := s.do(r)
		if a.Status != http.StatusBadRequest {
			t.Errorf("a key in the body: %d %s", a.Status, a.Raw)
		}
	}
	a := s.refused(s.do(request{path: "/checkout/sessions", as: s.till, body: inside(key)}), http.StatusBadRequest, "VALIDATION_FAILED")
	if !strings.Contains(a.text("error.details.0.message"), "Idempotency-Key") {
		t.Errorf("the refusal does not say where the key belongs: %s", a.Raw)
	}
	// The key is as good as new.
	one := s.expect(s.do(request{path: "/checkout/sessions", key: key, body: object{"currency": "USD"}}), http.StatusCreated)
	if one.at("meta.idempotency_replayed") != false {
		t.Errorf("a key in the body was used up: %s", one.Raw)
	}
}

// sendTo holds every answer of this package to the envelope; here are answers
// of every status that there is one for.
func TestRule46_EveryAnswerIsTheEnvelope(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	var seen []int
	note := func(a *answer) {
		for _, wrong := range envelope(a) {
			t.Errorf("%s: %s", wrong, a.Raw)
		}
		seen = append(seen, a.Status)
	}
	for _, op := range callable(t, http.MethodGet) {
		if op.ID != "getOpenApiSpec" {
			note(s.do(request{method: http.MethodGet, path: s.path(op), as: s.caller(op)}))
		}
	}
	large := slices.Concat([]byte(`{"x":"`), bytes.Repeat([]byte("x"), 1<<20), []byte(`"}`))
	used := s.mint(s.guest, "qr")
	note(s.post("/payments", bill(crumb, used)))
	for _, r := range []request{
		{path: "/payments", body: bill(crumb, used)}, {path: "/payments", body: bill(1_000_000_000, s.qr)}, {path: "/payments", body: bill(1, byPhone(s.guest))},
		{path: "/payments", body: []byte("{")}, {path: "/payments", as: s.key, body: bill(crumb, s.qr)}, {path: "/payments", body: large}, {path: "/payments/pay_none/capture", body: object{"code": "123456"}},
		{path: "/payments", body: object{}, as: credential{"Authorization", "Bearer x"}}, {path: "/nothing", body: object{}}, {method: http.MethodPut, path: "/payments"},
		{path: "/payments", body: []byte("{}"), header: map[string]string{"Content-Type": "text/plain"}}, {path: "/enroll/resend", body: object{"enrollment_id": s.ids["enrollment"]}},
		{path: "/enroll/resend", body: object{"enrollment_id": s.ids["enrollment"]}}, {path: "/checkout/sessions/" + s.held + "/basket", body: basket()},
		{path: "/checkout/sessions/" + s.held + "/close", body: object{"tenders": []object{}}},
	} {
		note(s.do(r))
	}
	for _, status := range []int{200, 201, 202, 400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 429} {
		if !slices.Contains(seen, status) {
			t.Errorf("no answer was %d", status)
		}
	}
}

func TestRule47_TheTraceIsTheSameOnReplay(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	session := s.sale(byPhone(g))
	feed := request{method: http.MethodGet, path: "/checkout/sessions/" + session + "/offers", as: s.till}
	decline := s.as("/payments", bill(1000, s.mint(g, "qr")))
	closing := s.as("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}})
	traces := map[string]bool{}
	for _, r := range []request{feed, decline, closing} {
		one := s.do(r)
		trace := one.text("meta.decision_trace_id")
		if two := s.do(r); trace == "" || two.text("meta.decision_trace_id") != trace {
			t.Errorf("%s: %s\nand again %s", r.path, one.Raw, two.Raw)
		}
		traces[trace] = true
	}
	if len(traces) != 3 {
		t.Errorf("three decisions have %d traces", len(traces))
	}
}
