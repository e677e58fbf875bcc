// Package pgtest gives each test a database of its own on a real Postgres,
// with the whole schema, in about 20 ms.
//
// The first test of a package's test process starts a server (fsync off, in
// memory where there is room, gone with the process however it ends); each test
// gets a clone of a migrated template in it. The server itself begins as a copy
// of one that holds the template already, kept in the user's cache folder by
// the hash of the migrations, so that starting it costs about 0.15 s. One
// server per process rather than one for all: nothing has to outlive a process,
// so nothing can be left over or be in a strange state, and two versions of the
// schema never meet.
//
// FEDDI_TEST_DATABASE_URL names a server to use instead; its user must be
// allowed to create databases.
package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// patience bounds the making of a server, a template or a clone.
const patience = time.Minute

// New gives t a migrated database, dropped when t ends.
func New(t testing.TB) *pg.DB {
	t.Helper()
	return connect(t, DSN(t))
}

// DSN is New for tests that start a real program: the address of a migrated
// database. When t ends it is dropped, under whoever is still connected.
func DSN(t testing.TB) string {
	t.Helper()
	s := shared(t)
	return s.clone(t, s.template)
}

// Empty gives t a database without any schema; for tests of migrations.
func Empty(t testing.TB) *pg.DB {
	t.Helper()
	return connect(t, shared(t).clone(t, "template0"))
}

func connect(t testing.TB, dsn string) *pg.DB {
	t.Helper()
	db, err := pg.Connect(context.WithoutCancel(t.Context()), dsn, pg.Options{ApplicationName: "feddi test"})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}
