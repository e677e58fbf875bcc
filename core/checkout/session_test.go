package checkout_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
)

func TestAttach(t *testing.T) {
	t.Parallel()
	ann, bob := checkout.Identity{CustomerID: "cus_a", CredentialType: "phone"}, checkout.Identity{CustomerID: "cus_b", CredentialType: "qr"}
	annByCard := checkout.Identity{CustomerID: "cus_a", CredentialType: "card_fingerprint", Probationary: true}
	with := func(who checkout.Identity, paid int64) checkout.Session {
		s := open()
		s.CustomerID, s.CredentialType, s.Probationary = who.CustomerID, who.CredentialType, who.Probationary
		s.BasketMinor, s.PaidMinor = paid, paid
		return s
	}
	for _, c := range []struct {
		name    string
		session checkout.Session
		who     checkout.Identity
		holds   bool
		want    checkout.Identity
		code    fault.Code
	}{
		{"an anonymous session merges", open(), ann, false, ann, ""},
		{"with what it holds", open(), ann, true, ann, ""},
		{"the same customer again", with(ann, 100), ann, true, ann, ""},
		{"a proven link replaces a probationary one", with(annByCard, 0), ann, true, ann, ""},
		{"a probationary link replaces nothing", with(ann, 0), annByCard, false, ann, ""},
		{"another customer before anything happened", with(ann, 0), bob, false, bob, ""},
		{"another customer after a payment", with(ann, 100), bob, false, ann, fault.CodeStateConflict},
		{"another customer with an offer applied", with(ann, 0), bob, true, ann, fault.CodeStateConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := c.session.Attach(c.who, c.holds, now)
			if c.code != "" && !fault.Is(err, c.code) || c.code == "" && err != nil {
				t.Fatalf("err = %v, want %q", err, c.code)
			}
			if got := (checkout.Identity{CustomerID: s.CustomerID, CredentialType: s.CredentialType, Probationary: s.Probationary}); got != c.want {
				t.Errorf("identity = %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestRevisionConflictNamesTheCurrentOne(t *testing.T) {
	t.Parallel()
	s := open()
	s.BasketRevision = 3
	err := s.Expect(2)
	if !fault.Is(err, fault.CodeRevisionConflict) {
		t.Fatalf("err = %v", err)
	}
	want := "the basket is at revision 3, not 2; read it, decide again and send expected_revision 3"
	if d := fault.As(err).Details[0]; d.Field != "expected_revision" || d.Message != want {
		t.Errorf("detail = %+v", d)
	}
	if err := s.Expect(3); err != nil {
		t.Error(err)
	}
}

func TestABasketBelowWhatIsPaidIsRefused(t *testing.T) {
	t.Parallel()
	s := open()
	s.BasketMinor, s.PaidMinor = 500, 400
	if _, err := s.Put(checkout.Basket{Revision: 1, TotalMinor: 399}, 0); !fault.Is(err, fault.CodeStateConflict) {
		t.Errorf("err = %v", err)
	}
	if _, err := s.Put(checkout.Basket{Revision: 1, TotalMinor: 450}, 51); !fault.Is(err, fault.CodeStateConflict) {
		t.Errorf("err = %v", err)
	}
	if s, err := s.Put(checkout.Basket{Revision: 1, TotalMinor: 450}, 50); err != nil || s.DueMinor() != 0 {
		t.Errorf("due = %d, %v", s.DueMinor(), err)
	}
}

func TestEveryEndIsFinal(t *testing.T) {
	t.Parallel()
	abandoned, err := open().Abandon("price", "", now)
	if err != nil {
		t.Fatal(err)
	}
	late := open()
	late.ExpiresAt = now
	for name, s := range map[string]checkout.Session{
		"closed": open().Close("txn_1", now), "abandoned": abandoned, "expired": open().Expire(), "past its time": late,
	} {
		if err := s.Live(now); !fault.Is(err, fault.CodeSessionEnded) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Attach(checkout.Identity{CustomerID: "cus_a"}, false, now); !fault.Is(err, fault.CodeSessionEnded) {
			t.Errorf("%s: attach: %v", name, err)
		}
		if _, err := s.Abandon("other", "", now); !fault.Is(err, fault.CodeSessionEnded) {
			t.Errorf("%s: abandon: %v", name, err)
		}
	}
}

func TestAPaidSessionIsNotAbandoned(t *testing.T) {
	t.Parallel()
	s := open()
	s.BasketMinor, s.PaidMinor = 100, 1
	if _, err := s.Abandon("price", "", now); !fault.Is(err, fault.CodeStateConflict) {
		t.Errorf("err = %v", err)
	}
}

// TestSessionLife drives a session at random and checks what must hold
// whatever happens.
func TestSessionLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, at := open(), now
		live := func() bool { return s.State == checkout.Open && at.Before(s.ExpiresAt) }
		// take is what a use case does: judge liveness, keep the result of a success.
		take := func(next checkout.Session, err error) {
			if err == nil {
				s = next
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"identify": func(t *rapid.T) {
				who := checkout.Identity{CustomerID: rapid.SampledFrom([]string{"cus_a", "cus_b"}).Draw(t, "who")}
				before := s
				next, err := s.Attach(who, s.DiscountMinor > 0, at)
				if err == nil && before.CustomerID != "" && before.CustomerID != next.CustomerID && (before.PaidMinor > 0 || before.DiscountMinor > 0) {
					t.Fatal("a payment or an offer changed its owner")
				}
				take(next, err)
			},
			"basket": func(t *rapid.T) {
				if !live() {
					t.Skip()
				}
				b, err := drafts().Draw(t, "draft").Price(s, at)
				if err != nil {
					t.Fatal(err)
				}
				take(s.Put(b, rapid.Int64Range(0, b.TotalMinor).Draw(t, "offers")))
			},
			"pay": func(t *rapid.T) {
				if !live() || s.DueMinor() == 0 {
					t.Skip()
				}
				s.PaidMinor += rapid.Int64Range(1, s.DueMinor()).Draw(t, "amount")
			},
			"abandon": func(*rapid.T) { take(s.Abandon("other", "", at)) },
			"close": func(*rapid.T) {
				if live() {
					s = s.Close("txn_1", at)
				}
			},
			"time": func(t *rapid.T) {
				at = at.Add(time.Duration(rapid.IntRange(1, 50).Draw(t, "minutes")) * time.Minute)
			},
			"": func(t *rapid.T) {
				if s.TotalMinor() < 0 || s.DueMinor() < 0 || s.DueMinor() != s.TotalMinor()-s.PaidMinor {
					t.Fatalf("figures: %+v", s)
				}
				if (s.State == checkout.Open) != (s.EndedAt == nil) || (s.State == checkout.Closed) != (s.TransactionID != "") {
					t.Fatalf("end: %+v", s)
				}
				if s.State == checkout.Abandoned && s.PaidMinor > 0 {
					t.Fatal("money was abandoned")
				}
			},
		})
	})
}
