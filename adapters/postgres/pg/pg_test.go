package pg_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/uptrace/bun"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/tenancy"
)

// things is a table with a column of each kind that repositories bind.
const things = `CREATE TABLE thing (
	id text PRIMARY KEY, partner_id text, n bigint, small smallint, at timestamptz, raw bytea, doc jsonb, key uuid,
	words text[], numbers bigint[], times timestamptz[], raws bytea[], note text)`

type thing struct {
	ID        string
	PartnerID string
	N         int64
	Small     int16
	At        time.Time
	Raw       []byte
	Doc       json.RawMessage
	Key       string
	Words     []string    `bun:"words,array"`
	Numbers   []int64     `bun:"numbers,array"`
	Times     []time.Time `bun:"-"`
	Raws      [][]byte    `bun:"-"`
	Note      *string
}

var at = time.Date(2026, 6, 1, 12, 0, 0, 123456000, time.UTC)

func aThing(id string) thing {
	return thing{
		ID: id, PartnerID: "par_1", N: 1 << 60, Small: 7, At: at, Raw: []byte{0, 1, 255}, Doc: json.RawMessage(`{"a": [1, null]}`),
		Key: "0b6ccb2a-9d11-4cb5-8b6e-3a3c4c9d0001", Words: []string{"a", "b,c", `"`, ""}, Numbers: []int64{-1, 0, 1 << 40},
		Times: []time.Time{at, at.Add(time.Hour)}, Raws: [][]byte{{1}, {}},
	}
}

