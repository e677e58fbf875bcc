package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

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
const grantsOfSale = `SELECT ` + lotColumns + `, g.entry_ids[1]
	FROM grants g
	WHERE g.tenant_no = $1 AND g.customer_id = $2 AND g.created_at >= $3
	  AND (g.origin_id = $4 OR g.source = 'OFFER' AND $5::text <> '' AND EXISTS (
		SELECT FROM entries e WHERE e.tenant_no = g.tenant_no AND e.entry_id = g.entry_ids[1] AND e.trace_id = $5))
	ORDER BY g.grant_id`

// GrantsOfSale implements ledger.Grants.
func (s *Store) GrantsOfSale(ctx context.Context, t tenancy.Tenant, sale ledger.Sale) ([]ledger.IssuedGrant, error) {
	owner, err := s.remains(ctx, t, sale.CustomerID) // of lots that a merge took along
	if err != nil {
		return nil, err
	}
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (ledger.IssuedGrant, error) {
		var row lotRow
		var out ledger.IssuedGrant
		err := r.Scan(append(row.dest(), &out.EntryID)...)
		if err != nil {
			return out, err
		}
		out.Grant = row.grant(t, owner)
		return out, nil
	}, grantsOfSale, t.No, owner, sale.At, sale.TransactionID, sale.TraceID)
}

// EntryOfGrant implements ledger.Grants.
func (s *Store) EntryOfGrant(ctx context.Context, t tenancy.Tenant, grantID string) (string, error) {
	id, err := pg.One[string](ctx, s.q, `SELECT entry_ids[1] FROM grants WHERE tenant_no = $1 AND grant_id = $2`, t.No, grantID)
	return id, notFound(err, "grant")
}

// PointsFor implements ledger.PointsStore.
func (s *Store) PointsFor(ctx context.Context, t tenancy.Tenant, customerID, referenceID string) (int64, error) {
	return pg.One[int64](ctx, s.q, `SELECT coalesce(sum(points), 0)::bigint FROM points_movements
		WHERE tenant_no = $1 AND customer_id = $2 AND reference_id = $3`, t.No, customerID, referenceID)
}
