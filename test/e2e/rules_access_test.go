package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// keyed makes a key and returns the answer and the credential.
func (s *shop) keyed(body object) (*answer, credential) {
	s.t.Helper()
	made := s.expect(s.manage("/auth/keys", body), http.StatusCreated)
	return made, credential{"X-Api-Key", made.text("data.raw_key")}
}

func (s *shop) by(c credential) *answer {
	s.t.Helper()
	return s.do(request{method: http.MethodGet, path: "/capabilities", as: c})
}

func TestRule48_ARawKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	made, key := s.keyed(object{"scope": "enterprise", "name": "second"})
	id := made.text("data.key.key_id")
	renewed := s.expect(s.manage("/auth/keys/"+id+"/regenerate", object{}), http.StatusOK)
	raws := []string{s.key.value, key.value, renewed.text("data.raw_key")}
	if raws[1] == raws[2] || !strings.HasPrefix(raws[2], "fddi_test_") {
		t.Errorf("regenerated %q", raws[2])
	}
	for _, a := range []*answer{
		s.manage("/auth/keys?limit=200", nil), s.manage("/auth/keys/"+id, nil), s.manage("/auth/keys/"+renewed.text("data.key.key_id"), nil),
		s.manage("/webhooks/events?limit=200", nil), s.manage("/auth/keys/"+renewed.text("data.key.key_id")+"/revoke", object{}),
	} {
		s.expect(a, http.StatusOK)
		for _, raw := range raws {
			if strings.Contains(string(a.Raw), raw) || strings.Contains(string(a.Raw), "raw_key") {
				t.Errorf("a raw key shows again: %s", a.Raw)
			}
		}
	}
	if n := ask[int64](t, "select count(*) from idempotency where position($1::bytea in coalesce(body, '')) > 0", []byte(raws[1])); n != 0 {
		t.Error("the stored answer holds the raw key in clear")
	}
}

func TestRule49_RevokeKeepsDeleteRemovesRegenerateReplaces(t *testing.T) {
	t.Parallel()
	s := open(t)
	branch := s.made.text("data.branch_id")
	made, key := s.keyed(object{"scope": "branch", "branch_id": branch, "name": "till"})
	id := made.text("data.key.key_id")
	a := s.expect(s.manage("/auth/keys/"+id+"/regenerate", object{}), http.StatusOK)
	s.is(a, "regenerated", `{"key":{"scope":"branch","branch_id":"`+branch+`","status":"active"},"revoked_key_id":"`+id+`"}`)
	s.refused(s.by(key), http.StatusUnauthorized, "API_KEY_REVOKED")
	s.is(s.manage("/auth/keys/"+id, nil), "the old one", `{"key":{"status":"revoked","revoked_at":"$time"}}`)
	next, nextID := credential{"X-Api-Key", a.text("data.raw_key")}, a.text("data.key.key_id")
	s.expect(s.by(next), http.StatusOK)
	s.expect(s.manage("/auth/keys/"+nextID+"/revoke", object{}), http.StatusOK)
	s.refused(s.by(next), http.StatusUnauthorized, "API_KEY_REVOKED")
	if s.listed(nextID) == nil {
		t.Error("a revoked key is gone")
	}
	s.expect(s.manage("/auth/keys/"+nextID+"/delete", object{}), http.StatusOK)
	s.refused(s.manage("/auth/keys/"+nextID, nil), http.StatusNotFound, "NOT_FOUND")
	if s.listed(nextID) != nil {
		t.Error("a deleted key is listed")
	}
}

