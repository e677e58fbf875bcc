package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// History implements identity.Histories: one range of the customer's index
// entries, folded.
func (s *Store) History(ctx context.Context, t tenancy.Tenant, customerID string) (identity.History, error) {
	type row struct {
		Currency        string
		FirstTopupAt    *time.Time
		FirstPurchaseAt *time.Time
		Transactions    int64
		Spent           int64
		Discount        int64
		FirstAt         *time.Time
		LastAt          *time.Time
		Cashback        int64
	}
	r, err := pg.One[row](ctx, s.q, `SELECT w.currency, w.first_topup_at, w.first_purchase_at,
			x.transactions, x.spent, x.discount, x.first_at, x.last_at,
			(SELECT coalesce(sum(g.amount_minor), 0)::int8 FROM grants g
				WHERE g.tenant_no = $1 AND g.customer_id = $2 AND g.source = 'CASHBACK') AS cashback
		FROM wallets w CROSS JOIN LATERAL (
			SELECT count(*) AS transactions, coalesce(sum(total_minor), 0)::int8 AS spent, coalesce(sum(discount_minor), 0)::int8 AS discount,
				min(created_at) AS first_at, max(created_at) AS last_at
			FROM transactions x WHERE x.tenant_no = $1 AND x.currency = w.currency AND x.customer_id = ANY (
				ARRAY(SELECT customer_id FROM customers WHERE tenant_no = $1 AND merged_into = $2) || $2::text)) x
		WHERE w.tenant_no = $1 AND w.customer_id = $2`, t.No, customerID)
	if err != nil {
		return identity.History{}, notFound(err, "customer")
	}
	return identity.History{
		Lifetime: identity.Lifetime{
			Transactions: r.Transactions, SpentMinor: r.Spent, DiscountMinor: r.Discount, CashbackEarnedMinor: r.Cashback,
			Currency: r.Currency, FirstAt: r.FirstAt, LastAt: r.LastAt,
		},
		FirstTopupAt: r.FirstTopupAt, FirstPurchaseAt: r.FirstPurchaseAt,
	}, nil
}

// activities reads the parts of a customer's activity; each keeps to the
// customer's rows of its own index. What the wallet paid of a sale is in its
// tenders, and sales of identities that were merged into the customer count. $3 is the only type wanted or empty, ($4, $5) what the rows come
// before, $6 how many.
const activities = `
	(SELECT 'transaction' AS type, x.transaction_id AS reference_id, '' AS detail, x.total_minor AS amount_minor,
		p.actual AS actual_minor, p.promo AS promo_minor, x.currency, x.branch_id, x.created_at AS at
	FROM (SELECT $2::text AS id UNION ALL SELECT customer_id FROM customers WHERE tenant_no = $1 AND merged_into = $2) f
	CROSS JOIN LATERAL (SELECT * FROM transactions WHERE tenant_no = $1 AND customer_id = f.id AND $3 IN ('', 'transaction')
		AND (created_at, transaction_id) < ($4, $5) ORDER BY created_at DESC, transaction_id DESC LIMIT $6) x
	CROSS JOIN LATERAL (
		SELECT coalesce(sum((d->>'debited_actual_minor')::int8), 0)::int8 AS actual,
			coalesce(sum((d->>'debited_promo_minor')::int8), 0)::int8 AS promo
		FROM jsonb_array_elements(x.tenders) d) p)
	UNION ALL
	(SELECT 'topup', topup_id, source, amount_minor, 0, 0, currency, '', completed_at FROM topups
	WHERE tenant_no = $1 AND customer_id = $2 AND $3 IN ('', 'topup') AND state = 'COMPLETED' AND (completed_at, topup_id) < ($4, $5)
	ORDER BY completed_at DESC, topup_id DESC LIMIT $6)
	UNION ALL
	(SELECT 'grant', grant_id, source, amount_minor, 0, 0, currency, '', created_at FROM grants
	WHERE tenant_no = $1 AND customer_id = $2 AND $3 IN ('', 'grant') AND (created_at, grant_id) < ($4, $5)
	ORDER BY created_at DESC, grant_id DESC LIMIT $6)
	UNION ALL
	(SELECT 'enrollment', enrollment_id, state, 0, 0, 0, '', '', created_at FROM enrollments
	WHERE tenant_no = $1 AND customer_id = $2 AND $3 IN ('', 'enrollment') AND (created_at, enrollment_id) < ($4, $5)
	ORDER BY created_at DESC, enrollment_id DESC LIMIT $6)
	UNION ALL
	(SELECT 'consent', consent_id, purpose || ' ' || state, 0, 0, 0, '', '', recorded_at FROM consents
	WHERE tenant_no = $1 AND customer_id = $2 AND $3 IN ('', 'consent') AND (recorded_at, consent_id) < ($4, $5)
	ORDER BY recorded_at DESC, consent_id DESC LIMIT $6)
	ORDER BY at DESC, reference_id DESC LIMIT $6`

// Activity implements identity.Histories.
func (s *Store) Activity(ctx context.Context, t tenancy.Tenant, f identity.ActivityFilter) ([]identity.Activity, error) {
	type row struct {
		Type        string
		ReferenceID string
		Detail      string
		AmountMinor int64
		ActualMinor int64
		PromoMinor  int64
		Currency    string
		BranchID    string
		At          time.Time
	}
	rows, err := pg.Many[row](ctx, s.q, activities, t.No, f.CustomerID, f.Type, f.Before, f.BeforeID, f.Limit)
	if err != nil {
		return nil, err
	}
	out := make([]identity.Activity, len(rows))
	for i, r := range rows {
		out[i] = identity.Activity(r)
	}
	return out, nil
}
