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

// HoldCustomers implements merging.Store.
func (s *Store) HoldCustomers(ctx context.Context, t tenancy.Tenant, giver string, customerIDs ...string) error {
	_, err := s.q.Exec(ctx, `SELECT 1 FROM customers WHERE tenant_no = $1 AND (customer_id = ANY ($2) OR merged_into = $3)
		ORDER BY customer_id FOR NO KEY UPDATE`, t.No, customerIDs, giver)
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
func (s *Store) Merged(ctx context.Context, t tenancy.Tenant, customerID string) ([]string, error) {
	return pg.Many[string](ctx, s.q, `SELECT customer_id FROM customers WHERE tenant_no = $1 AND merged_into = $2`, t.No, customerID)
}

// move is a statement that gives rows of $2 to $3; $4 is now, where it is the
// last one, and $5 the merge. Where record is not empty it returns what it moved,
// (id, amount), to be noted under that name.
type move struct{ record, sql string }

// text is the statement that moves and notes.
func (m move) text() string {
	if m.record == "" {
		return m.sql
	}
	return `WITH moved AS (` + m.sql + `) INSERT INTO identity_merge_rows (tenant_no, merge_id, record, row_id, amount)
		SELECT $1, $5, '` + m.record + `', id, amount FROM moved`
}

// moves are in order.
var moves = []move{
	{"grants", `UPDATE grants SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL
		RETURNING grant_id AS id, remaining_minor AS amount`},
	{"points_lots", `UPDATE points_lots SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND remaining > 0 AND $4::timestamptz IS NOT NULL
		RETURNING lot_id AS id, remaining AS amount`},
	{"topups", `UPDATE topups SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND state = 'COMPLETED' AND $4::timestamptz IS NOT NULL
		RETURNING topup_id AS id, NULL::bigint AS amount`},
	{"payment_codes", `UPDATE payment_codes SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND expires_at > $4
		RETURNING encode(code_hash, 'hex') AS id, NULL::bigint AS amount`},
	{"consents", `UPDATE consents SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL
		RETURNING consent_id AS id, NULL::bigint AS amount`},
	{"customer_events", `UPDATE customer_events SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL
		RETURNING customer_event_id AS id, NULL::bigint AS amount`},
	{"messages", `UPDATE messages SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL
		RETURNING message_id AS id, NULL::bigint AS amount`},
	{"claims", `UPDATE claims SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND $4::timestamptz IS NOT NULL
		RETURNING claim_id AS id, NULL::bigint AS amount`},
	// The source's phone is not to be proven any more: it is not the identity.
	{"enrollments", `UPDATE enrollments SET customer_id = $3, expires_at = least(expires_at, $4) WHERE tenant_no = $1 AND customer_id = $2
		RETURNING enrollment_id AS id, NULL::bigint AS amount`},
	// The source keeps its preferences, for nobody to read but an undo.
	{"preferences", `INSERT INTO customer_preferences (customer_id, tenant_no, version, channels, opt_out_all, opt_out_kinds, opt_out_categories, receipt_channel, updated_at)
		SELECT $3, tenant_no, version, channels, opt_out_all, opt_out_kinds, opt_out_categories, receipt_channel, $4
		FROM customer_preferences WHERE tenant_no = $1 AND customer_id = $2 ON CONFLICT (customer_id) DO NOTHING
		RETURNING customer_id AS id, version::bigint AS amount`},
	{"offer_uses", `SELECT offer_id AS id, uses AS amount FROM offer_uses
		WHERE tenant_no = $1 AND scope = 'c:' || $2 AND scope LIKE 'c:%' AND $3::text <> '' AND $4::timestamptz IS NOT NULL`},
	{"", `INSERT INTO offer_uses (tenant_no, offer_id, scope, uses)
		SELECT tenant_no, offer_id, 'c:' || $3, uses FROM offer_uses WHERE tenant_no = $1 AND scope = 'c:' || $2 AND scope LIKE 'c:%' AND $4::timestamptz IS NOT NULL
		ON CONFLICT (tenant_no, offer_id, scope) DO UPDATE SET uses = offer_uses.uses + excluded.uses`},
	{"checkout_sessions", `UPDATE checkout_sessions SET customer_id = $3, version = version + 1
		WHERE tenant_no = $1 AND customer_id = $2 AND state = 'open' AND $4::timestamptz IS NOT NULL
		RETURNING session_id AS id, NULL::bigint AS amount`},
	// A card that both have collides no longer.
	{"unlinked", `UPDATE credential_links l SET unlinked_at = $4, unlink_reason = 'merged'
		WHERE l.tenant_no = $1 AND l.customer_id = $2 AND l.unlinked_at IS NULL AND EXISTS (
			SELECT FROM credential_links o WHERE o.tenant_no = l.tenant_no AND o.credential_type = l.credential_type
				AND o.value = l.value AND o.customer_id = $3 AND o.unlinked_at IS NULL)
		RETURNING l.credential_id AS id, NULL::bigint AS amount`},
	{"credential_links", `UPDATE credential_links SET customer_id = $3 WHERE tenant_no = $1 AND customer_id = $2 AND unlinked_at IS NULL
		AND $4::timestamptz IS NOT NULL RETURNING credential_id AS id, NULL::bigint AS amount`},
	{"", `UPDATE wallets SET merged_into = $3 WHERE tenant_no = $1 AND $4::timestamptz IS NOT NULL AND customer_id = ANY (
		ARRAY(SELECT customer_id FROM customers WHERE tenant_no = $1 AND merged_into = $2) || $2::text)`},
	{"merged", `UPDATE customers SET merged_into = $3, updated_at = $4 WHERE tenant_no = $1 AND merged_into = $2
		RETURNING customer_id AS id, NULL::bigint AS amount`},
	{"", `UPDATE customers SET status = 'merged', merged_into = $3, updated_at = $4 WHERE tenant_no = $1 AND customer_id = $2`},
}

// args are those of the move for m.
func (m move) args(of merging.Merge) []any {
	args := []any{of.Tenant.No, of.SourceID, of.CustomerID, of.At}
	if m.record != "" {
		args = append(args, of.ID)
	}
	return args
}

// Move implements merging.Store.
func (s *Store) Move(ctx context.Context, m merging.Merge) ([]string, error) {
	for _, step := range moves {
		if _, err := s.q.Exec(ctx, step.text(), step.args(m)...); err != nil {
			return nil, err
		}
	}
	return pg.Many[string](ctx, s.q, noted, m.Tenant.No, m.ID, "credential_links")
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
			actual_minor, points, grant_ids, credential_ids, entry_ids, merged_at, undo_until, points_earned, points_burned,
			first_topup_at, first_purchase_at, noted)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $4 <> '')`,
		m.ID, m.Tenant.No, m.CustomerID, m.SourceID, m.SessionID, m.Reason, m.ActualMinor, m.Points, grants, links, entries, m.At,
		m.UndoUntil, m.PointsEarned, m.PointsBurned, m.FirstTopupAt, m.FirstPurchaseAt)
	return err
}
