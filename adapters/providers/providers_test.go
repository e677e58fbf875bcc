package providers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/providers"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/fault"
)

var now = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// Written out here: the scheme is a contract with the providers, so a mistake
// in the code must not be made twice.
func sign(secret, body string, at time.Time) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%d.%s", at.Unix(), body)
	return h.Sum(nil)
}

func stripeHeaders(secret, body string, at time.Time) map[string]string {
	return map[string]string{"Stripe-Signature": fmt.Sprintf("t=%d,v1=%s,v0=00", at.Unix(), hex.EncodeToString(sign(secret, body, at)))}
}

func sadadHeaders(secret, body string, at time.Time) map[string]string {
	return map[string]string{"X-Sadad-Timestamp": fmt.Sprint(at.Unix()), "X-Sadad-Signature": base64.StdEncoding.EncodeToString(sign(secret, body, at))}
}

// scheme is a gateway with how its provider signs.
type scheme struct {
	gateway func(providers.Secrets) topup.Gateway
	headers func(secret, body string, at time.Time) map[string]string
	paid    string // a body of a deposit
	other   string // a body of something else
	broken  string // a deposit that lacks its amount
	want    topup.Notice
}

var schemes = map[string]scheme{
	"stripe": {
		func(s providers.Secrets) topup.Gateway { return providers.Stripe{Secrets: s} }, stripeHeaders,
		`{"type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","amount_received":2500,"currency":"usd","metadata":{"topup_id":"top_1"}}}}`,
		`{"type":"charge.updated","data":{"object":{"id":"ch_1"}}}`,
		`{"type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","currency":"usd","metadata":{"topup_id":"top_1"}}}}`,
		topup.Notice{Paid: true, TopupID: "top_1", Reference: "pi_1", AmountMinor: 2500, Currency: "USD"},
	},
	"sadad": {
		func(s providers.Secrets) topup.Gateway { return providers.Sadad{Secrets: s} }, sadadHeaders,
		`{"transaction_status":3,"transaction_number":"SD1","website_ref_no":"top_1","txn_amount":"25.00"}`,
		`{"transaction_status":2,"transaction_number":"SD1"}`,
		`{"transaction_status":3,"transaction_number":"SD1","website_ref_no":"top_1","txn_amount":"25.001"}`,
		topup.Notice{Paid: true, TopupID: "top_1", Reference: "SD1", AmountMinor: 2500, Currency: "QAR"},
	},
}

func read(g topup.Gateway, headers map[string]string, body string) (topup.Notice, error) {
	return g.Read(func(name string) string { return headers[name] }, []byte(body), now)
}

const (
	secret = "whsec_0123456789abcdef"
	former = "whsec_fedcba9876543210"
)

func TestSignatures(t *testing.T) {
	t.Parallel()
	for name, s := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := s.gateway(providers.Fixed(secret, former))
			for what, headers := range map[string]map[string]string{
				"the secret": s.headers(secret, s.paid, now), "the one before": s.headers(former, s.paid, now),
				"just in time": s.headers(secret, s.paid, now.Add(-providers.Tolerance)), "a clock ahead": s.headers(secret, s.paid, now.Add(providers.Tolerance)),
			} {
				if n, err := read(g, headers, s.paid); err != nil || n != s.want {
					t.Errorf("%s: %+v %v", what, n, err)
				}
			}
			for what, headers := range map[string]map[string]string{
				"nothing": {}, "another secret": s.headers("whsec_somebody_else's", s.paid, now), "an empty secret": s.headers("", s.paid, now),
				"another body": s.headers(secret, s.paid+" ", now), "too old": s.headers(secret, s.paid, now.Add(-providers.Tolerance-time.Second)),
				"too far ahead": s.headers(secret, s.paid, now.Add(providers.Tolerance+time.Second)),
			} {
				if n, err := read(g, headers, s.paid); !fault.Is(err, fault.CodeSignatureInvalid) || n != (topup.Notice{}) {
					t.Errorf("%s: %+v %v", what, n, err)
				}
			}
			// An older timestamp cannot be put in front of a signature that was made later.
			headers := s.headers(secret, s.paid, now)
			for header, value := range headers {
				headers[header] = strings.Replace(value, fmt.Sprint(now.Unix()), fmt.Sprint(now.Unix()-1), 1)
			}
			if _, err := read(g, headers, s.paid); !fault.Is(err, fault.CodeSignatureInvalid) {
				t.Errorf("another timestamp: %v", err)
			}
		})
	}
}

func TestWhatACallbackTells(t *testing.T) {
	t.Parallel()
	for name, s := range schemes {
		g := s.gateway(providers.Fixed(secret))
		if n, err := read(g, s.headers(secret, s.other, now), s.other); err != nil || n.Paid {
			t.Errorf("%s: %+v %v", name, n, err)
		}
		for _, body := range []string{s.broken, "{", "[]", `{"type":5}`[:8]} {
			if _, err := read(g, s.headers(secret, body, now), body); !fault.Is(err, fault.CodeValidationFailed) {
				t.Errorf("%s: %s: %v", name, body, err)
			}
			// Who cannot sign does not learn what is wrong with it.
			if _, err := read(g, s.headers(former, body, now), body); !fault.Is(err, fault.CodeSignatureInvalid) {
				t.Errorf("%s: %s unsigned: %v", name, body, err)
			}
		}
		derived := s.headers("sandbox_whsec_top_1", s.paid, now)
		if n, err := read(s.gateway(providers.Sandbox()), derived, s.paid); err != nil || n != s.want {
			t.Errorf("%s by the sandbox's secret: %+v %v", name, n, err)
		}
		if _, err := read(s.gateway(providers.Sandbox()), s.headers("sandbox_whsec_top_2", s.paid, now), s.paid); !fault.Is(err, fault.CodeSignatureInvalid) {
			t.Errorf("%s by another top-up's secret: %v", name, err)
		}
	}
}

func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	for amount, want := range map[string]int64{"25.00": 2500, "25": 2500, "25.5": 2550, "0.01": 1, "10000000000.00": 1e12} {
		body := `{"transaction_status":3,"transaction_number":"S","website_ref_no":"t","txn_amount":"` + amount + `"}`
		if n, err := read(providers.Sadad{Secrets: providers.Fixed(secret)}, sadadHeaders(secret, body, now), body); err != nil || n.AmountMinor != want {
			t.Errorf("%s is %d (%v), want %d", amount, n.AmountMinor, err, want)
		}
	}
	for _, amount := range []string{"", ".", ".5", "-1", "+1", "1e3", "0", "0.001", "1,00", "10000000000.01", "1.2.3", "٣"} {
		body := `{"transaction_status":3,"transaction_number":"S","website_ref_no":"t","txn_amount":"` + amount + `"}`
		if n, err := read(providers.Sadad{Secrets: providers.Fixed(secret)}, sadadHeaders(secret, body, now), body); !fault.Is(err, fault.CodeValidationFailed) {
			t.Errorf("%q was taken for %d: %v", amount, n.AmountMinor, err)
		}
	}
}

func TestSecretsOfConfiguration(t *testing.T) {
	t.Parallel()
	if got, err := providers.Parse(secret + ", " + former); err != nil || len(got) != 2 || got[0] != secret || got[1] != former {
		t.Errorf("%v %v", got, err)
	}
	for _, list := range []string{"", "short", secret + ","} {
		if _, err := providers.Parse(list); err == nil {
			t.Errorf("%q was taken", list)
		}
	}
}
