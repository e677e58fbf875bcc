package tenancy_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/adapters/postgres/pg"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

type ctxT = context.Context

// watched starts a directory with its own watcher: one more server.
func watched(t *testing.T, db *pg.DB, also ...tenancy.Listener) *store.Directory {
	t.Helper()
	d := store.NewDirectory(db)
	w := store.NewWatcher(db, append(tenancy.Listeners{d}, also...), slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
	return d
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := store.NewDirectory(w.db)
	here, brand, branch, till := w.merchant[0].ID, w.brand[0][0].ID, w.branch[0][0].ID, w.terminal[0][0].ID
	whole := tenancy.Place{BrandID: brand, BranchID: branch, TerminalID: till}
	for name, c := range map[string]struct {
		merchant, brand, branch, terminal string
		want                              tenancy.Place
		missing                           string
	}{
		"nowhere in particular":              {merchant: here},
		"a brand":                            {merchant: here, brand: brand, want: tenancy.Place{BrandID: brand}},
		"a branch implies its brand":         {merchant: here, branch: branch, want: tenancy.Place{BrandID: brand, BranchID: branch}},
		"a terminal implies both":            {merchant: here, terminal: till, want: whole},
		"all three, in harmony":              {merchant: here, brand: brand, branch: branch, terminal: till, want: whole},
		"an unknown merchant":                {merchant: "mer_x", missing: "merchant"},
		"an unknown brand":                   {merchant: here, brand: "brd_x", missing: "brand"},
		"an unknown branch":                  {merchant: here, branch: "brn_x", missing: "branch"},
		"an unknown terminal":                {merchant: here, terminal: "trm_x", missing: "terminal"},
		"a brand as a branch":                {merchant: here, branch: brand, missing: "branch"},
		"another merchant's brand":           {merchant: here, brand: w.brand[1][0].ID, missing: "brand"},
		"another merchant's branch":          {merchant: here, branch: w.branch[1][0].ID, missing: "branch"},
		"another merchant's terminal":        {merchant: here, terminal: w.terminal[1][0].ID, missing: "terminal"},
		"a branch of another brand":          {merchant: here, brand: brand, branch: w.branch[0][1].ID, missing: "branch"},
		"a terminal of another branch":       {merchant: here, branch: branch, terminal: w.terminal[0][1].ID, missing: "terminal"},
		"a terminal of another brand":        {merchant: here, brand: brand, terminal: w.terminal[0][1].ID, missing: "terminal"},
		"a terminal, and its branch's rival": {merchant: here, brand: w.brand[0][1].ID, branch: branch, terminal: till, missing: "terminal"},
	} {
		for _, memory := range []string{"cold", "warm"} {
			got, err := d.Place(t.Context(), c.merchant, c.brand, c.branch, c.terminal)
			if c.missing != "" {
				if !fault.Is(err, fault.CodeNotFound) || fault.As(err).Details[0].Field != c.missing {
					t.Errorf("%s (%s): %v, want NOT_FOUND of %s", name, memory, err, c.missing)
				}
				continue
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%s (%s): %v\n%s", name, memory, err, diff)
			}
		}
	}
}

func TestWhatIsKnownCostsNoQuery(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := store.NewDirectory(w.db)
	ask := func() error {
		_, err := d.Place(t.Context(), w.merchant[0].ID, "", "", w.terminal[0][0].ID)
		return err
	}
	must(t, ask())
	w.db.Close() // from here on, a query is an error
	for range 100 {
		must(t, ask())
	}
	if _, err := d.Place(t.Context(), w.merchant[0].ID, "", "", w.terminal[0][1].ID); err == nil {
		t.Error("what is not known was answered without a database")
	}
}

func TestOtherServersHearOfAChangeWithinASecond(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	m := w.merchant[0]
	d := watched(t, w.db)
	bp := func() int64 {
		got, err := d.Merchant(t.Context(), m.ID)
		must(t, err)
		return got.Settings.CashbackBP
	}
	if bp() != 500 {
		t.Fatalf("cashback = %d", bp())
	}
	m.Settings.CashbackBP = 750
	must(t, w.store.SaveSettings(t.Context(), m.Tenant(), m.Settings))
	if took := until(t, "the new setting", func() bool { return bp() == 750 }); took > time.Second {
		t.Errorf("heard after %v", took)
	}
}

// heard collects changes.
type heard struct {
	mu   sync.Mutex
	list []tenancy.Change
}

func (h *heard) Changed(c tenancy.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, c)
}

