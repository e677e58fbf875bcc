// Package actuators keeps the actuators that merchants have of their own: what
// is installed, what shadows would have done, and how each fares.
package actuators

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements actuators.Store.
type Store struct{ db *pg.DB }

var _ actuators.Store = (*Store)(nil)

// New returns the store over db.
func New(db *pg.DB) *Store { return &Store{db} }

// Revision implements actuators.Store.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	return pg.One[int64](ctx, s.db.Q(), `select revision from actuator_revision`)
}

// row is an installation as the table has it, with whose it is.
type row struct {
	InstallationID string
	Path           string
	SHA256         string `db:"sha256"`
	Manifest       json.RawMessage
	Settings       json.RawMessage
	MaxGrantMinor  int64
	Hosts          []string
	Shadow         bool
	InstalledAt    time.Time
	TenantNo       int32
	PartnerID      string
	MerchantID     string
	Live           bool
}

func (r row) installation() (actuation.Installation, error) {
	in := actuation.Installation{
		ID: r.InstallationID, Tenant: tenancy.Tenant{PartnerID: r.PartnerID, MerchantID: r.MerchantID, Mode: mode(r.Live), No: r.TenantNo},
		Path: r.Path, SHA256: r.SHA256, Settings: r.Settings, MaxGrantMinor: r.MaxGrantMinor, Hosts: r.Hosts, Shadow: r.Shadow,
		InstalledAt: r.InstalledAt,
	}
	if err := json.Unmarshal(r.Manifest, &in.Manifest); err != nil {
		return in, fmt.Errorf("read the manifest of %s: %w", r.InstallationID, err)
	}
	return in, nil
}

func mode(live bool) tenancy.Mode {
	if live {
		return tenancy.Production
	}
	return tenancy.Sandbox
}

const columns = `i.installation_id, i.path, i.sha256, i.manifest, i.settings, i.max_grant_minor, i.hosts, i.shadow, i.installed_at,
  m.tenant_no, m.partner_id, m.merchant_id, m.live`

// Every merchant's, because a server runs them all.
const current = `select ` + columns + ` from actuator_installations i join merchants m using (tenant_no)
where i.removed_at is null and ($1 = '' or m.live = ($1 = 'production')) order by i.installed_at, i.installation_id`

// Current implements actuators.Store.
func (s *Store) Current(ctx context.Context, mode tenancy.Mode) ([]actuation.Installation, error) {
	rows, err := pg.Many[row](ctx, s.db.Q(), current, string(mode))
	return installations(rows, err)
}

