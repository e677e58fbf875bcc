package providers

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app/topup"
)

// Stripe reads callbacks signed as Stripe signs them: Stripe-Signature holds
// t=<unix seconds> and one or more v1=<hex of HMAC-SHA256 of "t.body">. A
// payment_intent.succeeded whose metadata has topup_id is a deposit.
type Stripe struct{ Secrets Secrets }

var _ topup.Gateway = Stripe{}

const stripeHeader = "Stripe-Signature"

// Read implements topup.Gateway.
func (s Stripe) Read(header func(string) string, body []byte, now time.Time) (topup.Notice, error) {
	notice, parsed := stripeNotice(body)
	timestamp, signatures := stripeSignature(header(stripeHeader))
	return judged(notice, parsed, verify(s.Secrets(notice.TopupID), timestamp, body, signatures, now, stripeHeader))
}

func stripeSignature(header string) (timestamp string, signatures [][]byte) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			timestamp = value
		case "v1":
			if raw, err := hex.DecodeString(value); err == nil {
				signatures = append(signatures, raw)
			}
		}
	}
	return timestamp, signatures
}

func stripeNotice(body []byte) (topup.Notice, error) {
	var event struct {
		Type string `json:"type"`
		Data struct {
			Object struct {
				ID       string `json:"id"`
				Received int64  `json:"amount_received"`
				Currency string `json:"currency"`
				Metadata struct {
					TopupID string `json:"topup_id"`
				} `json:"metadata"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return topup.Notice{}, errors.New("it is no JSON of an event")
	}
	o := event.Data.Object
	n := topup.Notice{
		Paid: event.Type == "payment_intent.succeeded" && o.Metadata.TopupID != "", TopupID: o.Metadata.TopupID,
		Reference: o.ID, AmountMinor: o.Received, Currency: strings.ToUpper(o.Currency),
	}
	return n, whole(n)
}

// whole checks that a deposit says all that is needed, in sizes that are kept.
func whole(n topup.Notice) error {
	switch {
	case len(n.TopupID) > 64 || n.Paid && (n.Reference == "" || len(n.Reference) > 128):
		return errors.New("its ids are missing or too long")
	case n.Paid && (len(n.Currency) != 3 || n.AmountMinor < 1):
		return errors.New("its amount or currency is missing")
	}
	return nil
}
