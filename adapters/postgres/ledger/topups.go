package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

const topupColumns = `p.topup_id, p.customer_id, p.session_id, p.state, p.amount_minor, p.bonus_minor, p.currency, p.source,
	p.sku_id, p.quantity, p.provider, p.artifact, p.reference, p.grant_id, p.entry_id, p.expires_at, p.created_at,
	p.completed_at, p.reversed_at, p.reversal_entry_id, p.reversed_actual_minor, p.reversed_bonus_minor, p.reversal_reason, p.reversal_note`

func topupDest(top *ledger.Topup, n *topupNulls) []any {
	return []any{
		&top.ID, &top.CustomerID, &n.session, &top.State, &top.AmountMinor, &top.BonusMinor, &top.Currency, &top.Source,
		&n.sku, &n.quantity, &n.provider, &n.artifact, &n.reference, &n.grant, &n.entry, &top.ExpiresAt, &top.CreatedAt,
		&top.CompletedAt, &top.ReversedAt, &n.reversal, &top.ReversedActualMinor, &top.ReversedBonusMinor, &n.reason, &n.note,
	}
}

// topupNulls are the columns that may be null.
type topupNulls struct {
	session, sku, provider, reference, grant, entry *string
	reversal, reason, note                          *string
	quantity                                        *int32
	artifact                                        json.RawMessage
}

func (n *topupNulls) fill(top *ledger.Topup) {
	top.SessionID, top.SKUID, top.Provider = text(n.session), text(n.sku), text(n.provider)
	top.Reference, top.GrantID, top.EntryID = text(n.reference), text(n.grant), text(n.entry)
	top.ReversalEntryID, top.ReversalReason, top.ReversalNote = text(n.reversal), text(n.reason), text(n.note)
	top.Artifact = n.artifact
	if n.quantity != nil {
		top.Quantity = *n.quantity
	}
}

func scanTopup(t tenancy.Tenant) func(pgx.CollectableRow) (ledger.Topup, error) {
	return func(r pgx.CollectableRow) (ledger.Topup, error) {
		top := ledger.Topup{Tenant: t}
		var n topupNulls
		err := r.Scan(topupDest(&top, &n)...)
		n.fill(&top)
		return top, err
	}
}

// Topup implements ledger.Topups.
func (s *Store) Topup(ctx context.Context, t tenancy.Tenant, id string) (ledger.Topup, error) {
	top, err := pg.OneFunc(ctx, s.q, scanTopup(t), `SELECT `+topupColumns+` FROM topups p
		WHERE p.tenant_no = $1 AND p.topup_id = $2`, t.No, id)
	return top, notFound(err, "topup")
}

// TopupForUpdate implements ledger.Topups.
func (s *Store) TopupForUpdate(ctx context.Context, t tenancy.Tenant, id string) (ledger.Topup, error) {
	top, err := pg.OneFunc(ctx, s.q, scanTopup(t), `SELECT `+topupColumns+` FROM topups p
		WHERE p.tenant_no = $1 AND p.topup_id = $2 FOR UPDATE`, t.No, id)
	return top, notFound(err, "topup")
}

// TopupOf implements ledger.Topups. The caller is a provider, which knows no
// tenant: the id, which is unique, leads to it.
func (s *Store) TopupOf(ctx context.Context, mode tenancy.Mode, provider, id string) (ledger.Topup, error) {
	top, err := pg.OneFunc(ctx, s.q, scanAnyTopup, `SELECT `+tenantColumns+`, `+topupColumns+` FROM topups p JOIN merchants m ON m.tenant_no = p.tenant_no
		WHERE p.topup_id = $1 AND p.provider = $2 AND m.live = $3`, id, provider, mode == tenancy.Production)
	return top, notFound(err, "topup")
}

// scanAnyTopup scans a top-up with its tenant.
func scanAnyTopup(r pgx.CollectableRow) (ledger.Topup, error) {
	var top ledger.Topup
	var n topupNulls
	t, err := scanTenant(r, topupDest(&top, &n)...)
	n.fill(&top)
	top.Tenant = t
	return top, err
}

