// Package offers keeps offers, what sessions hold of them, and budgets in
// Postgres. Every statement is bounded by tenant_no.
package offers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements offers.Store.
type Store struct{ q pg.Q }

var _ offers.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// null is the value of a nullable text column: nil where s is empty.
func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// offerRow is an offer at one version.
type offerRow struct {
	OfferID    string
	Version    int64
	Status     string
	BrandID    string
	Definition json.RawMessage
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

func (r offerRow) offer(t tenancy.Tenant) (offers.Offer, error) {
	o := offers.Offer{
		ID: r.OfferID, Tenant: t, Version: r.Version, Status: offers.Status(r.Status), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if err := json.Unmarshal(r.Definition, &o.Definition); err != nil {
		return o, fmt.Errorf("offer %s version %d: %w", r.OfferID, r.Version, err)
	}
	o.BrandID = r.BrandID
	return o, nil
}

func offersOf(rows []offerRow, t tenancy.Tenant) ([]offers.Offer, error) {
	out := make([]offers.Offer, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.offer(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const offerColumns = `o.offer_id, v.version, o.status, o.brand_id, v.definition, o.created_at, o.updated_at`

// bump raises the tenant's catalogue version: merchants' offers change one at a time.
const bump = `
insert into offer_catalogues (tenant_no, version) values ($1, 1)
on conflict (tenant_no) do update set version = offer_catalogues.version + 1
returning version`

const insertOffer = `
insert into offers (offer_id, tenant_no, brand_id, status, version, kind, starts_at, ends_at, catalogue_version, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`

const insertVersion = `
insert into offer_versions (offer_id, version, tenant_no, definition, created_at) values ($1, $2, $3, $4, $5)`

// Insert implements offers.Definitions.
func (s *Store) Insert(ctx context.Context, o offers.Offer) error {
	catalogue, err := pg.One[int64](ctx, s.q, bump, o.Tenant.No)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, insertOffer, o.ID, o.Tenant.No, o.BrandID, string(o.Status), o.Version, string(o.Kind),
		o.Window.StartsAt, o.Window.EndsAt, catalogue, o.CreatedAt)
	if err != nil {
		return err
	}
	return s.insertVersion(ctx, o)
}

func (s *Store) insertVersion(ctx context.Context, o offers.Offer) error {
	definition, err := json.Marshal(o.Definition)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, insertVersion, o.ID, o.Version, o.Tenant.No, json.RawMessage(definition), o.UpdatedAt)
	return err
}

const raiseVersion = `
update offers set version = $3, starts_at = $4, ends_at = $5, catalogue_version = $6, updated_at = $7
where tenant_no = $1 and offer_id = $2 and version = $3 - 1`

// AddVersion implements offers.Definitions.
func (s *Store) AddVersion(ctx context.Context, o offers.Offer) error {
	catalogue, err := pg.One[int64](ctx, s.q, bump, o.Tenant.No)
	if err != nil {
		return err
	}
	n, err := s.q.Exec(ctx, raiseVersion, o.Tenant.No, o.ID, o.Version, o.Window.StartsAt, o.Window.EndsAt, catalogue, o.UpdatedAt)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Field(fault.CodeRevisionConflict, "expected_version", "latest", "the offer has a newer version; read it and decide again")
	}
	return s.insertVersion(ctx, o)
}

const setStatus = `
update offers set status = $4, catalogue_version = $5, updated_at = $6
where tenant_no = $1 and offer_id = $2 and status = $3`

// SetStatus implements offers.Definitions.
func (s *Store) SetStatus(ctx context.Context, t tenancy.Tenant, offerID string, from, to offers.Status, now time.Time) error {
	catalogue, err := pg.One[int64](ctx, s.q, bump, t.No)
	if err != nil {
		return err
	}
	n, err := s.q.Exec(ctx, setStatus, t.No, offerID, string(from), string(to), catalogue, now)
	if err == nil && n == 0 {
		return fault.Field(fault.CodeStateConflict, "status", "unchanged_meanwhile", "the offer's status changed meanwhile; read it and decide again")
	}
	return err
}

const findOffer = `
select ` + offerColumns + ` from offers o
join offer_versions v on v.offer_id = o.offer_id and v.version = case when $3 = 0 then o.version else $3 end
where o.tenant_no = $1 and o.offer_id = $2 and v.tenant_no = $1`

// Offer implements offers.Definitions.
func (s *Store) Offer(ctx context.Context, t tenancy.Tenant, offerID string, version int64) (offers.Offer, error) {
	row, err := pg.Maybe[offerRow](ctx, s.q, findOffer, t.No, offerID, int32(version))
	switch {
	case err != nil:
		return offers.Offer{}, err
	case row == nil:
		return offers.Offer{}, fault.NotFound("offer")
	}
	return row.offer(t)
}

const findVersions = `
select ` + offerColumns + ` from unnest($2::text[], $3::integer[]) with ordinality as want (offer_id, version, place)
join offers o on o.offer_id = want.offer_id
join offer_versions v on v.offer_id = want.offer_id and v.version = want.version
where o.tenant_no = $1 and v.tenant_no = $1
order by want.place`

// Versions implements offers.Definitions.
func (s *Store) Versions(ctx context.Context, t tenancy.Tenant, refs []offers.Ref) ([]offers.Offer, error) {
	ids, versions := make([]string, len(refs)), make([]int32, len(refs))
	for i, r := range refs {
		ids[i], versions[i] = r.OfferID, int32(r.Version)
	}
	rows, err := pg.Many[offerRow](ctx, s.q, findVersions, t.No, ids, versions)
	if err != nil {
		return nil, err
	}
	return offersOf(rows, t)
}

const listOffers = `
select ` + offerColumns + ` from offers o
join offer_versions v on v.offer_id = o.offer_id and v.version = o.version
where o.tenant_no = $1 and v.tenant_no = $1
  and ($2 = '' or o.offer_id < $2)
  and ($3 = '' or o.kind = $3)
  and ($4 = '' or o.brand_id in ('', $4))
  and ($5::timestamptz is null or o.ends_at is null or o.ends_at > $5)
  and ($6::timestamptz is null or o.starts_at is null or o.starts_at < $6)
  and case $7
        when '' then o.status <> 'archived'
        when 'expired' then o.status in ('active', 'paused') and o.ends_at <= $8
        when 'active' then o.status = 'active' and (o.ends_at is null or o.ends_at > $8)
        when 'paused' then o.status = 'paused' and (o.ends_at is null or o.ends_at > $8)
        else o.status = $7
      end
order by o.offer_id desc limit $9`

// List implements offers.Definitions.
func (s *Store) List(ctx context.Context, t tenancy.Tenant, f offers.Filter) ([]offers.Offer, error) {
	rows, err := pg.Many[offerRow](ctx, s.q, listOffers, t.No, f.Before, string(f.Kind), f.BrandID, f.ActiveFrom, f.ActiveTo, string(f.Status), f.Now, f.Limit)
	if err != nil {
		return nil, err
	}
	return offersOf(rows, t)
}

// CatalogueVersion implements offers.Definitions.
func (s *Store) CatalogueVersion(ctx context.Context, t tenancy.Tenant) (int64, error) {
	v, err := pg.Maybe[int64](ctx, s.q, `select version from offer_catalogues where tenant_no = $1`, t.No)
	if err != nil || v == nil {
		return 0, err
	}
	return *v, nil
}

const changedOffers = `
select ` + offerColumns + ` from offers o
join offer_versions v on v.offer_id = o.offer_id and v.version = o.version
where o.tenant_no = $1 and v.tenant_no = $1 and o.catalogue_version > $2 and o.catalogue_version <= $3
  and ($2 > 0 or o.status = 'active')`

// Changed implements offers.Definitions. The version is read first: what
// commits between the two statements has a higher one and is left for the next
// time, so that nothing is missed.
func (s *Store) Changed(ctx context.Context, t tenancy.Tenant, after int64) ([]offers.Offer, int64, error) {
	version, err := s.CatalogueVersion(ctx, t)
	if err != nil {
		return nil, 0, err
	}
	rows, err := pg.Many[offerRow](ctx, s.q, changedOffers, t.No, after, version)
	if err != nil {
		return nil, 0, err
	}
	changed, err := offersOf(rows, t)
	return changed, version, err
}
