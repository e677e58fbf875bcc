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
)

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
func request(ctx context.Context, url string, signer *standard.Webhook, apiVersion string, e event.Event, at time.Time) (*http.Request, error) {
	raw, err := json.Marshal(body{
		Type: e.Type, ID: e.ID, Timestamp: e.At, APIVersion: apiVersion,
		Subject: e.Subject, MerchantID: e.Tenant.MerchantID, Data: e.Data,
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	signature, err := signer.Sign(e.ID, at, raw)
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
