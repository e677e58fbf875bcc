package identity_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

func asReplay(err error, to **app.Replay) bool { return errors.As(err, to) }

func (b *bench) identify(t testing.TB, c identity.Credential) *identities.CustomerContext {
	t.Helper()
	out, err := b.identities.Identify(t.Context(), b.call("identify"), identities.IdentifyInput{Credential: c})
	must(t, err)
	return out.Context
}

func TestRule3EveryCredentialLeadsToTheSameContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	b.issue(t, c.ID, 42)
	credentials := []identity.Credential{
		{Type: identity.Phone, Value: guest},
		{Type: identity.Phone, Value: "(415) 555-0123"},
		{Type: identity.CardFingerprint, Value: "fp_5b1c0a77d9"},
		{Type: identity.ProviderCustomerID, Value: "pos-77"},
		b.mint(t, c.ID, identity.QR).Credential,
		b.mint(t, c.ID, identity.ShortCode).Credential,
	}
	for _, linked := range credentials[2:4] {
		_, err := b.link(t, c.ID, linked)
		must(t, err)
	}
	var want *identities.CustomerContext
	for _, credential := range credentials {
		got := b.identify(t, credential)
		if got == nil {
			t.Fatalf("%s leads nowhere", credential.Type)
		}
		got.Customer.PhoneUsedAt = nil // when a credential was last used is all that tells them apart
		for i := range got.Links {
			got.Links[i].LastUsedAt = nil
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %+v\nwant %+v", credential.Type, got, want)
		}
	}
	if want.Customer.ID != c.ID || want.Balance.PromoAvailableMinor != 42 || want.Badge != identity.BadgeNew || want.Probationary ||
		want.Program.CashbackBP != 500 || !want.Program.ClaimGateMet || len(want.Links) != 3 || want.Unclaimed != nil {
		t.Errorf("context = %+v", want)
	}
}

func TestRules1And7IdentifyGivesNothingToSpendAndUsesNothingUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	code := b.mint(t, c.ID, identity.QR).Credential
	for range 3 {
		found := b.identify(t, code)
		if found == nil {
			t.Fatal("identify used the code up")
		}
		if text := fmt.Sprintf("%+v", *found); strings.Contains(text, code.Value) {
			t.Errorf("the context holds the code: %s", text)
		}
	}
	if n := b.count(t, "payment_codes"); n != 1 {
		t.Errorf("identify minted: %d codes", n)
	}
	_, err := b.db.Q().Exec(t.Context(), `UPDATE payment_codes SET used_at = $2 WHERE tenant_no = $1`, b.tenant.No, start)
	must(t, err)
	_, err = b.resolve(t, code)
	wantCode(t, err, fault.CodeCredentialUsed)
}

func TestIdentifyNotesWhenALinkWasUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	card := identity.Credential{Type: identity.CardFingerprint, Value: "fp_5b1c0a77d9"}
	_, err := b.link(t, c.ID, card)
	must(t, err)
	b.clock.Advance(time.Hour)
	b.identify(t, identity.Credential{Type: identity.Phone, Value: guest})
	b.clock.Advance(time.Hour)
	links := b.identify(t, card).Links
	if links[0].Type != identity.Phone || links[0].LastUsedAt == nil || !links[0].LastUsedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("phone link = %+v", links[0])
	}
	if links[1].LastUsedAt == nil || !links[1].LastUsedAt.Equal(start.Add(2*time.Hour)) || links[1].MaskedValue == card.Value {
		t.Errorf("card link = %+v", links[1])
	}
}

func TestRule4ACardIsOnProbationUntilThePhoneIsProven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	card := identity.Credential{Type: identity.CardFingerprint, Value: "fp_5b1c0a77d9"}
	_, err := b.link(t, out.Customer.ID, card)
	must(t, err)
	r, err := b.resolve(t, card)
	must(t, err)
	if r.Customer == nil || !r.Probationary || !fault.Is(r.MovesMoney(), fault.CodeIdentityProbationary) {
		t.Errorf("before the proof: %+v, %v", r, r.MovesMoney())
	}
	if found := b.identify(t, card); !found.Probationary {
		t.Error("the context does not say so")
	}
	b.verify(t, out)
	r, err = b.resolve(t, card)
	must(t, err)
	if r.Customer == nil || r.Probationary || r.MovesMoney() != nil {
		t.Errorf("after the proof: %+v, %v", r, r.MovesMoney())
	}
}

func TestRule5ACollidingCardLeadsToNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.verified(t, number(1)), b.verified(t, number(2))
	card := identity.Credential{Type: identity.CardFingerprint, Value: "fp_5b1c0a77d9"}
	for _, c := range []identity.Customer{one, two, one} {
		_, err := b.link(t, c.ID, card)
		must(t, err)
	}
	r, err := b.resolve(t, card)
	must(t, err)
	if r.Customer != nil || !r.Colliding || !fault.Is(r.MovesMoney(), fault.CodeIdentityProbationary) {
		t.Errorf("resolved %+v", r)
	}
	if found := b.identify(t, card); found != nil {
		t.Errorf("identified %+v", found)
	}
	links := b.identify(t, identity.Credential{Type: identity.Phone, Value: number(1)}).Links
	if len(links) != 2 || links[1].State != identity.LinkColliding {
		t.Errorf("links = %+v", links)
	}
	if n := b.count(t, "entries"); n != 0 {
		t.Errorf("a collision moved money: %d entries", n)
	}
	if b.events(t)["customer.linked"] != 2 {
		t.Errorf("events = %v", b.events(t))
	}
}

func TestACardNumberIsNeverTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	for _, pan := range []string{"4242424242424242", "4242 4242 4242 4242", "5555-5555-5555-4444", "378282246310005"} {
		_, err := b.link(t, c.ID, identity.Credential{Type: identity.CardFingerprint, Value: pan})
		wantCode(t, err, fault.CodeValidationFailed)
		_, err = b.resolve(t, identity.Credential{Type: identity.CardFingerprint, Value: pan})
		if e := failure(t, err, fault.CodeValidationFailed); strings.Contains(e.Message, pan) {
			t.Errorf("the message repeats it: %s", e.Message)
		}
	}
	for _, masked := range []string{"424242******4242", "4242424242424241", "9f86d081884c7d65"} {
		_, err := b.resolve(t, identity.Credential{Type: identity.CardFingerprint, Value: masked})
		must(t, err)
	}
}

func TestRule6AShortCodeHasFiveCharactersAndCountsAsVerified(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest) // not verified
	code := b.mint(t, out.Customer.ID, identity.ShortCode)
	if len(code.Credential.Value) != 5 || code.SVG != "" {
		t.Errorf("minted %+v", code)
	}
	r, err := b.resolve(t, identity.Credential{Type: identity.ShortCode, Value: " " + strings.ToLower(code.Credential.Value) + " "})
	must(t, err)
	if r.Customer == nil || r.Customer.ID != out.Customer.ID || r.Probationary || r.MovesMoney() != nil {
		t.Errorf("resolved %+v", r)
	}
	// A code is of one kind, and of one merchant.
	if r, err := b.resolve(t, identity.Credential{Type: identity.QR, Value: code.Credential.Value}); err != nil || r.Customer != nil {
		t.Errorf("as a QR: %+v, %v", r, err)
	}
	elsewhere, err := b.identities.Resolve(t.Context(), b.uow.Read(), b.merchant(t), code.Credential, start)
	must(t, err)
	if elsewhere.Customer != nil {
		t.Errorf("at another merchant: %+v", elsewhere)
	}
}

func TestCodesLiveAsLongAsTheMerchantSays(t *testing.T) {
	t.Parallel()
	for minutes, want := range map[int]time.Duration{0: 10 * time.Minute, 1: time.Minute, 15: 15 * time.Minute, 60: 15 * time.Minute} {
		b := setup(t, func(m *tenancy.Merchant) { m.Settings.CodeTTLMinutes = minutes })
		c := b.verified(t, guest)
		code := b.mint(t, c.ID, identity.QR)
		if got := code.ExpiresAt.Sub(start); got != want {
			t.Errorf("%d minutes set: lives %s", minutes, got)
		}
		b.clock.Advance(want - time.Microsecond)
		_, err := b.resolve(t, code.Credential)
		must(t, err)
		b.clock.Advance(time.Microsecond)
		_, err = b.resolve(t, code.Credential)
		wantCode(t, err, fault.CodeCredentialExpired)
	}
}

