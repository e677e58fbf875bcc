package tenancy_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/feddi/feddi/adapters/postgres/pg"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

func TestAKeyComesBackWhole(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for _, scope := range []tenancy.Scope{tenancy.ScopePlatform, tenancy.ScopeEnterprise, tenancy.ScopeBrand, tenancy.ScopeBranch} {
		raw, want := w.key(t, scope)
		got, err := w.store.Key(t.Context(), w.owner(), want.ID)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s key (-want +got):\n%s", scope, diff)
		}
		byHash, err := w.store.KeyByHash(t.Context(), tenancy.HashKey(raw))
		must(t, err)
		byID, err := w.store.KeyByID(t.Context(), w.owner(), want.ID)
		must(t, err)
		if diff := cmp.Diff(byHash, byID); diff != "" {
			t.Errorf("by hash and by id differ:\n%s", diff)
		}
		tenants := 1
		if scope == tenancy.ScopePlatform {
			tenants = 2
		}
		if len(byHash.Tenants) != tenants || byHash.Tenants[0] != w.merchant[0].Tenant() {
			t.Errorf("a %s key acts for %v, want %d tenants, first %v", scope, byHash.Tenants, tenants, w.merchant[0].Tenant())
		}
	}
}

func TestKeysOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, k := w.key(t, tenancy.ScopeEnterprise)
	other := *w
	other.settle(t, true)
	for name, o := range map[string]tenancy.Owner{
		"another partner": other.owner(),
		"another mode":    {PartnerID: w.partner.ID, Mode: tenancy.Production},
	} {
		if _, err := w.store.Key(t.Context(), o, k.ID); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s reads it: %v", name, err)
		}
		if _, _, err := w.store.RevokeKey(t.Context(), o, k.ID, "", now); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s revokes it: %v", name, err)
		}
		if err := w.store.DeleteKey(t.Context(), o, k.ID); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s deletes it: %v", name, err)
		}
		if s, err := w.store.KeyByID(t.Context(), o, k.ID); s != nil || err != nil {
			t.Errorf("%s authenticates with it: %v, %v", name, s, err)
		}
	}
}

// TestTheListIsWhatTheReachCovers holds the statement against the rule in core.
func TestTheListIsWhatTheReachCovers(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var all []tenancy.APIKey
	add := func(scope tenancy.Scope, i, j int) {
		_, k := w.key(t, scope)
		must(t, w.store.DeleteKey(t.Context(), w.owner(), k.ID))
		if scope != tenancy.ScopePlatform {
			k.Merchants = []string{w.merchant[i].ID}
		}
		if k.BrandID != "" {
			k.BrandID = w.brand[i][j].ID
		}
		if k.BranchID != "" {
			k.BranchID = w.branch[i][j].ID
		}
		must(t, w.store.AddKey(t.Context(), k))
		all = append(all, k)
	}
	add(tenancy.ScopePlatform, 0, 0)
	for i := range 2 {
		add(tenancy.ScopeEnterprise, i, 0)
		for j := range 2 {
			add(tenancy.ScopeBrand, i, j)
			add(tenancy.ScopeBranch, i, j)
		}
	}
	slices.SortFunc(all, func(a, b tenancy.APIKey) int { return -cmpStrings(a.ID, b.ID) })
	for _, reader := range all {
		var want []string
		for _, k := range all {
			if reader.Reach().Covers(k.Reach()) {
				want = append(want, k.ID)
			}
		}
		got, err := w.store.ListKeys(t.Context(), tenancy.KeyFilter{Owner: w.owner(), Within: reader.Reach(), Limit: 200})
		must(t, err)
		if diff := cmp.Diff(want, idsOf(got)); diff != "" {
			t.Errorf("a %s key of %s%s sees (-want +got):\n%s", reader.Scope, reader.BrandID, reader.BranchID, diff)
		}
	}
}

func cmpStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func idsOf(keys []tenancy.APIKey) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}

func TestListsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, root := w.key(t, tenancy.ScopePlatform)
	var keys []string
	for range 5 {
		w.clock.Advance(time.Millisecond)
		_, k := w.key(t, tenancy.ScopeEnterprise)
		keys = append([]string{k.ID}, keys...)
	}
	_, changed, err := w.store.RevokeKey(t.Context(), w.owner(), keys[1], "", now)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	list := func(f tenancy.KeyFilter) []string {
		f.Owner, f.Within = w.owner(), root.Reach()
		got, err := w.store.ListKeys(t.Context(), f)
		must(t, err)
		return idsOf(got)
	}
	if diff := cmp.Diff(keys[:2], list(tenancy.KeyFilter{Limit: 2})); diff != "" {
		t.Errorf("first page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(slices.Clone(keys[2:]), root.ID), list(tenancy.KeyFilter{Limit: 9, After: keys[1]})); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keys[1:2], list(tenancy.KeyFilter{Limit: 9, Status: tenancy.KeyRevoked})); diff != "" {
		t.Errorf("revoked ones (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{root.ID}, list(tenancy.KeyFilter{Limit: 9, MerchantID: w.merchant[1].ID})); diff != "" {
		t.Errorf("those of the other merchant (-want +got):\n%s", diff)
	}
}

func TestRevokingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, k := w.key(t, tenancy.ScopeEnterprise)
	first, changed, err := w.store.RevokeKey(t.Context(), w.owner(), k.ID, "key_next", now)
	if err != nil || !changed || first.Status != tenancy.KeyRevoked || !first.RevokedAt.Equal(now) || first.ReplacedBy != "key_next" {
		t.Fatalf("first: %+v, %v, %v", first, changed, err)
	}
	second, changed, err := w.store.RevokeKey(t.Context(), w.owner(), k.ID, "", now.Add(time.Hour))
	if err != nil || changed {
		t.Fatalf("second: %v, %v", changed, err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("it changed:\n%s", diff)
	}
}

func TestTheSchemaRefusesAKeyWhoseScopeAndPlaceDisagree(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for name, change := range map[string]func(*tenancy.APIKey){
		"enterprise without merchant": func(k *tenancy.APIKey) { k.Merchants = nil },
		"enterprise with a brand":     func(k *tenancy.APIKey) { k.BrandID = w.brand[0][0].ID },
		"platform with a merchant":    func(k *tenancy.APIKey) { k.Scope = tenancy.ScopePlatform },
		"brand without brand":         func(k *tenancy.APIKey) { k.Scope = tenancy.ScopeBrand },
		"branch without branch":       func(k *tenancy.APIKey) { k.Scope, k.BrandID = tenancy.ScopeBranch, w.brand[0][0].ID },
	} {
		_, k := w.key(t, tenancy.ScopeEnterprise)
		k.ID, k.Hash[0] = k.ID+"x", k.Hash[0]+1
		change(&k)
		if constraint, _ := pg.Check(w.store.AddKey(t.Context(), k)); constraint != "api_keys_scope" {
			t.Errorf("%s: constraint %q", name, constraint)
		}
		if k.Validate() == nil {
			t.Errorf("%s: the model allows it", name)
		}
	}
}

func TestTheSchemaRefusesAPlaceInAnotherOne(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	b := w.branch[0][0]
	b.ID += "x"
	b.BrandID = w.brand[1][0].ID // of the other merchant
	if _, ok := pg.ForeignKey(w.store.AddBranch(t.Context(), w.merchant[0].Tenant(), b)); !ok {
		t.Error("a branch of another merchant's brand was stored")
	}
	x := w.terminal[0][0]
	x.ID += "x"
	x.BrandID = w.brand[0][1].ID // not that of its branch
	if _, ok := pg.ForeignKey(w.store.AddTerminal(t.Context(), w.merchant[0].Tenant(), x)); !ok {
		t.Error("a terminal with another brand than its branch was stored")
	}
}

func TestSettingsKeepWhatThisVersionDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	m := w.merchant[0]
	_, err := w.db.Q().Exec(t.Context(), `UPDATE merchants SET settings = settings || '{"from_the_future": [1]}' WHERE tenant_no = $1`, m.TenantNo)
	must(t, err)
	m.Settings.CashbackBP = 750
	must(t, w.store.SaveSettings(t.Context(), m.Tenant(), m.Settings))
	raw, err := pg.One[json.RawMessage](t.Context(), w.db.Q(), `SELECT settings FROM merchants WHERE tenant_no = $1`, m.TenantNo)
	must(t, err)
	var got map[string]any
	must(t, json.Unmarshal(raw, &got))
	if got["cashback_bp"] != 750.0 || got["from_the_future"] == nil {
		t.Errorf("settings = %s", raw)
	}
	if err := w.store.SaveSettings(t.Context(), tenancy.Tenant{No: 999_999}, m.Settings); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("settings of nobody: %v", err)
	}
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	x := w.terminal[0][0]
	claims := func(id string) tenancy.TokenClaims {
		return tenancy.NewTokenClaims(id, tenancy.Actor{PartnerID: w.partner.ID, Mode: tenancy.Sandbox}, x, now)
	}
	ended := func(c tenancy.TokenClaims) bool {
		t.Helper()
		got, err := w.store.TokenEnded(t.Context(), c)
		must(t, err)
		return got
	}
	if ended(claims("tok_1")) {
		t.Error("a token that nobody revoked has ended")
	}
	for name, change := range map[string]func(*tenancy.TokenClaims){
		"another partner":  func(c *tenancy.TokenClaims) { c.PartnerID = "par_x" },
		"another mode":     func(c *tenancy.TokenClaims) { c.Mode = tenancy.Production },
		"another merchant": func(c *tenancy.TokenClaims) { c.MerchantID = w.merchant[1].ID },
		"another branch":   func(c *tenancy.TokenClaims) { c.BranchID = w.branch[0][1].ID },
	} {
		c := claims("tok_1")
		if change(&c); !ended(c) {
			t.Errorf("a token of the terminal in %s is good", name)
		}
	}
	for range 2 {
		must(t, w.store.RevokeToken(t.Context(), w.owner(), "tok_1", now, now.Add(time.Minute)))
	}
	if !ended(claims("tok_1")) || ended(claims("tok_2")) {
		t.Error("want tok_1 ended and tok_2 not")
	}
	must(t, w.store.SetTerminalStatus(t.Context(), w.merchant[0].Tenant(), x.ID, "retired"))
	if !ended(claims("tok_2")) {
		t.Error("a token of a retired terminal is good")
	}
	_, err := w.db.Q().Exec(t.Context(), `UPDATE tenancy_changes SET at = at - interval '2 hours' WHERE kind <> 'token'`)
	must(t, err)
	for i, want := range []int{0, 1} {
		if n, err := w.store.SweepTokens(t.Context(), now.Add(time.Duration(i)*time.Minute)); n != want || err != nil {
			t.Errorf("sweep %d = %d, %v", i, n, err)
		}
	}
	kinds, err := pg.Many[string](t.Context(), w.db.Q(), `SELECT DISTINCT kind FROM tenancy_changes`)
	if diff := cmp.Diff([]string{"token"}, kinds); err != nil || diff != "" {
		t.Errorf("changes left: %v (-want +got):\n%s", err, diff)
	}
}

