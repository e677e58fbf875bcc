package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

const lotColumns = `g.grant_id, g.source, g.state, g.amount_minor, g.remaining_minor, g.currency, g.expires_at,
	g.budget_id, g.funded_by, g.origin_id, g.created_at, g.released_at`

// lotRow scans lotColumns, also where an outer join gave none.
type lotRow struct {
	ID, Source, State, Currency, BudgetID, FundedBy, OriginID *string
	AmountMinor, RemainingMinor                               *int64
	ExpiresAt, CreatedAt, ReleasedAt                          *time.Time
}

func (r *lotRow) dest() []any {
	return []any{
		&r.ID, &r.Source, &r.State, &r.AmountMinor, &r.RemainingMinor, &r.Currency, &r.ExpiresAt,
		&r.BudgetID, &r.FundedBy, &r.OriginID, &r.CreatedAt, &r.ReleasedAt,
	}
}

// grant is the row as a lot; only where ID is not nil.
func (r *lotRow) grant(t tenancy.Tenant, customerID string) ledger.Grant {
	return ledger.Grant{
		ID: *r.ID, Tenant: t, CustomerID: customerID, Source: ledger.Source(*r.Source), State: ledger.GrantState(*r.State),
		AmountMinor: *r.AmountMinor, RemainingMinor: *r.RemainingMinor, Currency: *r.Currency, ExpiresAt: r.ExpiresAt,
		BudgetID: text(r.BudgetID), FundedBy: text(r.FundedBy), OriginID: text(r.OriginID),
		CreatedAt: *r.CreatedAt, ReleasedAt: r.ReleasedAt,
	}
}

func scanLot(t tenancy.Tenant, customerID string) func(pgx.CollectableRow) (ledger.Grant, error) {
	return func(r pgx.CollectableRow) (ledger.Grant, error) {
		var row lotRow
		if err := r.Scan(row.dest()...); err != nil {
			return ledger.Grant{}, err
		}
		return row.grant(t, customerID), nil
	}
}

// Grant implements ledger.Grants.
func (s *Store) Grant(ctx context.Context, t tenancy.Tenant, id string) (ledger.Grant, error) {
	g, err := pg.OneFunc(ctx, s.q, func(r pgx.CollectableRow) (ledger.Grant, error) {
		var row lotRow
		var customerID string
		if err := r.Scan(append(row.dest(), &customerID)...); err != nil {
			return ledger.Grant{}, err
		}
		return row.grant(t, customerID), nil
	}, `SELECT `+lotColumns+`, g.customer_id FROM grants g WHERE g.tenant_no = $1 AND g.grant_id = $2`, t.No, id)
	return g, notFound(err, "grant")
}

// GrantsOf implements ledger.Grants.
func (s *Store) GrantsOf(ctx context.Context, t tenancy.Tenant, customerID string, f ledger.GrantFilter) ([]ledger.Grant, error) {
	customerID, err := s.remains(ctx, t, customerID)
	if err != nil {
		return nil, err
	}
	return pg.ManyFunc(ctx, s.q, scanLot(t, customerID), `SELECT `+lotColumns+` FROM grants g
		WHERE g.tenant_no = $1 AND g.customer_id = $2 AND ($3::text = '' OR g.state = $3) AND ($4::text = '' OR g.source = $4)
		  AND ($5::text = '' OR g.grant_id < $5)
		ORDER BY g.grant_id DESC LIMIT $6`,
		t.No, customerID, string(f.State), string(f.Source), f.After, f.Limit)
}

// Lapsing implements ledger.Grants. It serves the sweep, which is the only
// reader across tenants.
func (s *Store) Lapsing(ctx context.Context, now time.Time, limit int) ([]ledger.Owner, error) {
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (o ledger.Owner, err error) {
		o.Tenant, err = scanTenant(r, &o.CustomerID)
		return o, err
	}, `SELECT DISTINCT `+tenantColumns+`, g.customer_id FROM (
			SELECT tenant_no, customer_id FROM grants
			WHERE state IN ('LOCKED', 'RELEASED') AND expires_at <= $1 ORDER BY expires_at LIMIT $2) g
		JOIN merchants m ON m.tenant_no = g.tenant_no`, now, limit)
}

const tenantColumns = `m.tenant_no, m.partner_id, m.merchant_id, m.live`

// scanTenant scans tenantColumns and what follows them.
func scanTenant(r pgx.CollectableRow, extra ...any) (tenancy.Tenant, error) {
	var t tenancy.Tenant
	var live bool
	err := r.Scan(append([]any{&t.No, &t.PartnerID, &t.MerchantID, &live}, extra...)...)
	if t.Mode = tenancy.Sandbox; live {
		t.Mode = tenancy.Production
	}
	return t, err
}

