package identity_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

func TestRule29InitiateMovesNoMoneyAndBindsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"),
		enrollment.InitiateInput{Phone: guest, ProviderCustomerID: "pos-77", Name: "Ada"})
	must(t, err)
	if !out.Created || out.Customer.State != identity.PendingProof || out.Customer.Name != "Ada" || out.Enrollment.AttemptsLeft != 5 ||
		!out.Enrollment.ExpiresAt.Equal(start.Add(10*time.Minute)) || len(out.Proof.Code) != 6 {
		t.Errorf("initiated %+v, proof %+v", out.Enrollment, out.Proof)
	}
	if got := b.balance(t, out.Customer.ID); got.Currency != "USD" || got.ActualMinor != 0 || got.PromoLockedMinor != 0 {
		t.Errorf("balance = %+v", got)
	}
	if n := b.count(t, "entries") + b.count(t, "credential_links"); n != 0 {
		t.Errorf("%d entries and links, want none", n)
	}
	if r, err := b.resolve(t, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-77"}); err != nil || r.Customer != nil {
		t.Errorf("the provider's id resolves to %+v, %v before the proof", r.Customer, err)
	}
	if got := b.events(t); !maps.Equal(got, map[string]int{"enrollment.initiated": 1}) {
		t.Errorf("events = %v", got)
	}
	if sent := b.outbox.Latest(b.tenant); len(sent) != 1 || sent[0].To != guest || sent[0].Code != out.Proof.Code || sent[0].Token != out.Proof.Token {
		t.Errorf("sent = %+v", sent)
	}
}

func TestRule35APhoneIsOneCustomerHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.initiate(t, guest)
	for _, written := range []string{"+1 (415) 555-0123", "415-555-0123", " 14155550123 "} {
		again := b.initiate(t, written)
		if again.Created || again.Customer.ID != first.Customer.ID || again.Enrollment.ID != first.Enrollment.ID {
			t.Errorf("%q is customer %s, want %s", written, again.Customer.ID, first.Customer.ID)
		}
		if _, err := b.tryCode(t.Context(), first.Enrollment.ID, first.Proof.Code); !fault.Is(err, fault.CodeVerificationFailed) && again.Proof.Code != first.Proof.Code {
			t.Errorf("the earlier code still works: %v", err)
		}
		first = again
	}
	if n := b.count(t, "customers"); n != 1 {
		t.Errorf("%d customers", n)
	}
}

func TestRule35TheSamePhoneAtAnotherMerchantIsSomebodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.merchant(t)
	here := b.initiate(t, guest)
	there, err := b.enrollment.Initiate(t.Context(), b.callOf(other, "initiateEnrollment"), enrollment.InitiateInput{Phone: guest})
	must(t, err)
	if !there.Created || there.Customer.ID == here.Customer.ID {
		t.Fatalf("customer %s at both merchants", there.Customer.ID)
	}
	b.issue(t, here.Customer.ID, 100)
	balance, err := b.uow.Read().Ledger.Balance(t.Context(), other, there.Customer.ID)
	must(t, err)
	if balance.PromoLockedMinor != 0 {
		t.Errorf("the balance is shared: %+v", balance)
	}
	// Neither code, nor token, nor id of the one merchant means anything to the other.
	for name, in := range map[string]enrollment.VerifyInput{
		"code":  {EnrollmentID: here.Enrollment.ID, Code: here.Proof.Code},
		"token": {Token: here.Proof.Token},
	} {
		_, err := b.enrollment.Verify(t.Context(), b.callOf(other, "verifyEnrollment"), in)
		if !fault.Is(err, fault.CodeNotFound) && !fault.Is(err, fault.CodeVerificationFailed) {
			t.Errorf("%s of another merchant: %v", name, err)
		}
	}
	_, err = b.enrollment.Resend(t.Context(), b.callOf(other, "resendVerification"), enrollment.ResendInput{EnrollmentID: here.Enrollment.ID})
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.enrollment.Redrive(t.Context(), b.callOf(other, "redriveClaims"), enrollment.RedriveInput{CustomerID: here.Customer.ID})
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.customers.Mint(t.Context(), b.callOf(other, "qrMint"), customers.MintInput{CustomerID: here.Customer.ID})
	wantCode(t, err, fault.CodeNotFound)
}

