package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

const paymentColumns = `payment_id, customer_id, session_id, transaction_id, status, amount_minor, debited_actual_minor,
	refunded_minor, currency, credential_type, grant_ids, grant_minors, entry_id, brand_id, branch_id, terminal_id, cashier_id,
	failure_code, code_hash, code_attempts, code_expires_at, created_at, captured_at`

const paymentColumnsOf = `p.payment_id, p.customer_id, p.session_id, p.transaction_id, p.status, p.amount_minor, p.debited_actual_minor,
	p.refunded_minor, p.currency, p.credential_type, p.grant_ids, p.grant_minors, p.entry_id, p.brand_id, p.branch_id, p.terminal_id, p.cashier_id,
	p.failure_code, p.code_hash, p.code_attempts, p.code_expires_at, p.created_at, p.captured_at`

// paymentRow scans paymentColumns, also where an outer join gave none.
type paymentRow struct {
	ID, CustomerID, SessionID, TransactionID, Status, Currency, CredentialType *string
	EntryID, BrandID, BranchID, TerminalID, CashierID, FailureCode             *string
	AmountMinor, ActualMinor, RefundedMinor                                    *int64
	GrantIDs                                                                   []string
	GrantMinors                                                                []int64
	CodeHash                                                                   []byte
	CodeAttempts                                                               *int16
	CodeExpiresAt, CreatedAt, CapturedAt                                       *time.Time
}

func (r *paymentRow) dest() []any {
	return []any{
		&r.ID, &r.CustomerID, &r.SessionID, &r.TransactionID, &r.Status, &r.AmountMinor, &r.ActualMinor,
		&r.RefundedMinor, &r.Currency, &r.CredentialType, &r.GrantIDs, &r.GrantMinors, &r.EntryID, &r.BrandID, &r.BranchID,
		&r.TerminalID, &r.CashierID, &r.FailureCode, &r.CodeHash, &r.CodeAttempts, &r.CodeExpiresAt,
		&r.CreatedAt, &r.CapturedAt,
	}
}

// payment is the row as a payment; only where ID is not nil.
func (r *paymentRow) payment(t tenancy.Tenant) ledger.Payment {
	p := ledger.Payment{
		ID: *r.ID, Tenant: t, CustomerID: *r.CustomerID, SessionID: text(r.SessionID), TransactionID: text(r.TransactionID),
		Status: ledger.PaymentStatus(*r.Status), AmountMinor: *r.AmountMinor, RefundedMinor: *r.RefundedMinor,
		Currency: *r.Currency, CredentialType: *r.CredentialType, EntryID: text(r.EntryID),
		Place:     tenancy.Place{BrandID: text(r.BrandID), BranchID: text(r.BranchID), TerminalID: text(r.TerminalID)},
		CashierID: text(r.CashierID), FailureCode: text(r.FailureCode),
		CreatedAt: *r.CreatedAt, CapturedAt: r.CapturedAt,
	}
	p.Debit.ActualMinor = *r.ActualMinor
	for i, id := range r.GrantIDs {
		p.Debit.Sources = append(p.Debit.Sources, ledger.PromoSource{GrantID: id, AmountMinor: r.GrantMinors[i]})
	}
	if r.CodeHash != nil {
		p.Code = &ledger.Code{Hash: r.CodeHash, Attempts: int(*r.CodeAttempts), ExpiresAt: *r.CodeExpiresAt}
	}
	return p
}

func scanPayment(t tenancy.Tenant) func(pgx.CollectableRow) (ledger.Payment, error) {
	return func(r pgx.CollectableRow) (ledger.Payment, error) {
		var row paymentRow
		if err := r.Scan(row.dest()...); err != nil {
			return ledger.Payment{}, err
		}
		return row.payment(t), nil
	}
}

// Payment implements ledger.Payments.
func (s *Store) Payment(ctx context.Context, t tenancy.Tenant, id string) (ledger.Payment, error) {
	p, err := pg.OneFunc(ctx, s.q, scanPayment(t), `SELECT `+paymentColumns+` FROM payments
		WHERE tenant_no = $1 AND payment_id = $2`, t.No, id)
	return p, notFound(err, "payment")
}

// Decision is the stored decision of a payment of any merchant, for operators: a
// record of core/actuation/record, nil before the debit. Errors: NOT_FOUND.
func Decision(ctx context.Context, q pg.Q, paymentID string) ([]byte, error) {
	raw, err := pg.One[[]byte](ctx, q, `SELECT decision FROM payments WHERE payment_id = $1`, paymentID)
	return raw, notFound(err, "payment")
}

