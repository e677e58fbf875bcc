package tenancy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// AddPartner implements tenancy.Enterprises.
func (s *Store) AddPartner(ctx context.Context, p tenancy.Partner) error {
	_, err := s.q.Exec(ctx, `INSERT INTO partners (partner_id, name, sandbox, created_at) VALUES ($1, $2, $3, $4)`,
		p.ID, p.Name, p.Sandbox, p.CreatedAt)
	return err
}

type partnerRow struct {
	PartnerID, Name string
	Sandbox         bool
	CreatedAt       time.Time
}

// Partner implements tenancy.Enterprises.
func (s *Store) Partner(ctx context.Context, id string) (tenancy.Partner, error) {
	row, err := pg.Maybe[partnerRow](ctx, s.q, `SELECT partner_id, name, sandbox, created_at FROM partners WHERE partner_id = $1`, id)
	if err != nil {
		return tenancy.Partner{}, err
	}
	if row == nil {
		return tenancy.Partner{}, fault.NotFound("integration")
	}
	return tenancy.Partner{ID: row.PartnerID, Name: row.Name, Sandbox: row.Sandbox, CreatedAt: row.CreatedAt}, nil
}

// AddMerchant implements tenancy.Enterprises.
func (s *Store) AddMerchant(ctx context.Context, m tenancy.Merchant) (tenancy.Merchant, error) {
	no, err := pg.One[int32](ctx, s.q, `INSERT INTO merchants (merchant_id, partner_id, live, name, reference, status, settings, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING tenant_no`,
		m.ID, m.PartnerID, live(m.Mode), m.Name, m.Reference, m.Status, m.Settings, m.CreatedAt)
	m.TenantNo = no
	return m, duplicate(err)
}

type merchantRow struct {
	MerchantID, PartnerID   string
	TenantNo                int32
	Live                    bool
	Name, Reference, Status string
	Settings                json.RawMessage
	CreatedAt               time.Time
}

func (r *merchantRow) merchant() (tenancy.Merchant, error) {
	m := tenancy.Merchant{
		ID: r.MerchantID, PartnerID: r.PartnerID, Mode: modeOf(r.Live), TenantNo: r.TenantNo,
		Name: r.Name, Reference: r.Reference, Status: r.Status, CreatedAt: r.CreatedAt,
	}
	if err := json.Unmarshal(r.Settings, &m.Settings); err != nil {
		return m, fmt.Errorf("read the settings of merchant %s: %w", m.ID, err)
	}
	return m, nil
}

// merchant reads one by its id alone: callers come here with an id that the
// caller's credential is authorised for, and take the boundary from the result.
func (s *Store) merchant(ctx context.Context, id string) (tenancy.Merchant, error) {
	row, err := pg.Maybe[merchantRow](ctx, s.q, `SELECT merchant_id, partner_id, tenant_no, live, name, reference, status, settings, created_at
		FROM merchants WHERE merchant_id = $1`, id)
	if err != nil {
		return tenancy.Merchant{}, err
	}
	if row == nil {
		return tenancy.Merchant{}, fault.NotFound("merchant")
	}
	return row.merchant()
}

// SaveSettings implements tenancy.Enterprises.
func (s *Store) SaveSettings(ctx context.Context, t tenancy.Tenant, settings tenancy.Settings) error {
	n, err := s.q.Exec(ctx, `UPDATE merchants SET settings = settings || $2 WHERE tenant_no = $1`, t.No, settings)
	return found(n, err, "merchant")
}

// AddBrand implements tenancy.Enterprises.
func (s *Store) AddBrand(ctx context.Context, t tenancy.Tenant, b tenancy.Brand) error {
	return s.AddPlaces(ctx, t, tenancy.Places{Brands: []tenancy.Brand{b}})
}

// AddBranch implements tenancy.Enterprises.
func (s *Store) AddBranch(ctx context.Context, t tenancy.Tenant, b tenancy.Branch) error {
	return s.AddPlaces(ctx, t, tenancy.Places{Branches: []tenancy.Branch{b}})
}

// found turns a statement that touched nothing into NOT_FOUND of resource.
func found(n int64, err error, resource string) error {
	if err == nil && n == 0 {
		return fault.NotFound(resource)
	}
	return err
}