func TestRule35ConcurrentEnrolmentsOfOnePhoneMakeOneCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	results, errs := together(24, func(int) (enrollment.Initiated, error) {
		return b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: guest})
	})
	if got := codes(errs); got[""] != 24 {
		t.Fatalf("errors: %v", got)
	}
	created, latest := 0, results[0]
	for _, r := range results {
		if r.Created {
			created++
		}
		if r.Customer.ID != latest.Customer.ID || r.Enrollment.ID != latest.Enrollment.ID {
			t.Fatalf("customer %s, enrolment %s beside %s, %s", r.Customer.ID, r.Enrollment.ID, latest.Customer.ID, latest.Enrollment.ID)
		}
		if r.Enrollment.Issue > latest.Enrollment.Issue {
			latest = r
		}
	}
	if created != 1 || b.count(t, "customers") != 1 || b.count(t, "wallets") != 1 || b.count(t, "enrollments") != 1 {
		t.Errorf("%d said created; %d customers, %d wallets, %d enrolments", created, b.count(t, "customers"), b.count(t, "wallets"), b.count(t, "enrollments"))
	}
	b.verify(t, latest)
}

func TestRule30VerifyDoesEverythingAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session := b.session(t)
	out, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"),
		enrollment.InitiateInput{Phone: guest, SessionID: session.ID, ProviderCustomerID: "pos-77"})
	must(t, err)
	if s, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, session.ID); err != nil || s.CustomerID != "" {
		t.Fatalf("the session is %q's before the proof (%v)", s.CustomerID, err)
	}
	g := b.issue(t, out.Customer.ID, 42)
	if g.State != ledger.Locked {
		t.Fatalf("a grant of an unverified customer is %s", g.State)
	}
	b.clock.Advance(time.Minute)
	done := b.verify(t, out)
	if done.Customer.State != identity.Verified || done.Customer.VerifiedAt == nil || done.ProviderCustomerID != "pos-77" {
		t.Errorf("verified %+v", done.Customer)
	}
	if len(done.Released) != 1 || done.Released[0].ID != g.ID || done.Released[0].State != ledger.Released ||
		done.Balance.PromoAvailableMinor != 42 || done.Balance.PromoLockedMinor != 0 {
		t.Errorf("released %+v, balance %+v", done.Released, done.Balance)
	}
	s, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, session.ID)
	must(t, err)
	if s.CustomerID != out.Customer.ID || s.CredentialType != "phone" || s.Probationary {
		t.Errorf("session = %+v", s)
	}
	want := map[string]int{
		"enrollment.initiated": 1, "enrollment.verified": 1, "grant.locked": 1, "grant.released": 1, "customer.linked": 1, "checkout.session.identified": 1,
	}
	if got := b.events(t); !maps.Equal(got, want) {
		t.Errorf("events = %v, want %v", got, want)
	}
}

func TestRule30AFailedVerifyLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	taken := b.verified(t, number(1))
	if _, err := b.link(t, taken.ID, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-77"}); err != nil {
		t.Fatal(err)
	}
	out, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: guest, ProviderCustomerID: "pos-77"})
	must(t, err) // nothing is bound yet, so nothing collides yet
	b.issue(t, out.Customer.ID, 42)
	before := b.events(t)
	_, err = b.tryCode(t.Context(), out.Enrollment.ID, out.Proof.Code)
	wantCode(t, err, fault.CodeCredentialAlreadyLinked)
	c, err := b.uow.Read().Identity.Customer(t.Context(), b.tenant, out.Customer.ID)
	must(t, err)
	e, err := b.uow.Read().Identity.Enrollment(t.Context(), b.tenant, out.Enrollment.ID)
	must(t, err)
	if c.State != identity.PendingProof || e.State != identity.PendingProof || e.AttemptsLeft != 5 {
		t.Errorf("customer %s, enrolment %s with %d attempts left", c.State, e.State, e.AttemptsLeft)
	}
	if got := b.balance(t, c.ID); got.PromoAvailableMinor != 0 || got.PromoLockedMinor != 42 {
		t.Errorf("balance = %+v", got)
	}
	if got := b.events(t); !maps.Equal(got, before) {
		t.Errorf("events = %v, before %v", got, before)
	}
	// The same code still proves the phone, without the id that is taken.
	done, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"),
		enrollment.VerifyInput{EnrollmentID: out.Enrollment.ID, Code: out.Proof.Code, ProviderCustomerID: "pos-78"})
	must(t, err)
	if done.ProviderCustomerID != "pos-78" || len(done.Released) != 1 {
		t.Errorf("verified %+v", done)
	}
}

