package pgtest

import (
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// WaitForBlocked waits until a statement in db's database waits for a lock.
func WaitForBlocked(t testing.TB, db *pg.DB) {
	t.Helper()
	for { // the test's own limit ends it otherwise
		blocked, err := pg.One[bool](t.Context(), db.Q(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`)
		if err != nil {
			t.Fatal(err)
		}
		if blocked {
			return
		}
	}
}
