package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/ledger/audit"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
)

func TestDatabaseRefusesUnbalancedEntries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// lines are accounts, classes, owners and amounts.
	write := func(entries map[string][4]string) error {
		values, args := []string{}, []any{}
		for id, lines := range entries {
			n := len(args)
			values = append(values, fmt.Sprintf("($%d, 1, 'topup', 'x', now(), 'USD', $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5))
			args = append(args, id, lines[0], lines[1], lines[2], lines[3])
		}
		_, err := b.db.Q().Exec(t.Context(), "INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at, currency, accounts, classes, owners, amounts) VALUES "+
			strings.Join(values, ", "), args...)
		return err
	}
	must(t, write(map[string][4]string{
		"ent_a": {"{3,4}", "{1,1}", "{NULL,NULL}", "{-5,5}"}, "ent_b": {"{3,4,5,4}", "{1,1,2,2}", "{NULL,NULL,NULL,NULL}", "{-1,1,7,-7}"},
		"ent_c": {"{8,9,10,4,11,4}", "{3,3,4,4,5,5}", "{NULL,g,g,NULL,g,NULL}", "{-1,1,7,-7,9,-9}"},
	}))
	good := [4]string{"{3,4}", "{1,1}", "{NULL,NULL}", "{-5,5}"}
	for name, c := range map[string]struct {
		constraint string
		lines      [4]string
	}{
		"too much":              {"entries_zero_sum", [4]string{"{3,4}", "{1,1}", "{NULL,NULL}", "{-5,4}"}},
		"across classes":        {"entries_zero_sum", [4]string{"{3,4}", "{1,2}", "{NULL,NULL}", "{-5,5}"}},
		"across three classes":  {"entries_zero_sum", [4]string{"{3,4,3,4}", "{1,2,1,3}", "{NULL,NULL,NULL,NULL}", "{-5,5,3,-3}"}},
		"points against gifts":  {"entries_zero_sum", [4]string{"{9,10,3,4}", "{3,4,1,1}", "{g,g,NULL,NULL}", "{-5,5,3,-3}"}},
		"one line":              {"entries_lines", [4]string{"{3}", "{1}", "{NULL}", "{5}"}},
		"none":                  {"entries_lines", [4]string{"{}", "{}", "{}", "{}"}},
		"a line of zero":        {"entries_lines", [4]string{"{3,4,4}", "{1,1,1}", "{NULL,NULL,NULL}", "{-5,5,0}"}},
		"a line without amount": {"entries_lines", [4]string{"{3,4,4}", "{1,1,1}", "{NULL,NULL,NULL}", "{-5,5,NULL}"}},
		"no such account":       {"entries_lines", [4]string{"{3,14}", "{1,1}", "{NULL,NULL}", "{-5,5}"}},
		"no account":            {"entries_lines", [4]string{"{3,NULL}", "{1,1}", "{NULL,NULL}", "{-5,5}"}},
		"no such class":         {"entries_lines", [4]string{"{3,4}", "{6,6}", "{NULL,NULL}", "{-5,5}"}},
		"no class":              {"entries_lines", [4]string{"{3,4}", "{1,NULL}", "{NULL,NULL}", "{-5,5}"}},
		"an owner too many":     {"entries_lines", [4]string{"{3,4}", "{1,1}", "{NULL,NULL,g}", "{-5,5}"}},
		"an account too few":    {"entries_lines", [4]string{"{3}", "{1,1}", "{NULL,NULL}", "{-5,5}"}},
		"a class too many":      {"entries_lines", [4]string{"{3,4}", "{1,1,1}", "{NULL,NULL}", "{-5,5}"}},
		"a table":               {"entries_lines", [4]string{"{3,4}", "{1,1}", "{NULL,NULL}", "{{-5},{5}}"}},
	} {
		err := write(map[string][4]string{"ent_d": good, "ent_e": c.lines})
		if constraint, ok := pg.Check(err); !ok || constraint != c.constraint {
			t.Errorf("%s: refused by %q (%v), want %s", name, constraint, err, c.constraint)
		}
	}
	if n := b.count(t, "SELECT count(*) FROM postings WHERE tenant_no = 1 AND entry_id LIKE 'ent__'"); n != 2+4+6 {
		t.Errorf("%d lines stand", n)
	}
}

// People who read tables find a line per row, with its parts.
func TestPostingsAreTheLinesOfEntries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.Q().Exec(t.Context(), `INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at, currency, accounts, classes, owners, amounts)
		VALUES ('ent_1', 1, 'payment', 'pay_1', now(), 'USD', '{2,4,1,4}', '{2,2,1,1}', '{grt_1,NULL,cus_1,NULL}', '{-7,7,-9,9}')`)
	must(t, err)
	lines, err := pg.Many[string](t.Context(), b.db.Q(), `SELECT concat_ws(' ', tenant_no, entry_id, account_name(account), class_name(class), owner, currency, amount_minor) FROM postings WHERE entry_id = 'ent_1'`)
	must(t, err)
	want := []string{"1 ent_1 lot promo grt_1 USD -7", "1 ent_1 sales promo USD 7", "1 ent_1 wallet actual cus_1 USD -9", "1 ent_1 sales actual USD 9"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

func TestJournalIsImmutable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topUp(t, b.customer(t, identity.Verified), 1000)
	for _, sql := range []string{
		"UPDATE entries SET amounts = '{-7,7}'", "UPDATE entries SET kind = 'void'", "DELETE FROM entries",
	} {
		_, err := b.db.Q().Exec(t.Context(), sql)
		var refused *pgconn.PgError
		if err == nil || !strings.Contains(err.Error(), "immutable") {
			t.Errorf("%s: %v %v", sql, err, refused)
		}
	}
	b.sound(t)
}

func TestVerifyNamesTheAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	top := b.topUp(t, guest, 2500)
	b.sound(t)
	for sql, want := range map[string][2]string{
		"UPDATE wallets SET actual_minor = actual_minor + 1":                   {"wallet.actual_minor", guest},
		"UPDATE wallets SET promo_available_minor = promo_available_minor + 1": {"wallet.promo_available_minor", guest},
		"UPDATE wallets SET promo_locked_minor = 3":                            {"wallet.promo_locked_minor", guest},
		"UPDATE wallets SET pending_topups_minor = 3":                          {"wallet.pending_topups_minor", guest},
		"UPDATE grants SET remaining_minor = 249":                              {"lot.remaining_minor", top.Bonus.ID},
		"UPDATE grants SET entry_ids = '{}'":                                   {"lot.entries", top.Bonus.ID},
		"UPDATE grants SET entry_ids = entry_ids || 'ent_1'::text":             {"lot.entries", top.Bonus.ID},
		"UPDATE grants SET entry_ids = entry_ids || entry_ids":                 {"lot.entries", top.Bonus.ID},
		"DELETE FROM grants":                                                   {"lot.remaining_minor", top.Bonus.ID},
		"DELETE FROM wallets":                                                  {"wallet.actual_minor", guest},
		// What the database refuses, by somebody who takes its constraints away.
		damaged + "'{}', '{}', '{}', '{}')":                     {"entry.lines", "ent_1"},
		damaged + "'{3}', '{1}', '{NULL}', '{5}')":              {"entry.lines", "ent_1"},
		damaged + "'{3,4}', '{1}', '{NULL,NULL}', '{5,-5}')":    {"entry.lines", "ent_1"},
		damaged + "'{3,4}', '{1,2}', '{NULL,NULL}', '{5,-5}')":  {"entry", "ent_1"},
		damaged + "'{3,4}', '{1,1}', '{NULL,NULL}', '{5,-4}')":  {"entry", "ent_1"},
		damaged + "'{3,99}', '{1,1}', '{NULL,NULL}', '{5,-5}')": {"entry.lines", "ent_1"},
	} {
		found := map[string]string{}
		examine := &pgdb{b.db}
		examine.within(t, sql, func(whole audit.Audit) {
			for name, a := range map[string]core.Audit{"whole": whole, "in parts": whole.InParts(1, 3)} {
				clear(found)
				_, _, err := core.Verify(t.Context(), a, func(f core.Finding) { found[f.What] = f.Account })
				must(t, err)
				if found[want[0]] != want[1] {
					t.Errorf("%s, %s: found %v, want %v", sql, name, found, want)
				}
			}
		})
	}
}

