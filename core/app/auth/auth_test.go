package auth_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/jwtauth"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/pg"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

func TestARawKeyIsShownOnceAndNeverListed(t *testing.T) { // rule 48
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	made := s.post("/auth/keys", b.key, b.merchant, object{"name": "Counter", "scope": "branch", "branch_id": b.branch}).want(http.StatusCreated, "")
	raw := made.str("raw_key")
	if !strings.HasPrefix(raw, "fddi_test_") || made.str("key.prefix") != raw[:14] || made.str("key.brand_id") != b.brand ||
		made.str("key.merchant_id") != b.merchant || made.str("key.mode") != "sandbox" || made.str("key.integration_id") != b.partner {
		t.Errorf("made %s", made.Body)
	}
	s.get("/capabilities", raw).want(http.StatusOK, "")
	list := s.get("/auth/keys", b.key).want(http.StatusOK, "")
	if strings.Contains(list.Body, raw[14:]) || strings.Contains(list.Body, b.key[14:]) || strings.Contains(list.Body, "raw_key") {
		t.Errorf("the list shows a secret: %s", list.Body)
	}
	if keys, _ := list.Data["keys"].([]any); len(keys) != 2 {
		t.Errorf("%d keys listed, want 2: %s", len(keys), list.Body)
	}
}

func TestRevokeRegenerateDelete(t *testing.T) { // rule 49
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	provision := func() (raw, id string) {
		a := s.post("/auth/keys", b.key, b.merchant, object{"name": "Till", "scope": "branch", "branch_id": b.branch}).want(http.StatusCreated, "")
		return a.str("raw_key"), a.str("key.key_id")
	}
	listed := func(id string) object {
		keys, _ := s.get("/auth/keys", b.key).want(http.StatusOK, "").Data["keys"].([]any)
		for _, k := range keys {
			if k, _ := k.(object); k["key_id"] == id {
				return k
			}
		}
		return nil
	}

	raw, id := provision()
	first := s.post("/auth/keys/"+id+"/revoke", b.key, b.merchant, nil).want(http.StatusOK, "")
	s.get("/capabilities", raw).want(http.StatusUnauthorized, "API_KEY_REVOKED")
	s.city.clock.Advance(time.Minute)
	again := s.post("/auth/keys/"+id+"/revoke", b.key, b.merchant, nil).want(http.StatusOK, "")
	if diff := cmp.Diff(first.Data, again.Data); diff != "" {
		t.Errorf("revoking twice changed it:\n%s", diff)
	}
	if k := listed(id); k["status"] != "revoked" || k["revoked_at"] == nil {
		t.Errorf("a revoked key is listed as %v", k)
	}
	s.post("/auth/keys/"+id+"/regenerate", b.key, b.merchant, nil).want(http.StatusConflict, "STATE_CONFLICT")

	raw, id = provision()
	next := s.post("/auth/keys/"+id+"/regenerate", b.key, b.merchant, nil).want(http.StatusOK, "")
	s.get("/capabilities", raw).want(http.StatusUnauthorized, "API_KEY_REVOKED")
	s.get("/capabilities", next.str("raw_key")).want(http.StatusOK, "")
	old, fresh := listed(id), listed(next.str("key.key_id"))
	for _, same := range []string{"name", "scope", "operator", "merchant_id", "brand_id", "branch_id", "mode"} {
		if old[same] != fresh[same] {
			t.Errorf("%s: %v became %v", same, old[same], fresh[same])
		}
	}
	if old["replaced_by_key_id"] != fresh["key_id"] || next.str("revoked_key_id") != id || next.str("raw_key") == raw {
		t.Errorf("regenerated: %s", next.Body)
	}

	s.post("/auth/keys/"+next.str("key.key_id")+"/delete", b.key, b.merchant, nil).want(http.StatusOK, "")
	s.get("/capabilities", next.str("raw_key")).want(http.StatusUnauthorized, "UNAUTHENTICATED")
	if k := listed(next.str("key.key_id")); k != nil {
		t.Errorf("a deleted key is listed as %v", k)
	}
	s.post("/auth/keys/"+next.str("key.key_id")+"/delete", b.key, b.merchant, nil).want(http.StatusNotFound, "NOT_FOUND")
}

