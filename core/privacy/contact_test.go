package privacy_test

import (
	"strings"
	"testing"

	"github.com/feddi/feddi/core/privacy"
)

func TestContacts(t *testing.T) {
	t.Parallel()
	for text, holds := range map[string]bool{
		`{"to": "ada@example.com"}`: true, "call +44 (20) 7946-0123": true, "+14155550123": true, "mail:a.b+c@x.example.org;": true,
		"pi_3QzR8c2eZvKYlo2C": false, "2026-06-12T08:00:00+02:00": false, "+5 to go": false, "@home": false, "a@b": false, "14155550123": false, "": false,
	} {
		if got := privacy.HoldsContact([]byte(text)); got != holds {
			t.Errorf("%q: %v", text, got)
		}
		kept := privacy.Opaque(text)
		if holds == (kept == text) || privacy.HoldsContact([]byte(kept)) || privacy.Opaque(text) != kept {
			t.Errorf("%q is kept as %q", text, kept)
		}
		if holds && (!strings.HasPrefix(kept, "sha256:") || len(kept) > 128) {
			t.Errorf("%q is kept as %q", text, kept)
		}
	}
}
