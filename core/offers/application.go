package offers

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// ApplicationState is where an application stands.
type ApplicationState string

// The states. Released is final; Redeemed is, unless the sale is voided.
const (
	Applied  ApplicationState = "applied"  // held for the session, with its use and budget
	Redeemed ApplicationState = "redeemed" // consumed
	Released ApplicationState = "released" // given back
)

// Why an application was released.
const (
	ReasonRequested        = "requested"
	ReasonBasketChanged    = "basket_changed"
	ReasonSessionAbandoned = "session_abandoned"
	ReasonSessionExpired   = "session_expired"
	ReasonSaleVoided       = "transaction_voided" // of a redeemed one
)

// Application is an offer held for one session. Applying and redeeming never
// debits a wallet (rule 14).
type Application struct {
	ID         string
	Tenant     tenancy.Tenant
	SessionID  string
	OfferID    string
	Version    int64 // later versions do not touch it
	CustomerID string
	State      ApplicationState
	Kind       Kind
	Title      string
	Currency   string
	// DiscountMinor comes off the basket; 0 for cashback and points.
	DiscountMinor int64
	// ValueMinor is what it costs: the discount, or the credit to grant at
	// close. It is held of the budget, then spent.
	ValueMinor int64
	Points     int64
	Lines      []Share
	BudgetID   string
	// BasketRevision is the revision it was last judged on.
	BasketRevision int64
	// Day is the day it was applied on in the merchant's time zone, 2026-06-12.
	Day           string
	TraceID       string
	TransactionID string
	ReleaseReason string
	AppliedAt     time.Time
	RedeemedAt    *time.Time
	ReleasedAt    *time.Time
}

// Share is the part of an offer's value that falls on one basket line.
type Share struct {
	LineID        string `json:"line_id"`
	DiscountMinor int64  `json:"discount_minor"`
}

// Budget is an envelope with a hard cap: CommittedMinor + SpentMinor never
// exceeds CapMinor. Amounts in minor units of Currency.
type Budget struct {
	ID             string
	Tenant         tenancy.Tenant
	BrandID        string
	Name           string
	Currency       string
	CapMinor       int64
	CommittedMinor int64 // held by applications
	SpentMinor     int64 // given away for good
	LowThresholdBP int64 // budget.low is told once when less than this share of the cap is available
	LowTold        bool
	FundedBy       string
	StartsAt       time.Time
	EndsAt         *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// AvailableMinor is what can still be held or spent.
func (b Budget) AvailableMinor() int64 { return b.CapMinor - b.CommittedMinor - b.SpentMinor }

// StatusAt is the budget's status: scheduled, active, exhausted or ended.
func (b Budget) StatusAt(now time.Time) string {
	switch {
	case b.EndsAt != nil && !now.Before(*b.EndsAt):
		return "ended"
	case now.Before(b.StartsAt):
		return "scheduled"
	case b.AvailableMinor() == 0:
		return "exhausted"
	}
	return "active"
}

// Low reports whether less than the threshold is available.
func (b Budget) Low() bool {
	// Division first would lose the remainder; cap is at most 10^12, so the product fits.
	return b.AvailableMinor()*10_000 < b.CapMinor*b.LowThresholdBP
}

// Movement is one change of a budget.
type Movement struct {
	ID                  string
	BudgetID            string
	Type                string // created, cap_adjusted, committed, released, spent, returned
	AmountMinor         int64
	AvailableAfterMinor int64
	ReferenceID         string
	Reason              string
	At                  time.Time
	// Position orders the movements of a budget; set when read.
	Position int64
}