func TestATokenLivesTenMinutes(t *testing.T) { // rule 50
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	a := s.post("/auth/token", b.key, b.merchant, object{"terminal_id": b.terminal}).want(http.StatusOK, "")
	if diff := cmp.Diff(object{"merchant_id": b.merchant, "brand_id": b.brand, "branch_id": b.branch, "terminal_id": b.terminal}, a.Data["scope"]); diff != "" {
		t.Errorf("scope (-want +got):\n%s", diff)
	}
	if a.str("token_type") != "Bearer" || a.Data["expires_in"] != 600.0 {
		t.Errorf("token %s", a.Body)
	}
	token := a.str("token")
	for _, step := range []struct {
		pass time.Duration
		left float64
	}{{0, 600}, {100 * time.Second, 500}, {499*time.Second + 500*time.Millisecond, 1}} {
		s.city.clock.Advance(step.pass)
		if v := s.get("/auth/token/validate", token).want(http.StatusOK, ""); v.Data["expires_in"] != step.left || v.Data["valid"] != true {
			t.Errorf("after %v: %s", step.pass, v.Body)
		}
	}
	s.city.clock.Advance(500 * time.Millisecond)
	for range 2 { // from memory, and verified anew
		s.get("/auth/token/validate", token).want(http.StatusUnauthorized, "TOKEN_EXPIRED")
	}
}

// TestScopes is the matrix of what a key may provision and for which terminals
// it may get tokens.
func TestScopes(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	other := c.grow(b)
	foreign := s.sandbox()
	provision := func(key, scope, brand, branch string) answer {
		fields := object{"scope": scope}
		if brand != "" {
			fields["brand_id"] = brand
		}
		if branch != "" {
			fields["branch_id"] = branch
		}
		return s.post("/auth/keys", key, b.merchant, fields)
	}
	keys := map[string]string{
		"enterprise": b.key,
		"brand":      provision(b.key, "brand", b.brand, "").want(http.StatusCreated, "").str("raw_key"),
		"branch":     provision(b.key, "branch", "", b.branch).want(http.StatusCreated, "").str("raw_key"),
	}
	const created, forbidden, unknown, invalid = "", "SCOPE_INSUFFICIENT", "NOT_FOUND", "VALIDATION_FAILED"
	for _, row := range []struct {
		scope, brand, branch string
		want                 map[string]string
	}{
		{"platform", "", "", map[string]string{"enterprise": forbidden, "brand": forbidden, "branch": forbidden}},
		{"enterprise", "", "", map[string]string{"enterprise": created, "brand": forbidden, "branch": forbidden}},
		{"enterprise", b.brand, "", map[string]string{"enterprise": invalid, "brand": invalid, "branch": invalid}},
		{"brand", b.brand, "", map[string]string{"enterprise": created, "brand": created, "branch": forbidden}},
		{"brand", "", "", map[string]string{"enterprise": invalid, "brand": created, "branch": forbidden}},
		{"brand", other.brand, "", map[string]string{"enterprise": created, "brand": forbidden, "branch": forbidden}},
		{"brand", foreign.brand, "", map[string]string{"enterprise": unknown, "brand": unknown, "branch": unknown}},
		{"branch", "", b.branch, map[string]string{"enterprise": created, "brand": created, "branch": created}},
		{"branch", "", "", map[string]string{"enterprise": invalid, "brand": invalid, "branch": created}},
		{"branch", b.brand, b.branch, map[string]string{"enterprise": created, "brand": created, "branch": created}},
		{"branch", other.brand, b.branch, map[string]string{"enterprise": unknown, "brand": unknown, "branch": unknown}},
		{"branch", other.brand, other.branch, map[string]string{"enterprise": created, "brand": forbidden, "branch": forbidden}},
		{"branch", "", foreign.branch, map[string]string{"enterprise": unknown, "brand": unknown, "branch": unknown}},
	} {
		for holder, want := range row.want {
			a := provision(keys[holder], row.scope, row.brand, row.branch)
			if a.Error.Code != want || a.OK != (want == created) {
				t.Errorf("a %s key asks for %s %s/%s: %d %s, want %q", holder, row.scope, row.brand, row.branch, a.Status, a.Error.Code, want)
			}
		}
	}
	for _, row := range []struct {
		terminal string
		want     map[string]string
	}{
		{b.terminal, map[string]string{"enterprise": "", "brand": "", "branch": ""}},
		{other.terminal, map[string]string{"enterprise": "", "brand": forbidden, "branch": forbidden}},
		{foreign.terminal, map[string]string{"enterprise": unknown, "brand": unknown, "branch": unknown}},
		{"trm_nowhere", map[string]string{"enterprise": unknown, "brand": unknown, "branch": unknown}},
	} {
		for holder, want := range row.want {
			a := s.post("/auth/token", keys[holder], b.merchant, object{"terminal_id": row.terminal})
			if a.Error.Code != want {
				t.Errorf("a %s key exchanged for %s: %d %s, want %q", holder, row.terminal, a.Status, a.Error.Code, want)
			}
		}
	}
	body := envelope(b.merchant, object{"terminal_id": b.terminal})
	body["context"].(object)["branch_id"] = other.branch
	s.request(http.MethodPost, "/auth/token", b.key, body, uuid.NewString()).want(http.StatusNotFound, "NOT_FOUND")
	must(t, store.New(c.db.Q()).SetTerminalStatus(t.Context(), tenantOf(t, c, b), b.terminal, "retired"))
	s.post("/auth/token", b.key, b.merchant, object{"terminal_id": b.terminal}).want(http.StatusConflict, "STATE_CONFLICT")
}

