package jwtauth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/jwtauth"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

var now = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// town is a merchant with a terminal, a key, and an authenticator.
type town struct {
	db       *pg.DB
	clock    *clock.Manual
	secret   []byte
	auth     *jwtauth.Authenticator
	raw      string
	key      tenancy.APIKey
	terminal tenancy.Terminal
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{db: pgtest.New(t), clock: clock.NewManual(now), secret: make([]byte, 32)}
	_, _ = rand.Read(w.secret)
	source, s, ctx := ids.New(w.clock), store.New(w.db.Q()), t.Context()
	p := tenancy.Partner{ID: source.Make(ids.Partner), Name: "p", CreatedAt: now}
	must(t, s.AddPartner(ctx, p))
	m, err := s.AddMerchant(ctx, tenancy.Merchant{
		ID: source.Make(ids.Merchant), PartnerID: p.ID, Mode: tenancy.Sandbox, Name: "m", Status: tenancy.MerchantActive,
		Settings: tenancy.DefaultSettings("USD"), CreatedAt: now,
	})
	must(t, err)
	brand := tenancy.Brand{ID: source.Make(ids.Brand), CreatedAt: now}
	branch := tenancy.Branch{ID: source.Make(ids.Branch), BrandID: brand.ID, CreatedAt: now}
	w.terminal = tenancy.Terminal{
		ID: source.Make(ids.Terminal), MerchantID: m.ID, BrandID: brand.ID, BranchID: branch.ID, Status: tenancy.TerminalActive, CreatedAt: now,
	}
	must(t, s.AddBrand(ctx, m.Tenant(), brand))
	must(t, s.AddBranch(ctx, m.Tenant(), branch))
	must(t, s.AddTerminal(ctx, m.Tenant(), w.terminal))
	w.raw, err = tenancy.NewRawKey(rand.Reader, tenancy.Sandbox)
	must(t, err)
	w.key = tenancy.APIKey{
		ID: source.Make(ids.Key), PartnerID: p.ID, Mode: tenancy.Sandbox, Hash: tenancy.HashKey(w.raw), Prefix: tenancy.KeyPrefix(w.raw),
		Scope: tenancy.ScopeEnterprise, Operator: true, Merchants: []string{m.ID}, Status: tenancy.KeyActive, CreatedAt: now,
	}
	must(t, s.AddKey(ctx, w.key))
	w.auth = w.authenticator(t, s)
	return w
}

