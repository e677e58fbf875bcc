package tenancy

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Merchants implements tenancy.Enterprises.
func (s *Store) Merchants(ctx context.Context, o tenancy.Owner) (int, error) {
	if _, err := s.q.Exec(ctx, `SELECT FROM partners WHERE partner_id = $1 FOR NO KEY UPDATE`, o.PartnerID); err != nil {
		return 0, err
	}
	n, err := pg.One[int64](ctx, s.q, `SELECT count(*) FROM merchants WHERE partner_id = $1 AND live = $2`, o.PartnerID, live(o.Mode))
	return int(n), err
}

const insertBrands = `INSERT INTO brands (tenant_no, brand_id, name, reference, created_at)
	SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[])`

const insertBranches = `INSERT INTO branches (tenant_no, branch_id, brand_id, name, reference, address, created_at)
	SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])`

const insertTerminals = `INSERT INTO terminals (tenant_no, terminal_id, brand_id, branch_id, name, status, reference, serial_number, model, created_at)
	SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[])`

// AddPlaces implements tenancy.Enterprises.
func (s *Store) AddPlaces(ctx context.Context, t tenancy.Tenant, p tenancy.Places) error {
	for _, insert := range []func(context.Context, tenancy.Tenant, tenancy.Places) error{s.addBrands, s.addBranches, s.addTerminals} {
		if err := insert(ctx, t, p); err != nil {
			return duplicate(err)
		}
	}
	return nil
}

func (s *Store) addBrands(ctx context.Context, t tenancy.Tenant, p tenancy.Places) error {
	if len(p.Brands) == 0 {
		return nil
	}
	text, times := columnsOf(p.Brands, func(b tenancy.Brand) ([]string, time.Time) { return []string{b.ID, b.Name, b.Reference}, b.CreatedAt })
	_, err := s.q.Exec(ctx, insertBrands, t.No, text[0], text[1], text[2], times)
	return err
}

func (s *Store) addBranches(ctx context.Context, t tenancy.Tenant, p tenancy.Places) error {
	if len(p.Branches) == 0 {
		return nil
	}
	text, times := columnsOf(p.Branches, func(b tenancy.Branch) ([]string, time.Time) {
		return []string{b.ID, b.BrandID, b.Name, b.Reference, b.Address}, b.CreatedAt
	})
	_, err := s.q.Exec(ctx, insertBranches, t.No, text[0], text[1], text[2], text[3], text[4], times)
	return err
}

func (s *Store) addTerminals(ctx context.Context, t tenancy.Tenant, p tenancy.Places) error {
	if len(p.Terminals) == 0 {
		return nil
	}
	text, times := columnsOf(p.Terminals, func(x tenancy.Terminal) ([]string, time.Time) {
		return []string{x.ID, x.BrandID, x.BranchID, x.Name, x.Status, x.Reference, x.SerialNumber, x.Model}, x.CreatedAt
	})
	_, err := s.q.Exec(ctx, insertTerminals, t.No, text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7], times)
	return err
}

// columnsOf turns rows into columns: those of text, and the time of each row.
func columnsOf[T any](rows []T, row func(T) ([]string, time.Time)) (text [][]string, times []time.Time) {
	for _, r := range rows {
		values, at := row(r)
		if text == nil {
			text = make([][]string, len(values))
		}
		for i, v := range values {
			text[i] = append(text[i], v)
		}
		times = append(times, at)
	}
	return text, times
}

// duplicate names the field whose value another row has already.
func duplicate(err error) error {
	name, ok := pg.Unique(err)
	field := map[string]string{
		"merchants_reference": "reference", "brands_reference": "reference", "branches_reference": "reference",
		"terminals_reference": "reference", "terminals_serial": "serial_number",
	}[name]
	if !ok || field == "" {
		return err
	}
	return fault.Field(fault.CodeDuplicateReference, field, "unique", "%s", map[string]string{
		"merchants_reference": "another merchant of your integration has this reference; use that merchant, or give this one a reference of its own",
		"brands_reference":    "another brand of the merchant has this reference; give each its own",
		"branches_reference":  "another branch of the merchant has this reference; give each its own",
		"terminals_reference": "another terminal of the merchant has this reference; give each its own",
		"terminals_serial":    "a terminal with this serial number is registered already; list the terminals to find it",
	}[name])
}
