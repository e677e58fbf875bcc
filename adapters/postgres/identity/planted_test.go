package identity_test

import (
	"fmt"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
)

// words are what somebody wrote by hand about the person, as a till, a cashier,
// a partner or a provider might.
const words = "called " + personName + ", " + personEmail + ", " + guest

// planted are the columns where plant puts words.
var planted = []string{
	"session_events.data", "payment_returns.reason", "transaction_voids.reason", "topups.reversal_note", "topups.artifact", "topups.reference",
	"topup_settlements.bank_reference", "settlement_report_lines.reference", "provider_callbacks.reference",
	"disputes.description", "disputes.evidence", "disputes.history", "disputes.note",
	"proposals.title", "proposals.reason", "proposals.decision_reason", "offer_applications.title",
	"actuator_commands.payload", "actuator_commands.result", "actuator_commands.reference", "actuator_commands.failure", "actuator_facts.facts",
	"actuator_shadow_plans.snapshot", "actuator_shadow_plans.plan", "actuator_shadow_plans.failure",
	"points_movements.reason", "identity_merges.reason", "identity_merges.undo_reason", "budget_movements.reason",
}

// plant puts words into every record of a person that takes them: beside the
// sale tx, in the open session, and in one that was closed. Such records are
// written as the tables have them: what may stand in them counts here, not how
// it got there.
func (b *bench) plant(t testing.TB, c identity.Customer, tx checkout.Transaction, open string) {
	t.Helper()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := b.db.Q().Exec(t.Context(), sql, args...)
		must(t, err)
	}
	no, now, text := b.tenant.No, b.clock.Now(), fmt.Sprintf(`{"note": %q}`, words)
	closed := b.session(t)
	// What was given back has an entry, so that the books stay sound.
	b.deposit(t, c.ID, 1)
	entry, err := pg.One[string](t.Context(), b.db.Q(), `SELECT entry_id FROM postings WHERE tenant_no = $1 AND owner = $2 AND account = 1 AND amount_minor = 1`, no, c.ID)
	must(t, err)
	exec(`UPDATE checkout_sessions SET customer_id = $3, state = 'closed', ended_at = $4, end_note = $5 WHERE tenant_no = $1 AND session_id = $2`, no, closed.ID, c.ID, now, words)
	for _, session := range []string{open, closed.ID} {
		exec(`INSERT INTO session_events (tenant_no, session_id, event_id, type, data, occurred_at, recorded_at) VALUES ($1, $2, $3, 'prompt_shown', $4, $5, $5)`,
			no, session, b.ids.Make(ids.Event), text, now)
		payment := b.ids.Make(ids.Payment)
		exec(`INSERT INTO payments (payment_id, tenant_no, customer_id, session_id, status, amount_minor, refunded_minor, currency, credential_type, failure_code, created_at)
			VALUES ($1, $2, $3, $4, 'failed', 78, 1, 'USD', 'phone', 'INSUFFICIENT_FUNDS', $5)`, payment, no, c.ID, session, now)
		exec(`INSERT INTO payment_returns (return_id, tenant_no, payment_id, kind, amount_minor, actual_minor, promo_minor, forfeited_minor, currency,
				grant_ids, grant_minors, entry_id, actor_id, reason, at)
			VALUES ($1, $2, $3, 'refund', 1, 1, 0, 0, 'USD', '{}', '{}', $6, 'key_1', $4, $5)`, b.ids.Make(ids.Refund), no, payment, words, now, entry)
	}
	exec(`INSERT INTO transaction_voids (transaction_id, tenant_no, reversals, reason, actor_id, at) VALUES ($2, $1, '[]', $3, 'key_1', $4)`, no, tx.ID, words, now)
	b.plantTopup(t, c, exec)
	exec(`INSERT INTO disputes (dispute_id, tenant_no, transaction_id, customer_id, state, reason, amount_minor, currency, description, evidence, history,
			outcome, note, opened_at, due_at, resolved_at)
		VALUES ($2, $1, $3, $4, 'resolved', 'other', 5, 'USD', $5, jsonb_build_array(jsonb_build_object('type', 'statement', 'text', $5::text)),
			jsonb_build_array(jsonb_build_object('type', 'opened', 'actor_id', 'key_1'), jsonb_build_object('type', 'resolved', 'note', $5::text)), 'merchant', $5, $6, $6, $6)`,
		no, b.ids.Make(ids.Dispute), tx.ID, c.ID, words, now)
	exec(`INSERT INTO offer_applications (application_id, tenant_no, session_id, offer_id, version, customer_id, state, kind, title, currency, discount_minor,
			value_minor, lines, basket_revision, day, applied_at, released_at)
		VALUES ('app_planted', $1, $2, 'off_planted', 1, $3, 'released', 'upsell', $4, 'USD', 0, 0, '[]', 1, '2026-06-12', $5, $5)`, no, closed.ID, c.ID, words, now)
	exec(`INSERT INTO proposals (proposal_id, tenant_no, kind, state, customer_id, session_id, offer_id, title, value, currency, reason, card, trace_id,
			decision_id, application_id, decision_reason, created_at, expires_at, decided_at)
		VALUES ('prp_planted', $1, 'goodwill', 'accepted', $3, $2, 'off_planted', $4, '{}', 'USD', $4, '{}', 'trc_1', 'dec_1', 'app_planted', $4, $5, $5, $5)`,
		no, closed.ID, c.ID, words, now)
	exec(`INSERT INTO proposals (proposal_id, tenant_no, kind, state, customer_id, offer_id, title, value, currency, reason, card, trace_id, decision_id, created_at, expires_at)
		VALUES ('prp_open', $1, 'goodwill', 'open', $2, 'off_open', $3, '{}', 'USD', $3, '{}', 'trc_2', 'dec_2', $4, $4::timestamptz + interval '1 day')`, no, c.ID, words, now)
	exec(`INSERT INTO attribution_reports (transaction_id, tenant_no, attribution_id, created_at) VALUES ($1, $2, 'atr_planted', $3)`, tx.ID, no, now)
	exec(`INSERT INTO attribution_exposures (tenant_no, transaction_id, offer_id, trace_id, outcome, shown_at, reported_at)
		VALUES ($1, $2, 'off_seen', 'trc_3', 'redeemed', $3, $3)`, no, tx.ID, now)
	b.plantCommands(t, tx, exec)
	exec(`UPDATE points_movements SET reason = $3 WHERE tenant_no = $1 AND customer_id = $2`, no, c.ID, words)
	exec(`INSERT INTO identity_merges (merge_id, tenant_no, customer_id, reason, actual_minor, points, grant_ids, credential_ids, entry_ids, merged_at)
		VALUES ('mrg_planted', $1, $2, $3, 0, 0, '{}', '{}', '{}', $4)`, no, c.ID, words, now)
	exec(`INSERT INTO identity_merges (merge_id, tenant_no, customer_id, source_customer_id, reason, actual_minor, points, grant_ids, credential_ids, entry_ids,
			merged_at, undone_at, undo_reason)
		VALUES ('mrg_undone', $1, 'cus_another', $2, $3, 0, 0, '{}', '{}', '{}', $4, $4, $3)`, no, c.ID, words, now)
}

