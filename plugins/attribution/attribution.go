// Package attribution is the first-party actuator that records what led to a
// sale: which offers were shown and applied, with a weight each, so that
// exposure, redemption and report can be linked by the decision traces.
package attribution

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// Models of weighting, in the order in which they are tried.
const (
	// ModelApplied: offers that were applied share the sale by their discount.
	ModelApplied = "applied_by_discount"
	// ModelExposed: none was applied; those that were shown share it evenly.
	ModelExposed = "exposed_evenly"
	// ModelOrganic: nothing was shown; the sale is nobody's.
	ModelOrganic = "organic"
)

// whole is the weight of a whole sale, in basis points.
const whole = 10_000

// Bounds of a record, so that it fits an effect. Applied offers come first, and
// what is left out is counted.
const (
	maxOffers  = 30
	maxTenders = 20
	maxTraces  = 60
)

// Attribution is the actuator. The zero value is ready for use.
type Attribution struct{}

// Facts is what it reads of the snapshot's facts; other members are ignored.
type Facts struct {
	TransactionID    string   `json:"transaction_id,omitempty"`
	Channel          string   `json:"channel,omitempty"`
	Offers           []Offer  `json:"offers,omitempty"`
	Tenders          []Tender `json:"tenders,omitempty"`
	DecisionTraceIDs []string `json:"decision_trace_ids,omitempty"`
}

// Offer is one offer that was evaluated in the session.
type Offer struct {
	OfferID         string `json:"offer_id"`
	Exposed         bool   `json:"exposed,omitempty"` // shown to the customer or the cashier
	Applied         bool   `json:"applied,omitempty"`
	DiscountMinor   int64  `json:"discount_minor,omitempty"` // what it took off, where applied
	DecisionTraceID string `json:"decision_trace_id,omitempty"`
}

// Tender is one way in which the sale was paid.
type Tender struct {
	Type        string `json:"type"`
	AmountMinor int64  `json:"amount_minor"`
}

// Record is the data of the attribution.record effect.
type Record struct {
	Model            string          `json:"model"`
	TransactionID    string          `json:"transaction_id,omitempty"`
	SessionID        string          `json:"session_id,omitempty"`
	Channel          string          `json:"channel,omitempty"`
	TotalMinor       int64           `json:"total_minor"`
	Currency         string          `json:"currency"`
	Offers           []Credit        `json:"offers"`
	OffersLeftOut    int             `json:"offers_left_out,omitempty"`
	Tenders          []WeightedShare `json:"tenders"`
	DecisionTraceIDs []string        `json:"decision_trace_ids"`
}

// Credit is an offer's part in the sale.
type Credit struct {
	OfferID         string `json:"offer_id"`
	Role            string `json:"role"` // applied or exposed
	WeightBP        int64  `json:"weight_bp"`
	CreditedMinor   int64  `json:"credited_minor"` // its part of the total
	DiscountMinor   int64  `json:"discount_minor,omitempty"`
	DecisionTraceID string `json:"decision_trace_id,omitempty"`
}

// WeightedShare is a tender with its part of what was paid.
type WeightedShare struct {
	Type        string `json:"type"`
	AmountMinor int64  `json:"amount_minor"`
	ShareBP     int64  `json:"share_bp"`
}

// Describe implements sdk.Actuator.
func (Attribution) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "attribution", Version: "1.0.0",
		DecisionKinds: []sdk.Kind{sdk.KindAttribution},
		EffectKinds:   []sdk.EffectKind{sdk.EffectAttribution},
		TimeLimit:     500 * time.Millisecond,
		Policy:        sdk.Optional,
		Description:   "Records which offers led to a sale, with a weight for each.",
	}
}

// Plan implements sdk.Actuator: one attribution.record effect whose weights sum
// to 10000 basis points, or to 0 for an organic sale.
func (Attribution) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	var facts Facts
	if err := s.DecodeFacts(&facts); err != nil {
		return sdk.Plan{}, err
	}
	record := Attribute(s, facts)
	data, err := json.Marshal(record)
	if err != nil {
		return sdk.Plan{}, err
	}
	card, err := json.Marshal(map[string]any{"model": record.Model, "offers": len(record.Offers) + record.OffersLeftOut, "tenders": len(record.Tenders)})
	return sdk.Plan{
		SnapshotID: s.ID, Effects: []sdk.Effect{sdk.Attribution(data)},
		Reasoning: sdk.Reasoning{Summary: summary(record), Rule: "attribution." + record.Model, Facts: card},
	}, err
}

