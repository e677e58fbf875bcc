package webhooks

import (
	"context"
	"strings"

	"github.com/uptrace/bun"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// RoutePlan gives the plan by which Route reads on a connection of log.
func RoutePlan(ctx context.Context, log pg.Q) (string, error) {
	var lines []string
	err := log.Bun().RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "PREPARE route AS "+route); err != nil {
			return err
		}
		return tx.NewRaw("EXPLAIN EXECUTE route(NULL, NULL, NULL, NULL, NULL)").Scan(ctx, &lines)
	})
	return strings.Join(lines, "\n"), err
}
