package tenancy

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// IdleSandboxes implements tenancy.Enterprises.
func (s *Store) IdleSandboxes(ctx context.Context, idleSince time.Time, limit int) ([]string, error) {
	return pg.Many[string](ctx, s.q, `SELECT p.partner_id FROM partners p
		WHERE p.sandbox AND p.created_at < $1
		  AND NOT EXISTS (SELECT FROM api_keys k WHERE k.partner_id = p.partner_id AND greatest(k.last_used_at, k.created_at) >= $1)
		ORDER BY p.created_at LIMIT $2`, idleSince, limit)
}

// eraseTimeout replaces the server's statement timeout while a sandbox goes.
const eraseTimeout = "5min"

// EraseSandbox implements tenancy.Enterprises. It reads from the catalogue which
// tables hold rows of a tenant, so that a new table cannot be forgotten.
func (s *Store) EraseSandbox(ctx context.Context, partnerID string) error {
	// feddi.erase lets the append-only tables of the ledger go too.
	n, err := s.q.Exec(ctx, `SELECT set_config('statement_timeout', $2, true), set_config('feddi.erase', 'on', true)
		FROM partners WHERE partner_id = $1 AND sandbox FOR UPDATE`, partnerID, eraseTimeout)
	if err := found(n, err, "sandbox"); err != nil {
		return err
	}
	tenants, err := pg.Many[int32](ctx, s.q, `SELECT tenant_no FROM merchants WHERE partner_id = $1`, partnerID)
	if err != nil {
		return err
	}
	tables, err := s.tenantTables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t.HasTenant {
			_, err = s.q.Exec(ctx, `DELETE FROM `+t.Name+` WHERE tenant_no = ANY ($1::int[])`, tenants)
		} else {
			_, err = s.q.Exec(ctx, `DELETE FROM `+t.Name+` WHERE partner_id = $1`, partnerID)
		}
		if err != nil {
			return err
		}
	}
	_, err = s.q.Exec(ctx, `DELETE FROM partners WHERE partner_id = $1 AND sandbox`, partnerID)
	return err
}

// table is one that holds rows of tenants, or of partners only. Name is quoted.
type table struct {
	Name      string
	HasTenant bool
	// Refers are the tables that its foreign keys point at.
	Refers []string
}

// tenantTables lists every table with a tenant_no or a partner_id, each before
// the tables that it refers to. partners itself is left out: it goes last.
func (s *Store) tenantTables(ctx context.Context) ([]table, error) {
	all, err := pg.Many[table](ctx, s.q, `SELECT c.oid::regclass::text AS name,
			bool_or(a.attname = 'tenant_no') AS has_tenant,
			ARRAY(SELECT f.confrelid::regclass::text FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f') AS refers
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attname IN ('tenant_no', 'partner_id')
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
		  AND c.oid <> 'partners'::regclass
		GROUP BY c.oid ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return referrersFirst(all), nil
}

// referrersFirst orders tables so that each stands before those it refers to.
func referrersFirst(all []table) []table {
	out, seen := make([]table, 0, len(all)), map[string]bool{}
	var visit func(t table)
	visit = func(t table) {
		if seen[t.Name] {
			return
		}
		seen[t.Name] = true
		for _, referrer := range all {
			if slices.Contains(referrer.Refers, t.Name) {
				visit(referrer)
			}
		}
		out = append(out, t)
	}
	for _, t := range all {
		visit(t)
	}
	return out
}
