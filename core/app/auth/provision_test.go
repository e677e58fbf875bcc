package auth_test

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/postgres"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/tenancy"
)

// provisioned is a merchant of two brands, with what change sets.
func provisioned(change object) object {
	till := func(n string) object {
		return object{"name": "Till " + n, "reference": "till-" + n, "serial_number": "SN-" + n, "model": "Mini"}
	}
	body := object{
		"name": "Bean House", "reference": "acct-" + uuid.NewString(), "country": "QA", "currency": "QAR", "currencies": []any{"USD"}, "timezone": "Asia/Qatar",
		"key_name": "First",
		"brands": []any{
			object{"name": "Bean", "reference": "bean", "branches": []any{
				object{"name": "Main Street", "reference": "store-1", "address": "12 Main Street", "terminals": []any{till("1"), till("2")}},
				object{"name": "Harbour"},
			}},
			object{"name": "Leaf"},
		},
		"settings": object{
			"claim_gate": "on_first_topup", "cashback_bp": 0, "cashback_expiry_days": 90, "bonus_expiry_days": 30, "points_expiry_days": 365,
			"max_stacked_offers": 2, "code_ttl_minutes": 5, "session_ttl_minutes": 30, "min_payment_minor": 100, "terminal_may_mint": true,
			"refund_grace_days": 0, "supported_credential_types": []any{"phone", "qr"},
		},
	}
	maps.Copy(body, change)
	return body
}

func (s *server) provision(key string, change object) answer {
	s.city.t.Helper()
	return s.post("/merchants", key, "", provisioned(change))
}

// platform makes an integration with a platform key.
func (c *city) platform(operator bool) (partner, key string) {
	c.t.Helper()
	b := &auth.Bootstrap{UoW: postgres.New(c.db, nil, nil), Clock: c.clock, IDs: c.ids}
	issued, err := b.CreatePlatformKey(c.t.Context(), auth.PlatformKeyInput{PartnerName: "Partner", Mode: tenancy.Sandbox, Operator: operator})
	must(c.t, err)
	return issued.Key.PartnerID, issued.Raw
}

