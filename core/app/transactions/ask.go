package transactions

import (
	"context"
	"encoding/json"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// settings are the merchant's settings as the actuators of a sale get them.
type settings struct {
	CashbackBP         int64 `json:"cashback_bp"`
	CashbackExpiryDays int   `json:"cashback_expiry_days"`
}

// saleFacts are what the actuators of a sale get to know beside its amount.
// They hold ids, never phone, name or e-mail.
type saleFacts struct {
	TransactionID string       `json:"transaction_id"`
	Channel       string       `json:"channel,omitempty"`
	BranchID      string       `json:"branch_id,omitempty"`
	Tenders       []tenderFact `json:"tenders"`
	Lines         []lineFact   `json:"lines,omitempty"`              // for cashback
	Offers        []offerFact  `json:"offers,omitempty"`             // for attribution
	TraceIDs      []string     `json:"decision_trace_ids,omitempty"` // for attribution
}

type tenderFact struct {
	Type        string `json:"type"`
	AmountMinor int64  `json:"amount_minor"`
}

type lineFact struct {
	SKU        string `json:"sku"`
	Category   string `json:"category,omitempty"`
	Quantity   int64  `json:"quantity"`
	TotalMinor int64  `json:"total_minor"`
}

// offerFact is an offer that the session was shown.
type offerFact struct {
	OfferID         string `json:"offer_id"`
	Exposed         bool   `json:"exposed"`
	Applied         bool   `json:"applied,omitempty"`
	DiscountMinor   int64  `json:"discount_minor,omitempty"`
	DecisionTraceID string `json:"decision_trace_id,omitempty"`
}

// Ask gives the rulings that a sale calls for, pending: cashback for an
// identified customer whose wallet is in the currency of the sale (whatever the
// tender, rule 27), attribution for every sale, and what the merchant's own
// actuators decide.
func (s *Service) Ask(ctx context.Context, st app.Stores, tx checkout.Transaction, set tenancy.Settings) ([]checkout.Ruling, error) {
	earns, err := earns(ctx, st, tx)
	if err != nil {
		return nil, err
	}
	return s.ask(ctx, st, tx, set, earns)
}

// ask is Ask where it is known whether the sale can earn cashback.
func (s *Service) ask(ctx context.Context, st app.Stores, tx checkout.Transaction, set tenancy.Settings, earns bool) ([]checkout.Ruling, error) {
	facts := factsOf(tx)
	var rulings []checkout.Ruling
	if earns {
		mine := facts
		mine.Lines = lines(tx)
		r, err := s.ruling(actuation.KindCashback, tx, set, mine)
		if err != nil {
			return nil, err
		}
		r.PercentBP = set.CashbackBP
		r.Snapshot.Allowance = actuation.Allowance{
			MaxGrantMinor: money.BasisPoints(tx.TotalMinor, set.CashbackBP), Sources: []string{string(ledger.SourceCashback)},
		}
		rulings = append(rulings, r)
	}
	var err error
	if facts.Offers, facts.TraceIDs, err = shown(ctx, st, tx); err != nil {
		return nil, err
	}
	r, err := s.ruling(actuation.KindAttribution, tx, set, facts)
	if err != nil {
		return nil, err
	}
	return s.askOwn(ctx, st, tx, append(rulings, r))
}

// factsOf are the facts that every actuator of a sale gets.
func factsOf(tx checkout.Transaction) saleFacts {
	facts := saleFacts{TransactionID: tx.ID, Channel: tx.Channel, BranchID: tx.BranchID, Tenders: []tenderFact{}}
	for _, t := range tx.Tenders {
		facts.Tenders = append(facts.Tenders, tenderFact{t.Type, t.AmountMinor})
	}
	return facts
}

func lines(tx checkout.Transaction) []lineFact {
	var out []lineFact
	for _, l := range tx.Lines {
		out = append(out, lineFact{l.SKU, l.Category, l.Quantity, l.TotalMinor})
	}
	return out
}

// earns reports whether the sale can earn cashback at all.
func earns(ctx context.Context, st app.Stores, tx checkout.Transaction) (bool, error) {
	if tx.Buyer.CustomerID == "" {
		return false, nil
	}
	b, err := st.Ledger.Balance(ctx, tx.Tenant, tx.Buyer.CustomerID)
	if fault.Is(err, fault.CodeNotFound) {
		return true, nil // the wallet is opened with the grant
	}
	return b.Currency == tx.Currency, err
}

// shown lists the offers that the session was shown, and the traces behind them.
func shown(ctx context.Context, st app.Stores, tx checkout.Transaction) ([]offerFact, []string, error) {
	if tx.SessionID == "" {
		return nil, nil, nil
	}
	evaluated, err := st.Decisions.Counterfactuals(ctx, tx.Tenant, tx.SessionID)
	if err != nil {
		return nil, nil, err
	}
	var offers []offerFact
	var traces []string
	position, traced := map[string]int{}, map[string]bool{}
	for _, c := range evaluated {
		if !traced[c.TraceID] {
			traced[c.TraceID] = true
			traces = append(traces, c.TraceID)
		}
		if _, seen := position[c.OfferID]; !seen && c.Outcome != "withheld" {
			position[c.OfferID] = len(offers)
			offers = append(offers, offerFact{OfferID: c.OfferID, Exposed: true, DecisionTraceID: c.TraceID})
		}
	}
	for _, o := range tx.Offers {
		i, seen := position[o.OfferID]
		if !seen {
			i = len(offers)
			position[o.OfferID] = i
			offers = append(offers, offerFact{OfferID: o.OfferID, DecisionTraceID: o.TraceID})
		}
		offers[i].Applied = true
		offers[i].DiscountMinor += o.DiscountMinor
		if o.TraceID != "" {
			offers[i].DecisionTraceID = o.TraceID
		}
	}
	return offers, traces, nil
}

func (s *Service) ruling(kind actuation.Kind, tx checkout.Transaction, set tenancy.Settings, facts saleFacts) (checkout.Ruling, error) {
	rawFacts, err := json.Marshal(facts)
	if err != nil {
		return checkout.Ruling{}, fault.Internal(err)
	}
	rawSettings, err := json.Marshal(settings{set.CashbackBP, set.CashbackExpiryDays})
	if err != nil {
		return checkout.Ruling{}, fault.Internal(err)
	}
	r := checkout.Ruling{
		TransactionID: tx.ID, Tenant: tx.Tenant, Kind: kind, State: checkout.Pending,
		DecisionID: s.IDs.Make(ids.Decision), TraceID: s.IDs.Make(ids.Trace), CreatedAt: tx.CreatedAt,
	}
	r.Snapshot = s.snapshot(r.DecisionID, kind, tx)
	r.Snapshot.Settings, r.Snapshot.Facts = rawSettings, rawFacts
	return r, nil
}

// snapshot is the part of a sale's snapshot that is the same for every actuator.
func (s *Service) snapshot(id string, kind actuation.Kind, tx checkout.Transaction) actuation.Snapshot {
	return actuation.Snapshot{
		ID: id, Kind: kind, PartnerID: tx.Tenant.PartnerID, MerchantID: tx.Tenant.MerchantID, Mode: tx.Tenant.Mode,
		CustomerID: tx.Buyer.CustomerID, SessionID: tx.SessionID, Currency: money.Currency(tx.Currency), At: tx.CreatedAt,
		AmountMinor: tx.TotalMinor, Wallet: actuation.Wallet{Verified: tx.Buyer.State == "VERIFIED"},
	}
}