func installations(rows []row, err error) ([]actuation.Installation, error) {
	if err != nil {
		return nil, err
	}
	out := make([]actuation.Installation, 0, len(rows))
	for _, r := range rows {
		in, err := r.installation()
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

const remove = `with gone as (
  update actuator_installations set removed_at = $4 where tenant_no = $1 and name = $2 and shadow = $3 and removed_at is null returning *)
select ` + columns + ` from gone i join merchants m using (tenant_no)`

const insert = `insert into actuator_installations
  (installation_id, tenant_no, name, version, path, sha256, manifest, settings, max_grant_minor, hosts, shadow, installed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

// Install implements actuators.Store.
func (s *Store) Install(ctx context.Context, in actuation.Installation) (replaced *actuation.Installation, err error) {
	manifest, err := json.Marshal(in.Manifest)
	if err != nil {
		return nil, err
	}
	err = pg.Tx(ctx, s.db, func(ctx context.Context, q pg.Q) error {
		replaced = nil
		old, err := installations(pg.Many[row](ctx, q, remove, in.Tenant.No, in.Manifest.Name, in.Shadow, in.InstalledAt))
		if err != nil {
			return err
		}
		if len(old) > 0 {
			replaced = &old[0]
			if _, err := q.Exec(ctx, `delete from actuator_kinds where tenant_no = $1 and installation_id = $2`, in.Tenant.No, old[0].ID); err != nil {
				return err
			}
		}
		_, err = q.Exec(ctx, insert, in.ID, in.Tenant.No, in.Manifest.Name, in.Manifest.Version, in.Path, in.SHA256, manifest, settings(in.Settings),
			in.MaxGrantMinor, in.Hosts, in.Shadow, in.InstalledAt)
		if err != nil {
			return err
		}
		if err := schedule(ctx, q, in); err != nil || in.Shadow {
			return err
		}
		return claim(ctx, q, in)
	})
	return replaced, err
}

func settings(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage(`{}`)
	}
	return raw
}

// claim makes in the merchant's actuator for its kinds.
func claim(ctx context.Context, q pg.Q, in actuation.Installation) error {
	for _, kind := range in.SaleKinds() {
		n, err := q.Exec(ctx, `insert into actuator_kinds (tenant_no, kind, installation_id) values ($1, $2, $3) on conflict do nothing`, in.Tenant.No, string(kind), in.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			other, err := pg.One[string](ctx, q, `select i.name from actuator_kinds k join actuator_installations i using (installation_id) where k.tenant_no = $1 and k.kind = $2`, in.Tenant.No, string(kind))
			if err != nil {
				return err
			}
			return fault.Field(fault.CodeStateConflict, "decision_kinds", "one_per_kind", "the merchant's %s already decides %s; uninstall it first, or install %s with --shadow", other, kind, in.Manifest.Name)
		}
	}
	return nil
}

// What waits for a removed actuator, and nobody else decides, is decided: there
// is nothing to do.
const abandon = `update transaction_rulings set state = 'refused', snapshot = null, due_at = null, decided_at = $2,
  plan = json_build_object('snapshot_id', decision_id, 'refusal', 'uninstalled',
    'reasoning', json_build_object('summary', 'Its actuator was uninstalled before it answered.', 'rule', 'actuator.uninstalled'))
where tenant_no = $1 and state = 'pending' and kind in ('upsell', 'enrichment')
  and not exists (select from actuator_kinds k where k.tenant_no = $1 and k.kind = transaction_rulings.kind)`

// Remove implements actuators.Store.
func (s *Store) Remove(ctx context.Context, t tenancy.Tenant, name string, shadow bool, now time.Time) (actuation.Installation, error) {
	var removed []actuation.Installation
	err := pg.Tx(ctx, s.db, func(ctx context.Context, q pg.Q) (err error) {
		removed, err = installations(pg.Many[row](ctx, q, remove, t.No, name, shadow, now))
		switch {
		case err != nil:
			return err
		case len(removed) == 0:
			return fault.NotFound("installation")
		}
		if _, err := q.Exec(ctx, `delete from actuator_kinds where tenant_no = $1 and installation_id = $2`, t.No, removed[0].ID); err != nil {
			return err
		}
		if err := unschedule(ctx, q, removed[0], now); err != nil {
			return err
		}
		_, err = q.Exec(ctx, abandon, t.No, now)
		return err
	})
	if err != nil {
		return actuation.Installation{}, err
	}
	return removed[0], nil
}

const history = `
with sales as materialized (
  select total_minor, currency, lines, created_at from transactions
  where tenant_no = $1 and customer_id = $2 and transaction_id <> $3 and created_at <= $4 and currency = $5),
bought as (
  select coalesce(l->>'category', '') as category, coalesce(l->>'sku', '') as sku,
    sum((l->>'quantity')::bigint)::bigint as quantity, sum(coalesce((l->>'total_minor')::bigint, 0))::bigint as total
  from sales, jsonb_array_elements(lines) l group by 1, 2)
select (select count(*) from sales) as sales, (select coalesce(sum(total_minor), 0)::bigint from sales) as total_minor,
  (select min(created_at) from sales) as first_at, (select max(created_at) from sales) as last_at,
  coalesce((select json_object_agg(category, json_build_object('quantity', quantity, 'total_minor', total)) from (
    select category, sum(quantity)::bigint as quantity, sum(total)::bigint as total from bought where category <> ''
    group by 1 order by 2 desc, 1 limit 100) c), '{}') as categories,
  coalesce((select json_object_agg(sku, json_build_object('quantity', quantity, 'total_minor', total)) from (
    select sku, sum(quantity)::bigint as quantity, sum(total)::bigint as total from bought where sku <> ''
    group by 1 order by 2 desc, 1 limit 100) c), '{}') as skus`

// Bought implements actuators.Store.
func (s *Store) Bought(ctx context.Context, t tenancy.Tenant, customerID, transactionID, currency string, before time.Time) (actuators.History, error) {
	type sum struct {
		Sales, TotalMinor int64
		FirstAt, LastAt   *time.Time
		Categories, SKUs  json.RawMessage
	}
	r, err := pg.One[sum](ctx, s.db.Q(), history, t.No, customerID, transactionID, before, currency)
	if err != nil {
		return actuators.History{}, err
	}
	h := actuators.History{Sales: r.Sales, TotalMinor: r.TotalMinor, FirstAt: r.FirstAt, LastAt: r.LastAt}
	return h, errors.Join(json.Unmarshal(r.Categories, &h.Categories), json.Unmarshal(r.SKUs, &h.SKUs))
}
