package stage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// oldPayments writes payments of the past: two postings each, of the guests in
// turn, taken from their purses. $1 and $2 are the guests, $3 to $4 the
// numbers of the payments, $5 tells this history's ids from others, $6 is when
// the first one was made.
const oldPayments = `
WITH g AS (SELECT * FROM unnest($1::text[], $2::int4[]) WITH ORDINALITY x (customer, tenant, i)),
p AS MATERIALIZED (
	SELECT 'pay_0' || $5::text || lpad(to_hex(n.i), 17, '0') AS payment, 'ent_0' || $5::text || lpad(to_hex(n.i), 17, '0') AS entry,
		g.customer, g.tenant, 100 + n.i * 7919 % 400 AS minor, $6::timestamptz + n.i * interval '1 millisecond' AS at
	FROM generate_series($3::int8, $4::int8) n (i) JOIN g ON g.i = 1 + n.i % cardinality($1::text[])),
made AS (
	INSERT INTO payments (payment_id, tenant_no, customer_id, status, amount_minor, debited_actual_minor, currency, credential_type, entry_id, created_at, captured_at)
	SELECT payment, tenant, customer, 'succeeded', minor, minor, 'USD', 'qr', entry, at, at FROM p),
booked AS (
	INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at, currency, accounts, classes, owners, amounts)
	SELECT entry, tenant, 'payment', payment, at, 'USD', '{1,4}', '{1,1}', ARRAY[customer, NULL], ARRAY[-minor, minor] FROM p)
UPDATE wallets w SET actual_minor = w.actual_minor - x.minor, version = w.version + 1, first_purchase_at = coalesce(w.first_purchase_at, x.at)
FROM (SELECT tenant, customer, sum(minor)::bigint AS minor, min(at) AS at FROM p GROUP BY 1, 2) x
WHERE w.tenant_no = x.tenant AND w.customer_id = x.customer`

// History writes a past of at least n postings for the guests, so that what is
// measured behind it is measured on a ledger of that size.
func (s *Stage) History(ctx context.Context, n int, tick func(done int)) error {
	customers, tenants := make([]string, len(s.plain)), make([]int32, len(s.plain))
	for i, g := range s.plain {
		customers[i], tenants[i] = g.id, s.Merchants[g.merchant].Merchant.Tenant().No
	}
	var mark [4]byte
	_, _ = rand.Read(mark[:]) // never fails
	const part = 5_000
	first := s.clock.Now().Add(-30 * 24 * time.Hour)
	payments := (n + 1) / 2
	for done := 0; done < payments; done += part {
		err := pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '5min'"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, oldPayments, customers, tenants, int64(done), int64(min(done+part, payments)-1), hex.EncodeToString(mark[:]), first)
			return err
		})
		if err != nil {
			return fmt.Errorf("write the ledger's past: %w", err)
		}
		if tick != nil {
			tick(2 * min(done+part, payments))
		}
	}
	_, err := s.db.Pool().Exec(ctx, "VACUUM ANALYZE payments")
	if err != nil {
		return err
	}
	return s.Settle(ctx)
}
