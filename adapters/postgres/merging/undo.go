package merging

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/merging"
	"github.com/feddi/feddi/core/tenancy"
)

// noted are the rows of a record that a merge moved.
const noted = `SELECT row_id FROM identity_merge_rows WHERE tenant_no = $1 AND merge_id = $2 AND record = $3 ORDER BY row_id`

// Merge implements merging.Undoing.
func (s *Store) Merge(ctx context.Context, t tenancy.Tenant, id string) (merging.Merge, error) {
	m := merging.Merge{ID: id, Tenant: t}
	err := s.q.QueryRow(ctx, `SELECT customer_id, source_customer_id, session_id, reason, actual_minor, points, entry_ids, merged_at,
			undo_until, points_earned, points_burned, first_topup_at, first_purchase_at, undone_at
		FROM identity_merges WHERE tenant_no = $1 AND merge_id = $2`, t.No, id).Scan(&m.CustomerID, &m.SourceID, &m.SessionID, &m.Reason,
		&m.ActualMinor, &m.Points, &m.EntryIDs, &m.At, &m.UndoUntil, &m.PointsEarned, &m.PointsBurned, &m.FirstTopupAt, &m.FirstPurchaseAt, &m.UndoneAt)
	if pg.NoRows(err) {
		return m, fault.NotFound("merge")
	}
	return m, err
}

// MergeOf implements merging.Undoing.
func (s *Store) MergeOf(ctx context.Context, t tenancy.Tenant, customerID string) (string, error) {
	id, err := pg.Maybe[string](ctx, s.q, `SELECT merge_id FROM identity_merges
		WHERE tenant_no = $1 AND source_customer_id = $2 AND source_customer_id <> '' AND undone_at IS NULL ORDER BY merge_id DESC LIMIT 1`, t.No, customerID)
	if err != nil || id == nil {
		return "", err
	}
	return *id, nil
}

// reversed sums up what was taken back of deposits that came.
const reversed = `SELECT coalesce(sum(t.reversed_actual_minor), 0)::bigint FROM identity_merge_rows r
	JOIN topups t ON t.tenant_no = r.tenant_no AND t.topup_id = r.row_id AND t.state = 'REVERSED'
	WHERE r.tenant_no = $1 AND r.merge_id = $2 AND r.record = 'topups'`

// Came implements merging.Undoing.
func (s *Store) Came(ctx context.Context, m merging.Merge) (merging.Came, error) {
	c := merging.Came{Lots: map[string]int64{}, Points: map[string]int64{}}
	_, err := pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (struct{}, error) {
		var record, id string
		var amount int64
		err := r.Scan(&record, &id, &amount)
		switch record {
		case "grants":
			c.Lots[id] = amount
		case "points_lots":
			c.Points[id] = amount
		default:
			c.Links = append(c.Links, id)
		}
		return struct{}{}, err
	}, `SELECT record, row_id, coalesce(amount, 0) FROM identity_merge_rows
		WHERE tenant_no = $1 AND merge_id = $2 AND record IN ('grants', 'points_lots', 'credential_links') ORDER BY record, row_id`, m.Tenant.No, m.ID)
	if err != nil {
		return c, err
	}
	c.ReversedMinor, err = pg.One[int64](ctx, s.q, reversed, m.Tenant.No, m.ID)
	return c, err
}

// ofMerge joins x with the rows of a record that merge $4 moved.
func ofMerge(record, key string) string {
	return ` FROM identity_merge_rows r WHERE r.tenant_no = $1 AND r.merge_id = $4 AND r.record = '` + record + `'
		AND x.tenant_no = $1 AND ` + key + ` AND x.customer_id = $2`
}

// back gives rows that $2 got by merge $4, and has still, to $3 again.
func back(table, id string) string {
	return `UPDATE ` + table + ` x SET customer_id = $3` + ofMerge(table, `x.`+id+` = r.row_id`)
}

// divisions are the statements that make $3 an identity beside $2 again; $5 is now.
var divisions = []string{
	`UPDATE wallets x SET merged_into = $3 FROM identity_merge_rows r WHERE r.tenant_no = $1 AND r.merge_id = $4 AND r.record = 'merged'
		AND x.tenant_no = $1 AND x.customer_id = r.row_id AND x.merged_into = $2 AND $5::timestamptz IS NOT NULL`,
	`UPDATE customers x SET merged_into = $3, updated_at = $5 FROM identity_merge_rows r WHERE r.tenant_no = $1 AND r.merge_id = $4
		AND r.record = 'merged' AND x.tenant_no = $1 AND x.customer_id = r.row_id AND x.merged_into = $2`,
	`UPDATE wallets SET merged_into = NULL WHERE tenant_no = $1 AND customer_id = $3 AND merged_into = $2 AND $4::text <> '' AND $5::timestamptz IS NOT NULL`,
	`UPDATE customers SET status = 'active', merged_into = NULL, updated_at = $5
		WHERE tenant_no = $1 AND customer_id = $3 AND merged_into = $2 AND $4::text <> ''`,
}

// Divide implements merging.Undoing.
func (s *Store) Divide(ctx context.Context, m merging.Merge, now time.Time) error {
	for _, sql := range divisions {
		if _, err := s.q.Exec(ctx, sql, m.Tenant.No, m.CustomerID, m.SourceID, m.ID, now); err != nil {
			return err
		}
	}
	return nil
}

