// Package ranges keeps the indexes by range (BRIN) of tables that only grow up
// to date.
//
// Such an index knows of a range of blocks what it holds once that range is
// summarised; what is not has to be read whole by every search. Autovacuum
// summarises on request, some minute later: under load that is a million rows,
// which the settlement of a day would read again and again.
package ranges

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// own lists the indexes by range that this role may summarise.
const own = `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam
	WHERE a.amname = 'brin' AND c.relkind = 'i' AND c.relnamespace = current_schema()::regnamespace AND pg_has_role(c.relowner, 'USAGE')
	ORDER BY c.oid`

// bounds of one index: how long it may wait for its table, for autovacuum may be
// at work there and would be cancelled by who waits for a second; and how long it
// may take, which limit bounds as well. What is done by then stays done.
const bounds = `SELECT set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '30s', true)`

const limit = 30 * time.Second

// Summarize summarises what was appended since the last time, in every index by
// range, and returns how many ranges that were. An index whose table is being
// vacuumed is left for the next time.
func Summarize(ctx context.Context, db *pg.DB) (int, error) {
	indexes, err := pg.Many[string](ctx, db.Q(), own)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, index := range indexes {
		n, err := summarize(ctx, db, index)
		if err != nil && !errors.Is(err, pg.ErrLockTimeout) {
			return sum, err
		}
		sum += n
	}
	return sum, nil
}

func summarize(ctx context.Context, db *pg.DB, index string) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
		if _, err := q.Exec(ctx, bounds); err != nil {
			return err
		}
		n, err = pg.One[int](ctx, q, "SELECT brin_summarize_new_values($1::text::regclass)", index)
		return err
	})
	return n, err
}
