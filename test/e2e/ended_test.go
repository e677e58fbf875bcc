package e2e_test

import (
	"net/http"
	"strings"
	"time"
)

// endedCredentials were good once, and one that is good for less.
type endedCredentials struct {
	key, till credential // of a revoked key
	old       credential // a token past its time
	plain     credential // a key of the enterprise without operator authority
	narrow    credential // a key of the branch with it
}

// ended makes credentials and ends them.
func (s *stock) ended() *endedCredentials {
	s.t.Helper()
	if s.over == nil {
		made, key := s.keyed(object{"scope": "enterprise"})
		_, plain := s.keyed(object{"scope": "enterprise"})
		_, narrow := s.keyed(object{"scope": "branch", "branch_id": s.ids["branch"], "operator": true})
		s.over = &endedCredentials{key: key, till: s.signIn(key, s.ids["terminal"]), plain: plain, narrow: narrow}
		s.over.old = credential{"Authorization", "Bearer " + aged(s.t, strings.TrimPrefix(s.till.value, "Bearer "), 601*time.Second)}
		s.expect(s.manage("/auth/keys/"+made.text("data.key.key_id")+"/revoke", object{}), http.StatusOK)
	}
	return s.over
}
