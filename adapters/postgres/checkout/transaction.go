package checkout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// transactionRow is a transaction as the table has it.
type transactionRow struct {
	TransactionID       string
	ReceiptNumber       string
	Origin              string
	Channel             string
	SessionID           string
	BrandID             string
	BranchID            string
	TerminalID          string
	CashierID           string
	Locale              string
	CustomerID          string
	CustomerState       string
	CredentialType      string
	Probationary        bool
	Currency            string
	SubtotalMinor       int64
	BasketDiscountMinor int64
	TaxMinor            int64
	DiscountMinor       int64
	TotalMinor          int64
	Lines               json.RawMessage
	Offers              json.RawMessage
	Tenders             json.RawMessage
	TraceID             string
	CreatedAt           time.Time
}

func (r transactionRow) transaction(t tenancy.Tenant) (checkout.Transaction, error) {
	out := checkout.Transaction{
		ID: r.TransactionID, Tenant: t, ReceiptNumber: r.ReceiptNumber, Origin: r.Origin, Channel: r.Channel,
		SessionID: r.SessionID, Place: tenancy.Place{BrandID: r.BrandID, BranchID: r.BranchID, TerminalID: r.TerminalID},
		CashierID: r.CashierID, Locale: r.Locale,
		Buyer: checkout.Buyer{
			CustomerID: r.CustomerID, State: r.CustomerState, CredentialType: r.CredentialType, Probationary: r.Probationary,
		},
		Currency: r.Currency, SubtotalMinor: r.SubtotalMinor, BasketDiscountMinor: r.BasketDiscountMinor,
		TaxMinor: r.TaxMinor, DiscountMinor: r.DiscountMinor, TotalMinor: r.TotalMinor,
		TraceID: r.TraceID, CreatedAt: r.CreatedAt,
	}
	err := errors.Join(json.Unmarshal(r.Lines, &out.Lines), json.Unmarshal(r.Offers, &out.Offers), json.Unmarshal(r.Tenders, &out.Tenders))
	if err != nil {
		return out, fmt.Errorf("read transaction %s: %w", r.TransactionID, err)
	}
	return out, nil
}

const transactionHead = `transaction_id, receipt_number, origin, channel, coalesce(session_id, '') as session_id, brand_id,
  branch_id, terminal_id, cashier_id, locale, coalesce(customer_id, '') as customer_id, customer_state, credential_type,
  probationary, currency, subtotal_minor, basket_discount_minor, tax_minor, discount_minor, total_minor, tenders, trace_id,
  created_at`

const findTransaction = `
select ` + transactionHead + `, lines, offers from transactions where tenant_no = $1 and transaction_id = $2`

// Transaction implements checkout.Transactions.
func (s *Store) Transaction(ctx context.Context, t tenancy.Tenant, id string) (checkout.Transaction, error) {
	row, err := pg.Maybe[transactionRow](ctx, s.q, findTransaction, t.No, id)
	switch {
	case err != nil:
		return checkout.Transaction{}, err
	case row == nil:
		return checkout.Transaction{}, fault.NotFound("transaction")
	}
	out, err := row.transaction(t)
	if err != nil {
		return out, err
	}
	rulings, err := s.rulings(ctx, t, []string{id})
	if err != nil {
		return out, err
	}
	standings, err := s.standings(ctx, t, []string{id})
	out.Rulings, out.Standing = rulings[id], standings[id]
	return out, err
}

const findTransactionOfPayment = `select transaction_id from transaction_payments where tenant_no = $1 and payment_id = $2`

// TransactionOfPayment implements checkout.Transactions.
func (s *Store) TransactionOfPayment(ctx context.Context, t tenancy.Tenant, paymentID string) (string, error) {
	id, err := pg.Maybe[string](ctx, s.q, findTransactionOfPayment, t.No, paymentID)
	if err != nil || id == nil {
		return "", err
	}
	return *id, nil
}

const findBranchName = `select name from branches where tenant_no = $1 and branch_id = $2`