func (w *town) authenticator(t *testing.T, s tenancy.Credentials) *jwtauth.Authenticator {
	t.Helper()
	a, err := jwtauth.New(jwtauth.Options{
		Signing: []tenancy.SigningKey{{ID: "k1", Secret: w.secret}}, Store: s, Clock: w.clock,
		Modes: []tenancy.Mode{tenancy.Sandbox}, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	return a
}

func (w *town) token(t *testing.T) (string, tenancy.TokenClaims) {
	t.Helper()
	actor, err := w.auth.Key(t.Context(), w.raw)
	must(t, err)
	c := tenancy.NewTokenClaims("tok_1", actor, w.terminal, w.clock.Now())
	token, err := w.auth.Issue(c)
	must(t, err)
	return token, c
}

func TestATokenIsItsKeyNarrowed(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	key, err := w.auth.Key(t.Context(), w.raw)
	must(t, err)
	if key.Kind != tenancy.KeyCall || !key.Operator || key.KeyID != w.key.ID || key.Tenant(w.terminal.MerchantID).No == 0 {
		t.Errorf("key: %+v", key)
	}
	token, claims := w.token(t)
	want := tenancy.Actor{
		Kind: tenancy.TerminalCall, PartnerID: key.PartnerID, Mode: key.Mode, KeyID: key.KeyID, Scope: tenancy.ScopeBranch,
		Merchants: key.Merchants, TenantNos: key.TenantNos, BrandID: w.terminal.BrandID, BranchID: w.terminal.BranchID,
		TerminalID: w.terminal.ID, TokenID: "tok_1", TokenExpires: claims.ExpiresAt,
	}
	for _, memory := range []string{"cold", "warm"} {
		got, err := w.auth.Terminal(t.Context(), token)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", memory, err, diff)
		}
	}
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var told map[string]any
	must(t, json.Unmarshal(raw, &told))
	for _, claim := range []string{"partner_id", "mode", "merchant_id", "brand_id", "branch_id", "terminal_id", "key_id", "jti", "iat", "exp", "iss", "aud", "sub"} {
		if told[claim] == nil {
			t.Errorf("claim %s is missing: %s", claim, raw)
		}
	}
}

// TestForgeries is everything that a token can be but one of ours.
func TestForgeries(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	good, c := w.token(t)
	parts := strings.Split(good, ".")
	claims := jwt.MapClaims{
		"iss": "feddi", "aud": []string{"feddi.partner.v1"}, "sub": c.TerminalID, "jti": c.ID, "iat": c.IssuedAt.Unix(), "exp": c.ExpiresAt.Unix(),
		"key_id": c.KeyID, "partner_id": c.PartnerID, "mode": "sandbox", "merchant_id": c.MerchantID, "brand_id": c.BrandID,
		"branch_id": c.BranchID, "terminal_id": c.TerminalID,
	}
	sign := func(method jwt.SigningMethod, key any, kid any, with jwt.MapClaims) string {
		all := maps.Clone(claims)
		for k, v := range with {
			if v == nil {
				delete(all, k)
			} else {
				all[k] = v
			}
		}
		token := jwt.NewWithClaims(method, all)
		if kid != nil {
			token.Header["kid"] = kid
		}
		s, err := token.SignedString(key)
		must(t, err)
		return s
	}
	ours := func(with jwt.MapClaims) string { return sign(jwt.SigningMethodHS256, w.secret, "k1", with) }
	if _, err := w.auth.Terminal(t.Context(), ours(nil)); err != nil {
		t.Fatalf("the token that the others differ from: %v", err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	altered := func(change func(map[string]any)) string {
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		must(t, err)
		var m map[string]any
		must(t, json.Unmarshal(raw, &m))
		change(m)
		raw, err = json.Marshal(m)
		must(t, err)
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw) + "." + parts[2]
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1","typ":"JWT"}`))
	for name, f := range map[string]struct {
		token string
		code  fault.Code
	}{
		"empty":                       {"", fault.CodeUnauthenticated},
		"no token":                    {"hello", fault.CodeUnauthenticated},
		"two parts":                   {parts[0] + "." + parts[1], fault.CodeUnauthenticated},
		"no signature":                {parts[0] + "." + parts[1] + ".", fault.CodeUnauthenticated},
		"alg none, unsigned":          {none + "." + parts[1] + ".", fault.CodeUnauthenticated},
		"alg none, our signature":     {none + "." + parts[1] + "." + parts[2], fault.CodeUnauthenticated},
		"alg none by the library":     {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", nil), fault.CodeUnauthenticated},
		"another key":                 {sign(jwt.SigningMethodHS256, make([]byte, 32), "k1", nil), fault.CodeUnauthenticated},
		"another method, our key":     {sign(jwt.SigningMethodHS512, w.secret, "k1", nil), fault.CodeUnauthenticated},
		"a public key's signature":    {sign(jwt.SigningMethodEdDSA, private, "k1", nil), fault.CodeUnauthenticated},
		"a public key as a secret":    {sign(jwt.SigningMethodHS256, []byte(public), "k1", nil), fault.CodeUnauthenticated},
		"an unknown kid":              {sign(jwt.SigningMethodHS256, w.secret, "k2", nil), fault.CodeUnauthenticated},
		"no kid":                      {sign(jwt.SigningMethodHS256, w.secret, nil, nil), fault.CodeUnauthenticated},
		"a kid that is no text":       {sign(jwt.SigningMethodHS256, w.secret, 1, nil), fault.CodeUnauthenticated},
		"altered terminal":            {altered(func(m map[string]any) { m["terminal_id"], m["sub"] = "trm_x", "trm_x" }), fault.CodeUnauthenticated},
		"altered expiry":              {altered(func(m map[string]any) { m["exp"] = c.ExpiresAt.Add(time.Hour).Unix() }), fault.CodeUnauthenticated},
		"altered and expired":         {altered(func(m map[string]any) { m["exp"] = c.IssuedAt.Add(-time.Hour).Unix() }), fault.CodeUnauthenticated},
		"altered signature":           {parts[0] + "." + parts[1] + "." + flip(parts[2]), fault.CodeUnauthenticated},
		"padded":                      {good + "==", fault.CodeUnauthenticated},
		"too long":                    {good + strings.Repeat("a", 5000), fault.CodeUnauthenticated},
		"no expiry":                   {ours(jwt.MapClaims{"exp": nil}), fault.CodeUnauthenticated},
		"no id":                       {ours(jwt.MapClaims{"jti": nil}), fault.CodeUnauthenticated},
		"no time of issue":            {ours(jwt.MapClaims{"iat": nil}), fault.CodeUnauthenticated},
		"another issuer":              {ours(jwt.MapClaims{"iss": "someone"}), fault.CodeUnauthenticated},
		"another audience":            {ours(jwt.MapClaims{"aud": "feddi.actuator.v1"}), fault.CodeUnauthenticated},
		"another subject":             {ours(jwt.MapClaims{"sub": "trm_x"}), fault.CodeUnauthenticated},
		"another mode":                {ours(jwt.MapClaims{"mode": "production"}), fault.CodeUnauthenticated},
		"expired":                     {ours(jwt.MapClaims{"exp": now.Unix()}), fault.CodeTokenExpired},
		"an unknown key":              {ours(jwt.MapClaims{"key_id": "key_x"}), fault.CodeTokenRevoked},
		"another partner":             {ours(jwt.MapClaims{"partner_id": "par_x"}), fault.CodeTokenRevoked},
		"a merchant not the key's":    {ours(jwt.MapClaims{"merchant_id": "mer_x"}), fault.CodeTokenRevoked},
		"a branch not the terminal's": {ours(jwt.MapClaims{"branch_id": "brn_x"}), fault.CodeTokenRevoked},
		"an unknown terminal":         {ours(jwt.MapClaims{"terminal_id": "trm_x", "sub": "trm_x"}), fault.CodeTokenRevoked},
	} {
		if actor, err := w.auth.Terminal(t.Context(), f.token); !fault.Is(err, f.code) || actor.Kind != "" {
			t.Errorf("%s: %v, %v; want %s", name, actor, err, f.code)
		}
	}
}

// flip changes one bit in the middle of a base64 text.
func flip(s string) string {
	b := []byte(s)
	if b[10] == 'A' {
		b[10] = 'B'
	} else {
		b[10] = 'A'
	}
	return string(b)
}

func TestWhatIsNoKeyIsNotAskedFor(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	asked := &counted{Credentials: store.New(w.db.Q())}
	a := w.authenticator(t, asked)
	for _, raw := range []string{"", "hello", "fddi_test_short", strings.ToUpper(w.raw), w.raw + "x", "fddi_live_" + w.raw[10:]} {
		if _, err := a.Key(t.Context(), raw); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if asked.count() != 0 {
		t.Errorf("the database was asked %d times", asked.count())
	}
	wrong := w.raw[:len(w.raw)-1] + "~"
	for range 3 {
		if _, err := a.Key(t.Context(), wrong); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Errorf("a wrong key: %v", err)
		}
	}
	if asked.count() != 1 {
		t.Errorf("the database was asked %d times for one wrong key", asked.count())
	}
}

// counted counts the questions to a store, and can do something between its
// answer and the return of it.
type counted struct {
	tenancy.Credentials
	mu    sync.Mutex
	n     int
	after func()
}

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counted) asked() {
	c.mu.Lock()
	c.n++
	after := c.after
	c.mu.Unlock()
	if after != nil {
		after()
	}
}

func (c *counted) KeyByHash(ctx context.Context, hash [32]byte) (*tenancy.KeyStanding, error) {
	s, err := c.Credentials.KeyByHash(ctx, hash)
	c.asked()
	return s, err
}

func (c *counted) TokenEnded(ctx context.Context, claims tenancy.TokenClaims) (bool, error) {
	ended, err := c.Credentials.TokenEnded(ctx, claims)
	c.asked()
	return ended, err
}

// TestWhatIsReadBeforeARevocationIsNotKeptAfterIt: the read is on its way back
// when the revocation is heard.
func TestWhatIsReadBeforeARevocationIsNotKeptAfterIt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	token, claims := w.token(t)
	db := &counted{Credentials: store.New(w.db.Q())}
	a := w.authenticator(t, db)
	owner := tenancy.Owner{PartnerID: w.key.PartnerID, Mode: tenancy.Sandbox}

	db.after = func() {
		must(t, store.New(w.db.Q()).RevokeToken(t.Context(), owner, claims.ID, now, claims.ExpiresAt))
		a.Changed(tenancy.Change{Kind: tenancy.ChangeToken, ID: claims.ID})
	}
	if _, err := a.Terminal(t.Context(), token); err != nil {
		t.Fatalf("the call that was on its way: %v", err)
	}
	db.after = nil
	if _, err := a.Terminal(t.Context(), token); !fault.Is(err, fault.CodeTokenRevoked) {
		t.Errorf("the next one: %v", err)
	}

	a.Changed(tenancy.Change{Kind: tenancy.ChangeAll})
	db.after = func() {
		_, _, err := store.New(w.db.Q()).RevokeKey(t.Context(), owner, w.key.ID, "", now)
		must(t, err)
		a.Changed(tenancy.Change{Kind: tenancy.ChangeKey, ID: w.key.ID})
	}
	if _, err := a.Key(t.Context(), w.raw); err != nil {
		t.Fatalf("the key that was on its way: %v", err)
	}
	db.after = nil
	if _, err := a.Key(t.Context(), w.raw); !fault.Is(err, fault.CodeAPIKeyRevoked) {
		t.Errorf("the next one: %v", err)
	}
}

// failing is a database that is away.
type failing struct{ tenancy.Credentials }

var errAway = errors.New("away")

func (failing) KeyByHash(context.Context, [32]byte) (*tenancy.KeyStanding, error) {
	return nil, errAway
}
func (failing) Touch(context.Context, map[string]time.Time) error { return errAway }

func TestADatabaseThatIsAwayRefusesNobodyForGood(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	db := &switched{Credentials: failing{store.New(w.db.Q())}}
	a := w.authenticator(t, db)
	if _, err := a.Key(t.Context(), w.raw); !errors.Is(err, errAway) {
		t.Fatalf("away: %v", err)
	}
	db.Credentials = store.New(w.db.Q())
	if _, err := a.Key(t.Context(), w.raw); err != nil {
		t.Fatalf("back: %v", err)
	}
	db.Credentials = failing{}
	if err := a.Flush(t.Context()); !errors.Is(err, errAway) {
		t.Fatalf("flush while away: %v", err)
	}
	db.Credentials = store.New(w.db.Q())
	must(t, a.Flush(t.Context()))
	k, err := store.New(w.db.Q()).Key(t.Context(), tenancy.Owner{PartnerID: w.key.PartnerID, Mode: tenancy.Sandbox}, w.key.ID)
	if err != nil || k.LastUsedAt == nil || !k.LastUsedAt.Equal(now) {
		t.Errorf("the use of while it was away: %v, %v", k.LastUsedAt, err)
	}
}

type switched struct{ tenancy.Credentials }

func TestRunWritesUsesWhenItEnds(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.auth.Run(ctx) }()
	w.token(t)
	stop()
	<-ended
	k, err := store.New(w.db.Q()).Key(t.Context(), tenancy.Owner{PartnerID: w.key.PartnerID, Mode: tenancy.Sandbox}, w.key.ID)
	if err != nil || k.LastUsedAt == nil {
		t.Errorf("last use %v, %v", k.LastUsedAt, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for name, change := range map[string]func(*jwtauth.Options){
		"no signing key":    func(o *jwtauth.Options) { o.Signing = nil },
		"a short one":       func(o *jwtauth.Options) { o.Signing = []tenancy.SigningKey{{ID: "k", Secret: []byte("short")}} },
		"one without an id": func(o *jwtauth.Options) { o.Signing = []tenancy.SigningKey{{Secret: w.secret}} },
		"no store":          func(o *jwtauth.Options) { o.Store = nil },
		"no modes":          func(o *jwtauth.Options) { o.Modes = nil },
	} {
		o := w.auth.Options
		change(&o)
		if _, err := jwtauth.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestAnyBitMatters: no token with a changed byte is taken.
func TestAnyBitMatters(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	token, _ := w.token(t)
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(token)
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if actor, err := w.auth.Terminal(context.Background(), string(b)); err == nil {
			t.Fatalf("%q was taken as %+v", b, actor)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
