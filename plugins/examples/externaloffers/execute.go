package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/feddi/feddi/plugins/sdk"
)

// Bounds of what the service may answer, and of what Feddi stores.
const (
	maxFacts  = 16 << 10
	maxBody   = 64 << 10
	maxOffers = 40
	maxID     = 40
	maxTitle  = 80
)

// Execute fetches the offers. It reads and changes nothing outside, so that a
// repetition does no harm.
func (e externaloffers) Execute(ctx context.Context, c sdk.Command) (sdk.Receipt, error) {
	var set settings
	if err := c.DecodeSettings(&set); err != nil {
		return sdk.Receipt{}, err
	}
	offers, err := e.fetch(ctx, set.URL)
	if err != nil {
		return sdk.Receipt{}, err
	}
	facts, err := json.Marshal(stored{offers})
	if err != nil {
		return sdk.Receipt{}, err
	}
	if len(facts) > maxFacts {
		return sdk.Receipt{}, wrong("comes to %d bytes of facts, more than %d", len(facts), maxFacts)
	}
	return sdk.Receipt{Reference: fmt.Sprintf("%d offers", len(offers)), Facts: facts}, nil
}

// fetch gets the offers from the service. Errors say whether trying again makes
// sense: not for an answer that is no list of offers, nor for a host that the
// operator did not grant.
func (e externaloffers) fetch(ctx context.Context, url string) ([]offer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidSettings, Field: "settings.url", Message: "is no address: " + err.Error()}
	}
	req.Header.Set("Accept", "application/json")
	res, err := e.client.Do(req)
	if err != nil {
		var typed *sdk.Error
		if errors.As(err, &typed) {
			return nil, typed
		}
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "the offer service does not answer: " + err.Error(), Retryable: true}
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, &sdk.Error{
			Code: "service_status", Message: fmt.Sprintf("the offer service answered %d", res.StatusCode),
			Retryable: res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests,
		}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "the offer service broke off: " + err.Error(), Retryable: true}
	}
	return read(body)
}

// read reads what the service answered, and takes nothing on trust: it ends up
// on cards that cashiers read.
func read(body []byte) ([]offer, error) {
	var answer stored
	if err := json.Unmarshal(body, &answer); err != nil || len(body) > maxBody {
		return nil, wrong("must be an object with offers, of at most %d bytes", maxBody)
	}
	if len(answer.Offers) > maxOffers {
		return nil, wrong("has %d offers, more than %d", len(answer.Offers), maxOffers)
	}
	for i, o := range answer.Offers {
		switch {
		case !readable(o.ID, 1, maxID) || !readable(o.SKU, 0, maxTitle):
			return nil, wrong("offer %d needs an id of at most %d readable characters, and no sku or a readable one", i+1, maxID)
		case !readable(o.Title, 1, maxTitle):
			return nil, wrong("offer %d needs a title of at most %d readable characters", i+1, maxTitle)
		case o.GiftMinor < 1 || o.GiftMinor > 1_000_000_000_000 || o.MinTotalMinor < 0 || o.ExpiryDays < 0 || o.ExpiryDays > 3650:
			return nil, wrong("offer %d needs a gift_minor of 1 or more, a min_total_minor of 0 or more, and expiry_days of 0 to 3650", i+1)
		}
	}
	if answer.Offers == nil {
		answer.Offers = []offer{}
	}
	return answer.Offers, nil
}

// readable reports whether a text has so many characters, and no controls.
func readable(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' })
}

func wrong(format string, args ...any) error {
	return &sdk.Error{Code: "bad_offers", Message: "the answer of the offer service " + fmt.Sprintf(format, args...)}
}
