package proposals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// Engine names what decides about proposals, and its version.
const Engine = "proposals/1"

// TraceKind is the kind of a proposal's trace.
const TraceKind = "proposal"

// question is everything that a proposal is decided from: the inputs of its
// trace. What somebody wrote by hand is not among them: it may name a person.
type question struct {
	Engine    string              `json:"engine"`
	Kind      offers.ProposalKind `json:"kind"`
	Value     offers.Value        `json:"value"`
	Currency  string              `json:"currency"`
	OfferID   string              `json:"offer_id"`
	CreatedAt time.Time           `json:"at"`
	Budget    *offers.Funds       `json:"budget,omitempty"`
	// Facts are those of the session; outside of one, the customer alone.
	Facts offers.Facts `json:"facts"`
}

// reply is what is decided: the outputs of the trace. Offers has the form that
// a feed's outputs have, so that exposures of both are told alike.
type reply struct {
	Offers   []shown       `json:"offers"`
	Withheld offers.Reason `json:"withheld,omitempty"` // why it could not be taken as things stood
	Card     decision.Card `json:"reasoning"`
}

type shown struct {
	OfferID string       `json:"offer_id"`
	Value   offers.Worth `json:"value"`
}

// worth is what it would give as things stood, in minor units.
func (r reply) worth() int64 { return r.Offers[0].Value.AmountMinor }

// proposal is the part of a proposal that its offer is made from.
func (q question) proposal() offers.Proposal {
	return offers.Proposal{Kind: q.Kind, Value: q.Value, Currency: q.Currency, OfferID: q.OfferID, CreatedAt: q.CreatedAt}
}

// answer decides. It is a pure function of q.
func (q question) answer(ctx context.Context, rules offers.RuleCompiler) (reply, error) {
	r := reply{Offers: []shown{{OfferID: q.OfferID, Value: offers.Worth{Type: q.Value.Type, PercentBP: q.Value.PercentBP}}}}
	var summary string
	if q.Facts.SessionID == "" {
		grant, err := q.proposal().GrantMinor()
		if err != nil {
			return r, err
		}
		r.Offers[0].Value.AmountMinor = grant
		summary = fmt.Sprintf("Gives %s of credit, whatever the customer buys next.", money.Text(grant, q.Currency))
	} else {
		fits, withheld := engine.Judge(ctx, q.proposal().Offer(), rules, &q.Facts, engine.Ask{})
		if fits != nil {
			r.Offers[0].Value, summary = fits.Value, fits.Card.Summary
		} else {
			r.Withheld, summary = withheld.Reason, "As the basket stands it can't be taken: "+withheld.Card.Summary
		}
	}
	facts := map[string]any{
		"worth_minor": r.worth(), "currency": q.Currency, "customer_state": q.Facts.Customer.State, "earlier_sales": q.Facts.Customer.Transactions,
	}
	if q.Facts.SessionID != "" {
		facts["basket_total_minor"], facts["basket_revision"] = q.Facts.Total, q.Facts.Revision
	}
	if q.Budget != nil {
		facts["budget_available_minor"] = q.Budget.Available
	}
	raw, err := json.Marshal(facts)
	r.Card = decision.Card{Summary: strings.TrimSpace(summary), Rule: "proposal." + string(q.Kind), Facts: raw}
	return r, err
}

func trace(p offers.Proposal, q question, r reply) (decision.Trace, error) {
	inputs, err := json.Marshal(q)
	outputs, err2 := json.Marshal(r)
	if err := errors.Join(err, err2); err != nil {
		return decision.Trace{}, fault.Internal(err)
	}
	return decision.Trace{
		ID: p.TraceID, Tenant: p.Tenant, Kind: TraceKind, SessionID: p.SessionID, CustomerID: p.CustomerID, Engine: Engine,
		Inputs: inputs, Outputs: outputs, At: p.CreatedAt,
	}, nil
}

// Replay decides a proposal's trace again and gives nil where the outputs are
// the same, byte for byte. Errors: *decision.Mismatch.
func (s *Service) Replay(ctx context.Context, tr decision.Trace) error {
	return decision.Replay(ctx, tr, func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
		var q question
		if err := json.Unmarshal(raw, &q); err != nil {
			return nil, err
		}
		if q.Engine != Engine {
			return nil, fmt.Errorf("decided by %s; this binary has %s", q.Engine, Engine)
		}
		r, err := q.answer(ctx, s.Incentives.Rules)
		if err != nil {
			return nil, err
		}
		return json.Marshal(r)
	})
}

// decisionKind is the kind of decision that a proposal is.
func decisionKind(k offers.ProposalKind) string {
	switch k {
	case offers.ProposeUpsell:
		return string(actuation.KindUpsell)
	case offers.ProposeRecovery:
		return string(actuation.KindRecovery)
	case offers.ProposeGoodwill:
	}
	return string(actuation.KindOffer)
}
