package settlement

import (
	"time"

	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Item is what a partner totals.
type Item string

// The items. Payments are of both classes, as each payment's amount is.
const (
	ItemPayments       Item = "payments"
	ItemPaymentsPromo  Item = "payments_promo"
	ItemPaymentsActual Item = "payments_actual"
	ItemRefunds        Item = "refunds"
	ItemVoids          Item = "voids"
	ItemTopups         Item = "topups"     // through a provider
	ItemSKUTopups      Item = "sku_topups" // sold at the till
	ItemCashback       Item = "cashback"
	ItemReloadBonus    Item = "reload_bonus"
	ItemTransactions   Item = "transactions" // sales of every tender
)

// Selector says which lines of the ledger make an item. Empty members do not
// narrow. Spent is true where the item counts what customers gave.
type Selector struct {
	Kind   ledger.EntryKind
	Source string
	Class  money.Class
	Spent  bool
}

var selectors = map[Item]Selector{
	ItemPayments:       {Kind: ledger.EntryPayment, Spent: true},
	ItemPaymentsPromo:  {Kind: ledger.EntryPayment, Class: money.Promo, Spent: true},
	ItemPaymentsActual: {Kind: ledger.EntryPayment, Class: money.Actual, Spent: true},
	ItemRefunds:        {Kind: ledger.EntryRefund},
	ItemVoids:          {Kind: ledger.EntryVoid},
	ItemTopups:         {Kind: ledger.EntryTopup, Source: string(ledger.TopupByProvider)},
	ItemSKUTopups:      {Kind: ledger.EntryTopup, Source: string(ledger.TopupBySKU)},
	ItemCashback:       {Kind: ledger.EntryGrant, Source: string(ledger.SourceCashback)},
	ItemReloadBonus:    {Kind: ledger.EntryGrant, Source: string(ledger.SourceReloadBonus)},
}

// Selector is which lines make the item; false for transactions, which are
// sales and not lines.
func (i Item) Selector() (Selector, bool) {
	s, ok := selectors[i]
	return s, ok
}

// RunState is where a comparison stands.
type RunState string

// The states of a run.
const (
	RunRunning RunState = "running"
	RunMatched RunState = "matched"
	RunDiffers RunState = "differs"
)

// Bounds of a run.
const (
	MaxDifferences = 1000               // that are answered; all are counted
	AtOnce         = 7 * 24 * time.Hour // a longer period is compared in the background
)

// Run is one comparison of the partner's books with the ledger.
type Run struct {
	ID          string // rec_...
	Tenant      tenancy.Tenant
	BrandID     string // narrows; empty for the whole merchant
	BranchID    string
	Currency    string
	PeriodStart time.Time
	PeriodEnd   time.Time // exclusive
	State       RunState
	Claims      []Total // the partner's
	Entries     []Entry // the partner's movements, to be stored; Listed tells of them afterwards
	Listed      []Item  // the items of which the partner listed movements
	Outcome
	CreatedAt time.Time
}

// Entry is one movement as the partner has it.
type Entry struct {
	Item        Item
	ReferenceID string
	AmountMinor int64
}

// Outcome is what a comparison found.
type Outcome struct {
	Lines            []Comparison
	Differences      []Difference // at most MaxDifferences
	DifferencesCount int64
	// Complete is true where the period was over and all of it gathered.
	Complete    bool
	CompletedAt *time.Time // nil while running
}

// Total is one side's total of an item, in minor units.
type Total struct {
	Item        Item  `json:"item"`
	AmountMinor int64 `json:"amount_minor"`
	Count       int64 `json:"count"`
}

// Comparison sets both totals of an item side by side.
type Comparison struct {
	Item         Item  `json:"item"`
	PartnerMinor int64 `json:"partner_minor"`
	LedgerMinor  int64 `json:"ledger_minor"`
	PartnerCount int64 `json:"partner_count"`
	LedgerCount  int64 `json:"ledger_count"`
}

// DifferenceMinor is partner less ledger.
func (c Comparison) DifferenceMinor() int64 { return c.PartnerMinor - c.LedgerMinor }

// Agrees reports whether amounts and counts are the same.
func (c Comparison) Agrees() bool {
	return c.PartnerMinor == c.LedgerMinor && c.PartnerCount == c.LedgerCount
}

// Difference is one movement that a side lacks, or on which they differ.
type Difference struct {
	Item         Item   `json:"item"`
	ReferenceID  string `json:"reference_id"`
	PartnerMinor *int64 `json:"partner_minor"` // nil where the partner has none
	LedgerMinor  *int64 `json:"ledger_minor"`  // nil where the ledger has none
}

// Kind says which side lacks it: missing_here, missing_there or differs.
func (d Difference) Kind() string {
	switch {
	case d.LedgerMinor == nil:
		return "missing_here"
	case d.PartnerMinor == nil:
		return "missing_there"
	}
	return "differs"
}

// DifferenceMinor is partner less ledger; who has none has 0.
func (d Difference) DifferenceMinor() int64 {
	var n int64
	if d.PartnerMinor != nil {
		n += *d.PartnerMinor
	}
	if d.LedgerMinor != nil {
		n -= *d.LedgerMinor
	}
	return n
}

// Large reports whether a run is for the background.
func (r Run) Large() bool {
	return len(r.Entries) > 0 || r.PeriodEnd.Sub(r.PeriodStart) > AtOnce
}

// Compare ends a run: the ledger's totals beside the partner's claims, in the
// order of the claims. An item that the ledger does not know of is 0 there.
func (r Run) Compare(ledgers map[Item]Total, differences []Difference, count int64, complete bool, now time.Time) Run {
	r.Outcome = Outcome{Differences: differences, DifferencesCount: count, Complete: complete, CompletedAt: &now}
	r.State = RunMatched
	for _, claim := range r.Claims {
		l := ledgers[claim.Item]
		c := Comparison{
			Item: claim.Item, PartnerMinor: claim.AmountMinor, PartnerCount: claim.Count, LedgerMinor: l.AmountMinor, LedgerCount: l.Count,
		}
		if !c.Agrees() {
			r.State = RunDiffers
		}
		r.Lines = append(r.Lines, c)
	}
	if count > 0 {
		r.State = RunDiffers
	}
	return r
}