func TestRule31TheProvidersIDIdentifiesLaterOrders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	_, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"),
		enrollment.VerifyInput{EnrollmentID: out.Enrollment.ID, Code: out.Proof.Code, ProviderCustomerID: "pos-77"})
	must(t, err)
	r, err := b.resolve(t, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-77"})
	must(t, err)
	if r.Customer == nil || r.Customer.ID != out.Customer.ID || r.Probationary {
		t.Errorf("resolved %+v", r)
	}
}

func TestRule32EitherTheTokenOrTheCodeProves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	byCode, byToken, both := b.initiate(t, number(1)), b.initiate(t, number(2)), b.initiate(t, number(3))
	b.verify(t, byCode)
	for _, in := range []enrollment.VerifyInput{
		{Token: byToken.Proof.Token}, {Token: both.Proof.Token, EnrollmentID: both.Enrollment.ID},
	} {
		done, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), in)
		must(t, err)
		if done.Customer.State != identity.Verified {
			t.Errorf("state %s", done.Customer.State)
		}
	}
	fresh := b.initiate(t, number(4))
	for name, in := range map[string]enrollment.VerifyInput{
		"neither":         {EnrollmentID: fresh.Enrollment.ID},
		"both":            {EnrollmentID: fresh.Enrollment.ID, Code: fresh.Proof.Code, Token: fresh.Proof.Token},
		"code without id": {Code: fresh.Proof.Code},
	} {
		_, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), in)
		if !fault.Is(err, fault.CodeValidationFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, in := range map[string]enrollment.VerifyInput{
		"of another enrolment": {Token: fresh.Proof.Token, EnrollmentID: byCode.Enrollment.ID},
		"changed":              {Token: strings.Replace(fresh.Proof.Token, ".1.", ".2.", 1)},
		"garbage":              {Token: "x"},
	} {
		_, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), in)
		if !fault.Is(err, fault.CodeVerificationFailed) {
			t.Errorf("token %s: %v", name, err)
		}
	}
	e, err := b.uow.Read().Identity.Enrollment(t.Context(), b.tenant, fresh.Enrollment.ID)
	must(t, err)
	if e.AttemptsLeft != 5 {
		t.Errorf("tokens used up %d attempts at the code", 5-e.AttemptsLeft)
	}
}

func TestAWrongCodeIsCountedThoughTheCallFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	for _, left := range []string{"4", "3", "2", "1", "0"} {
		_, err := b.tryCode(t.Context(), out.Enrollment.ID, wrong(out.Proof))
		if got := detail(t, failure(t, err, fault.CodeVerificationFailed), "attempts_left"); got != left {
			t.Errorf("attempts_left = %s, want %s", got, left)
		}
	}
	b.clock.Advance(4 * time.Minute)
	_, err := b.tryCode(t.Context(), out.Enrollment.ID, out.Proof.Code) // right, but too late
	if e := failure(t, err, fault.CodeAttemptsExhausted); e.RetryAfter != 6*time.Minute {
		t.Errorf("Retry-After %s, want what is left of the code's life", e.RetryAfter)
	}
	_, err = b.enrollment.Resend(t.Context(), b.call("resendVerification"), enrollment.ResendInput{EnrollmentID: out.Enrollment.ID})
	wantCode(t, err, fault.CodeAttemptsExhausted)
	_, err = b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: guest})
	wantCode(t, err, fault.CodeAttemptsExhausted)
	b.clock.Advance(6 * time.Minute)
	again := b.initiate(t, guest)
	if again.Enrollment.ID == out.Enrollment.ID || again.Enrollment.AttemptsLeft != 5 {
		t.Errorf("enrolment %+v, want a new one", again.Enrollment)
	}
	b.verify(t, again)
}

func TestTheSignedTokenOutlivesWrongCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	for range 6 {
		_, _ = b.tryCode(t.Context(), out.Enrollment.ID, wrong(out.Proof))
	}
	_, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), enrollment.VerifyInput{Token: out.Proof.Token})
	must(t, err)
}

func TestGuessesInParallelCountOneByOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	_, errs := together(64, func(int) (enrollment.VerifiedEnrollment, error) {
		return b.tryCode(t.Context(), out.Enrollment.ID, wrong(out.Proof))
	})
	want := map[fault.Code]int{fault.CodeVerificationFailed: 5, fault.CodeAttemptsExhausted: 59}
	if got := codes(errs); !maps.Equal(got, want) {
		t.Errorf("64 wrong guesses gave %v, want %v", got, want)
	}
}

func TestARaceOfRightCodesVerifiesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	b.issue(t, out.Customer.ID, 42)
	_, errs := together(16, func(i int) (enrollment.VerifiedEnrollment, error) {
		if i%2 == 0 {
			return b.tryCode(t.Context(), out.Enrollment.ID, out.Proof.Code)
		}
		return b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), enrollment.VerifyInput{Token: out.Proof.Token})
	})
	want := map[fault.Code]int{"": 1, fault.CodeCredentialUsed: 15}
	if got := codes(errs); !maps.Equal(got, want) {
		t.Errorf("16 right proofs gave %v, want %v", got, want)
	}
	if got := b.events(t); got["enrollment.verified"] != 1 || got["grant.released"] != 1 {
		t.Errorf("events = %v", got)
	}
}

func TestRule44ARepeatedVerifyGetsTheFirstOnesAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	call := b.call("verifyEnrollment")
	_, errs := together(8, func(int) (enrollment.VerifiedEnrollment, error) {
		mine := *call
		pin := *call.Pin
		mine.Pin = &pin
		return b.enrollment.Verify(t.Context(), &mine, enrollment.VerifyInput{EnrollmentID: out.Enrollment.ID, Code: out.Proof.Code})
	})
	first, replayed := 0, 0
	for _, err := range errs {
		var replay *app.Replay
		switch {
		case err == nil:
			first++
		case asReplay(err, &replay):
			replayed++
		default:
			t.Errorf("err = %v", err)
		}
	}
	if first != 1 || replayed != 7 {
		t.Errorf("%d firsts and %d replays, want 1 and 7", first, replayed)
	}
}

func TestAProofHasItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	b.clock.Advance(10 * time.Minute)
	for _, in := range []enrollment.VerifyInput{{EnrollmentID: out.Enrollment.ID, Code: out.Proof.Code}, {Token: out.Proof.Token}} {
		_, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), in)
		wantCode(t, err, fault.CodeCredentialExpired)
	}
	again := b.initiate(t, guest)
	b.verify(t, again)
	_, err := b.tryCode(t.Context(), again.Enrollment.ID, again.Proof.Code)
	wantCode(t, err, fault.CodeCredentialUsed)
	known := b.initiate(t, guest)
	if known.Created || known.Enrollment != nil || known.Proof != nil || known.Customer.State != identity.Verified {
		t.Errorf("a verified phone gives %+v, want its customer and no code", known)
	}
	_, err = b.enrollment.Resend(t.Context(), b.call("resendVerification"), enrollment.ResendInput{EnrollmentID: again.Enrollment.ID})
	wantCode(t, err, fault.CodeStateConflict)
}

func TestRule33ResendIsLimitedInRateAndNumber(t *testing.T) {
	t.Parallel()
	for _, mode := range []func(*tenancy.Merchant){live, func(*tenancy.Merchant) {}} {
		b := setup(t, mode)
		out := b.initiate(t, guest)
		resend := func() (enrollment.Resent, error) {
			return b.enrollment.Resend(t.Context(), b.call("resendVerification"), enrollment.ResendInput{EnrollmentID: out.Enrollment.ID})
		}
		earlier := *out.Proof
		for left := 4; left >= 0; left-- {
			sent, err := resend()
			must(t, err)
			if sent.Enrollment.ResendsLeft != left {
				t.Errorf("%d resends left, want %d", sent.Enrollment.ResendsLeft, left)
			}
			if _, err := b.enrollment.Verify(t.Context(), b.call("verifyEnrollment"), enrollment.VerifyInput{Token: earlier.Token}); !fault.Is(err, fault.CodeCredentialExpired) {
				t.Errorf("the earlier link: %v", err)
			}
			earlier = sent.Proof
			if left == 0 {
				break
			}
			b.clock.Advance(10 * time.Second)
			_, err = resend()
			if e := failure(t, err, fault.CodeRateLimited); e.RetryAfter != 20*time.Second {
				t.Errorf("Retry-After %s, want 20s", e.RetryAfter)
			}
			b.clock.Advance(20 * time.Second)
		}
		b.clock.Advance(30 * time.Second)
		_, err := resend()
		if e := failure(t, err, fault.CodeAttemptsExhausted); e.RetryAfter <= 0 {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
		if n := len(b.outbox.Latest(b.tenant)); n != 6 {
			t.Errorf("%d messages went out, want 6", n)
		}
		_, err = b.tryCode(t.Context(), out.Enrollment.ID, earlier.Code)
		must(t, err)
	}
}

func TestRule33AResendGivesNoAttemptsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	_, err := b.tryCode(t.Context(), out.Enrollment.ID, wrong(out.Proof))
	wantCode(t, err, fault.CodeVerificationFailed)
	sent, err := b.enrollment.Resend(t.Context(), b.call("resendVerification"), enrollment.ResendInput{EnrollmentID: out.Enrollment.ID})
	must(t, err)
	if sent.Enrollment.AttemptsLeft != 4 {
		t.Errorf("%d attempts left, want 4", sent.Enrollment.AttemptsLeft)
	}
}

