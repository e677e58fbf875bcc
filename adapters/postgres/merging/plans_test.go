package merging

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/merging"
	"github.com/feddi/feddi/core/tenancy"
)

// Every statement of a merge and of its undo keeps to an index: where the
// planner may not read a table whole, it finds a way.
func TestNoStatementReadsATableWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	m := merging.Merge{ID: "mrg_1", Tenant: tenancy.Tenant{No: 1}, SourceID: "cus_1", CustomerID: "cus_2", At: time.Now()}
	type statement struct {
		sql  string
		args []any
	}
	all := []statement{
		{noted, []any{1, "mrg_1", "grants"}}, {reversed, []any{1, "mrg_1"}}, {firsts, []any{1, "cus_2"}},
		{linksBack, []any{1, "cus_2", "cus_1", "mrg_1"}},
	}
	for _, step := range moves {
		all = append(all, statement{step.text(), step.args(m)})
	}
	for _, sql := range divisions {
		all = append(all, statement{sql, []any{1, "cus_2", "cus_1", "mrg_1", time.Now()}})
	}
	for _, sql := range backs {
		all = append(all, statement{sql, []any{1, "cus_2", "cus_1", "mrg_1"}})
	}
	for _, s := range all {
		var lines []string
		err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) (err error) {
			if _, err = q.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
				return err
			}
			lines, err = pg.Many[string](ctx, q, `EXPLAIN `+s.sql, s.args...)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", s.sql, err)
		}
		if plan := strings.Join(lines, "\n"); strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s\nreads a table whole:\n%s", s.sql, plan)
		}
	}
}
