package pgtest_test

import (
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("clone", func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			rows, err := pg.One[int64](t.Context(), db.Q(), "SELECT count(*) FROM idempotency")
			if err != nil || rows != 0 {
				t.Fatalf("rows = %d, %v; want an empty table of the schema", rows, err)
			}
			if _, err := db.Q().Exec(t.Context(), "CREATE TABLE mine (id int)"); err != nil {
				t.Fatalf("a table that another clone has too: %v", err)
			}
		})
	}
}
