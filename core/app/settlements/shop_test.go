package settlements_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres"
	pgledger "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	pgtenancy "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// noon in New York, where the shop is.
var noon = time.Date(2026, 6, 12, 16, 0, 0, 0, time.UTC)

// shop is a merchant on a database of its own, with the use cases under test.
type shop struct {
	*settlements.Service
	t      testing.TB
	db     *pg.DB
	clock  *clock.Manual
	topups *topup.Service
	tenant tenancy.Tenant
	call   *app.Call
	guests int
}

func newShop(t testing.TB) *shop {
	t.Helper()
	db := pgtest.New(t)
	clk := clock.NewManual(noon)
	directory := pgtenancy.NewDirectory(db)
	s := &shop{t: t, db: db, clock: clk}
	uow := postgres.New(db, nil, nil)
	s.Service = &settlements.Service{UoW: uow, Clock: clk, IDs: ids.New(clk), Directory: directory}
	s.topups = &topup.Service{UoW: uow, Clock: clk, IDs: s.IDs, Directory: directory}
	s.tenant, s.call = s.merchant()
	return s
}

// merchant adds a merchant of a partner of its own.
func (s *shop) merchant() (tenancy.Tenant, *app.Call) {
	s.t.Helper()
	store := pgtenancy.New(s.db.Q())
	p := tenancy.Partner{ID: s.IDs.Make(ids.Partner), Name: "Partner", Sandbox: true, CreatedAt: noon}
	s.must(store.AddPartner(s.t.Context(), p))
	set := tenancy.DefaultSettings("USD")
	set.TimeZone = "America/New_York"
	m, err := store.AddMerchant(s.t.Context(), tenancy.Merchant{
		ID: s.IDs.Make(ids.Merchant), PartnerID: p.ID, Mode: tenancy.Sandbox, Name: "Shop",
		Status: tenancy.MerchantActive, Settings: set, CreatedAt: noon,
	})
	s.must(err)
	t := m.Tenant()
	return t, &app.Call{Tenant: t, Actor: tenancy.Actor{Kind: tenancy.KeyCall, PartnerID: p.ID, Mode: tenancy.Sandbox, Scope: tenancy.ScopeEnterprise}}
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// wants fails unless err is a fault of code.
func wants(t testing.TB, what string, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// in is a transaction on the shop's stores.
func (s *shop) in(fn func(ctx context.Context, st app.Stores) error) {
	s.t.Helper()
	s.must(s.UoW.Do(s.t.Context(), fn))
}

func (s *shop) customer() string {
	s.t.Helper()
	s.guests++
	id := s.IDs.Make(ids.Customer)
	_, err := s.db.Q().Exec(s.t.Context(), `INSERT INTO customers (customer_id, tenant_no, phone, state, created_at) VALUES ($1, $2, $4, 'VERIFIED', $3)`,
		id, s.tenant.No, noon, fmt.Sprintf("+1415555%04d", s.guests))
	s.must(err)
	s.must(s.UoW.Read().Ledger.OpenWallet(s.t.Context(), s.tenant, id, "USD"))
	return id
}

// deposit tops a wallet up through the provider.
func (s *shop) deposit(customer, reference string, amount int64) ledger.Topup {
	s.t.Helper()
	o, err := s.topups.Prepare(s.t.Context(), s.call, topup.PrepareInput{CustomerID: customer, AmountMinor: amount, Currency: "USD"})
	s.must(err)
	o, err = s.topups.Confirm(s.t.Context(), s.call, topup.ConfirmInput{TopupID: o.Topup.ID, Reference: reference})
	s.must(err)
	return o.Topup
}

// grant gives promotional credit.
func (s *shop) grant(customer string, source ledger.Source, amount int64, days int) {
	s.t.Helper()
	s.in(func(ctx context.Context, st app.Stores) error {
		now := s.clock.Now()
		_, err := grants.Issue(ctx, st, grants.IssueInput{
			Tenant: s.tenant, CustomerID: customer, Source: source, AmountMinor: amount, Currency: "USD",
			ExpiresAt: ledger.ExpiryAfter(now, days), Gate: tenancy.GateOnVerification, Now: now,
		})
		return err
	})
}

// sale is what a payment took.
type sale struct {
	payment, entry string
	debit          ledger.Debit
}

// pay debits a wallet at a brand, as the pipeline does: payment row and entry.
func (s *shop) pay(customer, brand string, amount int64) (out sale) {
	s.t.Helper()
	s.in(func(ctx context.Context, st app.Stores) error {
		book, err := st.Ledger.Book(ctx, s.tenant, customer)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		out = sale{payment: s.IDs.Make(ids.Payment), entry: s.IDs.Make(ids.Entry)}
		var short int64
		if out.debit, short = ledger.Spend(amount, book.Wallet.ActualMinor, book.Lots, now); short > 0 {
			out.debit, _ = ledger.Spend(amount-short, book.Wallet.ActualMinor, book.Lots, now)
		}
		if out.debit.AmountMinor() == 0 {
			out = sale{}
			return nil
		}
		c := ledger.Begin(book.Wallet)
		if err := c.Pay(ledger.Head{ID: out.entry, Kind: ledger.EntryPayment, RefID: out.payment, At: now}, out.debit, book.Lots); err != nil {
			return err
		}
		_, err = st.Ledger.Apply(ctx, c)
		return err
	})
	if out.payment == "" {
		return out
	}
	_, err := s.db.Q().Exec(s.t.Context(), `INSERT INTO payments (payment_id, tenant_no, customer_id, status, amount_minor, debited_promo_minor,
			debited_actual_minor, currency, credential_type, entry_id, brand_id, created_at)
		VALUES ($1, $2, $3, 'succeeded', $4, $5, $6, 'USD', 'qr', $7, $8, $9)`, out.payment, s.tenant.No, customer, out.debit.AmountMinor(),
		out.debit.PromoMinor(), out.debit.ActualMinor, out.entry, brand, s.clock.Now())
	s.must(err)
	return out
}

// back gives the actual part of a sale back, by a contra entry.
func (s *shop) back(customer string, of sale, kind ledger.EntryKind) {
	s.t.Helper()
	if of.debit.ActualMinor == 0 {
		return
	}
	s.in(func(ctx context.Context, st app.Stores) error {
		book, err := st.Ledger.Book(ctx, s.tenant, customer)
		if err != nil {
			return err
		}
		c := ledger.Begin(book.Wallet)
		head := ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: kind, RefID: "back_" + of.payment, Reverses: of.entry, At: s.clock.Now()}
		if _, err := c.Restore(head, ledger.Back{ActualMinor: of.debit.ActualMinor}, nil, 0, nil); err != nil {
			return err
		}
		_, err = st.Ledger.Apply(ctx, c)
		return err
	})
}

// gathered runs the background until all that was written is in batches. A
// transaction of another test may hold it back for a while.
func (s *shop) gathered() {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		_, err := s.Gather(s.t.Context(), 500)
		s.must(err)
		at, err := s.UoW.Read().Settlement.GatheredAt(s.t.Context())
		s.must(err)
		if at.Equal(s.clock.Now()) {
			return
		}
	}
	s.t.Fatal("not everything was gathered in time")
}

func (s *shop) batches(in settlements.BatchesInput) []settlement.Batch {
	s.t.Helper()
	p, err := s.Batches(s.t.Context(), s.call, in)
	s.must(err)
	return p.Batches
}

// count runs a query for one number.
func (s *shop) count(sql string, args ...any) int64 {
	s.t.Helper()
	n, err := pg.One[int64](s.t.Context(), s.db.Q(), sql, args...)
	s.must(err)
	return n
}

func (s *shop) events(kind string) int64 {
	s.t.Helper()
	return s.count("select count(*) from events where type = $1", kind)
}

// sound re-derives the books.
func (s *shop) sound() {
	s.t.Helper()
	_, n, err := ledger.Verify(s.t.Context(), pgledger.NewAudit(s.db), func(f ledger.Finding) { s.t.Error(f) })
	s.must(err)
	if n > 0 {
		s.t.Errorf("%d findings", n)
	}
}

// atOnce runs n calls that begin together.
func atOnce(n int, call func(i int)) {
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-begin
			call(i)
		})
	}
	close(begin)
	all.Wait()
}
