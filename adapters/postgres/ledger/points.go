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

// pointsAccount reads the account by way of the customer, so that a customer
// without points is told from one that does not exist.
const pointsAccount = `SELECT coalesce(a.balance, 0), coalesce(a.earned, 0), coalesce(a.burned, 0), c.state = 'VERIFIED' AND c.status = 'active'
	FROM customers c LEFT JOIN points_accounts a ON a.tenant_no = c.tenant_no AND a.customer_id = c.customer_id
	WHERE c.tenant_no = $1 AND c.customer_id = $2`

const pointsLots = `SELECT lot_id, points, remaining, coalesce(reference_id, ''), earned_at, expires_at FROM points_lots
	WHERE tenant_no = $1 AND customer_id = $2 AND remaining > 0 ORDER BY expires_at NULLS LAST, lot_id`

// PointsOf implements ledger.PointsStore.
func (s *Store) PointsOf(ctx context.Context, t tenancy.Tenant, customerID string) (ledger.PointsAccount, error) {
	customerID, err := s.remains(ctx, t, customerID)
	if err != nil {
		return ledger.PointsAccount{}, err
	}
	a := ledger.PointsAccount{Tenant: t, CustomerID: customerID}
	err = s.q.QueryRow(ctx, pointsAccount, t.No, customerID).Scan(&a.Balance, &a.Earned, &a.Burned, &a.Verified)
	if err != nil {
		return a, notFound(err, "customer")
	}
	a.Lots, err = pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (l ledger.PointsLot, err error) {
		err = r.Scan(&l.ID, &l.Points, &l.Remaining, &l.ReferenceID, &l.EarnedAt, &l.ExpiresAt)
		return l, err
	}, pointsLots, t.No, customerID)
	return a, err
}

// LockPoints implements ledger.PointsStore. The account's row is made where it
// is missing, so that there always is one to lock.
func (s *Store) LockPoints(ctx context.Context, t tenancy.Tenant, customerID string) (ledger.PointsAccount, error) {
	customerID, err := s.remains(ctx, t, customerID)
	if err != nil {
		return ledger.PointsAccount{}, err
	}
	_, err = s.q.Exec(ctx, `INSERT INTO points_accounts (tenant_no, customer_id)
		SELECT tenant_no, customer_id FROM customers WHERE tenant_no = $1 AND customer_id = $2
		ON CONFLICT (tenant_no, customer_id) DO NOTHING`, t.No, customerID)
	if err != nil {
		return ledger.PointsAccount{}, err
	}
	n, err := s.q.Exec(ctx, `SELECT 1 FROM points_accounts WHERE tenant_no = $1 AND customer_id = $2 FOR UPDATE`, t.No, customerID)
	if err != nil {
		return ledger.PointsAccount{}, err
	}
	if n == 0 {
		return ledger.PointsAccount{}, fault.NotFound("customer")
	}
	a, err := s.PointsOf(ctx, t, customerID)
	if err == nil && a.CustomerID != customerID { // merged while we waited for the lock
		return s.LockPoints(ctx, t, a.CustomerID)
	}
	return a, err
}

// ApplyPoints implements ledger.PointsStore.
func (s *Store) ApplyPoints(ctx context.Context, c *ledger.PointsChange) error {
	a := c.Account
	_, err := s.q.Exec(ctx, `UPDATE points_accounts SET balance = $3, earned = $4, burned = $5 WHERE tenant_no = $1 AND customer_id = $2`,
		a.Tenant.No, a.CustomerID, a.Balance, a.Earned, a.Burned)
	if err != nil {
		return err
	}
	for _, l := range c.Issued {
		if _, err := s.q.Exec(ctx, `INSERT INTO points_lots (lot_id, tenant_no, customer_id, points, remaining, reference_id, earned_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, l.ID, a.Tenant.No, a.CustomerID, l.Points, l.Remaining, null(l.ReferenceID), l.EarnedAt, l.ExpiresAt); err != nil {
			return err
		}
	}
	var touched []string
	var remaining []int64
	for _, l := range c.Touched {
		touched, remaining = append(touched, l.ID), append(remaining, l.Remaining)
	}
	if _, err := s.q.Exec(ctx, `UPDATE points_lots l SET remaining = x.remaining FROM unnest($2::text[], $3::int8[]) x (id, remaining)
		WHERE l.tenant_no = $1 AND l.lot_id = x.id`, a.Tenant.No, touched, remaining); err != nil {
		return err
	}
	for _, m := range c.Movements {
		if _, err := s.q.Exec(ctx, `INSERT INTO points_movements (movement_id, tenant_no, customer_id, type, points, balance_after, reference_id, reason, entry_id, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, m.ID, a.Tenant.No, m.CustomerID, string(m.Type), m.Points, m.Balance,
			null(m.ReferenceID), null(m.Reason), m.EntryID, m.At); err != nil {
			return err
		}
	}
	return s.insertEntries(ctx, c.Entries)
}

// LapsingPoints implements ledger.PointsStore. It serves the sweep, which reads
// across tenants.
func (s *Store) LapsingPoints(ctx context.Context, now time.Time, limit int) ([]ledger.Owner, error) {
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (o ledger.Owner, err error) {
		o.Tenant, err = scanTenant(r, &o.CustomerID)
		return o, err
	}, `SELECT DISTINCT `+tenantColumns+`, l.customer_id FROM (
			SELECT tenant_no, customer_id FROM points_lots
			WHERE remaining > 0 AND expires_at <= $1 ORDER BY expires_at LIMIT $2) l
		JOIN merchants m ON m.tenant_no = l.tenant_no`, now, limit)
}