func TestLastUseOnlyMovesForward(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, k := w.key(t, tenancy.ScopeEnterprise)
	for _, at := range []time.Time{now, now.Add(time.Hour), now.Add(time.Minute)} {
		must(t, w.store.Touch(t.Context(), map[string]time.Time{k.ID: at, "key_gone": at}))
	}
	got, err := w.store.Key(t.Context(), w.owner(), k.ID)
	must(t, err)
	if got.LastUsedAt == nil || !got.LastUsedAt.Equal(now.Add(time.Hour)) {
		t.Errorf("last used %v", got.LastUsedAt)
	}
}

func TestIdleSandboxesAreErasedWhole(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.key(t, tenancy.ScopeEnterprise)
	busy := *w
	busy.settle(t, true)
	_, used := busy.key(t, tenancy.ScopeEnterprise)
	must(t, w.store.Touch(t.Context(), map[string]time.Time{used.ID: now.Add(20 * 24 * time.Hour)}))
	firm := *w
	firm.settle(t, false)
	firm.key(t, tenancy.ScopeEnterprise)
	_, err := w.db.Q().Exec(t.Context(), `INSERT INTO customers (tenant_no, customer_id, phone, state, created_at)
		VALUES ($1, 'cus_idle', '+14155550101', 'VERIFIED', $3), ($2, 'cus_busy', '+14155550101', 'VERIFIED', $3)`,
		w.merchant[0].TenantNo, busy.merchant[0].TenantNo, now)
	must(t, err)

	idle, err := w.store.IdleSandboxes(t.Context(), now.Add(10*24*time.Hour), 10)
	must(t, err)
	if diff := cmp.Diff([]string{w.partner.ID}, idle); diff != "" {
		t.Fatalf("idle (-want +got):\n%s", diff)
	}
	erase := func(id string) error {
		return pg.Tx(t.Context(), w.db, func(ctx ctxT, q pg.Q) error { return store.New(q).EraseSandbox(ctx, id) })
	}
	must(t, erase(idle[0]))
	if err := erase(firm.partner.ID); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("erased a partner that is no sandbox: %v", err)
	}
	left, err := pg.Many[string](t.Context(), w.db.Q(), `SELECT partner_id FROM partners`)
	must(t, err)
	if diff := cmp.Diff([]string{busy.partner.ID, firm.partner.ID}, left, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Errorf("partners left (-want +got):\n%s", diff)
	}
	customers, err := pg.Many[string](t.Context(), w.db.Q(), `SELECT customer_id FROM customers`)
	must(t, err)
	if diff := cmp.Diff([]string{"cus_busy"}, customers); diff != "" {
		t.Errorf("customers left (-want +got):\n%s", diff)
	}
	for _, table := range []string{"brands", "branches", "terminals"} {
		n, err := pg.One[int64](t.Context(), w.db.Q(), `SELECT count(*) FROM `+table+` WHERE tenant_no = $1`, w.merchant[0].TenantNo)
		if n != 0 || err != nil {
			t.Errorf("%d rows of %s left, %v", n, table, err)
		}
	}
}
