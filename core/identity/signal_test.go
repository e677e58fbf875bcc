package identity_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/identity"
)

func known(t identity.CredentialType, customer string, proven bool) identity.Signal {
	return identity.Signal{Type: t, State: identity.SignalKnown, CustomerIDs: []string{customer}, Proven: proven}
}

func colliding(customers ...string) identity.Signal {
	return identity.Signal{Type: identity.CardFingerprint, State: identity.SignalColliding, CustomerIDs: customers}
}

func TestRule3SignalsAreWeighedTogether(t *testing.T) {
	t.Parallel()
	phone, code := known(identity.Phone, "a", true), known(identity.QR, "a", true)
	for _, c := range []struct {
		name    string
		signals []identity.Signal
		status  identity.VerdictStatus
		who     string
		low, hi int
	}{
		{"nothing known", []identity.Signal{{Type: identity.Phone, State: identity.SignalUnknown}}, identity.VerdictNotFound, "", 0, 0},
		{"a verified phone", []identity.Signal{phone}, identity.VerdictResolved, "a", 10000, 10000},
		{"an unproven phone", []identity.Signal{known(identity.Phone, "a", false)}, identity.VerdictResolved, "a", 6000, 6000},
		{"an unproven phone and the till's id", []identity.Signal{known(identity.Phone, "a", false), known(identity.ProviderCustomerID, "a", false)}, identity.VerdictResolved, "a", 9600, 9600},
		{"a probationary card alone", []identity.Signal{known(identity.CardFingerprint, "a", false)}, identity.VerdictResolved, "a", 3000, 3000},
		{"rule 4: a probationary card against a phone", []identity.Signal{phone, known(identity.CardFingerprint, "b", false)}, identity.VerdictResolved, "a", 8500, 8500},
		{"rule 5: a collision beside a phone", []identity.Signal{phone, colliding("a", "b")}, identity.VerdictResolved, "a", 9000, 9000},
		{"rule 5: a collision alone", []identity.Signal{colliding("a", "b")}, identity.VerdictConflict, "", 0, 0},
		{"a code against a phone", []identity.Signal{phone, known(identity.QR, "b", true)}, identity.VerdictConflict, "", 0, 0},
		{"two probationary cards", []identity.Signal{known(identity.CardFingerprint, "a", false), known(identity.CardFingerprint, "b", false)}, identity.VerdictConflict, "", 0, 0},
		{"a code and a phone agree", []identity.Signal{phone, code}, identity.VerdictResolved, "a", 10000, 10000},
	} {
		v := identity.Weigh(c.signals)
		if v.Status != c.status || v.CustomerID != c.who || v.ConfidenceBP < c.low || v.ConfidenceBP > c.hi || v.Rule == "" || v.Summary == "" {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// Rules 4 and 5: whatever else is said, a verified phone is never outweighed, a
// conflict names who disagrees, and order means nothing.
func TestRules4And5NothingOutweighsAVerifiedPhone(t *testing.T) {
	t.Parallel()
	signal := rapid.Custom(func(t *rapid.T) identity.Signal {
		who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "who")
		switch s := rapid.SampledFrom([]identity.SignalState{identity.SignalKnown, identity.SignalColliding, identity.SignalUnknown, identity.SignalUsed}).Draw(t, "state"); s {
		case identity.SignalKnown:
			return known(rapid.SampledFrom(identity.CredentialTypes()).Draw(t, "type"), who, rapid.Bool().Draw(t, "proven"))
		case identity.SignalColliding:
			return colliding(who, who+"2")
		default:
			return identity.Signal{Type: identity.QR, State: s}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		signals := append(rapid.SliceOfN(signal, 0, 6).Draw(t, "signals"), known(identity.Phone, "a", true))
		v := identity.Weigh(signals)
		if v.Status == identity.VerdictNotFound || v.Status == identity.VerdictResolved && v.CustomerID != "a" {
			t.Fatalf("%+v of %+v", v, signals)
		}
		if (v.Status == identity.VerdictResolved) != (v.ConfidenceBP > 0) || v.ConfidenceBP > 10000 || v.Probationary {
			t.Fatalf("confidence %+v", v)
		}
		turned := append([]identity.Signal(nil), signals...)
		for i, j := 0, len(turned)-1; i < j; i, j = i+1, j-1 {
			turned[i], turned[j] = turned[j], turned[i]
		}
		w := identity.Weigh(turned)
		if w.Status != v.Status || w.CustomerID != v.CustomerID || max(w.ConfidenceBP-v.ConfidenceBP, v.ConfidenceBP-w.ConfidenceBP) > len(signals) {
			t.Fatalf("in another order %+v, was %+v", w, v)
		}
		for i, s := range signals {
			against := s.State == identity.SignalKnown && v.CustomerID != "" && s.CustomerIDs[0] != v.CustomerID
			if against != (v.Conflicting[i] && s.State == identity.SignalKnown && v.CustomerID != "") {
				t.Fatalf("signal %d of %+v: %+v", i, signals, v)
			}
		}
	})
}
