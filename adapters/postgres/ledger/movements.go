package ledger

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

const lotLines = `SELECT e.entry_id, e.kind, e.ref_id, l.amount_minor, e.at
	FROM grants g JOIN entries e ON e.entry_id = ANY (g.entry_ids) AND e.tenant_no = g.tenant_no
	CROSS JOIN LATERAL unnest(e.accounts, e.owners, e.amounts) l(account, owner, amount_minor)
	WHERE g.tenant_no = $1 AND g.grant_id = $2 AND l.account = 2 AND l.owner = g.grant_id
	ORDER BY e.at, e.entry_id`

// Movements implements ledger.Grants.
func (s *Store) Movements(ctx context.Context, t tenancy.Tenant, grantID string) ([]ledger.GrantMovement, error) {
	g, err := s.Grant(ctx, t, grantID)
	if err != nil {
		return nil, err
	}
	type row struct {
		EntryID     string
		Kind        string
		RefID       string
		AmountMinor int64
		At          time.Time
	}
	rows, err := pg.Many[row](ctx, s.q, lotLines, t.No, grantID)
	if err != nil {
		return nil, err
	}
	lines := make([]ledger.LotLine, len(rows))
	for i, r := range rows {
		lines[i] = ledger.LotLine{EntryID: r.EntryID, Kind: ledger.EntryKind(r.Kind), RefID: r.RefID, AmountMinor: r.AmountMinor, At: r.At}
	}
	return ledger.MovementsOf(g, lines), nil
}