func (h *heard) take() []tenancy.Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.list
	h.list = nil
	return out
}

// TestAChangeThatCommitsLateIsHeard holds a transaction open across polls that
// hear later changes.
func TestAChangeThatCommitsLateIsHeard(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var h heard
	watcher := store.NewWatcher(w.db, &h, slog.New(slog.DiscardHandler))
	poll := func() []tenancy.Change {
		t.Helper()
		must(t, watcher.Poll(t.Context()))
		return h.take()
	}
	if diff := cmp.Diff([]tenancy.Change{{Kind: tenancy.ChangeAll}}, poll()); diff != "" {
		t.Fatalf("the first poll (-want +got):\n%s", diff)
	}
	if got := poll(); got != nil {
		t.Fatalf("heard %v of nothing", got)
	}
	late, quick := w.terminal[0][0].ID, w.terminal[0][1].ID
	tenant := w.merchant[0].Tenant()
	err := pg.Tx(t.Context(), w.db, func(ctx context.Context, q pg.Q) error {
		must(t, store.New(q).SetTerminalStatus(ctx, tenant, late, "retired"))
		must(t, w.store.SetTerminalStatus(ctx, tenant, quick, "retired"))
		if diff := cmp.Diff([]tenancy.Change{{Kind: tenancy.ChangeTerminal, ID: quick}}, poll()); diff != "" {
			t.Errorf("while one is open (-want +got):\n%s", diff)
		}
		if got := poll(); got != nil {
			t.Errorf("heard %v twice", got)
		}
		return nil
	})
	must(t, err)
	if diff := cmp.Diff([]tenancy.Change{{Kind: tenancy.ChangeTerminal, ID: late}}, poll()); diff != "" {
		t.Errorf("once it committed (-want +got):\n%s", diff)
	}
	if got := poll(); got != nil {
		t.Errorf("heard %v again", got)
	}
}

func TestEveryChangeThatIsCachedIsTold(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, k := w.key(t, tenancy.ScopeEnterprise)
	var h heard
	watcher := store.NewWatcher(w.db, &h, slog.New(slog.DiscardHandler))
	must(t, watcher.Poll(t.Context()))
	h.take()
	m, x := w.merchant[0], w.terminal[0][0]
	for _, step := range []struct {
		sql  string
		id   string
		want []tenancy.Change
	}{
		{`UPDATE merchants SET status = 'suspended' WHERE merchant_id = $1`, m.ID, []tenancy.Change{{Kind: tenancy.ChangeMerchant, ID: m.ID}}},
		{`UPDATE brands SET name = 'x' WHERE brand_id = $1`, x.BrandID, []tenancy.Change{{Kind: tenancy.ChangeBrand, ID: x.BrandID}}},
		{`UPDATE branches SET name = 'x' WHERE branch_id = $1`, x.BranchID, []tenancy.Change{{Kind: tenancy.ChangeBranch, ID: x.BranchID}}},
		{`DELETE FROM terminals WHERE terminal_id = $1`, x.ID, []tenancy.Change{{Kind: tenancy.ChangeTerminal, ID: x.ID}}},
		{`UPDATE api_keys SET operator = true WHERE key_id = $1`, k.ID, []tenancy.Change{{Kind: tenancy.ChangeKey, ID: k.ID}}},
		{`UPDATE api_keys SET last_used_at = now() WHERE key_id = $1`, k.ID, nil},
		{`UPDATE terminals SET last_seen_at = now() WHERE terminal_id = $1`, w.terminal[0][1].ID, nil},
		{`DELETE FROM api_keys WHERE key_id = $1`, k.ID, []tenancy.Change{{Kind: tenancy.ChangeKey, ID: k.ID}}},
	} {
		_, err := w.db.Q().Exec(t.Context(), step.sql, step.id)
		must(t, err)
		must(t, watcher.Poll(t.Context()))
		if diff := cmp.Diff(step.want, h.take()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.sql, diff)
		}
	}
}
