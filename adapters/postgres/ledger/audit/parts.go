package audit

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// task is a check of all of the books, or of a part of them.
type task struct {
	sql    string
	args   []any
	weight float64 // about what it costs, beside others
}

// table is what is checked in parts, by ranges of its key.
type table struct {
	name, key string
	checks    []string
}

// plan lists the tasks, the longest first, so that they do not end alone.
func (a Audit) plan(ctx context.Context, tx pgx.Tx) ([]task, error) {
	var parts []task
	for _, t := range []table{{"entries", "entry_id", ofEntries}, {"payments", "payment_id", ofPayments}} {
		ranges, err := a.ranges(ctx, tx, t)
		if err != nil {
			return nil, err
		}
		for _, r := range ranges {
			for _, check := range t.checks {
				parts = append(parts, task{check, r, 1})
			}
		}
	}
	tasks := make([]task, 0, len(whole)+len(parts))
	for _, w := range whole {
		tasks = append(tasks, task{w.sql, nil, w.weight * float64(len(parts))})
	}
	return append(tasks, parts...), nil
}

// ranges splits a table by its key: arguments of checks, from the first to before
// the second, null where the range is open. The ids that rows at even distances
// have divide it evenly enough.
func (a Audit) ranges(ctx context.Context, tx pgx.Tx, t table) ([][]any, error) {
	var pages, rows int64
	err := tx.QueryRow(ctx, `SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint, greatest(c.reltuples, 0)::bigint
		FROM pg_class c WHERE c.oid = $1::text::regclass`, t.name).Scan(&pages, &rows)
	if err != nil {
		return nil, err
	}
	var bounds []string
	// Without statistics, a page is taken for a hundred rows.
	if parts := max(rows, pages*20) / int64(a.part); parts > 0 {
		found, err := tx.Query(ctx, `SELECT DISTINCT `+t.key+` FROM `+t.name+` WHERE ctid = ANY (ARRAY(
			SELECT format('(%s,1)', page)::tid FROM generate_series(0, $2::bigint - 1, $1::bigint) page)) ORDER BY 1`, max(pages/(parts+1), 1), pages)
		if err != nil {
			return nil, err
		}
		if bounds, err = pgx.CollectRows(found, pgx.RowTo[string]); err != nil {
			return nil, err
		}
	}
	out, from := make([][]any, 0, len(bounds)+1), any(nil)
	for _, id := range bounds {
		out, from = append(out, []any{from, id}), id
	}
	return append(out, []any{from, any(nil)}), nil
}
