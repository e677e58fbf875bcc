// Package audit derives every balance from the postings again, in Postgres.
package audit

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
)

// Audit implements ledger.Audit: the database derives, only what differs is
// sent. It reads every tenant; it serves the operator.
type Audit struct{ db *pg.DB }

var _ ledger.Audit = Audit{}

// New returns the audit of db. Where the books are large, db should have been
// opened without a statement timeout.
func New(db *pg.DB) Audit { return Audit{db} }

// checks give a row (tenant_no, what, account, stored, derived) for each
// figure that does not follow. Sums are numeric, so that none overflows.
var checks = []string{
	// Every entry balances per currency and class, and has its lines.
	`SELECT e.tenant_no, 'entry', e.entry_id, 0::bigint, l.sum::bigint
	FROM entries e CROSS JOIN LATERAL (SELECT sum(amount) FROM unnest(e.classes, e.amounts) line(class, amount) GROUP BY class HAVING sum(amount) <> 0) l
	WHERE NOT ((cardinality(amounts) = 2 AND classes[1] = classes[2] AND amounts[1] = -amounts[2] OR entry_balances(classes, amounts)) IS TRUE)`,
	`SELECT tenant_no, 'entry.lines', entry_id, 1::bigint, cardinality(amounts)::bigint FROM entries
	WHERE NOT ((cardinality(amounts) >= 2 AND array_ndims(amounts) = 1
		AND cardinality(accounts) = cardinality(amounts) AND cardinality(classes) = cardinality(amounts) AND cardinality(owners) = cardinality(amounts)
		AND 1 <= ALL (accounts) AND 13 >= ALL (accounts) AND 1 <= ALL (classes) AND 5 >= ALL (classes) AND 0 <> ALL (amounts)) IS TRUE)`,
	// Actual money of every wallet.
	`SELECT coalesce(w.tenant_no, p.tenant_no), 'wallet.actual_minor', coalesce(w.customer_id, p.owner), coalesce(w.actual_minor, 0), coalesce(p.sum, 0)::bigint
	FROM wallets w FULL JOIN (SELECT tenant_no, owner, currency, sum(amount_minor) AS sum FROM postings WHERE account = 1 GROUP BY 1, 2, 3) p
		ON p.tenant_no = w.tenant_no AND p.owner = w.customer_id AND p.currency = w.currency
	WHERE coalesce(w.actual_minor, 0) <> coalesce(p.sum, 0)`,
	// What every lot holds.
	`SELECT coalesce(g.tenant_no, p.tenant_no), 'lot.remaining_minor', coalesce(g.grant_id, p.owner), coalesce(g.remaining_minor, 0), coalesce(p.sum, 0)::bigint
	FROM grants g FULL JOIN (SELECT tenant_no, owner, currency, sum(amount_minor) AS sum FROM postings WHERE account = 2 GROUP BY 1, 2, 3) p
		ON p.tenant_no = g.tenant_no AND p.owner = g.grant_id AND p.currency = g.currency
	WHERE coalesce(g.remaining_minor, 0) <> coalesce(p.sum, 0)`,
	// The entries that every lot names are those with lines of it: so many more on one side.
	`SELECT tenant_no, 'lot.entries', lot, sum(named)::bigint, sum(moved)::bigint FROM (
		SELECT tenant_no, grant_id AS lot, unnest(entry_ids) AS entry_id, 1 AS named, 0 AS moved FROM grants
		UNION ALL SELECT DISTINCT tenant_no, owner, entry_id, 0, 1 FROM postings WHERE account = 2) x
	GROUP BY tenant_no, lot, entry_id HAVING sum(named) <> sum(moved)`,
	// Promotional figures of every wallet, from the postings of its lots.
	`SELECT w.tenant_no, f.what, w.customer_id, f.stored, f.derived::bigint
	FROM wallets w
	LEFT JOIN (
		SELECT g.tenant_no, g.customer_id, sum(p.amount_minor) FILTER (WHERE g.state = 'RELEASED') AS released,
			sum(p.amount_minor) FILTER (WHERE g.state = 'LOCKED') AS locked
		FROM grants g JOIN postings p ON p.tenant_no = g.tenant_no AND p.account = 2 AND p.owner = g.grant_id
		GROUP BY 1, 2) l ON l.tenant_no = w.tenant_no AND l.customer_id = w.customer_id
	CROSS JOIN LATERAL (VALUES
		('wallet.promo_available_minor', w.promo_available_minor, coalesce(l.released, 0)),
		('wallet.promo_locked_minor', w.promo_locked_minor, coalesce(l.locked, 0))) f (what, stored, derived)
	WHERE f.stored <> f.derived`,
	// Top-ups in flight.
	`SELECT w.tenant_no, 'wallet.pending_topups_minor', w.customer_id, w.pending_topups_minor, coalesce(t.sum, 0)::bigint
	FROM wallets w LEFT JOIN (SELECT tenant_no, customer_id, sum(amount_minor) AS sum FROM topups WHERE state = 'PENDING' GROUP BY 1, 2) t
		ON t.tenant_no = w.tenant_no AND t.customer_id = w.customer_id
	WHERE w.pending_topups_minor <> coalesce(t.sum, 0)`,
	// Every payment is what its entry took from the payer.
	`SELECT p.tenant_no, 'payment.amount_minor', p.payment_id, p.amount_minor, coalesce(e.sum, 0)::bigint
	FROM payments p LEFT JOIN (
		SELECT tenant_no, entry_id, -sum(amount_minor) AS sum FROM postings WHERE account IN (1, 2) GROUP BY 1, 2) e
		ON e.tenant_no = p.tenant_no AND e.entry_id = p.entry_id
	WHERE p.status NOT IN ('requires_capture', 'failed') AND p.amount_minor <> coalesce(e.sum, 0)`,
	// What went back of every payment, from its returns, and every return from its entry.
	`SELECT coalesce(p.tenant_no, r.tenant_no), 'payment.refunded_minor', coalesce(p.payment_id, r.payment_id), coalesce(p.refunded_minor, 0), coalesce(r.sum, 0)::bigint
	FROM payments p FULL JOIN (SELECT tenant_no, payment_id, sum(amount_minor) AS sum FROM payment_returns GROUP BY 1, 2) r
		ON r.tenant_no = p.tenant_no AND r.payment_id = p.payment_id
	WHERE coalesce(p.refunded_minor, 0) <> coalesce(r.sum, 0)`,
	`SELECT r.tenant_no, f.what, r.return_id, f.stored, f.derived::bigint
	FROM payment_returns r LEFT JOIN (
		SELECT tenant_no, entry_id, sum(amount_minor) FILTER (WHERE account = 1) AS actual, sum(amount_minor) FILTER (WHERE account = 2) AS promo,
			sum(amount_minor) FILTER (WHERE account IN (5, 7)) AS forfeited
		FROM postings GROUP BY 1, 2) e ON e.tenant_no = r.tenant_no AND e.entry_id = r.entry_id
	CROSS JOIN LATERAL (VALUES
		('return.actual_minor', r.actual_minor, coalesce(e.actual, 0)), ('return.promo_minor', r.promo_minor, coalesce(e.promo, 0)),
		('return.forfeited_minor', r.forfeited_minor, coalesce(e.forfeited, 0))) f (what, stored, derived)
	WHERE f.stored <> f.derived`,
	// What was taken back of every reversed top-up.
	`SELECT t.tenant_no, 'topup.reversed_actual_minor', t.topup_id, t.reversed_actual_minor, coalesce(e.sum, 0)::bigint
	FROM topups t LEFT JOIN (SELECT tenant_no, entry_id, sum(amount_minor) AS sum FROM postings WHERE account = 3 GROUP BY 1, 2) e
		ON e.tenant_no = t.tenant_no AND e.entry_id = t.reversal_entry_id
	WHERE t.reversed_actual_minor <> coalesce(e.sum, 0)`,
	// Points of every customer, against the postings and against the lots.
	`SELECT coalesce(a.tenant_no, p.tenant_no), 'points.balance', coalesce(a.customer_id, p.owner), coalesce(a.balance, 0), coalesce(p.sum, 0)::bigint
	FROM points_accounts a FULL JOIN (SELECT tenant_no, owner, sum(amount_minor) AS sum FROM postings WHERE account = 9 GROUP BY 1, 2) p
		ON p.tenant_no = a.tenant_no AND p.owner = a.customer_id
	WHERE coalesce(a.balance, 0) <> coalesce(p.sum, 0)`,
	`SELECT a.tenant_no, 'points.lots', a.customer_id, a.balance, coalesce(l.sum, 0)::bigint
	FROM points_accounts a LEFT JOIN (SELECT tenant_no, customer_id, sum(remaining) AS sum FROM points_lots GROUP BY 1, 2) l
		ON l.tenant_no = a.tenant_no AND l.customer_id = a.customer_id
	WHERE a.balance <> coalesce(l.sum, 0)`,
	// Every line of a settlement batch, every gathered entry, and what batches add up to.
	`SELECT l.tenant_no, 'settlement.line', l.entry_id, l.amount_minor, coalesce(p.sum, 0)::bigint
	FROM settlement_lines l LEFT JOIN (
		SELECT tenant_no, entry_id, class, currency, sum(amount_minor) AS sum FROM postings WHERE account IN (1, 2, 9, 10) GROUP BY 1, 2, 3, 4) p
		ON p.tenant_no = l.tenant_no AND p.entry_id = l.entry_id AND p.class = l.class AND p.currency = l.currency
	WHERE l.amount_minor <> coalesce(p.sum, 0)`,
	`SELECT p.tenant_no, 'settlement.missing', p.entry_id, 0::bigint, p.sum::bigint
	FROM (SELECT tenant_no, entry_id, class, sum(amount_minor) AS sum FROM postings WHERE account IN (1, 2, 9, 10) GROUP BY 1, 2, 3 HAVING sum(amount_minor) <> 0) p
	JOIN entries e ON e.tenant_no = p.tenant_no AND e.entry_id = p.entry_id AND e.xid < (SELECT xid FROM settlement_gathering)
	LEFT JOIN settlement_lines l ON l.tenant_no = p.tenant_no AND l.entry_id = p.entry_id AND l.class = p.class
	WHERE l.entry_id IS NULL`,
	`SELECT coalesce(s.tenant_no, l.tenant_no), 'settlement.sum', coalesce(s.settlement_id, l.settlement_id), coalesce(s.plus_minor - s.minus_minor, 0), coalesce(l.sum, 0)::bigint
	FROM settlement_sums s FULL JOIN (
		SELECT tenant_no, settlement_id, class, kind, sum(amount_minor) AS sum FROM settlement_lines GROUP BY 1, 2, 3, 4) l
		ON l.tenant_no = s.tenant_no AND l.settlement_id = s.settlement_id AND l.class = s.class AND l.kind = s.kind
	WHERE coalesce(s.plus_minor - s.minus_minor, 0) <> coalesce(l.sum, 0)`,
	// What every budget has left, from its movements.
	`SELECT b.tenant_no, 'budget.available_minor', b.budget_id, b.cap_minor - b.committed_minor - b.spent_minor, coalesce(m.available_after_minor, 0)
	FROM budgets b LEFT JOIN LATERAL (
		SELECT available_after_minor FROM budget_movements m WHERE m.tenant_no = b.tenant_no AND m.budget_id = b.budget_id ORDER BY position DESC LIMIT 1) m ON true
	WHERE b.cap_minor - b.committed_minor - b.spent_minor <> coalesce(m.available_after_minor, 0)`,
}

// Check implements ledger.Audit.
func (a Audit) Check(ctx context.Context, report func(ledger.Finding) error) (ledger.Examined, error) {
	var n ledger.Examined
	err := pgx.BeginTxFunc(ctx, a.db.Pool(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM postings), (SELECT count(*) FROM wallets),
			(SELECT count(*) FROM grants), (SELECT count(*) FROM budgets)`).Scan(&n.Entries, &n.Postings, &n.Wallets, &n.Lots, &n.Budgets)
		if err != nil {
			return err
		}
		for _, check := range checks {
			if err := stream(ctx, tx, check, report); err != nil {
				return err
			}
		}
		return nil
	})
	return n, pg.Map(err)
}

func stream(ctx context.Context, tx pgx.Tx, check string, report func(ledger.Finding) error) error {
	rows, err := tx.Query(ctx, check)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var f ledger.Finding
		if err := rows.Scan(&f.TenantNo, &f.What, &f.Account, &f.StoredMinor, &f.DerivedMinor); err != nil {
			return err
		}
		if err := report(f); err != nil {
			return err
		}
	}
	return rows.Err()
}
