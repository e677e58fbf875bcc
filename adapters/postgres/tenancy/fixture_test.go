package tenancy_test

import (
	"context"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 123456000, time.UTC)

// town is a partner with two merchants, each with two brands, each with a
// branch and a terminal.
type town struct {
	db       *pg.DB
	store    *store.Store
	clock    *clock.Manual
	ids      *ids.Source
	partner  tenancy.Partner
	merchant [2]tenancy.Merchant
	brand    [2][2]tenancy.Brand
	branch   [2][2]tenancy.Branch
	terminal [2][2]tenancy.Terminal
}

func newTown(t *testing.T) *town {
	t.Helper()
	db := pgtest.New(t)
	clk := clock.NewManual(now)
	w := &town{db: db, store: store.New(db.Q()), clock: clk, ids: ids.New(clk)}
	w.settle(t, true)
	return w
}

func (w *town) settle(t *testing.T, sandbox bool) {
	t.Helper()
	ctx := t.Context()
	w.partner = tenancy.Partner{ID: w.ids.Make(ids.Partner), Name: "Partner", Sandbox: sandbox, CreatedAt: w.clock.Now()}
	must(t, w.store.AddPartner(ctx, w.partner))
	for i := range 2 {
		m, err := w.store.AddMerchant(ctx, tenancy.Merchant{
			ID: w.ids.Make(ids.Merchant), PartnerID: w.partner.ID, Mode: tenancy.Sandbox, Name: "Merchant",
			Status: tenancy.MerchantActive, Settings: tenancy.DefaultSettings("USD"), CreatedAt: w.clock.Now(),
		})
		must(t, err)
		w.merchant[i] = m
		for j := range 2 {
			b := tenancy.Brand{ID: w.ids.Make(ids.Brand), MerchantID: m.ID, Name: "Brand", CreatedAt: w.clock.Now()}
			r := tenancy.Branch{ID: w.ids.Make(ids.Branch), MerchantID: m.ID, BrandID: b.ID, Name: "Branch", CreatedAt: w.clock.Now()}
			x := tenancy.Terminal{
				ID: w.ids.Make(ids.Terminal), MerchantID: m.ID, BrandID: b.ID, BranchID: r.ID, Name: "Till",
				Status: tenancy.TerminalActive, CreatedAt: w.clock.Now(),
			}
			must(t, w.store.AddBrand(ctx, m.Tenant(), b))
			must(t, w.store.AddBranch(ctx, m.Tenant(), r))
			must(t, w.store.AddTerminal(ctx, m.Tenant(), x))
			w.brand[i][j], w.branch[i][j], w.terminal[i][j] = b, r, x
		}
	}
}

// key stores a key of scope at the first merchant's first brand and branch.
func (w *town) key(t *testing.T, scope tenancy.Scope) (raw string, k tenancy.APIKey) {
	t.Helper()
	raw, err := tenancy.NewRawKey(w.ids.Random, tenancy.Sandbox)
	must(t, err)
	k = tenancy.APIKey{
		ID: w.ids.Make(ids.Key), PartnerID: w.partner.ID, Mode: tenancy.Sandbox, Hash: tenancy.HashKey(raw),
		Prefix: tenancy.KeyPrefix(raw), Scope: scope, Status: tenancy.KeyActive, CreatedAt: w.clock.Now(), Merchants: []string{},
	}
	if scope != tenancy.ScopePlatform {
		k.Merchants = []string{w.merchant[0].ID}
	}
	if scope == tenancy.ScopeBrand || scope == tenancy.ScopeBranch {
		k.BrandID = w.brand[0][0].ID
	}
	if scope == tenancy.ScopeBranch {
		k.BranchID = w.branch[0][0].ID
	}
	must(t, w.store.AddKey(t.Context(), k))
	return raw, k
}

func (w *town) owner() tenancy.Owner {
	return tenancy.Owner{PartnerID: w.partner.ID, Mode: tenancy.Sandbox}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until asks again and again whether done; for what happens in the background.
func until(t *testing.T, what string, done func() bool) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for began := time.Now(); ; {
		if done() {
			return time.Since(began)
		}
		if ctx.Err() != nil {
			t.Fatalf("%s did not happen", what)
		}
	}
}
