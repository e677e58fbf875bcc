// Package checkout is the spine: a session to which identity, basket, offers,
// top-ups, payments and the receipt attach, and the immutable transaction that
// closing it writes (rules 54 to 57).
package checkout

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// State is where a session stands.
type State string

// The session states.
const (
	Open      State = "open"
	Closed    State = "closed"
	Abandoned State = "abandoned"
	Expired   State = "expired"
)

// Session is one interaction. Version guards against lost updates: every
// change raises it by one, and every writer names the one it read.
type Session struct {
	ID       string
	Tenant   tenancy.Tenant
	Version  int64
	State    State
	Currency string
	Origin   string // pos, card_network
	Channel  string // in_store, online, ...
	tenancy.Place
	CashierID, Locale string
	// Identity; CustomerID is empty while anonymous.
	CustomerID     string
	CredentialType string
	Probationary   bool
	// Basket figures of the latest revision; revision 0 is no basket.
	BasketRevision int64
	BasketMinor    int64 // total of the basket before applied offers
	DiscountMinor  int64 // applied offers
	PaidMinor      int64 // succeeded wallet payments
	TransactionID  string
	OpenedAt       time.Time
	ExpiresAt      time.Time
	EndedAt        *time.Time
	EndReason      string
	EndNote        string // why, in the cashier's words
}

// TotalMinor is what tenders must add up to.
func (s Session) TotalMinor() int64 { return s.BasketMinor - s.DiscountMinor }

// DueMinor is what is still to be paid.
func (s Session) DueMinor() int64 { return s.TotalMinor() - s.PaidMinor }

// Live gives nil where the session is open at now, else SESSION_ENDED. A
// session past its expiry counts as ended before the sweep marks it.
func (s Session) Live(now time.Time) error {
	if s.State == Open && now.Before(s.ExpiresAt) {
		return nil
	}
	state := s.State
	if state == Open {
		state = Expired
	}
	return fault.Field(fault.CodeSessionEnded, "session_id", "session_open", "the session is %s; open a new one", state)
}

// Line is one line of a basket. Amounts in minor units; the line total is
// quantity times unit price less discount plus tax.
type Line struct {
	LineID         string          `json:"line_id"`
	SKU            string          `json:"sku"`
	Name           string          `json:"name,omitempty"`
	Category       string          `json:"category,omitempty"`
	Quantity       int64           `json:"quantity"`
	UnitPriceMinor int64           `json:"unit_price_minor"`
	DiscountMinor  int64           `json:"discount_minor,omitempty"`
	TaxMinor       int64           `json:"tax_minor,omitempty"`
	TotalMinor     int64           `json:"total_minor"`
	Attributes     json.RawMessage `json:"attributes,omitempty"`
}

// Basket is one immutable revision of a session's basket.
type Basket struct {
	SessionID     string
	Revision      int64
	Currency      string
	Lines         []Line
	SubtotalMinor int64
	DiscountMinor int64
	TaxMinor      int64
	TotalMinor    int64
	CreatedAt     time.Time
}
