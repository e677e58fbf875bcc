package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"
)

// Q is where a repository sends its statements: to one transaction, or to the
// pool. Q is a small value; pass it by value and keep it no longer than the
// transaction. A Q of a transaction must not be used by two goroutines at once.
//
// Its own methods take $1, $2 ... with bound arguments and run a prepared
// statement that is kept per connection: the text must not vary, so never put
// a value into it. Slices bind to arrays (= ANY($1), unnest($1::text[])), a
// []byte to bytea, json.RawMessage, maps and structs to jsonb, a string to any type.
type Q struct {
	bun bun.IDB
	x   conn
}

// conn is what *pgxpool.Pool and *pgx.Conn share.
type conn interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Bun is the query builder on the same transaction or pool. Its statements
// are parsed anew each time (0.3 to 0.4 of the rate of a prepared one), which
// is fine off the hot path. Pass its errors through Map.
func (q Q) Bun() bun.IDB { return q.bun }

// Exec runs a prepared statement and returns how many rows it touched.
func (q Q) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := q.x.Exec(ctx, sql, bound(args)...)
	return tag.RowsAffected(), Map(err)
}

// Query runs a prepared statement. The caller closes the rows before the next
// statement; rows.Err() wants Map. One, Maybe and Many do all that.
func (q Q) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := q.x.Query(ctx, sql, bound(args)...)
	return rows, Map(err)
}

// QueryRow runs a prepared statement for one row; Scan gives its error, mapped
// like all others. No row is ErrNoRows.
func (q Q) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return row{q.x.QueryRow(ctx, sql, bound(args)...)}
}

// SendBatch sends several statements in one round trip. Outside a transaction
// they are one implicit transaction. The statements of a batch follow the
// pool's unprepared mode; prefer one set-based statement.
func (q Q) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return q.x.SendBatch(ctx, b)
}

type row struct{ pgx.Row }

// Scan implements pgx.Row.
func (r row) Scan(dest ...any) error { return Map(r.Row.Scan(dest...)) }

// bound asks for the statement cache.
func bound(args []any) []any {
	out := make([]any, 0, len(args)+1)
	return append(append(out, pgx.QueryExecModeCacheStatement), args...)
}

// ErrNoRows is returned where exactly one row was asked for and none came.
var ErrNoRows = pgx.ErrNoRows

// One runs a prepared statement and scans its first row into a T: a struct
// with a field for every column and a column for every field (matched by name
// without case and underscores, or by a `db` tag), or any other type for a
// single column. No row is ErrNoRows.
func One[T any](ctx context.Context, q Q, sql string, args ...any) (T, error) {
	return OneFunc(ctx, q, rowTo[T](), sql, args...)
}

// Maybe is One with nil where there is no row.
func Maybe[T any](ctx context.Context, q Q, sql string, args ...any) (*T, error) {
	v, err := One[T](ctx, q, sql, args...)
	if errors.Is(err, ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// Many is One for all rows, in the order of the statement; never nil.
func Many[T any](ctx context.Context, q Q, sql string, args ...any) ([]T, error) {
	return ManyFunc(ctx, q, rowTo[T](), sql, args...)
}

// OneFunc is One with an own scan of the row.
func OneFunc[T any](ctx context.Context, q Q, scan func(pgx.CollectableRow) (T, error), sql string, args ...any) (T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		var zero T
		return zero, err
	}
	v, err := pgx.CollectOneRow(rows, scan)
	return v, Map(err)
}

// ManyFunc is Many with an own scan of each row.
func ManyFunc[T any](ctx context.Context, q Q, scan func(pgx.CollectableRow) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	vs, err := pgx.CollectRows(rows, scan)
	return vs, Map(err)
}