const insertLots = `INSERT INTO grants (grant_id, tenant_no, customer_id, source, state, amount_minor, remaining_minor, currency,
		expires_at, budget_id, funded_by, origin_id, created_at, released_at, entry_ids)
	SELECT id, tenant_no, customer, source, state, amount, remaining, currency, expires, budget, coalesce(funder, 'merchant'), origin, created, released,
		($17::text[])[entry : entry + entries - 1]
	FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::int8[], $8::text[], $9::timestamptz[], $10::text[],
		$11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::int4[], $16::int4[])
		x(id, tenant_no, customer, source, state, amount, remaining, currency, expires, budget, funder, origin, created, released, entry, entries)`

func (s *Store) insertLots(ctx context.Context, lots []ledger.Grant, by movers) error {
	if len(lots) == 0 {
		return nil
	}
	var a lotArrays
	for _, g := range lots {
		a.add(g, by.take(g.Tenant, g.ID))
	}
	_, err := s.q.Exec(ctx, insertLots, a.id, a.tenant, a.customer, a.source, a.state, a.amount, a.remaining, a.currency,
		a.expires, a.budget, a.funder, a.origin, a.created, a.released, a.entry, a.entries, a.entryIDs)
	return err
}

const updateLots = `UPDATE grants g SET state = x.state, remaining_minor = x.remaining, expires_at = x.expires, released_at = x.released,
		entry_ids = g.entry_ids || ($9::text[])[x.entry : x.entry + x.entries - 1]
	FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[], $5::timestamptz[], $6::timestamptz[], $7::int4[], $8::int4[])
		x(tenant_no, id, state, remaining, expires, released, entry, entries)
	WHERE g.tenant_no = x.tenant_no AND g.grant_id = x.id`

func (s *Store) updateLots(ctx context.Context, lots []ledger.Grant, by movers) error {
	if len(lots) == 0 {
		return nil
	}
	var a lotArrays
	for _, g := range lots {
		a.add(g, by.take(g.Tenant, g.ID))
	}
	n, err := s.q.Exec(ctx, updateLots, a.tenant, a.id, a.state, a.remaining, a.expires, a.released, a.entry, a.entries, a.entryIDs)
	if err == nil && n != int64(len(lots)) {
		return fault.NotFound("grant")
	}
	return err
}

const noteMovers = `UPDATE grants g SET entry_ids = g.entry_ids || ($5::text[])[x.entry : x.entry + x.entries - 1]
	FROM unnest($1::int4[], $2::text[], $3::int4[], $4::int4[]) x(tenant_no, id, entry, entries)
	WHERE g.tenant_no = x.tenant_no AND g.grant_id = x.id`

// noteMovers notes what is left of by: entries that move a lot which another
// change gives its new state, as where a refund pays into somebody else's lot.
func (s *Store) noteMovers(ctx context.Context, by movers) error {
	if len(by) == 0 {
		return nil
	}
	var a lotArrays
	for lot, ids := range by {
		a.tenant, a.id = append(a.tenant, lot.tenant), append(a.id, lot.id)
		a.addEntries(ids)
	}
	n, err := s.q.Exec(ctx, noteMovers, a.tenant, a.id, a.entry, a.entries, a.entryIDs)
	if err == nil && n != int64(len(a.id)) {
		return fault.NotFound("grant")
	}
	return err
}

// lotArrays are lots as the columns of unnest, with the entries of all of them
// one after the other: entry is where those of a lot begin (from 1), entries how
// many they are.
type lotArrays struct {
	id, customer, source, state, currency []string
	tenant, entry, entries                []int32
	amount, remaining                     []int64
	budget, funder, origin                []*string
	created                               []time.Time
	expires, released                     []*time.Time
	entryIDs                              []string
}

func (a *lotArrays) add(g ledger.Grant, entryIDs []string) {
	a.id, a.tenant, a.customer = append(a.id, g.ID), append(a.tenant, g.Tenant.No), append(a.customer, g.CustomerID)
	a.source, a.state, a.currency = append(a.source, string(g.Source)), append(a.state, string(g.State)), append(a.currency, g.Currency)
	a.amount, a.remaining = append(a.amount, g.AmountMinor), append(a.remaining, g.RemainingMinor)
	a.budget, a.funder, a.origin = append(a.budget, null(g.BudgetID)), append(a.funder, null(g.FundedBy)), append(a.origin, null(g.OriginID))
	a.created, a.expires, a.released = append(a.created, g.CreatedAt), append(a.expires, g.ExpiresAt), append(a.released, g.ReleasedAt)
	a.addEntries(entryIDs)
}

func (a *lotArrays) addEntries(ids []string) {
	a.entry, a.entries = append(a.entry, int32(len(a.entryIDs)+1)), append(a.entries, int32(len(ids)))
	a.entryIDs = append(a.entryIDs, ids...)
}
