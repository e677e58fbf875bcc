// Package trade is a shop whose guests pay at the real program, over its
// published surface, and the books that must agree with what they were told.
// Suites that break something under it share it.
package trade

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Shop is a sandbox on a running server, with a terminal that is signed in.
// Safe for concurrent use.
type Shop struct {
	Guests []Guest

	url    atomic.Pointer[string]
	client *http.Client
	where  object
	key    string
	token  string
}

// Guest is a customer with a wallet.
type Guest struct {
	ID string
	// Funding is what it began with; nil where that is nothing.
	Funding *Topup
}

type object = map[string]any

// Answer is what a call was answered with.
type Answer struct {
	// Status is 0 where the answer did not come whole.
	Status int
	// Err is why.
	Err error
	// Code is the error's code; empty on success.
	Code      string
	Retryable bool
	// RetryAfter is the header.
	RetryAfter string
	Replayed   bool
	Data       json.RawMessage
	Took       time.Duration
}

// String shows an answer in a failure.
func (a Answer) String() string {
	if a.Status == 0 {
		return fmt.Sprintf("no answer (%v)", a.Err)
	}
	return fmt.Sprintf("%d %s", a.Status, a.Code)
}

// Repeat reports whether the same call with the same key is right to make
// again: nobody knows what became of it, or the server asks for it.
func (a Answer) Repeat() bool {
	switch a.Status {
	case 0:
		return true
	case http.StatusConflict:
		return a.Code == "IDEMPOTENCY_IN_PROGRESS"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return a.Retryable
	}
	return false
}

// patience bounds one call. It is longer than the server's own limit.
const patience = 30 * time.Second

// Open makes a sandbox on the server at url and signs its terminal in.
func Open(ctx context.Context, url string) (*Shop, error) {
	s := &Shop{client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}}
	s.Move(url)
	var made struct {
		RawKey     string `json:"raw_key"`
		MerchantID string `json:"merchant_id"`
		BranchID   string `json:"branch_id"`
		TerminalID string `json:"terminal_id"`
	}
	if err := s.must(ctx, "/auth/keys/sandbox", object{"currency": "USD"}, &made); err != nil {
		return nil, err
	}
	s.key = made.RawKey
	s.where = object{"merchant_id": made.MerchantID, "branch_id": made.BranchID, "terminal_id": made.TerminalID}
	var signed struct{ Token string }
	if err := s.must(ctx, "/auth/token", object{"terminal_id": made.TerminalID}, &signed); err != nil {
		return nil, err
	}
	s.token = signed.Token
	return s, nil
}

// Move says that the server is at another address now.
func (s *Shop) Move(url string) { s.url.Store(&url) }

// Close ends the shop's connections.
func (s *Shop) Close() { s.client.CloseIdleConnections() }

// Enrol adds n guests with proven phones, each with minor units paid in.
func (s *Shop) Enrol(ctx context.Context, n int, minor int64) error {
	for range n {
		g, err := s.enrol(ctx, fmt.Sprintf("+1415555%04d", 1000+len(s.Guests)))
		if err != nil {
			return err
		}
		if minor > 0 {
			if g.Funding, err = s.fund(ctx, g, minor); err != nil {
				return err
			}
		}
		s.Guests = append(s.Guests, g)
	}
	return nil
}

func (s *Shop) enrol(ctx context.Context, phone string) (g Guest, err error) {
	var begun struct {
		EnrollmentID string `json:"enrollment_id"`
		CustomerID   string `json:"customer_id"`
		Sandbox      struct{ Code string }
	}
	if err := s.must(ctx, "/enroll/initiate", object{"phone": phone}, &begun); err != nil {
		return g, err
	}
	g.ID = begun.CustomerID
	return g, s.must(ctx, "/enroll/verify", object{"enrollment_id": begun.EnrollmentID, "code": begun.Sandbox.Code}, nil)
}

func (s *Shop) fund(ctx context.Context, g Guest, minor int64) (*Topup, error) {
	id, a := s.prepare(ctx, g, minor)
	if a.Status != http.StatusCreated || a.Err != nil {
		return nil, fmt.Errorf("preparing a top-up was answered %s: %s", a, a.Data)
	}
	t := newTopup(g, id)
	if a := s.Send(ctx, &t.Intent); a.Status != t.done {
		return nil, fmt.Errorf("confirming a top-up was answered %s: %s", a, a.Data)
	}
	return t, nil
}

// prepare begins a top-up.
func (s *Shop) prepare(ctx context.Context, g Guest, minor int64) (id string, a Answer) {
	a = s.post(ctx, "/topup/prepare", uuid.NewString(), object{"customer_id": g.ID, "amount_minor": minor, "currency": "USD"})
	var prepared struct {
		TopupID string `json:"topup_id"`
	}
	if a.Status == http.StatusCreated {
		a.Err = json.Unmarshal(a.Data, &prepared)
	}
	return prepared.TopupID, a
}