// damaged is how an entry is written that no constraint lets in.
const damaged = `ALTER TABLE entries DROP CONSTRAINT IF EXISTS entries_lines, DROP CONSTRAINT IF EXISTS entries_zero_sum;
	INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at, currency, accounts, classes, owners, amounts) VALUES ('ent_1', 1, 'topup', 'x', now(), 'USD', `

// pgdb damages a clone of nothing: it changes, looks, and changes back.
type pgdb struct{ db *pg.DB }

// within runs look while sql holds, then restores the tables it may have touched.
func (p *pgdb) within(t *testing.T, sql string, look func(audit.Audit)) {
	t.Helper()
	q := p.db.Q()
	for _, table := range []string{"wallets", "grants", "entries"} {
		_, err := q.Exec(t.Context(), "CREATE TABLE saved_"+table+" AS SELECT * FROM "+table)
		must(t, err)
	}
	_, err := p.db.Pool().Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	look(ledger.NewAudit(p.db))
	for _, table := range []string{"wallets", "grants", "entries"} {
		for _, restore := range []string{"TRUNCATE " + table, "INSERT INTO " + table + " SELECT * FROM saved_" + table, "DROP TABLE saved_" + table} {
			_, err := q.Exec(t.Context(), restore)
			must(t, err)
		}
	}
}

