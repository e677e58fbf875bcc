package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// listed is the row of a key in the list, nil where it is not there.
func (s *shop) listed(id string) any {
	s.t.Helper()
	keys, _ := s.expect(s.manage("/auth/keys?limit=200", nil), http.StatusOK).at("data.keys").([]any)
	for _, k := range keys {
		if shape.At(k, "key_id") == id {
			return k
		}
	}
	return nil
}

// A key is shown once, replaced, revoked and deleted; what was made from it
// ends with it at once (rules 48 to 50).
func TestKeyLifecycle(t *testing.T) {
	t.Parallel()
	s := open(t)
	made := s.expect(s.manage("/auth/keys", object{"scope": "branch", "branch_id": s.made.text("data.branch_id"), "name": "till"}), http.StatusCreated)
	s.is(made, "key", `{"raw_key":"$string","key":{"key_id":"$id:key_","scope":"branch","status":"active","branch_id":"`+s.made.text("data.branch_id")+`"}}`)
	key, id := credential{"X-Api-Key", made.text("data.raw_key")}, made.text("data.key.key_id")
	till := s.signIn(key, s.made.text("data.terminal_id"))
	validate := func(till credential) *answer {
		return s.do(request{method: http.MethodGet, path: "/auth/token/validate", as: till})
	}
	s.is(s.expect(validate(till), http.StatusOK), "token", `{"valid":true,"expires_in":"$int","scope":{"terminal_id":"`+s.made.text("data.terminal_id")+`"}}`)
	if left := number(validate(till).at("data.expires_in")); left > 600 || left < 560 {
		t.Errorf("a fresh token has %d s left", left)
	}

	renewed := s.expect(s.manage("/auth/keys/"+id+"/regenerate", object{}), http.StatusOK)
	s.is(renewed, "regenerated", `{"raw_key":"$string","key":{"scope":"branch","status":"active"},"revoked_key_id":"`+id+`"}`)
	balances := request{method: http.MethodGet, path: "/capabilities"}
	by := func(c credential) *answer { r := balances; r.as = c; return s.do(r) }
	s.refused(by(key), http.StatusUnauthorized, "API_KEY_REVOKED")
	s.refused(by(till), http.StatusUnauthorized, "TOKEN_REVOKED")
	next, nextID := credential{"X-Api-Key", renewed.text("data.raw_key")}, renewed.text("data.key.key_id")
	s.expect(by(next), http.StatusOK)

	s.expect(s.manage("/auth/keys/"+nextID+"/revoke", object{}), http.StatusOK)
	s.refused(by(next), http.StatusUnauthorized, "API_KEY_REVOKED")
	want(t, "revoked", `{"status":"revoked","revoked_at":"$time"}`, s.listed(nextID))
	list := s.manage("/auth/keys?limit=200", nil)
	for _, raw := range []string{key.value, next.value, s.key.value} {
		if bytes.Contains(list.Raw, []byte(raw)) {
			t.Errorf("the list shows a raw key: %s", list.Raw)
		}
	}
	s.expect(s.manage("/auth/keys/"+nextID+"/delete", object{}), http.StatusOK)
	s.refused(by(next), http.StatusUnauthorized, "UNAUTHENTICATED")
	if row := s.listed(nextID); row != nil {
		t.Errorf("the deleted key is listed: %v", row)
	}
}

