package messages

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/money"
)

// GatewayConfig is how the operator's gateway is reached.
type GatewayConfig struct {
	// URL takes the messages: a POST of JSON per message (see Body), signed by
	// Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature). Any
	// 2xx means taken over; webhook-id is stable, so that repetitions can be
	// dropped. https, or http to the same machine. FEDDI_SMS_URL.
	URL string
	// Secret signs: whsec_ and base64. FEDDI_SMS_SECRET.
	Secret string
	// LinkURL is the page that takes the token of an enrolment's link; {token}
	// stands for it. Empty sends the code alone. FEDDI_VERIFY_URL, for example
	// https://rewards.example.com/verify?token={token}.
	LinkURL string
	Clock   clock.Clock
	Log     *slog.Logger
	// Client reaches the gateway; nil means one with a timeout of 5 seconds that
	// follows no redirects.
	Client *http.Client
	// Backoff is the wait before each further attempt; nil means 1, 3, 10 and 30 seconds.
	Backoff []time.Duration
}

// Body is what the gateway receives. It may send Text as it is, or write its
// own from the parts.
type Body struct {
	Type         string    `json:"type"` // enrollment.verification, payment.confirmation, transaction.receipt
	MessageID    string    `json:"message_id"`
	Channel      string    `json:"channel"` // sms, email, push, whatsapp
	To           string    `json:"to"`      // E.164; an e-mail address, or for push the customer's id
	Subject      string    `json:"subject,omitempty"`
	Text         string    `json:"text"`
	Code         string    `json:"code,omitempty"`
	Link         string    `json:"link,omitempty"`
	Locale       string    `json:"locale,omitempty"`
	MerchantID   string    `json:"merchant_id"`
	MerchantName string    `json:"merchant_name"`
	AmountMinor  int64     `json:"amount_minor,omitempty"`
	Currency     string    `json:"currency,omitempty"`
	ExpiresAt    time.Time `json:"expires_at"`
}

const (
	queued  = 1024 // messages that wait at most
	workers = 4
	patient = 5 * time.Second // for one attempt
)

// Gateway hands messages to the operator's SMS gateway. Send queues; a few
// workers deliver with retries, while the code is good. Safe for concurrent use.
type Gateway struct {
	GatewayConfig
	signer *standardwebhooks.Webhook
	queue  chan identity.Message
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// NewGateway checks c and starts the workers; Close ends them.
func NewGateway(c GatewayConfig) (*Gateway, error) {
	if err := checkURL(c.URL); err != nil {
		return nil, err
	}
	if c.LinkURL != "" && !strings.Contains(c.LinkURL, "{token}") {
		return nil, errors.New("the verification page's URL must hold {token}, where the token goes")
	}
	signer, err := standardwebhooks.NewWebhook(c.Secret)
	if err != nil || c.Secret == "" {
		return nil, errors.New("the secret of the message gateway must be whsec_ followed by base64")
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: patient, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Backoff == nil {
		c.Backoff = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second}
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &Gateway{GatewayConfig: c, signer: signer, queue: make(chan identity.Message, queued), stop: stop}
	for range workers {
		g.done.Go(func() { g.work(ctx) })
	}
	return g, nil
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return errors.New("the message gateway needs an absolute URL")
	}
	local := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return errors.New("the message gateway must be reached by https: messages hold codes that pay; http only on the same machine")
	}
	return nil
}

// Close stops the workers; messages that still wait are dropped and counted in
// the log: their customers ask for another.
func (g *Gateway) Close() {
	g.stop()
	g.done.Wait()
	if n := len(g.queue); n > 0 {
		g.Log.Warn("messages were not delivered before the stop", "messages", n)
	}
}

// Send implements identity.Sender.
func (g *Gateway) Send(_ context.Context, m identity.Message) error {
	select {
	case g.queue <- m:
		return nil
	default:
	}
	g.Log.Error("a message was dropped: too many wait for the gateway", "message_id", m.ID, "type", m.Kind)
	return fault.New(fault.CodeSubsystemDegraded, "messages to customers are held up; send again in a moment").After(patient)
}

