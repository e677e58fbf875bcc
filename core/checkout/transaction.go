package checkout

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Transaction is the record of one sale. It is written once, when a session
// closes or a payment stands alone, and never changed (rule 54); what is
// decided about it later stands beside it as Rulings.
type Transaction struct {
	ID     string
	Tenant tenancy.Tenant
	// ReceiptNumber is unique per merchant and rises per branch; the store gives it.
	ReceiptNumber string
	Origin        string
	Channel       string // empty for a payment without a session
	SessionID     string // empty for a payment without a session
	tenancy.Place
	CashierID, Locale string
	Buyer             Buyer
	Currency          string
	// SubtotalMinor - BasketDiscountMinor + TaxMinor - DiscountMinor = TotalMinor.
	SubtotalMinor       int64
	BasketDiscountMinor int64 // given by the till: the basket's and its lines'
	TaxMinor            int64
	DiscountMinor       int64 // taken off by applied offers
	TotalMinor          int64 // what the tenders add up to
	Lines               []Line
	Offers              []AppliedOffer
	Tenders             []Paid
	// TraceID is the decision trace of the close; empty for a payment alone.
	TraceID   string
	CreatedAt time.Time
	// Rulings are the decisions about the sale, as they stand when read.
	Rulings []Ruling
	// Standing is what went back of the sale, as it stands when read.
	Standing Standing
}

// Buyer is whose purchase it was. It holds ids only, so that an erasure leaves
// transactions as they are. CustomerID is empty where nobody identified.
type Buyer struct {
	CustomerID     string
	State          string // PENDING_PROOF or VERIFIED, at the sale
	CredentialType string // empty where a payment identified
	Probationary   bool
}

// AppliedOffer is an offer as it was applied: a copy, because a transaction
// must not change with the offer.
type AppliedOffer struct {
	ApplicationID string       `json:"application_id"`
	OfferID       string       `json:"offer_id"`
	OfferVersion  int64        `json:"offer_version"`
	Kind          string       `json:"kind"`
	Title         string       `json:"title"`
	State         string       `json:"state"` // applied, redeemed, released
	DiscountMinor int64        `json:"discount_minor"`
	Lines         []OfferShare `json:"lines,omitempty"` // empty for the basket as a whole
	TraceID       string       `json:"decision_trace_id,omitempty"`
	AppliedAt     time.Time    `json:"applied_at"`
}

// OfferShare is the part of an offer that falls on one line.
type OfferShare struct {
	LineID        string `json:"line_id"`
	DiscountMinor int64  `json:"discount_minor"`
}

// TenderTypes lists the kinds of tender, each once, in the order of the tenders.
func (t Transaction) TenderTypes() []string {
	types := make([]string, 0, len(t.Tenders))
	for _, p := range t.Tenders {
		if !slices.Contains(types, p.Type) {
			types = append(types, p.Type)
		}
	}
	return types
}

// PaymentIDs lists the wallet payments behind the tenders.
func (t Transaction) PaymentIDs() []string {
	var payments []string
	for _, p := range t.Tenders {
		if p.PaymentID != "" {
			payments = append(payments, p.PaymentID)
		}
	}
	return payments
}

// Ruling returns the decision of kind about the sale, or nil.
func (t Transaction) Ruling(kind actuation.Kind) *Ruling {
	for i := range t.Rulings {
		if t.Rulings[i].Kind == kind {
			return &t.Rulings[i]
		}
	}
	return nil
}

// Movement is what a transaction moved in one money class of its customer.
type Movement struct {
	Class         money.Class
	DebitedMinor  int64
	CreditedMinor int64
	EntryIDs      []string
}

// Movements lists what moved per class, promo first as it is spent; never a
// sum of two classes (rule 22). Classes in which nothing moved are left out.
func (t Transaction) Movements() []Movement {
	promo, actual := Movement{Class: money.Promo}, Movement{Class: money.Actual}
	for _, p := range t.Tenders {
		promo.debit(p.DebitedPromoMinor, p.EntryIDs)
		actual.debit(p.DebitedActualMinor, p.EntryIDs)
	}
	for _, r := range t.Rulings { // cashback, and what the merchant's own actuator gave
		if r.State != Committed || r.Kind == actuation.KindAttribution {
			continue
		}
		promo.CreditedMinor += r.AmountMinor
		if r.EntryID != "" {
			promo.EntryIDs = append(promo.EntryIDs, r.EntryID)
		}
	}
	return slices.DeleteFunc([]Movement{promo, actual}, func(m Movement) bool { return m.DebitedMinor == 0 && m.CreditedMinor == 0 })
}

