// Package ledger is the two-class, double-entry ledger. An entry has two or
// more postings which, per currency and money class, sum to zero; entries are
// immutable and a correction is a contra entry that names the one it reverses.
package ledger

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Source is why a grant was given.
type Source string

// The grant sources.
const (
	SourceCashback    Source = "CASHBACK"
	SourceReloadBonus Source = "RELOAD_BONUS"
	SourceSKUBonus    Source = "SKU_BONUS"
	SourceOffer       Source = "OFFER"
	SourceGoodwill    Source = "GOODWILL"
	SourceReferral    Source = "REFERRAL"
)

// GrantState is where a lot stands.
type GrantState string

// The grant states. LOCKED becomes RELEASED only for a verified customer whose
// merchant's claim gate is met (rule 26).
const (
	Locked     GrantState = "LOCKED"
	Released   GrantState = "RELEASED"
	Spent      GrantState = "SPENT"
	Expired    GrantState = "EXPIRED"
	ClawedBack GrantState = "CLAWED_BACK"
)

// Grant is a lot of promotional credit. Amounts in minor units.
type Grant struct {
	ID             string
	Tenant         tenancy.Tenant
	CustomerID     string
	Source         Source
	State          GrantState
	AmountMinor    int64
	RemainingMinor int64
	Currency       string
	ExpiresAt      *time.Time // nil where it never expires
	BudgetID       string     // empty where no budget funds it
	FundedBy       string     // merchant, brand, partner
	OriginID       string     // the transaction, top-up, payment or offer it came from
	CreatedAt      time.Time
	ReleasedAt     *time.Time
}

// Balance is a wallet as a partner sees it. No field is a sum of two classes
// (rule 22).
type Balance struct {
	CustomerID          string
	ActualMinor         int64
	PromoAvailableMinor int64
	PromoLockedMinor    int64
	PendingTopupsMinor  int64
	Currency            string
	Version             int64
	// Grants are the LOCKED and RELEASED lots, in spending order.
	Grants []Grant
}
