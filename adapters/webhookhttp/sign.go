package webhookhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"
)

// signer signs with a subscription's secret, and for a while after a rotation
// with the one before too.
type signer struct {
	current  *standard.Webhook
	previous *standard.Webhook // nil where none signs along
	until    time.Time         // from this moment on previous does not sign
}

func newSigner(s webhook.Subscription) (signer, error) {
	current, err := standard.NewWebhook(s.Secret)
	if err != nil || s.PreviousSecretExpiresAt == nil {
		return signer{current: current}, err
	}
	previous, err := standard.NewWebhook(s.PreviousSecret)
	return signer{current, previous, *s.PreviousSecretExpiresAt}, err
}

// sign gives the signatures of one post joined by spaces, as Standard Webhooks
// lists them, that of the newest secret first.
func (s signer) sign(id string, at time.Time, raw []byte) (string, error) {
	signature, err := s.current.Sign(id, at, raw)
	if err != nil || s.previous == nil || !at.Before(s.until) {
		return signature, err
	}
	older, err := s.previous.Sign(id, at, raw)
	return signature + " " + older, err
}

// body is what a delivery posts: the same envelope that polling shows.
type body struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Timestamp  time.Time       `json:"timestamp"`
	APIVersion string          `json:"api_version"`
	Subject    string          `json:"subject"`
	MerchantID string          `json:"merchant_id"`
	Data       json.RawMessage `json:"data"`
}

// request makes one signed post. The timestamp of the signature is that of the
// attempt, as Standard Webhooks wants it, so that receivers can refuse old ones.
func request(ctx context.Context, url string, signer signer, apiVersion string, e event.Event, at time.Time) (*http.Request, error) {
	raw, err := json.Marshal(body{
		Type: e.Type, ID: e.ID, Timestamp: e.At, APIVersion: apiVersion,
		Subject: e.Subject, MerchantID: e.Tenant.MerchantID, Data: e.Data,
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	signature, err := signer.sign(e.ID, at, raw)
	if err != nil {
		return nil, fmt.Errorf("sign event %s: %w", e.ID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Feddi-Webhooks/1")
	req.Header.Set(standard.HeaderWebhookID, e.ID)
	req.Header.Set(standard.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standard.HeaderWebhookSignature, signature)
	return req, nil
}
