package settlement

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/settlement"
)

// InsertReport implements settlement.Reports.
func (s *Store) InsertReport(ctx context.Context, r settlement.Report, fits []settlement.Fit) error {
	total := settlement.TotalsOf(fits)
	_, err := s.q.Exec(ctx, `INSERT INTO settlement_reports (report_id, tenant_no, provider, report_reference, currency,
			period_start, period_end, lines_count, gross_minor, fee_minor, net_minor, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		r.ID, r.Tenant.No, r.Provider, r.Reference, r.Currency, r.PeriodStart, r.PeriodEnd, len(fits),
		total.All.GrossMinor, total.All.FeeMinor, total.All.NetMinor, r.CreatedAt)
	if name, ok := pg.Unique(err); ok && name == "settlement_reports_reference" {
		return fault.Field(fault.CodeDuplicateReference, "report_reference", "reference_unique",
			"a report of %s with this report_reference was taken already; a corrected report needs a reference of its own", r.Provider)
	}
	if err != nil {
		return err
	}
	var c reportColumns
	for i, f := range fits {
		c.add(i+1, f)
	}
	_, err = s.q.Exec(ctx, `INSERT INTO settlement_report_lines (report_id, tenant_no, line_no, reference, result, topup_id,
			gross_minor, fee_minor, net_minor, ledger_minor, settled_at)
		SELECT $1, $2, x.* FROM unnest($3::int4[], $4::text[], $5::text[], $6::text[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::timestamptz[]) x`,
		r.ID, r.Tenant.No, c.line, c.reference, c.result, c.topup, c.gross, c.fee, c.net, c.ledger, c.settled)
	return err
}

// reportColumns are lines as the columns of unnest.
type reportColumns struct {
	line              []int32
	reference, result []string
	topup             []*string
	gross, fee, net   []int64
	ledger            []*int64
	settled           []time.Time
}

func (c *reportColumns) add(line int, f settlement.Fit) {
	c.line, c.reference, c.result = append(c.line, int32(line)), append(c.reference, f.Reference), append(c.result, string(f.Result))
	c.gross, c.fee, c.net = append(c.gross, f.GrossMinor), append(c.fee, f.FeeMinor), append(c.net, f.NetMinor)
	c.settled = append(c.settled, f.SettledAt)
	if f.Deposit == nil {
		c.topup, c.ledger = append(c.topup, nil), append(c.ledger, nil)
		return
	}
	c.topup, c.ledger = append(c.topup, &f.Deposit.TopupID), append(c.ledger, &f.Deposit.AmountMinor)
}

// RecordCallback implements settlement.Reports.
func (s *Store) RecordCallback(ctx context.Context, c settlement.Callback) error {
	var tenant *int32
	if c.Tenant.No != 0 {
		tenant = &c.Tenant.No
	}
	_, err := s.q.Exec(ctx, `INSERT INTO provider_callbacks (callback_id, tenant_no, provider, result, topup_id, reference, amount_minor, currency, received_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (provider, topup_id, reference, result) DO NOTHING`,
		c.ID, tenant, c.Provider, c.Result, c.TopupID, c.Reference, c.AmountMinor, c.Currency, c.At)
	return err
}
