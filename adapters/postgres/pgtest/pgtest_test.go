package pgtest_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// tables is how many tables of the schema db has.
func tables(t *testing.T, db *pg.DB) int64 {
	t.Helper()
	n, err := pg.One[int64](t.Context(), db.Q(), "SELECT count(*) FROM pg_tables WHERE schemaname = $1", "public")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			pending, err := migrations.Pending(t.Context(), db)
			if err != nil || len(pending) != 0 {
				t.Errorf("pending: %v, %v", pending, err)
			}
			if _, err := db.Q().Exec(t.Context(), "CREATE TABLE mine (id int)"); err != nil {
				t.Errorf("a table that another clone has too: %v", err)
			}
		})
	}
}

func TestAnEmptyDatabaseHasNoSchema(t *testing.T) {
	t.Parallel()
	if n := tables(t, pgtest.Empty(t)); n != 0 {
		t.Errorf("%d tables", n)
	}
}

func TestADatabaseEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = pgtest.DSN(t)
		c, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) }) // still open when the database goes
	})
	if _, err := pgx.Connect(t.Context(), dsn); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connect = %v, want no such database", err)
	}
}

// child runs TestChild of this program in a process of its own.
func child(t *testing.T, behaviour string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+behaviour)...)
	return cmd
}

const childEnv = "FEDDI_PGTEST_TEST_CHILD"

// TestChild is what a package with one test of a repository looks like from
// outside; the tests below run it in other processes. Here it is one more test.
func TestChild(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if n := tables(t, db); n < 2 {
		t.Errorf("%d tables", n)
	}
	fmt.Println("child:", db.DSN())
	if os.Getenv(childEnv) == "hang" {
		<-t.Context().Done() // until somebody kills the process
	}
}

func TestSeveralProcessesStartAtOnceWithoutACache(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			cmd := child(t, "pass", "XDG_CACHE_HOME="+cache)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	seeds, err := filepath.Glob(filepath.Join(cache, "feddi", "pgtest", "*", "data", "PG_VERSION"))
	if err != nil || len(seeds) != 1 {
		t.Errorf("seeds: %v, %v; want one", seeds, err)
	}
	halves, err := filepath.Glob(filepath.Join(cache, "feddi", "pgtest", "*.half"))
	if err != nil || len(halves) != 0 {
		t.Errorf("left half made: %v, %v", halves, err)
	}
}

func TestASeedIsOnlyAMatterOfSpeed(t *testing.T) {
	t.Parallel()
	if out, err := child(t, "pass", "XDG_CACHE_HOME=/proc/nowhere").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd := child(t, "hang")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for buffer := make([]byte, 512); !strings.Contains(text.String(), "child: "); {
		n, err := out.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %s", err, text.String())
		}
		text.Write(buffer[:n])
	}
	_, rest, _ := strings.Cut(text.String(), "child: ")
	dsn, _, _ := strings.Cut(rest, "\n")
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("%q: %v", dsn, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	deadline := time.After(10 * time.Second)
	for {
		if _, err := os.Stat(filepath.Dir(config.Host)); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still there", filepath.Dir(config.Host))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestAServerThatIsGiven(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	given, err := pgdev.Start(ctx, pgdev.Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = given.Stop(context.WithoutCancel(ctx)) }) // temporary
	admin, err := pgx.Connect(ctx, given.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(ctx)) })                      // read only
	if _, err := admin.Exec(ctx, "CREATE DATABASE feddi_test_00000001_dead"); err != nil { // of a run killed in 1970
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			out, err := child(t, "pass", "FEDDI_TEST_DATABASE_URL="+given.DSN("")).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "child: "+strings.Split(given.DSN(""), "/feddi?")[0]) {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	rows, err := admin.Query(ctx, "SELECT datname FROM pg_database WHERE datname ~ '^feddi_' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(left) != 1 || left[0] != "feddi_template_"+migrations.Hash()[:16] {
		t.Errorf("left: %v, %v; want the template alone", left, err)
	}
}
