package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// fresh are the bytes of a replayed answer as the first one had them.
func fresh(raw []byte) []byte {
	return bytes.Replace(raw, []byte(`"idempotency_replayed":true`), []byte(`"idempotency_replayed":false`), 1)
}

// state is everything that can be read of a shop and a guest, for comparison.
func (s *shop) state(g guest, sessions ...string) string {
	s.t.Helper()
	var all bytes.Buffer
	read := func(a *answer) {
		s.expect(a, http.StatusOK)
		text, err := json.Marshal(a.at("data"))
		if err != nil {
			s.t.Fatal(err)
		}
		all.Write(append(text, '\n'))
	}
	for _, path := range []string{"/offers?limit=200", "/topup/skus", "/topup/reload-bonus/config"} {
		read(s.manage(path, nil))
	}
	subscriptions, _ := s.expect(s.manage("/webhooks/subscriptions?limit=200", nil), http.StatusOK).at("data.subscriptions").([]any)
	for _, subscription := range subscriptions { // but for its health, which deliveries move
		row, _ := subscription.(object)
		delete(row, "health")
		fmt.Fprintln(&all, row)
	}
	read(s.manage("/"+s.made.text("data.integration_id")+"/transactions?include_unidentified=true&limit=200", nil))
	for _, session := range sessions {
		read(s.get("/checkout/sessions/" + session))
	}
	if g.id != "" {
		read(s.balance(g))
		read(s.get("/customers/" + g.id + "/grants?limit=200"))
	}
	log, err := json.Marshal(s.events())
	if err != nil {
		s.t.Fatal(err)
	}
	all.Write(log)
	keys, _ := s.expect(s.manage("/auth/keys?limit=200", nil), http.StatusOK).at("data.keys").([]any)
	for _, key := range keys { // but for last_used_at, which every call moves
		id, _ := shape.At(key, "key_id").(string)
		status, _ := shape.At(key, "status").(string)
		all.WriteString("\n" + id + " " + status)
	}
	return all.String()
}

// Retrying any POST of the golden path with its own key, long after, answers
// the same bytes and changes nothing; with another payload it is refused.
func TestReplayOfTheGoldenPath(t *testing.T) {
	t.Parallel()
	c := begin(t)
	c.listen()
	c.walk()
	before := c.state(c.guest, c.session)
	posts := 0
	for _, step := range c.taken {
		if step.request.method == http.MethodGet {
			continue
		}
		posts++
		first := step.answer
		again := sendTo(t, c.server, step.request)
		pinned := first.Status < 300 || first.Status == http.StatusPaymentRequired
		if again.Status != first.Status {
			t.Errorf("%s: %d, and %d again: %s", step.op, first.Status, again.Status, again.Raw)
		}
		if replayed, _ := again.at("meta.idempotency_replayed").(bool); replayed != pinned {
			t.Errorf("%s: idempotency_replayed is %v", step.op, replayed)
		}
		if pinned && !bytes.Equal(fresh(again.Raw), first.Raw) {
			t.Errorf("%s:\n%s\nand again\n%s", step.op, first.Raw, again.Raw)
		}
		if pinned && again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: the header Idempotency-Replayed is %q", step.op, again.Header.Get("Idempotency-Replayed"))
		}
		if pinned {
			c.reused(step)
		}
	}
	if posts != 16 {
		t.Errorf("%d posts were retried; the golden path has 16", posts)
	}
	if after := c.state(c.guest, c.session); after != before {
		t.Errorf("the retries changed something:\n%s\nafter\n%s", before, after)
	}
}

// reused sends another payload under a key that has an outcome.
func (c *coffee) reused(step taken) {
	c.t.Helper()
	other := step.request
	raw, _ := other.body.([]byte)
	var body object
	if err := json.Unmarshal(raw, &body); err != nil {
		c.t.Fatal(err)
	}
	// The smallest difference that every operation understands, and for the one
	// without a context, another currency.
	if where, ok := body["context"].(object); ok {
		where["cashier_id"] = "c-18"
	} else {
		body["currency"] = "EUR"
	}
	other.body = body
	a := sendTo(c.t, c.server, other)
	if a.Status != http.StatusConflict || a.code() != "IDEMPOTENCY_KEY_REUSED" {
		c.t.Errorf("%s with another payload: %d %s", step.op, a.Status, a.Raw)
	}
	// Another request id is the same payload.
	body = object{}
	if err := json.Unmarshal(raw, &body); err != nil {
		c.t.Fatal(err)
	}
	body["meta"] = object{"api_version": version, "request_id": "attempt-2"}
	other.body = body
	a = sendTo(c.t, c.server, other)
	if a.Status != step.answer.Status || !bytes.Equal(fresh(a.Raw), step.answer.Raw) {
		c.t.Errorf("%s with another request id: %d %s", step.op, a.Status, a.Raw)
	}
}

// A key belongs to one operation: the same one elsewhere is another call.
func TestKeysAreScopedByOperation(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	key := uuid.NewString()
	a := s.expect(s.do(request{path: "/checkout/sessions", key: key, body: object{"currency": "USD"}}), http.StatusCreated)
	b := s.expect(s.do(request{path: "/qr/mint", key: key, body: object{"customer_id": g.id, "kind": "qr"}}), http.StatusCreated)
	if replayed, _ := b.at("meta.idempotency_replayed").(bool); replayed {
		t.Errorf("another operation was answered with a stored answer: %s", b.Raw)
	}
	// Another sandbox has keys of its own.
	other := open(t)
	d := other.expect(other.do(request{path: "/checkout/sessions", key: key, body: object{"currency": "USD"}}), http.StatusCreated)
	if d.text("data.session.session_id") == a.text("data.session.session_id") {
		t.Error("another sandbox was answered with this one's session")
	}
}

// A failure that changed nothing is not pinned: the same key may be used for
// the corrected call, and is judged again.
func TestFailuresAreNotPinned(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	id := s.session()
	key := uuid.NewString()
	revise := func(revision int) *answer {
		body := basket()
		body["expected_revision"] = revision
		return s.do(request{path: "/checkout/sessions/" + id + "/basket", key: key, body: body})
	}
	s.refused(revise(7), http.StatusConflict, "REVISION_CONFLICT")
	s.expect(revise(0), http.StatusOK)
	s.refused(revise(7), http.StatusConflict, "IDEMPOTENCY_KEY_REUSED")
	if replayed, _ := s.expect(revise(0), http.StatusOK).at("meta.idempotency_replayed").(bool); !replayed {
		t.Error("the success is not pinned")
	}
	_ = g
}
