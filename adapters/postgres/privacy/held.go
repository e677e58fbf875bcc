package privacy

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

// section is a kind of record with the statement that reads it: (key, doc) by
// key, of tenant $1 and customers $2, after key $3, at most $4. Every statement
// keeps to rows of these customers by an index.
type section struct {
	privacy.Section
	sql string
}

// whole reads rows of a table with a customer_id, the columns of left out.
func whole(table, key, without string) string {
	return `SELECT x.` + key + ` AS key, to_jsonb(x) - ARRAY['tenant_no'` + without + `] AS doc FROM ` + table + ` x
		WHERE x.tenant_no = $1 AND x.customer_id = ANY ($2) AND x.` + key + ` > $3 ORDER BY x.` + key + ` LIMIT $4`
}

// ofSessions reads rows of a table that belong to the customers' sessions.
func ofSessions(table, key string) string {
	return `SELECT key, doc FROM (
			SELECT ` + key + ` AS key, to_jsonb(x) - 'tenant_no' AS doc
			FROM checkout_sessions s JOIN ` + table + ` x ON x.tenant_no = s.tenant_no AND x.session_id = s.session_id
			WHERE s.tenant_no = $1 AND s.customer_id = ANY ($2)) r
		WHERE key > $3 ORDER BY key LIMIT $4`
}

// paid are the ids of the customers' payments: they are found by their session,
// by the sale they paid, or by the code they waited for. There is no index by
// customer on the payment path.
const paid = `(SELECT y.payment_id AS id FROM checkout_sessions s JOIN payments y ON y.tenant_no = s.tenant_no AND y.session_id = s.session_id
			WHERE s.tenant_no = $1 AND s.customer_id = ANY ($2) AND y.customer_id = ANY ($2)
			UNION
			SELECT d->>'payment_id' FROM transactions t CROSS JOIN jsonb_array_elements(t.tenders) d
			WHERE t.tenant_no = $1 AND t.customer_id = ANY ($2) AND d->>'payment_id' <> ''
			UNION
			SELECT y.payment_id FROM payments y WHERE y.tenant_no = $1 AND y.customer_id = ANY ($2) AND y.code_hash IS NOT NULL)`

const payments = `SELECT p.payment_id AS key, to_jsonb(p) - ARRAY['tenant_no', 'code_hash', 'decision'] AS doc FROM payments p
	WHERE p.tenant_no = $1 AND p.payment_id = ANY (ARRAY(SELECT id FROM ` + paid + ` found WHERE id > $3 ORDER BY id LIMIT $4))
	ORDER BY p.payment_id`

const returned = `SELECT r.return_id AS key, to_jsonb(r) - ARRAY['tenant_no', 'actor_id'] AS doc
	FROM ` + paid + ` found JOIN payment_returns r ON r.tenant_no = $1 AND r.payment_id = found.id
	WHERE r.return_id > $3 ORDER BY r.return_id LIMIT $4`

// ofSales reads rows that stand beside the customers' sales, x, without further
// columns.
func ofSales(table, key, without string) string {
	return `SELECT key, doc FROM (
			SELECT ` + key + ` AS key, to_jsonb(x) - ARRAY['tenant_no'` + without + `] AS doc
			FROM transactions t JOIN ` + table + ` x ON x.tenant_no = t.tenant_no AND x.transaction_id = t.transaction_id
			WHERE t.tenant_no = $1 AND t.customer_id = ANY ($2)) r
		WHERE key > $3 ORDER BY key LIMIT $4`
}

// ofTopups reads rows that stand beside the customers' top-ups, x.
func ofTopups(table, key, without string) string {
	return `SELECT x.` + key + ` AS key, to_jsonb(x) - ARRAY['tenant_no'` + without + `] AS doc
		FROM topups p JOIN ` + table + ` x ON x.tenant_no = p.tenant_no AND x.topup_id = p.topup_id
		WHERE p.tenant_no = $1 AND p.customer_id = ANY ($2) AND x.` + key + ` > $3 ORDER BY x.` + key + ` LIMIT $4`
}

