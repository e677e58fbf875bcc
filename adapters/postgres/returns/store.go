// Package returns keeps what went back of payments in Postgres.
package returns

import (
	"context"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/returns"
)

// Store implements returns.Store.
type Store struct{ q pg.Q }

var _ returns.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

const saveRefunded = `UPDATE payments SET status = $3, refunded_minor = $4
	WHERE tenant_no = $1 AND payment_id = $2 AND refunded_minor = $5`

const insertReturn = `INSERT INTO payment_returns (return_id, tenant_no, payment_id, kind, amount_minor, actual_minor, promo_minor,
		forfeited_minor, currency, grant_ids, grant_minors, entry_id, cause_id, actor_id, reason, at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, nullif($13, ''), $14, nullif($15, ''), $16)`

// Save implements returns.Store.
func (s *Store) Save(ctx context.Context, p ledger.Payment, r returns.Return) error {
	n, err := s.q.Exec(ctx, saveRefunded, p.Tenant.No, p.ID, string(p.Status), p.RefundedMinor, p.RefundedMinor-r.AmountMinor)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Field(fault.CodeStateConflict, "payment_id", "refunded_minor",
			"the payment changed at the same moment; retry with a new Idempotency-Key")
	}
	grants, minors := make([]string, 0, len(r.Sources)), make([]int64, 0, len(r.Sources))
	for _, source := range r.Sources {
		grants, minors = append(grants, source.GrantID), append(minors, source.AmountMinor)
	}
	_, err = s.q.Exec(ctx, insertReturn, r.ID, r.Tenant.No, r.PaymentID, string(r.Kind), r.AmountMinor, r.ActualMinor, r.PromoMinor,
		r.ForfeitedMinor, r.Currency, grants, minors, r.EntryID, r.CauseID, r.ActorID, r.Reason, r.At)
	return err
}
