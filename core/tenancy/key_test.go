package tenancy_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

func TestRawKeys(t *testing.T) {
	t.Parallel()
	for mode, mark := range map[tenancy.Mode]string{tenancy.Sandbox: "fddi_test_", tenancy.Production: "fddi_live_"} {
		seen := map[string]bool{}
		for range 100 {
			raw, err := tenancy.NewRawKey(rand.Reader, mode)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := tenancy.ModeOfKey(raw)
			if !strings.HasPrefix(raw, mark) || !ok || got != mode || seen[raw] {
				t.Fatalf("raw key %q: mode %s, %v", raw, got, ok)
			}
			if prefix := tenancy.KeyPrefix(raw); len(prefix) != 14 || !strings.HasPrefix(raw, prefix) {
				t.Fatalf("prefix %q", prefix)
			}
			seen[raw] = true
		}
	}
	if _, err := tenancy.NewRawKey(bytes.NewReader([]byte("too little randomness")), tenancy.Sandbox); err == nil {
		t.Error("made a key of too little randomness")
	}
}

func TestRawKeysKeepEveryBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOfN(rapid.Byte(), 32, 32)
		a, b := bits.Draw(t, "a"), bits.Draw(t, "b")
		x, errX := tenancy.NewRawKey(bytes.NewReader(a), tenancy.Sandbox)
		y, errY := tenancy.NewRawKey(bytes.NewReader(b), tenancy.Sandbox)
		if errX != nil || errY != nil || (x == y) != bytes.Equal(a, b) || len(x) != len(y) {
			t.Fatalf("%x -> %s, %x -> %s", a, x, b, y)
		}
	})
}

func TestWhatIsNoKey(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "fddi_test_", "fddi_test_short", "sk_live_" + strings.Repeat("a", 43), "FDDI_TEST_" + strings.Repeat("a", 43), "fddi_live_" + strings.Repeat("a", 44)} {
		if _, ok := tenancy.ModeOfKey(raw); ok {
			t.Errorf("%q counts as a key", raw)
		}
		if got := tenancy.KeyPrefix(raw); !strings.HasPrefix(raw, got) || len(got) > 14 {
			t.Errorf("prefix of %q = %q", raw, got)
		}
	}
}

func TestScopeAndPlaceFitTogether(t *testing.T) {
	t.Parallel()
	m, two := []string{"m"}, []string{"m", "n"}
	for _, c := range []struct {
		scope         tenancy.Scope
		merchants     []string
		brand, branch string
		field         string // at fault, empty where none
	}{
		{tenancy.ScopePlatform, nil, "", "", ""},
		{tenancy.ScopePlatform, m, "", "", "context.merchant_id"},
		{tenancy.ScopePlatform, nil, "b", "", "brand_id"},
		{tenancy.ScopeEnterprise, m, "", "", ""},
		{tenancy.ScopeEnterprise, two, "", "", ""},
		{tenancy.ScopeEnterprise, nil, "", "", "context.merchant_id"},
		{tenancy.ScopeEnterprise, m, "b", "", "brand_id"},
		{tenancy.ScopeEnterprise, m, "b", "r", "branch_id"},
		{tenancy.ScopeBrand, m, "b", "", ""},
		{tenancy.ScopeBrand, m, "", "", "brand_id"},
		{tenancy.ScopeBrand, two, "b", "", "brand_id"},
		{tenancy.ScopeBrand, m, "b", "r", "branch_id"},
		{tenancy.ScopeBranch, m, "b", "r", ""},
		{tenancy.ScopeBranch, m, "b", "", "branch_id"},
		{"galaxy", m, "", "", "scope"},
	} {
		err := tenancy.APIKey{Scope: c.scope, Merchants: c.merchants, BrandID: c.brand, BranchID: c.branch}.Validate()
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.field != "" && (!fault.Is(err, fault.CodeValidationFailed) || fault.As(err).Details[0].Field != c.field):
			t.Errorf("%+v: %v, want %s at fault", c, err, c.field)
		}
	}
}

func TestTokensLastTenMinutes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 999_000_000, time.UTC)
	c := tenancy.NewTokenClaims("tok_1", tenancy.Actor{KeyID: "key_1"}, tenancy.Terminal{ID: "trm_1"}, now)
	if c.IssuedAt.Nanosecond() != 0 || c.ExpiresAt.Sub(c.IssuedAt) != 600*time.Second || now.Sub(c.IssuedAt) >= time.Second {
		t.Errorf("issued %v, expires %v", c.IssuedAt, c.ExpiresAt)
	}
	for left, want := range map[time.Duration]int{600 * time.Second: 600, 599*time.Second + 1: 600, time.Second: 1, time.Millisecond: 1} {
		if got := tenancy.TokenLeft(c.ExpiresAt, c.ExpiresAt.Add(-left)); got != want {
			t.Errorf("%v before its end: %d s left, want %d", left, got, want)
		}
	}
}

func TestDefaultSettings(t *testing.T) {
	t.Parallel()
	s := tenancy.DefaultSettings("QAR")
	if s.Currencies[0] != "QAR" || s.CashbackBP != 500 || s.ClaimGate != tenancy.GateOnVerification || s.CodeTTLMinutes != 10 ||
		s.SessionTTLMinutes != 60 || s.TimeZone != "UTC" || s.Country != "US" || len(s.CredentialTypes) != 5 || s.TerminalMayMint {
		t.Errorf("%+v", s)
	}
}

func TestCurrencies(t *testing.T) {
	t.Parallel()
	for _, c := range tenancy.Currencies() {
		if !money.Currency(c).Valid() || !tenancy.KnownCurrency(c) {
			t.Errorf("%q is listed", c)
		}
	}
	for _, c := range []string{"", "XXX", "usd", "USD EUR", "US", "ZZZ"} {
		if tenancy.KnownCurrency(c) {
			t.Errorf("%q is known", c)
		}
	}
}
