package identity_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

var (
	now    = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
	tenant = tenancy.Tenant{PartnerID: "par_1", Mode: tenancy.Sandbox, MerchantID: "mer_1", No: 7}
	proofs = identity.Proofs{Key: bytes.Repeat([]byte{7}, 32)}
)

func begun() identity.Enrollment {
	return identity.Begin("enr_01k9z3v7qw", identity.Customer{ID: "cus_1", Tenant: tenant}, now)
}

// TestCodesAreEvenlyDrawn proves the entropy of each kind of code: every
// symbol at every place is equally likely, within what chance allows.
func TestCodesAreEvenlyDrawn(t *testing.T) {
	t.Parallel()
	const draws = 40_000
	for name, c := range map[string]struct {
		draw    func() (string, error)
		skip    int // leading symbols that are fixed
		symbols int
		length  int
	}{
		"short code": {func() (string, error) { return identity.NewCode(rand.Reader, identity.ShortCode) }, 0, 31, 5},
		"digits":     {func() (string, error) { return identity.NewDigits(rand.Reader) }, 0, 10, 6},
		"qr":         {func() (string, error) { return identity.NewCode(rand.Reader, identity.QR) }, 3, 32, 28}, // the last symbol has 3 bits
	} {
		counts := make([]map[byte]int, c.length)
		for i := range counts {
			counts[i] = map[byte]int{}
		}
		for range draws {
			code, err := c.draw()
			if err != nil {
				t.Fatal(err)
			}
			for i := range counts {
				counts[i][code[i]]++
			}
		}
		for i := c.skip; i < c.length; i++ {
			if len(counts[i]) != c.symbols {
				t.Fatalf("%s: %d symbols at place %d, want %d", name, len(counts[i]), i, c.symbols)
			}
			want := float64(draws) / float64(c.symbols)
			for symbol, n := range counts[i] {
				if math.Abs(float64(n)-want) > 6*math.Sqrt(want) { // 6 sigma: once in 10^8 places
					t.Errorf("%s: %q at place %d came %d times, want about %.0f", name, symbol, i, n, want)
				}
			}
		}
	}
}

func TestAShortCodeHasNoSymbolsThatLookAlike(t *testing.T) {
	t.Parallel()
	for range 2000 {
		code, err := identity.NewCode(rand.Reader, identity.ShortCode)
		if err != nil {
			t.Fatal(err)
		}
		if len(code) != identity.ShortCodeLength || strings.ContainsAny(code, "01OIL") || code != strings.ToUpper(code) {
			t.Fatalf("code %q", code)
		}
	}
}

func TestWithoutRandomnessThereIsNoCode(t *testing.T) {
	t.Parallel()
	dry := iotest.ErrReader(errors.New("dry"))
	for _, kind := range []identity.CredentialType{identity.QR, identity.ShortCode, identity.Phone} {
		if code, err := identity.NewCode(dry, kind); err == nil {
			t.Errorf("%s without randomness: %q", kind, code)
		}
	}
	if _, _, err := proofs.New(dry, begun()); err == nil {
		t.Error("a proof without randomness")
	}
}

func TestTheHashOfAShortCodeDependsOnTheTenant(t *testing.T) {
	t.Parallel()
	other := tenant
	other.No = 8
	short := identity.Credential{Type: identity.ShortCode, Value: "7KX3Q"}
	lower := identity.Credential{Type: identity.ShortCode, Value: " 7kx3q"}
	nonce := identity.Credential{Type: identity.QR, Value: "7KX3Q"}
	h := identity.HashCode(tenant, short)
	if len(h) != 32 || bytes.Equal(h, identity.HashCode(other, short)) || bytes.Equal(h, identity.HashCode(tenant, nonce)) {
		t.Error("the hash is not of this tenant and kind")
	}
	if !bytes.Equal(h, identity.HashCode(tenant, lower)) {
		t.Error("a code that is keyed in small letters is another one")
	}
}