// BranchName implements checkout.Transactions.
func (s *Store) BranchName(ctx context.Context, t tenancy.Tenant, branchID string) (string, error) {
	name, err := pg.Maybe[string](ctx, s.q, findBranchName, t.No, branchID)
	if err != nil || name == nil {
		return "", err
	}
	return *name, nil
}

const insertTransactions = `
insert into transactions (tenant_no, transaction_id, receipt_number, origin, channel, session_id, brand_id, branch_id,
  terminal_id, cashier_id, locale, customer_id, customer_state, credential_type, currency, lines, offers, tenders, trace_id,
  probationary, subtotal_minor, basket_discount_minor, tax_minor, discount_minor, total_minor, created_at)
select tenant_no, transaction_id, receipt_number, origin, channel, nullif(session_id, ''), brand_id, branch_id,
  terminal_id, cashier_id, locale, nullif(customer_id, ''), customer_state, credential_type, currency, lines::jsonb, offers::jsonb, tenders::jsonb, trace_id,
  probationary, subtotal_minor, basket_discount_minor, tax_minor, discount_minor, total_minor, created_at
from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
  $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[],
  $20::bool[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::timestamptz[])
  as t (tenant_no, transaction_id, receipt_number, origin, channel, session_id, brand_id, branch_id, terminal_id, cashier_id,
  locale, customer_id, customer_state, credential_type, currency, lines, offers, tenders, trace_id,
  probationary, subtotal_minor, basket_discount_minor, tax_minor, discount_minor, total_minor, created_at)`

// A payment that belongs to another transaction leaves no row, and the caller
// undoes the rest.
const insertPayments = `
insert into transaction_payments (tenant_no, payment_id, transaction_id)
select * from unnest($1::int[], $2::text[], $3::text[])
on conflict (tenant_no, payment_id) do nothing`

// Record implements checkout.Transactions.
func (s *Store) Record(ctx context.Context, ts ...*checkout.Transaction) error {
	var tenants []int32
	var payments, transactions []string
	for _, t := range ts {
		for _, id := range t.PaymentIDs() {
			tenants, payments, transactions = append(tenants, t.Tenant.No), append(payments, id), append(transactions, t.ID)
		}
	}
	if len(payments) > 0 {
		n, err := s.q.Exec(ctx, insertPayments, tenants, payments, transactions)
		if err != nil {
			return err
		}
		if n != int64(len(payments)) {
			return checkout.ErrRecorded
		}
	}
	if err := s.number(ctx, ts); err != nil {
		return err
	}
	args, err := transactionArrays(ts)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, insertTransactions, args...)
	return err
}

// transactionArrays are sales as the arguments of insertTransactions.
func transactionArrays(ts []*checkout.Transaction) ([]any, error) {
	n := len(ts)
	var text [18][]string
	for i := range text {
		text[i] = make([]string, n)
	}
	var minor [5][]int64
	for i := range minor {
		minor[i] = make([]int64, n)
	}
	tenants, probationary, created := make([]int32, n), make([]bool, n), make([]time.Time, n)
	for i, t := range ts {
		lines, err1 := json.Marshal(list(t.Lines))
		offers, err2 := json.Marshal(list(t.Offers))
		tenders, err3 := json.Marshal(list(t.Tenders))
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		row := [...]string{
			t.ID, t.ReceiptNumber, t.Origin, t.Channel, t.SessionID, t.BrandID, t.BranchID, t.TerminalID, t.CashierID, t.Locale,
			t.Buyer.CustomerID, t.Buyer.State, t.Buyer.CredentialType, t.Currency, string(lines), string(offers), string(tenders), t.TraceID,
		}
		for c := range row {
			text[c][i] = row[c]
		}
		for c, amount := range [...]int64{t.SubtotalMinor, t.BasketDiscountMinor, t.TaxMinor, t.DiscountMinor, t.TotalMinor} {
			minor[c][i] = amount
		}
		tenants[i], probationary[i], created[i] = t.Tenant.No, t.Buyer.Probationary, t.CreatedAt
	}
	args := []any{tenants}
	for _, column := range text {
		args = append(args, column)
	}
	args = append(args, probationary)
	for _, column := range minor {
		args = append(args, column)
	}
	return append(args, created), nil
}

