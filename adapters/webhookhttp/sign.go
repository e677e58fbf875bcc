package webhookhttp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"
)

// signer signs with a subscription's secret, and for a while after a rotation
// with the one before too.
type signer struct {
	current  *key
	previous *key      // nil where none signs along
	until    time.Time // from this moment on previous does not sign
}

// key is a secret, with states of HMAC that have taken it in already.
type key struct{ states sync.Pool }

// newKey reads a secret as Standard Webhooks writes it: whsec_ and base64.
func newKey(secret string) (*key, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, errNoSecret
	}
	return &key{sync.Pool{New: func() any { return hmac.New(sha256.New, raw) }}}, nil
}

func newSigner(s webhook.Subscription) (*signer, error) {
	current, err := newKey(s.Secret)
	if err != nil || s.PreviousSecretExpiresAt == nil {
		return &signer{current: current}, err
	}
	previous, err := newKey(s.PreviousSecret)
	return &signer{current, previous, *s.PreviousSecretExpiresAt}, err
}

// sign gives the signatures of one post joined by spaces, as Standard Webhooks
// lists them, that of the newest secret first. seconds is the time as it is sent.
func (s *signer) sign(id, seconds string, at time.Time, raw []byte) string {
	out := s.current.sign(nil, id, seconds, raw)
	if s.previous != nil && at.Before(s.until) {
		out = s.previous.sign(append(out, ' '), id, seconds, raw)
	}
	return string(out)
}

// sign appends the signature of id.seconds.raw to out.
func (k *key) sign(out []byte, id, seconds string, raw []byte) []byte {
	mac := k.states.Get().(hash.Hash)
	defer k.states.Put(mac)
	mac.Reset()
	var head, sum [64]byte
	mac.Write(append(append(append(append(head[:0], id...), '.'), seconds...), '.'))
	mac.Write(raw)
	return base64.StdEncoding.AppendEncode(append(out, "v1,"...), mac.Sum(sum[:0]))
}

// body is what a delivery posts: the same envelope that polling shows.
type body struct {
	Type       string    `json:"type"`
	ID         string    `json:"id"`
	Timestamp  time.Time `json:"timestamp"`
	APIVersion string    `json:"api_version"`
	Subject    string    `json:"subject"`
	MerchantID string    `json:"merchant_id"`
}

// encode gives the body with the event's data, which is JSON already, as it is
// stored: it is the larger part, and was encoded when the event happened.
func encode(apiVersion string, e event.Event) ([]byte, error) {
	head, err := json.Marshal(body{e.Type, e.ID, e.At, apiVersion, e.Subject, e.Tenant.MerchantID})
	if err != nil {
		return nil, err
	}
	data := e.Data
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	out := make([]byte, 0, len(head)+len(`,"data":`)+len(data))
	out = append(append(out, head[:len(head)-1]...), `,"data":`...)
	return append(append(out, data...), '}'), nil
}

// request makes one signed post. The timestamp of the signature is that of the
// attempt, as Standard Webhooks wants it, so that receivers can refuse old ones.
func request(ctx context.Context, to target, apiVersion string, e event.Event, at time.Time) (*http.Request, error) {
	raw, err := encode(apiVersion, e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	seconds := strconv.FormatInt(at.Unix(), 10)
	req := &http.Request{
		Method: http.MethodPost, URL: to.url, Host: to.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"Feddi-Webhooks/1"},
			canonicalID: {e.ID}, canonicalTimestamp: {seconds}, canonicalSignature: {to.signer.sign(e.ID, seconds, at, raw)},
		},
		Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw)),
		// A connection that the receiver closed just then is no failure: send again.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
	}
	return req.WithContext(ctx), nil
}

var (
	canonicalID        = http.CanonicalHeaderKey(standard.HeaderWebhookID)
	canonicalTimestamp = http.CanonicalHeaderKey(standard.HeaderWebhookTimestamp)
	canonicalSignature = http.CanonicalHeaderKey(standard.HeaderWebhookSignature)
)