func tenantOf(t *testing.T, c *city, b box) tenancy.Tenant {
	t.Helper()
	m, err := store.NewDirectory(c.db).Merchant(t.Context(), b.merchant)
	must(t, err)
	return m.Tenant()
}

func TestOperatorAuthorityIsGivenAndTouchedByOperatorsOnly(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	plain := s.post("/auth/keys", b.key, b.merchant, object{"scope": "enterprise"}).want(http.StatusCreated, "")
	if plain.Data["key"].(object)["operator"] != false {
		t.Errorf("operator authority was given without being asked for: %s", plain.Body)
	}
	key := plain.str("raw_key")
	s.post("/auth/keys", key, b.merchant, object{"scope": "branch", "branch_id": b.branch, "operator": true}).want(http.StatusForbidden, "OPERATOR_REQUIRED")
	for _, verb := range []string{"revoke", "regenerate", "delete"} {
		s.post("/auth/keys/"+b.keyID+"/"+verb, key, b.merchant, nil).want(http.StatusForbidden, "OPERATOR_REQUIRED")
	}
	s.post("/auth/keys", b.key, b.merchant, object{"scope": "enterprise", "operator": true}).want(http.StatusCreated, "")
	s.post("/auth/keys/"+plain.str("key.key_id")+"/revoke", b.key, b.merchant, nil).want(http.StatusOK, "")
}

