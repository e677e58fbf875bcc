package tenancy

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// AddKey implements tenancy.Keys.
func (s *Store) AddKey(ctx context.Context, k tenancy.APIKey) error {
	merchants := k.Merchants
	if merchants == nil {
		merchants = []string{}
	}
	_, err := s.q.Exec(ctx, `INSERT INTO api_keys (key_id, partner_id, live, key_hash, prefix, name, scope, operator,
			merchants, brand_id, branch_id, status, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		k.ID, k.PartnerID, live(k.Mode), k.Hash[:], k.Prefix, k.Name, string(k.Scope), k.Operator,
		merchants, k.BrandID, k.BranchID, string(k.Status), k.CreatedAt)
	return err
}

const keyColumns = `k.key_id, k.partner_id, k.live, k.key_hash, k.prefix, k.name, k.scope, k.operator, k.merchants,
	k.brand_id, k.branch_id, k.status, k.replaced_by, k.created_at, k.last_used_at, k.revoked_at`

type keyRow struct {
	KeyID, PartnerID      string
	Live                  bool
	KeyHash               []byte
	Prefix, Name, Scope   string
	Operator              bool
	Merchants             []string
	BrandID, BranchID     string
	Status, ReplacedBy    string
	CreatedAt             time.Time
	LastUsedAt, RevokedAt *time.Time
}

func (r *keyRow) key() tenancy.APIKey {
	k := tenancy.APIKey{
		ID: r.KeyID, PartnerID: r.PartnerID, Mode: modeOf(r.Live), Prefix: r.Prefix, Name: r.Name,
		Scope: tenancy.Scope(r.Scope), Operator: r.Operator, Merchants: r.Merchants, BrandID: r.BrandID, BranchID: r.BranchID,
		Status: tenancy.KeyStatus(r.Status), ReplacedBy: r.ReplacedBy,
		CreatedAt: r.CreatedAt, LastUsedAt: r.LastUsedAt, RevokedAt: r.RevokedAt,
	}
	copy(k.Hash[:], r.KeyHash)
	return k
}

// Key implements tenancy.Keys.
func (s *Store) Key(ctx context.Context, o tenancy.Owner, id string) (tenancy.APIKey, error) {
	row, err := pg.Maybe[keyRow](ctx, s.q, `SELECT `+keyColumns+` FROM api_keys k
		WHERE k.partner_id = $1 AND k.live = $2 AND k.key_id = $3`, o.PartnerID, live(o.Mode), id)
	if err != nil {
		return tenancy.APIKey{}, err
	}
	if row == nil {
		return tenancy.APIKey{}, fault.NotFound("key")
	}
	return row.key(), nil
}

// listKeys leaves out what reach $6 to $9 (scope rank, merchants, brand,
// branch) does not cover, as tenancy.Reach.Covers has it.
const listKeys = `SELECT ` + keyColumns + ` FROM api_keys k
	WHERE k.partner_id = $1 AND k.live = $2
	  AND ($3 = '' OR k.key_id < $3)
	  AND ($4 = '' OR k.status = $4)
	  AND ($5 = '' OR k.scope = 'platform' OR $5 = ANY (k.merchants))
	  AND ($6 = 'platform' OR
	       (array_position(ARRAY['platform', 'enterprise', 'brand', 'branch'], k.scope)
	          >= array_position(ARRAY['platform', 'enterprise', 'brand', 'branch'], $6)
	        AND cardinality(k.merchants) > 0 AND k.merchants <@ $7::text[]
	        AND ($8 = '' OR k.brand_id = $8) AND ($9 = '' OR k.branch_id = $9)))
	ORDER BY k.key_id DESC LIMIT $10`

// ListKeys implements tenancy.Keys.
func (s *Store) ListKeys(ctx context.Context, f tenancy.KeyFilter) ([]tenancy.APIKey, error) {
	merchants := f.Within.Merchants
	if merchants == nil {
		merchants = []string{}
	}
	rows, err := pg.Many[keyRow](ctx, s.q, listKeys, f.PartnerID, live(f.Mode), f.After, string(f.Status), f.MerchantID,
		string(f.Within.Scope), merchants, f.Within.BrandID, f.Within.BranchID, f.Limit)
	if err != nil {
		return nil, err
	}
	keys := make([]tenancy.APIKey, 0, len(rows))
	for i := range rows {
		keys = append(keys, rows[i].key())
	}
	return keys, nil
}

// RevokeKey implements tenancy.Keys. A concurrent revocation is waited for, and
// then this one changes nothing.
func (s *Store) RevokeKey(ctx context.Context, o tenancy.Owner, id, replacedBy string, now time.Time) (tenancy.APIKey, bool, error) {
	row, err := pg.Maybe[keyRow](ctx, s.q, `UPDATE api_keys k SET status = 'revoked', revoked_at = $5, replaced_by = $4
		WHERE k.partner_id = $1 AND k.live = $2 AND k.key_id = $3 AND k.status = 'active'
		RETURNING `+keyColumns, o.PartnerID, live(o.Mode), id, replacedBy, now)
	if err != nil {
		return tenancy.APIKey{}, false, err
	}
	if row != nil {
		return row.key(), true, nil
	}
	k, err := s.Key(ctx, o, id)
	return k, false, err
}

// DeleteKey implements tenancy.Keys.
func (s *Store) DeleteKey(ctx context.Context, o tenancy.Owner, id string) error {
	n, err := s.q.Exec(ctx, `DELETE FROM api_keys WHERE partner_id = $1 AND live = $2 AND key_id = $3`, o.PartnerID, live(o.Mode), id)
	return found(n, err, "key")
}

// RevokeToken implements tenancy.Tokens.
func (s *Store) RevokeToken(ctx context.Context, o tenancy.Owner, tokenID string, now, expires time.Time) error {
	_, err := s.q.Exec(ctx, `INSERT INTO revoked_tokens (token_id, partner_id, live, revoked_at, expires_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (token_id) DO NOTHING`, tokenID, o.PartnerID, live(o.Mode), now, expires)
	return err
}

// SweepTokens implements tenancy.Tokens.
func (s *Store) SweepTokens(ctx context.Context, now time.Time) (int, error) {
	if err := s.sweepChanges(ctx); err != nil {
		return 0, err
	}
	n, err := s.q.Exec(ctx, `DELETE FROM revoked_tokens WHERE expires_at <= $1`, now)
	return int(n), err
}
