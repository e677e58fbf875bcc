package ledger_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
)

func TestDatabaseRefusesUnbalancedEntries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	write := func(rows string) error {
		_, err := b.db.Q().Exec(t.Context(), "INSERT INTO postings (tenant_no, account, class, amount_minor, entry_id, currency) VALUES "+rows)
		return err
	}
	must(t, write("(1, 3, 1, -5, 'ent_a', 'USD'), (1, 4, 1, 5, 'ent_a', 'USD'), (1, 3, 1, -1, 'ent_b', 'USD'), (1, 4, 1, 1, 'ent_b', 'USD')"))
	for name, rows := range map[string]string{
		"one of two":      "(1, 3, 1, -5, 'ent_c', 'USD'), (1, 4, 1, 5, 'ent_c', 'USD'), (1, 3, 1, -5, 'ent_d', 'USD'), (1, 4, 1, 4, 'ent_d', 'USD')",
		"across classes":  "(1, 3, 1, -5, 'ent_e', 'USD'), (1, 4, 2, 5, 'ent_e', 'USD')",
		"across currency": "(1, 3, 1, -5, 'ent_f', 'USD'), (1, 4, 1, 5, 'ent_f', 'QAR')",
		"across entries":  "(1, 3, 1, -5, 'ent_g', 'USD'), (1, 4, 1, 5, 'ent_h', 'USD')",
		"added later":     "(1, 4, 1, 5, 'ent_a', 'USD')",
	} {
		if constraint, ok := pg.Check(write(rows)); !ok || constraint != "postings_zero_sum" {
			t.Errorf("%s: was not refused by the zero-sum constraint (%q)", name, constraint)
		}
	}
	if n := b.count(t, "SELECT count(*) FROM postings WHERE entry_id NOT IN ('ent_a', 'ent_b') AND tenant_no = 1 AND owner IS NULL AND entry_id LIKE 'ent__'"); n != 0 {
		t.Errorf("%d refused postings stand", n)
	}
}

func TestJournalIsImmutable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topUp(t, b.customer(t, identity.Verified), 1000)
	for _, sql := range []string{
		"UPDATE postings SET amount_minor = amount_minor * 2", "DELETE FROM postings", "UPDATE entries SET kind = 'void'", "DELETE FROM entries",
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
		"DELETE FROM grants":                                                   {"lot.remaining_minor", top.Bonus.ID},
		"DELETE FROM wallets":                                                  {"wallet.actual_minor", guest},
		"INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at) VALUES ('ent_bare', 1, 'topup', 'x', now())": {"entry.lines", "ent_bare"},
	} {
		found := map[string]string{}
		examine := &pgdb{b.db}
		examine.within(t, sql, func(audit core.Audit) {
			_, _, err := core.Verify(t.Context(), audit, func(f core.Finding) { found[f.What] = f.Account })
			must(t, err)
		})
		if found[want[0]] != want[1] {
			t.Errorf("%s: found %v, want %v", sql, found, want)
		}
	}
}

// pgdb damages a clone of nothing: it changes, looks, and changes back.
type pgdb struct{ db *pg.DB }

// within runs look while sql holds, then restores the tables it may have touched.
func (p *pgdb) within(t *testing.T, sql string, look func(core.Audit)) {
	t.Helper()
	q := p.db.Q()
	for _, table := range []string{"wallets", "grants", "entries"} {
		_, err := q.Exec(t.Context(), "CREATE TABLE saved_"+table+" AS SELECT * FROM "+table)
		must(t, err)
	}
	_, err := q.Exec(t.Context(), sql)
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
