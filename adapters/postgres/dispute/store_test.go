package dispute_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	store "github.com/feddi/feddi/adapters/postgres/dispute"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

var (
	noon   = time.Date(2026, 6, 12, 12, 0, 0, 0, time.UTC)
	tenant = tenancy.Tenant{No: 7, PartnerID: "par_1", MerchantID: "mer_1", Mode: tenancy.Sandbox}
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What is written is what is read, open and resolved, by its own tenant only.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := store.New(pgtest.New(t).Q())
	d := dispute.Dispute{
		ID: "dsp_1", Tenant: tenant, TransactionID: "txn_1", CustomerID: "cus_1", Place: tenancy.Place{BrandID: "brd_1", BranchID: "brn_1"},
		State: dispute.Open, Reason: "other", AmountMinor: 5, Currency: "USD", Description: "x",
		Evidence: []dispute.Evidence{{Type: "log", Text: "y", URL: "https://example.com/", Facts: []byte(`{"a": 1}`)}},
		History:  []dispute.Step{{Type: "opened", ActorID: "key_1", At: noon}}, OpenedAt: noon, DueAt: noon.Add(dispute.Life),
	}
	must(t, s.Insert(t.Context(), d))
	read := func() dispute.Dispute {
		got, err := s.Dispute(t.Context(), tenant, d.ID)
		must(t, err)
		return got
	}
	utc := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(d, read(), utc); diff != "" {
		t.Error(diff)
	}
	second := d
	second.ID = "dsp_2"
	if err := s.Insert(t.Context(), second); !fault.Is(err, fault.CodeStateConflict) {
		t.Errorf("a second open one: %v", err)
	}
	resolved, err := d.Resolve(dispute.Resolution{Outcome: dispute.ForCustomer, ActualMinor: 3, PromoMinor: 1, ForfeitedMinor: 1, EntryIDs: []string{"ent_1"}, Note: "z"}, "key_2", noon.Add(time.Hour))
	must(t, err)
	must(t, s.SaveResolved(t.Context(), resolved))
	if diff := cmp.Diff(resolved, read(), utc); diff != "" {
		t.Error(diff)
	}
	must(t, s.Insert(t.Context(), second)) // the first is resolved
	foreign := tenant
	foreign.No++
	if _, err := s.Dispute(t.Context(), foreign, d.ID); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("for another tenant: %v", err)
	}
	if list, err := s.List(t.Context(), foreign, dispute.Filter{Before: noon.AddDate(1, 0, 0), Limit: 5}); err != nil || len(list) != 0 {
		t.Errorf("listed for another tenant: %+v, %v", list, err)
	}
}

// A customer's list has what was disputed as somebody who is that customer by now.
func TestListFollowsMerges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := store.New(db.Q())
	for id, customer := range map[string]string{"dsp_1": "cus_1", "dsp_2": "cus_2", "dsp_3": "cus_3"} {
		must(t, s.Insert(t.Context(), dispute.Dispute{
			ID: id, Tenant: tenant, TransactionID: "txn" + id, CustomerID: customer, State: dispute.Open, Reason: "other", AmountMinor: 5, Currency: "USD",
			OpenedAt: noon, DueAt: noon.Add(dispute.Life),
		}))
	}
	_, err := db.Q().Exec(t.Context(), `insert into customers (customer_id, tenant_no, state, status, merged_into, created_at, updated_at)
		values ('cus_1', 7, 'VERIFIED', 'active', null, $1, $1), ('cus_2', 7, 'VERIFIED', 'merged', 'cus_1', $1, $1)`, noon)
	must(t, err)
	for customer, want := range map[string]string{"cus_1": "dsp_2 dsp_1", "cus_2": "dsp_2", "cus_3": "dsp_3"} {
		list, err := s.List(t.Context(), tenant, dispute.Filter{CustomerID: customer, Before: noon.AddDate(1, 0, 0), Limit: 5})
		must(t, err)
		var got []string
		for _, d := range list {
			got = append(got, d.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("of %s: %v, want %s", customer, got, want)
		}
	}
}

// No list reads the table whole or sorts it, whatever it is filtered by.
func TestListsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, err := db.Q().Exec(t.Context(), `insert into disputes (dispute_id, tenant_no, transaction_id, customer_id, state, reason, amount_minor, currency,
			evidence, history, outcome, opened_at, due_at, resolved_at)
		select 'dsp_' || n, 7, 'txn_' || n, 'cus_' || n % 500, case when n % 50 = 0 then 'open' else 'resolved' end, 'other', 5, 'USD',
			'[]', '[]', case when n % 50 = 0 then null else 'merchant' end, $1::timestamptz + n * interval '1 second', $1, case when n % 50 = 0 then null else $1::timestamptz end
		from generate_series(1, 20000) n`, noon)
	must(t, err)
	_, err = db.Q().Exec(t.Context(), `analyze disputes`)
	must(t, err)
	s := store.New(db.Q())
	for _, f := range []dispute.Filter{
		{}, {State: dispute.Open}, {State: dispute.Resolved}, {TransactionID: "txn_77"}, {CustomerID: "cus_77"}, {CustomerID: "cus_77", State: dispute.Open},
	} {
		f.Before, f.BeforeID, f.Limit = noon.Add(4*time.Hour), "dsp_9", 51
		rows, err := db.Pool().Query(t.Context(), "explain "+s.Query(tenant, f))
		must(t, err)
		var plan []string
		for rows.Next() {
			var line string
			must(t, rows.Scan(&line))
			plan = append(plan, line)
		}
		must(t, rows.Err())
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan") || !strings.Contains(text, "disputes_") {
			t.Errorf("%s is read by\n%s", fmt.Sprintf("%+v", f), text)
		}
	}
}
