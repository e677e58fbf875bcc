package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/test/internal/feddid"
)

// runProgram runs the program to its end and returns what it printed on stdout.
func runProgram(t *testing.T, dsn string, args ...string) string {
	t.Helper()
	cmd := exec.Command(system.binary, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+dsn)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("feddi %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// word is what stands behind a label in the output of a command.
func word(t *testing.T, output, label string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + label + `\s+(\S+)$`).FindStringSubmatch(output)
	if m == nil {
		t.Fatalf("no %s in:\n%s", label, output)
	}
	return m[1]
}

// gateway is an operator's SMS gateway that verifies and keeps what it is given.
type gateway struct {
	*httptest.Server
	messages chan object
}

func newGateway(t *testing.T, secret string) *gateway {
	t.Helper()
	verify, err := standard.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{messages: make(chan object, 16)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify.Verify(body, r.Header)
		}
		var m object
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.messages <- m
	}))
	t.Cleanup(g.Close)
	return g
}

// code waits for the next message to a phone and returns its code.
func (g *gateway) code(t *testing.T, phone string) string {
	t.Helper()
	var code string
	eventually(t, func() error {
		select {
		case m := <-g.messages:
			if m["to"] != phone {
				t.Errorf("a message to %v", m["to"])
			}
			code, _ = m["code"].(string)
			return nil
		default:
			return fmt.Errorf("no message to %s", phone)
		}
	})
	return code
}

// stripeSecrets sign stripe's callbacks while the first replaces the second.
const stripeSecrets = "whsec_new_0123456789, whsec_old_0123456789"

// production is a shop that the operator made, on a server of its own.
func production(t *testing.T) (*shop, *gateway) {
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	dsn, g := pgtest.DSN(t), newGateway(t, secret)
	made := runProgram(t, dsn, "keys", "create", "--partner", "Till maker", "--name", "first", "--operator")
	merchant := runProgram(t, dsn, "keys", "merchant", "--integration", word(t, made, "integration"), "--name", "Bean House")
	server := startOwn(t, feddid.Options{Binary: system.binary, DSN: dsn, Production: true, Env: []string{
		"FEDDI_MASTER_KEY=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)), "FEDDI_SMS_URL=" + g.URL, "FEDDI_SMS_SECRET=" + secret, "FEDDI_STRIPE_WEBHOOK_SECRETS=" + stripeSecrets,
	}})
	s := &shop{t: t, server: server.URL, key: credential{"X-Api-Key", word(t, made, "key")}, marks: map[string]bool{}}
	s.where = object{"merchant_id": word(t, merchant, "merchant"), "branch_id": word(t, merchant, "branch"), "terminal_id": word(t, merchant, "terminal")}
	s.till = s.signIn(s.key, word(t, merchant, "terminal"))
	return s, g
}

