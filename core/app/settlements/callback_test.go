package settlements_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/feddi/feddi/adapters/providers"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

const signing = "whsec_0123456789abcdef"

// signed is a callback of a deposit, signed as Stripe signs.
func (s *shop) signed(top, reference string, amount int64, currency string) topup.CallbackInput {
	body := fmt.Sprintf(`{"type":"payment_intent.succeeded","data":{"object":{"id":%q,"amount_received":%d,"currency":%q,"metadata":{"topup_id":%q}}}}`,
		reference, amount, currency, top)
	h := hmac.New(sha256.New, []byte(signing))
	fmt.Fprintf(h, "%d.%s", s.clock.Now().Unix(), body)
	header := fmt.Sprintf("t=%d,v1=%s", s.clock.Now().Unix(), hex.EncodeToString(h.Sum(nil)))
	return topup.CallbackInput{Provider: "stripe", Body: []byte(body), Header: func(string) string { return header }}
}

// provided is a shop whose provider signs with one secret.
func provided(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.topups.Gateways = map[string]topup.Gateway{"stripe": providers.Stripe{Secrets: providers.Fixed(signing)}}
	return s
}

func (s *shop) prepared(customer string, amount int64) ledger.Topup {
	s.t.Helper()
	o, err := s.topups.Prepare(s.t.Context(), s.call, topup.PrepareInput{CustomerID: customer, AmountMinor: amount, Currency: "USD"})
	s.must(err)
	return o.Topup
}

// callback is a provider's call: it knows no tenant.
func (s *shop) callback(in topup.CallbackInput) (topup.Received, error) {
	return s.topups.Callback(s.t.Context(), &app.Call{Actor: tenancy.Actor{Kind: tenancy.NoCredential, Mode: tenancy.Sandbox}}, in)
}

func (s *shop) actual(customer string) int64 {
	s.t.Helper()
	b, err := s.UoW.Read().Ledger.Balance(s.t.Context(), s.tenant, customer)
	s.must(err)
	return b.ActualMinor
}

// Rule 40: however often and however many at once the provider calls back and
// the till confirms, the deposit is credited once.
func TestCallbacksAndConfirmsAtOnce(t *testing.T) {
	t.Parallel()
	s := provided(t)
	guest := s.customer()
	top := s.prepared(guest, 2500)
	var mu sync.Mutex
	credited := 0
	atOnce(12, func(i int) {
		if i%2 == 0 {
			o, err := s.topups.Confirm(t.Context(), s.call, topup.ConfirmInput{TopupID: top.ID, Reference: "pi_1"})
			if err != nil || o.Topup.State != ledger.TopupCompleted {
				t.Errorf("confirm: %s %v", o.Topup.State, err)
			}
			return
		}
		r, err := s.callback(s.signed(top.ID, "pi_1", 2500, "usd"))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if r.Result == topup.CallbackCredited && r.TopupID == top.ID {
			credited++
		}
	})
	if credited != 6 || s.actual(guest) != 2500 || s.events("topup.completed") != 1 {
		t.Errorf("%d answers, %d credited, %d events", credited, s.actual(guest), s.events("topup.completed"))
	}
	s.sound()
}

func TestCallbackResults(t *testing.T) {
	t.Parallel()
	s := provided(t)
	guest := s.customer()
	top, other, lapsed := s.prepared(guest, 2500), s.prepared(guest, 100), s.prepared(guest, 300)
	call := func(what string, in topup.CallbackInput, want topup.CallbackResult, id string) {
		t.Helper()
		if r, err := s.callback(in); err != nil || r != (topup.Received{TopupID: id, Result: want}) {
			t.Errorf("%s: %+v %v, want %s", what, r, err, want)
		}
	}
	call("another amount", s.signed(top.ID, "pi_1", 2499, "usd"), topup.CallbackAmount, top.ID)
	call("another amount again", s.signed(top.ID, "pi_1", 2499, "usd"), topup.CallbackAmount, top.ID)
	call("another currency", s.signed(top.ID, "pi_1", 2500, "qar"), topup.CallbackAmount, top.ID)
	if n := s.actual(guest); n != 0 {
		t.Errorf("a wrong amount credited %d", n)
	}
	call("right", s.signed(top.ID, "pi_1", 2500, "usd"), topup.CallbackCredited, top.ID)
	call("again", s.signed(top.ID, "pi_1", 2500, "usd"), topup.CallbackCredited, top.ID)
	call("a second deposit for it", s.signed(top.ID, "pi_2", 2500, "usd"), topup.CallbackNotPending, top.ID)
	call("its reference for another", s.signed(other.ID, "pi_1", 100, "usd"), topup.CallbackDuplicate, other.ID)
	call("nobody's", s.signed("top_none", "pi_9", 100, "usd"), topup.CallbackUnmatched, "")
	s.clock.Advance(ledger.PendingLife)
	call("too late", s.signed(lapsed.ID, "pi_3", 300, "usd"), topup.CallbackNotPending, lapsed.ID)
	if n := s.actual(guest); n != 2500 {
		t.Errorf("credited %d", n)
	}
	// Each is kept once, but for what anybody may sign in the sandbox.
	if n := s.count("select count(*) from provider_callbacks where tenant_no = $1", s.tenant.No); n != 4 {
		t.Errorf("%d callbacks are kept", n)
	}
	ignored := s.signed("", "pi_4", 1, "usd")
	call("of no top-up", ignored, topup.CallbackIgnored, "")

	tampered := s.signed(other.ID, "pi_5", 100, "usd")
	tampered.Body = append(tampered.Body, ' ')
	_, err := s.callback(tampered)
	wants(t, "a changed body", err, fault.CodeSignatureInvalid)
	elsewhere := s.signed(other.ID, "pi_5", 100, "usd")
	elsewhere.Provider = "paypal"
	_, err = s.callback(elsewhere)
	wants(t, "another provider", err, fault.CodeNotFound)
	s.sound()
}

// In production an unmatched deposit is kept for whoever looks after the money,
// and a sandbox's top-up is never reached.
func TestCallbacksOfProduction(t *testing.T) {
	t.Parallel()
	s := provided(t)
	guest := s.customer()
	top := s.prepared(guest, 2500)
	call := &app.Call{Actor: tenancy.Actor{Kind: tenancy.NoCredential, Mode: tenancy.Production}}
	r, err := s.topups.Callback(t.Context(), call, s.signed(top.ID, "pi_1", 2500, "usd"))
	if err != nil || r.Result != topup.CallbackUnmatched || s.actual(guest) != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if n := s.count("select count(*) from provider_callbacks where tenant_no is null and result = 'unmatched' and reference = 'pi_1'"); n != 1 {
		t.Errorf("%d are kept", n)
	}
	// Whose deposit it is nobody knows, so that no erasure would find a person in it.
	const mail = "ada@example.com"
	if r, err = s.topups.Callback(t.Context(), call, s.signed("top_none", mail, 2500, "usd")); err != nil || r.Result != topup.CallbackUnmatched {
		t.Errorf("%+v %v", r, err)
	}
	if n := s.count("select count(*) from provider_callbacks where reference = '" + privacy.Opaque(mail) + "' and position('" + mail + "' in reference) = 0"); n != 1 {
		t.Errorf("%d are kept as hashes", n)
	}
}
