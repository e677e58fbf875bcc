package migrations_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// before is a database as it was before the file named, and what was in it.
func before(t *testing.T, name, rows string) *pg.DB {
	t.Helper()
	db := pgtest.Empty(t)
	older := fstest.MapFS{}
	for file, text := range migrations.Texts() {
		if file < name {
			older[file] = &fstest.MapFile{Data: text}
		}
	}
	if len(older) == 0 || len(older) == len(migrations.Texts()) {
		t.Fatalf("%d files are older than %s", len(older), name)
	}
	if err := migrations.RunFS(t.Context(), db, older, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), rows, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	return db
}

const linesApart = `
INSERT INTO grants (grant_id, tenant_no, customer_id, source, state, amount_minor, remaining_minor, currency, created_at) VALUES
	('grt_1', 7, 'cus_1', 'GOODWILL', 'RELEASED', 10, 3, 'USD', now()), ('grt_2', 7, 'cus_1', 'GOODWILL', 'RELEASED', 5, 5, 'USD', now());
INSERT INTO entries (entry_id, tenant_no, kind, ref_id, reverses, trace_id, at, xid) VALUES
	('ent_3', 7, 'refund', 'pay_1', 'ent_2', NULL, '2026-01-03Z', 300), ('ent_2', 7, 'payment', 'pay_1', NULL, 'trc_1', '2026-01-02Z', 200),
	('ent_1', 7, 'grant', 'grt_1', NULL, NULL, '2026-01-01Z', 100), ('ent_0', 7, 'grant', 'grt_2', NULL, NULL, '2026-01-02Z', 100);
INSERT INTO postings (entry_id, tenant_no, account, class, owner, currency, amount_minor) VALUES
	('ent_2', 7, 2, 2, 'grt_1', 'USD', -9), ('ent_2', 7, 4, 2, NULL, 'USD', 9), ('ent_2', 7, 1, 1, 'cus_1', 'USD', -4), ('ent_2', 7, 4, 1, NULL, 'USD', 4),
	('ent_1', 7, 5, 2, NULL, 'USD', -10), ('ent_1', 7, 2, 2, 'grt_1', 'USD', 10), ('ent_0', 7, 7, 2, 'bud_1', 'USD', -5), ('ent_0', 7, 2, 2, 'grt_2', 'USD', 5);
INSERT INTO postings (entry_id, tenant_no, account, class, owner, currency, amount_minor) VALUES
	('ent_3', 7, 2, 2, 'grt_1', 'USD', 2), ('ent_3', 7, 4, 2, NULL, 'USD', -2);`

// Entries that had their lines apart keep all that they were, and lots learn
// which moved them.
func TestEntriesBecomeWhole(t *testing.T) {
	t.Parallel()
	db := before(t, "0188", linesApart)
	kept := func(from string) []string {
		t.Helper()
		rows, err := pg.Many[string](t.Context(), db.Q(), `SELECT jsonb_build_array(entry_id, tenant_no, kind, ref_id, reverses, trace_id, at, xid)::text FROM `+from+` ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	was := kept("entries")
	if err := migrations.Run(t.Context(), db, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was, kept("entries")); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
	for sql, want := range map[string][]string{
		`SELECT concat_ws(' ', entry_id, currency, accounts, classes, owners, amounts) FROM entries ORDER BY ctid`: {
			"ent_0 USD {7,2} {2,2} {bud_1,grt_2} {-5,5}", "ent_1 USD {5,2} {2,2} {NULL,grt_1} {-10,10}",
			"ent_2 USD {2,4,1,4} {2,2,1,1} {grt_1,NULL,cus_1,NULL} {-9,9,-4,4}", "ent_3 USD {2,4} {2,2} {grt_1,NULL} {2,-2}",
		},
		`SELECT grant_id || ' ' || entry_ids::text FROM grants ORDER BY 1`:                                {"grt_1 {ent_1,ent_2,ent_3}", "grt_2 {ent_0}"},
		`SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'entries'::regclass ORDER BY 1`:              {"entries_immutable"},
		`SELECT conname::text FROM pg_constraint WHERE conrelid = 'entries'::regclass ORDER BY 1`:         {"entries_kind", "entries_lines", "entries_pkey", "entries_zero_sum"},
		`SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'entries'::regclass ORDER BY 1`: {"entries_pkey", "entries_xid"},
	} {
		got, err := pg.Many[string](t.Context(), db.Q(), sql)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", sql, err, diff)
		}
	}
}

// Entries that are not whole stop the migration, which says which.
func TestEntriesThatAreNotWholeStayApart(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]string{
		"without lines":  `INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at) VALUES ('ent_bad', 7, 'topup', 'top_1', now())`,
		"without a head": `INSERT INTO postings (entry_id, tenant_no, account, class, currency, amount_minor) VALUES ('ent_bad', 7, 3, 1, 'USD', -1), ('ent_bad', 7, 4, 1, 'USD', 1)`,
		"of another tenant": `INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at) VALUES ('ent_bad', 8, 'topup', 'top_1', now());
			INSERT INTO postings (entry_id, tenant_no, account, class, currency, amount_minor) VALUES ('ent_bad', 7, 3, 1, 'USD', -1), ('ent_bad', 7, 4, 1, 'USD', 1)`,
		"of two currencies": `INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at) VALUES ('ent_bad', 7, 'topup', 'top_1', now());
			INSERT INTO postings (entry_id, tenant_no, account, class, currency, amount_minor) VALUES ('ent_bad', 7, 3, 1, 'USD', -1), ('ent_bad', 7, 4, 1, 'USD', 1),
				('ent_bad', 7, 3, 1, 'QAR', -1), ('ent_bad', 7, 4, 1, 'QAR', 1)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := before(t, "0188", linesApart+rows)
			err := migrations.Run(t.Context(), db, nil)
			if err == nil || !strings.Contains(err.Error(), "ent_bad") || !strings.Contains(err.Error(), "0188") {
				t.Errorf("%v", err)
			}
			if n, err := pg.One[int](t.Context(), db.Q(), `SELECT count(*) FROM postings WHERE account = 2`); n != 4 || err != nil {
				t.Errorf("%d lines of lots are left, %v", n, err)
			}
		})
	}
}
