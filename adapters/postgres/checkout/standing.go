package checkout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

const saveStanding = `
insert into transaction_standings (transaction_id, tenant_no, sold_at, status, refunded_minor, voided_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (transaction_id) do update set status = excluded.status, refunded_minor = excluded.refunded_minor, voided_at = excluded.voided_at
where transaction_standings.tenant_no = excluded.tenant_no`

// SaveStanding implements checkout.Transactions.
func (s *Store) SaveStanding(ctx context.Context, t checkout.Transaction) error {
	_, err := s.q.Exec(ctx, saveStanding, t.ID, t.Tenant.No, t.CreatedAt, string(t.Status()), t.Standing.RefundedMinor, t.Standing.VoidedAt)
	return err
}

const insertVoid = `
insert into transaction_voids (transaction_id, tenant_no, reversals, reason, actor_id, at) values ($1, $2, $3, $4, $5, $6)
on conflict (transaction_id) do nothing`

// AddVoid implements checkout.Transactions.
func (s *Store) AddVoid(ctx context.Context, t checkout.Transaction, v checkout.Void) error {
	reversals, err := json.Marshal(list(v.Reversals))
	if err != nil {
		return err
	}
	n, err := s.q.Exec(ctx, insertVoid, t.ID, t.Tenant.No, reversals, null(v.Reason), v.ActorID, v.At)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Field(fault.CodeStateConflict, "transaction_id", "not_voided", "the sale was voided already")
	}
	t.Standing.VoidedAt = &v.At
	return s.SaveStanding(ctx, t)
}

const findVoid = `
select transaction_id, reversals, coalesce(reason, '') as reason, actor_id, at from transaction_voids
where tenant_no = $1 and transaction_id = $2`

// Void implements checkout.Transactions.
func (s *Store) Void(ctx context.Context, t tenancy.Tenant, transactionID string) (checkout.Void, error) {
	type voidRow struct {
		TransactionID string
		Reversals     json.RawMessage
		Reason        string
		ActorID       string
		At            time.Time
	}
	row, err := pg.Maybe[voidRow](ctx, s.q, findVoid, t.No, transactionID)
	switch {
	case err != nil:
		return checkout.Void{}, err
	case row == nil:
		return checkout.Void{}, fault.NotFound("void")
	}
	v := checkout.Void{TransactionID: row.TransactionID, Reason: row.Reason, ActorID: row.ActorID, At: row.At}
	if err := json.Unmarshal(row.Reversals, &v.Reversals); err != nil {
		return v, fmt.Errorf("read the void of %s: %w", transactionID, err)
	}
	return v, nil
}

const findStandings = `
select transaction_id, refunded_minor, voided_at from transaction_standings where tenant_no = $1 and transaction_id = any ($2)`

// standings reads where transactions stand; completed ones have none.
func (s *Store) standings(ctx context.Context, t tenancy.Tenant, transactions []string) (map[string]checkout.Standing, error) {
	if len(transactions) == 0 {
		return nil, nil
	}
	rows, err := pg.Many[struct {
		TransactionID string
		RefundedMinor int64
		VoidedAt      *time.Time
	}](ctx, s.q, findStandings, t.No, transactions)
	if err != nil {
		return nil, err
	}
	out := make(map[string]checkout.Standing, len(rows))
	for _, r := range rows {
		out[r.TransactionID] = checkout.Standing{RefundedMinor: r.RefundedMinor, VoidedAt: r.VoidedAt}
	}
	return out, nil
}

const cancelPending = `
update transaction_rulings set state = 'refused', snapshot = null, due_at = null, decided_at = $3
where tenant_no = $1 and transaction_id = $2 and state = 'pending'`

// CancelPending implements checkout.Rulings.
func (s *Store) CancelPending(ctx context.Context, t tenancy.Tenant, transactionID string, now time.Time) error {
	_, err := s.q.Exec(ctx, cancelPending, t.No, transactionID, now)
	return err
}