// list is s, or an empty list where there is none, which JSON tells apart.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// branch is where receipts are numbered in a series of their own.
type branch struct {
	TenantNo int32
	BranchID string
}

// numbered is how far a series came.
type numbered struct {
	branch
	Series int32
	Last   int64
}

// takeNumbers takes as many as a branch sold. Series are locked in one order,
// whoever asks.
const takeNumbers = `
with held as (
  select r.tenant_no, r.branch_id, x.n from unnest($1::int[], $2::text[], $3::bigint[]) as x (tenant_no, branch_id, n)
  join receipt_series r on r.tenant_no = x.tenant_no and r.branch_id = x.branch_id
  order by r.tenant_no, r.branch_id for update of r)
update receipt_series r set last = r.last + held.n from held where r.tenant_no = held.tenant_no and r.branch_id = held.branch_id
returning r.tenant_no, r.branch_id, r.series, r.last`

// A branch's first sale opens its series; the lock keeps two branches from
// opening the same one.
const (
	lockSeries = `select pg_advisory_xact_lock($1, $2)`
	openSeries = `
insert into receipt_series (tenant_no, branch_id, series, last)
select $1, $2, coalesce(max(series), 0) + 1, $3 from receipt_series where tenant_no = $1
on conflict (tenant_no, branch_id) do update set last = receipt_series.last + excluded.last
returning series, last`
	seriesLock int32 = 0x66650050
)

// number gives each sale the next number of its branch, for example 02-000041:
// the 41st sale of the second branch that sold. The series stay locked until
// the transaction ends, which is what keeps them free of gaps.
func (s *Store) number(ctx context.Context, ts []*checkout.Transaction) error {
	sold := make(map[branch]int64, 1)
	for _, t := range ts {
		sold[branch{t.Tenant.No, t.BranchID}]++
	}
	var tenants []int32
	var branches []string
	var counts []int64
	for b, n := range sold {
		tenants, branches, counts = append(tenants, b.TenantNo), append(branches, b.BranchID), append(counts, n)
	}
	taken, err := pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (n numbered, err error) {
		return n, r.Scan(&n.TenantNo, &n.BranchID, &n.Series, &n.Last)
	}, takeNumbers, tenants, branches, counts)
	if err != nil {
		return err
	}
	if len(taken) < len(sold) {
		if taken, err = s.open(ctx, sold, taken); err != nil {
			return err
		}
	}
	next := make(map[branch]*numbered, len(taken))
	for i, n := range taken {
		taken[i].Last -= sold[n.branch]
		next[n.branch] = &taken[i]
	}
	for _, t := range ts {
		n := next[branch{t.Tenant.No, t.BranchID}]
		n.Last++
		t.ReceiptNumber = fmt.Sprintf("%02d-%06d", n.Series, n.Last)
	}
	return nil
}

// open opens the series of the branches that sold for the first time, in one
// order.
func (s *Store) open(ctx context.Context, sold map[branch]int64, taken []numbered) ([]numbered, error) {
	var first []branch
	for b := range sold {
		if !slices.ContainsFunc(taken, func(n numbered) bool { return n.branch == b }) {
			first = append(first, b)
		}
	}
	slices.SortFunc(first, func(a, b branch) int {
		return cmp.Or(cmp.Compare(a.TenantNo, b.TenantNo), cmp.Compare(a.BranchID, b.BranchID))
	})
	for _, b := range first {
		if _, err := s.q.Exec(ctx, lockSeries, seriesLock, b.TenantNo); err != nil {
			return nil, err
		}
		n := numbered{branch: b}
		if err := s.q.QueryRow(ctx, openSeries, b.TenantNo, b.BranchID, sold[b]).Scan(&n.Series, &n.Last); err != nil {
			return nil, err
		}
		taken = append(taken, n)
	}
	return taken, nil
}

