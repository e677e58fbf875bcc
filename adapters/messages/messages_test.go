package messages_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/adapters/messages"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func message(mode tenancy.Mode, to string) identity.Message {
	return identity.Message{
		ID: "enr_1.1", Kind: identity.MessageEnrollment, Tenant: tenancy.Tenant{PartnerID: "par_1", Mode: mode, MerchantID: "mer_1", No: 1},
		MerchantName: "Bean House", To: to, Code: "418203", Token: "enr_1.1.99.abc", Locale: "en-US", ExpiresAt: time.Now().Add(time.Hour),
	}
}

// received is what a gateway got.
type received struct {
	body   messages.Body
	header http.Header
	valid  error
}

// receiver is an operator's gateway: it answers with the statuses given, then 204.
func receiver(t *testing.T, statuses ...int) (string, chan received) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan received, 16)
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		one := received{header: r.Header, valid: verifier.Verify(raw, r.Header)}
		if err := json.Unmarshal(raw, &one.body); err != nil {
			t.Error(err)
		}
		got <- one
		mu.Lock()
		defer mu.Unlock()
		status := http.StatusNoContent
		if len(statuses) > 0 {
			status, statuses = statuses[0], statuses[1:]
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func gateway(t *testing.T, url string, log io.Writer) *messages.Gateway {
	t.Helper()
	g, err := messages.NewGateway(messages.GatewayConfig{
		URL: url, Secret: secret, LinkURL: "https://rewards.example.com/verify?token={token}", Clock: clock.System{},
		Log: slog.New(slog.NewTextHandler(log, nil)), Backoff: []time.Duration{time.Millisecond, time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestTheGatewayGetsASignedMessage(t *testing.T) {
	t.Parallel()
	url, got := receiver(t)
	if err := gateway(t, url, io.Discard).Send(t.Context(), message(tenancy.Production, "+14155550123")); err != nil {
		t.Fatal(err)
	}
	m := <-got
	if m.valid != nil {
		t.Errorf("signature: %v", m.valid)
	}
	if m.header.Get("Webhook-Id") != "enr_1.1" || m.body.MessageID != "enr_1.1" || m.body.To != "+14155550123" || m.body.Code != "418203" ||
		m.body.Link != "https://rewards.example.com/verify?token=enr_1.1.99.abc" || m.body.Type != "enrollment.verification" {
		t.Errorf("body = %+v", m.body)
	}
	if want := "418203 is your code for Bean House. Or open " + m.body.Link; m.body.Text != want {
		t.Errorf("text = %q, want %q", m.body.Text, want)
	}
}

func TestAPaymentsMessageNamesTheAmount(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]string{"USD": "11.75 USD", "JPY": "1175 JPY", "KWD": "1.175 KWD"} {
		url, got := receiver(t)
		m := message(tenancy.Production, "+14155550123")
		m.Kind, m.Token, m.AmountMinor, m.Currency = identity.MessagePayment, "", 1175, currency
		if err := gateway(t, url, io.Discard).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if body := (<-got).body; !strings.Contains(body.Text, want+" at Bean House") || body.Link != "" {
			t.Errorf("body = %+v, want %s in the text", body, want)
		}
	}
}

func TestABusyGatewayIsTriedAgainWithTheSameID(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusServiceUnavailable, http.StatusTooManyRequests)
	if err := gateway(t, url, io.Discard).Send(t.Context(), message(tenancy.Production, "+14155550123")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if m := <-got; m.header.Get("Webhook-Id") != "enr_1.1" || m.valid != nil {
			t.Errorf("attempt: %s, %v", m.header.Get("Webhook-Id"), m.valid)
		}
	}
}

// watched is a log that tells when a line is written.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.lines <- struct{}{} }()
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func TestAFailureIsLoggedWithoutPhoneOrCode(t *testing.T) {
	t.Parallel()
	for name, statuses := range map[string][]int{"refused": {http.StatusBadRequest}, "down": {500, 500, 500}, "redirect": {http.StatusFound}} {
		url, got := receiver(t, statuses...)
		log := &watched{lines: make(chan struct{}, 8)}
		if err := gateway(t, url, log).Send(t.Context(), message(tenancy.Production, "+14155550123")); err != nil {
			t.Fatal(err)
		}
		<-log.lines
		if s := log.String(); !strings.Contains(s, "enr_1.1") || strings.Contains(s, "4155550123") || strings.Contains(s, "418203") || strings.Contains(s, ".abc") {
			t.Errorf("%s: log = %s", name, s)
		}
		if len(got) != len(statuses) {
			t.Errorf("%s: %d attempts, want %d", name, len(got), len(statuses))
		}
	}
}

func TestAGatewayThatWouldLeakCodesIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]messages.GatewayConfig{
		"plain http":      {URL: "http://sms.example.com/send", Secret: secret},
		"no URL":          {Secret: secret},
		"no secret":       {URL: "https://sms.example.com/send"},
		"bad secret":      {URL: "https://sms.example.com/send", Secret: "whsec_%%%"},
		"link sans place": {URL: "https://sms.example.com/send", Secret: secret, LinkURL: "https://x.example.com/verify"},
	} {
		if g, err := messages.NewGateway(c); err == nil {
			g.Close()
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestTheSandboxKeepsWhatItWasToSend(t *testing.T) {
	t.Parallel()
	box := &messages.Sandbox{}
	for _, to := range []string{"+14155550101", "+14155550102"} {
		if err := box.Send(t.Context(), message(tenancy.Sandbox, to)); err != nil {
			t.Fatal(err)
		}
	}
	merchant := tenancy.Tenant{MerchantID: "mer_1"}
	if got := box.Latest(merchant); len(got) != 2 || got[0].To != "+14155550102" {
		t.Errorf("sandbox kept %+v", got)
	}
	if got := box.Latest(tenancy.Tenant{MerchantID: "mer_2"}); len(got) != 0 {
		t.Errorf("another merchant sees %+v", got)
	}
}

func TestTheSandboxForgetsTheOldest(t *testing.T) {
	t.Parallel()
	box := &messages.Sandbox{}
	for range 1000 {
		if err := box.Send(t.Context(), message(tenancy.Sandbox, "+14155550101")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(box.Latest(tenancy.Tenant{MerchantID: "mer_1"})); n != 256 {
		t.Errorf("%d messages kept, want 256", n)
	}
}

func TestWithoutAGatewayTheCallerIsTold(t *testing.T) {
	t.Parallel()
	log := &watched{lines: make(chan struct{}, 1)}
	err := messages.Unset{Log: slog.New(slog.NewTextHandler(log, nil))}.Send(t.Context(), message(tenancy.Production, "+14155550123"))
	if !fault.Is(err, fault.CodeSubsystemDegraded) || strings.Contains(log.String(), "4155550123") {
		t.Errorf("err = %v, log = %s", err, log)
	}
}
