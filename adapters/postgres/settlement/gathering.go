package settlement

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/settlement"
)

// span is how many transactions one reading looks at, at least and at most: as
// many as hold about as many entries as are wanted, for all in it are read and
// sorted. near is what that was lately; it follows what is found.
const leastSpan, mostSpan = 16, 20_000

var near atomic.Int64

func span() int64 { return max(near.Load(), leastSpan) }

// follow halves the span where it held more than was wanted, and doubles it
// where there was more behind it.
func follow(full, more bool) {
	switch {
	case full:
		near.Store(max(span()/2, leastSpan))
	case more:
		near.Store(min(span()*2, mostSpan))
	}
}

// point is how far entries are gathered, with the transactions of now: what is
// below Horizon has ended, Latest has not begun.
type point struct {
	XID             int64
	EntryID         string
	GatheredAt      time.Time
	MarkXID         int64 `db:"mark_xid"`
	MarkAt          time.Time
	Horizon, Latest int64
}

// lockGathering keeps two from gathering at once. It is no row lock: that would
// give the transaction a number before its long reading, and whatever reads in
// the order of transactions, as the event log does, waits for the oldest number.
const lockGathering = `SELECT pg_advisory_xact_lock(hashtext('settlement_gathering'))`

// The horizon is of a snapshot that is never newer than what the next statement
// sees.
const gathering = `SELECT xid, entry_id, gathered_at, mark_xid, mark_at, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
	pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS latest FROM settlement_gathering`

// freshLines gives the next entries with what they moved on the customers' side
// (wallet 1, lot 2, points 9, gift 10), and where they belong: a payment to its
// place, a top-up to that of its session, a grant to that of the sale or top-up
// it came from, a contra entry to that of what it reverses. Everything is found from
// an entry by an index or in the entry itself: a plan that was made for few entries
// is good for a thousand.
const freshLines = `
WITH e AS MATERIALIZED (
	SELECT xid, entry_id, tenant_no, kind, ref_id, reverses, at, currency, accounts, classes, amounts FROM entries
	WHERE xid >= $1 AND xid < $2 AND (xid, entry_id) > ($1, $3) ORDER BY xid, entry_id LIMIT $4)
SELECT e.tenant_no, coalesce(m.partner_id, ''), coalesce(m.merchant_id, ''), coalesce(m.live, false), coalesce(m.settings->>'time_zone', ''), e.xid, e.entry_id, e.kind, e.ref_id, e.at, x.class, e.currency, x.amount,
	coalesce(u.source, g.source, ''), coalesce(pay.transaction_id, t.transaction_id, ''),
	coalesce(nullif(pay.brand_id, ''), nullif(t.brand_id, ''), nullif(s.brand_id, ''), ''),
	coalesce(nullif(pay.branch_id, ''), nullif(t.branch_id, ''), nullif(s.branch_id, ''), '')
FROM e LEFT JOIN merchants m ON m.tenant_no = e.tenant_no
LEFT JOIN LATERAL (
	SELECT class, sum(amount)::bigint AS amount FROM unnest(e.accounts, e.classes, e.amounts) line (account, class, amount)
	WHERE account IN (1, 2, 9, 10) GROUP BY class HAVING sum(amount) <> 0) x ON true
LEFT JOIN entries o ON o.entry_id = e.reverses AND o.tenant_no = e.tenant_no
LEFT JOIN grants g ON g.tenant_no = e.tenant_no AND g.grant_id = CASE WHEN e.kind IN ('grant', 'expiry', 'clawback') THEN e.ref_id END
LEFT JOIN payments pay ON pay.tenant_no = e.tenant_no AND pay.payment_id = CASE WHEN o.kind = 'payment' THEN o.ref_id
	WHEN e.kind IN ('payment', 'void', 'refund') THEN e.ref_id ELSE g.origin_id END
LEFT JOIN topups u ON u.tenant_no = e.tenant_no AND u.topup_id = CASE WHEN o.kind = 'topup' THEN o.ref_id
	WHEN e.kind IN ('topup', 'topup_reversal') THEN e.ref_id ELSE g.origin_id END
LEFT JOIN transactions t ON t.tenant_no = e.tenant_no AND t.transaction_id = g.origin_id
LEFT JOIN checkout_sessions s ON s.tenant_no = e.tenant_no AND s.session_id = u.session_id
ORDER BY e.xid, e.entry_id, x.class`

// freshRow is a line, or an entry that moved nothing on the customers' side (or
// is nobody's), which counts as read.
type freshRow struct {
	settlement.Fresh
	xid   int64
	moved bool
}