func TestATokenSaysWhatWasSigned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := begun()
		e.Issue = rapid.IntRange(1, 1000).Draw(t, "issue")
		e.ExpiresAt = now.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "seconds")) * time.Second)
		token := proofs.Token(e)
		if strings.ContainsAny(token, "/+= ?&%#") {
			t.Fatalf("%q must be escaped in a URL", token)
		}
		ticket, err := proofs.Open(tenant, token)
		if err != nil || ticket.EnrollmentID != e.ID || ticket.Issue != e.Issue || !ticket.ExpiresAt.Equal(e.ExpiresAt) {
			t.Fatalf("ticket %+v, %v", ticket, err)
		}
		other := tenant
		other.No++
		if _, err := proofs.Open(other, token); !errors.Is(err, identity.ErrToken) {
			t.Fatalf("another merchant opens it: %v", err)
		}
		if _, err := (identity.Proofs{Key: []byte("another key")}).Open(tenant, token); !errors.Is(err, identity.ErrToken) {
			t.Fatalf("another key opens it: %v", err)
		}
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		changed := []byte(token)
		changed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if _, err := proofs.Open(tenant, string(changed)); !errors.Is(err, identity.ErrToken) {
			t.Fatalf("changed at %d it still opens: %v", at, err)
		}
	})
}

// FuzzOpen shows that no token panics and that none opens but those signed here.
func FuzzOpen(f *testing.F) {
	valid := proofs.Token(begun())
	for _, seed := range []string{valid, valid + "=", valid + "\n", valid[1:], "", ".", "...", "enr_1.1.1.", "enr_1.-1.99999999999999999999.AAAA", "\x00.\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if ticket, err := proofs.Open(tenant, token); err == nil && proofs.Token(identity.Enrollment{
			ID: ticket.EnrollmentID, Tenant: tenant, Issue: ticket.Issue, ExpiresAt: ticket.ExpiresAt,
		}) != token {
			t.Fatalf("%q opens as %+v", token, ticket)
		}
	})
}

func TestACodeHoldsForItsIssueOnly(t *testing.T) {
	t.Parallel()
	e := begun()
	p, hash, err := proofs.New(rand.Reader, e)
	if err != nil {
		t.Fatal(err)
	}
	e.CodeHash = hash
	if _, err := e.Try(proofs.HashCode(e, " "+p.Code+" "), now); err != nil {
		t.Errorf("the code itself: %v", err)
	}
	next, err := e.Resend(now)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(proofs.HashCode(next, p.Code), hash) {
		t.Error("the hash does not depend on the issue")
	}
}

// TestAnEnrolmentIsOneWay drives an enrolment at random: VERIFIED is final,
// attempts and resends never rise, and no more codes are judged than allowed.
func TestAnEnrolmentIsOneWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, at, judged, sent := begun(), now, 0, 0
		e.CodeHash = []byte("right")
		verified := false
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if e.AttemptsLeft < 0 || e.AttemptsLeft > 5 || e.ResendsLeft < 0 || e.ResendsLeft > 5 || judged > 5 || sent > 5 {
					t.Fatalf("%+v after %d judged, %d sent", e, judged, sent)
				}
				if verified != (e.State == identity.Verified) {
					t.Fatalf("state %s", e.State)
				}
			},
			"wait": func(t *rapid.T) { at = at.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "s")) * time.Second) },
			"wrong": func(t *rapid.T) {
				next, err := e.Try([]byte("wrong"), at)
				if err == nil {
					t.Fatal("a wrong code is right")
				}
				if fault.Is(err, fault.CodeVerificationFailed) {
					judged++
				} else if next.AttemptsLeft != e.AttemptsLeft {
					t.Fatal("an attempt was counted that was not judged")
				}
				e = next
			},
			"right": func(t *rapid.T) {
				next, err := e.Try([]byte("right"), at)
				if open := e.Live(at) && e.AttemptsLeft > 0; open != (err == nil) {
					t.Fatalf("a right code: %v with %+v", err, e)
				}
				if err == nil && rapid.IntRange(0, 3).Draw(t, "prove") == 0 {
					e, verified = next.Prove(at), true
				}
			},
			"resend": func(t *rapid.T) {
				next, err := e.Resend(at)
				if err != nil {
					if fault.MeaningOf(fault.As(err).Code).Status == 429 && fault.As(err).RetryAfter <= 0 {
						t.Fatalf("no Retry-After: %v", err)
					}
					return
				}
				if next.AttemptsLeft != e.AttemptsLeft || next.Issue != e.Issue+1 || !next.ExpiresAt.Equal(at.Add(identity.ProofTTL)) {
					t.Fatalf("resent %+v", next)
				}
				e, sent = next, sent+1
			},
			"repeat": func(t *rapid.T) {
				if !e.Live(at) {
					return
				}
				next, ok, err := e.Repeat(false, at)
				if err == nil && ok {
					sent++
				}
				if err == nil {
					e = next
				}
			},
		})
	})
}

