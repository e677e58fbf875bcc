package jwtauth_test

import (
	"crypto/rand"
	"log/slog"
	"testing"

	"github.com/feddi/feddi/adapters/jwtauth"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// BenchmarkKnownKey is what an ordinary call pays for its credential.
func BenchmarkKnownKey(b *testing.B) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	clk := clock.NewManual(now)
	s := store.New(pgtest.New(b).Q())
	a, err := jwtauth.New(jwtauth.Options{
		Signing: []tenancy.SigningKey{{ID: "k1", Secret: secret}}, Store: s, Clock: clk,
		Modes: []tenancy.Mode{tenancy.Sandbox}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.AddPartner(b.Context(), tenancy.Partner{ID: "par_1", CreatedAt: now}); err != nil {
		b.Fatal(err)
	}
	raw, _ := tenancy.NewRawKey(rand.Reader, tenancy.Sandbox)
	err = s.AddKey(b.Context(), tenancy.APIKey{
		ID: ids.New(clk).Make(ids.Key), PartnerID: "par_1", Mode: tenancy.Sandbox, Hash: tenancy.HashKey(raw),
		Scope: tenancy.ScopePlatform, Status: tenancy.KeyActive, CreatedAt: now,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Key(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}
