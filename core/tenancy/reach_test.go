package tenancy_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/tenancy"
)

// reach is one of partner "p" in the sandbox.
func reach(scope tenancy.Scope, place ...string) tenancy.Reach {
	r := tenancy.Reach{PartnerID: "p", Mode: tenancy.Sandbox, Scope: scope}
	place = append(place, "", "", "")
	if place[0] != "" {
		r.Merchants = []string{place[0]}
	}
	r.BrandID, r.BranchID = place[1], place[2]
	return r
}

// TestTheMostSpecificScopeWins is the matrix of who may hand on what.
func TestTheMostSpecificScopeWins(t *testing.T) {
	t.Parallel()
	keys := map[string]tenancy.Reach{
		"platform":         reach(tenancy.ScopePlatform),
		"enterprise":       reach(tenancy.ScopeEnterprise, "m"),
		"brand":            reach(tenancy.ScopeBrand, "m", "b"),
		"branch":           reach(tenancy.ScopeBranch, "m", "b", "r"),
		"other enterprise": reach(tenancy.ScopeEnterprise, "n"),
		"other brand":      reach(tenancy.ScopeBrand, "m", "c"),
		"other branch":     reach(tenancy.ScopeBranch, "m", "b", "s"),
		"branch elsewhere": reach(tenancy.ScopeBranch, "m", "c", "u"),
	}
	covers := map[string][]string{
		"platform":         {"platform", "enterprise", "brand", "branch", "other enterprise", "other brand", "other branch", "branch elsewhere"},
		"enterprise":       {"enterprise", "brand", "branch", "other brand", "other branch", "branch elsewhere"},
		"brand":            {"brand", "branch", "other branch"},
		"branch":           {"branch"},
		"other enterprise": {"other enterprise"},
		"other brand":      {"other brand", "branch elsewhere"},
		"other branch":     {"other branch"},
		"branch elsewhere": {"branch elsewhere"},
	}
	for holder, r := range keys {
		for name, other := range keys {
			if got, want := r.Covers(other), slices.Contains(covers[holder], name); got != want {
				t.Errorf("a %s key covers a %s key = %v, want %v", holder, name, got, want)
			}
		}
		for what, foreign := range map[string]tenancy.Reach{
			"partner": {PartnerID: "q", Mode: r.Mode, Scope: r.Scope, Merchants: r.Merchants, BrandID: r.BrandID, BranchID: r.BranchID},
			"mode":    {PartnerID: "p", Mode: tenancy.Production, Scope: r.Scope, Merchants: r.Merchants, BrandID: r.BrandID, BranchID: r.BranchID},
		} {
			if r.Covers(foreign) {
				t.Errorf("a %s key covers the same key of another %s", holder, what)
			}
		}
	}
}

func TestAKeyOfSeveralMerchantsCoversThose(t *testing.T) {
	t.Parallel()
	r := tenancy.Reach{Scope: tenancy.ScopeEnterprise, Merchants: []string{"m", "n"}}
	for _, c := range []struct {
		merchants []string
		want      bool
	}{{[]string{"m"}, true}, {[]string{"n", "m"}, true}, {[]string{"m", "o"}, false}, {nil, false}} {
		if got := r.Covers(tenancy.Reach{Scope: tenancy.ScopeEnterprise, Merchants: c.merchants}); got != c.want {
			t.Errorf("covers %v = %v", c.merchants, got)
		}
	}
}