// Balance is a wallet as the server shows it.
type Balance struct {
	ActualMinor         int64 `json:"actual_minor"`
	PromoAvailableMinor int64 `json:"promo_available_minor"`
	PromoLockedMinor    int64 `json:"promo_locked_minor"`
}

// Balance reads a wallet.
func (s *Shop) Balance(ctx context.Context, g Guest) (b Balance, err error) {
	a := s.call(ctx, http.MethodGet, "/wallets/"+g.ID+"/balance", "", nil)
	if a.Status != http.StatusOK {
		return b, fmt.Errorf("the balance of %s: %s %s", g.ID, a, a.Data)
	}
	return b, json.Unmarshal(a.Data, &b)
}

// Mint makes a single-use code that pays from a guest's wallet.
func (s *Shop) Mint(ctx context.Context, g Guest) (code string, a Answer) {
	a = s.post(ctx, "/qr/mint", uuid.NewString(), object{"customer_id": g.ID, "kind": "qr"})
	var minted struct{ Credential struct{ Value string } }
	if a.Status == http.StatusCreated {
		a.Err = json.Unmarshal(a.Data, &minted)
	}
	return minted.Credential.Value, a
}

// Subscribe has events of some types posted to a URL.
func (s *Shop) Subscribe(ctx context.Context, url string, types ...string) error {
	office := &Shop{client: s.client, where: s.where, key: s.key} // a till may not
	office.Move(*s.url.Load())
	return office.must(ctx, "/webhooks/subscriptions", object{"url": url, "event_types": types}, nil)
}

// must makes a call that has to succeed, and reads its data.
func (s *Shop) must(ctx context.Context, path string, body object, into any) error {
	a := s.post(ctx, path, uuid.NewString(), body)
	if a.Status < 200 || a.Status > 299 {
		return fmt.Errorf("POST %s was answered %s: %s", path, a, a.Data)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(a.Data, into)
}

func (s *Shop) post(ctx context.Context, path, key string, body object) Answer {
	whole := object{"meta": object{"api_version": "2026-06-01"}}
	if s.where != nil {
		whole["context"] = s.where
	}
	maps.Copy(whole, body)
	raw, err := json.Marshal(whole)
	if err != nil {
		return Answer{Err: err}
	}
	return s.call(ctx, http.MethodPost, path, key, raw)
}

// call makes one call; a failure on the way is an Answer too.
func (s *Shop) call(ctx context.Context, method, path, key string, body []byte) (a Answer) {
	req, err := http.NewRequestWithContext(ctx, method, *s.url.Load()+"/v1/partner"+path, bytes.NewReader(body))
	if err != nil {
		return Answer{Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	switch {
	case s.token != "":
		req.Header.Set("Authorization", "Bearer "+s.token)
	case s.key != "":
		req.Header.Set("X-Api-Key", s.key)
	}
	begin := time.Now()
	res, err := s.client.Do(req)
	if err != nil {
		return Answer{Err: err, Took: time.Since(begin)}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return Answer{Err: err, Took: time.Since(begin)}
	}
	a = Answer{Status: res.StatusCode, RetryAfter: res.Header.Get("Retry-After"), Took: time.Since(begin)}
	a.Err = a.read(raw)
	return a
}

func (a *Answer) read(raw []byte) error {
	var envelope struct {
		Data  json.RawMessage
		Error *struct {
			Code      string
			Retryable bool
		}
		Meta struct {
			Replayed bool `json:"idempotency_replayed"`
		}
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return fmt.Errorf("status %d came with no envelope: %w: %.200s", a.Status, err, raw)
	}
	a.Data, a.Replayed = envelope.Data, envelope.Meta.Replayed
	if envelope.Error != nil {
		a.Code, a.Retryable = envelope.Error.Code, envelope.Error.Retryable
		a.Data = raw
	}
	return nil
}

// Sell sells something for cash to a guest, through a checkout session, and
// gives the answer to its closing. A step before it that fails is the answer.
func (s *Shop) Sell(ctx context.Context, g Guest, minor int64) Answer {
	code, a := s.Mint(ctx, g)
	if a.Status != http.StatusCreated {
		return a
	}
	a = s.post(ctx, "/checkout/sessions", uuid.NewString(), object{
		"currency": "USD", "channel": "in_store", "credential": object{"credential_type": "qr", "value": code},
	})
	var opened struct {
		Session struct {
			SessionID string `json:"session_id"`
		}
	}
	if err := json.Unmarshal(a.Data, &opened); a.Status != http.StatusCreated || err != nil {
		return a
	}
	path := "/checkout/sessions/" + opened.Session.SessionID
	a = s.post(ctx, path+"/basket", uuid.NewString(), object{"expected_revision": 0, "discount_minor": 0, "tax_minor": 0, "lines": []object{
		{"line_id": "1", "sku": "LATTE", "category": "coffee", "quantity": 1, "unit_price_minor": minor},
	}})
	if a.Status != http.StatusOK {
		return a
	}
	return s.post(ctx, path+"/close", uuid.NewString(), object{"tenders": []object{{"type": "cash", "amount_minor": minor}}})
}