type execute func(sql string, args ...any)

// plantTopup plants into a top-up that was completed, settled and reported.
func (b *bench) plantTopup(t testing.TB, c identity.Customer, exec execute) {
	t.Helper()
	no, now, top := b.tenant.No, b.clock.Now(), b.ids.Make(ids.Topup)
	exec(`INSERT INTO topups (topup_id, tenant_no, customer_id, state, amount_minor, currency, source, provider, artifact, reference, created_at, reversal_note)
		VALUES ($2, $1, $3, 'FAILED', 25, 'USD', 'provider', 'sandbox', jsonb_build_object('prefilled', $4::text), $4, $5, $4)`, no, top, c.ID, words, now)
	exec(`INSERT INTO topup_settlements (topup_id, tenant_no, reported_minor, fee_minor, net_minor, bank_reference, settled_at, recorded_at)
		VALUES ($2, $1, 25, 0, 25, $3, $4, $4)`, no, top, words, now)
	exec(`INSERT INTO settlement_report_lines (report_id, line_no, tenant_no, reference, result, topup_id, gross_minor, fee_minor, net_minor, settled_at)
		VALUES ('rep_planted', 1, $1, $3, 'matched', $2, 25, 0, 25, $4)`, no, top, words, now)
	exec(`INSERT INTO provider_callbacks (callback_id, tenant_no, provider, result, topup_id, reference, amount_minor, currency, received_at)
		VALUES ('pcb_planted', $1, 'sandbox', 'not_pending', $2, $3, 25, 'USD', $4)`, no, top, words, now)
	budget, grant := b.ids.Make(ids.Budget), b.issue(t, c.ID, 3)
	exec(`INSERT INTO budgets (budget_id, tenant_no, name, currency, cap_minor, low_threshold_bp, funded_by, starts_at, created_at, updated_at)
		VALUES ($2, $1, 'planted', 'USD', 1000, 0, 'merchant', $3, $3, $3)`, no, budget, now)
	exec(`UPDATE grants SET budget_id = $3 WHERE tenant_no = $1 AND grant_id = $2`, no, grant.ID, budget)
	exec(`INSERT INTO budget_movements (budget_id, tenant_no, movement_id, type, amount_minor, available_after_minor, reference_id, reason, at)
		VALUES ($2, $1, 'bmv_planted', 'commit', 0, 1000, $3, $4, $5)`, no, budget, grant.ID, words, now)
}