// Transactions implements checkout.Transactions.
func (s *Store) Transactions(ctx context.Context, t tenancy.Tenant, f checkout.Filter) ([]checkout.Transaction, error) {
	var rows []transactionRow
	if err := s.page(t, f).Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	return s.listed(ctx, t, rows)
}

// page is the statement that reads a page of the list. A customer's sales are
// those of identities that were merged into it, too: each gives as many as a
// page holds, from its own range of the index, and the latest of those are the
// page.
func (s *Store) page(t tenancy.Tenant, f checkout.Filter) *bun.SelectQuery {
	sales := s.sales(t, f)
	if f.CustomerID == "" {
		return sales
	}
	return s.q.Bun().NewSelect().ColumnExpr("sales.*").
		TableExpr(`(SELECT ?::text AS id UNION ALL SELECT customer_id FROM customers WHERE tenant_no = ? AND merged_into = ?) AS family`,
			f.CustomerID, t.No, f.CustomerID).
		Join("CROSS JOIN LATERAL (?) AS sales", sales.Where("customer_id = family.id")).
		OrderExpr("sales.created_at DESC, sales.transaction_id DESC").Limit(int64(f.Limit))
}

// sales are a page of the list, whoever's they are.
func (s *Store) sales(t tenancy.Tenant, f checkout.Filter) *bun.SelectQuery {
	q := s.q.Bun().NewSelect().ColumnExpr(transactionHead).Where("tenant_no = ?", t.No).Limit(int64(f.Limit))
	// A list by status is in the order of the standings, whose index holds it;
	// most sales are completed, and have none.
	at, id := "created_at", "transaction_id"
	switch f.Status {
	case "":
		q = q.TableExpr("transactions")
	case checkout.Completed:
		q = q.TableExpr("transactions").Where(`NOT EXISTS (SELECT FROM transaction_standings s
			WHERE s.tenant_no = transactions.tenant_no AND s.transaction_id = transactions.transaction_id)`)
	default:
		at, id = "sold_at", "sale_id"
		q = q.TableExpr(`(SELECT transaction_id AS sale_id, sold_at FROM transaction_standings
			WHERE tenant_no = ? AND status = ?) AS standing`, t.No, string(f.Status)).
			Join("JOIN transactions ON transaction_id = sale_id")
	}
	q = q.OrderExpr(at + " DESC, " + id + " DESC")
	if !f.IncludeUnidentified {
		q = q.Where("customer_id IS NOT NULL")
	}
	for _, equal := range []struct{ condition, value string }{
		{"branch_id = ?", f.BranchID}, {"terminal_id = ?", f.TerminalID}, {"session_id = ?", f.SessionID},
	} {
		if equal.value != "" {
			q = q.Where(equal.condition, equal.value)
		}
	}
	for _, within := range []struct{ condition, value string }{{"brand_id IN ('', ?)", f.Reach.BrandID}, {"branch_id IN ('', ?)", f.Reach.BranchID}} {
		if within.value != "" {
			q = q.Where(within.condition, within.value)
		}
	}
	if f.CreatedFrom != nil {
		q = q.Where(at+" >= ?", *f.CreatedFrom)
	}
	if f.CreatedBefore != nil {
		q = q.Where(at+" < ?", *f.CreatedBefore)
	}
	if f.After.TransactionID != "" {
		q = q.Where("("+at+", "+id+") < (?, ?)", f.After.CreatedAt, f.After.TransactionID)
	}
	return q
}

func (s *Store) listed(ctx context.Context, t tenancy.Tenant, rows []transactionRow) ([]checkout.Transaction, error) {
	out := make([]checkout.Transaction, 0, len(rows))
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		r.Lines, r.Offers = json.RawMessage("[]"), json.RawMessage("[]")
		tx, err := r.transaction(t)
		if err != nil {
			return nil, err
		}
		out, ids = append(out, tx), append(ids, r.TransactionID)
	}
	rulings, err := s.rulings(ctx, t, ids)
	if err != nil {
		return nil, err
	}
	standings, err := s.standings(ctx, t, ids)
	for i := range out {
		out[i].Rulings, out[i].Standing = rulings[out[i].ID], standings[out[i].ID]
	}
	return out, err
}