func (m *Movement) debit(amountMinor int64, entries []string) {
	if amountMinor == 0 {
		return
	}
	m.DebitedMinor += amountMinor
	for _, id := range entries {
		if !slices.Contains(m.EntryIDs, id) {
			m.EntryIDs = append(m.EntryIDs, id)
		}
	}
}

// RulingState is where a decision about a sale stands.
type RulingState string

// The states of a ruling.
const (
	Pending   RulingState = "pending"   // its actuator did not answer yet; it is asked again
	Committed RulingState = "committed" // its effects are written
	Refused   RulingState = "refused"   // its actuator decided that there is nothing to do
)

// Ruling is one decision about a sale that an actuator takes: cashback or
// attribution. While it is pending it holds all that is needed to take it, so
// that it can be taken later with the facts of the sale.
type Ruling struct {
	TransactionID string
	Tenant        tenancy.Tenant
	Kind          actuation.Kind
	State         RulingState
	DecisionID    string
	TraceID       string
	// Snapshot is what the actuator is asked, with the time of the sale.
	Snapshot actuation.Snapshot
	// Plan is what it answered; the zero value while pending.
	Plan                      actuation.Plan
	Actuator, ActuatorVersion string
	// AmountMinor is what was granted, or the total that was attributed.
	AmountMinor int64
	// PercentBP is the merchant's rate at the sale, for cashback: 0 to 10000.
	PercentBP int64
	// GrantID and EntryID are the lot of a cashback and its ledger entry.
	GrantID, EntryID string
	// AttributionID and Offers are the record of an attribution.
	AttributionID string
	Offers        []AttributedOffer
	Attempts      int // times the actuator was asked in the background
	CreatedAt     time.Time
	DecidedAt     *time.Time
}

// AttributedOffer is one offer's part in a sale.
type AttributedOffer struct {
	OfferID         string `json:"offer_id"`
	TraceID         string `json:"decision_trace_id"`
	Outcome         string `json:"outcome"` // redeemed, shown_not_taken
	AttributedMinor int64  `json:"attributed_minor"`
	DiscountMinor   int64  `json:"discount_minor"`
}

// Decided returns the ruling after plan, which must be proven.
func (r Ruling) Decided(plan actuation.Plan, by actuation.Manifest, now time.Time) Ruling {
	r.Plan, r.Actuator, r.ActuatorVersion, r.DecidedAt = plan, by.Name, by.Version, &now
	r.State = Committed
	if plan.Refusal != "" {
		r.State = Refused
	}
	return r
}

// Attributed reads the offers that the sale is credited to from the plan: the
// applied ones of its record are redeemed, the exposed ones were not taken. An
// actuator whose record has another shape credits none.
func (r Ruling) Attributed() []AttributedOffer {
	for _, e := range r.Plan.Effects {
		if e.Kind != actuation.EffectAttribution {
			continue
		}
		var record struct {
			Offers []struct {
				OfferID         string `json:"offer_id"`
				Role            string `json:"role"`
				CreditedMinor   int64  `json:"credited_minor"`
				DiscountMinor   int64  `json:"discount_minor"`
				DecisionTraceID string `json:"decision_trace_id"`
			} `json:"offers"`
		}
		if json.Unmarshal(e.Data, &record) != nil {
			return nil
		}
		var out []AttributedOffer
		for _, o := range record.Offers {
			outcome := "shown_not_taken"
			if o.Role == "applied" {
				outcome = "redeemed"
			}
			out = append(out, AttributedOffer{o.OfferID, o.DecisionTraceID, outcome, o.CreditedMinor, o.DiscountMinor})
		}
		return out
	}
	return nil
}
