package checkout_test

import (
	"fmt"
	"testing"

	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// TestGuessingShortCodesIsCappedInSessions: ten codes that do not exist may be
// tried, at whatever operation of sessions; the eleventh is refused unjudged,
// and other credentials pass.
func TestGuessingShortCodesIsCappedInSessions(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.guest(ann, identity.Verified)
	out, err := s.Open(t.Context(), s.call("openCheckoutSession"), uses.OpenInput{Currency: "USD"})
	s.must(err)
	guess := func(n int) error {
		c := identity.Credential{Type: identity.ShortCode, Value: fmt.Sprintf("ZZZ%02d", n+20)}
		if n%2 == 0 {
			_, err := s.Open(t.Context(), s.call("openCheckoutSession"), uses.OpenInput{Currency: "USD", Credential: &c})
			return err
		}
		_, err := s.Identify(t.Context(), s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: out.View.Session.ID, Credential: c})
		return err
	}
	for n := range 10 {
		s.must(guess(n))
	}
	for n := 10; n < 12; n++ {
		wantCode(t, guess(n), fault.CodeAttemptsExhausted)
	}
	_, err = s.Identify(t.Context(), s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: out.View.Session.ID, Credential: byPhone(ann)})
	s.must(err)
}
