package migrations_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

func files(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]+".tx.up.sql"] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

func TestTheSchemaAppliesOnceAndOnlyOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	before, err := migrations.Pending(t.Context(), db)
	if err != nil || len(before) == 0 || before[0] != "0001_foundation.tx.up.sql" {
		t.Fatalf("pending before: %v, %v", before, err)
	}
	var said []string
	if err := migrations.Run(t.Context(), db, func(s string) { said = append(said, s) }); err != nil {
		t.Fatal(err)
	}
	if len(said) != len(before) || said[0] != "migrate 0001_foundation" {
		t.Errorf("progress: %v, for %v", said, before)
	}
	if after, err := migrations.Pending(t.Context(), db); err != nil || len(after) != 0 {
		t.Errorf("pending after: %v, %v", after, err)
	}
	said = nil
	if err := migrations.Run(t.Context(), db, func(s string) { said = append(said, s) }); err != nil || len(said) != 0 {
		t.Errorf("second run: %v, %v", said, err)
	}
}

func TestProcessesThatRunAtOnceApplyEachFileOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	fsys := files("0001_one", "CREATE TABLE one (n int); INSERT INTO one VALUES (1)", "0002_two", "INSERT INTO one VALUES (2)")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := migrations.RunFS(t.Context(), db, fsys, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := pg.Many[int](t.Context(), db.Q(), "SELECT n FROM one ORDER BY n")
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAFailedFileLeavesNothingAndIsRunAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	broken := files("0001_one", "CREATE TABLE one (n int)", "0002_two", "CREATE TABLE two (n int); SELECT nonsense")
	err := migrations.RunFS(t.Context(), db, broken, nil)
	if err == nil || !strings.Contains(err.Error(), "0002") || !strings.Contains(err.Error(), "nonsense") {
		t.Fatalf("err = %v, want one that names file and cause", err)
	}
	if exists, err := pg.One[bool](t.Context(), db.Q(), "SELECT to_regclass('two') IS NOT NULL"); exists || err != nil {
		t.Errorf("half of the failed file stayed: %v, %v", exists, err)
	}
	pending, err := migrations.PendingFS(t.Context(), db, broken)
	if diff := cmp.Diff([]string{"0002_two.tx.up.sql"}, pending); diff != "" || err != nil {
		t.Errorf("pending %v (-want +got):\n%s", err, diff)
	}
	repaired := files("0001_one", "CREATE TABLE one (n int)", "0002_two", "CREATE TABLE two (n int)")
	if err := migrations.RunFS(t.Context(), db, repaired, nil); err != nil {
		t.Error(err)
	}
}

func TestAFileBelowTheLastOneIsApplied(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	if err := migrations.RunFS(t.Context(), db, files("0030_late", "CREATE TABLE late (n int)"), nil); err != nil {
		t.Fatal(err)
	}
	if err := migrations.RunFS(t.Context(), db, files("0010_early", "CREATE TABLE early (n int)", "0030_late", "CREATE TABLE late (n int)"), nil); err != nil {
		t.Fatal(err)
	}
	if exists, err := pg.One[bool](t.Context(), db.Q(), "SELECT to_regclass('early') IS NOT NULL"); !exists || err != nil {
		t.Errorf("early: %v, %v", exists, err)
	}
}

func TestAChangedFileIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	if err := migrations.RunFS(t.Context(), db, files("0001_one", "CREATE TABLE one (n int)"), nil); err != nil {
		t.Fatal(err)
	}
	err := migrations.RunFS(t.Context(), db, files("0001_one", "CREATE TABLE one (n bigint)"), nil)
	if err == nil || !strings.Contains(err.Error(), "0001_one.tx.up.sql was changed") {
		t.Errorf("err = %v", err)
	}
}

func TestTextsReachTheServerAsTheyAre(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	fsys := files("0001_texts", `
-- a comment with a ? and a 'quote
CREATE TABLE doc (d jsonb CHECK (d ? 'id'));
CREATE FUNCTION ask(d jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF d ? 'name' THEN RETURN 'named; really?'; END IF;
    RETURN '{{.Nothing}}';
END $$;
INSERT INTO doc VALUES ('{"id": 1}');`)
	if err := migrations.RunFS(t.Context(), db, fsys, nil); err != nil {
		t.Fatal(err)
	}
	for doc, want := range map[string]string{`{"name": 1}`: "named; really?", `{}`: "{{.Nothing}}"} {
		if got, err := pg.One[string](t.Context(), db.Q(), "SELECT ask($1)", doc); got != want || err != nil {
			t.Errorf("ask(%s) = %q, %v; want %q", doc, got, err, want)
		}
	}
}

func TestALongStatementOutlivesTheStatementTimeout(t *testing.T) {
	t.Parallel()
	empty := pgtest.Empty(t)
	db, err := pg.Connect(t.Context(), empty.DSN(), pg.Options{StatementTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrations.RunFS(t.Context(), db, files("0001_slow", "SELECT pg_sleep(0.05)"), nil); err != nil {
		t.Error(err)
	}
}

// The lock is a connection's, not a row's: whoever dies gives it up.
func TestWhoeverWaitsGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	ctx, cancel := context.WithCancel(t.Context())
	var waited error
	entered := false
	err := migrations.RunFS(t.Context(), db, files("0001_one", "CREATE TABLE one (n int)"), func(string) {
		entered = true
		cancel()
		waited = migrations.RunFS(ctx, db, files(), nil)
	})
	if err != nil || !entered || waited == nil {
		t.Errorf("first: %v, entered %v, second: %v; want the second to give up", err, entered, waited)
	}
}

func TestTheHashSeesNamesAndTexts(t *testing.T) {
	t.Parallel()
	base := migrations.HashFS(files("0001_a", "x"))
	for name, other := range map[string]fstest.MapFS{
		"text": files("0001_a", "y"), "name": files("0002_a", "x"), "one more": files("0001_a", "x", "0002_b", ""),
	} {
		if migrations.HashFS(other) == base {
			t.Errorf("another %s has the same hash", name)
		}
	}
	if migrations.HashFS(files("0001_a", "x")) != base || len(migrations.Hash()) != 64 {
		t.Error("the hash is not one")
	}
}
