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

// The two statements of the payment path are prepared once per connection and
// look rows up by index, also where their plans were made on empty tables.
func TestHotStatementsArePreparedAndUseIndexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 5000)
	for range 12 {
		_, err := b.pay(t, b.code(t, guest), 10)
		must(t, err)
	}
	prepared, err := b.journal.Prepared(t.Context())
	must(t, err)
	if len(prepared) != 2 {
		t.Fatalf("%d prepared statements, want the read and the commit: %v", len(prepared), prepared)
	}
	for _, p := range prepared {
		if p.Custom > 0 || p.Generic == 0 {
			t.Errorf("%.40s...: planned anew %d times, by its generic plan %d times", strings.TrimSpace(p.Statement), p.Custom, p.Generic)
		}
	}
	// An empty table is the worst case: to read it whole costs least of all. A
	// journal of its own plans anew.
	_, err = b.db.Q().Exec(t.Context(), "TRUNCATE wallets, grants, payment_codes, payments, idempotency, customers, checkout_sessions")
	must(t, err)
	_, err = b.db.Q().Exec(t.Context(), "ANALYZE")
	must(t, err)
	plan, err := b.open(t).Explain(t.Context())
	must(t, err)
	lines := strings.Split(plan, "\n")
	lookups := 0
	for i, line := range lines {
		for _, table := range []string{"idempotency", "payment_codes", "customers", "wallets", "checkout_sessions", "grants", "payments"} {
			if strings.Contains(line, "Scan ") && strings.Contains(line, " on "+table+" ") && !strings.Contains(line, "Bitmap Heap Scan") {
				t.Errorf("may read %s whole: %s", table, line)
			}
		}
		if strings.Contains(line, "Bitmap Index Scan") {
			lookups++
			if !strings.Contains(lines[i+1], "Index Cond") {
				t.Errorf("an index is read whole:\n%s\n%s", line, lines[i+1])
			}
		}
	}
	if lookups < 11 {
		t.Errorf("%d look-ups by index in\n%s", lookups, plan)
	}
}
