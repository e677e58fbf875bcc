package sandbox_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

var epoch = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// bench is the use case on real parts.
type bench struct {
	db    *pg.DB
	clock *clock.Manual
	uow   *postgres.UnitOfWork
	uses  *sandbox.Service
}

func setup(t *testing.T) *bench {
	t.Helper()
	db := pgtest.New(t)
	clk := clock.NewManual(epoch)
	source := ids.New(clk)
	uow := postgres.New(db, nil, nil)
	rules, err := celrules.New()
	must(t, err)
	incentive := &incentives.Service{UoW: uow, Clock: clk, IDs: source, Directory: store.NewDirectory(db), Rules: rules}
	return &bench{db: db, clock: clk, uow: uow, uses: &sandbox.Service{
		UoW: uow, Clock: clk, IDs: source,
		Seeders: []sandbox.Seeder{sandbox.Offers{From: incentive}, sandbox.Topups{}, sandbox.Guest{IDs: source}},
	}}
}

func (b *bench) create(t *testing.T, in sandbox.Input) sandbox.Credentials {
	t.Helper()
	c, err := b.uses.Create(t.Context(), &app.Call{Operation: "createSandboxCredentials"}, in)
	must(t, err)
	return c
}

// TestTheSeedMakesTheGoldenPathDecide checks the figures that the path shows.
func TestTheSeedMakesTheGoldenPathDecide(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.create(t, sandbox.Input{Currency: "QAR", Name: "Souq Coffee"})
	tenant, st := c.Merchant.Tenant(), b.uow.Read()
	if tenant.No == 0 || tenant.Mode != tenancy.Sandbox || c.Merchant.Name != "Souq Coffee" || c.Merchant.Settings.CashbackBP != 500 {
		t.Errorf("merchant %+v", c.Merchant)
	}
	if c.Key.Scope != tenancy.ScopeEnterprise || !c.Key.Operator || c.Key.Merchants[0] != tenant.MerchantID || c.Key.Hash != tenancy.HashKey(c.Raw) {
		t.Errorf("key %+v", c.Key)
	}

	if len(c.Seed.Offers) < 3 {
		t.Fatalf("seeded offers: %v", c.Seed.Offers)
	}
	targets := map[string]bool{}
	for _, id := range c.Seed.Offers {
		o, err := st.Offers.Offer(t.Context(), tenant, id, 0)
		must(t, err)
		if o.Status != offers.Active || o.Currency != "QAR" {
			t.Errorf("offer %+v", o)
		}
		for _, sku := range o.Targets.SKUs {
			targets["sku "+sku] = o.Value.AmountMinor == 50
		}
		for range o.Targets.Categories {
			targets["category"] = true
		}
		if o.Targets.BasketWide {
			targets["basket"] = true
		}
	}
	if diff := cmp.Diff(map[string]bool{"sku LATTE": true, "category": true, "basket": true}, targets); diff != "" {
		t.Errorf("offers (-want +got):\n%s", diff)
	}

	tiers, err := st.Ledger.Tiers(t.Context(), tenant, "QAR")
	must(t, err)
	for amount, want := range map[int64]int64{999: 0, 1000: 50, 2499: 50, 2500: 250, 5000: 750} {
		if tier, _ := tiers.Earned(amount); tier.BonusMinor != want {
			t.Errorf("a top-up of %d earns %d, want %d", amount, tier.BonusMinor, want)
		}
	}
	sku, err := st.Ledger.SKU(t.Context(), tenant, c.Seed.SKUs[0])
	if err != nil || !sku.Active || sku.Currency != "QAR" {
		t.Errorf("SKU %+v, %v", sku, err)
	}

	guest := c.Seed.Customers[0]
	found, err := st.Identity.CustomerByPhone(t.Context(), tenant, "+14155550101")
	must(t, err)
	if found == nil || found.ID != guest.ID || guest.Phone != "+14155550101" || found.State != identity.Verified || found.VerifiedAt == nil {
		t.Errorf("guest %+v", found)
	}
	balance, err := st.Ledger.Balance(t.Context(), tenant, guest.ID)
	must(t, err)
	if diff := cmp.Diff(ledger.Balance{CustomerID: guest.ID, Currency: "QAR", Version: balance.Version, Grants: balance.Grants}, balance); diff != "" || len(balance.Grants) != 0 {
		t.Errorf("balance (-want +got):\n%s", diff)
	}
}

func TestSandboxesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.create(t, sandbox.Input{}), b.create(t, sandbox.Input{})
	if one.Merchant.Settings.Currencies[0] != "USD" {
		t.Errorf("default currency %v", one.Merchant.Settings.Currencies)
	}
	st := b.uow.Read()
	if _, err := st.Offers.Offer(t.Context(), two.Merchant.Tenant(), one.Seed.Offers[0], 0); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("an offer of the other one: %v", err)
	}
	if _, err := st.Ledger.Balance(t.Context(), two.Merchant.Tenant(), one.Seed.Customers[0].ID); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("a wallet of the other one: %v", err)
	}
}

