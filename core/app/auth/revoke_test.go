package auth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
)

// good and ended are what a token is answered with.
func (s *server) good(token string) {
	s.city.t.Helper()
	s.get("/auth/token/validate", token).want(http.StatusOK, "")
}

func (s *server) ended(token string) {
	s.city.t.Helper()
	s.get("/auth/token/validate", token).want(http.StatusUnauthorized, "TOKEN_REVOKED")
}

func TestATerminalEndsItsOwnTokens(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	one, two, three := s.token(b, b.key), s.token(b, b.key), s.token(b, b.key)
	if a := s.post("/auth/token/revoke", one, b.merchant, nil).want(http.StatusOK, ""); a.str("terminal_id") != b.terminal || a.str("revoked_at") == "" {
		t.Errorf("revoked: %s", a.Body)
	}
	s.ended(one)
	s.good(two)
	s.post("/auth/token/revoke", two, b.merchant, object{"token": three}).want(http.StatusOK, "") // another one of the same till
	s.ended(three)
	s.good(two)
	s.post("/auth/token/revoke", two, b.merchant, object{"terminal_id": b.terminal}).want(http.StatusOK, "")
	s.ended(two)
	s.good(s.token(b, b.key)) // in the same second: the new one is good
	s.post("/auth/token/revoke", two, b.merchant, nil).want(http.StatusUnauthorized, "TOKEN_REVOKED")
}

func TestAKeyEndsTheTokensOfItsTerminals(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b, foreign := s.sandbox(), s.sandbox()
	other := c.grow(b)
	branch := s.post("/auth/keys", b.key, b.merchant, object{"scope": "branch", "branch_id": b.branch}).want(http.StatusCreated, "").str("raw_key")
	revoke := func(credential string, fields object) answer {
		return s.post("/auth/token/revoke", credential, b.merchant, fields)
	}
	own, elsewhere, strange := s.token(b, b.key), s.token(other, b.key), s.token(foreign, foreign.key)

	for what, row := range map[string]struct {
		credential string
		fields     object
		status     int
		code       string
	}{
		"nothing named":              {b.key, nil, http.StatusBadRequest, "VALIDATION_FAILED"},
		"both named":                 {b.key, object{"token": own, "terminal_id": b.terminal}, http.StatusBadRequest, "VALIDATION_FAILED"},
		"another merchant's":         {b.key, object{"terminal_id": foreign.terminal}, http.StatusNotFound, "NOT_FOUND"},
		"no terminal":                {b.key, object{"terminal_id": "trm_none"}, http.StatusNotFound, "NOT_FOUND"},
		"another merchant's token":   {b.key, object{"token": strange}, http.StatusNotFound, "NOT_FOUND"},
		"no token":                   {b.key, object{"token": "x"}, http.StatusNotFound, "NOT_FOUND"},
		"outside of the branch":      {branch, object{"terminal_id": other.terminal}, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
		"a token outside of it":      {branch, object{"token": elsewhere}, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
		"a terminal another's":       {own, object{"terminal_id": other.terminal}, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
		"a terminal another's token": {own, object{"token": elsewhere}, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
	} {
		if a := revoke(row.credential, row.fields); a.Status != row.status || a.Error.Code != row.code {
			t.Errorf("%s: %s", what, a.Body)
		}
	}
	for _, token := range []string{own, elsewhere, strange} {
		s.good(token)
	}
	key := uuid.NewString()
	body := envelope(b.merchant, object{"terminal_id": b.terminal})
	first := s.request(http.MethodPost, "/auth/token/revoke", branch, body, key).want(http.StatusOK, "")
	s.ended(own)
	s.good(elsewhere)
	fresh := s.token(b, b.key)
	c.clock.Advance(time.Second)
	again := s.request(http.MethodPost, "/auth/token/revoke", branch, body, key).want(http.StatusOK, "")
	if again.Meta["idempotency_replayed"] != true || again.str("revoked_at") != first.str("revoked_at") {
		t.Errorf("%s and again %s", first.Body, again.Body)
	}
	s.good(fresh) // a retry ends nothing more
	revoke(b.key, object{"token": elsewhere}).want(http.StatusOK, "")
	s.ended(elsewhere)
	revoke(b.key, object{"token": elsewhere}).want(http.StatusOK, "")
	c.clock.Advance(700 * time.Second)
	revoke(b.key, object{"token": fresh}).want(http.StatusOK, "") // it has ended by itself
	if n := c.count(`SELECT count(*) FROM revoked_tokens`); n != 1 {
		t.Errorf("%d tokens are kept as revoked, want the one that was alive", n)
	}
}

func TestARevocationIsHeardByOtherServers(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	here, there := c.start(), c.start()
	b := here.sandbox()
	other := c.grow(b)
	one, two, kept := here.token(b, b.key), here.token(b, b.key), here.token(other, b.key)
	for _, token := range []string{one, two, kept} {
		there.good(token)
	}
	here.post("/auth/token/revoke", b.key, b.merchant, object{"token": one}).want(http.StatusOK, "")
	here.ended(one)
	gone := func(token string) {
		t.Helper()
		took := until(t, "the end of a token", func() bool {
			c.clock.Advance(10 * time.Millisecond) // stay within the limit
			return there.get("/auth/token/validate", token).Error.Code == "TOKEN_REVOKED"
		})
		if took > time.Second {
			t.Errorf("the other server heard after %v", took)
		}
	}
	gone(one)
	there.good(two)
	here.post("/auth/token/revoke", b.key, b.merchant, object{"terminal_id": b.terminal}).want(http.StatusOK, "")
	here.ended(two)
	gone(two)
	there.good(kept)
	there.good(here.token(b, b.key))
}
