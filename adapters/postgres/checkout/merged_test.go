package checkout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
)

// family makes a customer with two identities that were merged into it, and one
// more, each with n sales, taken in turns.
func (b bundle) family(t *testing.T, n int) {
	t.Helper()
	for _, sql := range []string{
		`insert into customers (customer_id, tenant_no, state, status, merged_into, created_at)
		select c, $1, 'VERIFIED', case when c in ('cus_a', 'cus_b') then 'merged' else 'active' end, case when c in ('cus_a', 'cus_b') then 'cus_main' end, $2::timestamptz
		from unnest('{cus_main,cus_a,cus_b,cus_other}'::text[]) c where $3 > 0`,
		`insert into transactions (transaction_id, tenant_no, receipt_number, origin, branch_id, customer_id, currency, subtotal_minor, basket_discount_minor,
			tax_minor, discount_minor, total_minor, lines, offers, tenders, created_at)
		select 'txn_' || lpad(i::text, 6, '0'), $1, i::text, 'pos', 'brn_' || i % 2, (array['cus_main', 'cus_a', 'cus_b', 'cus_other'])[1 + i % 4], 'USD', 5, 0, 0, 0, 5,
			'[]', '[]', '[]', $2::timestamptz + i * interval '1 second' from generate_series(0, 4 * $3::int - 1) i`,
	} {
		if _, err := b.db.Q().Exec(t.Context(), sql, b.ours.No, now, n); err != nil {
			t.Fatal(err)
		}
	}
}

// A customer's list holds the sales of identities that were merged into it, in
// one order, and each once, however it is paged and narrowed.
func TestSalesOfMergedIdentitiesAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.family(t, 5)
	list := func(f checkout.Filter) (ids []string) {
		t.Helper()
		f.Limit = 3
		for range 100 {
			page, err := b.Transactions(t.Context(), b.ours, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page {
				ids = append(ids, strings.TrimLeft(strings.TrimPrefix(x.ID, "txn_"), "0")+x.Buyer.CustomerID[3:])
				f.After = checkout.Position{CreatedAt: x.CreatedAt, TransactionID: x.ID}
			}
			if len(page) < f.Limit {
				return ids
			}
		}
		t.Fatal("the pages have no end")
		return nil
	}
	var want, even []string
	for i := 19; i >= 0; i-- {
		if i%4 == 3 {
			continue // another customer's
		}
		id := strings.TrimLeft(fmt.Sprint(i), "0") + []string{"_main", "_a", "_b"}[i%4]
		if want = append(want, id); i%2 == 0 {
			even = append(even, id)
		}
	}
	for name, c := range map[string]struct {
		filter checkout.Filter
		want   []string
	}{
		"all":       {checkout.Filter{CustomerID: "cus_main"}, want},
		"completed": {checkout.Filter{CustomerID: "cus_main", Status: checkout.Completed}, want},
		"a branch":  {checkout.Filter{CustomerID: "cus_main", BranchID: "brn_0"}, even},
		"merged":    {checkout.Filter{CustomerID: "cus_a"}, []string{"17_a", "13_a", "9_a", "5_a", "1_a"}},
		"unknown":   {checkout.Filter{CustomerID: "cus_none"}, nil},
	} {
		if got := list(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
	voided := checkout.Transaction{ID: "txn_000013", Tenant: b.ours, CreatedAt: now.Add(13 * time.Second)}
	voided.Standing.VoidedAt = &now
	if err := b.SaveStanding(t.Context(), voided); err != nil {
		t.Fatal(err)
	}
	if got := list(checkout.Filter{CustomerID: "cus_main", Status: "voided"}); !slices.Equal(got, []string{"13_a"}) {
		t.Errorf("voided: %v", got)
	}
	foreign, err := b.Transactions(t.Context(), b.theirs, checkout.Filter{CustomerID: "cus_main", Limit: 3})
	if err != nil || len(foreign) != 0 {
		t.Errorf("another merchant reads %v: %v", foreign, err)
	}
}

// However many sales there are, a page of a customer's reads ranges of an index.
func TestAPageOfACustomersSalesReadsNoTableWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.family(t, 5_000)
	for _, sql := range []string{
		`insert into customers (customer_id, tenant_no, state, created_at) select 'cus_' || i, $1, 'VERIFIED', $2::timestamptz from generate_series(1, 5000) i`,
		`analyze customers`, `analyze transactions`,
	} {
		var args []any
		if strings.Contains(sql, "$1") {
			args = []any{b.ours.No, now}
		}
		if _, err := b.db.Q().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]checkout.Filter{
		"the first page": {},
		"a next page":    {After: checkout.Position{CreatedAt: now.Add(time.Hour), TransactionID: "txn_003600"}},
		"completed":      {Status: checkout.Completed},
	} {
		f.CustomerID, f.Limit = "cus_main", 51
		lines, err := pg.Many[string](t.Context(), b.db.Q(), `explain `+b.Page(b.ours, f))
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "transactions_customer") || !strings.Contains(plan, "customers_merged") {
			t.Errorf("%s is read by\n%s", name, plan)
		}
	}
}
