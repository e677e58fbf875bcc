package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	out.Rulings = rulings[id]
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

const insertTransaction = `
insert into transactions (tenant_no, transaction_id, receipt_number, origin, channel, session_id, brand_id, branch_id,
  terminal_id, cashier_id, locale, customer_id, customer_state, credential_type, probationary, currency, subtotal_minor,
  basket_discount_minor, tax_minor, discount_minor, total_minor, lines, offers, tenders, trace_id, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)`

// A payment that belongs to another transaction leaves no row, and the caller
// undoes the rest.
const insertPayments = `
insert into transaction_payments (tenant_no, payment_id, transaction_id)
select $1, payment_id, $2 from unnest($3::text[]) as payment_id
on conflict (tenant_no, payment_id) do nothing`

// Record implements checkout.Transactions.
func (s *Store) Record(ctx context.Context, t checkout.Transaction) (checkout.Transaction, error) {
	if payments := t.PaymentIDs(); len(payments) > 0 {
		n, err := s.q.Exec(ctx, insertPayments, t.Tenant.No, t.ID, payments)
		if err != nil {
			return t, err
		}
		if n != int64(len(payments)) {
			return t, checkout.ErrRecorded
		}
	}
	lines, err1 := json.Marshal(list(t.Lines))
	offers, err2 := json.Marshal(list(t.Offers))
	tenders, err3 := json.Marshal(list(t.Tenders))
	if err := errors.Join(err1, err2, err3); err != nil {
		return t, err
	}
	var err error
	if t.ReceiptNumber, err = s.receiptNumber(ctx, t.Tenant, t.BranchID); err != nil {
		return t, err
	}
	_, err = s.q.Exec(ctx, insertTransaction, t.Tenant.No, t.ID, t.ReceiptNumber, t.Origin, t.Channel, null(t.SessionID),
		t.BrandID, t.BranchID, t.TerminalID, t.CashierID, t.Locale, null(t.Buyer.CustomerID), t.Buyer.State,
		t.Buyer.CredentialType, t.Buyer.Probationary, t.Currency, t.SubtotalMinor, t.BasketDiscountMinor, t.TaxMinor,
		t.DiscountMinor, t.TotalMinor, lines, offers, tenders, t.TraceID, t.CreatedAt)
	return t, err
}

// list is s, or an empty list where there is none, which JSON tells apart.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// number is a receipt's place in the series of its branch.
type number struct {
	Series int32
	Last   int64
}

const nextNumber = `
update receipt_series set last = last + 1 where tenant_no = $1 and branch_id = $2 returning series, last`

// A branch's first sale opens its series; the lock keeps two branches from
// opening the same one.
const (
	lockSeries = `select pg_advisory_xact_lock($1, $2)`
	openSeries = `
insert into receipt_series (tenant_no, branch_id, series, last)
select $1, $2, coalesce(max(series), 0) + 1, 1 from receipt_series where tenant_no = $1
on conflict (tenant_no, branch_id) do update set last = receipt_series.last + 1
returning series, last`
	seriesLock int32 = 0x66650050
)

// receiptNumber takes the next number of a branch, for example 02-000041: the
// 41st sale of the second branch that sold. The row stays locked until the
// transaction ends, which is what keeps the series free of gaps.
func (s *Store) receiptNumber(ctx context.Context, t tenancy.Tenant, branchID string) (string, error) {
	n, err := pg.Maybe[number](ctx, s.q, nextNumber, t.No, branchID)
	if err == nil && n == nil {
		if _, err = s.q.Exec(ctx, lockSeries, seriesLock, t.No); err == nil {
			n, err = pg.Maybe[number](ctx, s.q, openSeries, t.No, branchID)
		}
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%02d-%06d", n.Series, n.Last), nil
}

// Transactions implements checkout.Transactions.
func (s *Store) Transactions(ctx context.Context, t tenancy.Tenant, f checkout.Filter) ([]checkout.Transaction, error) {
	q := s.q.Bun().NewSelect().TableExpr("transactions").ColumnExpr(transactionHead).
		Where("tenant_no = ?", t.No).OrderExpr("created_at DESC, transaction_id DESC").Limit(int64(f.Limit))
	if !f.IncludeUnidentified {
		q = q.Where("customer_id IS NOT NULL")
	}
	for _, equal := range []struct{ condition, value string }{
		{"branch_id = ?", f.BranchID}, {"terminal_id = ?", f.TerminalID}, {"customer_id = ?", f.CustomerID}, {"session_id = ?", f.SessionID},
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
		q = q.Where("created_at >= ?", *f.CreatedFrom)
	}
	if f.CreatedBefore != nil {
		q = q.Where("created_at < ?", *f.CreatedBefore)
	}
	if f.After.TransactionID != "" {
		q = q.Where("(created_at, transaction_id) < (?, ?)", f.After.CreatedAt, f.After.TransactionID)
	}
	var rows []transactionRow
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	return s.listed(ctx, t, rows)
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
	for i := range out {
		out[i].Rulings = rulings[out[i].ID]
	}
	return out, err
}