func TestBeginningAgainSendsNoMoreThanResendWould(t *testing.T) {
	t.Parallel()
	b := setup(t, live)
	out := b.initiate(t, guest)
	if again := b.initiate(t, guest); again.Proof != nil || again.Enrollment.ID != out.Enrollment.ID {
		t.Errorf("a second message went out at once: %+v", again)
	}
	for range 20 {
		b.clock.Advance(identity.ResendInterval)
		if next := b.initiate(t, guest); next.Proof != nil {
			out = next
		}
	}
	if n := len(b.outbox.Latest(b.tenant)); n != 1+identity.MaxResends {
		t.Errorf("%d messages went out within one enrolment, want %d", n, 1+identity.MaxResends)
	}
	b.verify(t, out)
}

func TestADayOfEnrolmentsIsCapped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range identity.MaxDailyEnrollments {
		b.initiate(t, guest)
		b.clock.Advance(identity.ProofTTL)
	}
	_, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: guest})
	e := failure(t, err, fault.CodeAttemptsExhausted)
	b.clock.Advance(e.RetryAfter)
	b.verify(t, b.initiate(t, guest))
}

func TestASessionOfAnEnrolmentIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := func(session string) error {
		_, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: guest, SessionID: session})
		return err
	}
	wantCode(t, in("cs_unknown"), fault.CodeNotFound)
	taken := b.session(t)
	taken.CustomerID = b.verified(t, number(1)).ID
	_, err := b.uow.Read().Checkout.Save(t.Context(), taken)
	must(t, err)
	wantCode(t, in(taken.ID), fault.CodeStateConflict)
	ended := b.session(t)
	b.clock.Advance(time.Hour)
	wantCode(t, in(ended.ID), fault.CodeSessionEnded)
	if n := b.count(t, "customers"); n != 1 {
		t.Errorf("a refused enrolment left a customer: %d", n)
	}
}

func TestAProofHoldsThoughTheSessionMovedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ended, taken := b.session(t), b.session(t)
	var enrolled []enrollment.Initiated
	for i, s := range []checkoutID{ended.ID, taken.ID} {
		out, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: number(i), SessionID: s})
		must(t, err)
		enrolled = append(enrolled, out)
	}
	other := b.verified(t, number(9))
	taken.CustomerID = other.ID
	_, err := b.uow.Read().Checkout.Save(t.Context(), taken)
	must(t, err)
	gone, err := ended.Abandon("left", "", b.clock.Now())
	must(t, err)
	_, err = b.uow.Read().Checkout.Save(t.Context(), gone)
	must(t, err)
	for _, out := range enrolled {
		b.verify(t, out)
	}
	s, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, taken.ID)
	must(t, err)
	if s.CustomerID != other.ID {
		t.Errorf("the session went over to %s", s.CustomerID)
	}
}

type checkoutID = string

func TestADisabledCustomerCannotEnrolOrVerify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, out.Customer.ID, identity.Disabled, b.clock.Now()))
	_, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: guest})
	wantCode(t, err, fault.CodeStateConflict)
	_, err = b.tryCode(t.Context(), out.Enrollment.ID, out.Proof.Code)
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.enrollment.Resend(t.Context(), b.call("resendVerification"), enrollment.ResendInput{EnrollmentID: out.Enrollment.ID})
	wantCode(t, err, fault.CodeNotFound)
}

func TestAPhoneThatCannotBeOneIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: "12"})
	if e := failure(t, err, fault.CodeValidationFailed); strings.Contains(e.Message, "12 ") {
		t.Errorf("the message repeats the number: %s", e.Message)
	} else {
		detail(t, e, "phone")
	}
}

func TestTheNameOfAStrangerIsNotOverwritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := func(name string) enrollment.InitiateInput { return enrollment.InitiateInput{Phone: guest, Name: name} }
	for _, name := range []string{"", "Ada", "Mallory"} {
		_, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), in(name))
		must(t, err)
	}
	c, err := b.uow.Read().Identity.CustomerByPhone(t.Context(), b.tenant, guest)
	must(t, err)
	if c.Name != "Ada" {
		t.Errorf("name = %q", c.Name)
	}
}

func TestRule26NothingButProofAndGateReleases(t *testing.T) {
	t.Parallel()
	for _, g := range []tenancy.ClaimGate{tenancy.GateOnVerification, tenancy.GateOnFirstTopup, tenancy.GateOnFirstPurchase} {
		b := setup(t, gate(g))
		out := b.initiate(t, guest)
		first := b.issue(t, out.Customer.ID, 42)
		if first.State != ledger.Locked {
			t.Fatalf("%s: a grant before the proof is %s", g, first.State)
		}
		redriven := b.redrive(t, out.Customer.ID)
		if len(redriven.Released) != 0 || len(redriven.Locked) != 1 || redriven.Locked[0].Reason != identity.NotVerified {
			t.Errorf("%s: before the proof %+v", g, redriven)
		}
		done := b.verify(t, out)
		if released := len(done.Released) == 1; released != (g == tenancy.GateOnVerification) {
			t.Errorf("%s: the proof released %+v", g, done.Released)
		}
		if g == tenancy.GateOnVerification {
			continue
		}
		redriven = b.redrive(t, out.Customer.ID)
		if len(redriven.Released) != 0 || len(redriven.Locked) != 1 || redriven.Locked[0].Reason != identity.ClaimGateNotMet {
			t.Errorf("%s: before the gate %+v", g, redriven)
		}
		_, err := b.db.Q().Exec(t.Context(), `UPDATE wallets SET first_topup_at = $2, first_purchase_at = $2 WHERE tenant_no = $1`, b.tenant.No, start)
		must(t, err)
		redriven = b.redrive(t, out.Customer.ID)
		if len(redriven.Released) != 1 || len(redriven.Locked) != 0 || b.balance(t, out.Customer.ID).PromoAvailableMinor != 42 {
			t.Errorf("%s: after the gate %+v", g, redriven)
		}
	}
}

func (b *bench) redrive(t testing.TB, customerID string, grantIDs ...string) enrollment.Redriven {
	t.Helper()
	out, err := b.enrollment.Redrive(t.Context(), b.call("redriveClaims"), enrollment.RedriveInput{CustomerID: customerID, GrantIDs: grantIDs})
	must(t, err)
	return out
}

func TestRule34ARedriveIsIdempotentAndRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, gate(tenancy.GateOnFirstTopup))
	c := b.verified(t, guest)
	one, two := b.issue(t, c.ID, 10), b.issue(t, c.ID, 20)
	_, err := b.db.Q().Exec(t.Context(), `UPDATE wallets SET first_topup_at = $2 WHERE tenant_no = $1`, b.tenant.No, start)
	must(t, err)
	first := b.redrive(t, c.ID, one.ID)
	if len(first.Released) != 1 || first.Released[0].ID != one.ID || b.balance(t, c.ID).PromoLockedMinor != 20 {
		t.Errorf("the run for one grant released %+v", first.Released)
	}
	second := b.redrive(t, c.ID)
	if len(second.Released) != 1 || second.Released[0].ID != two.ID {
		t.Errorf("the run for all released %+v", second.Released)
	}
	third := b.redrive(t, c.ID)
	if len(third.Released)+len(third.Locked) != 0 || b.events(t)["grant.released"] != 2 {
		t.Errorf("a run with nothing to do: %+v, events %v", third, b.events(t))
	}
	stored, err := b.uow.Read().Identity.Claim(t.Context(), b.tenant, second.Claim.ID)
	must(t, err)
	if stored.CustomerID != c.ID || !slices.Equal(stored.Released, []string{two.ID}) || !stored.CreatedAt.Equal(start) {
		t.Errorf("the record is %+v", stored)
	}
	stranger := b.verified(t, number(1))
	for _, id := range []string{b.issue(t, stranger.ID, 5).ID, "grt_unknown"} {
		_, err = b.enrollment.Redrive(t.Context(), b.call("redriveClaims"), enrollment.RedriveInput{CustomerID: c.ID, GrantIDs: []string{id}})
		wantCode(t, err, fault.CodeNotFound)
	}
}

