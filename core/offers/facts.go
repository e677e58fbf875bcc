package offers

import (
	"slices"
	"strings"
	"time"
)

// Facts are everything a feed is decided from, beside the catalogue: no clock,
// no database, no ambient zone. They hold ids, never phone, name or e-mail, and
// are stored in the trace. Uses and Budgets are sorted by id.
type Facts struct {
	SessionID string    `json:"session_id,omitempty"`
	At        time.Time `json:"at"`
	// Local is At on the merchant's clock.
	Local    Local  `json:"local"`
	Currency string `json:"currency"`
	Channel  string `json:"channel,omitempty"`
	BrandID  string `json:"brand_id,omitempty"`
	BranchID string `json:"branch_id,omitempty"`
	Revision int64  `json:"basket_revision"`
	Lines    []Line `json:"lines"`
	Total    int64  `json:"total_minor"` // the basket's, before offers
	// NoBasket says that the basket is unknown, which is not the same as empty:
	// the customer's own feed. Empty Channel, BrandID and BranchID are unknown then, too.
	NoBasket bool     `json:"no_basket,omitempty"`
	Customer Customer `json:"customer"`
	// Held are the applications of this session that are in force.
	Held []Held `json:"held,omitempty"`
	// MaxStacked is how many offers the merchant allows in one session; 0 means any number.
	MaxStacked int     `json:"max_stacked,omitempty"`
	Uses       []Use   `json:"uses,omitempty"`
	Budgets    []Funds `json:"budgets,omitempty"`
}

// Local is a moment on the merchant's clock.
type Local struct {
	Weekday int    `json:"weekday"` // 0 Sunday to 6 Saturday
	Minute  int    `json:"minute"`  // since midnight, 0 to 1439
	Day     string `json:"day"`     // 2026-06-12
}

// LocalTime is at on the clock of zone.
func LocalTime(at time.Time, zone *time.Location) Local {
	l := at.In(zone)
	return Local{Weekday: int(l.Weekday()), Minute: l.Hour()*60 + l.Minute(), Day: l.Format(time.DateOnly)}
}

// Line is one basket line as offers see it.
type Line struct {
	LineID   string `json:"line_id"`
	SKU      string `json:"sku"`
	Name     string `json:"name,omitempty"`
	Category string `json:"category,omitempty"`
	Quantity int64  `json:"quantity"`
	Unit     int64  `json:"unit_price_minor"`
	// Net is quantity times unit price less the till's own discount; taxes that
	// the price does not contain are left out.
	Net int64 `json:"net_minor"`
}

// Label is what a cashier calls the line.
func (l *Line) Label() string {
	if l.Name != "" {
		return l.Name
	}
	return l.SKU
}

// Customer is what offers may know of a customer.
type Customer struct {
	ID           string   `json:"customer_id,omitempty"` // empty while anonymous
	State        string   `json:"state"`                 // ANONYMOUS, PENDING_PROOF, VERIFIED
	Tier         string   `json:"tier,omitempty"`
	Segments     []string `json:"segments,omitempty"`
	Transactions int64    `json:"transactions"` // earlier ones here
	Probationary bool     `json:"probationary,omitempty"`
	OptOut       OptOut   `json:"opt_out"`
}

// OptOut names the offers a customer does not want to see.
type OptOut struct {
	All        bool     `json:"all,omitempty"`
	Kinds      []string `json:"kinds,omitempty"`
	Categories []string `json:"categories,omitempty"`
}

// Empty reports whether the customer excludes nothing.
func (o *OptOut) Empty() bool { return !o.All && len(o.Kinds) == 0 && len(o.Categories) == 0 }

// Use is how often an offer with limits is held or redeemed.
type Use struct {
	OfferID       string `json:"offer_id"`
	Total         int64  `json:"total"`
	Today         int64  `json:"today"`
	Customer      int64  `json:"customer"`
	CustomerToday int64  `json:"customer_today"`
}

// Funds is what a budget can still pay.
type Funds struct {
	BudgetID  string `json:"budget_id"`
	Available int64  `json:"available_minor"`
	Open      bool   `json:"open"` // inside its window
}

// Held is an application in force, with what stacking asks of it.
type Held struct {
	ApplicationID string  `json:"application_id"`
	OfferID       string  `json:"offer_id"`
	Version       int64   `json:"version"`
	Group         string  `json:"group,omitempty"`
	Alone         bool    `json:"alone,omitempty"`
	Exclusive     bool    `json:"exclusive,omitempty"`
	DiscountMinor int64   `json:"discount_minor"`
	ValueMinor    int64   `json:"value_minor"`
	Points        int64   `json:"points,omitempty"`
	Lines         []Share `json:"lines,omitempty"`
}

// Sort puts uses and budgets into the order that look-ups need.
func (f *Facts) Sort() {
	slices.SortFunc(f.Uses, func(a, b Use) int { return strings.Compare(a.OfferID, b.OfferID) })
	slices.SortFunc(f.Budgets, func(a, b Funds) int { return strings.Compare(a.BudgetID, b.BudgetID) })
}

// UseOf finds the counters of an offer; one never taken has none.
func (f *Facts) UseOf(offerID string) Use {
	i, ok := slices.BinarySearchFunc(f.Uses, offerID, func(u Use, id string) int { return strings.Compare(u.OfferID, id) })
	if !ok {
		return Use{OfferID: offerID}
	}
	return f.Uses[i]
}

// FundsOf finds a budget. One that is unknown pays nothing.
func (f *Facts) FundsOf(budgetID string) Funds {
	i, ok := slices.BinarySearchFunc(f.Budgets, budgetID, func(b Funds, id string) int { return strings.Compare(b.BudgetID, id) })
	if !ok {
		return Funds{BudgetID: budgetID}
	}
	return f.Budgets[i]
}