func scanFresh(r pgx.CollectableRow) (freshRow, error) {
	var f freshRow
	var kind string
	var class *int16
	var currency string
	var amount *int64
	var err error
	f.Tenant, err = scanTenant(r, &f.Zone, &f.xid, &f.EntryID, &kind, &f.RefID, &f.At, &class, &currency, &amount,
		&f.Source, &f.TransactionID, &f.BrandID, &f.BranchID)
	f.Kind = ledger.EntryKind(kind)
	if f.moved = class != nil && f.Tenant.MerchantID != ""; f.moved {
		f.Class, f.Currency, f.AmountMinor = classes[*class], currency, *amount
		if f.Kind != ledger.EntryTopup && f.Kind != ledger.EntryGrant {
			f.Source = ""
		}
	}
	return f, err
}

// Fresh implements settlement.Gathering.
func (s *Store) Fresh(ctx context.Context, now time.Time, limit int) ([]settlement.Fresh, settlement.Gathered, error) {
	if _, err := s.q.Exec(ctx, lockGathering); err != nil {
		return nil, settlement.Gathered{}, err
	}
	p, err := pg.One[point](ctx, s.q, gathering)
	if err != nil {
		return nil, settlement.Gathered{}, err
	}
	if p.XID > p.Latest { // restored into a cluster that counts anew: read all again, what is gathered stays
		p.XID, p.EntryID, p.MarkXID = 0, "", 0
	}
	if p.XID == 0 {
		if p.XID, err = s.oldest(ctx, p.Horizon); err != nil {
			return nil, settlement.Gathered{}, err
		}
	}
	till := min(p.XID+span(), max(p.Horizon, p.XID))
	rows, err := pg.ManyFunc(ctx, s.q, scanFresh, freshLines, p.XID, till, p.EntryID, limit)
	if err != nil {
		return nil, settlement.Gathered{}, err
	}
	var fresh []settlement.Fresh
	entries := map[string]bool{}
	for _, r := range rows {
		entries[r.EntryID] = true
		if r.moved {
			fresh = append(fresh, r.Fresh)
		}
	}
	full := len(entries) >= limit
	follow(full, till < p.Horizon)
	if p.EntryID = ""; full {
		till, p.EntryID = rows[len(rows)-1].xid, rows[len(rows)-1].EntryID
	}
	p.XID = till
	p.pass(full, now)
	_, err = s.q.Exec(ctx, `UPDATE settlement_gathering SET xid = $1, entry_id = $2, gathered_at = $3, mark_xid = $4, mark_at = $5`,
		p.XID, p.EntryID, p.GatheredAt, p.MarkXID, p.MarkAt)
	return fresh, settlement.Gathered{At: p.GatheredAt, Behind: full || p.XID < p.Horizon}, err
}

// pass moves the time before which everything is gathered, where a mark was
// passed, and sets the next one.
func (p *point) pass(full bool, now time.Time) {
	if p.MarkXID == 0 {
		p.MarkXID, p.MarkAt = p.Latest, now
	}
	if full || p.XID < p.MarkXID {
		return
	}
	if p.MarkAt.After(p.GatheredAt) {
		p.GatheredAt = p.MarkAt
	}
	p.MarkXID, p.MarkAt = p.Latest, now
	if p.XID >= p.MarkXID && now.After(p.GatheredAt) {
		p.GatheredAt = now
	}
}

// oldest is the transaction to begin with: that of the first entry there is.
func (s *Store) oldest(ctx context.Context, horizon int64) (int64, error) {
	return pg.One[int64](ctx, s.q, `SELECT coalesce(min(xid), $1) FROM entries`, horizon)
}

// OpenBatches implements settlement.Gathering.
func (s *Store) OpenBatches(ctx context.Context, wanted []settlement.Batch) (map[settlement.Slot]settlement.Batch, error) {
	var ids, brands, currencies []string
	var tenants []int32
	var starts, ends, created []time.Time
	for _, b := range wanted {
		ids, brands, currencies = append(ids, b.ID), append(brands, b.BrandID), append(currencies, b.Currency)
		tenants, starts, ends, created = append(tenants, b.Tenant.No), append(starts, b.PeriodStart), append(ends, b.PeriodEnd), append(created, b.CreatedAt)
	}
	_, err := s.q.Exec(ctx, `INSERT INTO settlements (settlement_id, tenant_no, brand_id, currency, period_start, period_end, created_at)
		SELECT * FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[])
		ON CONFLICT (tenant_no, brand_id, currency, period_start) DO NOTHING`, ids, tenants, brands, currencies, starts, ends, created)
	if err != nil {
		return nil, err
	}
	rows, err := pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (settlement.Batch, error) {
		var b settlement.Batch
		return b, r.Scan(&b.ID, &b.Tenant.No, &b.BrandID, &b.Currency, &b.State, &b.PeriodStart, &b.PeriodEnd)
	}, `SELECT b.settlement_id, b.tenant_no, b.brand_id, b.currency, b.state, b.period_start, b.period_end
		FROM unnest($1::int4[], $2::text[], $3::text[], $4::timestamptz[]) AS x (tenant_no, brand_id, currency, period_start)
		JOIN settlements b USING (tenant_no, brand_id, currency, period_start)`, tenants, brands, currencies, starts)
	out := make(map[settlement.Slot]settlement.Batch, len(rows))
	for _, b := range rows {
		out[settlement.Slot{TenantNo: b.Tenant.No, BrandID: b.BrandID, Currency: b.Currency, PeriodStart: b.PeriodStart}] = b
	}
	return out, err
}