// broken seeds nothing, at the end.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) Seed(context.Context, app.Stores, tenancy.Merchant, time.Time) (sandbox.Seeded, error) {
	return sandbox.Seeded{}, errBroken
}

func TestAHalfSeededSandboxDoesNotExist(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.rows(t)
	b.uses.Seeders = append(b.uses.Seeders, broken{})
	if _, err := b.uses.Create(t.Context(), &app.Call{}, sandbox.Input{}); !errors.Is(err, errBroken) {
		t.Fatalf("err = %v", err)
	}
	if diff := cmp.Diff(before, b.rows(t)); diff != "" {
		t.Errorf("it left something:\n%s", diff)
	}
	if _, err := b.uses.Create(t.Context(), &app.Call{}, sandbox.Input{Currency: "ABC"}); !fault.Is(err, fault.CodeUnsupportedCurrency) {
		t.Errorf("a currency that is none: %v", err)
	}
}

// rows counts the rows of every table but the log of changes.
func (b *bench) rows(t *testing.T) map[string]int64 {
	t.Helper()
	tables, err := pg.Many[string](t.Context(), b.db.Q(), `SELECT oid::regclass::text FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'tenancy_changes'`)
	must(t, err)
	counts := map[string]int64{}
	for _, table := range tables {
		n, err := pg.One[int64](t.Context(), b.db.Q(), `SELECT count(*) FROM `+table)
		must(t, err)
		if n > 0 {
			counts[table] = n
		}
	}
	return counts
}

func TestARetriedCreationMakesOneSandbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	call := &app.Call{Operation: "createSandboxCredentials", Pin: &app.Pin{
		Scope: idempotency.Scope{
			PartnerID: "anonymous", Mode: tenancy.Sandbox, Operation: "createSandboxCredentials", Key: "7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11",
		},
		Encode: func(result any, _ *fault.Error) (idempotency.Outcome, error) {
			return idempotency.Outcome{Status: 201, Body: []byte(result.(sandbox.Credentials).Merchant.ID)}, nil
		},
	}}
	first, err := b.uses.Create(t.Context(), call, sandbox.Input{})
	must(t, err)
	var replay *app.Replay
	if _, err := b.uses.Create(t.Context(), call, sandbox.Input{}); !errors.As(err, &replay) || string(replay.Record.Outcome.Body) != first.Merchant.ID {
		t.Fatalf("again: %v", err)
	}
	if n := b.rows(t)["merchants"]; n != 1 {
		t.Errorf("%d merchants", n)
	}
}

// TestSweepLeavesNothing: a sandbox with money in it goes after 30 idle days,
// with every row that it had, and nothing else goes.
func TestSweepLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	kept := b.create(t, sandbox.Input{})
	alone := b.rows(t)
	gone := b.create(t, sandbox.Input{})
	b.spendable(t, gone)
	if len(b.rows(t)) <= len(alone) {
		t.Fatal("the sandbox that goes has no rows of its own; the test shows nothing")
	}

	b.clock.Advance(sandbox.IdleLife - time.Second)
	if n, err := b.uses.Sweep(t.Context(), 10); n != 0 || err != nil {
		t.Fatalf("a second early: %d, %v", n, err)
	}
	must(t, store.New(b.db.Q()).Touch(t.Context(), map[string]time.Time{kept.Key.ID: b.clock.Now()}))
	b.clock.Advance(2 * time.Second)
	for i, want := range []int{1, 0} {
		if n, err := b.uses.Sweep(t.Context(), 10); n != want || err != nil {
			t.Fatalf("sweep %d = %d, %v", i, n, err)
		}
	}
	if diff := cmp.Diff(alone, b.rows(t)); diff != "" {
		t.Errorf("rows of the other one alone, and left (-want +got):\n%s", diff)
	}
	b.clock.Advance(sandbox.IdleLife)
	if n, err := b.uses.Sweep(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("the other one in its time: %d, %v", n, err)
	}
	if left := b.rows(t); left["customers"]+left["partners"]+left["events"]+left["offers"] != 0 {
		t.Errorf("left: %v", left)
	}
}

// spendable puts a top-up into the guest's wallet: entries and postings, which
// are immutable otherwise.
func (b *bench) spendable(t *testing.T, c sandbox.Credentials) {
	t.Helper()
	tenant, source := c.Merchant.Tenant(), ids.New(b.clock)
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		book, err := st.Ledger.Book(ctx, tenant, c.Seed.Customers[0].ID)
		if err != nil {
			return err
		}
		change := ledger.Begin(book.Wallet)
		head := ledger.Head{ID: source.Make(ids.Entry), Kind: ledger.EntryTopup, RefID: source.Make(ids.Topup), At: b.clock.Now()}
		if err := change.Deposit(head, 2500); err != nil {
			return err
		}
		_, err = st.Ledger.Apply(ctx, change)
		return err
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