func TestMintingAgainLeavesEarlierCodesUsable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	seen := map[string]bool{}
	for range 20 {
		for _, kind := range []identity.CredentialType{identity.QR, identity.ShortCode} {
			code := b.mint(t, c.ID, kind).Credential
			if seen[code.Value] {
				t.Errorf("%s was minted twice", kind)
			}
			seen[code.Value] = true
		}
	}
	for value := range seen {
		kind := identity.QR
		if len(value) == identity.ShortCodeLength {
			kind = identity.ShortCode
		}
		if r, err := b.resolve(t, identity.Credential{Type: kind, Value: value}); err != nil || r.Customer == nil {
			t.Errorf("an earlier %s: %+v, %v", kind, r, err)
		}
	}
}

func TestATerminalMintsInProductionOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		b := setup(t, live, func(m *tenancy.Merchant) { m.Settings.TerminalMayMint = allowed })
		c := b.verified(t, guest)
		terminal, key := b.call("qrMint"), b.call("qrMint")
		key.Actor.Kind = tenancy.KeyCall
		if _, err := b.customers.Mint(t.Context(), key, customers.MintInput{CustomerID: c.ID}); err != nil {
			t.Errorf("a key: %v", err)
		}
		_, err := b.customers.Mint(t.Context(), terminal, customers.MintInput{CustomerID: c.ID})
		if allowed != (err == nil) || err != nil && !fault.Is(err, fault.CodeScopeInsufficient) {
			t.Errorf("a terminal, terminal_may_mint %v: %v", allowed, err)
		}
	}
}

func TestNoCodeIsMintedForWhoMayNotPay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, c.ID, identity.Disabled, start))
	for _, id := range []string{c.ID, "cus_unknown"} {
		_, err := b.customers.Mint(t.Context(), b.call("qrMint"), customers.MintInput{CustomerID: id})
		wantCode(t, err, fault.CodeNotFound)
	}
}

func TestACodeThatIdentifiedASessionBelongsToIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	code := b.mint(t, c.ID, identity.QR).Credential
	bind := func(session string) error {
		r, err := b.resolve(t, code)
		must(t, err)
		return b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
			return identities.Bind(ctx, st, b.tenant, r, session, b.clock.Now())
		})
	}
	must(t, bind("cs_1"))
	must(t, bind("cs_1"))
	wantCode(t, bind("cs_2"), fault.CodeStateConflict)
	if r, err := b.resolve(t, code); err != nil || r.BoundSessionID != "cs_1" {
		t.Errorf("resolved %+v, %v", r, err)
	}
	// One that pays between being read and being bound is not bound any more.
	late := b.mint(t, c.ID, identity.QR).Credential
	r, err := b.resolve(t, late)
	must(t, err)
	_, err = b.db.Q().Exec(t.Context(), `UPDATE payment_codes SET used_at = $2 WHERE tenant_no = $1`, b.tenant.No, start)
	must(t, err)
	err = b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		return identities.Bind(ctx, st, b.tenant, r, "cs_1", b.clock.Now())
	})
	wantCode(t, err, fault.CodeStateConflict)
}

func TestRule20ATypeThatIsNotEnabledIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *tenancy.Merchant) { m.Settings.CredentialTypes = []string{"phone", "qr"} })
	c := b.verified(t, guest)
	for _, kind := range []identity.CredentialType{"short_code", "card_fingerprint", "provider_customer_id", "iris", "", "card"} {
		_, err := b.resolve(t, identity.Credential{Type: kind, Value: "x"})
		detail(t, failure(t, err, fault.CodeUnsupportedCredentialType), "credential.credential_type")
	}
	_, err := b.customers.Mint(t.Context(), b.call("qrMint"), customers.MintInput{CustomerID: c.ID, Kind: identity.ShortCode})
	wantCode(t, err, fault.CodeUnsupportedCredentialType)
}

func TestAnUnknownCredentialIsAnAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []identity.Credential{
		{Type: identity.Phone, Value: guest}, {Type: identity.QR, Value: "Q1-NONE"}, {Type: identity.ShortCode, Value: "22222"},
		{Type: identity.CardFingerprint, Value: "fp"}, {Type: identity.ProviderCustomerID, Value: "pos"},
	} {
		if found := b.identify(t, c); found != nil {
			t.Errorf("%s gives %+v", c.Type, found)
		}
	}
	_, err := b.resolve(t, identity.Credential{Type: identity.Phone, Value: "12"})
	detail(t, failure(t, err, fault.CodeValidationFailed), "credential.value")
}

func TestGuessingShortCodesIsCapped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	code := b.mint(t, c.ID, identity.ShortCode).Credential
	try := func(terminal string, credential identity.Credential) error {
		call := b.call("identify")
		call.Actor.TerminalID = terminal
		_, err := b.identities.Identify(t.Context(), call, identities.IdentifyInput{Credential: credential})
		return err
	}
	for range 40 { // right ones do not count
		must(t, try("trm_1", code))
	}
	_, errs := together(64, func(i int) (any, error) {
		return nil, try("trm_1", identity.Credential{Type: identity.ShortCode, Value: fmt.Sprintf("!%04d", i)})
	})
	if got := codes(errs); got[""] != 10 || got[fault.CodeAttemptsExhausted] != 54 {
		t.Errorf("64 guesses gave %v, want 10 answers", got)
	}
	if e := failure(t, try("trm_1", code), fault.CodeAttemptsExhausted); e.RetryAfter != 10*time.Minute {
		t.Errorf("Retry-After %s", e.RetryAfter)
	}
	must(t, try("trm_2", code))                                                        // another till goes on
	must(t, try("trm_1", identity.Credential{Type: identity.Phone, Value: guest}))     // and so do other credentials
	must(t, try("trm_1", identity.Credential{Type: identity.QR, Value: "Q1-GUESSED"})) // a nonce cannot be guessed
	b.clock.Advance(10 * time.Minute)
	wantCode(t, try("trm_1", code), fault.CodeCredentialExpired)
	must(t, try("trm_1", b.mint(t, c.ID, identity.ShortCode).Credential))
}

func TestRules9And13LookupAnswersForEveryState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if got := b.lookup(t, customers.LookupInput{Phone: guest}); got.Status != customers.NotFound || got.Context != nil || !got.RegistrationAllowed {
		t.Errorf("unknown: %+v", got)
	}
	out := b.initiate(t, guest)
	b.issue(t, out.Customer.ID, 42)
	got := b.lookup(t, customers.LookupInput{Phone: "415 555 0123"})
	if got.Status != customers.PendingProof || got.Context == nil || got.Context.Unclaimed == nil || got.Context.Unclaimed.AmountMinor != 42 ||
		got.Context.Unclaimed.Grants != 1 || got.RegistrationAllowed || len(got.Context.Unclaimed.Needs) != 1 || got.Context.Program.ClaimGateMet {
		t.Errorf("pending: %+v %+v", got, got.Context)
	}
	b.verify(t, out)
	got = b.lookup(t, customers.LookupInput{Phone: guest})
	if got.Status != customers.Registered || got.Context.Balance.PromoAvailableMinor != 42 || got.Context.Unclaimed != nil || got.RegistrationAllowed {
		t.Errorf("registered: %+v %+v", got, got.Context)
	}
	if len(got.Activity) != 2 || got.Activity[1].Type != "enrollment" || got.Activity[0].Type != "grant" || got.Activity[0].AmountMinor != 42 || got.Activity[0].Detail != "CASHBACK" {
		t.Errorf("activity = %+v", got.Activity)
	}
	_, err := b.link(t, out.Customer.ID, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-77"})
	must(t, err)
	if got := b.lookup(t, customers.LookupInput{ProviderCustomerID: "pos-77"}); got.Status != customers.Registered {
		t.Errorf("by the provider's id: %+v", got)
	}
}

