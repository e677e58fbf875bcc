package ledger_test

import (
	"fmt"
	"testing"

	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// TestGuessingShortCodesIsCappedAtTheTill: ten codes that do not exist may be
// tried, by paying or by asking for a balance; the eleventh is refused unjudged.
func TestGuessingShortCodesIsCappedAtTheTill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guess := func(n int) error {
		c := identity.Credential{Type: identity.ShortCode, Value: fmt.Sprintf("ZZZ%02d", n+20)}
		if n%2 == 0 {
			_, err := b.payments.Authorize(t.Context(), b.call("paymentAuthorize"), payments.AuthorizeInput{AmountMinor: 1, Currency: "USD", Credential: c})
			return err
		}
		_, err := b.payments.BalanceCheck(t.Context(), b.call("redeemBalanceCheck"), payments.CheckInput{Credential: c})
		return err
	}
	for n := range 10 {
		if err := guess(n); !fault.Is(err, fault.CodeNotFound) {
			t.Fatalf("guess %d: %v, want NOT_FOUND", n, err)
		}
	}
	if err := guess(10); !fault.Is(err, fault.CodeAttemptsExhausted) {
		t.Errorf("the eleventh guess: %v, want ATTEMPTS_EXHAUSTED", err)
	}
}
