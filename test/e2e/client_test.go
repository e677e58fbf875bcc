package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

const version = "2026-06-01"

// plain is the client of every ordinary call. Many tests share its connections.
var plain = &http.Client{
	Timeout:   patience,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// internalFailure is how the server's log shows a call that failed inside.
var internalFailure = regexp.MustCompile(`code=INTERNAL|panic:|answered without pinning`)

func splitLines(text string) iter.Seq[string] { return strings.SplitSeq(text, "\n") }

// object is a JSON object in the making.
type object = map[string]any

// answer is what a request was answered with.
type answer struct {
	Status int
	Header http.Header
	Raw    []byte
	// Body is the decoded JSON, nil where the answer is none.
	Body any
	Took time.Duration
}

// at reads a member of the answer, for example "data.session.session_id".
func (a *answer) at(path string) any { return shape.At(a.Body, path) }

// text reads a string; empty where there is none.
func (a *answer) text(path string) string {
	text, _ := a.at(path).(string)
	return text
}

// code is the error's code; empty on success.
func (a *answer) code() string { return a.text("error.code") }

// fields are what the error's details name, with their rules.
func (a *answer) fields() (out []string) {
	details, _ := a.at("error.details").([]any)
	for i := range details {
		out = append(out, a.text(fmt.Sprintf("error.details.%d.field", i))+" "+a.text(fmt.Sprintf("error.details.%d.rule", i)))
	}
	return out
}

// request is one call to be made. Empty members have the usual values.
type request struct {
	method string // POST
	path   string // below base
	rpc    string // in place of path: a procedure of Connect
	// as is who calls: set as a header; see shop.terminal and shop.key.
	as     credential
	key    string // Idempotency-Key; a new one for each POST
	body   any    // marshalled, or sent as it is where it is a []byte
	accept string
	header map[string]string // set last; an empty value removes the header
	raw    []byte            // a body in the making; see badCalls
}

// credential is a header that says who calls.
type credential struct{ name, value string }

var nobody = credential{}

// build makes the HTTP request.
func (r request) build(ctx context.Context, server string) (*http.Request, []byte, error) {
	body, sent := r.body.([]byte)
	if !sent && r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, nil, err
		}
	}
	method := r.method
	if method == "" {
		method = http.MethodPost
	}
	url := server + base + r.path
	if r.rpc != "" {
		url = server + r.rpc
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", r.key)
		if r.key == "" {
			req.Header.Set("Idempotency-Key", uuid.NewString())
		}
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if r.as.name != "" {
		req.Header.Set(r.as.name, r.as.value)
	}
	for name, value := range r.header {
		if req.Header.Set(name, value); value == "" {
			req.Header.Del(name)
		}
	}
	return req, body, nil
}

// exchange sends a request and reads the answer whole.
func exchange(client *http.Client, req *http.Request, body []byte) (*answer, error) {
	begin := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: the answer broke off: %w", req.Method, req.URL, err)
	}
	a := &answer{Status: res.StatusCode, Header: res.Header, Raw: raw, Took: time.Since(begin)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if a.Body, err = shape.Decode(raw); err != nil {
			return nil, fmt.Errorf("%s %s answered no JSON: %w\n%s", req.Method, req.URL, err, raw)
		}
	}
	return a, nil
}

// send makes a call to the shared server and holds it to the document.
func send(t *testing.T, r request) *answer {
	t.Helper()
	return sendTo(t, system.server.URL, r)
}

