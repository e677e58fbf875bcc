package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

// server is the one that all tests of this process share.
type server struct {
	dev      *pgdev.Server
	template string
	mu       sync.Mutex // an admin connection serves one caller at a time
	admin    *pgx.Conn
}

// start starts the server once. Tests cannot hand it to each other any other
// way: before its first test a package has no place but TestMain, which every
// package would have to write.
var start = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if url := os.Getenv("FEDDI_TEST_DATABASE_URL"); url != "" {
		return open(ctx, pgdev.External(url))
	}
	seed, release := seed(ctx)
	dev, err := pgdev.Start(ctx, pgdev.Options{Private: true, Seed: seed})
	release()
	if err != nil {
		return nil, err
	}
	return open(ctx, dev)
})

func shared(t testing.TB) *server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatalf("pgtest: no database for tests: %v", err)
	}
	return s
}

// open makes sure that dev has the template.
func open(ctx context.Context, dev *pgdev.Server) (*server, error) {
	s := &server{dev: dev, template: "feddi_template_" + migrations.Hash()[:16]}
	var err error
	if s.admin, err = pgx.Connect(ctx, dev.DSN("")); err != nil {
		return nil, err
	}
	return s, s.ensureTemplate(ctx)
}

// templateLock is an advisory lock: one process makes a template, the others wait.
const templateLock int64 = 0x66656464_69000002

// ensureTemplate makes the migrated template under another name first, so that
// one left half made by a killed run is never used. Clones that a killed run
// left on an external server go at the same time.
func (s *server) ensureTemplate(ctx context.Context) error {
	if _, err := s.admin.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	defer func() { _, _ = s.admin.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock) }() // ends with the connection at the latest
	if err := s.sweep(ctx); err != nil {
		return err
	}
	var exists bool
	err := s.admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", s.template).Scan(&exists)
	if err != nil || exists {
		return err
	}
	raw := s.template + "_raw"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + raw + " WITH (FORCE)", "CREATE DATABASE " + raw + " TEMPLATE template0 STRATEGY file_copy"} {
		if _, err := s.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.dev.DSN(raw)); err != nil {
		return err
	}
	_, err = s.admin.Exec(ctx, "ALTER DATABASE "+raw+" RENAME TO "+s.template)
	return err
}

func migrate(ctx context.Context, dsn string) error {
	db, err := pg.Connect(ctx, dsn, pg.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	return migrations.Run(ctx, db, nil)
}

const (
	clonePrefix = "feddi_test_" // then the time of making in hex, then chance
	// abandoned is the age at which a clone that nobody is connected to has lost its test.
	abandoned = time.Hour
)

// clone makes a database from a template and drops it when t ends.
func (s *server) clone(t testing.TB, template string) string {
	t.Helper()
	var chance [8]byte
	if _, err := rand.Read(chance[:]); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := fmt.Sprintf("%s%08x_%s", clonePrefix, time.Now().Unix(), hex.EncodeToString(chance[:]))
	if err := s.exec("CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY file_copy"); err != nil {
		t.Fatalf("pgtest: clone %s: %v", template, err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: drop %s: %v", name, err)
		}
	})
	return s.dev.DSN(name)
}

// sweep drops clones that lost their test.
func (s *server) sweep(ctx context.Context) error {
	rows, err := s.admin.Query(ctx, `SELECT datname FROM pg_database d WHERE starts_with(datname, $1) AND datname < $2
		AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)`,
		clonePrefix, fmt.Sprintf("%s%08x", clonePrefix, time.Now().Add(-abandoned).Unix()))
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) exec(sql string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // not the test's: it has ended when its database is dropped
	defer cancel()
	_, err := s.admin.Exec(ctx, sql)
	return err
}