// told are the commands that decisions about the customers' sales gave to
// actuators.
const told = `transactions t JOIN transaction_rulings r ON r.tenant_no = t.tenant_no AND r.transaction_id = t.transaction_id
	JOIN actuator_commands c ON c.tenant_no = r.tenant_no AND c.decision_id = r.decision_id AND c.decision_id <> ''
	WHERE t.tenant_no = $1 AND t.customer_id = ANY ($2)`

const commands = `SELECT c.command_id AS key, to_jsonb(c) - ARRAY['tenant_no', 'attempts', 'due_at', 'failure', 'shadow', 'scheduled'] AS doc
	FROM ` + told + ` AND c.command_id > $3 ORDER BY c.command_id LIMIT $4`

// shadowed are what shadows would have decided about the customers' sales.
const shadowed = `transactions t JOIN actuator_installations i ON i.tenant_no = t.tenant_no
	JOIN actuator_shadow_plans p ON p.tenant_no = t.tenant_no AND p.installation_id = i.installation_id AND p.transaction_id = t.transaction_id
	WHERE t.tenant_no = $1 AND t.customer_id = ANY ($2)`

const shadows = `SELECT key, doc FROM (
		SELECT p.installation_id || '/' || p.transaction_id || '/' || p.kind AS key, to_jsonb(p) - ARRAY['tenant_no', 'failure'] AS doc FROM ` + shadowed + `) r
	WHERE key > $3 ORDER BY key LIMIT $4`

// merges are those of the customers, and undone ones that they are out of again.
const merges = `SELECT x.merge_id AS key, to_jsonb(x) - ARRAY['tenant_no', 'noted'] AS doc FROM identity_merges x
	WHERE x.tenant_no = $1 AND (x.customer_id = ANY ($2) OR x.source_customer_id = ANY ($2) AND x.source_customer_id <> '')
		AND x.merge_id > $3 ORDER BY x.merge_id LIMIT $4`

