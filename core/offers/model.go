// Package offers knows what a merchant lays down (offers with immutable
// versions, limits, the budgets that pay), what a session holds of it, and the
// shape of a feed. Package engine below it decides feeds.
package offers

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Kind is the shape of an offer.
type Kind string

// The kinds of offer.
const (
	ItemDiscount   Kind = "item_discount"
	BasketDiscount Kind = "basket_discount"
	FreeItem       Kind = "free_item"
	Cashback       Kind = "cashback"
	Points         Kind = "points"
	Upsell         Kind = "upsell"
)

// ValueType is how a value is reckoned.
type ValueType string

// The value types.
const (
	ValueAmount   ValueType = "amount"
	ValuePercent  ValueType = "percent"
	ValueFreeItem ValueType = "free_item"
	ValuePoints   ValueType = "points"
	ValueCashback ValueType = "cashback"
)

// Per is what a value's figure counts for.
type Per string

// The bases of a value.
const (
	PerUnit   Per = "unit"   // every unit of a matching line
	PerLine   Per = "line"   // every matching line
	PerBasket Per = "basket" // the basket once
)

// Status is where an offer stands.
type Status string

// The statuses. StatusExpired is never stored: it follows the window.
const (
	Draft         Status = "draft"
	Active        Status = "active"
	Paused        Status = "paused"
	Archived      Status = "archived"
	StatusExpired Status = "expired"
)

// Anonymous is the customer state of a session that nobody identified in; it
// stands beside PENDING_PROOF and VERIFIED in conditions.
const Anonymous = "ANONYMOUS"

// The ways to take an offer.
const (
	MethodApply = "apply" // by a call
	MethodAuto  = "auto"  // given at close without a call
)

// Definition is what a merchant lays down. Amounts are in minor units of
// Currency. The JSON form is what is stored; absent members mean no condition.
type Definition struct {
	Kind        Kind       `json:"kind"`
	Name        string     `json:"name"`
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	Currency    string     `json:"currency"`
	BrandID     string     `json:"brand_id,omitempty"` // empty: the whole merchant
	Value       Value      `json:"value"`
	Targets     Targets    `json:"targets"`
	Conditions  Conditions `json:"conditions"`
	Limits      Limits     `json:"limits"`
	Stacking    Stacking   `json:"stacking"`
	Funding     Funding    `json:"funding"`
	Window      Window     `json:"window"`
	Redemption  []string   `json:"redemption_methods"`
}

// Value is what an offer gives, before any basket is known. Zero members are
// not set.
type Value struct {
	Type             ValueType `json:"type"`
	AmountMinor      int64     `json:"amount_minor,omitempty"` // amount, fixed cashback
	PercentBP        int64     `json:"percent_bp,omitempty"`   // percent, cashback by rate; 1 to 10000, rounded down
	Points           int64     `json:"points,omitempty"`
	Per              Per       `json:"per"`
	MaxDiscountMinor int64     `json:"max_discount_minor,omitempty"` // ceiling on one basket; 0 means none
	FreeQuantity     int64     `json:"free_quantity,omitempty"`      // cheapest matching units that are free
}

// Targets say which lines and which customers an offer is for. A line matches
// when its SKU or category is listed and neither is excluded.
type Targets struct {
	SKUs              []string `json:"skus,omitempty"`
	Categories        []string `json:"categories,omitempty"`
	BasketWide        bool     `json:"basket_wide,omitempty"`
	ExcludeSKUs       []string `json:"exclude_skus,omitempty"`
	ExcludeCategories []string `json:"exclude_categories,omitempty"`
	Segments          []string `json:"segments,omitempty"`
	Tiers             []string `json:"tiers,omitempty"`
}

// Conditions must all hold. Days and hours are in the merchant's time zone.
type Conditions struct {
	MinBasketMinor   int64       `json:"min_basket_minor,omitempty"`
	MinQuantity      int64       `json:"min_quantity,omitempty"` // matching units
	Days             []string    `json:"days_of_week,omitempty"` // monday, ...
	TimeWindow       *TimeWindow `json:"time_window,omitempty"`
	Channels         []string    `json:"channels,omitempty"`
	BranchIDs        []string    `json:"branch_ids,omitempty"`
	CustomerStates   []string    `json:"customer_states,omitempty"`
	NewCustomersOnly bool        `json:"new_customers_only,omitempty"`
	Rule             string      `json:"rule,omitempty"` // a free expression; see RuleCompiler
}

// TimeWindow is a part of a day in minutes since midnight, From inclusive, To
// exclusive. One whose To lies before From reaches over midnight and belongs
// to the day it begins on.
type TimeWindow struct {
	From int `json:"from"` // 0 to 1439
	To   int `json:"to"`   // 0 to 1440
}

// Limits bound how often an offer is taken; 0 does not bound. Held and
// redeemed applications count. PerSession 0 means once.
type Limits struct {
	PerCustomer       int64 `json:"per_customer,omitempty"`
	Total             int64 `json:"total,omitempty"`
	PerSession        int64 `json:"per_session,omitempty"`
	PerDay            int64 `json:"per_day,omitempty"`
	PerCustomerPerDay int64 `json:"per_customer_per_day,omitempty"`
}

// Counted reports whether applications of the offer are counted at all.
func (l Limits) Counted() bool {
	return l.PerCustomer|l.Total|l.PerDay|l.PerCustomerPerDay != 0
}

// Session is how often one session may hold the offer.
func (l Limits) Session() int64 { return max(l.PerSession, 1) }

// Stacking says how an offer goes together with others.
type Stacking struct {
	Group     string `json:"group,omitempty"`     // of one group only the best is shown; empty: a group of its own
	Alone     bool   `json:"alone,omitempty"`     // not stackable: nothing of another group beside it
	Exclusive bool   `json:"exclusive,omitempty"` // once applied, nothing else; never beside anything
	Priority  int64  `json:"priority,omitempty"`  // ranks before worth, higher first
}

// Funding says who pays and from which envelope.
type Funding struct {
	BudgetID string `json:"budget_id,omitempty"` // empty: unbounded merchant expense
	FundedBy string `json:"funded_by"`           // merchant, brand, partner
}

// Window is when an offer is in force: from StartsAt on, until just before EndsAt.
type Window struct {
	StartsAt *time.Time `json:"starts_at,omitempty"`
	EndsAt   *time.Time `json:"ends_at,omitempty"`
}

// Ended reports whether the window is over.
func (w Window) Ended(now time.Time) bool { return w.EndsAt != nil && !now.Before(*w.EndsAt) }

// Offer is a definition at one version, with its status.
type Offer struct {
	ID      string
	Tenant  tenancy.Tenant
	Version int64 // from 1
	Status  Status
	Definition
	CreatedAt time.Time // of the first version
	UpdatedAt time.Time // of the latest version or change of status
}

// StatusAt is the status as a partner sees it: an offer past its window is
// expired, unless it is a draft or archived.
func (o Offer) StatusAt(now time.Time) Status {
	if (o.Status == Active || o.Status == Paused) && o.Window.Ended(now) {
		return StatusExpired
	}
	return o.Status
}

// Counters count what became of an offer, over all its versions.
type Counters struct {
	Shown, Withheld             int64 // feeds
	Applied, Redeemed, Released int64 // applications that ever were
	RedeemedMinor               int64 // given by redeemed applications
	HeldMinor                   int64 // held by those neither redeemed nor released
}