// What the tables of the payment path refuse, whoever writes.
func TestDatabaseRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	lot := b.issue(t, guest, 100, nil)
	code := b.code(t, guest)
	if _, err := b.pay(t, code, 300); err != nil {
		t.Fatal(err)
	}
	for constraint, changes := range map[string][]string{
		"wallets_not_negative": {
			"UPDATE wallets SET actual_minor = -1", "UPDATE wallets SET promo_available_minor = -1",
			"UPDATE wallets SET promo_locked_minor = -1", "UPDATE wallets SET pending_topups_minor = -1",
		},
		"grants_state": {
			"UPDATE grants SET state = 'LOST'", "UPDATE grants SET state = 'SPENT', remaining_minor = 1", "UPDATE grants SET state = 'LOCKED', remaining_minor = 0",
			"UPDATE grants SET remaining_minor = -1",
		},
		"grants_amount":         {"UPDATE grants SET state = 'RELEASED', remaining_minor = amount_minor + 1"},
		"grants_source":         {"UPDATE grants SET source = 'GIFT'"},
		"payments_amount":       {"UPDATE payments SET refunded_minor = amount_minor + 1"},
		"payments_not_negative": {"UPDATE payments SET refunded_minor = -1", "UPDATE payments SET debited_promo_minor = -1, debited_actual_minor = amount_minor + 1"},
		"payments_debited":      {"UPDATE payments SET debited_promo_minor = debited_promo_minor + 1", "UPDATE payments SET status = 'failed'", "UPDATE payments SET status = 'paid'"},
		"payment_codes_kind":    {"UPDATE payment_codes SET kind = 'nfc'"},
	} {
		for _, change := range changes {
			_, err := b.db.Q().Exec(t.Context(), change)
			if got, ok := pg.Check(err); !ok || got != constraint {
				t.Errorf("%s: refused by %q (%v), want %s", change, got, err, constraint)
			}
		}
	}
	if _, err := b.db.Q().Exec(t.Context(), "UPDATE grants SET state = 'LOCKED' WHERE grant_id = $1 AND remaining_minor > 0", lot.ID); err != nil {
		t.Errorf("a change that may be: %v", err)
	}
}
