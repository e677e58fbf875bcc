package auth_test

import (
	"strings"
	"testing"
)

func TestRule48AKeyIsReadWithoutItsSecret(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b, stranger := s.sandbox(), s.sandbox()
	keys, ok := s.get("/auth/keys", b.key).want(200, "").Data["keys"].([]any)
	if !ok || len(keys) == 0 {
		t.Fatal("a sandbox has no key")
	}
	id, _ := keys[0].(object)["key_id"].(string)
	a := s.get("/auth/keys/"+id, b.key).want(200, "")
	if a.str("key.key_id") != id || a.str("key.status") != "active" || strings.Contains(a.Body, b.key) || strings.Contains(a.Body, "raw_key") {
		t.Errorf("read %s", a.Body)
	}
	s.get("/auth/keys/"+id, stranger.key).want(404, "NOT_FOUND")
	s.get("/auth/keys/key_none", b.key).want(404, "NOT_FOUND")
}