// plantCommands plants into what actuators did after the sale, and learnt.
func (b *bench) plantCommands(t testing.TB, tx checkout.Transaction, exec execute) {
	t.Helper()
	no, now, text := b.tenant.No, b.clock.Now(), fmt.Sprintf(`{"note": %q}`, words)
	exec(`INSERT INTO transaction_rulings (transaction_id, kind, tenant_no, state, decision_id, trace_id, created_at, decided_at)
		VALUES ($2, 'enrichment', $1, 'committed', 'dec_planted', 'trc_planted', $3, $3)`, no, tx.ID, now)
	exec(`INSERT INTO actuator_commands (command_id, tenant_no, actuator, kind, state, decision_id, payload, reference, result, failure, committed_at, due_at, finished_at)
		VALUES ('cmd_done', $1, 'crm', 'crm.note', 'done', 'dec_planted', $2, $3, $2, '', $4, NULL, $4),
			('cmd_parked', $1, 'crm', 'crm.note', 'parked', 'dec_planted', $2, '', NULL, $3, $4, NULL, $4),
			('cmd_pending', $1, 'crm', 'crm.note', 'pending', 'dec_planted', $2, '', NULL, '', $4, $4, NULL),
			('cmd_other', $1, 'crm', 'crm.note', 'pending', 'dec_other', '{}', '', NULL, '', $4, $4, NULL)`, no, text, words, now)
	exec(`INSERT INTO actuator_facts (tenant_no, actuator, shadow, facts, refreshed_at) VALUES ($1, 'crm', false, $2, $3), ($1, 'weather', false, '{"sun": true}', $3)`,
		no, text, now)
	exec(`INSERT INTO actuator_installations (installation_id, tenant_no, name, version, path, sha256, manifest, settings, shadow, installed_at)
		VALUES ('ins_planted', $1, 'crm', '1.0.0', '/crm', repeat('0', 64), '{}', '{}', true, $2)`, no, now)
	exec(`INSERT INTO actuator_shadow_plans (tenant_no, installation_id, transaction_id, kind, outcome, currency, snapshot, plan, failure, at)
		SELECT $1, 'ins_planted', id, 'enrichment', 'effects', 'USD', $4, $4, $5, $3 FROM unnest(ARRAY[$2, 'txn_other']) id`, no, tx.ID, now, text, words)
	exec(`UPDATE actuator_shadow_plans SET snapshot = '{}', plan = NULL, failure = '' WHERE transaction_id = 'txn_other'`)
}

// keeps says what an erasure leaves of what was planted: ids, amounts, steps, and
// what is of nobody or of somebody else.
func (b *bench) keeps(t testing.TB) {
	t.Helper()
	for what, sql := range map[string]string{
		"a refund":                    `SELECT count(*)::int FROM payment_returns WHERE amount_minor = 1 AND entry_id <> '' AND reason IS NULL HAVING count(*) = 2`,
		"a void":                      `SELECT count(*)::int FROM transaction_voids WHERE actor_id = 'key_1' AND reason IS NULL`,
		"a contest":                   `SELECT count(*)::int FROM disputes WHERE amount_minor = 5 AND outcome = 'merchant' AND history = '[{"type": "opened", "actor_id": "key_1"}, {"type": "resolved"}]'`,
		"a proposal":                  `SELECT count(*)::int FROM proposals WHERE state = 'accepted' AND application_id = 'app_planted'`,
		"a proposal that ended":       `SELECT count(*)::int FROM proposals WHERE state = 'open' AND expires_at = created_at`,
		"session events":              `SELECT count(*)::int FROM session_events WHERE data = '{}' HAVING count(*) = 2`,
		"a deposit's settlement":      `SELECT count(*)::int FROM topup_settlements WHERE net_minor = 25 AND bank_reference = 'erased'`,
		"a report's line":             `SELECT count(*)::int FROM settlement_report_lines WHERE gross_minor = 25 AND starts_with(reference, 'erased top_')`,
		"a callback":                  `SELECT count(*)::int FROM provider_callbacks WHERE amount_minor = 25 AND reference = 'erased pcb_planted'`,
		"somebody else's command":     `SELECT count(*)::int FROM actuator_commands WHERE command_id = 'cmd_other' AND (SELECT count(*) FROM actuator_commands) = 1`,
		"somebody else's shadow":      `SELECT count(*)::int FROM actuator_shadow_plans WHERE transaction_id = 'txn_other' AND (SELECT count(*) FROM actuator_shadow_plans) = 1`,
		"facts that name nobody":      `SELECT count(*)::int FROM actuator_facts WHERE actuator = 'weather'`,
		"what partners reported seen": `SELECT count(*)::int FROM attribution_exposures WHERE offer_id = 'off_seen'`,
	} {
		if n, err := pg.Maybe[int](t.Context(), b.db.Q(), sql); err != nil || n == nil || *n == 0 {
			t.Errorf("nothing is left of %s: %v", what, err)
		}
	}
}

// What is written once gives up its words, and nothing else, to nobody.
func TestRecordsWrittenOnceGiveUpTheirWordsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.person(t)
	for _, sql := range []string{
		`UPDATE payment_returns SET amount_minor = 2, actual_minor = 2`,
		`UPDATE payment_returns SET reason = 'another'`,
		`UPDATE payment_returns SET reason = NULL, actor_id = 'key_2'`,
		`DELETE FROM payment_returns`,
		`UPDATE transaction_voids SET reason = 'another'`,
		`UPDATE transaction_voids SET reason = NULL, reversals = '[1]'`,
		`DELETE FROM transaction_voids`,
	} {
		if _, err := b.db.Q().Exec(t.Context(), sql); err == nil {
			t.Errorf("done: %s", sql)
		}
	}
}
