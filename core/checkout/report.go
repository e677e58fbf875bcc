package checkout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Outcomes of an exposure.
const (
	OutcomeRedeemed      = "redeemed"
	OutcomeShownNotTaken = "shown_not_taken"
)

// Exposure is an offer that was shown before a sale, and what became of it.
type Exposure struct {
	OfferID    string    `json:"offer_id"`
	TraceID    string    `json:"decision_trace_id"` // of the decision that showed it
	Outcome    string    `json:"outcome"`
	ShownAt    time.Time `json:"shown_at"`
	ReportedAt time.Time `json:"-"`
}

// AttributionReport is what partners reported about a sale. It stands beside
// the transaction, which never changes (rule 54), and only ever grows.
type AttributionReport struct {
	ID            string // atb_
	Tenant        tenancy.Tenant
	TransactionID string
	Exposures     []Exposure // by offer, then trace
	CreatedAt     time.Time
}

// Find is the exposure of an offer by a decision, or nil.
func (r *AttributionReport) Find(offerID, traceID string) *Exposure {
	for i := range r.Exposures {
		if e := &r.Exposures[i]; e.OfferID == offerID && e.TraceID == traceID {
			return e
		}
	}
	return nil
}

// Redeemed is the exposure that an offer's redemption is tied to, or nil.
func (r *AttributionReport) Redeemed(offerID string) *Exposure {
	for i := range r.Exposures {
		if e := &r.Exposures[i]; e.OfferID == offerID && e.Outcome == OutcomeRedeemed {
			return e
		}
	}
	return nil
}

// Add puts exposures where they belong in the order of the report.
func (r *AttributionReport) Add(more ...Exposure) {
	r.Exposures = append(r.Exposures, more...)
	slices.SortFunc(r.Exposures, func(a, b Exposure) int {
		return cmp.Or(strings.Compare(a.OfferID, b.OfferID), strings.Compare(a.TraceID, b.TraceID))
	})
}

// CreditedOffer is an exposure with its part in the sale, and why.
type CreditedOffer struct {
	AttributedOffer
	Card decision.Card
}

// Credit gives an exposure its part in the sale. The offers that the sale
// redeemed share its total by their discounts, or evenly where none took
// anything off; what was shown and not taken has no part. It depends on the sale
// alone, so that no order and no number of reports changes it.
func (t Transaction) Credit(e Exposure) CreditedOffer {
	parts := t.parts()
	c := CreditedOffer{AttributedOffer: AttributedOffer{OfferID: e.OfferID, TraceID: e.TraceID, Outcome: e.Outcome}}
	facts := map[string]any{"total_minor": t.TotalMinor, "redeemed_offers": len(parts)}
	at := slices.IndexFunc(parts, func(p part) bool { return p.offerID == e.OfferID })
	switch {
	case e.Outcome != OutcomeRedeemed || at < 0:
		c.Card.Rule, c.Card.Summary = "attribution.shown_not_taken", "It was shown before this sale and not taken: no part of the total is credited to it."
	default:
		c.AttributedMinor, c.DiscountMinor = parts[at].credited, parts[at].discount
		c.Card.Rule = "attribution.redeemed_by_discount"
		facts["discount_minor"], facts["attributed_minor"] = c.DiscountMinor, c.AttributedMinor
		c.Card.Summary = fmt.Sprintf("It was redeemed in this sale, one of %d offers that share the total of %s by what each took off: %s is its part.",
			len(parts), money.Text(t.TotalMinor, t.Currency), money.Text(c.AttributedMinor, t.Currency))
		if len(parts) == 1 {
			c.Card.Summary = fmt.Sprintf("It was redeemed in this sale, the only offer that was: the whole total of %s is its part.", money.Text(t.TotalMinor, t.Currency))
		}
	}
	c.Card.Facts, _ = json.Marshal(facts) // names and integers always marshal
	return c
}

// part is an offer's part in a sale.
type part struct {
	offerID            string
	discount, credited int64
}

// parts splits the total over the offers that the sale redeemed, exactly.
func (t Transaction) parts() []part {
	var parts []part
	for _, o := range t.Offers {
		at := slices.IndexFunc(parts, func(p part) bool { return p.offerID == o.OfferID })
		if at < 0 {
			at, parts = len(parts), append(parts, part{offerID: o.OfferID})
		}
		parts[at].discount += o.DiscountMinor
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(b.discount, a.discount), strings.Compare(a.offerID, b.offerID))
	})
	weights := make([]int64, len(parts))
	for i, p := range parts {
		weights[i] = p.discount
		if parts[0].discount == 0 { // gifts, points: none took anything off
			weights[i] = 1
		}
	}
	for i, credited := range money.Split(t.TotalMinor, weights) {
		parts[i].credited = credited
	}
	return parts
}