func TestAMerchantIsProvisionedWhole(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	partner, platform := c.platform(true)
	a := s.provision(platform, object{"reference": "acct-1"}).want(http.StatusCreated, "")
	brands := a.Data["brands"].([]any)
	bean := brands[0].(object)
	main := bean["branches"].([]any)[0].(object)
	tills := main["terminals"].([]any)
	if len(brands) != 2 || bean["reference"] != "bean" || main["reference"] != "store-1" || len(tills) != 2 ||
		tills[1].(object)["reference"] != "till-2" || tills[1].(object)["serial_number"] != "SN-2" || a.str("reference") != "acct-1" {
		t.Errorf("the partner's own ids do not lead to ours: %s", a.Body)
	}
	if a.str("key.scope") != "enterprise" || a.str("key.merchant_id") != a.str("merchant_id") || a.str("key.integration_id") != partner ||
		a.Data["key"].(object)["operator"] != false || a.str("key.name") != "First" {
		t.Errorf("the first key: %s", a.Body)
	}
	m, err := store.NewDirectory(c.db).Merchant(t.Context(), a.str("merchant_id"))
	must(t, err)
	if diff := cmp.Diff(tenancy.Settings{
		Currencies: []string{"QAR", "USD"}, TimeZone: "Asia/Qatar", Country: "QA", ClaimGate: tenancy.GateOnFirstTopup, CashbackExpiryDays: 90,
		BonusExpiryDays: 30, PointsExpiryDays: 365, CodeTTLMinutes: 5, SessionTTLMinutes: 30, MinPaymentMinor: 100, TerminalMayMint: true,
		CredentialTypes: []string{"phone", "qr"}, MaxStackedOffers: 2,
	}, m.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	// What was made works at once: for its own key, for the platform key, for a till.
	key, till := a.str("raw_key"), tills[0].(object)["terminal_id"].(string)
	if got := s.listed(key, ""); len(got) != 2 {
		t.Errorf("its key lists the terminals %v", got)
	}
	s.good(s.post("/auth/token", key, a.str("merchant_id"), object{"terminal_id": till}).want(http.StatusOK, "").str("token"))
	s.good(s.post("/auth/token", platform, a.str("merchant_id"), object{"terminal_id": till}).want(http.StatusOK, "").str("token"))

	if d := s.provision(platform, object{"settings": nil, "currencies": []any{}, "reference": "acct-2"}).want(http.StatusCreated, ""); d.OK {
		m, err = store.NewDirectory(c.db).Merchant(t.Context(), d.str("merchant_id"))
		must(t, err)
		want := tenancy.DefaultSettings("QAR")
		want.TimeZone, want.Country = "Asia/Qatar", "QA"
		if diff := cmp.Diff(want, m.Settings); diff != "" {
			t.Errorf("default settings (-want +got):\n%s", diff)
		}
	}
}

func TestWhoMayProvision(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	_, platform := c.platform(false)
	keys := func(fields object) string {
		return s.post("/auth/keys", b.key, b.merchant, fields).want(http.StatusCreated, "").str("raw_key")
	}
	branch, plain := keys(object{"scope": "branch", "branch_id": b.branch}), keys(object{"scope": "enterprise"})
	for what, row := range map[string]struct {
		credential string
		change     object
		status     int
		code       string
	}{
		"a platform key":                          {platform, nil, http.StatusCreated, ""},
		"a sandbox's operator":                    {b.key, nil, http.StatusCreated, ""},
		"its operator gives operator authority":   {b.key, object{"key_operator": true}, http.StatusCreated, ""},
		"a platform key gives what it lacks":      {platform, object{"key_operator": true}, http.StatusForbidden, "OPERATOR_REQUIRED"},
		"an enterprise key without the authority": {plain, nil, http.StatusForbidden, "OPERATOR_REQUIRED"},
		"a branch's key":                          {branch, nil, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
		"a terminal":                              {s.token(b, b.key), nil, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
		"nobody":                                  {"", nil, http.StatusUnauthorized, "UNAUTHENTICATED"},
	} {
		if a := s.provision(row.credential, row.change); a.Status != row.status || a.Error.Code != row.code {
			t.Errorf("%s: %s", what, a.Body)
		}
	}
	// The new merchant is of the sandbox's own integration, and the key that made
	// it does not reach it.
	a := s.provision(b.key, nil).want(http.StatusCreated, "")
	if a.str("key.integration_id") != b.partner || a.str("key.mode") != "sandbox" {
		t.Errorf("made %s", a.Body)
	}
	s.post("/auth/keys", b.key, a.str("merchant_id"), object{"scope": "enterprise"}).want(http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED")
}

func TestARefusedProvisioningNamesTheFieldAndMakesNothing(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	_, platform := c.platform(true)
	_, elsewhere := c.platform(true)
	s.provision(platform, object{"reference": "acct-1"}).want(http.StatusCreated, "")
	s.provision(elsewhere, object{"reference": "acct-1"}).want(http.StatusCreated, "") // another integration's own ids
	rows := func() int64 {
		return c.count(`SELECT (SELECT count(*) FROM merchants) + (SELECT count(*) FROM brands) + (SELECT count(*) FROM branches) + (SELECT count(*) FROM terminals) + (SELECT count(*) FROM api_keys)`)
	}
	before := rows()
	branch := func(fields ...object) object {
		all := []any{}
		for _, f := range fields {
			b := object{"name": "x"}
			maps.Copy(b, f)
			all = append(all, b)
		}
		return object{"name": "x", "branches": all}
	}
	for _, row := range []struct {
		change object
		status int
		code   string
		field  string
	}{
		{object{"reference": "acct-1"}, 409, "DUPLICATE_REFERENCE", "reference"},
		{object{"brands": []any{object{"name": "a", "reference": "r"}, object{"name": "b", "reference": "r"}}}, 409, "DUPLICATE_REFERENCE", "brands[1].reference"},
		{object{"brands": []any{branch(object{"reference": "s"}), branch(object{}, object{"reference": "s"})}}, 409, "DUPLICATE_REFERENCE", "brands[1].branches[1].reference"},
		{object{"brands": []any{branch(object{"terminals": []any{object{"name": "a", "reference": "t"}, object{"name": "b", "reference": "t"}}})}}, 409, "DUPLICATE_REFERENCE", "brands[0].branches[0].terminals[1].reference"},
		{object{"brands": []any{branch(object{"terminals": []any{object{"name": "a", "serial_number": "t"}}}), branch(object{"terminals": []any{object{"name": "b", "serial_number": "t"}}})}},
			409, "DUPLICATE_REFERENCE", "brands[1].branches[0].terminals[0].serial_number"},
		{object{"brands": []any{branch(object{"name": ""})}}, 400, "VALIDATION_FAILED", "brands[0].branches[0].name"},
		{object{"brands": []any{}}, 400, "VALIDATION_FAILED", "brands"},
		{object{"currency": "ZZZ"}, 400, "UNSUPPORTED_CURRENCY", "currency"},
		{object{"currencies": []any{"USD", "ZZZ"}}, 400, "UNSUPPORTED_CURRENCY", "currencies[1]"},
		{object{"currencies": []any{"QAR"}}, 400, "VALIDATION_FAILED", "currencies[0]"},
		{object{"timezone": "Asia/Atlantis"}, 400, "VALIDATION_FAILED", "timezone"},
		{object{"timezone": "Local"}, 400, "VALIDATION_FAILED", "timezone"},
		{object{"settings": object{"claim_gate": "never"}}, 400, "VALIDATION_FAILED", "settings.claim_gate"},
		{object{"settings": object{"cashback_bp": 10001}}, 400, "VALIDATION_FAILED", "settings.cashback_bp"},
		{object{"settings": object{"supported_credential_types": []any{"phone", "palm"}}}, 400, "UNSUPPORTED_CREDENTIAL_TYPE", "settings.supported_credential_types[1]"},
		{object{"settings": object{"supported_credential_types": []any{"phone", "phone"}}}, 400, "VALIDATION_FAILED", "settings.supported_credential_types[1]"},
	} {
		a := s.provision(platform, row.change)
		if a.Status != row.status || a.Error.Code != row.code || len(a.Error.Details) == 0 || a.Error.Details[0].Field != row.field {
			t.Errorf("%v: %s, want %d %s at %s", row.change, a.Body, row.status, row.code, row.field)
		}
	}
	if after := rows(); after != before {
		t.Errorf("refused calls made %d rows", after-before)
	}
}

func TestOneReferenceIsProvisionedOnce(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	_, platform := c.platform(false)
	var wg sync.WaitGroup
	made := make(chan answer, 6)
	for range cap(made) {
		wg.Go(func() { made <- s.provision(platform, object{"reference": "acct-1"}) })
	}
	wg.Wait()
	close(made)
	codes := map[string]int{}
	for a := range made {
		codes[a.Error.Code]++
	}
	if codes[""] != 1 || codes["DUPLICATE_REFERENCE"] != 5 || c.count(`SELECT count(*) FROM merchants`) != 1 {
		t.Errorf("answers %v", codes)
	}
}

func TestASandboxHoldsFiftyMerchants(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	for i := range 49 {
		c.clock.Advance(time.Second)
		s.provision(b.key, object{"brands": []any{object{"name": fmt.Sprint(i)}}}).want(http.StatusCreated, "")
	}
	s.provision(b.key, nil).want(http.StatusConflict, "STATE_CONFLICT")
	big := []any{}
	for range 21 {
		branches := []any{}
		for range 100 {
			branches = append(branches, object{"name": "x"})
		}
		big = append(big, object{"name": "x", "branches": branches})
	}
	a := s.provision(b.key, object{"brands": big}).want(http.StatusBadRequest, "VALIDATION_FAILED")
	if a.Error.Details[0].Field != "brands" {
		t.Errorf("refused %s", a.Body)
	}
}
