package tenancy

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/tenancy"
)

type standingRow struct {
	keyRow
	TenantMerchants []string
	TenantNos       []int32
}

func (r *standingRow) standing() *tenancy.KeyStanding {
	s := &tenancy.KeyStanding{Key: r.key()}
	for i, m := range r.TenantMerchants {
		s.Tenants = append(s.Tenants, tenancy.Tenant{PartnerID: s.Key.PartnerID, Mode: s.Key.Mode, MerchantID: m, No: r.TenantNos[i]})
	}
	return s
}

// standing reads a key with the merchants that it may act for now.
const standing = `SELECT ` + keyColumns + `,
	coalesce(array_agg(m.merchant_id ORDER BY m.tenant_no) FILTER (WHERE m.merchant_id IS NOT NULL), '{}') AS tenant_merchants,
	coalesce(array_agg(m.tenant_no ORDER BY m.tenant_no) FILTER (WHERE m.merchant_id IS NOT NULL), '{}') AS tenant_nos
	FROM api_keys k
	LEFT JOIN merchants m ON m.partner_id = k.partner_id AND m.live = k.live AND m.status = 'active'
	  AND (k.scope = 'platform' OR m.merchant_id = ANY (k.merchants)) `

// KeyByHash implements tenancy.Credentials.
func (s *Store) KeyByHash(ctx context.Context, hash [32]byte) (*tenancy.KeyStanding, error) {
	return standingOf(pg.Maybe[standingRow](ctx, s.q, standing+`WHERE k.key_hash = $1 GROUP BY k.key_id`, hash[:]))
}

// KeyByID implements tenancy.Credentials.
func (s *Store) KeyByID(ctx context.Context, o tenancy.Owner, id string) (*tenancy.KeyStanding, error) {
	return standingOf(pg.Maybe[standingRow](ctx, s.q,
		standing+`WHERE k.partner_id = $1 AND k.live = $2 AND k.key_id = $3 GROUP BY k.key_id`, o.PartnerID, live(o.Mode), id))
}

func standingOf(row *standingRow, err error) (*tenancy.KeyStanding, error) {
	if err != nil || row == nil {
		return nil, err
	}
	return row.standing(), nil
}

// TokenEnded implements tenancy.Credentials.
func (s *Store) TokenEnded(ctx context.Context, c tenancy.TokenClaims) (bool, error) {
	return pg.One[bool](ctx, s.q, `SELECT EXISTS (SELECT FROM revoked_tokens WHERE token_id = $1 AND partner_id = $2 AND live = $3)
		OR NOT EXISTS (SELECT FROM terminals t JOIN merchants m USING (tenant_no)
			WHERE m.partner_id = $2 AND m.live = $3 AND m.merchant_id = $4 AND t.terminal_id = $5
			  AND t.branch_id = $6 AND t.brand_id = $7 AND t.status = 'active' AND t.token_generation = $8)`,
		c.ID, c.PartnerID, live(c.Mode), c.MerchantID, c.TerminalID, c.BranchID, c.BrandID, c.Generation)
}

// Touch implements tenancy.Credentials.
func (s *Store) Touch(ctx context.Context, uses map[string]time.Time) error {
	if len(uses) == 0 {
		return nil
	}
	ids, times := make([]string, 0, len(uses)), make([]time.Time, 0, len(uses))
	for id, at := range uses {
		ids, times = append(ids, id), append(times, at)
	}
	_, err := s.q.Exec(ctx, `UPDATE api_keys k SET last_used_at = u.at FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)
		WHERE k.key_id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)`, ids, times)
	return err
}
