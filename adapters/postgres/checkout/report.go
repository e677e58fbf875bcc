package checkout

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/tenancy"
)

const openReport = `
insert into attribution_reports (tenant_no, transaction_id, attribution_id, created_at) values ($1, $2, $3, $4)
on conflict (transaction_id) do nothing`

const findReport = `
select attribution_id, created_at from attribution_reports where tenant_no = $1 and transaction_id = $2`

const findExposures = `
select offer_id, trace_id, outcome, shown_at, reported_at from attribution_exposures
where tenant_no = $1 and transaction_id = $2 order by offer_id, trace_id`

// LockReport implements checkout.Reports.
func (s *Store) LockReport(ctx context.Context, t tenancy.Tenant, transactionID, id string, now time.Time) (checkout.AttributionReport, error) {
	if _, err := s.q.Exec(ctx, openReport, t.No, transactionID, id, now); err != nil {
		return checkout.AttributionReport{}, err
	}
	r, err := s.report(ctx, findReport+` for update`, t, transactionID)
	if err != nil {
		return checkout.AttributionReport{}, err
	}
	if r == nil {
		return checkout.AttributionReport{}, pg.ErrNoRows
	}
	return *r, nil
}

// Report implements checkout.Reports.
func (s *Store) Report(ctx context.Context, t tenancy.Tenant, transactionID string) (*checkout.AttributionReport, error) {
	return s.report(ctx, findReport, t, transactionID)
}

func (s *Store) report(ctx context.Context, statement string, t tenancy.Tenant, transactionID string) (*checkout.AttributionReport, error) {
	row, err := pg.Maybe[struct {
		AttributionID string
		CreatedAt     time.Time
	}](ctx, s.q, statement, t.No, transactionID)
	if err != nil || row == nil {
		return nil, err
	}
	r := checkout.AttributionReport{ID: row.AttributionID, Tenant: t, TransactionID: transactionID, CreatedAt: row.CreatedAt}
	r.Exposures, err = pg.Many[checkout.Exposure](ctx, s.q, findExposures, t.No, transactionID)
	return &r, err
}

const addExposures = `
insert into attribution_exposures (tenant_no, transaction_id, offer_id, trace_id, outcome, shown_at, reported_at)
select $1, $2, e.* from unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) e`

// AddExposures implements checkout.Reports.
func (s *Store) AddExposures(ctx context.Context, t tenancy.Tenant, transactionID string, more []checkout.Exposure) error {
	n := len(more)
	offers, traces, outcomes := make([]string, n), make([]string, n), make([]string, n)
	shown, reported := make([]time.Time, n), make([]time.Time, n)
	for i, e := range more {
		offers[i], traces[i], outcomes[i], shown[i], reported[i] = e.OfferID, e.TraceID, e.Outcome, e.ShownAt, e.ReportedAt
	}
	_, err := s.q.Exec(ctx, addExposures, t.No, transactionID, offers, traces, outcomes, shown, reported)
	return err
}
