package ledger

import (
	"context"
	"fmt"
)

// Finding is one thing that does not follow from the postings.
type Finding struct {
	TenantNo int32
	// What names the figure: entry, wallet.actual_minor,
	// wallet.promo_available_minor, wallet.promo_locked_minor,
	// wallet.pending_topups_minor, lot.remaining_minor, payment.amount_minor, ...
	What string
	// Account is the entry, customer, grant or budget it belongs to.
	Account string
	// StoredMinor is what the books show, DerivedMinor what the postings give.
	StoredMinor, DerivedMinor int64
}

// String says the finding in a line for an operator.
func (f Finding) String() string {
	return fmt.Sprintf("tenant %d: %s of %s is %d, the postings give %d", f.TenantNo, f.What, f.Account, f.StoredMinor, f.DerivedMinor)
}

// Audit reads the books and streams what does not follow. One implementation
// is adapters/postgres/ledger.
type Audit interface {
	// Check runs every check over one consistent snapshot and calls report for
	// each finding, in no particular order; it stops where report returns an error.
	Check(ctx context.Context, report func(Finding) error) (Examined, error)
}

// Examined counts what a verification looked at.
type Examined struct{ Entries, Postings, Wallets, Lots, Budgets int64 }

// Verify re-derives every balance, lot and budget from the postings, and every
// entry's sum, and reports each that differs. A ledger without findings is
// sound. Nothing is changed. Memory stays flat whatever the size of the books.
func Verify(ctx context.Context, a Audit, report func(Finding)) (examined Examined, findings int, err error) {
	examined, err = a.Check(ctx, func(f Finding) error {
		findings++
		report(f)
		return ctx.Err()
	})
	return examined, findings, err
}