// InsertTopup implements ledger.Topups.
func (s *Store) InsertTopup(ctx context.Context, top ledger.Topup) error {
	var quantity *int32
	if top.Quantity != 0 {
		quantity = &top.Quantity
	}
	_, err := s.q.Exec(ctx, `INSERT INTO topups (topup_id, tenant_no, customer_id, session_id, state, amount_minor, bonus_minor,
			currency, source, sku_id, quantity, provider, artifact, reference, grant_id, entry_id, expires_at, created_at, completed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		top.ID, top.Tenant.No, top.CustomerID, null(top.SessionID), string(top.State), top.AmountMinor, top.BonusMinor,
		top.Currency, string(top.Source), null(top.SKUID), quantity, null(top.Provider), top.Artifact, null(top.Reference),
		null(top.GrantID), null(top.EntryID), top.ExpiresAt, top.CreatedAt, top.CompletedAt)
	return err
}

// SaveTopup implements ledger.Topups.
func (s *Store) SaveTopup(ctx context.Context, top ledger.Topup) error {
	_, err := s.q.Exec(ctx, `UPDATE topups SET state = $3, bonus_minor = $4, artifact = $5, reference = $6, grant_id = $7,
			entry_id = $8, expires_at = $9, completed_at = $10, reversed_at = $11, reversal_entry_id = $12,
			reversed_actual_minor = $13, reversed_bonus_minor = $14, reversal_reason = $15, reversal_note = $16
		WHERE tenant_no = $1 AND topup_id = $2`,
		top.Tenant.No, top.ID, string(top.State), top.BonusMinor, top.Artifact, null(top.Reference), null(top.GrantID),
		null(top.EntryID), top.ExpiresAt, top.CompletedAt, top.ReversedAt, null(top.ReversalEntryID),
		top.ReversedActualMinor, top.ReversedBonusMinor, null(top.ReversalReason), null(top.ReversalNote))
	if name, ok := pg.Unique(err); ok && name == "topups_reference" {
		return fault.Field(fault.CodeDuplicateReference, "provider_settlement_reference", "reference_unique",
			"this reference settled another top-up; give the reference of this one")
	}
	return err
}

// LapsedTopups implements ledger.Topups. Like Lapsing it serves the sweep.
func (s *Store) LapsedTopups(ctx context.Context, now time.Time, limit int) ([]ledger.Topup, error) {
	return pg.ManyFunc(ctx, s.q, scanAnyTopup, `SELECT `+tenantColumns+`, `+topupColumns+` FROM topups p JOIN merchants m ON m.tenant_no = p.tenant_no
		WHERE p.state = 'PENDING' AND p.expires_at <= $1 ORDER BY p.expires_at LIMIT $2`, now, limit)
}

// Tiers implements ledger.Topups.
func (s *Store) Tiers(ctx context.Context, t tenancy.Tenant, currency string) (ledger.Tiers, error) {
	row, err := pg.Maybe[tiersRow](ctx, s.q, `SELECT min_minors, bonus_minors, expiry_days, revision, updated_at
		FROM reload_bonus WHERE tenant_no = $1 AND currency = $2`, t.No, currency)
	if err != nil || row == nil {
		return ledger.Tiers{Currency: currency}, err
	}
	return row.tiers(currency), nil
}

type tiersRow struct {
	MinMinors, BonusMinors []int64
	ExpiryDays             []int32
	Revision               int32
	UpdatedAt              time.Time
}

func (r *tiersRow) tiers(currency string) ledger.Tiers {
	tiers := ledger.Tiers{Currency: currency, Revision: r.Revision, UpdatedAt: &r.UpdatedAt}
	for i, least := range r.MinMinors {
		tiers.Steps = append(tiers.Steps, ledger.Tier{MinTopupMinor: least, BonusMinor: r.BonusMinors[i], ExpiryDays: int(r.ExpiryDays[i])})
	}
	return tiers
}

// SetTiers implements ledger.Topups.
func (s *Store) SetTiers(ctx context.Context, t tenancy.Tenant, tiers ledger.Tiers, now time.Time) (ledger.Tiers, error) {
	row := tiersRow{MinMinors: []int64{}, BonusMinors: []int64{}, ExpiryDays: []int32{}}
	for _, step := range tiers.Steps {
		row.MinMinors, row.BonusMinors = append(row.MinMinors, step.MinTopupMinor), append(row.BonusMinors, step.BonusMinor)
		row.ExpiryDays = append(row.ExpiryDays, int32(step.ExpiryDays))
	}
	stored, err := pg.One[tiersRow](ctx, s.q, `INSERT INTO reload_bonus (tenant_no, currency, min_minors, bonus_minors, expiry_days, revision, updated_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6)
		ON CONFLICT (tenant_no, currency) DO UPDATE SET min_minors = excluded.min_minors, bonus_minors = excluded.bonus_minors,
			expiry_days = excluded.expiry_days, revision = reload_bonus.revision + 1, updated_at = excluded.updated_at
		RETURNING min_minors, bonus_minors, expiry_days, revision, updated_at`,
		t.No, tiers.Currency, row.MinMinors, row.BonusMinors, row.ExpiryDays, now)
	if err != nil {
		return ledger.Tiers{}, err
	}
	return stored.tiers(tiers.Currency), nil
}

const skuColumns = `sku_id, name, value_minor, bonus_minor, expiry_days, currency, active, created_at, updated_at`

func scanSKU(t tenancy.Tenant, extra ...any) func(pgx.CollectableRow) (ledger.SKU, error) {
	return func(r pgx.CollectableRow) (ledger.SKU, error) {
		k := ledger.SKU{Tenant: t}
		dest := []any{&k.ID, &k.Name, &k.ValueMinor, &k.BonusMinor, &k.ExpiryDays, &k.Currency, &k.Active, &k.CreatedAt, &k.UpdatedAt}
		return k, r.Scan(append(dest, extra...)...)
	}
}

// SKU implements ledger.Topups.
func (s *Store) SKU(ctx context.Context, t tenancy.Tenant, id string) (ledger.SKU, error) {
	k, err := pg.OneFunc(ctx, s.q, scanSKU(t), `SELECT `+skuColumns+` FROM topup_skus WHERE tenant_no = $1 AND sku_id = $2`, t.No, id)
	return k, notFound(err, "sku")
}

// PutSKU implements ledger.Topups.
func (s *Store) PutSKU(ctx context.Context, k ledger.SKU) (stored ledger.SKU, created bool, err error) {
	stored, err = pg.OneFunc(ctx, s.q, scanSKU(k.Tenant, &created), `INSERT INTO topup_skus (tenant_no, `+skuColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
		ON CONFLICT (tenant_no, sku_id) DO UPDATE SET name = excluded.name, value_minor = excluded.value_minor,
			bonus_minor = excluded.bonus_minor, expiry_days = excluded.expiry_days, currency = excluded.currency,
			active = excluded.active, updated_at = excluded.updated_at
		RETURNING `+skuColumns+`, xmax = 0`,
		k.Tenant.No, k.ID, k.Name, k.ValueMinor, k.BonusMinor, k.ExpiryDays, k.Currency, k.Active, k.UpdatedAt)
	return stored, created, err
}

// SKUs implements ledger.Topups.
func (s *Store) SKUs(ctx context.Context, t tenancy.Tenant, active *bool, after string, limit int) ([]ledger.SKU, error) {
	return pg.ManyFunc(ctx, s.q, scanSKU(t), `SELECT `+skuColumns+` FROM topup_skus
		WHERE tenant_no = $1 AND ($2::boolean IS NULL OR active = $2) AND sku_id > $3 ORDER BY sku_id LIMIT $4`,
		t.No, active, after, limit)
}