func TestOthersKeysAndMerchantsAreOutOfReach(t *testing.T) { // rule 51
	t.Parallel()
	s := newCity(t).start()
	mine, theirs := s.sandbox(), s.sandbox()
	s.post("/auth/keys", mine.key, theirs.merchant, object{"scope": "enterprise"}).want(http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED")
	s.post("/auth/token", mine.key, theirs.merchant, object{"terminal_id": theirs.terminal}).want(http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED")
	s.get("/capabilities?merchant_id="+theirs.merchant, mine.key).want(http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED")
	for _, verb := range []string{"revoke", "regenerate", "delete"} {
		s.post("/auth/keys/"+theirs.keyID+"/"+verb, mine.key, mine.merchant, nil).want(http.StatusNotFound, "NOT_FOUND")
	}
	if list := s.get("/auth/keys", mine.key).want(http.StatusOK, ""); strings.Contains(list.Body, theirs.keyID) {
		t.Errorf("listed another's key: %s", list.Body)
	}
	narrow := s.post("/auth/keys", mine.key, mine.merchant, object{"scope": "branch", "branch_id": mine.branch}).want(http.StatusCreated, "").str("raw_key")
	s.post("/auth/keys/"+mine.keyID+"/revoke", narrow, mine.merchant, nil).want(http.StatusNotFound, "NOT_FOUND")
	if list := s.get("/auth/keys", narrow).want(http.StatusOK, ""); strings.Contains(list.Body, mine.keyID) {
		t.Errorf("a branch key sees a wider one: %s", list.Body)
	}
	token := s.token(mine, mine.key)
	s.get("/auth/keys", token).want(http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.get("/auth/token/validate", mine.key).want(http.StatusForbidden, "SCOPE_INSUFFICIENT")
}

// TestWhatEndsAKeyEndsItsTokens: at once where the call was taken, within a
// second on other servers.
func TestWhatEndsAKeyEndsItsTokens(t *testing.T) {
	t.Parallel()
	for verb, gone := range map[string]string{"revoke": "API_KEY_REVOKED", "regenerate": "API_KEY_REVOKED", "delete": "UNAUTHENTICATED"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			c := newCity(t)
			here, there := c.start(), c.start()
			b := here.sandbox()
			till := here.post("/auth/keys", b.key, b.merchant, object{"scope": "branch", "branch_id": b.branch}).want(http.StatusCreated, "")
			key := till.str("raw_key")
			token := here.token(b, key)
			for _, s := range []*server{here, there} {
				s.get("/auth/token/validate", token).want(http.StatusOK, "")
				s.get("/capabilities", key).want(http.StatusOK, "")
			}
			here.post("/auth/keys/"+till.str("key.key_id")+"/"+verb, b.key, b.merchant, nil).want(http.StatusOK, "")
			here.get("/auth/token/validate", token).want(http.StatusUnauthorized, "TOKEN_REVOKED")
			here.get("/capabilities", key).want(http.StatusUnauthorized, gone)
			took := until(t, "the revocation elsewhere", func() bool {
				c.clock.Advance(10 * time.Millisecond) // for the rate limit
				return there.get("/auth/token/validate", token).Error.Code == "TOKEN_REVOKED"
			})
			if took > time.Second {
				t.Errorf("the other server heard after %v", took)
			}
			there.get("/capabilities", key).want(http.StatusUnauthorized, gone)
		})
	}
}

func TestARevokedTokenAndARetiredTerminalEndElsewhereToo(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	here, there := c.start(), c.start()
	b := here.sandbox()
	other := c.grow(b)
	one, two := here.token(b, b.key), here.token(other, b.key)
	for _, s := range []*server{here, there} {
		s.get("/auth/token/validate", one).want(http.StatusOK, "")
		s.get("/auth/token/validate", two).want(http.StatusOK, "")
	}
	actor, err := here.auth.Terminal(t.Context(), one)
	must(t, err)
	must(t, store.New(c.db.Q()).RevokeToken(t.Context(), tenancy.Owner{PartnerID: b.partner, Mode: tenancy.Sandbox}, actor.TokenID, c.clock.Now(), actor.TokenExpires))
	must(t, store.New(c.db.Q()).SetTerminalStatus(t.Context(), tenantOf(t, c, b), other.terminal, "retired"))
	for _, s := range []*server{here, there} {
		for _, token := range []string{one, two} {
			took := until(t, "the end of a token", func() bool {
				c.clock.Advance(10 * time.Millisecond)
				return s.get("/auth/token/validate", token).Error.Code == "TOKEN_REVOKED"
			})
			if took > time.Second {
				t.Errorf("heard after %v", took)
			}
		}
	}
	here.token(b, b.key) // the terminal and the key are good still
}

func TestASuspendedMerchantIsNotActedFor(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	token := s.token(b, b.key)
	s.get("/auth/token/validate", token).want(http.StatusOK, "")
	_, err := c.db.Q().Exec(t.Context(), `UPDATE merchants SET status = 'suspended' WHERE merchant_id = $1`, b.merchant)
	must(t, err)
	until(t, "the suspension", func() bool {
		c.clock.Advance(10 * time.Millisecond)
		return s.get("/auth/token/validate", token).Error.Code == "TOKEN_REVOKED"
	})
	s.post("/auth/token", b.key, b.merchant, object{"terminal_id": b.terminal}).want(http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED")
}

func TestAKnownCredentialCostsNoQuery(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	c.deaf = true // else it may hear only now that the sandbox was made, and forget what it knows
	s := c.start()
	b := s.sandbox()
	token := s.token(b, b.key)
	s.get("/auth/token/validate", token).want(http.StatusOK, "")
	s.get("/capabilities", b.key).want(http.StatusOK, "")
	c.db.Close() // a query would fail from here on
	for range 50 {
		s.get("/auth/token/validate", token).want(http.StatusOK, "")
		s.get("/capabilities", b.key).want(http.StatusOK, "")
	}
	s.get("/health", "").want(http.StatusOK, "")
}

func TestARetriedCallGetsTheSameSecret(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	for path, fields := range map[string]object{
		"/auth/keys":         {"scope": "enterprise"},
		"/auth/token":        {"terminal_id": b.terminal},
		"/auth/keys/sandbox": {"currency": "QAR"},
		"/merchants":         provisioned(nil),
	} {
		key, body := uuid.NewString(), envelope(b.merchant, fields)
		first := s.request(http.MethodPost, path, b.key, body, key)
		again := s.request(http.MethodPost, path, b.key, body, key)
		if !first.OK || again.Meta["idempotency_replayed"] != true || first.Status != again.Status {
			t.Fatalf("%s: %s then %s", path, first.Body, again.Body)
		}
		if diff := cmp.Diff(first.Data, again.Data); diff != "" {
			t.Errorf("%s: another answer:\n%s", path, diff)
		}
	}
	spare := s.post("/auth/keys", b.key, b.merchant, object{"scope": "enterprise", "operator": true}).want(http.StatusCreated, "").str("raw_key")
	key, body := uuid.NewString(), envelope(b.merchant, nil)
	first := s.request(http.MethodPost, "/auth/keys/"+b.keyID+"/regenerate", spare, body, key).want(http.StatusOK, "")
	again := s.request(http.MethodPost, "/auth/keys/"+b.keyID+"/regenerate", spare, body, key).want(http.StatusOK, "")
	if diff := cmp.Diff(first.Data, again.Data); diff != "" {
		t.Errorf("regenerate: another answer:\n%s", diff)
	}
}

// TestNoSecretIsStoredInTheClear reads every row of every table.
func TestNoSecretIsStoredInTheClear(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	made := s.post("/auth/keys", b.key, b.merchant, object{"scope": "enterprise", "operator": true}).want(http.StatusCreated, "")
	next := s.post("/auth/keys/"+made.str("key.key_id")+"/regenerate", b.key, b.merchant, nil).want(http.StatusOK, "")
	token := s.token(b, next.str("raw_key"))
	must(t, s.auth.Flush(t.Context()))
	secrets := map[string]string{
		"the sandbox key": b.key[14:], "a provisioned key": made.str("raw_key")[14:], "a regenerated key": next.str("raw_key")[14:],
		"a token": token[strings.LastIndex(token, ".")+1:], "the signing key": string(s.secrets.Signing[0].Secret), "the server key": string(s.secrets.ServerKey),
	}
	tables, err := pg.Many[string](t.Context(), c.db.Q(), `SELECT oid::regclass::text FROM pg_class
		WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace ORDER BY 1`)
	must(t, err)
	if len(tables) < 10 || !slices.Contains(tables, "idempotency") {
		t.Fatalf("looked at %v only", tables)
	}
	rows := 0
	for _, table := range tables {
		// Binary columns show in hex; so both forms of each secret are looked for.
		texts, err := pg.Many[string](t.Context(), c.db.Q(), `SELECT row_to_json(x)::text FROM `+table+` x`)
		must(t, err)
		rows += len(texts)
		for name, secret := range secrets {
			for _, text := range texts {
				if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
					t.Errorf("%s is in table %s: %s", name, table, text)
				}
			}
		}
	}
	if rows < 15 {
		t.Errorf("looked at %d rows only", rows)
	}
}

func TestKeysArePaged(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	want := []string{b.keyID}
	for range 4 {
		s.city.clock.Advance(time.Millisecond)
		want = append([]string{s.post("/auth/keys", b.key, b.merchant, object{"scope": "enterprise"}).want(http.StatusCreated, "").str("key.key_id")}, want...)
	}
	var got []string
	for cursor := ""; ; {
		path := "/auth/keys?limit=2"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		page := s.get(path, b.key).want(http.StatusOK, "")
		keys, _ := page.Data["keys"].([]any)
		for _, k := range keys {
			got = append(got, k.(object)["key_id"].(string))
		}
		// A key made meanwhile neither repeats nor hides another one.
		s.city.clock.Advance(time.Millisecond)
		s.post("/auth/keys", b.key, b.merchant, object{"scope": "enterprise"}).want(http.StatusCreated, "")
		if cursor, _ = page.Meta["next_cursor"].(string); cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	for _, cursor := range []string{"nonsense", "a2V5czo", "b2ZmZXJzOm9mZl8x"} {
		s.get("/auth/keys?cursor="+cursor, b.key).want(http.StatusBadRequest, "CURSOR_INVALID")
	}
	revoked := s.get("/auth/keys?status=revoked", b.key).want(http.StatusOK, "")
	if keys, _ := revoked.Data["keys"].([]any); len(keys) != 0 {
		t.Errorf("revoked keys: %s", revoked.Body)
	}
}

func TestLastUseIsWrittenInTheBackground(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	used := func() any {
		s.city.t.Helper()
		must(t, s.auth.Flush(t.Context()))
		keys, _ := s.get("/auth/keys", b.key).want(http.StatusOK, "").Data["keys"].([]any)
		return keys[0].(object)["last_used_at"]
	}
	if at := used(); at != nil {
		t.Errorf("used before its first use: %v", at)
	}
	first := used()
	if first == nil {
		t.Fatal("the use was not written")
	}
	s.city.clock.Advance(59 * time.Second)
	used()
	if at := used(); at != first {
		t.Errorf("written again within the minute: %v, %v", first, at)
	}
	s.city.clock.Advance(time.Second)
	used()
	if at := used(); at == first {
		t.Error("not written after the minute")
	}
}

func TestSandboxesAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	for range 10 {
		s.post("/auth/keys/sandbox", "", "", nil).want(http.StatusCreated, "")
	}
	if a := s.post("/auth/keys/sandbox", "", "", nil).want(http.StatusTooManyRequests, "RATE_LIMITED"); a.Header.Get("Retry-After") != "6" {
		t.Errorf("Retry-After = %q", a.Header.Get("Retry-After"))
	}
	s.city.clock.Advance(6 * time.Second)
	s.post("/auth/keys/sandbox", "", "", object{"currency": "XXX"}).want(http.StatusBadRequest, "UNSUPPORTED_CURRENCY")
}

func TestAProductionServerRefusesTestKeys(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	token := s.token(b, b.key)
	production, err := jwtauth.New(jwtauth.Options{
		Signing: s.secrets.Signing, Store: store.New(c.db.Q()), Clock: c.clock, Modes: []tenancy.Mode{tenancy.Production}, Log: s.auth.Log,
	})
	must(t, err)
	if _, err := production.Key(t.Context(), b.key); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Errorf("key: %v", err)
	}
	if _, err := production.Terminal(t.Context(), token); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Errorf("token: %v", err)
	}
}

