package settlement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// Unhurried implements settlement.Runs.
func (s *Store) Unhurried(ctx context.Context) error {
	_, err := s.q.Exec(ctx, `SET LOCAL statement_timeout = '1min'`)
	return err
}

// InsertRun implements settlement.Runs.
func (s *Store) InsertRun(ctx context.Context, r settlement.Run) error {
	doc, err := documentOf(r)
	if err != nil {
		return err
	}
	var due *time.Time
	if r.State == settlement.RunRunning {
		due = &r.CreatedAt
	}
	_, err = s.q.Exec(ctx, `INSERT INTO reconciliations (run_id, tenant_no, brand_id, branch_id, currency, state, period_start, period_end,
			totals, lines, differences, differences_count, complete, created_at, completed_at, due_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		r.ID, r.Tenant.No, r.BrandID, r.BranchID, r.Currency, string(r.State), r.PeriodStart, r.PeriodEnd,
		doc.totals, doc.lines, doc.differences, r.DifferencesCount, r.Complete, r.CreatedAt, r.CompletedAt, due)
	if err != nil || len(r.Entries) == 0 {
		return err
	}
	var items, references []string
	var amounts []int64
	for _, e := range r.Entries {
		items, references, amounts = append(items, string(e.Item)), append(references, e.ReferenceID), append(amounts, e.AmountMinor)
	}
	_, err = s.q.Exec(ctx, `INSERT INTO reconciliation_entries (run_id, tenant_no, item, reference_id, amount_minor)
		SELECT $1, $2, x.* FROM unnest($3::text[], $4::text[], $5::int8[]) x`, r.ID, r.Tenant.No, items, references, amounts)
	return err
}

// SaveRun implements settlement.Runs.
func (s *Store) SaveRun(ctx context.Context, r settlement.Run) (bool, error) {
	doc, err := documentOf(r)
	if err != nil {
		return false, err
	}
	n, err := s.q.Exec(ctx, `UPDATE reconciliations SET state = $3, lines = $4, differences = $5, differences_count = $6, complete = $7,
			completed_at = $8, due_at = NULL
		WHERE tenant_no = $1 AND run_id = $2 AND state = 'running'`,
		r.Tenant.No, r.ID, string(r.State), doc.lines, doc.differences, r.DifferencesCount, r.Complete, r.CompletedAt)
	return n == 1, err
}

// document is what of a run is kept as JSON.
type document struct{ totals, lines, differences json.RawMessage }

func documentOf(r settlement.Run) (d document, err error) {
	var errs [3]error
	d.totals, errs[0] = json.Marshal(list(r.Claims))
	d.lines, errs[1] = json.Marshal(list(r.Lines))
	d.differences, errs[2] = json.Marshal(list(r.Differences))
	return d, errors.Join(errs[:]...)
}

// list is s, or an empty list where there is none, which JSON tells apart.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

const runColumns = `r.run_id, r.brand_id, r.branch_id, r.currency, r.state, r.period_start, r.period_end, r.totals, r.lines,
	r.differences, r.differences_count, r.complete, r.created_at, r.completed_at,
	ARRAY(SELECT DISTINCT e.item FROM reconciliation_entries e WHERE e.run_id = r.run_id AND e.tenant_no = r.tenant_no ORDER BY e.item)`

func scanRun(r pgx.CollectableRow) (settlement.Run, error) {
	var run settlement.Run
	var d document
	var listed []string
	var err error
	run.Tenant, err = scanTenant(r, &run.ID, &run.BrandID, &run.BranchID, &run.Currency, &run.State, &run.PeriodStart, &run.PeriodEnd,
		&d.totals, &d.lines, &d.differences, &run.DifferencesCount, &run.Complete, &run.CreatedAt, &run.CompletedAt, &listed)
	if err != nil {
		return run, err
	}
	for _, item := range listed {
		run.Listed = append(run.Listed, settlement.Item(item))
	}
	err = errors.Join(json.Unmarshal(d.totals, &run.Claims), json.Unmarshal(d.lines, &run.Lines), json.Unmarshal(d.differences, &run.Differences))
	if err != nil {
		return run, fmt.Errorf("read reconciliation %s: %w", run.ID, err)
	}
	return run, nil
}

// Run implements settlement.Runs.
func (s *Store) Run(ctx context.Context, t tenancy.Tenant, id string) (settlement.Run, error) {
	run, err := pg.OneFunc(ctx, s.q, scanRun, `SELECT `+tenantColumns+`, `+runColumns+`
		FROM reconciliations r JOIN merchants m ON m.tenant_no = r.tenant_no WHERE r.tenant_no = $1 AND r.run_id = $2`, t.No, id)
	if pg.NoRows(err) {
		return run, fault.NotFound("reconciliation")
	}
	return run, err
}

// DueRuns implements settlement.Runs. It serves the background of all tenants.
func (s *Store) DueRuns(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]settlement.Run, error) {
	ids, err := pg.Many[string](ctx, s.q, `UPDATE reconciliations SET due_at = $2 WHERE run_id IN (
			SELECT run_id FROM reconciliations WHERE state = 'running' AND due_at <= $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
		RETURNING run_id`, now, now.Add(lease), limit)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return pg.ManyFunc(ctx, s.q, scanRun, `SELECT `+tenantColumns+`, `+runColumns+`
		FROM reconciliations r JOIN merchants m ON m.tenant_no = r.tenant_no WHERE r.run_id = ANY ($1::text[]) ORDER BY r.run_id`, ids)
}

// within are the conditions on the lines of an item of a run, with $1 to $9 as
// bounds gives them.
const within = `l.tenant_no = $1 AND l.at >= $2 AND l.at < $3 AND l.currency = $4 AND ($5 = '' OR l.brand_id = $5) AND ($6 = '' OR l.branch_id = $6)
	AND l.kind = $7 AND ($8 = '' OR l.source = $8) AND ($9::int2 = 0 OR l.class = $9::int2)`

func bounds(r settlement.Run, from, till time.Time, sel settlement.Selector, more ...any) []any {
	return append([]any{r.Tenant.No, from, till, r.Currency, r.BrandID, r.BranchID, string(sel.Kind), sel.Source, classCode(sel.Class)}, more...)
}

// sign turns a line's amount into the item's: what customers gave counts as positive.
func sign(sel settlement.Selector) int64 {
	if sel.Spent {
		return -1
	}
	return 1
}

// LedgerTotal implements settlement.Runs.
func (s *Store) LedgerTotal(ctx context.Context, r settlement.Run, item settlement.Item, from, till time.Time) (settlement.Total, error) {
	total := settlement.Total{Item: item}
	sel, ok := item.Selector()
	if !ok {
		err := s.q.QueryRow(ctx, `SELECT coalesce(sum(total_minor), 0)::bigint, count(*) FROM transactions
			WHERE tenant_no = $1 AND created_at >= $2 AND created_at < $3 AND currency = $4 AND ($5 = '' OR brand_id = $5) AND ($6 = '' OR branch_id = $6)`,
			r.Tenant.No, from, till, r.Currency, r.BrandID, r.BranchID).Scan(&total.AmountMinor, &total.Count)
		return total, err
	}
	err := s.q.QueryRow(ctx, `SELECT coalesce(sum(l.amount_minor), 0)::bigint, count(DISTINCT l.entry_id) FROM settlement_lines l WHERE `+within,
		bounds(r, from, till, sel)...).Scan(&total.AmountMinor, &total.Count)
	total.AmountMinor *= sign(sel)
	return total, err
}

// DifferencesOf implements settlement.Runs.
func (s *Store) DifferencesOf(ctx context.Context, r settlement.Run, item settlement.Item, limit int) ([]settlement.Difference, int64, error) {
	sel, ok := item.Selector()
	if !ok {
		return nil, 0, nil
	}
	var count int64
	out, err := pg.ManyFunc(ctx, s.q, func(row pgx.CollectableRow) (settlement.Difference, error) {
		d := settlement.Difference{Item: item}
		return d, row.Scan(&d.ReferenceID, &d.PartnerMinor, &d.LedgerMinor, &count)
	}, `WITH ours AS (
			SELECT l.ref_id, ($10::int8 * sum(l.amount_minor))::bigint AS amount FROM settlement_lines l WHERE `+within+` GROUP BY 1),
		theirs AS (
			SELECT reference_id, amount_minor AS amount FROM reconciliation_entries WHERE tenant_no = $1 AND run_id = $11 AND item = $12)
		SELECT coalesce(t.reference_id, o.ref_id), t.amount, o.amount, count(*) OVER ()
		FROM theirs t FULL JOIN ours o ON o.ref_id = t.reference_id
		WHERE t.amount IS DISTINCT FROM o.amount ORDER BY 1 LIMIT $13`,
		bounds(r, r.PeriodStart, r.PeriodEnd, sel, sign(sel), r.ID, string(item), limit)...)
	return out, count, err
}