const (
	insertThing = `INSERT INTO thing VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	findThing   = `SELECT * FROM thing WHERE id = $1`
)

func insert(ctx context.Context, q pg.Q, x thing) error {
	_, err := q.Exec(ctx, insertThing, x.ID, x.PartnerID, x.N, x.Small, x.At, x.Raw, x.Doc, x.Key, x.Words, x.Numbers, x.Times, x.Raws, x.Note)
	return err
}

func withThings(t *testing.T) *pg.DB {
	t.Helper()
	db := pgtest.New(t)
	if _, err := db.Q().Exec(t.Context(), things); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestEveryKindOfValueComesBackEqual(t *testing.T) {
	t.Parallel()
	db := withThings(t)
	want := aThing("thg_1")
	if err := insert(t.Context(), db.Q(), want); err != nil {
		t.Fatal(err)
	}
	got, err := pg.One[thing](t.Context(), db.Q(), findThing, "thg_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("through Q (-want +got):\n%s", diff)
	}
	want.Times, want.Raws = nil, nil
	var viaBun thing
	err = db.Q().Bun().NewSelect().TableExpr("thing").
		ColumnExpr("id, partner_id, n, small, at, raw, doc, key, words, numbers, note").
		Where("id = ?", "thg_1").Scan(t.Context(), &viaBun)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, viaBun); diff != "" {
		t.Errorf("through bun (-want +got):\n%s", diff)
	}
}

func TestArraysBindAsParameters(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	type pair struct {
		ID  string
		N   int64
		At  time.Time
		Raw []byte
	}
	want := []pair{{"a", 1, at, []byte{1}}, {"b", 2, at.Add(time.Second), []byte{}}}
	got, err := pg.Many[pair](t.Context(), db.Q(),
		`SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bytea[]) AS x(id, n, at, raw) WHERE id = ANY($5) ORDER BY id`,
		[]string{"a", "b", "c"}, []int64{1, 2, 3}, []time.Time{at, at.Add(time.Second), at}, [][]byte{{1}, {}, {3}}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOneMaybeAndManyOfNothing(t *testing.T) {
	t.Parallel()
	db := withThings(t)
	if _, err := pg.One[thing](t.Context(), db.Q(), findThing, "none"); !pg.NoRows(err) {
		t.Errorf("One: %v, want ErrNoRows", err)
	}
	if got, err := pg.Maybe[thing](t.Context(), db.Q(), findThing, "none"); got != nil || err != nil {
		t.Errorf("Maybe: %v, %v, want nil", got, err)
	}
	if got, err := pg.Many[thing](t.Context(), db.Q(), findThing, "none"); got == nil || len(got) != 0 || err != nil {
		t.Errorf("Many: %#v, %v, want an empty slice", got, err)
	}
	if err := db.Q().QueryRow(t.Context(), findThing, "none").Scan(); !pg.NoRows(err) {
		t.Errorf("QueryRow: %v, want ErrNoRows", err)
	}
}

// prepared lists the texts that the connection of q keeps prepared.
func prepared(t *testing.T, ctx context.Context, q pg.Q) []string {
	t.Helper()
	rows, err := q.Bun().QueryContext(ctx, "SELECT statement FROM pg_prepared_statements ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // read to its end
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestStatementsOfQArePreparedAndThoseOfBunAreNot(t *testing.T) {
	t.Parallel()
	db := withThings(t)
	use := func(ctx context.Context, q pg.Q, run string) error {
		for i := range 3 {
			id := fmt.Sprintf("thg_%s_%d", run, i)
			if err := insert(ctx, q, aThing(id)); err != nil {
				return err
			}
			if _, err := pg.One[thing](ctx, q, findThing, id); err != nil {
				return err
			}
			var n int64
			if err := q.Bun().NewSelect().TableExpr("thing").ColumnExpr("n").Where("id = ?", id).Scan(ctx, &n); err != nil {
				return err
			}
			if _, err := q.Bun().NewUpdate().TableExpr("thing").Set("n = ?", i).Where("id = ?", id).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	check := func(t *testing.T, got []string) {
		t.Helper()
		want := []string{insertThing, findThing}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("prepared (-want +got):\n%s", diff)
		}
	}
	t.Run("in a transaction", func(t *testing.T) {
		t.Parallel()
		err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
			if err := use(ctx, q, "tx"); err != nil {
				return err
			}
			check(t, ours(prepared(t, ctx, q)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("on the pool", func(t *testing.T) {
		t.Parallel()
		single, err := pg.Connect(t.Context(), db.DSN(), pg.Options{MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer single.Close()
		if err := use(t.Context(), single.Q(), "pool"); err != nil {
			t.Fatal(err)
		}
		check(t, ours(prepared(t, t.Context(), single.Q())))
	})
}

// ours leaves out what the set-up of the test prepared.
func ours(texts []string) []string {
	var out []string
	for _, s := range texts {
		if !strings.HasPrefix(s, "CREATE") {
			out = append(out, s)
		}
	}
	return out
}

func TestBothFacesShareTheTransaction(t *testing.T) {
	t.Parallel()
	db := withThings(t)
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		if err := insert(ctx, q, aThing("thg_1")); err != nil {
			return err
		}
		n, err := q.Bun().NewSelect().TableExpr("thing").Where("id IN (?)", bun.List([]string{"thg_1"})).Count(ctx)
		if err != nil || n != 1 {
			t.Errorf("bun sees %d rows, %v; want the one of the same transaction", n, err)
		}
		if _, err := q.Bun().NewUpdate().TableExpr("thing").Set("note = ?", "from bun ? 'quoted'").Where("id = ?", "thg_1").Exec(ctx); err != nil {
			return err
		}
		outside, err := pg.One[int64](ctx, db.Q(), "SELECT count(*) FROM thing")
		if outside != 0 {
			t.Errorf("%d rows are visible before the commit", outside)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	note, err := pg.One[string](t.Context(), db.Q(), "SELECT note FROM thing")
	if err != nil || note != "from bun ? 'quoted'" {
		t.Errorf("note = %q, %v", note, err)
	}
}

func TestSessionsHaveTheirLimits(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for setting, want := range map[string]string{
		"statement_timeout": "5s", "idle_in_transaction_session_timeout": "10s", "lock_timeout": "0",
		"TimeZone": "UTC", "application_name": "feddi test",
	} {
		got, err := pg.One[string](t.Context(), db.Q(), "SELECT current_setting($1)", setting)
		if err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", setting, got, err, want)
		}
	}
	if got := db.Pool().Config().MaxConns; got != pg.DefaultMaxConns {
		t.Errorf("the pool has up to %d connections, want %d", got, pg.DefaultMaxConns)
	}
}

func TestModesAreNumbers(t *testing.T) {
	t.Parallel()
	for _, m := range []tenancy.Mode{tenancy.Sandbox, tenancy.Production} {
		if got := pg.ModeOf(pg.Mode(m)); got != m || pg.Mode(m) == 0 {
			t.Errorf("%s comes back as %q", m, got)
		}
	}
	if pg.Mode("") != 0 || pg.ModeOf(0) != "" {
		t.Error("no mode is not 0")
	}
}

// A plan that is kept may be of a time when the table was empty and one index as
// good as another. It does not stay.
func TestReplan(t *testing.T) {
	t.Parallel()
	own := pgtest.New(t)
	if _, err := own.Q().Exec(t.Context(), `CREATE TABLE things (id text PRIMARY KEY, owner integer NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`CREATE INDEX things_owner ON things (owner)`, `VACUUM ANALYZE things`} {
		if _, err := own.Q().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	settings := [][2]string{{"plan_cache_mode", "force_generic_plan"}, {"enable_seqscan", "off"}, {"enable_bitmapscan", "off"}}
	index := func(replan time.Duration) string {
		db, err := pg.Connect(t.Context(), own.DSN(), pg.Options{MaxConns: 1, Settings: settings, Replan: replan})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		exec := func(sql string) []string {
			lines, err := pg.Many[string](t.Context(), db.Q(), sql)
			if err != nil {
				t.Fatal(err)
			}
			return lines
		}
		if _, err := db.Pool().Exec(t.Context(), `PREPARE look_up (text, integer) AS SELECT owner FROM things WHERE id = $1 AND owner = $2`); err != nil {
			t.Fatal(err)
		}
		_ = exec(`EXPLAIN EXECUTE look_up('1', 1)`)
		if _, err := own.Q().Exec(t.Context(), `INSERT INTO things SELECT n::text, 1 FROM generate_series(1, 20000) n`); err != nil {
			t.Fatal(err)
		}
		defer func() {
			for _, statement := range []string{`TRUNCATE things`, `VACUUM ANALYZE things`} {
				if _, err := own.Q().Exec(context.WithoutCancel(t.Context()), statement); err != nil {
					t.Fatal(err)
				}
			}
		}()
		return exec(`EXPLAIN EXECUTE look_up('1', 1)`)[0]
	}
	if plan := index(0); !strings.Contains(plan, "things_owner") {
		t.Fatalf("Postgres prefers the right index of an empty table, so this proves nothing: %s", plan)
	}
	if plan := index(time.Nanosecond); !strings.Contains(plan, "things_pkey") {
		t.Errorf("a plan of an empty table is kept: %s", plan)
	}
}

// What the server closed, as it does with all connections when it restarts, is not
// used once more: no statement fails for it.
func TestAConnectionThatIsGoneIsNotUsed(t *testing.T) {
	t.Parallel()
	own := pgtest.New(t)
	const name, conns = "to be ended", 4
	db, err := pg.Connect(t.Context(), own.DSN(), pg.Options{MaxConns: conns, ApplicationName: name})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		all := make([]*pgxpool.Conn, conns)
		for i := range all {
			if all[i], err = db.Pool().Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range all {
			c.Release()
		}
		ended, err := pg.Many[bool](t.Context(), own.Q(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1", name)
		if err != nil || len(ended) != conns || slices.Contains(ended, false) {
			t.Fatalf("ended %v, %v", ended, err)
		}
		for range conns {
			if _, err := pg.One[int](t.Context(), db.Q(), "SELECT 1"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
