package checkout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	store "github.com/feddi/feddi/adapters/postgres/checkout"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

var now = time.Date(2026, 6, 12, 8, 0, 0, 123456000, time.UTC)

type bundle struct {
	db *pg.DB
	*store.Store
	ours, theirs tenancy.Tenant
}

func setup(t *testing.T) bundle {
	db := pgtest.New(t)
	b := bundle{db: db, Store: store.New(db.Q())}
	b.ours, b.theirs = tenant(t, db, "mer_a"), tenant(t, db, "mer_b")
	return b
}

func tenant(t *testing.T, db *pg.DB, merchant string) tenancy.Tenant {
	t.Helper()
	no, err := pg.One[int32](t.Context(), db.Q(), `
		with p as (insert into partners (partner_id, name, created_at) values ('par_' || $1::text, 'P', $2) returning partner_id)
		insert into merchants (merchant_id, partner_id, live, name, settings, created_at)
		select $1::text, partner_id, false, 'Bean', '{}', $2 from p returning tenant_no`, merchant, now)
	if err != nil {
		t.Fatal(err)
	}
	return tenancy.Tenant{PartnerID: "par_" + merchant, Mode: tenancy.Sandbox, MerchantID: merchant, No: no}
}

func (b bundle) session(id string) checkout.Session {
	return checkout.Session{
		ID: id, Tenant: b.ours, Version: 1, State: checkout.Open, Currency: "USD", Origin: checkout.OriginPOS, Channel: "in_store",
		Place: tenancy.Place{BrandID: "brd_1", BranchID: "brn_1", TerminalID: "trm_1"}, CashierID: "c-17", Locale: "en-US",
		OpenedAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

func (b bundle) open(t *testing.T, id string) checkout.Session {
	t.Helper()
	s := b.session(id)
	if err := b.Insert(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASessionReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, "cs_1")
	got, err := b.Session(t.Context(), b.ours, "cs_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	s.CustomerID, s.CredentialType, s.Probationary = "cus_1", "phone", true
	s.BasketRevision, s.BasketMinor, s.DiscountMinor, s.PaidMinor = 2, 1275, 100, 1175
	if s, err = b.Save(t.Context(), s.Close("txn_1", now.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	if got, err = b.Session(t.Context(), b.ours, "cs_1"); err != nil || s.Version != 2 {
		t.Fatal(err, s.Version)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
}

func TestTheTenantIsTheBoundary(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, "cs_1")
	if _, err := b.Session(t.Context(), b.theirs, "cs_1"); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("read: %v", err)
	}
	foreign := s
	foreign.Tenant = b.theirs
	if _, err := b.Save(t.Context(), foreign); !fault.Is(err, fault.CodeStateConflict) {
		t.Errorf("write: %v", err)
	}
	tx := b.record(t, b.sale("txn_1", now))
	if _, err := b.Transaction(t.Context(), b.theirs, tx.ID); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("transaction: %v", err)
	}
	if id, err := b.TransactionOfPayment(t.Context(), b.theirs, "pay_txn_1"); err != nil || id != "" {
		t.Errorf("payment: %q, %v", id, err)
	}
	all, err := b.Transactions(t.Context(), b.theirs, checkout.Filter{IncludeUnidentified: true, Limit: 10})
	if err != nil || len(all) != 0 {
		t.Errorf("list: %v, %v", all, err)
	}
}

func TestOfConcurrentSavesOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, "cs_1")
	var wins, losses int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			mine := s
			mine.CustomerID = fmt.Sprintf("cus_%d", i)
			_, err := b.Save(t.Context(), mine)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				wins++
			case fault.Is(err, fault.CodeStateConflict):
				losses++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins != 1 || losses != 7 {
		t.Errorf("%d wins, %d losses", wins, losses)
	}
}

func TestBasketRevisions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, "cs_1")
	if _, err := b.Basket(t.Context(), b.ours, "cs_1", 0); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("no basket yet: %v", err)
	}
	first, err := checkout.Draft{Lines: []checkout.Line{{LineID: "1", SKU: "LATTE", Quantity: 2, UnitPriceMinor: 450, TaxMinor: 3}}}.Price(s, now)
	if err != nil {
		t.Fatal(err)
	}
	s.BasketRevision = 1
	second, err := checkout.Draft{}.Price(s, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, basket := range []checkout.Basket{first, second} {
		if err := b.AddBasket(t.Context(), b.ours, basket); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.AddBasket(t.Context(), b.ours, second); !fault.Is(err, fault.CodeRevisionConflict) {
		t.Errorf("the same revision twice: %v", err)
	}
	for revision, want := range map[int64]checkout.Basket{0: second, 1: first, 2: second} {
		got, err := b.Basket(t.Context(), b.ours, "cs_1", revision)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("revision %d: %v (-want +got):\n%s", revision, err, diff)
		}
	}
	if _, err := b.Basket(t.Context(), b.ours, "cs_1", 3); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("revision 3: %v", err)
	}
}

func TestClaimExpiredSharesTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 3 {
		s := b.session(fmt.Sprintf("cs_%d", i))
		s.ExpiresAt = now.Add(time.Duration(i) * time.Minute)
		if err := b.Insert(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	at := now.Add(time.Minute) // cs_2 is not over yet
	err := pg.Tx(t.Context(), b.db, func(ctx context.Context, q pg.Q) error {
		mine, err := store.New(q).ClaimExpired(ctx, at, checkout.Due{})
		if err != nil || mine == nil || mine.ID != "cs_0" {
			return fmt.Errorf("first claim: %v, %w", mine, err)
		}
		if diff := cmp.Diff(b.ours, mine.Tenant); diff != "" {
			t.Errorf("tenant:\n%s", diff)
		}
		return pg.Tx(ctx, b.db, func(ctx context.Context, q pg.Q) error {
			other, err := store.New(q).ClaimExpired(ctx, at, checkout.Due{})
			if err != nil || other == nil || other.ID != "cs_1" {
				return fmt.Errorf("the claim of another worker: %v, %w", other, err)
			}
			none, err := store.New(q).ClaimExpired(ctx, at, checkout.Due{ExpiresAt: other.ExpiresAt, SessionID: other.ID})
			if err != nil || none != nil {
				return fmt.Errorf("a session that is not over was claimed: %v, %w", none, err)
			}
			_, err = store.New(q).Save(ctx, other.Expire())
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Session(t.Context(), b.ours, "cs_1")
	if err != nil || s.State != checkout.Expired || !s.EndedAt.Equal(now.Add(time.Minute)) {
		t.Errorf("expired = %+v, %v", s, err)
	}
}

func (b bundle) sale(id string, at time.Time) checkout.Transaction {
	return checkout.Transaction{
		ID: id, Tenant: b.ours, Origin: checkout.OriginPOS, Channel: "in_store", SessionID: "cs_" + id,
		Place: tenancy.Place{BrandID: "brd_1", BranchID: "brn_1", TerminalID: "trm_1"}, CashierID: "c-17", Locale: "en-US",
		Buyer: checkout.Buyer{CustomerID: "cus_1", State: "VERIFIED", CredentialType: "phone"}, Currency: "USD",
		SubtotalMinor: 1275, DiscountMinor: 100, TotalMinor: 1175,
		Lines:   []checkout.Line{{LineID: "1", SKU: "LATTE", Name: "Caffe latte", Category: "coffee", Quantity: 2, UnitPriceMinor: 450, TotalMinor: 900}},
		Offers:  []checkout.AppliedOffer{{ApplicationID: "apl_1", OfferID: "off_1", OfferVersion: 1, Kind: "item_discount", Title: "50 off", State: "redeemed", DiscountMinor: 100, Lines: []checkout.OfferShare{{LineID: "1", DiscountMinor: 100}}, AppliedAt: now}},
		Tenders: []checkout.Paid{{Tender: checkout.Tender{Type: checkout.Wallet, AmountMinor: 1175, PaymentID: "pay_" + id}, DebitedPromoMinor: 250, DebitedActualMinor: 925, EntryIDs: []string{"ent_1"}}},
		TraceID: "dt_1", CreatedAt: at,
	}
}

func (b bundle) record(t *testing.T, tx checkout.Transaction) checkout.Transaction {
	t.Helper()
	out := tx
	err := pg.Tx(t.Context(), b.db, func(ctx context.Context, q pg.Q) error {
		out = tx
		return store.New(q).Record(ctx, &out)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestATransactionReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx := b.record(t, b.sale("txn_1", now))
	if tx.ReceiptNumber != "01-000001" {
		t.Errorf("receipt number = %s", tx.ReceiptNumber)
	}
	got, err := b.Transaction(t.Context(), b.ours, "txn_1")
	if diff := cmp.Diff(tx, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if id, err := b.TransactionOfPayment(t.Context(), b.ours, "pay_txn_1"); err != nil || id != "txn_1" {
		t.Errorf("of payment: %q, %v", id, err)
	}
}

func TestTransactionsAreImmutable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(t, b.sale("txn_1", now))
	for _, statement := range []string{
		"update transactions set cashier_id = 'x' where tenant_no = $1",
		"delete from transactions where tenant_no = $1",
	} {
		if _, err := b.db.Q().Exec(t.Context(), statement, b.ours.No); err == nil {
			t.Errorf("%s: went through", statement)
		}
	}
}

func TestAPaymentBelongsToOneTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wins int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			tx := b.sale(fmt.Sprintf("txn_%d", i), now)
			tx.Tenders[0].PaymentID = "pay_1"
			err := pg.Tx(t.Context(), b.db, func(ctx context.Context, q pg.Q) error {
				mine := tx
				return store.New(q).Record(ctx, &mine)
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins++
			} else if !errors.Is(err, checkout.ErrRecorded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins != 1 {
		t.Errorf("%d transactions for one payment", wins)
	}
	if tx := b.record(t, b.sale("txn_x", now)); tx.ReceiptNumber != "01-000002" {
		t.Errorf("the next receipt is %s: those undone left a gap", tx.ReceiptNumber)
	}
}

func TestReceiptNumbersRisePerBranchAndAreUniquePerMerchant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for i := range 24 {
		wg.Go(func() {
			tx := b.sale(fmt.Sprintf("txn_%02d", i), now)
			tx.BranchID = fmt.Sprintf("brn_%d", i%3)
			got := b.record(t, tx)
			mu.Lock()
			defer mu.Unlock()
			if seen[got.ReceiptNumber] {
				t.Errorf("%s was given twice", got.ReceiptNumber)
			}
			seen[got.ReceiptNumber] = true
		})
	}
	wg.Wait()
	for series := 1; series <= 3; series++ {
		for n := 1; n <= 8; n++ {
			if number := fmt.Sprintf("%02d-%06d", series, n); !seen[number] {
				t.Errorf("%s was left out", number)
			}
		}
	}
}

func TestTheListIsStableUnderInserts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := ids.New(fixed{now})
	var want []string
	for i := range 7 {
		tx := b.sale(source.Make(ids.Transaction), now.Add(time.Duration(i/2)*time.Second)) // pairs share an instant
		b.record(t, tx)
		want = append([]string{tx.ID}, want...)
	}
	slicesByPosition(want, b, t)
	var got []string
	filter := checkout.Filter{Limit: 2}
	for page := 0; ; page++ {
		list, err := b.Transactions(t.Context(), b.ours, filter)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, tx := range list {
			got = append(got, tx.ID)
		}
		last := list[len(list)-1]
		filter.After = checkout.Position{CreatedAt: last.CreatedAt, TransactionID: last.ID}
		b.record(t, b.sale(source.Make(ids.Transaction), now.Add(time.Hour+time.Duration(page)*time.Second))) // a sale while we page
	}
	if len(got) != len(want) {
		t.Fatalf("listed %d of %d: %v", len(got), len(want), got)
	}
	seen := map[string]bool{}
	for _, id := range got {
		if seen[id] {
			t.Errorf("%s was listed twice", id)
		}
		seen[id] = true
	}
}

// slicesByPosition checks that the list is in order, latest first.
func slicesByPosition(want []string, b bundle, t *testing.T) {
	t.Helper()
	list, err := b.Transactions(t.Context(), b.ours, checkout.Filter{Limit: 100})
	if err != nil || len(list) != len(want) {
		t.Fatalf("%d of %d, %v", len(list), len(want), err)
	}
	for i := 1; i < len(list); i++ {
		a, z := list[i-1], list[i]
		if a.CreatedAt.Before(z.CreatedAt) || a.CreatedAt.Equal(z.CreatedAt) && a.ID < z.ID {
			t.Errorf("%s stands before %s", a.ID, z.ID)
		}
	}
}

type fixed struct{ at time.Time }

func (f fixed) Now() time.Time { return f.at }

func TestFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	known, unknown, elsewhere := b.sale("txn_1", now), b.sale("txn_2", now.Add(time.Second)), b.sale("txn_3", now.Add(2*time.Second))
	unknown.Buyer, unknown.Tenders = checkout.Buyer{}, []checkout.Paid{{Tender: checkout.Tender{Type: "cash", AmountMinor: 1175}}}
	elsewhere.BranchID, elsewhere.TerminalID, elsewhere.Buyer.CustomerID = "brn_2", "trm_2", "cus_2"
	for _, tx := range []checkout.Transaction{known, unknown, elsewhere} {
		b.record(t, tx)
	}
	second := now.Add(time.Second)
	for name, c := range map[string]struct {
		filter checkout.Filter
		want   []string
	}{
		"identified by default": {checkout.Filter{}, []string{"txn_3", "txn_1"}},
		"all":                   {checkout.Filter{IncludeUnidentified: true}, []string{"txn_3", "txn_2", "txn_1"}},
		"branch":                {checkout.Filter{BranchID: "brn_2"}, []string{"txn_3"}},
		"a branch's credential": {checkout.Filter{Reach: tenancy.Place{BrandID: "brd_1", BranchID: "brn_2"}}, []string{"txn_3"}},
		"another brand's":       {checkout.Filter{Reach: tenancy.Place{BrandID: "brd_2"}, IncludeUnidentified: true}, []string{}},
		"terminal":              {checkout.Filter{TerminalID: "trm_1", IncludeUnidentified: true}, []string{"txn_2", "txn_1"}},
		"customer":              {checkout.Filter{CustomerID: "cus_1"}, []string{"txn_1"}},
		"session":               {checkout.Filter{SessionID: "cs_txn_3"}, []string{"txn_3"}},
		"from":                  {checkout.Filter{CreatedFrom: &second, IncludeUnidentified: true}, []string{"txn_3", "txn_2"}},
		"before":                {checkout.Filter{CreatedBefore: &second, IncludeUnidentified: true}, []string{"txn_1"}},
	} {
		c.filter.Limit = 10
		list, err := b.Transactions(t.Context(), b.ours, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, tx := range list {
			got = append(got, tx.ID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func (b bundle) pending(transaction string, kind actuation.Kind) checkout.Ruling {
	return checkout.Ruling{
		TransactionID: transaction, Tenant: b.ours, Kind: kind, State: checkout.Pending, DecisionID: "dec_1", TraceID: "dt_2", CreatedAt: now,
		Snapshot: actuation.Snapshot{ID: "dec_1", Kind: kind, PartnerID: b.ours.PartnerID, MerchantID: b.ours.MerchantID, At: now, Currency: "USD", AmountMinor: 1175, Facts: json.RawMessage(`{"b":1,"a":2}`)},
	}
}

func TestAPendingRulingIsLeasedAndDecidedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(t, b.sale("txn_1", now))
	r := b.pending("txn_1", actuation.KindCashback)
	if err := b.AddRulings(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	claim := func(at time.Time) []checkout.Ruling {
		t.Helper()
		claimed, err := b.ClaimPending(t.Context(), tenancy.Sandbox, at, 10*time.Second, time.Minute, 5)
		if err != nil {
			t.Fatal(err)
		}
		return claimed
	}
	if others, err := b.ClaimPending(t.Context(), tenancy.Production, now, 10*time.Second, time.Minute, 5); err != nil || len(others) != 0 {
		t.Fatalf("a server of the other mode claimed %+v, %v", others, err)
	}
	first := claim(now)
	if len(first) != 1 {
		t.Fatalf("claimed %d", len(first))
	}
	want := r
	want.Attempts = 1
	if diff := cmp.Diff(want, first[0], cmp.Comparer(func(a, z []checkout.AttributedOffer) bool { return len(a) == len(z) })); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	if again := claim(now.Add(9 * time.Second)); len(again) != 0 {
		t.Error("a leased ruling was claimed again")
	}
	// Each lease is twice as long, up to the longest.
	at := now
	for _, lease := range []int{10, 20, 40, 60, 60} {
		at = at.Add(time.Duration(lease) * time.Second)
		if early := claim(at.Add(-time.Microsecond)); len(early) != 0 {
			t.Fatalf("claimed before its lease of %d s ended", lease)
		}
		if due := claim(at); len(due) != 1 {
			t.Fatalf("not claimed after its lease of %d s", lease)
		}
	}
	decided := first[0].Decided(actuation.Plan{SnapshotID: "dec_1", Refusal: "nothing_to_give"}, actuation.Manifest{Name: "cashback", Version: "1.0.0"}, now)
	if err := b.Decide(t.Context(), decided); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), decided); !errors.Is(err, checkout.ErrDecided) {
		t.Errorf("decided twice: %v", err)
	}
	if left := claim(now.Add(24 * time.Hour)); len(left) != 0 {
		t.Error("a decided ruling was claimed")
	}
	got, err := b.Ruling(t.Context(), b.ours, "txn_1", actuation.KindCashback)
	if err != nil || got.State != checkout.Refused || got.Plan.Refusal != "nothing_to_give" || got.Actuator != "cashback" || got.DecidedAt == nil {
		t.Errorf("ruling = %+v, %v", got, err)
	}
	tx, err := b.Transaction(t.Context(), b.ours, "txn_1")
	if err != nil || len(tx.Rulings) != 1 || tx.Rulings[0].State != checkout.Refused {
		t.Errorf("the transaction shows %+v, %v", tx.Rulings, err)
	}
}

func TestWorkersShareClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 20 {
		id := fmt.Sprintf("txn_%02d", i)
		b.record(t, b.sale(id, now))
		if err := b.AddRulings(t.Context(), b.pending(id, actuation.KindCashback), b.pending(id, actuation.KindAttribution)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]int{}
	for range 4 {
		wg.Go(func() {
			for {
				claimed, err := b.ClaimPending(t.Context(), tenancy.Sandbox, now, time.Minute, time.Hour, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, r := range claimed {
					seen[r.TransactionID+string(r.Kind)]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 40 {
		t.Errorf("%d of 40 were claimed", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
}