// A line that is there already is counted by nobody again.
const addLines = `
WITH added AS (
	INSERT INTO settlement_lines (entry_id, class, tenant_no, settlement_id, kind, source, amount_minor, currency, ref_id,
		transaction_id, brand_id, branch_id, at)
	SELECT * FROM unnest($1::text[], $2::int2[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::int8[], $8::text[], $9::text[],
		$10::text[], $11::text[], $12::text[], $13::timestamptz[])
	ON CONFLICT (entry_id, class) DO NOTHING
	RETURNING settlement_id, tenant_no, class, kind, amount_minor),
summed AS (
	INSERT INTO settlement_sums AS s (settlement_id, tenant_no, class, kind, plus_minor, minus_minor)
	SELECT settlement_id, tenant_no, class, kind, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0),
		coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0)
	FROM added GROUP BY 1, 2, 3, 4
	ON CONFLICT (settlement_id, class, kind) DO UPDATE SET plus_minor = s.plus_minor + excluded.plus_minor,
		minus_minor = s.minus_minor + excluded.minus_minor)
UPDATE settlements b SET lines_count = b.lines_count + n.lines
FROM (SELECT settlement_id, tenant_no, count(*) AS lines FROM added GROUP BY 1, 2) n
WHERE b.settlement_id = n.settlement_id AND b.tenant_no = n.tenant_no`

// AddLines implements settlement.Gathering.
func (s *Store) AddLines(ctx context.Context, batchOf map[string][]settlement.Fresh) error {
	var c lineColumns
	for batch, lines := range batchOf {
		for _, l := range lines {
			c.add(batch, l)
		}
	}
	if len(c.entry) == 0 {
		return nil
	}
	_, err := s.q.Exec(ctx, addLines, c.entry, c.class, c.tenant, c.batch, c.kind, c.source, c.amount, c.currency, c.ref,
		c.transaction, c.brand, c.branch, c.at)
	return err
}

// lineColumns are lines as the columns of unnest.
type lineColumns struct {
	entry, batch, kind, source, currency, ref, brand, branch []string
	transaction                                              []*string
	class                                                    []int16
	tenant                                                   []int32
	amount                                                   []int64
	at                                                       []time.Time
}

func (c *lineColumns) add(batch string, l settlement.Fresh) {
	c.entry, c.batch, c.kind = append(c.entry, l.EntryID), append(c.batch, batch), append(c.kind, string(l.Kind))
	c.source, c.currency, c.ref = append(c.source, l.Source), append(c.currency, l.Currency), append(c.ref, l.RefID)
	c.brand, c.branch, c.transaction = append(c.brand, l.BrandID), append(c.branch, l.BranchID), append(c.transaction, null(l.TransactionID))
	c.class, c.tenant = append(c.class, classCode(l.Class)), append(c.tenant, l.Tenant.No)
	c.amount, c.at = append(c.amount, l.AmountMinor), append(c.at, l.At)
}

// CloseDue implements settlement.Gathering. Like Fresh it serves the background.
func (s *Store) CloseDue(ctx context.Context, endedBy, now time.Time, limit int) ([]settlement.Batch, error) {
	closed, err := pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (settlement.Batch, error) {
		b := settlement.Batch{State: settlement.BatchReady, ReadyAt: &now}
		var err error
		b.Tenant, err = scanTenant(r, &b.ID, &b.BrandID, &b.Currency, &b.PeriodStart, &b.PeriodEnd, &b.LinesCount, &b.CreatedAt)
		return b, err
	}, `WITH due AS (
			SELECT settlement_id FROM settlements WHERE state = 'open' AND period_end <= $1 ORDER BY period_end LIMIT $3),
		closed AS (
			UPDATE settlements b SET state = 'ready', ready_at = $2 FROM due WHERE b.settlement_id = due.settlement_id
			RETURNING b.settlement_id, b.tenant_no, b.brand_id, b.currency, b.period_start, b.period_end, b.lines_count, b.created_at)
		SELECT `+tenantColumns+`, c.settlement_id, c.brand_id, c.currency, c.period_start, c.period_end, c.lines_count, c.created_at
		FROM closed c JOIN merchants m ON m.tenant_no = c.tenant_no ORDER BY c.period_end, c.settlement_id`, endedBy, now, limit)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(closed))
	for _, b := range closed {
		ids = append(ids, b.ID)
	}
	return closed, s.settle(ctx, ids)
}

// GatheredAt implements settlement.Gathering.
func (s *Store) GatheredAt(ctx context.Context) (time.Time, error) {
	return pg.One[time.Time](ctx, s.q, `SELECT gathered_at FROM settlement_gathering`)
}