// claims are what a token says of itself.
func claims(t *testing.T, till credential) object {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(till.value, ".")[1])
	var out object
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRule50_ATokenLivesTenMinutesAndIsNoWiderThanItsKey(t *testing.T) {
	t.Parallel()
	s, other := open(t), open(t)
	_, key := s.keyed(object{"scope": "branch", "branch_id": s.made.text("data.branch_id")})
	terminal := s.made.text("data.terminal_id")
	till := s.signIn(key, terminal)
	c := claims(t, till)
	expires, _ := c["exp"].(float64)
	issued, _ := c["iat"].(float64)
	if issued == 0 || expires-issued != 600 {
		t.Errorf("a token lives %v s: %v", expires-issued, c)
	}
	old := credential{"Authorization", "Bearer " + aged(t, strings.TrimPrefix(till.value, "Bearer "), 601*time.Second)}
	s.refused(s.by(old), http.StatusUnauthorized, "TOKEN_EXPIRED")
	// A key gives no token of a terminal beyond its reach, and a token reaches
	// its terminal alone, and nothing of its key's authority over keys.
	a := s.do(request{path: "/auth/token", as: key, body: object{"terminal_id": other.made.text("data.terminal_id")}})
	if a.Status < 400 {
		t.Errorf("a token of another's terminal: %s", a.Raw)
	}
	where := object{}
	for name, value := range s.where {
		where[name] = value
	}
	where["terminal_id"] = "trm_other"
	s.refused(s.post("/checkout/sessions", object{"currency": "USD", "context": where}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(s.do(request{method: http.MethodGet, path: "/auth/keys", as: till}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
}

func TestRule51_AnotherMerchantIsRefused(t *testing.T) {
	t.Parallel()
	s, foreign := stocked(t), open(t)
	for _, id := range []string{foreign.made.text("data.merchant_id"), "mer_nothing"} {
		for _, op := range callable(t, http.MethodPost) {
			if op.Example["context"] == nil {
				continue
			}
			body := s.whole(object{})
			for name, value := range op.Example {
				body[name] = value
			}
			body["context"] = object{"merchant_id": id}
			a := s.do(request{path: s.path(op), as: s.caller(op), body: body})
			if a.code() != "MERCHANT_NOT_AUTHORIZED" || a.Status != http.StatusForbidden {
				t.Errorf("%s for %s: %d %s", op.ID, id, a.Status, a.Raw)
			}
		}
		for _, op := range callable(t, http.MethodGet) {
			if op.ID == "lookupCustomer" || !slices.Contains(op.Query, "merchant_id") { // rule 12; and those that take none
				continue
			}
			a := s.do(request{method: http.MethodGet, path: s.path(op) + "?merchant_id=" + id, as: s.caller(op)})
			if a.code() != "MERCHANT_NOT_AUTHORIZED" || a.Status != http.StatusForbidden {
				t.Errorf("%s for %s: %d %s", op.ID, id, a.Status, a.Raw)
			}
		}
	}
}

// Health asks nobody: no key, no tenant, and no table, so that it answers while
// every table of the database is locked away.
func TestRule52_HealthNeedsNobody(t *testing.T) {
	t.Parallel()
	server, o := own(t)
	conn, err := pgx.Connect(t.Context(), o.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "lock table partners, merchants, brands, branches, terminals, api_keys, idempotency, wallets, events in access exclusive mode")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, as := range []credential{nobody, {"X-Api-Key", "nonsense"}, {"Authorization", "Bearer nonsense"}} {
		a := sendTo(t, server.URL, request{method: http.MethodGet, path: "/health", as: as})
		want(t, "health", `{"ok":true,"data":{"status":"ok","degraded_subsystems":[]}}`, a.Body)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// operations are the capabilities' operations by id.
func operations(a *answer) map[string]object {
	out := map[string]object{}
	rows, _ := a.at("data.operations").([]any)
	for _, row := range rows {
		o, _ := row.(object)
		id, _ := o["operation_id"].(string)
		out[id] = o
	}
	return out
}

func TestRule53_CapabilitiesAreTheCallersAndTheMountedOnes(t *testing.T) {
	t.Parallel()
	s, other := open(t), openIn(t, "QAR")
	mine, theirs := s.by(s.key), other.by(other.key)
	s.is(mine, "mine", `{"merchant_ids":["`+s.made.text("data.merchant_id")+`"],"currencies":["USD","$more"]}`)
	s.is(theirs, "theirs", `{"merchant_ids":["`+other.made.text("data.merchant_id")+`"],"currencies":["QAR","$more"]}`)
	byKey, byTill := operations(mine), operations(s.by(s.till))
	if shape.At(byKey["createApiKey"], "callable") != true || shape.At(byTill["createApiKey"], "callable") != false || shape.At(byTill["paymentAuthorize"], "callable") != true {
		t.Errorf("a key may %v, a till %v and %v", byKey["createApiKey"], byTill["createApiKey"], byTill["paymentAuthorize"])
	}
	documented := map[string]bool{}
	for _, op := range system.spec.Operations() {
		documented[op.ID] = true
		if byKey[op.ID] == nil {
			t.Errorf("%s is documented and not among the capabilities", op.ID)
		}
	}
	for id, o := range byKey {
		method, _ := o["method"].(string)
		path, _ := o["path"].(string)
		a := s.do(request{method: method, path: strings.NewReplacer("{", "zzz_", "}", "").Replace(path), body: []byte("{}")})
		if !documented[id] || a.Status == http.StatusNotImplemented || a.Status == http.StatusMethodNotAllowed || a.text("error.details.0.field") == "route" {
			t.Errorf("%s is among the capabilities and not mounted: %d %s", id, a.Status, a.Raw)
		}
	}
}