// A key of a branch has its branch's authority and no more.
func TestBranchKeyIsNarrow(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	made := s.expect(s.manage("/auth/keys", object{"scope": "branch", "branch_id": s.ids["branch"]}), http.StatusCreated)
	key := credential{"X-Api-Key", made.text("data.raw_key")}
	by := func(path string, body object) *answer { return s.do(request{path: path, as: key, body: body}) }
	s.refused(by("/grants/"+s.ids["grant"]+"/clawback", object{"reason": "x"}), http.StatusForbidden, "OPERATOR_REQUIRED")
	s.refused(by("/auth/keys", object{"scope": "enterprise"}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(by("/auth/keys", object{"scope": "branch", "branch_id": s.ids["branch"], "operator": true}), http.StatusForbidden, "OPERATOR_REQUIRED")
	if operator, _ := s.listed(made.text("data.key.key_id")).(object)["operator"].(bool); operator {
		t.Error("a key made without asking for it has operator authority")
	}
}

// Where both credentials are sent the token counts, good or bad.
func TestTokenCountsBesideKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	both := func(token string) request {
		return request{method: http.MethodGet, path: "/auth/keys", as: s.key, header: map[string]string{"Authorization": token}}
	}
	s.refused(s.do(both(s.till.value)), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(s.do(both("Bearer x")), http.StatusUnauthorized, "UNAUTHENTICATED")
}

// A token past its 600 seconds is TOKEN_EXPIRED everywhere. The test signs one
// of the past with the server's own key: nobody waits ten minutes.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	s := open(t)
	old := credential{"Authorization", "Bearer " + aged(t, strings.TrimPrefix(s.till.value, "Bearer "), 601*time.Second)}
	for _, r := range []request{
		{method: http.MethodGet, path: "/auth/token/validate", as: old}, s.as("/payments", object{}), s.as("/checkout/sessions", object{"currency": "USD"}),
	} {
		r.as = old
		s.refused(s.do(r), http.StatusUnauthorized, "TOKEN_EXPIRED")
	}
	// Signed the same way and not yet over, it is good: the age is what ended it.
	young := credential{"Authorization", "Bearer " + aged(t, strings.TrimPrefix(s.till.value, "Bearer "), 500*time.Second)}
	a := s.expect(s.do(request{method: http.MethodGet, path: "/auth/token/validate", as: young}), http.StatusOK)
	if left := number(a.at("data.expires_in")); left > 100 || left < 60 {
		t.Errorf("a token of 500 s has %d s left", left)
	}
}

// aged is a token as it would be had it been issued that much earlier.
func aged(t *testing.T, token string, by time.Duration) string {
	t.Helper()
	db, err := pg.Connect(t.Context(), system.dsn, pg.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	master, err := os.ReadFile(filepath.Join(system.dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := tenancy.OpenSecrets(t.Context(), db, master, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return secrets.Signing[0].Secret, nil }, jwt.WithJSONNumber())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iat", "nbf", "exp"} {
		if at, ok := claims[name]; ok {
			claims[name] = number(at) - int64(by.Seconds())
		}
	}
	moved := jwt.NewWithClaims(parsed.Method, claims)
	moved.Header = parsed.Header
	signed, err := moved.SignedString(secrets.Signing[0].Secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Amounts that are fine one by one and not together are refused, never wrapped
// around.
func TestSumsOverflow(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	const most = 1_000_000_000_000
	id := s.session()
	basket := func(lines ...object) *answer {
		return s.post("/checkout/sessions/"+id+"/basket", object{"expected_revision": 0, "lines": lines})
	}
	line := func(id string, quantity, price int64) object {
		return object{"line_id": id, "sku": "X", "quantity": quantity, "unit_price_minor": price}
	}
	for what, a := range map[string]*answer{
		"one line": basket(line("1", 100000, most)), "two lines": basket(line("1", 1, most), line("2", 1, most)),
		"a discount beyond the price": basket(object{"line_id": "1", "sku": "X", "quantity": 1, "unit_price_minor": 5, "discount_minor": most}),
	} {
		if a.Status != http.StatusUnprocessableEntity && a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", what, a.Status, a.Raw)
		}
	}
	s.expect(basket(line("1", 1, most)), http.StatusOK)
	close := s.post("/checkout/sessions/"+id+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": most}, {"type": "card", "amount_minor": most}}})
	s.refused(close, http.StatusUnprocessableEntity, "TENDERS_MISMATCH")
	// A wallet takes the most once, and says so before anything is paid.
	prepare := func() *answer {
		return s.post("/topup/prepare", object{"customer_id": g.id, "amount_minor": most, "currency": "USD"})
	}
	a := s.expect(prepare(), http.StatusCreated)
	s.refused(prepare(), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	s.expect(s.post("/topup/confirm", object{"topup_id": a.text("data.topup_id"), "provider_settlement_reference": a.text("data.topup_id")}), http.StatusOK)
	s.refused(prepare(), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	a = s.refused(s.post("/payments", bill(most+1, s.mint(g, "qr"))), http.StatusBadRequest, "VALIDATION_FAILED")
	want(t, "more than the most", `[{"field":"amount_minor"}]`, a.at("error.details"))
}
