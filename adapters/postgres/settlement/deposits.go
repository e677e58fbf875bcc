package settlement

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// depositRow is a top-up with what was reported of it.
type depositRow struct {
	TopupID       string
	CustomerID    string
	EntryID       *string
	State         string
	AmountMinor   int64
	Currency      string
	Provider      *string
	Reference     *string
	CompletedAt   *time.Time
	Settlement    string
	ReportedMinor *int64
	FeeMinor      *int64
	NetMinor      *int64
	BankReference *string
	ReportID      *string
	SettledAt     *time.Time
}

const depositColumns = `p.topup_id, p.customer_id, p.entry_id, p.state, p.amount_minor, p.currency, p.provider, p.reference,
	p.completed_at, p.settlement, s.reported_minor, s.fee_minor, s.net_minor, s.bank_reference, s.report_id, s.settled_at`

func (r depositRow) deposit(t tenancy.Tenant) settlement.Deposit {
	d := settlement.Deposit{
		Tenant: t, TopupID: r.TopupID, CustomerID: r.CustomerID, EntryID: text(r.EntryID), State: ledger.TopupState(r.State),
		AmountMinor: r.AmountMinor, Currency: r.Currency, Provider: text(r.Provider), Reference: text(r.Reference),
		Progress: settlement.Progress(r.Settlement),
	}
	if r.CompletedAt != nil {
		d.CompletedAt = *r.CompletedAt
	}
	if r.ReportedMinor != nil {
		d.Reported = &settlement.Reported{
			GrossMinor: *r.ReportedMinor, FeeMinor: *r.FeeMinor, NetMinor: *r.NetMinor,
			BankReference: text(r.BankReference), ReportID: text(r.ReportID), SettledAt: *r.SettledAt,
		}
	}
	return d
}

func depositsOf(t tenancy.Tenant) func(pgx.CollectableRow) (settlement.Deposit, error) {
	scan := pgx.RowToStructByName[depositRow]
	return func(r pgx.CollectableRow) (settlement.Deposit, error) {
		row, err := scan(r)
		return row.deposit(t), err
	}
}

// LockDeposits implements settlement.Deposits.
func (s *Store) LockDeposits(ctx context.Context, t tenancy.Tenant, ids []string) ([]settlement.Deposit, error) {
	return pg.ManyFunc(ctx, s.q, depositsOf(t), `SELECT `+depositColumns+`
		FROM topups p LEFT JOIN topup_settlements s ON s.topup_id = p.topup_id AND s.tenant_no = p.tenant_no
		WHERE p.tenant_no = $1 AND p.topup_id = ANY ($2::text[]) ORDER BY p.topup_id FOR UPDATE OF p`, t.No, ids)
}

// LockReferences implements settlement.Deposits.
func (s *Store) LockReferences(ctx context.Context, t tenancy.Tenant, provider, currency string, references []string) ([]settlement.Deposit, error) {
	return pg.ManyFunc(ctx, s.q, depositsOf(t), `SELECT `+depositColumns+`
		FROM topups p LEFT JOIN topup_settlements s ON s.topup_id = p.topup_id AND s.tenant_no = p.tenant_no
		WHERE p.tenant_no = $1 AND p.provider = $2 AND p.reference = ANY ($4::text[]) AND p.currency = $3
		ORDER BY p.topup_id FOR UPDATE OF p`, t.No, provider, currency, references)
}

const markDeposits = `
WITH x AS (
	SELECT * FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::text[], $8::text[], $9::timestamptz[])
		AS x (topup_id, progress, reported_minor, fee_minor, net_minor, bank_reference, report_id, settled_at)),
marked AS (
	UPDATE topups p SET settlement = x.progress FROM x WHERE p.tenant_no = $1 AND p.topup_id = x.topup_id)
INSERT INTO topup_settlements (topup_id, tenant_no, reported_minor, fee_minor, net_minor, bank_reference, report_id, settled_at, recorded_at)
SELECT topup_id, $1, reported_minor, fee_minor, net_minor, bank_reference, report_id, settled_at, $10 FROM x
ON CONFLICT (topup_id) DO UPDATE SET reported_minor = excluded.reported_minor, fee_minor = excluded.fee_minor,
	net_minor = excluded.net_minor, bank_reference = excluded.bank_reference, report_id = excluded.report_id,
	settled_at = excluded.settled_at, recorded_at = excluded.recorded_at WHERE topup_settlements.tenant_no = excluded.tenant_no`

