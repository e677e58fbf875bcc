package identity_test

import (
	"context"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

func (b *bench) several(t testing.TB, credentials ...identity.Credential) (identities.Several, error) {
	t.Helper()
	return b.identities.ResolveSeveral(t.Context(), b.call("resolveIdentity"), identities.SeveralInput{Credentials: credentials})
}

func phoneOf(number string) identity.Credential {
	return identity.Credential{Type: identity.Phone, Value: number}
}

func fingerprint(value string) identity.Credential {
	return identity.Credential{Type: identity.CardFingerprint, Value: value}
}

func TestRules1And3SeveralSignalsLeadToOneIdentityAndUseUpNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	_, err := b.link(t, c.ID, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-1"})
	must(t, err)
	_, err = b.link(t, c.ID, fingerprint("fp_1"))
	must(t, err)
	qr, short := b.mint(t, c.ID, identity.QR).Credential, b.mint(t, c.ID, identity.ShortCode).Credential
	all := []identity.Credential{phoneOf(guest), {Type: identity.ProviderCustomerID, Value: "pos-1"}, fingerprint("fp_1"), qr, short}
	for range 2 { // neither code is used up by the first
		got, err := b.several(t, all...)
		must(t, err)
		if got.Verdict.Status != identity.VerdictResolved || got.Context == nil || got.Context.Customer.ID != c.ID || got.Verdict.ConfidenceBP != 10000 || got.Context.Probationary {
			t.Fatalf("%+v", got)
		}
		for i, s := range got.Signals {
			if s.State != identity.SignalKnown || s.CustomerIDs[0] != c.ID || got.Verdict.Conflicting[i] || got.Masked[i] == all[i].Value {
				t.Errorf("signal %d: %+v %s", i, s, got.Masked[i])
			}
		}
		trace, err := b.uow.Read().Decisions.Trace(t.Context(), b.tenant, got.TraceID)
		must(t, err)
		must(t, decision.Replay(t.Context(), trace, identities.Reweigh))
	}
	bound, err := pg.One[int](t.Context(), b.db.Q(), `SELECT count(*) FROM payment_codes WHERE used_at IS NOT NULL OR bound_session_id IS NOT NULL`)
	must(t, err)
	if bound != 0 {
		t.Errorf("%d codes were used or bound", bound)
	}
}

func TestRules4And5WeakSignalsAreToldAndNeverWin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada, bob := b.verified(t, guest), b.initiate(t, number(1)).Customer
	_, err := b.link(t, bob.ID, fingerprint("fp_bob"))
	must(t, err)
	got, err := b.several(t, fingerprint("fp_bob"), phoneOf(guest))
	must(t, err)
	if got.Context == nil || got.Context.Customer.ID != ada.ID || got.Verdict.ConfidenceBP >= 10000 || !got.Verdict.Conflicting[0] || got.Verdict.Conflicting[1] ||
		got.Signals[0].CustomerIDs[0] != bob.ID {
		t.Errorf("a probationary card against a verified phone: %+v", got)
	}
	alone, err := b.several(t, fingerprint("fp_bob"))
	must(t, err)
	if alone.Context == nil || !alone.Context.Probationary {
		t.Errorf("a probationary card alone: %+v", alone)
	}
	_, err = b.link(t, ada.ID, fingerprint("fp_bob"))
	must(t, err)
	collides, err := b.several(t, fingerprint("fp_bob"))
	must(t, err)
	if collides.Verdict.Status != identity.VerdictConflict || collides.Context != nil || len(collides.Signals[0].CustomerIDs) != 2 {
		t.Errorf("a collision: %+v", collides)
	}
	carol := b.verified(t, number(2))
	against, err := b.several(t, phoneOf(guest), b.mint(t, carol.ID, identity.QR).Credential)
	must(t, err)
	if against.Verdict.Status != identity.VerdictConflict || against.Context != nil || !against.Verdict.Conflicting[0] || against.Signals[1].CustomerIDs[0] != carol.ID {
		t.Errorf("a code against a phone: %+v", against)
	}
}

func TestAnEndedCodeCountsForNothingAndIsNoError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	qr := b.mint(t, c.ID, identity.QR).Credential
	b.clock.Advance(time.Hour)
	got, err := b.several(t, phoneOf(guest), qr)
	must(t, err)
	if got.Context == nil || got.Signals[1].State != identity.SignalExpired || len(got.Signals[1].CustomerIDs) != 0 || got.Verdict.ConfidenceBP != 10000 {
		t.Errorf("%+v", got)
	}
	nobody, err := b.several(t, qr, phoneOf(number(9)))
	must(t, err)
	if nobody.Verdict.Status != identity.VerdictNotFound || nobody.Context != nil {
		t.Errorf("%+v", nobody)
	}
}

func TestGuessesCountInSeveralSignalsToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	real := b.mint(t, c.ID, identity.ShortCode).Credential
	guess := func(i int) identity.Credential {
		return identity.Credential{Type: identity.ShortCode, Value: []string{"ZZZZ2", "ZZZZ3", "ZZZZ4", "ZZZZ5", "ZZZZ6", "ZZZZ7", "ZZZZ8", "ZZZZ9", "ZZZY2", "ZZZY3", "ZZZY4"}[i]}
	}
	for i := range 9 { // one vain guess each; the real one is given back
		_, err := b.several(t, guess(i), real)
		must(t, err)
	}
	_, err := b.several(t, guess(9), guess(10)) // judged together or not at all
	wantCode(t, err, fault.CodeAttemptsExhausted)
	_, err = b.several(t, guess(9))
	must(t, err)
	_, err = b.several(t, phoneOf(guest), guess(10))
	if e := failure(t, err, fault.CodeAttemptsExhausted); e.RetryAfter <= 0 {
		t.Errorf("%+v", e)
	}
	if _, err := b.several(t, phoneOf(guest)); err != nil {
		t.Errorf("what cannot be guessed is refused too: %v", err)
	}
	b.clock.Advance(time.Hour)
	_, err = b.several(t, guess(10))
	must(t, err)
}

func TestSeveralSignalsAreCheckedByName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.several(t, phoneOf(guest), phoneOf("nonsense"))
	detail(t, failure(t, err, fault.CodeValidationFailed), "credentials[1].value")
	_, err = b.several(t, phoneOf(guest), phoneOf(guest))
	detail(t, failure(t, err, fault.CodeValidationFailed), "credentials[1]")
	_, err = b.several(t, identity.Credential{Type: "palm", Value: "x"})
	detail(t, failure(t, err, fault.CodeUnsupportedCredentialType), "credentials[0].credential_type")
	other := b.merchant(t)
	b.verified(t, guest)
	got, err := b.identities.ResolveSeveral(context.WithoutCancel(t.Context()), b.callOf(other, "resolveIdentity"), identities.SeveralInput{Credentials: []identity.Credential{phoneOf(guest)}})
	must(t, err)
	if got.Verdict.Status != identity.VerdictNotFound { // rule 11
		t.Errorf("another merchant sees %+v", got)
	}
}
