package privacy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// Every statement about a person keeps to an index of theirs: where the planner
// may not read a table whole, it finds a way.
func TestNoStatementReadsATableWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	people := []string{"cus_1", "cus_2"}
	plan := func(name, sql string, args ...any) {
		var lines []string
		err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) (err error) {
			if _, err = q.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
				return err
			}
			lines, err = pg.Many[string](ctx, q, `EXPLAIN `+sql, args...)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if whole := strings.Join(lines, "\n"); strings.Contains(whole, "Seq Scan") {
			t.Errorf("%s reads a table whole:\n%s", name, whole)
		}
	}
	for _, s := range sections {
		plan(s.Name, s.sql, 1, people, "", 10)
	}
	for _, s := range anonymising {
		plan("anonymise "+s.record, s.sql, 1, people, time.Now())
	}
	for _, s := range erasing {
		plan("erase "+s.record, s.sql, 1, people, 10)
	}
}
