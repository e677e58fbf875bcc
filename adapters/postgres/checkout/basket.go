package checkout

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// basketRow is a revision as the table has it.
type basketRow struct {
	Revision      int64
	Currency      string
	Lines         json.RawMessage
	SubtotalMinor int64
	DiscountMinor int64
	TaxMinor      int64
	TotalMinor    int64
	CreatedAt     time.Time
}

// Revision 0 stands for the latest.
const findBasket = `
select revision, currency, lines, subtotal_minor, discount_minor, tax_minor, total_minor, created_at
from basket_revisions
where tenant_no = $1 and session_id = $2 and ($3::bigint = 0 or revision = $3)
order by revision desc limit 1`

// Basket implements checkout.Sessions.
func (s *Store) Basket(ctx context.Context, t tenancy.Tenant, sessionID string, revision int64) (checkout.Basket, error) {
	row, err := pg.Maybe[basketRow](ctx, s.q, findBasket, t.No, sessionID, revision)
	switch {
	case err != nil:
		return checkout.Basket{}, err
	case row == nil:
		return checkout.Basket{}, fault.NotFound("basket")
	}
	return row.basket(sessionID)
}

func (r basketRow) basket(sessionID string) (checkout.Basket, error) {
	b := checkout.Basket{
		SessionID: sessionID, Revision: r.Revision, Currency: r.Currency, SubtotalMinor: r.SubtotalMinor,
		DiscountMinor: r.DiscountMinor, TaxMinor: r.TaxMinor, TotalMinor: r.TotalMinor, CreatedAt: r.CreatedAt,
	}
	return b, json.Unmarshal(r.Lines, &b.Lines)
}

const listBaskets = `
select revision, currency, lines, subtotal_minor, discount_minor, tax_minor, total_minor, created_at
from basket_revisions
where tenant_no = $1 and session_id = $2 and revision > $3
order by revision limit $4`

// Baskets implements checkout.Sessions.
func (s *Store) Baskets(ctx context.Context, t tenancy.Tenant, sessionID string, after int64, limit int) ([]checkout.Basket, error) {
	rows, err := pg.Many[basketRow](ctx, s.q, listBaskets, t.No, sessionID, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]checkout.Basket, len(rows))
	for i, r := range rows {
		if out[i], err = r.basket(sessionID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const addBasket = `
insert into basket_revisions (session_id, revision, tenant_no, currency, lines, subtotal_minor, discount_minor, tax_minor,
  total_minor, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (session_id, revision) do nothing`

// AddBasket implements checkout.Sessions.
func (s *Store) AddBasket(ctx context.Context, t tenancy.Tenant, b checkout.Basket) error {
	lines, err := json.Marshal(b.Lines)
	if err != nil {
		return err
	}
	n, err := s.q.Exec(ctx, addBasket, b.SessionID, b.Revision, t.No, b.Currency, lines, b.SubtotalMinor, b.DiscountMinor,
		b.TaxMinor, b.TotalMinor, b.CreatedAt)
	if err == nil && n == 0 {
		return fault.Field(fault.CodeRevisionConflict, "expected_revision", "current_revision",
			"basket revision %d is there already; read the basket and decide again", b.Revision)
	}
	return err
}