var sections = []section{
	{privacy.Section{Name: "identity", Title: "Who you are"}, whole("customers", "customer_id", "")},
	{privacy.Section{Name: "credentials", Title: "How you are recognised"}, whole("credential_links", "credential_id", ", 'value'")},
	{privacy.Section{Name: "enrollments", Title: "Proofs of your phone"}, whole("enrollments", "enrollment_id", ", 'code_hash'")},
	{privacy.Section{Name: "consents", Title: "What you agreed to"}, whole("consents", "consent_id", "")},
	{privacy.Section{Name: "preferences", Title: "How you want to be treated"}, whole("customer_preferences", "customer_id", "")},
	{privacy.Section{Name: "customer_events", Title: "What was told about you"}, whole("customer_events", "customer_event_id", "")},
	{privacy.Section{Name: "wallets", Title: "Your wallet"}, whole("wallets", "customer_id", "")},
	{privacy.Section{Name: "topups", Title: "Your top-ups"}, whole("topups", "topup_id", "")},
	{privacy.Section{Name: "topup_settlements", Title: "How your top-ups reached the bank"}, ofTopups("topup_settlements", "topup_id", "")},
	{privacy.Section{Name: "topup_callbacks", Title: "Deposits for you that could not be credited"}, ofTopups("provider_callbacks", "callback_id", "")},
	{privacy.Section{Name: "grants", Title: "Promotional credit you were given"}, whole("grants", "grant_id", "")},
	{privacy.Section{Name: "claims", Title: "Releases of that credit"}, whole("claims", "claim_id", "")},
	{privacy.Section{Name: "points", Title: "Your points"}, whole("points_movements", "movement_id", "")},
	{privacy.Section{Name: "sessions", Title: "Your visits"}, whole("checkout_sessions", "session_id", "")},
	{privacy.Section{Name: "session_events", Title: "What tills noted during your visits"}, ofSessions("session_events", "x.session_id || '/' || x.event_id")},
	{privacy.Section{Name: "baskets", Title: "What you were buying"}, ofSessions("basket_revisions", "x.session_id || '/' || lpad(x.revision::text, 10, '0')")},
	{privacy.Section{Name: "offers", Title: "Offers applied for you"}, ofSessions("offer_applications", "x.application_id")},
	{privacy.Section{Name: "decisions", Title: "Decisions taken about you, and why"}, ofSessions("decisions", "x.decision_id")},
	{privacy.Section{Name: "proposals", Title: "What was proposed to you"}, whole("proposals", "proposal_id", "")},
	{privacy.Section{Name: "payments", Title: "Your payments"}, payments},
	{privacy.Section{Name: "returns", Title: "What you got back of your payments"}, returned},
	{privacy.Section{Name: "transactions", Title: "Your purchases"}, whole("transactions", "transaction_id", "")},
	{privacy.Section{Name: "voids", Title: "Purchases that were undone"}, ofSales("transaction_voids", "x.transaction_id", ", 'actor_id'")},
	{privacy.Section{Name: "disputes", Title: "Purchases that were contested"}, whole("disputes", "dispute_id", "")},
	{
		privacy.Section{Name: "attributions", Title: "Offers that partners say you saw before a purchase"},
		ofSales("attribution_exposures", "x.transaction_id || '/' || x.offer_id || '/' || x.trace_id", ""),
	},
	{privacy.Section{Name: "commands", Title: "What was passed on after your purchases to services outside"}, commands},
	{privacy.Section{Name: "shadows", Title: "What services on trial would have decided about your purchases"}, shadows},
	{
		privacy.Section{Name: "receipts", Title: "Your receipts"},
		`SELECT x.transaction_id AS key, jsonb_build_object('receipt_number', x.receipt_number, 'issued_at', x.created_at, 'currency', x.currency,
			'total_minor', x.total_minor, 'transaction_id', x.transaction_id) AS doc FROM transactions x
		WHERE x.tenant_no = $1 AND x.customer_id = ANY ($2) AND x.transaction_id > $3 ORDER BY x.transaction_id LIMIT $4`,
	},
	{privacy.Section{Name: "messages", Title: "Messages sent to you"}, whole("messages", "message_id", "")},
	{privacy.Section{Name: "merges", Title: "Identities that became yours, or stopped being so"}, merges},
	{privacy.Section{Name: "requests", Title: "What you asked for by right"}, whole("gdpr_requests", "request_id", ", 'due_at', 'attempts'")},
}

// Sections implements privacy.Archives.
func (s *Store) Sections() []privacy.Section {
	out := make([]privacy.Section, len(sections))
	for i := range sections {
		out[i] = sections[i].Section
	}
	return out
}

// Family implements privacy.Archives.
func (s *Store) Family(ctx context.Context, t tenancy.Tenant, customerID string) ([]string, error) {
	return pg.Many[string](ctx, s.q, `SELECT customer_id FROM customers WHERE tenant_no = $1 AND (customer_id = $2 OR merged_into = $2)
		ORDER BY customer_id`, t.No, customerID)
}

// Held implements privacy.Archives.
func (s *Store) Held(ctx context.Context, t tenancy.Tenant, name string, customerIDs []string, after string, limit int) ([]privacy.Record, error) {
	for i := range sections {
		if sections[i].Name == name {
			return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (privacy.Record, error) {
				var out privacy.Record
				var doc []byte
				err := r.Scan(&out.Key, &doc)
				out.Doc = json.RawMessage(doc)
				return out, err
			}, sections[i].sql, t.No, customerIDs, after, limit)
		}
	}
	return nil, fmt.Errorf("privacy: no section %q", name)
}
