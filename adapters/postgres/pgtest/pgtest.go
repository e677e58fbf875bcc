// Package pgtest gives each test a database of its own on a real Postgres,
// with the whole schema, in about 20 ms.
//
// The first test of a package's test process starts a server (fsync off, on a
// temporary directory, gone with the process however it ends) and migrates a
// template; each test gets a clone of it. FEDDI_TEST_DATABASE_URL names a
// server to use instead; its user must be allowed to create databases.
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

// patience bounds the making of a server, a template or a clone.
const patience = time.Minute

// New gives t a migrated database, dropped when t ends.
func New(t testing.TB) *pg.DB {
	t.Helper()
	return connect(t, DSN(t))
}

// DSN is New for tests that start a real program: the address of a migrated
// database. The program must have ended when t ends, or loses its connections.
func DSN(t testing.TB) string {
	t.Helper()
	s := shared(t)
	return clone(t, s, s.template)
}

// Empty gives t a database without any schema; for tests of migrations.
func Empty(t testing.TB) *pg.DB {
	t.Helper()
	return connect(t, clone(t, shared(t), "template0"))
}

func connect(t testing.TB, dsn string) *pg.DB {
	t.Helper()
	db, err := pg.Connect(t.Context(), dsn, pg.Options{ApplicationName: "feddi test"})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// server is the one that all tests of this process share.
type server struct {
	dsn      func(db string) string
	template string
	// admin makes and drops databases; pgx connections serve one caller at a time.
	admin *pgx.Conn
	mu    sync.Mutex
}

// shared starts the server once. Tests cannot hand it to each other any other
// way: a package has no place before its first test but TestMain, which every
// package would have to write.
var start = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dev := pgdev.External(os.Getenv("FEDDI_TEST_DATABASE_URL"))
	if dev.DSN("") == "" {
		var err error
		if dev, err = pgdev.Start(ctx, pgdev.Options{Private: true}); err != nil {
			return nil, err
		}
	}
	s := &server{dsn: dev.DSN, template: "feddi_template_" + migrations.Hash()[:16]}
	var err error
	if s.admin, err = pgx.Connect(ctx, dev.DSN("postgres")); err != nil {
		return nil, err
	}
	return s, s.ensureTemplate(ctx)
})

func shared(t testing.TB) *server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatalf("pgtest: no database for tests: %v", err)
	}
	return s
}

// templateLock is an advisory lock: one process makes a template, the others wait.
const templateLock int64 = 0x66656464_69000002

// ensureTemplate makes the migrated template under another name first, so that
// one left half made by a killed run is never used.
func (s *server) ensureTemplate(ctx context.Context) error {
	if _, err := s.admin.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	defer func() { _, _ = s.admin.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock) }() // ends with the connection at the latest
	var exists bool
	err := s.admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", s.template).Scan(&exists)
	if err != nil || exists {
		return err
	}
	raw := s.template + "_raw"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + raw + " WITH (FORCE)", "CREATE DATABASE " + raw + " TEMPLATE template0"} {
		if _, err := s.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.dsn(raw)); err != nil {
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

// clone makes a database from a template and drops it when t ends.
func clone(t testing.TB, s *server, template string) string {
	t.Helper()
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := fmt.Sprintf("feddi_test_%x_%s", time.Now().Unix(), hex.EncodeToString(random[:]))
	if err := s.exec("CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY file_copy"); err != nil {
		t.Fatalf("pgtest: clone %s: %v", template, err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: drop %s: %v", name, err)
		}
	})
	return s.dsn(name)
}

func (s *server) exec(sql string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // not the test's: it has ended when its database is dropped
	defer cancel()
	_, err := s.admin.Exec(ctx, sql)
	return err
}