// sendTo is send for another server of the same contract.
func sendTo(t *testing.T, server string, r request) *answer {
	t.Helper()
	req, body, err := r.build(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	a, err := exchange(plain, req, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range judge(req, body, a) {
		t.Errorf("%s %s %d: %s\n%s\n%s", req.Method, req.URL.Path, a.Status, wrong, clip(body), clip(a.Raw))
	}
	return a
}

// judge holds an exchange to the document and to what is true of every answer.
func judge(req *http.Request, body []byte, a *answer) (wrong []string) {
	if a.Status == http.StatusInternalServerError || a.Status == http.StatusBadGateway || a.code() == "INTERNAL" {
		wrong = append(wrong, "the server failed")
	}
	if !strings.HasPrefix(req.URL.Path, base) { // Connect, which has no document
		found := rpcError(a)
		if system.accounts.answered(req, a, found.GetCode()); found.GetCode() == "INTERNAL" {
			wrong = append(wrong, "the server failed")
		}
		return wrong
	}
	if a.text("error.details.0.field") != "route" {
		system.accounts.answered(req, a, a.code())
	}
	if !strings.HasSuffix(req.URL.Path, "/openapi") && a.Body != nil {
		wrong = append(wrong, envelope(a)...)
	}
	switch a.code() {
	case "NOT_IMPLEMENTED", "METHOD_NOT_ALLOWED":
		return wrong // not among what the document describes
	case "NOT_FOUND":
		if a.text("error.details.0.field") == "route" {
			return wrong
		}
	}
	wrong = append(wrong, system.spec.Answer(req, a.Status, a.Header, a.Raw)...)
	if accepted(a) {
		for _, problem := range system.spec.Request(req, body) {
			wrong = append(wrong, "the server took what the document forbids: "+problem)
		}
	}
	return wrong
}

// accepted reports whether an answer means that the request was well formed
// and came from someone who may send it.
func accepted(a *answer) bool {
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return false
	}
	return a.Status < http.StatusInternalServerError
}

// envelope checks what every answer has (rule 46).
func envelope(a *answer) []string {
	expected := `{"ok":true,"error":null,"meta":{"api_version":"$string","request_id":"$string","idempotency_replayed":"$any"},"data":"$any"}`
	if a.Status >= http.StatusBadRequest {
		expected = `{"ok":false,"data":"$any","error":{"code":"$string","message":"$string","retryable":"$any","details":["$more"]},"meta":{"api_version":"$string","request_id":"$string","idempotency_replayed":"$any"}}`
	}
	wrong := shape.Diff(expected, a.Body)
	if id := a.Header.Get("X-Request-Id"); id != a.text("meta.request_id") {
		wrong = append(wrong, "X-Request-Id is "+id)
	}
	return wrong
}

func clip(raw []byte) string {
	if len(raw) > 2000 {
		return string(raw[:2000]) + "..."
	}
	return string(raw)
}

// shop is a sandbox of a test's own, with its credentials.
type shop struct {
	t      *testing.T
	server string
	made   *answer // the sandbox
	where  object  // context of every POST
	key    credential
	till   credential // of its terminal
	marks  map[string]bool
}

// open makes a sandbox on the shared server and signs its terminal in.
func open(t *testing.T) *shop {
	t.Helper()
	return openOn(t, system.server.URL)
}

func openOn(t *testing.T, server string) *shop {
	t.Helper()
	return openAs(t, server, "USD")
}

// openIn is open in another currency.
func openIn(t *testing.T, currency string) *shop {
	t.Helper()
	return openAs(t, system.server.URL, currency)
}

func openAs(t *testing.T, server, currency string) *shop {
	t.Helper()
	s := &shop{t: t, server: server, marks: map[string]bool{}}
	s.made = sendTo(t, server, request{path: "/auth/keys/sandbox", body: object{"meta": meta(), "currency": currency}})
	s.expect(s.made, http.StatusCreated)
	s.key = credential{"X-Api-Key", s.made.text("data.raw_key")}
	s.where = object{
		"merchant_id": s.made.text("data.merchant_id"), "branch_id": s.made.text("data.branch_id"),
		"terminal_id": s.made.text("data.terminal_id"), "cashier_id": "c-17", "locale": "en-US",
	}
	s.till = s.signIn(s.key, s.made.text("data.terminal_id"))
	return s
}

func meta() object { return object{"api_version": version} }

// signIn trades a key for a terminal token.
func (s *shop) signIn(key credential, terminal string) credential {
	s.t.Helper()
	a := s.ok(request{path: "/auth/token", as: key, body: object{"terminal_id": terminal}})
	return credential{"Authorization", "Bearer " + a.text("data.token")}
}

// do makes a call: as the terminal where none says otherwise, with meta and
// context added to an object that has none.
func (s *shop) do(r request) *answer {
	s.t.Helper()
	if r.as == nobody {
		r.as = s.till
	}
	if body, ok := r.body.(object); ok && r.method == "" {
		r.body = s.whole(body)
	}
	return sendTo(s.t, s.server, r)
}

// whole is a body with meta and context.
func (s *shop) whole(body object) object {
	full := object{"meta": meta(), "context": s.where}
	maps.Copy(full, body)
	return full
}

// post is do for the terminal's ordinary POST.
func (s *shop) post(path string, body object) *answer {
	s.t.Helper()
	return s.do(request{path: path, body: body})
}

// get reads as the terminal.
func (s *shop) get(path string) *answer {
	s.t.Helper()
	return s.do(request{method: http.MethodGet, path: path})
}

// manage is do with the API key; a nil body reads.
func (s *shop) manage(path string, body object) *answer {
	s.t.Helper()
	if body == nil {
		return s.do(request{method: http.MethodGet, path: path, as: s.key})
	}
	return s.do(request{path: path, as: s.key, body: body})
}

// ok makes a call that must succeed.
func (s *shop) ok(r request) *answer {
	s.t.Helper()
	a := s.do(r)
	if a.Status >= http.StatusBadRequest {
		s.t.Fatalf("%s answered %d: %s", r.path, a.Status, a.Raw)
	}
	return a
}

// expect ends the test where an answer has another status.
func (s *shop) expect(a *answer, status int) *answer {
	s.t.Helper()
	if a.Status != status {
		s.t.Fatalf("answered %d, want %d: %s", a.Status, status, a.Raw)
	}
	return a
}

// refused ends the test where an answer is not this refusal.
func (s *shop) refused(a *answer, status int, code string) *answer {
	s.t.Helper()
	if a.Status != status || a.code() != code {
		s.t.Fatalf("answered %d %s, want %d %s: %s", a.Status, a.code(), status, code, a.Raw)
	}
	return a
}

// is fails the test where the data of an answer is not as a shape says.
func (s *shop) is(a *answer, what, expected string) *answer {
	s.t.Helper()
	want(s.t, what, expected, a.at("data"))
	return a
}

// guest is a customer of a shop.
type guest struct{ phone, id string }

// enrol makes a customer whose phone is not proven.
func (s *shop) enrol(phone string) (g guest, initiated *answer) {
	s.t.Helper()
	a := s.expect(s.post("/enroll/initiate", object{"phone": phone}), http.StatusCreated)
	return guest{phone, a.text("data.customer_id")}, a
}

// verified makes a customer whose phone is proven.
func (s *shop) verified(phone string) guest {
	s.t.Helper()
	g, a := s.enrol(phone)
	s.ok(request{path: "/enroll/verify", body: object{"enrollment_id": a.text("data.enrollment_id"), "code": a.text("data.sandbox.code")}})
	return g
}

// fund tops a wallet up.
func (s *shop) fund(g guest, minor int64) {
	s.t.Helper()
	s.deposit(g, minor)
}

// deposit tops a wallet up and returns the top-up.
func (s *shop) deposit(g guest, minor int64) (topup string) {
	s.t.Helper()
	topup = s.ok(request{path: "/topup/prepare", body: object{"customer_id": g.id, "amount_minor": minor, "currency": "USD"}}).text("data.topup_id")
	s.ok(request{path: "/topup/confirm", body: object{"topup_id": topup, "provider_settlement_reference": "ref-" + uuid.NewString()}})
	return topup
}

// mint makes a payment code and returns it as a credential of a body.
func (s *shop) mint(g guest, kind string) object {
	s.t.Helper()
	a := s.ok(request{path: "/qr/mint", body: object{"customer_id": g.id, "kind": kind}})
	return object{"credential_type": a.text("data.credential.credential_type"), "value": a.text("data.credential.value")}
}

// session opens a checkout session and returns its id.
func (s *shop) session() string {
	s.t.Helper()
	a := s.expect(s.post("/checkout/sessions", object{"currency": "USD", "channel": "in_store"}), http.StatusCreated)
	return a.text("data.session.session_id")
}

// balance reads a wallet.
func (s *shop) balance(g guest) *answer {
	s.t.Helper()
	return s.expect(s.get("/wallets/"+g.id+"/balance"), http.StatusOK)
}

// events reads the whole event log of the shop, as far as it had come when the
// call began. An event shows once every transaction that began before it has
// ended, whosever they are; so a session opened as a mark says when all is
// there. Marks are left out.
func (s *shop) events() (out []any) {
	s.t.Helper()
	mark := s.session()
	s.marks[mark] = true
	eventually(s.t, func() error {
		out = nil
		if seen := s.read(func(e any) { out = append(out, e) }); !seen[mark] {
			return fmt.Errorf("the log does not show the event of %s", mark)
		}
		return nil
	})
	return out
}

// read pages through the log and returns the subjects it met.
func (s *shop) read(each func(e any)) map[string]bool {
	s.t.Helper()
	seen, after := map[string]bool{}, ""
	for {
		path := "/webhooks/events?limit=200" + after
		a := s.expect(s.manage(path, nil), http.StatusOK)
		page, _ := a.at("data.events").([]any)
		for _, e := range page {
			subject, _ := shape.At(e, "subject").(string)
			if seen[subject] = true; !s.marks[subject] {
				each(e)
			}
		}
		if more, _ := a.at("data.has_more").(bool); !more {
			return seen
		}
		after = "&after=" + url.QueryEscape(a.text("data.cursor"))
	}
}

// marshal writes a decoded value again.
func marshal(v any) ([]byte, error) { return json.Marshal(v) }