// backs undo the moves of the same records.
var backs = []string{
	back("grants", "grant_id"),
	back("points_lots", "lot_id"),
	back("topups", "topup_id"),
	`UPDATE payment_codes x SET customer_id = $3` + ofMerge("payment_codes", `x.code_hash = decode(r.row_id, 'hex')`),
	back("consents", "consent_id"),
	back("customer_events", "customer_event_id"),
	back("messages", "message_id"),
	back("claims", "claim_id"),
	back("enrollments", "enrollment_id"),
	// Preferences that came go where nobody changed them since; the source has its own.
	`DELETE FROM customer_preferences x USING identity_merge_rows r WHERE r.tenant_no = $1 AND r.merge_id = $4 AND r.record = 'preferences'
		AND x.tenant_no = $1 AND x.customer_id = r.row_id AND x.customer_id = $2 AND x.version = r.amount AND $3::text <> ''`,
	`UPDATE offer_uses x SET uses = greatest(x.uses - r.amount, 0) FROM identity_merge_rows r
		WHERE r.tenant_no = $1 AND r.merge_id = $4 AND r.record = 'offer_uses'
			AND x.tenant_no = $1 AND x.offer_id = r.row_id AND x.scope = 'c:' || $2 AND $3::text <> ''`,
	`UPDATE checkout_sessions x SET customer_id = $3, version = x.version + 1` + ofMerge("checkout_sessions", `x.session_id = r.row_id AND x.state = 'open'`),
	// A card that both had leads to both again.
	`UPDATE credential_links x SET unlinked_at = NULL, unlink_reason = '' FROM identity_merge_rows r
		WHERE r.tenant_no = $1 AND r.merge_id = $4 AND r.record = 'unlinked'
			AND x.tenant_no = $1 AND x.credential_id = r.row_id AND x.customer_id = $3 AND x.unlink_reason = 'merged' AND $2::text <> ''`,
}

// linksBack gives back links that were not removed since.
var linksBack = back("credential_links", "credential_id") + ` AND x.unlinked_at IS NULL RETURNING x.credential_id`

// MoveBack implements merging.Undoing.
func (s *Store) MoveBack(ctx context.Context, m merging.Merge) ([]string, error) {
	for _, sql := range backs {
		if _, err := s.q.Exec(ctx, sql, m.Tenant.No, m.CustomerID, m.SourceID, m.ID); err != nil {
			return nil, err
		}
	}
	return pg.Many[string](ctx, s.q, linksBack, m.Tenant.No, m.CustomerID, m.SourceID, m.ID)
}

// firsts reads the ends of two indexes.
const firsts = `SELECT (SELECT min(completed_at) FROM topups WHERE tenant_no = $1 AND customer_id = $2 AND state = 'COMPLETED'),
	(SELECT min(created_at) FROM transactions WHERE tenant_no = $1 AND customer_id = $2)`

// Firsts implements merging.Undoing.
func (s *Store) Firsts(ctx context.Context, t tenancy.Tenant, customerID string) (f merging.Firsts, err error) {
	err = s.q.QueryRow(ctx, firsts, t.No, customerID).Scan(&f.TopupAt, &f.PurchaseAt)
	return f, err
}

// AddUndo implements merging.Undoing.
func (s *Store) AddUndo(ctx context.Context, m merging.Merge, u merging.Undo) error {
	grants, links, entries := []string{}, []string{}, append([]string{}, u.EntryIDs...)
	for _, g := range u.Grants {
		grants = append(grants, g.ID)
	}
	for _, l := range u.Links {
		links = append(links, l.ID)
	}
	_, err := s.q.Exec(ctx, `UPDATE identity_merges SET undone_at = $3, undo_reason = $4, returned_actual_minor = $5, returned_points = $6,
			returned_grant_ids = $7, returned_credential_ids = $8, undo_entry_ids = $9, noted = false
		WHERE tenant_no = $1 AND merge_id = $2`, m.Tenant.No, m.ID, u.At, u.Reason, u.ActualMinor, u.Points, grants, links, entries)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, `DELETE FROM identity_merge_rows WHERE tenant_no = $1 AND merge_id = $2`, m.Tenant.No, m.ID)
	return err
}

// Sweep implements merging.Undoing. It reads across tenants: first it deletes
// notes of a few merges whose time is over, then it marks those that have none left.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	rows, err := s.q.Exec(ctx, `DELETE FROM identity_merge_rows WHERE (merge_id, record, row_id) IN (
		SELECT r.merge_id, r.record, r.row_id
		FROM (SELECT merge_id FROM identity_merges WHERE noted AND undo_until < $1 ORDER BY undo_until LIMIT 100) m
		JOIN identity_merge_rows r ON r.merge_id = m.merge_id LIMIT $2)`, before, limit)
	if err != nil {
		return 0, err
	}
	_, err = s.q.Exec(ctx, `UPDATE identity_merges m SET noted = false WHERE m.merge_id IN (
		SELECT merge_id FROM identity_merges WHERE noted AND undo_until < $1 ORDER BY undo_until LIMIT 100)
		AND NOT EXISTS (SELECT FROM identity_merge_rows r WHERE r.merge_id = m.merge_id)`, before)
	return int(rows), err
}
