package pgtest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// Plan gives the plan that a connection of q makes of a statement which it runs again
// and again, where its settings have it keep one: whatever the parameters are.
func Plan(t testing.TB, q pg.Q, statement string) string {
	t.Helper()
	var lines []string
	err := q.Bun().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "PREPARE to_explain AS "+statement); err != nil {
			return err
		}
		var n int
		if err := tx.NewRaw("SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'to_explain'").Scan(ctx, &n); err != nil {
			return err
		}
		none := strings.TrimSuffix(strings.Repeat("NULL, ", n), ", ")
		if err := tx.NewRaw("EXPLAIN EXECUTE to_explain("+none+")").Scan(ctx, &lines); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DEALLOCATE to_explain")
		return err
	})
	if err != nil {
		t.Fatal(fmt.Errorf("the plan of %.60s: %w", statement, err))
	}
	return strings.Join(lines, "\n")
}
