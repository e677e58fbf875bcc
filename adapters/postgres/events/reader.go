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
type Reader struct{ q pg.Q }

// NewReader returns a reader on q, which must not be a transaction: a reader
// inside one would wait for itself.
func NewReader(q pg.Q) *Reader { return &Reader{q} }

// selectEvents joins the tenant, so that an event carries the whole boundary.
const selectEvents = `
select e.xid, e.position, e.event_id, e.type, e.subject, coalesce(e.trace_id, ''), e.data, e.at,
       m.tenant_no, m.partner_id, m.merchant_id, m.live
from events e join merchants m on m.tenant_no = e.tenant_no
where (e.xid, e.position) > ($1::xid8, $2::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())`

// readAfter is for the consumers, which work for every tenant.
const readAfter = selectEvents + ` order by e.xid, e.position limit $3`

const pollTenant = selectEvents + `
  and e.tenant_no = $4
  and (cardinality($5::text[]) = 0 or e.type = any($5) or e.type ~ $6)
order by e.xid, e.position limit $3`

// After implements event.Reader.
func (r *Reader) After(ctx context.Context, c event.Cursor, limit int) ([]event.Logged, error) {
	return pg.ManyFunc(ctx, r.q, scan, readAfter, c.XID, c.Position, limit)
}

// Poll implements event.Reader.
func (r *Reader) Poll(ctx context.Context, t tenancy.Tenant, c event.Cursor, patterns []string, limit int) ([]event.Logged, error) {
	names, expression := split(patterns)
	return pg.ManyFunc(ctx, r.q, scan, pollTenant, c.XID, c.Position, limit, t.No, names, expression)
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
		live bool
		at   time.Time
		data []byte
	)
	err := row.Scan(&e.Cursor.XID, &e.Cursor.Position, &e.ID, &e.Type, &e.Subject, &e.TraceID, &data, &at,
		&e.Tenant.No, &e.Tenant.PartnerID, &e.Tenant.MerchantID, &live)
	e.Data, e.At, e.Tenant.Mode = data, at, tenancy.Sandbox
	if live {
		e.Tenant.Mode = tenancy.Production
	}
	return e, err
}