func (g *Gateway) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-g.queue:
			g.deliver(ctx, m)
		}
	}
}

// deliver tries until the gateway takes m, refuses it, or its code has expired.
func (g *Gateway) deliver(ctx context.Context, m identity.Message) {
	for attempt := 0; ; attempt++ {
		err := g.post(ctx, m)
		if err == nil {
			return
		}
		var refused refusal
		if errors.As(err, &refused) || attempt == len(g.Backoff) || !g.Clock.Now().Add(g.Backoff[attempt]).Before(m.ExpiresAt) {
			g.Log.Error("a message was not delivered", "message_id", m.ID, "type", m.Kind, "attempts", attempt+1, "cause", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(g.Backoff[attempt]):
		}
	}
}

// Deliver implements identity.Courier: one attempt, in the caller's time.
func (g *Gateway) Deliver(ctx context.Context, m identity.Message) error {
	err := g.post(ctx, m)
	var refused refusal
	if errors.As(err, &refused) {
		return &identity.Refused{Cause: err}
	}
	return err
}

// refusal is an answer that trying again would not change.
type refusal int

// Error implements error.
func (r refusal) Error() string { return fmt.Sprintf("the gateway answered %d", int(r)) }

func (g *Gateway) post(ctx context.Context, m identity.Message) error {
	body, err := json.Marshal(g.body(m))
	if err != nil {
		return err
	}
	now := g.Clock.Now()
	signature, err := g.signer.Sign(m.ID, now, body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	res, err := g.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4096) // so that the connection can be used again
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode/100 == 5, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("the gateway answered %d", res.StatusCode)
	}
	return refusal(res.StatusCode)
}

func (g *Gateway) body(m identity.Message) Body {
	b := Body{
		Type: string(m.Kind), MessageID: m.ID, Channel: cmp.Or(m.Channel, "sms"), To: m.To, Subject: m.Subject, Code: m.Code, Locale: m.Locale, MerchantID: m.Tenant.MerchantID,
		MerchantName: m.MerchantName, AmountMinor: m.AmountMinor, Currency: m.Currency, ExpiresAt: m.ExpiresAt,
	}
	if m.Token != "" && g.LinkURL != "" {
		b.Link = strings.ReplaceAll(g.LinkURL, "{token}", url.QueryEscape(m.Token))
	}
	if b.Text = m.Text; b.Text == "" {
		b.Text = text(b)
	}
	return b
}

// text is what a person reads. The code stands first, where a phone's
// notification shows it; the amount is named, so that nobody confirms another.
func text(b Body) string {
	if b.Type == string(identity.MessagePayment) {
		return fmt.Sprintf("%s confirms your payment of %s at %s. Tell it only to the cashier.",
			b.Code, amount(b.AmountMinor, money.Currency(b.Currency)), b.MerchantName)
	}
	s := fmt.Sprintf("%s is your code for %s.", b.Code, b.MerchantName)
	if b.Link != "" {
		s += " Or open " + b.Link
	}
	return s
}

// amount writes minor units as people do: 11.75 USD, 1175 JPY.
func amount(minor int64, c money.Currency) string {
	digits := c.Exponent()
	s := fmt.Sprintf("%0*d", digits+1, minor)
	if digits > 0 {
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	return s + " " + string(c)
}

// Unset is the sender of a production server without a gateway: it delivers
// nothing, says so to whoever asks, and to the operator.
type Unset struct{ Log *slog.Logger }

// Send implements identity.Sender.
func (s Unset) Send(_ context.Context, m identity.Message) error {
	s.Log.Error("a message was not sent: no message gateway is set up (FEDDI_SMS_URL)", "message_id", m.ID, "type", m.Kind)
	return fault.New(fault.CodeSubsystemDegraded, "this server cannot send messages to customers; ask its operator to set up a message gateway")
}

// Deliver implements identity.Courier.
func (s Unset) Deliver(ctx context.Context, m identity.Message) error { return s.Send(ctx, m) }
