package merging

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// Every statement of a merge keeps to an index of the customer's: where the
// planner may not read a table whole, it finds a way.
func TestNoStatementReadsATableWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, sql := range moves {
		var lines []string
		err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) (err error) {
			if _, err = q.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
				return err
			}
			lines, err = pg.Many[string](ctx, q, `EXPLAIN `+sql, 1, "cus_1", "cus_2", time.Now())
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		if plan := strings.Join(lines, "\n"); strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s\nreads a table whole:\n%s", sql, plan)
		}
	}
}
