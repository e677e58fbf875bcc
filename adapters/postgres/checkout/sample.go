package checkout

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/tenancy"
)

const sampleWhere = `tenant_no = $1 and ($4 = '' or (branch_id = $4 and branch_id <> ''))
  and ($5 = '' or brand_id in ('', $5)) and ($6 = '' or branch_id in ('', $6))
  and exists (select from decision_traces d where d.tenant_no = $1 and d.session_id = s.session_id and d.kind = 'offer')`

const firstSessions = `
select session_id, opened_at from checkout_sessions s
where opened_at >= $2 and opened_at < $3 and ` + sampleWhere + ` order by opened_at, session_id limit $7`

// The first session of each of so many equal parts of the time: one probe of
// the index for each, whatever the number of sessions.
const spreadSessions = `
select found.session_id, found.opened_at from generate_series(0, $7::integer - 1) part cross join lateral (
  select session_id, opened_at from checkout_sessions s
  where opened_at >= $2::timestamptz + ($3::timestamptz - $2::timestamptz) / $7::integer * part
    and opened_at < case when part = $7::integer - 1 then $3::timestamptz
      else $2::timestamptz + ($3::timestamptz - $2::timestamptz) / $7::integer * (part + 1) end
    and ` + sampleWhere + ` order by opened_at, session_id limit 1) found`

type sampledRow struct {
	SessionID string
	OpenedAt  time.Time
}

// SampleSessions implements checkout.Sessions. Where parts of the time have
// none, the sessions opened first stand in for them.
func (s *Store) SampleSessions(ctx context.Context, t tenancy.Tenant, f checkout.Sample) ([]string, bool, error) {
	read := func(statement string, limit int) ([]sampledRow, error) {
		return pg.Many[sampledRow](ctx, s.q, statement, t.No, f.From, f.Before, f.BranchID, f.Reach.BrandID, f.Reach.BranchID, limit)
	}
	rows, err := read(firstSessions, f.Limit+1)
	if err != nil {
		return nil, false, err
	}
	more := len(rows) > f.Limit
	if more {
		spread, err := read(spreadSessions, f.Limit)
		if err != nil {
			return nil, false, err
		}
		for _, r := range rows {
			if len(spread) < f.Limit && !slices.Contains(spread, r) {
				spread = append(spread, r)
			}
		}
		rows = spread
	}
	slices.SortFunc(rows, func(a, b sampledRow) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.SessionID, b.SessionID))
	})
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.SessionID
	}
	return ids, more, nil
}
