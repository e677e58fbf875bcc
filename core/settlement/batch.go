package settlement

import (
	"time"

	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// BatchState is where a batch stands.
type BatchState string

// The states of a batch: open gathers, ready never changes again, settled is
// ready with every top-up settled to the bank.
const (
	BatchOpen    BatchState = "open"
	BatchReady   BatchState = "ready"
	BatchSettled BatchState = "settled"
)

// Grace is how long after its period a batch still gathers, for what was being
// written when the period ended.
const Grace = 5 * time.Minute

// Batch is what one brand moved in one currency on one of the merchant's days.
type Batch struct {
	ID          string // stl_...
	Tenant      tenancy.Tenant
	BrandID     string // empty for what belongs to no brand
	Currency    string // XXX for points
	State       BatchState
	PeriodStart time.Time
	PeriodEnd   time.Time // exclusive
	LinesCount  int64
	CreatedAt   time.Time
	ReadyAt     *time.Time
	// Sums are what the lines add up to, by class and kind.
	Sums []Sum
}

// Sum is what the lines of one class and kind of entry add up to; what
// customers gained and what they gave apart, both 0 or more.
type Sum struct {
	Class                 money.Class
	Kind                  ledger.EntryKind
	PlusMinor, MinusMinor int64
}

// Line is what one entry moved of one class on the customers' side of the
// books: the merchant's side is its opposite.
type Line struct {
	EntryID       string
	Class         money.Class
	Kind          ledger.EntryKind
	Source        string // of a top-up (provider, sku) or a grant (CASHBACK, ...)
	AmountMinor   int64  // negative where the customer paid; never 0
	Currency      string
	RefID         string // the payment, top-up, grant or other object behind it
	TransactionID string // empty where none
	Reference     string // the provider's, of a top-up
	BrandID       string // empty where it belongs to none
	BranchID      string
	At            time.Time
}

// Totals add up one money class of a batch, in minor units (points for points).
type Totals struct {
	Class          money.Class
	CreditedMinor  int64 // what customers brought in or were granted
	DebitedMinor   int64 // what they spent
	RefundedMinor  int64 // what refunds and voids gave back
	WithdrawnMinor int64 // what was taken back without a sale
}

// NetMinor is by how much the customers' side grew: the sum of the lines.
func (t Totals) NetMinor() int64 {
	return t.CreditedMinor - t.DebitedMinor + t.RefundedMinor - t.WithdrawnMinor
}

var classes = []money.Class{money.Actual, money.Promo, money.Points, money.Gift, money.Funding}

// Totals are one row per class that moved, actual first; classes are never
// summed (rule 22).
func (b Batch) Totals() []Totals {
	by := map[money.Class]*Totals{}
	for _, s := range b.Sums {
		if by[s.Class] == nil {
			by[s.Class] = &Totals{Class: s.Class}
		}
		by[s.Class].add(s)
	}
	out := make([]Totals, 0, len(by))
	for _, c := range classes {
		if t := by[c]; t != nil {
			out = append(out, *t)
		}
	}
	return out
}

// add puts a sum where its kind belongs. What goes against its kind counts
// against its column, so that the net is the sum of the lines whatever comes.
func (t *Totals) add(s Sum) {
	net := s.PlusMinor - s.MinusMinor
	switch s.Kind {
	case ledger.EntryPayment:
		t.DebitedMinor -= net
	case ledger.EntryVoid, ledger.EntryRefund:
		t.RefundedMinor += net
	case ledger.EntryTopup, ledger.EntryGrant:
		t.CreditedMinor += net
	case ledger.EntryTopupReversal, ledger.EntryExpiry, ledger.EntryClawback:
		t.WithdrawnMinor -= net
	case ledger.EntryPoints:
		t.CreditedMinor += s.PlusMinor
		t.DebitedMinor += s.MinusMinor
	default:
		t.CreditedMinor += s.PlusMinor
		t.WithdrawnMinor += s.MinusMinor
	}
}

// Day is the merchant's day that at falls into, as instants: midnight to
// midnight in zone, so 23 or 25 hours where clocks change.
func Day(at time.Time, zone *time.Location) (start, end time.Time) {
	y, m, d := at.In(zone).Date()
	return dawn(y, m, d, zone), dawn(y, m, d+1, zone)
}

// dawn is the first instant of a day. Where clocks change at midnight, 00:00 does
// not exist or exists twice, and what time.Date makes of it may lie in the
// evening before: then what is left of that evening is added.
func dawn(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if hour, minute, second := t.Clock(); hour > 12 {
		t = t.Add(24*time.Hour - time.Duration(hour)*time.Hour - time.Duration(minute)*time.Minute - time.Duration(second)*time.Second)
	}
	return t.UTC()
}

// Slot is the place of a line: a batch that is there or is to be opened.
type Slot struct {
	TenantNo    int32
	BrandID     string
	Currency    string
	PeriodStart time.Time
}

// Fresh is a line that is in no batch yet.
type Fresh struct {
	Line
	Tenant tenancy.Tenant
	Zone   string // the merchant's time zone, an IANA name
}

// Key tells the lines of a batch apart: entry and class.
func (l Line) Key() string { return l.EntryID + "/" + string(l.Class) }
