package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// OpenWallet implements ledger.Wallets.
func (s *Store) OpenWallet(ctx context.Context, t tenancy.Tenant, customerID, currency string) error {
	_, err := s.q.Exec(ctx, `INSERT INTO wallets (tenant_no, customer_id, currency) VALUES ($1, $2, $3)
		ON CONFLICT (tenant_no, customer_id) DO NOTHING`, t.No, customerID, currency)
	return err
}

const walletColumns = `currency, actual_minor, promo_available_minor, promo_locked_minor, pending_topups_minor,
	version, first_topup_at, first_purchase_at`

func scanWallet(t tenancy.Tenant, customerID string, extra ...any) func(pgx.CollectableRow) (ledger.Wallet, error) {
	return func(r pgx.CollectableRow) (ledger.Wallet, error) {
		w := ledger.Wallet{Tenant: t, CustomerID: customerID}
		dest := []any{
			&w.Currency, &w.ActualMinor, &w.PromoAvailableMinor, &w.PromoLockedMinor, &w.PendingTopupsMinor,
			&w.Version, &w.FirstTopupAt, &w.FirstPurchaseAt,
		}
		return w, r.Scan(append(dest, extra...)...)
	}
}

func notFound(err error, resource string) error {
	if pg.NoRows(err) {
		return fault.NotFound(resource)
	}
	return err
}

// Balance implements ledger.Wallets. Wallet and lots are of one snapshot.
func (s *Store) Balance(ctx context.Context, t tenancy.Tenant, customerID string) (ledger.Balance, error) {
	rows, err := s.q.Query(ctx, `SELECT w.currency, w.actual_minor, w.promo_available_minor, w.promo_locked_minor,
			w.pending_topups_minor, w.version, w.first_topup_at, w.first_purchase_at, `+lotColumns+`
		FROM wallets w
		LEFT JOIN grants g ON g.tenant_no = w.tenant_no AND g.customer_id = w.customer_id AND g.state IN ('LOCKED', 'RELEASED')
		WHERE w.tenant_no = $1 AND w.customer_id = $2`, t.No, customerID)
	if err != nil {
		return ledger.Balance{}, err
	}
	defer rows.Close()
	var w ledger.Wallet
	var lots []ledger.Grant
	found := false
	for rows.Next() {
		var lot lotRow
		w, err = scanWallet(t, customerID, lot.dest()...)(rows)
		if err != nil {
			return ledger.Balance{}, pg.Map(err)
		}
		found = true
		if lot.ID != nil {
			lots = append(lots, lot.grant(t, customerID))
		}
	}
	if err := rows.Err(); err != nil {
		return ledger.Balance{}, pg.Map(err)
	}
	if !found {
		return ledger.Balance{}, fault.NotFound("customer")
	}
	ledger.SortSpending(lots)
	return ledger.Balance{
		CustomerID: customerID, ActualMinor: w.ActualMinor, PromoAvailableMinor: w.PromoAvailableMinor,
		PromoLockedMinor: w.PromoLockedMinor, PendingTopupsMinor: w.PendingTopupsMinor,
		Currency: w.Currency, Version: w.Version, Grants: lots,
	}, nil
}

// Book implements ledger.Wallets.
func (s *Store) Book(ctx context.Context, t tenancy.Tenant, customerID string) (ledger.Book, error) {
	var b ledger.Book
	var err error
	b.Wallet, err = pg.OneFunc(ctx, s.q, scanWallet(t, customerID, &b.Verified), `SELECT `+walletColumns+`,
			coalesce((SELECT c.state = 'VERIFIED' AND c.status = 'active' FROM customers c WHERE c.tenant_no = $1 AND c.customer_id = $2), false)
		FROM wallets WHERE tenant_no = $1 AND customer_id = $2 FOR UPDATE OF wallets`, t.No, customerID)
	if err != nil {
		return ledger.Book{}, notFound(err, "customer")
	}
	b.Lots, err = pg.ManyFunc(ctx, s.q, scanLot(t, customerID), `SELECT `+lotColumns+` FROM grants g
		WHERE g.tenant_no = $1 AND g.customer_id = $2 AND g.state IN ('LOCKED', 'RELEASED')`, t.No, customerID)
	ledger.SortSpending(b.Lots)
	return b, err
}

// Apply implements ledger.Wallets.
func (s *Store) Apply(ctx context.Context, c *ledger.Change) (ledger.Wallet, error) {
	w := c.Wallet
	n, err := s.q.Exec(ctx, `UPDATE wallets SET actual_minor = $4, promo_available_minor = $5, promo_locked_minor = $6,
			pending_topups_minor = $7, first_topup_at = $8, first_purchase_at = $9, version = version + 1
		WHERE tenant_no = $1 AND customer_id = $2 AND version = $3`,
		w.Tenant.No, w.CustomerID, w.Version, w.ActualMinor, w.PromoAvailableMinor, w.PromoLockedMinor,
		w.PendingTopupsMinor, w.FirstTopupAt, w.FirstPurchaseAt)
	if err != nil {
		return w, err
	}
	if n == 0 {
		return w, fault.Field(fault.CodeStateConflict, "customer_id", "wallet_version",
			"the wallet changed at the same moment; retry with a new Idempotency-Key")
	}
	w.Version++
	if err := s.insertLots(ctx, c.Issued); err != nil {
		return w, err
	}
	if err := s.updateLots(ctx, c.Grants); err != nil {
		return w, err
	}
	return w, s.insertEntries(ctx, c.Entries)
}

func (s *Store) insertEntries(ctx context.Context, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var h headArrays
	var p postingArrays
	for _, e := range entries {
		h.add(e)
		p.add(e)
	}
	_, err := s.q.Exec(ctx, `WITH h AS (
			INSERT INTO entries (entry_id, tenant_no, kind, ref_id, reverses, trace_id, at)
			SELECT * FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[]))
		INSERT INTO postings (entry_id, tenant_no, account, class, owner, currency, amount_minor)
		SELECT * FROM unnest($8::text[], $9::int4[], $10::int2[], $11::int2[], $12::text[], $13::text[], $14::int8[])`,
		h.id, h.tenant, h.kind, h.ref, h.reverses, h.trace, h.at,
		p.entry, p.tenant, p.account, p.class, p.owner, p.currency, p.amount)
	return err
}

// headArrays are entries as the columns of unnest.
type headArrays struct {
	id, kind, ref   []string
	tenant          []int32
	reverses, trace []*string
	at              []time.Time
}

func (h *headArrays) add(e ledger.Entry) {
	h.id, h.kind, h.ref = append(h.id, e.ID), append(h.kind, string(e.Kind)), append(h.ref, e.RefID)
	h.tenant, h.at = append(h.tenant, e.Tenant.No), append(h.at, e.At)
	h.reverses, h.trace = append(h.reverses, null(e.Reverses)), append(h.trace, null(e.TraceID))
}

// postingArrays are postings as the columns of unnest.
type postingArrays struct {
	entry, currency []string
	tenant          []int32
	account, class  []int16
	owner           []*string
	amount          []int64
}

func (p *postingArrays) add(e ledger.Entry) {
	for _, line := range e.Postings {
		p.entry, p.tenant, p.currency = append(p.entry, e.ID), append(p.tenant, e.Tenant.No), append(p.currency, e.Currency)
		p.account, p.class = append(p.account, int16(line.Kind)), append(p.class, classCode(line.Class))
		p.owner, p.amount = append(p.owner, null(line.Owner)), append(p.amount, line.AmountMinor)
	}
}