// TestNoChainOfKeysWidens: what a key of a key covers, the first key covers.
func TestNoChainOfKeysWidens(t *testing.T) {
	t.Parallel()
	some := rapid.Custom(func(t *rapid.T) tenancy.Reach {
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
		r := tenancy.Reach{
			PartnerID: pick("partner", "p", "q"), Mode: tenancy.Mode(pick("mode", "sandbox", "production")),
			Scope:   tenancy.Scope(pick("scope", "platform", "enterprise", "brand", "branch", "unknown")),
			BrandID: pick("brand", "", "b", "c"), BranchID: pick("branch", "", "r", "s"), Operator: rapid.Bool().Draw(t, "operator"),
		}
		r.Merchants = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"m", "n", "o"}), 0, 3, rapid.ID).Draw(t, "merchants")
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := some.Draw(t, "a"), some.Draw(t, "b"), some.Draw(t, "c")
		if a.Covers(b) && b.Covers(c) && !a.Covers(c) {
			t.Fatalf("%+v covers %+v, which covers %+v", a, b, c)
		}
		if a.MayTouch(b) && b.MayTouch(c) && !a.MayTouch(c) {
			t.Fatalf("operator authority was handed on by who lacks it: %v %v %v", a.Operator, b.Operator, c.Operator)
		}
	})
}

func TestATokenNeverReachesFurtherThanItsKey(t *testing.T) {
	t.Parallel()
	standing := func(r tenancy.Reach, tenants ...string) tenancy.KeyStanding {
		s := tenancy.KeyStanding{Key: tenancy.APIKey{
			ID: "key_1", PartnerID: r.PartnerID, Mode: r.Mode, Scope: r.Scope, Merchants: r.Merchants,
			BrandID: r.BrandID, BranchID: r.BranchID, Operator: true,
		}}
		for i, m := range tenants {
			s.Tenants = append(s.Tenants, tenancy.Tenant{PartnerID: r.PartnerID, Mode: r.Mode, MerchantID: m, No: int32(i + 1)})
		}
		return s
	}
	claims := tenancy.TokenClaims{
		KeyID: "key_1", PartnerID: "p", Mode: tenancy.Sandbox, MerchantID: "m", BrandID: "b", BranchID: "r", TerminalID: "x",
	}
	for name, c := range map[string]struct {
		key  tenancy.KeyStanding
		want bool
	}{
		"platform":             {standing(reach(tenancy.ScopePlatform), "n", "m"), true},
		"enterprise":           {standing(reach(tenancy.ScopeEnterprise, "m"), "m"), true},
		"its branch":           {standing(reach(tenancy.ScopeBranch, "m", "b", "r"), "m"), true},
		"another branch":       {standing(reach(tenancy.ScopeBranch, "m", "b", "s"), "m"), false},
		"another brand":        {standing(reach(tenancy.ScopeBrand, "m", "c"), "m"), false},
		"another merchant":     {standing(reach(tenancy.ScopeEnterprise, "n"), "n"), false},
		"a suspended merchant": {standing(reach(tenancy.ScopeEnterprise, "m")), false},
	} {
		actor, ok := claims.Actor(c.key)
		if ok != c.want {
			t.Errorf("%s: good = %v, want %v", name, ok, c.want)
		}
		if !ok {
			continue
		}
		if actor.Operator || actor.Kind != tenancy.TerminalCall || actor.Scope != tenancy.ScopeBranch || !c.key.Actor().Reach().Covers(actor.Reach()) {
			t.Errorf("%s: actor = %+v", name, actor)
		}
		if got, want := actor.Tenant("m"), c.key.Actor().Tenant("m"); got != want || got.No == 0 {
			t.Errorf("%s: tenant = %+v, want %+v", name, got, want)
		}
	}
}

func TestATenantOfSomebodyElseHasNoNumber(t *testing.T) {
	t.Parallel()
	a := tenancy.Actor{PartnerID: "p", Mode: tenancy.Sandbox, Merchants: []string{"m"}, TenantNos: []int32{7}}
	if got, want := a.Tenant("m"), (tenancy.Tenant{PartnerID: "p", Mode: tenancy.Sandbox, MerchantID: "m", No: 7}); got != want {
		t.Errorf("own = %+v", got)
	}
	for _, m := range []string{"", "n"} {
		if got, want := a.Tenant(m), (tenancy.Tenant{PartnerID: "p", Mode: tenancy.Sandbox}); got != want {
			t.Errorf("%q = %+v", m, got)
		}
	}
}