func TestRule34WhatHasLapsedIsNeitherReleasedNorWaiting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	b.issue(t, out.Customer.ID, 10)
	_, err := b.db.Q().Exec(t.Context(), `UPDATE grants SET expires_at = $2 WHERE tenant_no = $1`, b.tenant.No, start.Add(time.Minute))
	must(t, err)
	b.clock.Advance(time.Minute)
	if redriven := b.redrive(t, out.Customer.ID); len(redriven.Released)+len(redriven.Locked) != 0 {
		t.Errorf("redriven %+v", redriven)
	}
	done := b.verify(t, out)
	if len(done.Released) != 0 || done.Balance.PromoAvailableMinor != 0 || done.Balance.PromoLockedMinor != 0 {
		t.Errorf("verified: released %+v, balance %+v", done.Released, done.Balance)
	}
}

func TestADisabledCustomersGrantsStayLocked(t *testing.T) {
	t.Parallel()
	b := setup(t, gate(tenancy.GateOnFirstTopup))
	c := b.verified(t, guest)
	b.issue(t, c.ID, 10)
	_, err := b.db.Q().Exec(t.Context(), `UPDATE wallets SET first_topup_at = $2 WHERE tenant_no = $1`, b.tenant.No, start)
	must(t, err)
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, c.ID, identity.Disabled, b.clock.Now()))
	out := b.redrive(t, c.ID)
	if len(out.Released) != 0 || len(out.Locked) != 1 || out.Locked[0].Reason != identity.CustomerOff {
		t.Errorf("redriven %+v", out)
	}
}

func TestProvingByAPaymentsCodeDoesWhatVerifyingDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	b.issue(t, out.Customer.ID, 42)
	for range 2 { // again changes nothing
		must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
			return b.enrollment.Prove(ctx, st, b.tenant, out.Customer.ID, b.clock.Now())
		}))
	}
	if got := b.balance(t, out.Customer.ID); got.PromoAvailableMinor != 42 {
		t.Errorf("balance = %+v", got)
	}
	if got := b.events(t); got["enrollment.verified"] != 1 || got["grant.released"] != 1 {
		t.Errorf("events = %v", got)
	}
	_, err := b.enrollment.Resend(t.Context(), b.call("resendVerification"), enrollment.ResendInput{EnrollmentID: out.Enrollment.ID})
	wantCode(t, err, fault.CodeStateConflict)
	if done := b.verify(t, out); len(done.Released) != 0 { // the message that is out still works
		t.Errorf("released twice: %+v", done.Released)
	}
}

func TestNoTableHoldsACodeOrTokenInTheClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	c := b.verified(t, number(1))
	secrets := map[string]string{
		"code": out.Proof.Code, "token": out.Proof.Token, "signature": out.Proof.Token[strings.LastIndexByte(out.Proof.Token, '.')+1:],
		"qr": b.mint(t, c.ID, identity.QR).Credential.Value, "short code": b.mint(t, c.ID, identity.ShortCode).Credential.Value,
		"card": "fp_5b1c0a77d9",
	}
	_, err := b.link(t, c.ID, identity.Credential{Type: identity.CardFingerprint, Value: secrets["card"]})
	must(t, err)
	tables, err := pg.Many[string](t.Context(), b.db.Q(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	must(t, err)
	if !slices.Contains(tables, "enrollments") || !slices.Contains(tables, "payment_codes") || !slices.Contains(tables, "idempotency") {
		t.Fatalf("tables = %v", tables)
	}
	for _, table := range tables {
		rows, err := pg.Many[string](t.Context(), b.db.Q(), `SELECT r::text FROM `+table+` r`)
		must(t, err)
		text := strings.Join(rows, "\n")
		for name, secret := range secrets {
			// Six digits may turn up inside a longer number by chance; as a value of their own they may not.
			if strings.Contains(text, secret) && (name != "code" || strings.Contains(text, ","+secret+",")) {
				t.Errorf("%s holds the %s in the clear", table, name)
			}
		}
	}
}