func TestRule9ASessionKnowsItsCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	s := b.session(t)
	if got := b.lookup(t, customers.LookupInput{SessionID: s.ID}); got.Status != customers.NotFound || !got.RegistrationAllowed {
		t.Errorf("anonymous session: %+v", got)
	}
	s.CustomerID = c.ID
	_, err := b.uow.Read().Checkout.Save(t.Context(), s)
	must(t, err)
	if got := b.lookup(t, customers.LookupInput{SessionID: s.ID}); got.Status != customers.IdentifiedInSession || got.Context.Customer.ID != c.ID {
		t.Errorf("identified session: %+v", got)
	}
	_, err = b.customers.Lookup(t.Context(), b.callOf(b.merchant(t), "lookupCustomer"), customers.LookupInput{SessionID: s.ID})
	wantCode(t, err, fault.CodeNotFound)
	for _, in := range []customers.LookupInput{{}, {Phone: guest, SessionID: s.ID}} {
		_, err = b.customers.Lookup(t.Context(), b.call("lookupCustomer"), in)
		wantCode(t, err, fault.CodeValidationFailed)
	}
	_, err = b.customers.Lookup(t.Context(), b.call("lookupCustomer"), customers.LookupInput{Phone: "12"})
	detail(t, failure(t, err, fault.CodeValidationFailed), "phone")
}

func TestRule10ADisabledIdentityReadsAsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	code := b.mint(t, c.ID, identity.QR).Credential
	card := identity.Credential{Type: identity.CardFingerprint, Value: "fp_5b1c0a77d9"}
	_, err := b.link(t, c.ID, card)
	must(t, err)
	s := b.session(t)
	s.CustomerID = c.ID
	_, err = b.uow.Read().Checkout.Save(t.Context(), s)
	must(t, err)
	for _, status := range []identity.Status{identity.Disabled, identity.Merged, identity.Erased} {
		must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, c.ID, status, start))
		for _, in := range []customers.LookupInput{{Phone: guest}, {SessionID: s.ID}} {
			got := b.lookup(t, in)
			if got.Status != customers.NotFound || got.Context != nil || got.RegistrationAllowed || got.Activity != nil {
				t.Errorf("%s: lookup %+v", status, got)
			}
		}
		for _, credential := range []identity.Credential{{Type: identity.Phone, Value: guest}, code, card} {
			if found := b.identify(t, credential); found != nil {
				t.Errorf("%s: %s identifies %+v", status, credential.Type, found)
			}
		}
		_, err := b.identities.ContextOf(t.Context(), b.uow.Read(), b.tenant, c.ID, start)
		wantCode(t, err, fault.CodeNotFound)
	}
}

func TestRules11And12OnlyTheCallersMerchantCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.verified(t, guest)
	other := b.merchant(t)
	got, err := b.customers.Lookup(t.Context(), b.callOf(other, "lookupCustomer"), customers.LookupInput{Phone: guest})
	must(t, err)
	if got.Status != customers.NotFound || got.Context != nil || !got.RegistrationAllowed {
		t.Errorf("at another merchant: %+v", got)
	}
	if _, ok := reflect.TypeFor[customers.LookupInput]().FieldByName("MerchantID"); ok {
		t.Error("a look-up must not take a merchant from its input")
	}
}