// MarkDeposits implements settlement.Deposits.
func (s *Store) MarkDeposits(ctx context.Context, t tenancy.Tenant, changed []settlement.Deposit, now time.Time) error {
	if len(changed) == 0 {
		return nil
	}
	var ids, progress, bank, entries []string
	var reports []*string
	var gross, fee, net []int64
	var settled []time.Time
	for _, d := range changed {
		r := d.Reported
		ids, progress, bank = append(ids, d.TopupID), append(progress, string(d.Progress)), append(bank, r.BankReference)
		reports, settled = append(reports, null(r.ReportID)), append(settled, r.SettledAt)
		gross, fee, net = append(gross, r.GrossMinor), append(fee, r.FeeMinor), append(net, r.NetMinor)
		entries = append(entries, d.EntryID)
	}
	_, err := s.q.Exec(ctx, markDeposits, t.No, ids, progress, gross, fee, net, bank, reports, settled, now)
	if err != nil {
		return err
	}
	// Locked first: of two who settle the last top-ups of a batch at once, the
	// second one sees what the first did.
	batches, err := pg.Many[string](ctx, s.q, `SELECT settlement_id FROM settlements WHERE tenant_no = $1 AND state = 'ready' AND settlement_id IN (
			SELECT settlement_id FROM settlement_lines WHERE tenant_no = $1 AND entry_id = ANY ($2::text[]))
		ORDER BY settlement_id FOR UPDATE`, t.No, entries)
	if err != nil {
		return err
	}
	return s.settle(ctx, batches)
}

// settle marks those of the ready batches settled that hold top-ups and none
// that is not settled.
func (s *Store) settle(ctx context.Context, batches []string) error {
	if len(batches) == 0 {
		return nil
	}
	_, err := s.q.Exec(ctx, `UPDATE settlements b SET state = 'settled'
		WHERE b.settlement_id = ANY ($1::text[]) AND b.state = 'ready'
		  AND EXISTS (SELECT FROM settlement_lines l WHERE l.settlement_id = b.settlement_id AND l.tenant_no = b.tenant_no AND l.kind = 'topup')
		  AND NOT EXISTS (SELECT FROM settlement_lines l JOIN topups p ON p.topup_id = l.ref_id AND p.tenant_no = l.tenant_no
			WHERE l.settlement_id = b.settlement_id AND l.tenant_no = b.tenant_no AND l.kind = 'topup'
			  AND p.settlement <> 'settled' AND p.state <> 'REVERSED')`, batches)
	return err
}

// ListDeposits implements settlement.Deposits.
func (s *Store) ListDeposits(ctx context.Context, t tenancy.Tenant, f settlement.DepositFilter) ([]settlement.Deposit, error) {
	q := s.q.Bun().NewSelect().TableExpr("topups AS p").ColumnExpr(depositColumns).
		Join("LEFT JOIN topup_settlements AS s ON s.topup_id = p.topup_id AND s.tenant_no = p.tenant_no").
		Where("p.tenant_no = ?", t.No).Where("p.completed_at IS NOT NULL").
		Where("(p.completed_at, p.topup_id) < (?, ?)", f.After.At, f.After.ID).
		OrderExpr("p.completed_at DESC, p.topup_id DESC").Limit(int64(f.Limit))
	switch f.Stage {
	case "":
	case settlement.Reversed:
		q = q.Where("p.state = 'REVERSED'")
	default:
		q = q.Where("p.state = 'COMPLETED'").Where("p.settlement = ?", string(f.Stage))
	}
	if f.CompletedFrom != nil {
		q = q.Where("p.completed_at >= ?", *f.CompletedFrom)
	}
	if f.CompletedTill != nil {
		q = q.Where("p.completed_at < ?", *f.CompletedTill)
	}
	var rows []depositRow
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	out := make([]settlement.Deposit, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.deposit(t))
	}
	return out, nil
}