// Attribute makes the record of a sale.
func Attribute(s sdk.Snapshot, facts Facts) Record {
	credits, model := credit(facts.Offers, s.AmountMinor)
	record := Record{
		Model: model, TransactionID: facts.TransactionID, SessionID: s.SessionID, Channel: facts.Channel,
		TotalMinor: s.AmountMinor, Currency: s.Currency, Offers: credits, Tenders: shares(facts.Tenders),
		DecisionTraceIDs: traces(facts),
	}
	if extra := len(credits) - maxOffers; extra > 0 {
		record.Offers, record.OffersLeftOut = credits[:maxOffers], extra
	}
	return record
}

// credit weighs the offers, applied ones first and in a fixed order.
func credit(offers []Offer, total int64) ([]Credit, string) {
	seen := slices.DeleteFunc(slices.Clone(offers), func(o Offer) bool { return !o.Applied && !o.Exposed })
	if len(seen) == 0 {
		return []Credit{}, ModelOrganic
	}
	slices.SortStableFunc(seen, func(a, b Offer) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(b.DiscountMinor, a.DiscountMinor), cmp.Compare(a.OfferID, b.OfferID))
	})
	model := ModelExposed
	if seen[0].Applied {
		model = ModelApplied
	}
	weights := weigh(seen, model)
	basis, parts := sdk.Split(whole, weights), sdk.Split(total, weights)
	credits := make([]Credit, len(seen))
	for i, o := range seen {
		credits[i] = Credit{OfferID: o.OfferID, Role: "exposed", WeightBP: basis[i], CreditedMinor: parts[i], DecisionTraceID: o.DecisionTraceID}
		if o.Applied {
			credits[i].Role, credits[i].DiscountMinor = "applied", o.DiscountMinor
		}
	}
	return credits, model
}

func rank(o Offer) int {
	if o.Applied {
		return 0
	}
	return 1
}

// weigh gives each offer its weight. Applied offers that took nothing off (a
// gift, points) count evenly among themselves where none did.
func weigh(offers []Offer, model string) []int64 {
	weights := make([]int64, len(offers))
	discounted := slices.ContainsFunc(offers, func(o Offer) bool { return o.Applied && o.DiscountMinor > 0 })
	for i, o := range offers {
		switch {
		case model == ModelExposed, o.Applied && !discounted:
			weights[i] = 1
		case o.Applied:
			weights[i] = max(o.DiscountMinor, 0)
		}
	}
	return weights
}

func shares(tenders []Tender) []WeightedShare {
	tenders = tenders[:min(len(tenders), maxTenders)]
	amounts := make([]int64, len(tenders))
	for i, t := range tenders {
		amounts[i] = t.AmountMinor
	}
	basis := sdk.Split(whole, amounts)
	out := make([]WeightedShare, len(tenders))
	for i, t := range tenders {
		out[i] = WeightedShare{Type: t.Type, AmountMinor: t.AmountMinor, ShareBP: basis[i]}
	}
	return out
}

// traces lists every decision trace of the sale once, in the order given.
func traces(facts Facts) []string {
	out := []string{}
	add := func(id string) {
		if id != "" && len(out) < maxTraces && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, id := range facts.DecisionTraceIDs {
		add(id)
	}
	for _, o := range facts.Offers {
		add(o.DecisionTraceID)
	}
	return out
}

func summary(r Record) string {
	applied := 0
	for _, c := range r.Offers {
		if c.Role == "applied" {
			applied++
		}
	}
	switch r.Model {
	case ModelOrganic:
		return "No offer was shown; the sale is counted as organic."
	case ModelExposed:
		return fmt.Sprintf("No offer was used; the %s shown get the sale in equal parts.", offers(len(r.Offers)+r.OffersLeftOut))
	default:
		return fmt.Sprintf("The sale is credited to the %s used, in proportion to what each took off.", offers(applied))
	}
}

func offers(n int) string {
	if n == 1 {
		return "1 offer"
	}
	return fmt.Sprintf("%d offers", n)
}
