// Package dispute keeps disputes in Postgres.
package dispute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements dispute.Store.
type Store struct{ q pg.Q }

var _ dispute.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// row is a dispute as the table has it.
type row struct {
	DisputeID      string
	TransactionID  string
	CustomerID     string
	BrandID        string
	BranchID       string
	State          string
	Reason         string
	AmountMinor    int64
	Currency       string
	Description    string
	Evidence       json.RawMessage
	History        json.RawMessage
	Outcome        string
	ActualMinor    int64
	PromoMinor     int64
	ForfeitedMinor int64
	Entries        json.RawMessage
	Note           string
	OpenedAt       time.Time
	DueAt          time.Time
	ResolvedAt     *time.Time
}

const columns = `dispute_id, transaction_id, coalesce(customer_id, '') as customer_id, brand_id, branch_id, state, reason,
  amount_minor, currency, description, evidence, history, coalesce(outcome, '') as outcome, actual_minor, promo_minor,
  forfeited_minor, entries, note, opened_at, due_at, resolved_at`

func (r row) dispute(t tenancy.Tenant) (dispute.Dispute, error) {
	d := dispute.Dispute{
		ID: r.DisputeID, Tenant: t, TransactionID: r.TransactionID, CustomerID: r.CustomerID,
		Place: tenancy.Place{BrandID: r.BrandID, BranchID: r.BranchID}, State: dispute.State(r.State), Reason: r.Reason,
		AmountMinor: r.AmountMinor, Currency: r.Currency, Description: r.Description,
		OpenedAt: r.OpenedAt, DueAt: r.DueAt, ResolvedAt: r.ResolvedAt,
	}
	if r.Outcome != "" {
		d.Resolution = &dispute.Resolution{
			Outcome: dispute.Outcome(r.Outcome), ActualMinor: r.ActualMinor, PromoMinor: r.PromoMinor, ForfeitedMinor: r.ForfeitedMinor,
			Note: r.Note,
		}
		if err := json.Unmarshal(r.Entries, &d.Resolution.EntryIDs); err != nil {
			return d, fmt.Errorf("read dispute %s: %w", r.DisputeID, err)
		}
	}
	if err := errors.Join(json.Unmarshal(r.Evidence, &d.Evidence), json.Unmarshal(r.History, &d.History)); err != nil {
		return d, fmt.Errorf("read dispute %s: %w", r.DisputeID, err)
	}
	return d, nil
}

const insert = `
insert into disputes (dispute_id, tenant_no, transaction_id, customer_id, brand_id, branch_id, state, reason, amount_minor,
  currency, description, evidence, history, opened_at, due_at)
values ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`

// Insert implements dispute.Store.
func (s *Store) Insert(ctx context.Context, d dispute.Dispute) error {
	evidence, err1 := json.Marshal(append([]dispute.Evidence{}, d.Evidence...))
	history, err2 := json.Marshal(d.History)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, err := s.q.Exec(ctx, insert, d.ID, d.Tenant.No, d.TransactionID, d.CustomerID, d.BrandID, d.BranchID, string(d.State), d.Reason,
		d.AmountMinor, d.Currency, d.Description, evidence, history, d.OpenedAt, d.DueAt)
	if name, ok := pg.Unique(err); ok && name == "disputes_open" {
		return fault.Field(fault.CodeStateConflict, "transaction_id", "one_open_dispute",
			"the sale has an open dispute; GET /disputes?transaction_id=%s&state=open finds it; resolve it before another is opened", d.TransactionID)
	}
	return err
}

const find = `select ` + columns + ` from disputes where tenant_no = $1 and dispute_id = $2`

const lock = find + ` for update`

// Dispute implements dispute.Store.
func (s *Store) Dispute(ctx context.Context, t tenancy.Tenant, id string) (dispute.Dispute, error) {
	return s.one(ctx, find, t, id)
}

// Lock implements dispute.Store.
func (s *Store) Lock(ctx context.Context, t tenancy.Tenant, id string) (dispute.Dispute, error) {
	return s.one(ctx, lock, t, id)
}

func (s *Store) one(ctx context.Context, statement string, t tenancy.Tenant, id string) (dispute.Dispute, error) {
	r, err := pg.Maybe[row](ctx, s.q, statement, t.No, id)
	switch {
	case err != nil:
		return dispute.Dispute{}, err
	case r == nil:
		return dispute.Dispute{}, fault.NotFound("dispute")
	}
	return r.dispute(t)
}

const saveResolved = `
update disputes set state = $3, history = $4, outcome = $5, actual_minor = $6, promo_minor = $7, forfeited_minor = $8,
  entries = $9, note = $10, resolved_at = $11
where tenant_no = $1 and dispute_id = $2`

// SaveResolved implements dispute.Store.
func (s *Store) SaveResolved(ctx context.Context, d dispute.Dispute) error {
	r := d.Resolution
	history, err1 := json.Marshal(d.History)
	entries, err2 := json.Marshal(append([]string{}, r.EntryIDs...))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, err := s.q.Exec(ctx, saveResolved, d.Tenant.No, d.ID, string(d.State), history, string(r.Outcome), r.ActualMinor, r.PromoMinor,
		r.ForfeitedMinor, entries, r.Note, d.ResolvedAt)
	return err
}

// query is a page of a list. Each filter has an index in the list's order. A
// customer's disputes are those of identities that were merged into it, too.
func (s *Store) query(t tenancy.Tenant, f dispute.Filter) *bun.SelectQuery {
	q := s.q.Bun().NewSelect().TableExpr("disputes").ColumnExpr(columns).Where("tenant_no = ?", t.No).
		Where("(opened_at, dispute_id) < (?, ?)", f.Before, f.BeforeID).OrderExpr("opened_at DESC, dispute_id DESC").Limit(int64(f.Limit))
	for _, equal := range []struct{ condition, value string }{
		{"state = ?", string(f.State)}, {"transaction_id = ?", f.TransactionID},
		{"brand_id IN ('', ?)", f.Reach.BrandID}, {"branch_id IN ('', ?)", f.Reach.BranchID},
	} {
		if equal.value != "" {
			q = q.Where(equal.condition, equal.value)
		}
	}
	if f.CustomerID != "" {
		q = q.Where("customer_id = ANY (?::text || ARRAY(SELECT customer_id FROM customers WHERE tenant_no = ? AND merged_into = ?))", f.CustomerID, t.No, f.CustomerID)
	}
	return q
}

// List implements dispute.Store.
func (s *Store) List(ctx context.Context, t tenancy.Tenant, f dispute.Filter) ([]dispute.Dispute, error) {
	var rows []row
	if err := s.query(t, f).Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	out := make([]dispute.Dispute, 0, len(rows))
	for _, r := range rows {
		d, err := r.dispute(t)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
