package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

const saveRefunded = `UPDATE payments SET status = $3, refunded_minor = $4
	WHERE tenant_no = $1 AND payment_id = $2 AND refunded_minor = $5`

const insertReturn = `INSERT INTO payment_returns (return_id, tenant_no, payment_id, kind, amount_minor, actual_minor, promo_minor,
		forfeited_minor, currency, grant_ids, grant_minors, entry_id, cause_id, actor_id, reason, at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`

// SaveReturn implements ledger.Payments.
func (s *Store) SaveReturn(ctx context.Context, p ledger.Payment, r ledger.Return) error {
	n, err := s.q.Exec(ctx, saveRefunded, p.Tenant.No, p.ID, string(p.Status), p.RefundedMinor, p.RefundedMinor-r.AmountMinor)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Field(fault.CodeStateConflict, "payment_id", "refunded_minor",
			"the payment changed at the same moment; retry with a new Idempotency-Key")
	}
	grants, minors := make([]string, 0, len(r.Sources)), make([]int64, 0, len(r.Sources))
	for _, source := range r.Sources {
		grants, minors = append(grants, source.GrantID), append(minors, source.AmountMinor)
	}
	_, err = s.q.Exec(ctx, insertReturn, r.ID, r.Tenant.No, r.PaymentID, string(r.Kind), r.AmountMinor, r.ActualMinor, r.PromoMinor,
		r.ForfeitedMinor, r.Currency, grants, minors, r.EntryID, null(r.CauseID), r.ActorID, null(r.Reason), r.At)
	return err
}

// Lots implements ledger.Grants.
func (s *Store) Lots(ctx context.Context, t tenancy.Tenant, ids []string) ([]ledger.Grant, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (ledger.Grant, error) {
		var row lotRow
		var customerID string
		err := r.Scan(append(row.dest(), &customerID)...)
		if err != nil {
			return ledger.Grant{}, err
		}
		return row.grant(t, customerID), nil
	}, `SELECT `+lotColumns+`, g.customer_id FROM grants g WHERE g.tenant_no = $1 AND g.grant_id = ANY($2)`, t.No, ids)
}

// A lot of a sale's cashback names the sale as its origin; one of an applied
// cashback offer names the offer, and its entry the trace of the close. Only
// lots not older than the sale are looked at.
const grantsOfSale = `SELECT ` + lotColumns + `, e.entry_id
	FROM grants g CROSS JOIN LATERAL (
		SELECT e.entry_id, e.trace_id FROM postings p JOIN entries e ON e.entry_id = p.entry_id AND e.tenant_no = p.tenant_no
		WHERE p.tenant_no = g.tenant_no AND p.account = 2 AND p.owner = g.grant_id AND e.kind = 'grant' LIMIT 1) e
	WHERE g.tenant_no = $1 AND g.customer_id = $2 AND g.created_at >= $3
	  AND (g.origin_id = $4 OR g.source = 'OFFER' AND $5::text <> '' AND e.trace_id = $5)
	ORDER BY g.grant_id`

// GrantsOfSale implements ledger.Grants.
func (s *Store) GrantsOfSale(ctx context.Context, t tenancy.Tenant, sale ledger.Sale) ([]ledger.IssuedGrant, error) {
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (ledger.IssuedGrant, error) {
		var row lotRow
		var out ledger.IssuedGrant
		err := r.Scan(append(row.dest(), &out.EntryID)...)
		if err != nil {
			return out, err
		}
		out.Grant = row.grant(t, sale.CustomerID)
		return out, nil
	}, grantsOfSale, t.No, sale.CustomerID, sale.At, sale.TransactionID, sale.TraceID)
}

const entryOfGrant = `SELECT e.entry_id FROM postings p JOIN entries e ON e.entry_id = p.entry_id AND e.tenant_no = p.tenant_no
	WHERE p.tenant_no = $1 AND p.account = 2 AND p.owner = $2 AND e.kind = 'grant' LIMIT 1`

// EntryOfGrant implements ledger.Grants.
func (s *Store) EntryOfGrant(ctx context.Context, t tenancy.Tenant, grantID string) (string, error) {
	id, err := pg.One[string](ctx, s.q, entryOfGrant, t.No, grantID)
	return id, notFound(err, "grant")
}

// PointsFor implements ledger.PointsStore.
func (s *Store) PointsFor(ctx context.Context, t tenancy.Tenant, customerID, referenceID string) (int64, error) {
	return pg.One[int64](ctx, s.q, `SELECT coalesce(sum(points), 0)::bigint FROM points_movements
		WHERE tenant_no = $1 AND customer_id = $2 AND reference_id = $3`, t.No, customerID, referenceID)
}