func TestCapabilities(t *testing.T) { // rules 53, 60
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	callable := func(credential string) map[string]bool {
		a := s.get("/capabilities", credential).want(http.StatusOK, "")
		if a.str("mode") != "sandbox" || a.str("integration_id") != b.partner {
			t.Errorf("%s", a.Body)
		}
		out := map[string]bool{}
		ops, _ := a.Data["operations"].([]any)
		for _, op := range ops {
			op, _ := op.(object)
			out[op["operation_id"].(string)] = op["callable"].(bool)
		}
		return out
	}
	want := map[string]bool{
		"createApiKey": true, "listApiKeys": true, "getApiKey": true, "revokeApiKey": true, "regenerateApiKey": true, "deleteApiKey": true,
		"createSandboxCredentials": true, "exchangeTerminalToken": true, "validateTerminalToken": false,
		"revokeTerminalToken": true, "registerTerminal": true, "listTerminals": true, "terminalHeartbeat": false, "provisionMerchant": true,
		"getHealth": true, "getCapabilities": true, "getOpenApiSpec": true,
	}
	if diff := cmp.Diff(want, callable(b.key)); diff != "" {
		t.Errorf("a key (-want +got):\n%s", diff)
	}
	for op := range want {
		want[op] = slices.Contains([]string{"createSandboxCredentials", "validateTerminalToken", "revokeTerminalToken", "terminalHeartbeat", "getHealth", "getCapabilities", "getOpenApiSpec"}, op)
	}
	if diff := cmp.Diff(want, callable(s.token(b, b.key))); diff != "" {
		t.Errorf("a terminal (-want +got):\n%s", diff)
	}
	a := s.get("/capabilities", b.key)
	if diff := cmp.Diff(object{
		"currencies": []any{"USD"}, "merchant_ids": []any{b.merchant}, "api_versions": []any{"2026-06-01"},
		"supported_credential_types": []any{"phone", "card_fingerprint", "short_code", "provider_customer_id", "qr"},
		"feature_flags":              object{"cashback": true, "sandbox_codes": true, "terminal_may_mint": true},
		"actuators": []any{object{
			"name": "wallet", "version": "1.0.0", "state": "degraded", "decision_kinds": []any{"wallet_debit"}, "policy": "required",
		}},
	}, object{
		"currencies": a.Data["currencies"], "merchant_ids": a.Data["merchant_ids"], "api_versions": a.Data["api_versions"],
		"supported_credential_types": a.Data["supported_credential_types"], "feature_flags": a.Data["feature_flags"], "actuators": a.Data["actuators"],
	}); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	s.get("/capabilities", "").want(http.StatusUnauthorized, "UNAUTHENTICATED")
}

