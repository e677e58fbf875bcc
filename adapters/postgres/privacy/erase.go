package privacy

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

// Hold implements privacy.Erasures.
func (s *Store) Hold(ctx context.Context, t tenancy.Tenant, customerIDs []string) error {
	_, err := s.q.Exec(ctx, `SELECT 1 FROM customers WHERE tenant_no = $1 AND customer_id = ANY ($2) ORDER BY customer_id FOR NO KEY UPDATE`, t.No, customerIDs)
	return err
}

// step is a statement that erases records of a kind, of tenant $1 and customers
// $2; $3 is what else it takes.
type step struct{ record, sql string }

// anonymising are the steps of Anonymise; $3 is now. They touch what a person
// has few of.
var anonymising = []step{
	{"credentials", `DELETE FROM credential_links WHERE tenant_no = $1 AND customer_id = ANY ($2) AND $3::timestamptz IS NOT NULL`},
	{"payment_codes", `DELETE FROM payment_codes WHERE tenant_no = $1 AND customer_id = ANY ($2) AND $3::timestamptz IS NOT NULL`},
	{"enrollments", `DELETE FROM enrollments WHERE tenant_no = $1 AND customer_id = ANY ($2) AND $3::timestamptz IS NOT NULL`},
	{"preferences", `DELETE FROM customer_preferences WHERE tenant_no = $1 AND customer_id = ANY ($2) AND $3::timestamptz IS NOT NULL`},
	{"messages", `UPDATE messages SET state = 'cancelled', cause = 'erased', ended_at = $3 WHERE tenant_no = $1 AND customer_id = ANY ($2) AND state = 'queued'`},
	{"sessions", `UPDATE checkout_sessions SET customer_id = NULL, credential_type = '', probationary = false, version = version + 1
		WHERE tenant_no = $1 AND customer_id = ANY ($2) AND state = 'open' AND $3::timestamptz IS NOT NULL`},
	// First, so that no worker adds to an archive any more.
	{"exports", `UPDATE gdpr_requests SET reason = '', due_at = NULL, completed_at = coalesce(completed_at, $3),
			state = CASE WHEN state = 'completed' THEN 'expired' WHEN due_at IS NOT NULL THEN 'failed' ELSE state END
		WHERE tenant_no = $1 AND customer_id = ANY ($2) AND kind = 'export'`},
	{"archives", `DELETE FROM gdpr_archives a USING gdpr_requests r WHERE r.tenant_no = $1 AND r.customer_id = ANY ($2)
		AND a.tenant_no = r.tenant_no AND a.request_id = r.request_id AND $3::timestamptz IS NOT NULL`},
	{"merges", `UPDATE identity_merges SET reason = '' WHERE tenant_no = $1 AND customer_id = ANY ($2) AND $3::timestamptz IS NOT NULL`},
	{"identity", `UPDATE customers SET phone = NULL, name = '', email = NULL, birth_date = NULL, locale = '', tier = '', status_reason = '',
			phone_used_at = NULL, status = 'erased', updated_at = $3
		WHERE tenant_no = $1 AND customer_id = ANY ($2)`},
}

// Anonymise implements privacy.Erasures.
func (s *Store) Anonymise(ctx context.Context, t tenancy.Tenant, customerIDs []string, now time.Time) ([]privacy.Count, error) {
	return s.steps(ctx, anonymising, t.No, customerIDs, now)
}

// erasing are the steps of EraseSome; $3 is the limit. What is left of a
// consent is that and when it was given: the merchant has to be able to show it.
var erasing = []step{
	{"customer_events", `DELETE FROM customer_events WHERE tenant_no = $1 AND customer_event_id = ANY (ARRAY(
		SELECT customer_event_id FROM customer_events WHERE tenant_no = $1 AND customer_id = ANY ($2) LIMIT $3))`},
	{"consents", `UPDATE consents SET evidence = '{}' WHERE tenant_no = $1 AND consent_id = ANY (ARRAY(
		SELECT consent_id FROM consents WHERE tenant_no = $1 AND customer_id = ANY ($2) AND evidence <> '{}' LIMIT $3))`},
	{"points", `UPDATE points_movements SET reason = NULL WHERE tenant_no = $1 AND movement_id = ANY (ARRAY(
		SELECT movement_id FROM points_movements WHERE tenant_no = $1 AND customer_id = ANY ($2) AND reason IS NOT NULL LIMIT $3))`},
	{"session_notes", `UPDATE checkout_sessions SET end_note = '' WHERE tenant_no = $1 AND session_id = ANY (ARRAY(
		SELECT session_id FROM checkout_sessions WHERE tenant_no = $1 AND customer_id = ANY ($2) AND end_note <> '' LIMIT $3))`},
	{"credit_notes", `UPDATE budget_movements SET reason = NULL WHERE tenant_no = $1 AND (budget_id, position) IN (
		SELECT b.budget_id, b.position FROM grants g JOIN budget_movements b
			ON b.tenant_no = g.tenant_no AND b.budget_id = g.budget_id AND b.reference_id = g.grant_id AND b.reason IS NOT NULL
		WHERE g.tenant_no = $1 AND g.customer_id = ANY ($2) AND g.budget_id IS NOT NULL LIMIT $3)`},
}

// EraseSome implements privacy.Erasures.
func (s *Store) EraseSome(ctx context.Context, t tenancy.Tenant, customerIDs []string, limit int) ([]privacy.Count, error) {
	return s.steps(ctx, erasing, t.No, customerIDs, limit)
}

func (s *Store) steps(ctx context.Context, steps []step, args ...any) ([]privacy.Count, error) {
	counts := make([]privacy.Count, 0, len(steps))
	for _, e := range steps {
		n, err := s.q.Exec(ctx, e.sql, args...)
		if err != nil {
			return nil, err
		}
		counts = append(counts, privacy.Count{Record: e.record, N: n})
	}
	return counts, nil
}
