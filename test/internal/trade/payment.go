package trade

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

// Payment is an intention to pay: one key, one code, one amount, and all that
// was answered to it.
type Payment struct {
	Key, Code   string
	Guest       Guest
	AmountMinor int64

	mu      sync.Mutex
	answers []Answer
}

// NewPayment mints a code for a payment of a guest's.
func (s *Shop) NewPayment(ctx context.Context, g Guest, minor int64) (*Payment, error) {
	code, a := s.Mint(ctx, g)
	if a.Status != http.StatusCreated || a.Err != nil {
		return nil, fmt.Errorf("minting was answered %s (%w)", a, a.Err)
	}
	return newPayment(g, code, minor), nil
}

func newPayment(g Guest, code string, minor int64) *Payment {
	return &Payment{Key: uuid.NewString(), Code: code, Guest: g, AmountMinor: minor}
}

// Send sends the payment, again where it was sent before.
func (s *Shop) Send(ctx context.Context, p *Payment) Answer {
	a := s.pay(ctx, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, a)
	return a
}

// Receipt is the first answer that says that the payment was taken; nil where
// none has said so.
func (p *Payment) Receipt() *Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.answers {
		if p.answers[i].Status == http.StatusCreated {
			return &p.answers[i]
		}
	}
	return nil
}

// receipt is what a taken payment is answered with.
type receipt struct {
	PaymentID   string `json:"payment_id"`
	Status      string `json:"status"`
	AmountMinor int64  `json:"amount_minor"`
	PromoMinor  int64  `json:"debited_promo_minor"`
	ActualMinor int64  `json:"debited_actual_minor"`
}

// ID is the payment's id; empty where it is not known to be taken.
func (p *Payment) ID() string {
	a := p.Receipt()
	if a == nil {
		return ""
	}
	var r receipt
	if err := json.Unmarshal(a.Data, &r); err != nil {
		return ""
	}
	return r.PaymentID
}

// judge says what is wrong with the answers that say that the payment was
// taken: each must be the first one again.
func (p *Payment) judge() (wrong []string) {
	first := p.Receipt()
	if first == nil {
		return nil
	}
	var r receipt
	if err := json.Unmarshal(first.Data, &r); err != nil {
		return []string{err.Error()}
	}
	if r.Status != "succeeded" || r.AmountMinor != p.AmountMinor || r.PromoMinor+r.ActualMinor != p.AmountMinor {
		wrong = append(wrong, fmt.Sprintf("a payment of %d was answered %s", p.AmountMinor, first.Data))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.answers {
		if a := &p.answers[i]; a.Status == http.StatusCreated && !bytes.Equal(a.Data, first.Data) {
			wrong = append(wrong, fmt.Sprintf("key %s was answered %s and then %s", p.Key, first.Data, a.Data))
		}
	}
	return wrong
}