func TestTheFirstResendIsFreeAndTheNextOnesWait(t *testing.T) {
	t.Parallel()
	e := begun()
	if at := e.NextResendAt(); at == nil || !at.Equal(now) {
		t.Errorf("next resend at %v", at)
	}
	e, err := e.Resend(now)
	if err != nil {
		t.Fatal(err)
	}
	if at := e.NextResendAt(); at == nil || !at.Equal(now.Add(30*time.Second)) {
		t.Errorf("next resend at %v", at)
	}
	if at := e.Prove(now).NextResendAt(); at != nil {
		t.Errorf("a verified enrolment is sent again at %v", at)
	}
}

func TestBadges(t *testing.T) {
	t.Parallel()
	yesterday, long := now.Add(-24*time.Hour), now.Add(-91*24*time.Hour)
	for _, c := range []struct {
		n    int64
		last *time.Time
		want identity.Badge
	}{
		{0, nil, identity.BadgeNew},
		{1, &yesterday, identity.BadgeReturning},
		{9, &yesterday, identity.BadgeReturning},
		{10, &yesterday, identity.BadgeRegular},
		{49, &yesterday, identity.BadgeRegular},
		{50, &yesterday, identity.BadgeVIP},
		{1, &long, identity.BadgeLapsed},
		{500, &long, identity.BadgeLapsed},
	} {
		if got := (identity.Lifetime{Transactions: c.n, LastAt: c.last}).Badge(now); got != c.want {
			t.Errorf("%d purchases, the last at %v: %s, want %s", c.n, c.last, got, c.want)
		}
	}
}

func TestMasksHideTheMiddle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		credential identity.Credential
		want       string
	}{
		{identity.Credential{Type: identity.Phone, Value: "+14155550123"}, "+1********23"},
		{identity.Credential{Type: identity.Phone, Value: "+97433123456"}, "+974******56"},
		{identity.Credential{Type: identity.Phone, Value: "+442079460958"}, "+44********58"},
		{identity.Credential{Type: identity.Phone, Value: "+1234"}, "*****"},
		{identity.Credential{Type: identity.Phone, Value: ""}, ""},
		{identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-customer-77"}, "po***********77"},
		{identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-77"}, "******"},
	} {
		if got := c.credential.Masked(); got != c.want {
			t.Errorf("%s %q shows as %q, want %q", c.credential.Type, c.credential.Value, got, c.want)
		}
	}
	card := identity.Credential{Type: identity.CardFingerprint, Value: "424242******4242"}
	if strings.Contains(card.Stored(), "4242*") || len(card.Stored()) != 64 || !strings.HasPrefix(card.Masked(), "****") {
		t.Errorf("card %q, %q", card.Stored(), card.Masked())
	}
}

func TestOnlyCardsAreOnProbation(t *testing.T) {
	t.Parallel()
	for _, kind := range append(identity.CredentialTypes(), identity.Card) {
		card := kind == identity.CardFingerprint || kind == identity.Card
		if identity.Probationary(kind, identity.PendingProof) != card || identity.Probationary(kind, identity.Verified) {
			t.Errorf("%s: %v before the proof, %v after", kind, identity.Probationary(kind, identity.PendingProof), identity.Probationary(kind, identity.Verified))
		}
	}
}

// FuzzCredential shows that no value panics and that what looks like a card
// number is never kept as it came.
func FuzzCredential(f *testing.F) {
	for _, seed := range []string{"4242424242424242", "fp_1", "", " ", "\xff", strings.Repeat("9", 500)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, kind := range identity.CredentialTypes() {
			c := identity.Credential{Type: kind, Value: value}
			_, _ = c.Validate(), identity.HashCode(tenant, c)
			if masked := c.Masked(); len(value) > 8 && strings.Contains(masked, value) {
				t.Fatalf("%s %q shows as %q", kind, value, masked)
			}
		}
		card := identity.Credential{Type: identity.CardFingerprint, Value: value}
		if len(value) >= 12 && strings.Contains(card.Stored(), value) && !isHex(value) {
			t.Fatalf("%q is stored as %q", value, card.Stored())
		}
	})
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
