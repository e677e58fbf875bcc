// Package merging moves what belongs to one identity to another in Postgres,
// and keeps the records of it.
package merging

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/merging"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements merging.Store.
type Store struct{ q pg.Q }

var _ merging.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// HoldSessions implements merging.Store.
func (s *Store) HoldSessions(ctx context.Context, t tenancy.Tenant, customerIDs ...string) error {
	_, err := s.q.Exec(ctx, `SELECT 1 FROM checkout_sessions WHERE tenant_no = $1 AND customer_id = ANY ($2) AND state = 'open'
		ORDER BY session_id FOR NO KEY UPDATE`, t.No, customerIDs)
	return err
}

// Blockers implements merging.Store.
func (s *Store) Blockers(ctx context.Context, t tenancy.Tenant, customerID string, now time.Time) (b merging.Blockers, err error) {
	for _, part := range []struct {
		to  *[]string
		sql string
	}{
		{&b.PaidSessions, `SELECT session_id FROM checkout_sessions
			WHERE tenant_no = $1 AND customer_id = $2 AND state = 'open' AND paid_minor > 0 AND $3::timestamptz IS NOT NULL LIMIT 10`},
		{&b.AppliedSessions, `SELECT DISTINCT s.session_id FROM checkout_sessions s
			JOIN offer_applications a ON a.tenant_no = s.tenant_no AND a.session_id = s.session_id AND a.state = 'applied'
			WHERE s.tenant_no = $1 AND s.customer_id = $2 AND s.state = 'open' AND s.paid_minor = 0 AND s.expires_at > $3 LIMIT 10`},
		{&b.WaitingPayments, `SELECT payment_id FROM payments
			WHERE tenant_no = $1 AND customer_id = $2 AND code_hash IS NOT NULL AND status = 'requires_capture' AND code_expires_at > $3 LIMIT 10`},
		{&b.PendingTopups, `SELECT t.topup_id FROM wallets w JOIN topups t ON t.tenant_no = w.tenant_no AND t.customer_id = w.customer_id AND t.state = 'PENDING'
			WHERE w.tenant_no = $1 AND w.customer_id = $2 AND w.pending_topups_minor > 0 AND $3::timestamptz IS NOT NULL LIMIT 10`},
	} {
		if *part.to, err = pg.Many[string](ctx, s.q, part.sql, t.No, customerID, now); err != nil {
			return b, err
		}
	}
	return b, nil
}

// Merged implements merging.Store.
func (s *Store) Merged(ctx context.Context, t tenancy.Tenant, customerID string) (int, error) {
	return pg.One[int](ctx, s.q, `SELECT count(*)::int FROM customers WHERE tenant_no = $1 AND merged_into = $2`, t.No, customerID)
}

// moves are the statements that give what $2 has to $3, in order; $4 is now.
var moves = []string{
	`UPDATE grants SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL`,
	`UPDATE points_lots SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND remaining > 0 AND $4::timestamptz IS NOT NULL`,
	`UPDATE topups SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND state = 'COMPLETED' AND $4::timestamptz IS NOT NULL`,
	`UPDATE payment_codes SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND expires_at > $4`,
	`UPDATE consents SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL`,
	`UPDATE customer_events SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL`,
	`UPDATE messages SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL`,
	`UPDATE claims SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL`,
	// The source's phone is not to be proven any more: it is not the identity.
	`UPDATE enrollments SET customer_id = $3, expires_at = least(expires_at, $4) WHERE tenant_no = $1 AND customer_id = $2`,
	`INSERT INTO customer_preferences (customer_id, tenant_no, version, channels, opt_out_all, opt_out_kinds, opt_out_categories, receipt_channel, updated_at)
		SELECT $3, tenant_no, version, channels, opt_out_all, opt_out_kinds, opt_out_categories, receipt_channel, $4
		FROM customer_preferences WHERE tenant_no = $1 AND customer_id = $2 ON CONFLICT (customer_id) DO NOTHING`,
	`DELETE FROM customer_preferences WHERE tenant_no = $1 AND customer_id = $2 AND $3::text <> '' AND $4::timestamptz IS NOT NULL`,
	`INSERT INTO offer_uses (tenant_no, offer_id, scope, uses)
		SELECT tenant_no, offer_id, 'c:' || $3, uses FROM offer_uses WHERE tenant_no = $1 AND scope = 'c:' || $2 AND scope LIKE 'c:%' AND $4::timestamptz IS NOT NULL
		ON CONFLICT (tenant_no, offer_id, scope) DO UPDATE SET uses = offer_uses.uses + excluded.uses`,
	`UPDATE checkout_sessions SET customer_id = $3, version = version + 1
		WHERE tenant_no = $1 AND customer_id = $2 AND state = 'open' AND $4::timestamptz IS NOT NULL`,
	// A card that both have collides no longer.
	`UPDATE credential_links l SET unlinked_at = $4, unlink_reason = 'merged'
		WHERE l.tenant_no = $1 AND l.customer_id = $2 AND l.unlinked_at IS NULL AND EXISTS (
			SELECT FROM credential_links o WHERE o.tenant_no = l.tenant_no AND o.credential_type = l.credential_type
				AND o.value = l.value AND o.customer_id = $3 AND o.unlinked_at IS NULL)`,
	`UPDATE wallets SET merged_into = $3 WHERE tenant_no = $1 AND $4::timestamptz IS NOT NULL AND customer_id = ANY (
		ARRAY(SELECT customer_id FROM customers WHERE tenant_no = $1 AND merged_into = $2) || $2::text)`,
	`UPDATE customers SET merged_into = $3, updated_at = $4 WHERE tenant_no = $1 AND merged_into = $2`,
	`UPDATE customers SET status = 'merged', merged_into = $3, updated_at = $4 WHERE tenant_no = $1 AND customer_id = $2`,
}

// Move implements merging.Store.
func (s *Store) Move(ctx context.Context, t tenancy.Tenant, source, target string, now time.Time) ([]string, error) {
	for _, sql := range moves {
		if _, err := s.q.Exec(ctx, sql, t.No, source, target, now); err != nil {
			return nil, err
		}
	}
	return pg.Many[string](ctx, s.q, `UPDATE credential_links SET customer_id = $3
		WHERE tenant_no = $1 AND customer_id = $2 AND unlinked_at IS NULL RETURNING credential_id`, t.No, source, target)
}

// Add implements merging.Store.
func (s *Store) Add(ctx context.Context, m merging.Merge) error {
	grants, links, entries := []string{}, []string{}, append([]string{}, m.EntryIDs...)
	for _, g := range m.Grants {
		grants = append(grants, g.ID)
	}
	for _, l := range m.Links {
		links = append(links, l.ID)
	}
	_, err := s.q.Exec(ctx, `INSERT INTO identity_merges (merge_id, tenant_no, customer_id, source_customer_id, session_id, reason,
			actual_minor, points, grant_ids, credential_ids, entry_ids, merged_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		m.ID, m.Tenant.No, m.CustomerID, m.SourceID, m.SessionID, m.Reason, m.ActualMinor, m.Points, grants, links, entries, m.At)
	return err
}