func TestTheHistoryOfACustomerIsFolded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	sale := func(totalMinor, actualMinor, promoMinor int64) {
		t.Helper()
		x := checkout.Transaction{
			ID: b.ids.Make(ids.Transaction), Tenant: b.tenant, Origin: checkout.OriginPOS, Currency: "USD", SubtotalMinor: totalMinor + 10,
			DiscountMinor: 10, TotalMinor: totalMinor, CreatedAt: b.clock.Now(), Buyer: checkout.Buyer{CustomerID: c.ID, State: "VERIFIED"},
			Place: tenancy.Place{BranchID: "brn_1"}, Tenders: []checkout.Paid{
				{Tender: checkout.Tender{Type: "cash", AmountMinor: totalMinor - actualMinor - promoMinor}},
				{Tender: checkout.Tender{Type: "wallet", AmountMinor: actualMinor + promoMinor, PaymentID: b.ids.Make(ids.Payment)}, DebitedActualMinor: actualMinor, DebitedPromoMinor: promoMinor},
			},
		}
		must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
			err := st.Checkout.Record(ctx, &x)
			return err
		}))
	}
	badge := func() identity.Badge {
		t.Helper()
		return b.lookup(t, customers.LookupInput{Phone: guest}).Context.Badge
	}
	if got := badge(); got != identity.BadgeNew {
		t.Errorf("badge = %s", got)
	}
	sale(1175, 925, 250)
	b.clock.Advance(time.Minute)
	b.issue(t, c.ID, 58)
	panel := b.lookup(t, customers.LookupInput{Phone: guest})
	want := identity.Lifetime{Transactions: 1, SpentMinor: 1175, DiscountMinor: 10, CashbackEarnedMinor: 58, Currency: "USD"}
	got := panel.Context.Lifetime
	got.FirstAt, got.LastAt = nil, nil
	if got != want || panel.Context.Badge != identity.BadgeReturning {
		t.Errorf("lifetime = %+v, badge %s", got, panel.Context.Badge)
	}
	if a := panel.Activity; len(a) != 3 || a[0].Type != "grant" || a[1].Type != "transaction" || a[1].ActualMinor != 925 || a[1].PromoMinor != 250 || a[1].BranchID != "brn_1" {
		t.Errorf("activity = %+v", a)
	}
	for range 9 {
		sale(100, 0, 0)
	}
	if got := badge(); got != identity.BadgeRegular {
		t.Errorf("badge = %s", got)
	}
	b.clock.Advance(91 * 24 * time.Hour)
	if got := badge(); got != identity.BadgeLapsed {
		t.Errorf("badge = %s", got)
	}
	if n := len(b.lookup(t, customers.LookupInput{Phone: guest}).Activity); n != 10 {
		t.Errorf("%d rows of activity, want 10", n)
	}
}

func TestTheSweepTakesWhatEndedLongAgo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	code := b.mint(t, c.ID, identity.QR).Credential
	b.clock.Advance(24 * time.Hour)
	fresh := b.mint(t, c.ID, identity.QR).Credential
	n, err := b.identities.Sweep(t.Context(), 100)
	must(t, err)
	if n != 0 {
		t.Errorf("%d rows went that somebody may still ask about", n)
	}
	_, err = b.resolve(t, code)
	wantCode(t, err, fault.CodeCredentialExpired)
	b.clock.Advance(11 * time.Minute)
	if n, err = b.identities.Sweep(t.Context(), 100); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want the first code", n, err)
	}
	if r, err := b.resolve(t, code); err != nil || r.Customer != nil {
		t.Errorf("a swept code: %+v, %v", r, err)
	}
	_, err = b.resolve(t, fresh)
	wantCode(t, err, fault.CodeCredentialExpired)
	b.clock.Advance(7 * 24 * time.Hour)
	if n, err = b.identities.Sweep(t.Context(), 100); err != nil || n != 2 {
		t.Errorf("swept %d, %v; want the second code and the enrolment", n, err)
	}
}

func TestAPaymentsCodeGoesToTheCustomersPhone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	m := &identities.Messenger{Identities: b.identities, Sender: b.outbox}
	must(t, m.SendPaymentCode(t.Context(), b.tenant, c.ID, "418203", 1175, "USD"))
	sent := b.outbox.Latest(b.tenant)[0]
	if sent.To != guest || sent.Code != "418203" || sent.AmountMinor != 1175 || sent.Kind != identity.MessagePayment || sent.MerchantName != "Bean House" {
		t.Errorf("sent %+v", sent)
	}
	wantCode(t, m.SendPaymentCode(t.Context(), b.tenant, "cus_unknown", "418203", 1175, "USD"), fault.CodeNotFound)
}
