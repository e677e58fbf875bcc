package settlement

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// batchRow is a batch as the table has it.
type batchRow struct {
	SettlementID string
	BrandID      string
	Currency     string
	State        string
	PeriodStart  time.Time
	PeriodEnd    time.Time
	LinesCount   int64
	CreatedAt    time.Time
	ReadyAt      *time.Time
}

const batchColumns = `settlement_id, brand_id, currency, state, period_start, period_end, lines_count, created_at, ready_at`

func (r batchRow) batch(t tenancy.Tenant) settlement.Batch {
	return settlement.Batch{
		ID: r.SettlementID, Tenant: t, BrandID: r.BrandID, Currency: r.Currency, State: settlement.BatchState(r.State),
		PeriodStart: r.PeriodStart, PeriodEnd: r.PeriodEnd, LinesCount: r.LinesCount, CreatedAt: r.CreatedAt, ReadyAt: r.ReadyAt,
	}
}

// Batch implements settlement.Batches.
func (s *Store) Batch(ctx context.Context, t tenancy.Tenant, id string) (settlement.Batch, error) {
	row, err := pg.Maybe[batchRow](ctx, s.q, `SELECT `+batchColumns+` FROM settlements WHERE tenant_no = $1 AND settlement_id = $2`, t.No, id)
	switch {
	case err != nil:
		return settlement.Batch{}, err
	case row == nil:
		return settlement.Batch{}, fault.NotFound("settlement")
	}
	out, err := s.summed(ctx, t, []batchRow{*row})
	if err != nil {
		return settlement.Batch{}, err
	}
	return out[0], nil
}

// ListBatches implements settlement.Batches.
func (s *Store) ListBatches(ctx context.Context, t tenancy.Tenant, f settlement.BatchFilter) ([]settlement.Batch, error) {
	q := s.q.Bun().NewSelect().TableExpr("settlements").ColumnExpr(batchColumns).Where("tenant_no = ?", t.No).
		Where("(period_end, settlement_id) < (?, ?)", f.After.At, f.After.ID).
		OrderExpr("period_end DESC, settlement_id DESC").Limit(int64(f.Limit))
	if f.State != "" {
		q = q.Where("state = ?", string(f.State))
	}
	if f.BrandID != "" {
		q = q.Where("brand_id = ?", f.BrandID)
	}
	if f.EndsAfter != nil {
		q = q.Where("period_end > ?", *f.EndsAfter)
	}
	if f.StartsTill != nil {
		q = q.Where("period_start < ?", *f.StartsTill)
	}
	var rows []batchRow
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	return s.summed(ctx, t, rows)
}

// summed are batches with their sums, read at once for all.
func (s *Store) summed(ctx context.Context, t tenancy.Tenant, rows []batchRow) ([]settlement.Batch, error) {
	out := make([]settlement.Batch, 0, len(rows))
	at, ids := make(map[string]int, len(rows)), make([]string, 0, len(rows))
	for i, r := range rows {
		out, ids, at[r.SettlementID] = append(out, r.batch(t)), append(ids, r.SettlementID), i
	}
	_, err := pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (struct{}, error) {
		var batch, kind string
		var class int16
		var sum settlement.Sum
		if err := r.Scan(&batch, &class, &kind, &sum.PlusMinor, &sum.MinusMinor); err != nil {
			return struct{}{}, err
		}
		sum.Class, sum.Kind = classes[class], ledger.EntryKind(kind)
		b := &out[at[batch]]
		b.Sums = append(b.Sums, sum)
		return struct{}{}, nil
	}, `SELECT settlement_id, class, kind, plus_minor, minus_minor FROM settlement_sums
		WHERE tenant_no = $1 AND settlement_id = ANY ($2::text[]) ORDER BY settlement_id, class, kind`, t.No, ids)
	return out, err
}

// BatchLines implements settlement.Batches.
func (s *Store) BatchLines(ctx context.Context, t tenancy.Tenant, batchID string, after settlement.Mark, limit int) ([]settlement.Line, error) {
	entry, class, _ := strings.Cut(after.ID, "/")
	return pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (settlement.Line, error) {
		var l settlement.Line
		var class int16
		var kind string
		var transaction, reference *string
		err := r.Scan(&l.EntryID, &class, &kind, &l.Source, &l.AmountMinor, &l.Currency, &l.RefID, &transaction, &l.BrandID, &l.BranchID, &l.At, &reference)
		l.Class, l.Kind, l.TransactionID, l.Reference = classes[class], ledger.EntryKind(kind), text(transaction), text(reference)
		return l, err
	}, `SELECT l.entry_id, l.class, l.kind, l.source, l.amount_minor, l.currency, l.ref_id, l.transaction_id, l.brand_id, l.branch_id, l.at, p.reference
		FROM settlement_lines l LEFT JOIN topups p ON p.tenant_no = l.tenant_no AND p.topup_id = l.ref_id AND l.kind IN ('topup', 'topup_reversal')
		WHERE l.tenant_no = $1 AND l.settlement_id = $2 AND (l.at, l.entry_id, l.class) > ($3, $4, $5)
		ORDER BY l.at, l.entry_id, l.class LIMIT $6`, t.No, batchID, after.At, entry, classCode(money.Class(class)), limit)
}
