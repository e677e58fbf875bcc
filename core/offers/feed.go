package offers

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/decision"
)

// Reason is why an offer that was judged is not shown: the first condition
// that failed.
type Reason string

// The reasons, in the order in which conditions are judged.
const (
	OutOfWindow            Reason = "OUT_OF_WINDOW"
	CurrencyMismatch       Reason = "CURRENCY_MISMATCH"
	NotIdentified          Reason = "NOT_IDENTIFIED"
	CustomerStateMismatch  Reason = "CUSTOMER_STATE_MISMATCH"
	NotNewCustomer         Reason = "NOT_NEW_CUSTOMER"
	SegmentMismatch        Reason = "SEGMENT_MISMATCH"
	TierMismatch           Reason = "TIER_MISMATCH"
	CustomerOptedOut       Reason = "CUSTOMER_OPTED_OUT"
	NoMatchingLines        Reason = "NO_MATCHING_LINES" // only for an offer asked for by name
	ChannelMismatch        Reason = "CHANNEL_MISMATCH"
	BranchMismatch         Reason = "BRANCH_MISMATCH"
	OutsideDays            Reason = "OUTSIDE_DAYS"
	OutsideTimeWindow      Reason = "OUTSIDE_TIME_WINDOW"
	MinBasketNotMet        Reason = "MIN_BASKET_NOT_MET"
	MinQuantityNotMet      Reason = "MIN_QUANTITY_NOT_MET"
	NoValue                Reason = "NO_VALUE"
	ExcludedByAppliedOffer Reason = "EXCLUDED_BY_APPLIED_OFFER"
	LimitReached           Reason = "LIMIT_REACHED"
	BudgetExhausted        Reason = "BUDGET_EXHAUSTED"
	RuleNotMet             Reason = "RULE_NOT_MET"
	RuleFailed             Reason = "RULE_FAILED"
	Outranked              Reason = "OUTRANKED"
)

// Feed is what the engine decides: the offers to show, best first, and those
// that touch the basket, or are basket-wide, and were withheld.
type Feed struct {
	Offers   []Shown    `json:"offers"`
	Withheld []Withheld `json:"withheld"`
}

// Outputs encodes a feed as its trace stores it.
func (f Feed) Outputs() (json.RawMessage, error) { return json.Marshal(f) }

// Shown is an offer that fits, priced for this basket and customer.
type Shown struct {
	OfferID     string        `json:"offer_id"`
	Version     int64         `json:"version"`
	Kind        Kind          `json:"kind"`
	Title       string        `json:"title"`
	Description string        `json:"description,omitempty"`
	Value       Worth         `json:"value"`
	AppliesTo   []Share       `json:"applies_to"` // empty for a basket-wide offer
	Redemption  []string      `json:"redemption_methods"`
	ExpiresAt   *time.Time    `json:"expires_at,omitempty"`
	Group       string        `json:"stacking_group,omitempty"`
	Rank        int           `json:"rank"` // from 1
	Card        decision.Card `json:"reasoning"`
}

// Worth is what an offer is worth on one basket.
type Worth struct {
	Type        ValueType `json:"type"`
	AmountMinor int64     `json:"amount_minor"` // 0 for points
	PercentBP   int64     `json:"percent_bp,omitempty"`
	Points      int64     `json:"points,omitempty"`
}

// Withheld is an offer that was judged and is not shown.
type Withheld struct {
	OfferID string        `json:"offer_id"`
	Version int64         `json:"version"`
	Title   string        `json:"title"`
	Reason  Reason        `json:"reason"`
	Worth   int64         `json:"worth_minor"` // what it would be worth, where that was reckoned
	Card    decision.Card `json:"reasoning"`
}

// Discounts reports whether offers of type v come off the basket; cashback and
// points are given after it.
func (v ValueType) Discounts() bool { return v != ValueCashback && v != ValuePoints }
