package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
)

// engine names what replays the traces of sales: the actuators, each at the
// version that its decision names.
const engine = "actuators/1"

// questions and answers are the inputs and outputs of a trace.
type questions struct {
	Snapshots []actuation.Snapshot `json:"snapshots"`
}

type answers struct {
	Plans []actuation.Plan `json:"plans"`
}

// Plan asks the actuators of pending rulings, outside of any transaction.
// Those that answered come back decided, under the trace of the sale; the
// others stay pending and are asked again later. Errors: ACTUATOR_UNAVAILABLE
// where one that declares itself required does not answer.
func (s *Service) Plan(ctx context.Context, rulings []checkout.Ruling, traceID string, now time.Time) ([]checkout.Ruling, error) {
	out := make([]checkout.Ruling, len(rulings))
	for i, o := range s.Planner.Plan(ctx, snapshots(rulings)) {
		out[i] = rulings[i]
		switch {
		case o.Err == nil:
			out[i] = rulings[i].Decided(o.Plan, o.Actuator, now)
			out[i].TraceID = traceID
		case o.Actuator.Policy == actuation.Required:
			return nil, o.Err
		}
	}
	return out, nil
}

func snapshots(rulings []checkout.Ruling) []actuation.Snapshot {
	batch := make([]actuation.Snapshot, len(rulings))
	for i, r := range rulings {
		batch[i] = r.Snapshot
	}
	return batch
}

// trace is the trace of the rulings that are decided, with their decisions.
func trace(id string, tx checkout.Transaction, rulings []checkout.Ruling, now time.Time) (decision.Trace, []decision.Decision, error) {
	asked, told := questions{[]actuation.Snapshot{}}, answers{[]actuation.Plan{}}
	var decisions []decision.Decision
	for _, r := range rulings {
		if r.State == checkout.Pending {
			continue
		}
		d, err := taken(r, tx)
		if err != nil {
			return decision.Trace{}, nil, err
		}
		asked.Snapshots, told.Plans, decisions = append(asked.Snapshots, r.Snapshot), append(told.Plans, r.Plan), append(decisions, d)
	}
	inputs, err := json.Marshal(asked)
	outputs, err2 := json.Marshal(told)
	if err := errors.Join(err, err2); err != nil {
		return decision.Trace{}, nil, fault.Internal(err)
	}
	return decision.Trace{
		ID: id, Tenant: tx.Tenant, Kind: "sale", SessionID: tx.SessionID, CustomerID: tx.Buyer.CustomerID,
		Engine: engine, Inputs: inputs, Outputs: outputs, At: now,
	}, decisions, nil
}

// taken is a decided ruling as the log of decisions keeps it.
func taken(r checkout.Ruling, tx checkout.Transaction) (decision.Decision, error) {
	plan, err := json.Marshal(r.Plan)
	if err != nil {
		return decision.Decision{}, fault.Internal(err)
	}
	d := decision.Decision{
		ID: r.DecisionID, Tenant: r.Tenant, TraceID: r.TraceID, Kind: string(r.Kind), SessionID: tx.SessionID,
		CustomerID: tx.Buyer.CustomerID, GrantID: r.GrantID, AmountMinor: r.AmountMinor, State: "taken",
		Actuator: r.Actuator, ActuatorVersion: r.ActuatorVersion, Card: Card(r), Plan: plan, At: *r.DecidedAt,
	}
	if r.State == checkout.Refused {
		d.State = "declined"
	}
	if len(r.Offers) > 0 {
		d.OfferID = r.Offers[0].OfferID
	}
	return d, nil
}

// Card is the reasoning card of a ruling, pending ones included.
func Card(r checkout.Ruling) decision.Card {
	if r.State == checkout.Pending {
		return decision.Card{
			Summary: "The " + string(r.Kind) + " of this sale is decided as soon as its actuator answers; nothing is lost.",
			Rule:    "actuation.pending", Facts: json.RawMessage(`{}`),
		}
	}
	c := decision.Card{Summary: r.Plan.Reasoning.Summary, Rule: r.Plan.Reasoning.Rule, Facts: r.Plan.Reasoning.Facts}
	if len(c.Facts) == 0 {
		c.Facts = json.RawMessage(`{}`)
	}
	return c
}

// Replay asks the actuators of a sale's trace again and gives nil where they
// plan the same, byte for byte. Errors: *decision.Mismatch; what kept an
// actuator from answering.
func (s *Service) Replay(ctx context.Context, tr decision.Trace) error {
	return decision.Replay(ctx, tr, func(ctx context.Context, inputs json.RawMessage) (json.RawMessage, error) {
		var asked questions
		if err := json.Unmarshal(inputs, &asked); err != nil {
			return nil, err
		}
		told := answers{[]actuation.Plan{}}
		for _, o := range s.Planner.Plan(ctx, asked.Snapshots) {
			if o.Err != nil {
				return nil, o.Err
			}
			told.Plans = append(told.Plans, o.Plan)
		}
		return json.Marshal(told)
	})
}