// In production nothing of the sandbox is mounted or taken, and codes go to
// phones alone.
func TestProduction(t *testing.T) {
	t.Parallel()
	s, g := production(t)
	a := sendTo(t, s.server, request{path: "/auth/keys/sandbox", body: object{"meta": meta(), "currency": "USD"}})
	s.refused(a, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED") // what is left of the path is GET /auth/keys/{keyId}
	a = s.expect(s.manage("/capabilities", nil), http.StatusOK)
	s.is(a, "capabilities", `{"mode":"production","feature_flags":{"sandbox_codes":false,"terminal_may_mint":false}}`)
	if bytes.Contains(a.Raw, []byte("createSandboxCredentials")) {
		t.Error("the capabilities list a sandbox operation")
	}
	sandbox := open(t) // of another server, and of the other mode
	s.refused(s.do(request{method: http.MethodGet, path: "/capabilities", as: sandbox.key}), http.StatusUnauthorized, "UNAUTHENTICATED")
	s.refused(s.do(request{method: http.MethodGet, path: "/capabilities", as: sandbox.till}), http.StatusUnauthorized, "UNAUTHENTICATED")

	const phone = "+14155550123"
	begun := s.expect(s.post("/enroll/initiate", object{"phone": phone}), http.StatusCreated)
	if _, shown := begun.at("data").(object)["sandbox"]; shown {
		t.Errorf("the answer shows the code: %s", begun.Raw)
	}
	s.expect(s.post("/enroll/verify", object{"enrollment_id": begun.text("data.enrollment_id"), "code": g.code(t, phone)}), http.StatusOK)
	s.mints(begun.text("data.customer_id"))

	waiting := s.expect(s.post("/payments", bill(100, byPhone(guest{phone: phone}))), http.StatusAccepted)
	if _, shown := waiting.at("data").(object)["sandbox"]; shown {
		t.Errorf("the answer shows the code: %s", waiting.Raw)
	}
	code := object{"code": g.code(t, phone)}
	s.refused(s.post("/payments/"+waiting.text("data.payment_id")+"/capture", code), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
}

// In production a deposit is credited by its provider's signed callback and by
// nothing else, with either secret of a rotation; what a partner derives in the
// sandbox signs nothing.
func TestProductionTopup(t *testing.T) {
	t.Parallel()
	s, g := production(t)
	const phone = "+14155550123"
	begun := s.expect(s.post("/enroll/initiate", object{"phone": phone}), http.StatusCreated)
	s.expect(s.post("/enroll/verify", object{"enrollment_id": begun.text("data.enrollment_id"), "code": g.code(t, phone)}), http.StatusOK)
	who := guest{phone: phone, id: begun.text("data.customer_id")}
	for i, secret := range strings.Split(stripeSecrets, ", ") {
		a := s.expect(s.post("/topup/prepare", object{"customer_id": who.id, "amount_minor": 500, "currency": "USD"}), http.StatusCreated)
		top, reference := a.text("data.topup_id"), fmt.Sprintf("pi_%d", i)
		s.is(a, "order", `{"provider_artifact":{"type":"order","provider":"stripe","metadata":{"topup_id":"`+top+`"}}}`)
		confirm := object{"topup_id": top, "provider_settlement_reference": reference}
		s.refused(s.post("/topup/confirm", confirm), http.StatusUnprocessableEntity, "VERIFICATION_FAILED")
		s.refused(sendTo(t, s.server, callback(t, top, reference, 500, "usd")), http.StatusUnauthorized, "SIGNATURE_INVALID")
		a = s.expect(sendTo(t, s.server, signedBy(t, secret, top, reference, 500, "usd")), http.StatusOK)
		s.is(a, "callback", `{"received":true,"topup_id":"`+top+`","result":"credited"}`)
		s.is(s.expect(s.post("/topup/confirm", confirm), http.StatusOK), "confirm", `{"state":"COMPLETED"}`)
	}
	s.is(s.balance(who), "balance", `{"actual_minor":1000}`)
	// The other provider is not set up here.
	s.refused(sendTo(t, s.server, request{path: "/topup/providers/sadad/webhook", body: []byte("{}")}), http.StatusNotFound, "NOT_FOUND")
}

// mints checks that a terminal of production mints nothing it could pay with.
func (s *shop) mints(customer string) {
	s.t.Helper()
	s.refused(s.post("/qr/mint", object{"customer_id": customer}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	a := s.expect(s.manage("/qr/mint", object{"customer_id": customer}), http.StatusCreated)
	qr := object{"credential_type": "qr", "value": a.text("data.credential.value")}
	s.refused(s.post("/payments", bill(100, qr)), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
}

// serve refuses what only suits a load run, and says what it needs.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	for env, says := range map[string]string{
		"DATABASE_URL=":                            "DATABASE_URL",
		"FEDDI_RATE_LIMITS=off":                    "rate limits",
		"FEDDI_MASTER_KEY=c2hvcnQ=":                "FEDDI_MASTER_KEY",
		"DATABASE_URL=postgres://x@127.0.0.1:1/no": "127.0.0.1",
	} {
		cmd := exec.Command(system.binary, "serve", "--listen", "127.0.0.1:0")
		cmd.Env = append(os.Environ(), "DATABASE_URL="+system.dsn, env)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), says) {
			t.Errorf("with %s: %v\n%s", env, err, out)
		}
	}
}

// Ten sandboxes a minute are fine from one address, the eleventh is too
// many: 429 with Retry-After.
func TestSandboxesAreRateLimited(t *testing.T) {
	t.Parallel()
	server := startOwn(t, feddid.Options{Binary: system.binary, DSN: pgtest.DSN(t), DataDir: t.TempDir(), Env: []string{"FEDDI_RATE_LIMITS=on"}})
	make := request{path: "/auth/keys/sandbox", body: object{"meta": meta(), "currency": "USD"}}
	for i := range 10 {
		if a := sendTo(t, server.URL, make); a.Status != http.StatusCreated {
			t.Fatalf("sandbox %d: %d %s", i+1, a.Status, a.Raw)
		}
	}
	a := sendTo(t, server.URL, make)
	if a.Status != http.StatusTooManyRequests || a.code() != "RATE_LIMITED" || number(a.Header.Get("Retry-After")) < 1 {
		t.Errorf("sandbox 11: %d %v %s", a.Status, a.Header, a.Raw)
	}
}