// InsertPayment implements ledger.Payments.
func (s *Store) InsertPayment(ctx context.Context, p ledger.Payment) error {
	_, err := s.q.Exec(ctx, `INSERT INTO payments (payment_id, tenant_no, customer_id, session_id, status, amount_minor, currency,
			credential_type, brand_id, branch_id, terminal_id, cashier_id, code_hash, code_attempts, code_expires_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		p.ID, p.Tenant.No, p.CustomerID, null(p.SessionID), string(p.Status), p.AmountMinor, p.Currency, p.CredentialType,
		null(p.BrandID), null(p.BranchID), null(p.TerminalID), null(p.CashierID),
		p.Code.Hash, int16(p.Code.Attempts), p.Code.ExpiresAt, p.CreatedAt)
	return err
}

// TakeAttempt implements ledger.Payments.
func (s *Store) TakeAttempt(ctx context.Context, t tenancy.Tenant, id string) (left int, ok bool, err error) {
	used, err := pg.Maybe[int16](ctx, s.q, `UPDATE payments SET code_attempts = code_attempts + 1
		WHERE tenant_no = $1 AND payment_id = $2 AND status = 'requires_capture' AND code_attempts < $3
		RETURNING code_attempts`, t.No, id, ledger.MaxCodeAttempts)
	if err != nil || used == nil {
		return 0, false, err
	}
	return ledger.MaxCodeAttempts - int(*used), true, nil
}

// ReturnAttempt implements ledger.Payments.
func (s *Store) ReturnAttempt(ctx context.Context, t tenancy.Tenant, id string) error {
	_, err := s.q.Exec(ctx, `UPDATE payments SET code_attempts = code_attempts - 1
		WHERE tenant_no = $1 AND payment_id = $2 AND code_attempts > 0`, t.No, id)
	return err
}

// OpenCodes implements ledger.Payments.
func (s *Store) OpenCodes(ctx context.Context, t tenancy.Tenant, customerID string, since time.Time) (int, error) {
	return pg.One[int](ctx, s.q, `SELECT count(*) FROM payments WHERE tenant_no = $1 AND customer_id = $2
		AND code_hash IS NOT NULL AND created_at > $3 AND status IN ('requires_capture', 'failed')`, t.No, customerID, since)
}

// FailPayment implements ledger.Payments.
func (s *Store) FailPayment(ctx context.Context, t tenancy.Tenant, id, code string) (bool, error) {
	n, err := s.q.Exec(ctx, `UPDATE payments SET status = 'failed', failure_code = $3
		WHERE tenant_no = $1 AND payment_id = $2 AND status = 'requires_capture'`, t.No, id, code)
	return n == 1, err
}

// MovementsOfSession implements ledger.Payments.
func (s *Store) MovementsOfSession(ctx context.Context, t tenancy.Tenant, sessionID string) ([]string, error) {
	return pg.Many[string](ctx, s.q, `SELECT payment_id FROM payments WHERE tenant_no = $1 AND session_id = $2
		UNION ALL SELECT topup_id FROM topups WHERE tenant_no = $1 AND session_id = $2`, t.No, sessionID)
}

// PaymentsOfSession implements ledger.Payments.
func (s *Store) PaymentsOfSession(ctx context.Context, t tenancy.Tenant, sessionID string) ([]ledger.Payment, error) {
	return pg.ManyFunc(ctx, s.q, scanPayment(t), `SELECT `+paymentColumns+` FROM payments
		WHERE tenant_no = $1 AND session_id = $2 AND status NOT IN ('requires_capture', 'failed')
		ORDER BY captured_at, payment_id`, t.No, sessionID)
}

// Alone implements ledger.Payments.
func (s *Store) Alone(ctx context.Context, refs []ledger.PaymentRef) ([]ledger.Lone, error) {
	tenants, ids := make([]int32, len(refs)), make([]string, len(refs))
	whole := make(map[int32]tenancy.Tenant, 1)
	for i, r := range refs {
		tenants[i], ids[i] = r.Tenant.No, r.ID
		whole[r.Tenant.No] = r.Tenant
	}
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (ledger.Lone, error) {
		var row paymentRow
		var no int32
		var l ledger.Lone
		if err := r.Scan(append([]any{&no, &l.CustomerState, &l.WalletCurrency}, row.dest()...)...); err != nil {
			return l, err
		}
		l.Payment = row.payment(whole[no])
		return l, nil
	}, alonePayments, tenants, ids)
}

const alonePayments = `SELECT p.tenant_no, u.state, coalesce(w.currency, ''), ` + paymentColumnsOf + `
	FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY x(tenant_no, payment_id, n)
	JOIN payments p ON p.tenant_no = x.tenant_no AND p.payment_id = x.payment_id
	JOIN customers u ON u.tenant_no = p.tenant_no AND u.customer_id = p.customer_id
	LEFT JOIN wallets w ON w.tenant_no = p.tenant_no AND w.customer_id = p.customer_id
	WHERE p.session_id IS NULL
	  AND NOT EXISTS (SELECT FROM transaction_payments t WHERE t.tenant_no = x.tenant_no AND t.payment_id = x.payment_id)
	ORDER BY x.n`

const setTransactions = `UPDATE payments p SET transaction_id = x.transaction_id
	FROM unnest($1::int4[], $2::text[], $3::text[]) x(tenant_no, payment_id, transaction_id)
	WHERE p.tenant_no = x.tenant_no AND p.payment_id = x.payment_id AND (p.transaction_id IS NULL OR p.transaction_id = x.transaction_id)`

// SetTransactions implements ledger.Payments.
func (s *Store) SetTransactions(ctx context.Context, of []ledger.PaymentOf) error {
	if len(of) == 0 {
		return nil
	}
	tenants, ids, transactions := make([]int32, len(of)), make([]string, len(of)), make([]string, len(of))
	for i, p := range of {
		tenants[i], ids[i], transactions[i] = p.Tenant.No, p.ID, p.TransactionID
	}
	n, err := s.q.Exec(ctx, setTransactions, tenants, ids, transactions)
	if err == nil && n != int64(len(of)) {
		return fault.Field(fault.CodeStateConflict, "payment_id", "one_transaction",
			"a payment belongs to another transaction already")
	}
	return err
}
