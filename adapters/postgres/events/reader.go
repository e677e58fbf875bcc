package events

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// Reader implements event.Reader.
type Reader struct {
	q       pg.Q
	tenants tenants
}

// NewReader returns a reader on q, which must not be a transaction: a reader
// inside one would wait for itself.
func NewReader(q pg.Q) *Reader { return &Reader{q: q} }

const selectEvents = `
select e.xid, e.position, e.event_id, e.type, e.subject, coalesce(e.trace_id, ''), e.data, e.at, e.tenant_no
from events e
where (e.xid, e.position) > ($1::xid8, $2::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())`

// readAfter is for the consumers, which work for every tenant.
const readAfter = selectEvents + ` order by e.xid, e.position limit $3`

const pollTenant = selectEvents + `
  and e.tenant_no = $4
  and (cardinality($5::text[]) = 0 or e.type = any($5) or e.type ~ $6)
order by e.xid, e.position limit $3`

// After implements event.Reader.
func (r *Reader) After(ctx context.Context, c event.Cursor, limit int) ([]event.Logged, error) {
	return r.read(ctx, readAfter, c.XID, c.Position, limit)
}

// Poll implements event.Reader.
func (r *Reader) Poll(ctx context.Context, t tenancy.Tenant, c event.Cursor, patterns []string, limit int) ([]event.Logged, error) {
	names, expression := split(patterns)
	return r.read(ctx, pollTenant, c.XID, c.Position, limit, t.No, names, expression)
}

func (r *Reader) read(ctx context.Context, sql string, args ...any) ([]event.Logged, error) {
	events, err := pg.ManyFunc(ctx, r.q, scan, sql, args...)
	if err == nil {
		err = r.tenants.fill(ctx, r.q, events)
	}
	return events, err
}

// split turns patterns into whole names and one regular expression for the
// prefixes; the contract allows letters, underscores and dots only.
func split(patterns []string) (names []string, expression string) {
	names = []string{}
	var prefixes []string
	for _, p := range patterns {
		names = append(names, p)
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			prefixes = append(prefixes, strings.ReplaceAll(prefix, ".", `\.`))
		}
	}
	if len(prefixes) == 0 {
		return names, `^$`
	}
	return names, `^(` + strings.Join(prefixes, "|") + `)`
}

func scan(row pgx.CollectableRow) (event.Logged, error) {
	var (
		e    event.Logged
		at   time.Time
		data []byte
	)
	err := row.Scan(&e.Cursor.XID, &e.Cursor.Position, &e.ID, &e.Type, &e.Subject, &e.TraceID, &data, &at, &e.Tenant.No)
	e.Data, e.At = data, at
	return e, err
}