func TestHealth(t *testing.T) { // rule 52
	t.Parallel()
	s := newCity(t).start()
	for name, c := range map[string]struct {
		health feddi.Health
		status int
		want   string
	}{
		"all is well":   {feddi.Health{Ready: true}, http.StatusOK, "ok"},
		"one is out":    {feddi.Health{Ready: true, Degraded: []string{"actuator.cashback"}}, http.StatusOK, "degraded"},
		"not ready yet": {feddi.Health{Degraded: []string{"database"}}, http.StatusServiceUnavailable, "degraded"},
		"draining":      {feddi.Health{}, http.StatusServiceUnavailable, "degraded"},
	} {
		s.probe.set(c.health)
		a := s.get("/health", "")
		out, _ := a.Data["degraded_subsystems"].([]any)
		if a.Status != c.status || a.str("status") != c.want || len(out) != len(c.health.Degraded) || a.str("version") != "1.2.3" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	boot := &auth.Bootstrap{UoW: postgres.New(c.db, nil, nil), Clock: c.clock, IDs: c.ids}
	root, err := boot.CreatePlatformKey(t.Context(), auth.PlatformKeyInput{PartnerName: "Acme", Mode: tenancy.Sandbox, Name: "root", Operator: true})
	must(t, err)
	owner := tenancy.Owner{PartnerID: root.Key.PartnerID, Mode: tenancy.Sandbox}
	if a := s.get("/capabilities", root.Raw).want(http.StatusOK, ""); len(a.Data["merchant_ids"].([]any)) != 0 || len(a.Data["currencies"].([]any)) < 100 {
		t.Errorf("before there is a merchant: %s", a.Body)
	}
	in := auth.EnterpriseInput{PartnerID: owner.PartnerID, Mode: tenancy.Sandbox, Name: "Bean House", Settings: tenancy.DefaultSettings("QAR")}
	var made [2]auth.Enterprise
	for i := range made {
		made[i], err = boot.CreateMerchant(t.Context(), in)
		must(t, err)
	}
	took := until(t, "the new merchants", func() bool {
		c.clock.Advance(10 * time.Millisecond)
		return len(s.get("/capabilities", root.Raw).Data["merchant_ids"].([]any)) == 2
	})
	if took > time.Second {
		t.Errorf("heard of the merchants after %v", took)
	}
	s.post("/auth/keys", root.Raw, "", object{"scope": "enterprise"}).want(http.StatusBadRequest, "VALIDATION_FAILED")
	shop := s.post("/auth/keys", root.Raw, made[0].Merchant.ID, object{"scope": "enterprise"}).want(http.StatusCreated, "")
	if shop.str("key.merchant_id") != made[0].Merchant.ID {
		t.Errorf("made %s", shop.Body)
	}
	s.post("/auth/keys", root.Raw, "", object{"scope": "platform"}).want(http.StatusCreated, "")
	s.post("/auth/token", root.Raw, made[1].Merchant.ID, object{"terminal_id": made[1].Terminal.ID}).want(http.StatusOK, "")
	s.post("/auth/token", shop.str("raw_key"), made[1].Merchant.ID, object{"terminal_id": made[1].Terminal.ID}).want(http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED")

	keys, err := boot.ListKeys(t.Context(), owner, 10)
	if err != nil || len(keys) != 3 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	_, err = boot.RevokeKey(t.Context(), owner, root.Key.ID)
	must(t, err)
	until(t, "the end of the platform key", func() bool {
		c.clock.Advance(10 * time.Millisecond)
		return s.get("/capabilities", root.Raw).Error.Code == "API_KEY_REVOKED"
	})

	for name, wrong := range map[string]struct {
		err  error
		code fault.Code
	}{
		"no name":           {second(boot.CreatePlatformKey(t.Context(), auth.PlatformKeyInput{Mode: tenancy.Sandbox})), fault.CodeValidationFailed},
		"no mode":           {second(boot.CreatePlatformKey(t.Context(), auth.PlatformKeyInput{PartnerName: "x"})), fault.CodeValidationFailed},
		"unknown partner":   {second(boot.CreatePlatformKey(t.Context(), auth.PlatformKeyInput{PartnerID: "par_x", Mode: tenancy.Sandbox})), fault.CodeNotFound},
		"unknown currency":  {second(boot.CreateMerchant(t.Context(), change(in, func(i *auth.EnterpriseInput) { i.Settings.Currencies = []string{"XXX"} }))), fault.CodeUnsupportedCurrency},
		"no currency":       {second(boot.CreateMerchant(t.Context(), change(in, func(i *auth.EnterpriseInput) { i.Settings.Currencies = nil }))), fault.CodeValidationFailed},
		"unknown time zone": {second(boot.CreateMerchant(t.Context(), change(in, func(i *auth.EnterpriseInput) { i.Settings.TimeZone = "Mars/Olympus" }))), fault.CodeValidationFailed},
		"nameless":          {second(boot.CreateMerchant(t.Context(), change(in, func(i *auth.EnterpriseInput) { i.Name = "" }))), fault.CodeValidationFailed},
		"nobody's":          {second(boot.CreateMerchant(t.Context(), change(in, func(i *auth.EnterpriseInput) { i.PartnerID = "par_x" }))), fault.CodeNotFound},
		"unknown key":       {second(boot.RevokeKey(t.Context(), owner, "key_x")), fault.CodeNotFound},
	} {
		if !fault.Is(wrong.err, wrong.code) {
			t.Errorf("%s: %v, want %s", name, wrong.err, wrong.code)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func change(in auth.EnterpriseInput, f func(*auth.EnterpriseInput)) auth.EnterpriseInput {
	f(&in)
	return in
}
