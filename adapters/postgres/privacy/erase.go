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

// naming is true where text holds the phone or e-mail of one of the customers,
// or a word of their name of four letters or more; while they still have them.
// Too much rather than too little: what it finds is replaced or fetched anew.
func naming(text string) string {
	return `EXISTS (SELECT FROM customers n WHERE n.tenant_no = $1 AND n.customer_id = ANY ($2) AND (
		position(substr(n.phone, 2) in ` + text + `) > 0 OR position(lower(nullif(n.email, '')) in lower(` + text + `)) > 0
		OR EXISTS (SELECT FROM regexp_split_to_table(lower(n.name), '\W+') w WHERE length(w) > 3
			AND position(trim(both '"' from to_json(w)::text) in lower(` + text + `)) > 0)))`
}

// ofTheirTopups is true for rows x beside the customers' top-ups.
const ofTheirTopups = `x.tenant_no = $1 AND x.topup_id = ANY (ARRAY(SELECT topup_id FROM topups WHERE tenant_no = $1 AND customer_id = ANY ($2)))
	AND $3::timestamptz IS NOT NULL`

// theirOpenSessions are the sessions that Anonymise takes the customers off.
const theirOpenSessions = `SELECT session_id FROM checkout_sessions WHERE tenant_no = $1 AND customer_id = ANY ($2) AND state = 'open'`

// anonymising are the steps of Anonymise; $3 is now. They touch what a person
// has few of.
var anonymising = []step{
	// References are made by others, who may have put a person into one. What
	// takes its place is as unique. Facts that name a person go whole: an actuator
	// fetches them anew.
	{"facts", `DELETE FROM actuator_facts x WHERE x.tenant_no = $1 AND ` + naming(`x.facts::jsonb::text`) + ` AND $3::timestamptz IS NOT NULL`},
	{"bank_references", `UPDATE topup_settlements x SET bank_reference = 'erased' WHERE ` + ofTheirTopups + ` AND ` + naming(`x.bank_reference`)},
	{"report_lines", `UPDATE settlement_report_lines x SET reference = 'erased ' || x.topup_id WHERE ` + ofTheirTopups + ` AND ` + naming(`x.reference`)},
	{"topup_callbacks", `UPDATE provider_callbacks x SET reference = 'erased ' || x.callback_id WHERE ` + ofTheirTopups + ` AND ` + naming(`x.reference`)},
	{"topup_references", `UPDATE topups x SET reference = 'erased ' || x.topup_id WHERE x.tenant_no = $1 AND x.customer_id = ANY ($2)
		AND $3::timestamptz IS NOT NULL AND ` + naming(`x.reference`)},
	{"proposals", `UPDATE proposals SET expires_at = least(expires_at, $3) WHERE tenant_no = $1 AND customer_id = ANY ($2) AND state = 'open'`},
	// Open sessions leave the customer below: what was noted in them goes first.
	{"session_events", `UPDATE session_events SET data = '{}' WHERE tenant_no = $1 AND session_id = ANY (ARRAY(` + theirOpenSessions + `))
		AND data <> '{}' AND $3::timestamptz IS NOT NULL`},
	{"returns", `UPDATE payment_returns SET reason = NULL WHERE tenant_no = $1 AND payment_id = ANY (ARRAY(
		SELECT payment_id FROM payments WHERE tenant_no = $1 AND session_id = ANY (ARRAY(` + theirOpenSessions + `))))
		AND reason IS NOT NULL AND $3::timestamptz IS NOT NULL`},
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
	// Of merges that were undone, too, whichever of the two it is.
	{"merges", `UPDATE identity_merges SET reason = '', undo_reason = '' WHERE tenant_no = $1
		AND (customer_id = ANY ($2) OR source_customer_id = ANY ($2) AND source_customer_id <> '') AND $3::timestamptz IS NOT NULL`},
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
	{"session_events", `UPDATE session_events SET data = '{}' WHERE tenant_no = $1 AND (session_id, event_id) IN (
		SELECT e.session_id, e.event_id FROM checkout_sessions s JOIN session_events e ON e.tenant_no = s.tenant_no AND e.session_id = s.session_id
		WHERE s.tenant_no = $1 AND s.customer_id = ANY ($2) AND e.data <> '{}' LIMIT $3)`},
	{"returns", `UPDATE payment_returns SET reason = NULL WHERE tenant_no = $1 AND return_id = ANY (ARRAY(
		SELECT r.return_id FROM ` + paid + ` found JOIN payment_returns r ON r.tenant_no = $1 AND r.payment_id = found.id AND r.reason IS NOT NULL LIMIT $3))`},
	{"voids", `UPDATE transaction_voids SET reason = NULL WHERE tenant_no = $1 AND transaction_id = ANY (ARRAY(
		SELECT v.transaction_id FROM transactions t JOIN transaction_voids v
			ON v.tenant_no = t.tenant_no AND v.transaction_id = t.transaction_id AND v.reason IS NOT NULL
		WHERE t.tenant_no = $1 AND t.customer_id = ANY ($2) LIMIT $3))`},
	{"topups", `UPDATE topups SET reversal_note = NULL, artifact = NULL WHERE tenant_no = $1 AND topup_id = ANY (ARRAY(
		SELECT topup_id FROM topups WHERE tenant_no = $1 AND customer_id = ANY ($2) AND num_nonnulls(reversal_note, artifact) > 0 LIMIT $3))`},
	// Of a contest stays what was contested, by which step, and how it ended.
	{"disputes", `UPDATE disputes SET description = '', evidence = '[]', note = '', history = (
			SELECT coalesce(jsonb_agg(h.step - 'note' ORDER BY h.n), '[]') FROM jsonb_array_elements(history) WITH ORDINALITY h (step, n))
		WHERE tenant_no = $1 AND dispute_id = ANY (ARRAY(
			SELECT dispute_id FROM disputes WHERE tenant_no = $1 AND customer_id = ANY ($2)
				AND (description <> '' OR evidence <> '[]' OR note <> '' OR jsonb_path_exists(history, '$[*].note')) LIMIT $3))`},
	{"proposed_offers", `UPDATE offer_applications SET title = '' WHERE tenant_no = $1 AND application_id = ANY (ARRAY(
		SELECT a.application_id FROM proposals p JOIN offer_applications a
			ON a.tenant_no = p.tenant_no AND a.application_id = p.application_id AND a.title <> ''
		WHERE p.tenant_no = $1 AND p.customer_id = ANY ($2) LIMIT $3))`},
	{"proposals", `UPDATE proposals SET title = '', reason = NULL, decision_reason = NULL WHERE tenant_no = $1 AND proposal_id = ANY (ARRAY(
		SELECT proposal_id FROM proposals WHERE tenant_no = $1 AND customer_id = ANY ($2)
			AND (title <> '' OR num_nonnulls(reason, decision_reason) > 0) LIMIT $3))`},
	// Nothing more is told outside; the decision that asked for it is in its trace.
	{"commands", `DELETE FROM actuator_commands WHERE tenant_no = $1 AND command_id = ANY (ARRAY(SELECT c.command_id FROM ` + told + ` LIMIT $3))`},
	// A shadow's plans were never carried out: nothing rests on them.
	{"shadows", `DELETE FROM actuator_shadow_plans WHERE tenant_no = $1 AND (installation_id, transaction_id, kind) IN (
		SELECT p.installation_id, p.transaction_id, p.kind FROM ` + shadowed + ` LIMIT $3)`},
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
