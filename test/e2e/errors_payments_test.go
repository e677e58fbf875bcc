package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/plugins/sdk"
)

// leg is a payment that waits for its code, and the call that captures it.
func (s *shop) leg(g guest, minor int64, session string) (payment string, capture request) {
	s.t.Helper()
	body := bill(minor, byPhone(g))
	if session != "" {
		body["session_id"] = session
	}
	a := s.expect(s.post("/payments", body), http.StatusAccepted)
	payment = a.text("data.payment_id")
	return payment, s.as("/payments/"+payment+"/capture", object{"code": a.at("data.sandbox.code")})
}

// What became due otherwise is not captured again.
func TestErrorsOfCapturing(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 5000)
	session := s.sale(byPhone(g))
	payment, capture := s.leg(g, 1275, session)
	body := bill(1000, s.mint(g, "qr"))
	body["session_id"] = session
	s.expect(s.post("/payments", body), http.StatusCreated)
	s.refuses(g, []string{session}, refusal{capture, 422, "AMOUNT_OUT_OF_RANGE", "amount_minor", "at_most_due", "pay at most that"})
	s.is(s.get("/payments/"+payment), "the payment", `{"status":"requires_capture","attempts_left":5}`)
}

// A payment that finds the queue full is told so at once, and pays under the
// same key when there is room. The wallets are held by somebody else meanwhile,
// and more tills than the queue takes keep paying.
func TestErrorsOfAFullQueue(t *testing.T) {
	t.Parallel()
	server, o := own(t)
	s := openOn(t, server.URL)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	pay := s.as("/payments", bill(crumb, s.mint(g, "qr")))
	_, capture := s.leg(g, 100, "")
	release := lockedAway(t, o.DSN, "wallets")
	leave := crowd(s, payments.DefaultQueue+payments.DefaultBatch+32)
	s.eventuallyRefuses(refusal{pay, 429, "OVERLOADED", "", "", "retry with the same key"})
	s.eventuallyRefuses(refusal{capture, 429, "OVERLOADED", "", "", "retry with the same key"})
	release()
	leave()
	s.is(s.balance(g), "after the refusals", `{"actual_minor":900}`)
	s.expect(sendTo(t, s.server, pay), http.StatusCreated)
	s.expect(sendTo(t, s.server, capture), http.StatusOK)
	s.is(s.balance(g), "after the payments", `{"actual_minor":781}`)
}

// lockedAway locks a table away until release is called.
func lockedAway(t *testing.T, dsn, table string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err == nil {
		_, err = conn.Exec(t.Context(), "begin; lock table "+pgx.Identifier{table}.Sanitize()+" in access exclusive mode")
	}
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // which rolls back
	t.Cleanup(release)
	return release
}

// crowd has n tills pay by a code that nobody has, each again and again, until
// leave is called.
func crowd(s *shop, n int) (leave func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	var tills sync.WaitGroup
	for range n {
		tills.Go(func() {
			for ctx.Err() == nil {
				r := s.as("/payments", bill(crumb, object{"credential_type": "qr", "value": "q1_nobody"}))
				req, body, err := r.build(ctx, s.server)
				if err != nil {
					s.t.Error(err)
					return
				}
				_, _ = exchange(client, req, body) // whatever it is answered
			}
		})
	}
	leave = sync.OnceFunc(func() {
		cancel()
		tills.Wait()
		client.CloseIdleConnections()
	})
	s.t.Cleanup(leave)
	return leave
}

// A capture whose actuator hangs ends in time, changes nothing, and succeeds
// under the same key when the actuator answers again.
func TestErrorsOfAHangingActuator(t *testing.T) {
	t.Parallel()
	server, _ := own(t)
	s := openOn(t, server.URL)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	payment, capture := s.leg(g, 100, "")
	resume := hang(t, server, "wallet")
	a := s.refused(sendTo(t, s.server, capture), http.StatusGatewayTimeout, "DEADLINE_EXCEEDED")
	want(t, "the refusal", `{"data":null,"error":{"retryable":true,"details":[]}}`, a.Body)
	if says := a.text("error.message"); !strings.Contains(says, "nothing was changed; retry with the same") {
		t.Errorf("the message is %q", says)
	}
	s.is(s.get("/payments/"+payment), "the payment", `{"status":"requires_capture","attempts_left":5}`)
	s.is(s.balance(g), "after the refusal", `{"actual_minor":900}`)
	resume()
	eventually(t, func() error {
		if a := sendTo(t, s.server, capture); a.Status != http.StatusOK {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
	s.is(s.balance(g), "after the capture", `{"actual_minor":800}`)
}

// mute is the name of an actuator that this binary is.
const mute = "mute"

// silent is a merchant's own actuator without which nothing is sold, and which
// has nothing to say of anybody in earnest; in the trials before it is installed
// customers have shorter ids.
type silent struct{}

// Describe implements sdk.Actuator.
func (silent) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: mute, Version: "1.0.0", DecisionKinds: []sdk.Kind{sdk.KindUpsell}, EffectKinds: []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit: time.Second, Policy: sdk.Required,
	}
}

// Plan implements sdk.Actuator.
func (silent) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	if len(s.CustomerID) > 20 {
		return sdk.Plan{}, &sdk.Error{Code: sdk.CodeUnavailable, Message: "what it asks does not answer; see to that"}
	}
	return sdk.Plan{Refusal: sdk.RefusalUnidentified, Reasoning: sdk.Reasoning{
		Summary: "Nothing: the customer is not known.", Rule: "mute.unidentified", Facts: json.RawMessage(`{}`),
	}}, nil
}

// A sale that an actuator must decide does not close while that one does not
// answer; all others do, and so does this one once the operator has taken the
// actuator away.
func TestErrorsOfARequiredActuator(t *testing.T) {
	t.Parallel()
	server, o := own(t)
	s := openOn(t, server.URL)
	g := s.verified("+14155550123")
	merchant := s.made.text("data.merchant_id")
	anonymous := func() error { // a sale that it is asked about, and refuses
		a := s.post("/checkout/sessions/"+s.sale(nil)+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}})
		if !strings.Contains(string(a.Raw), `"rule":"mute.unidentified"`) {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	}
	program := filepath.Join(t.TempDir(), mute)
	if err := copied(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	runProgram(t, o.DSN, "actuator", "install", program, "--merchant", merchant, "--database", o.DSN)
	eventually(t, anonymous)
	const platform = `{"name":"wallet"},{"name":"cashback"},{"name":"attribution"}`
	s.is(s.manage("/capabilities", nil), "the merchant's", `{"actuators":[`+platform+`,{"name":"mute","version":"1.0.0","state":"ready","decision_kinds":["upsell"],"policy":"required"}]}`)
	other := openOn(t, server.URL)
	other.is(other.manage("/capabilities", nil), "another's", `{"actuators":[`+platform+`]}`)
	session := s.sale(byPhone(g))
	closing := s.as("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}})
	s.refuses(g, []string{session}, refusal{closing, 503, "ACTUATOR_UNAVAILABLE", "", "", "nothing was changed; retry with the same Idempotency-Key"})
	if err := anonymous(); err != nil {
		t.Error(err)
	}
	runProgram(t, o.DSN, "actuator", "uninstall", mute, "--merchant", merchant, "--database", o.DSN)
	eventually(t, func() error {
		if a := sendTo(t, s.server, closing); a.Status != http.StatusOK {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
	s.is(s.get("/checkout/sessions/"+session), "the session", `{"session":{"state":"closed"}}`)
}

// copied copies a program.
func copied(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, in.Close(), out.Close())
}
