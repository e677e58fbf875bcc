package stage

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// table is a table that the stage writes, with the columns it gives.
type table struct {
	name    string
	columns []string
}

// The tables in the order in which they are written.
var (
	customers = table{"customers", []string{"customer_id", "tenant_no", "phone", "name", "state", "verified_at", "created_at", "updated_at"}}
	wallets   = table{"wallets", []string{
		"tenant_no", "customer_id", "currency", "actual_minor", "promo_available_minor", "version", "first_topup_at",
	}}
	topups = table{"topups", []string{
		"topup_id", "tenant_no", "customer_id", "state", "amount_minor", "currency", "source", "provider", "reference", "entry_id",
		"expires_at", "created_at", "completed_at",
	}}
	grants = table{"grants", []string{
		"grant_id", "tenant_no", "customer_id", "source", "state", "amount_minor", "remaining_minor", "currency", "expires_at",
		"funded_by", "created_at", "released_at", "entry_ids",
	}}
	entries = table{"entries", []string{
		"entry_id", "tenant_no", "kind", "ref_id", "at", "currency", "accounts", "classes", "owners", "amounts",
	}}
	codes    = table{"payment_codes", []string{"code_hash", "tenant_no", "customer_id", "kind", "expires_at"}}
	sessions = table{"checkout_sessions", []string{
		"session_id", "tenant_no", "state", "currency", "origin", "channel", "brand_id", "branch_id", "terminal_id", "customer_id",
		"credential_type", "basket_revision", "basket_minor", "opened_at", "expires_at",
	}}
	baskets = table{"basket_revisions", []string{
		"session_id", "revision", "tenant_no", "currency", "lines", "subtotal_minor", "discount_minor", "tax_minor", "total_minor", "created_at",
	}}

	tables = []*table{&customers, &wallets, &topups, &grants, &entries, &codes, &sessions, &baskets}
)

// rows are rows on their way into the tables.
type rows map[*table][][]any

func (r rows) add(t *table, values ...any) { r[t] = append(r[t], values) }

// write copies the rows in, in one transaction.
func (s *Stage) write(ctx context.Context, r rows) error {
	return pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '5min'"); err != nil {
			return err
		}
		for _, t := range tables {
			if len(r[t]) == 0 {
				continue
			}
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(r[t])); err != nil {
				return fmt.Errorf("write %s: %w", t.name, err)
			}
		}
		return nil
	})
}
