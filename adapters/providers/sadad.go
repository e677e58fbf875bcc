package providers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/money"
)

// Sadad reads callbacks signed in the manner of Sadad: X-Sadad-Timestamp holds
// unix seconds, X-Sadad-Signature the base64 of HMAC-SHA256 of
// "timestamp.body". A transaction_status of 3 (success) is a deposit; amounts
// are decimal text in the major unit.
type Sadad struct{ Secrets Secrets }

var _ topup.Gateway = Sadad{}

const (
	sadadTimestamp = "X-Sadad-Timestamp"
	sadadSignature = "X-Sadad-Signature"
	sadadSuccess   = 3
)

// Read implements topup.Gateway.
func (s Sadad) Read(header func(string) string, body []byte, now time.Time) (topup.Notice, error) {
	notice, parsed := sadadNotice(body)
	var signatures [][]byte
	if raw, err := base64.StdEncoding.DecodeString(header(sadadSignature)); err == nil {
		signatures = append(signatures, raw)
	}
	return judged(notice, parsed, verify(s.Secrets(notice.TopupID), header(sadadTimestamp), body, signatures, now, sadadSignature))
}

func sadadNotice(body []byte) (topup.Notice, error) {
	var event struct {
		Status    int    `json:"transaction_status"`
		Reference string `json:"transaction_number"`
		TopupID   string `json:"website_ref_no"`
		Amount    string `json:"txn_amount"`
		Currency  string `json:"currency"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return topup.Notice{}, errors.New("it is no JSON of a transaction")
	}
	if event.Currency == "" {
		event.Currency = "QAR"
	}
	n := topup.Notice{Paid: event.Status == sadadSuccess && event.TopupID != "", TopupID: event.TopupID, Reference: event.Reference, Currency: event.Currency}
	if !n.Paid {
		return n, whole(n)
	}
	var err error
	if n.AmountMinor, err = minor(event.Amount, money.Currency(event.Currency).Exponent()); err != nil {
		return n, err
	}
	return n, whole(n)
}

var errAmount = errors.New("its amount is no decimal number of the currency")

// minor is a decimal amount in minor units, exactly: no digit is rounded away.
func minor(decimal string, exponent int) (int64, error) {
	integer, fraction, _ := strings.Cut(decimal, ".")
	if integer == "" || len(fraction) > exponent || strings.Trim(integer+fraction, "0123456789") != "" {
		return 0, errAmount
	}
	n, err := strconv.ParseInt(integer+fraction+strings.Repeat("0", exponent-len(fraction)), 10, 64)
	if err != nil || n > money.MaxMinor {
		return 0, errAmount
	}
	return n, nil
}
