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

// Intent is something that moves money and is wanted once: one key, one
// request, and all that was answered to it.
type Intent struct {
	Key string

	path string
	body object
	done int // the status that says that it was done

	mu      sync.Mutex
	answers []Answer
}

// Send sends the intent, again where it was sent before.
func (s *Shop) Send(ctx context.Context, i *Intent) Answer {
	a := s.post(ctx, i.path, i.Key, i.body)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers = append(i.answers, a)
	return a
}

// Receipt is the first answer that says that it was done; nil where none has
// said so.
func (i *Intent) Receipt() *Answer {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := range i.answers {
		if i.answers[n].Status == i.done {
			return &i.answers[n]
		}
	}
	return nil
}

// judge says what is wrong with the answers that say that it was done: each
// must be the first one again.
func (i *Intent) judge() (wrong []string) {
	first := i.Receipt()
	if first == nil {
		return []string{fmt.Sprintf("%s with key %s has no receipt", i.path, i.Key)}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := range i.answers {
		if a := &i.answers[n]; a.Status == i.done && !bytes.Equal(a.Data, first.Data) {
			wrong = append(wrong, fmt.Sprintf("key %s was answered %s and then %s", i.Key, first.Data, a.Data))
		}
	}
	return wrong
}

// Payment is an intention to pay with a code from a guest's wallet.
type Payment struct {
	Intent

	Guest       Guest
	AmountMinor int64
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
	body := object{"amount_minor": minor, "currency": "USD", "credential": object{"credential_type": "qr", "value": code}}
	return &Payment{Intent: Intent{Key: uuid.NewString(), path: "/payments", body: body, done: http.StatusCreated}, Guest: g, AmountMinor: minor}
}

// Twin is the same payment under another key: another till's attempt to be paid
// with the same code.
func (p *Payment) Twin() *Payment {
	return &Payment{Intent: Intent{Key: uuid.NewString(), path: p.path, body: p.body, done: p.done}, Guest: p.Guest, AmountMinor: p.AmountMinor}
}

// ID is the payment's id; empty where it is not known to be taken.
func (p *Payment) ID() string { return p.receipt().PaymentID }

// receipt is what a taken payment is answered with.
type receipt struct {
	PaymentID   string `json:"payment_id"`
	Status      string `json:"status"`
	AmountMinor int64  `json:"amount_minor"`
	PromoMinor  int64  `json:"debited_promo_minor"`
	ActualMinor int64  `json:"debited_actual_minor"`
}

func (p *Payment) receipt() (r receipt) {
	if a := p.Receipt(); a != nil {
		_ = json.Unmarshal(a.Data, &r) // one that cannot be read has no id
	}
	return r
}

func (p *Payment) judge() []string {
	wrong := p.Intent.judge()
	r := p.receipt()
	if p.Receipt() != nil && (r.Status != "succeeded" || r.AmountMinor != p.AmountMinor || r.PromoMinor+r.ActualMinor != p.AmountMinor) {
		wrong = append(wrong, fmt.Sprintf("a payment of %d was answered %+v", p.AmountMinor, r))
	}
	return wrong
}

// Topup is the confirmation of a top-up that was prepared.
type Topup struct {
	Intent

	ID    string
	Guest Guest
}

func newTopup(g Guest, id string) *Topup {
	body := object{"topup_id": id, "provider_settlement_reference": uuid.NewString()}
	return &Topup{Intent: Intent{Key: uuid.NewString(), path: "/topup/confirm", body: body, done: http.StatusOK}, ID: id, Guest: g}
}

// paidInMinor is what the top-up was answered to have brought, bonus included.
func (t *Topup) paidInMinor() int64 {
	var r struct {
		CreditedActualMinor int64 `json:"credited_actual_minor"`
		BonusGrant          *struct {
			AmountMinor int64 `json:"amount_minor"`
		} `json:"bonus_grant"`
	}
	if a := t.Receipt(); a != nil {
		_ = json.Unmarshal(a.Data, &r) // then nothing was paid in, which the books will show
	}
	if r.BonusGrant != nil {
		r.CreditedActualMinor += r.BonusGrant.AmountMinor
	}
	return r.CreditedActualMinor
}

// Told is what the guests wanted, and were told of.
type Told struct {
	Payments []*Payment
	Topups   []*Topup
}

func (t Told) intents() (all []*Intent) {
	for _, p := range t.Payments {
		all = append(all, &p.Intent)
	}
	for _, t := range t.Topups {
		all = append(all, &t.Intent)
	}
	return all
}
