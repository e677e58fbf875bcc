// Package settlement is what becomes of money after the sale: how far top-ups
// are on their way to the merchant's bank, what a brand's days add up to, and
// whether the partner's books agree with the ledger. It moves no money: it
// records and reports (rule 25), and adds up no two money classes (rule 22).
package settlement

import (
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// Progress is how far a deposit's money is.
type Progress string

// The stages of a deposit. Reversed is the state of the top-up itself.
const (
	Unsettled Progress = "unsettled"
	Settled   Progress = "settled"
	Differs   Progress = "differs" // reported with another amount
	Reversed  Progress = "reversed"
)

// Deposit is a credited top-up with what was reported of it.
type Deposit struct {
	Tenant      tenancy.Tenant
	TopupID     string
	CustomerID  string
	EntryID     string // the entry that credited it
	State       ledger.TopupState
	AmountMinor int64
	Currency    string
	Provider    string // empty for a SKU sold at the till
	Reference   string // the provider's, empty for a SKU
	CompletedAt time.Time
	// Progress is unsettled, settled or differs; see Stage.
	Progress Progress
	// Reported is nil while unsettled.
	Reported *Reported
}

// Reported is what a provider or the partner says of a deposit, in minor
// units; GrossMinor = FeeMinor + NetMinor.
type Reported struct {
	GrossMinor, FeeMinor, NetMinor int64
	// BankReference is the bank's reference of the transfer, or the reference of
	// the provider's report.
	BankReference string
	ReportID      string // empty where the partner said it
	SettledAt     time.Time
}

// Stage is the progress that a partner sees.
func (d Deposit) Stage() Progress {
	if d.State == ledger.TopupReversed {
		return Reversed
	}
	return d.Progress
}

// Banked is a deposit that the partner says has reached the bank.
type Banked struct {
	FeeMinor      int64 // 0 to the deposit
	BankReference string
	Currency      string
	SettledAt     time.Time
}

// Settle marks d settled; changed is false where it was so by the same bank
// reference and fee. Errors: CURRENCY_MISMATCH, STATE_CONFLICT,
// AMOUNT_OUT_OF_RANGE.
func (d Deposit) Settle(b Banked) (_ Deposit, changed bool, err error) {
	switch {
	case d.State != ledger.TopupCompleted:
		return d, false, fault.Field(fault.CodeStateConflict, "lines.topup_id", "topup_completed",
			"the top-up %s is %s; only a COMPLETED one can be settled", d.TopupID, d.State)
	case d.Currency != b.Currency:
		return d, false, fault.Field(fault.CodeCurrencyMismatch, "currency", "topup_currency", "the top-up %s is in %s; settle it with others of that currency", d.TopupID, d.Currency)
	case b.FeeMinor > d.AmountMinor:
		return d, false, fault.Field(fault.CodeAmountOutOfRange, "lines.fee_minor", "fee_within_deposit",
			"the fee of %s is %d, more than the deposit of %d; give at most that", d.TopupID, b.FeeMinor, d.AmountMinor)
	case d.Progress == Settled && d.Reported.BankReference == b.BankReference && d.Reported.FeeMinor == b.FeeMinor:
		return d, false, nil
	case d.Progress == Settled:
		return d, false, fault.Field(fault.CodeStateConflict, "lines.topup_id", "topup_unsettled",
			"the top-up %s is settled already, by %s with a fee of %d", d.TopupID, d.Reported.BankReference, d.Reported.FeeMinor)
	}
	d.Progress = Settled
	d.Reported = &Reported{
		GrossMinor: d.AmountMinor, FeeMinor: b.FeeMinor, NetMinor: d.AmountMinor - b.FeeMinor,
		BankReference: b.BankReference, SettledAt: b.SettledAt,
	}
	return d, true, nil
}
