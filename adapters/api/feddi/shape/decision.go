package shape

import (
	"encoding/json"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Reasoning is a reasoning card. facts is a JSON object, proven when it was
// stored; one that is none after all shows as the empty object.
func Reasoning(summary, rule string, facts json.RawMessage) *partnerv1.Reasoning {
	object, err := Struct(facts)
	if err != nil {
		object = &structpb.Struct{Fields: map[string]*structpb.Value{}}
	}
	return &partnerv1.Reasoning{Summary: summary, Rule: rule, Facts: object}
}

func cardMessage(c decision.Card) *partnerv1.Reasoning { return Reasoning(c.Summary, c.Rule, c.Facts) }

// Ruling is a decision about a sale. grant is the credit it gave, or nil.
func Ruling(r checkout.Ruling, tx checkout.Transaction, grant *partnerv1.Grant) *partnerv1.Decision {
	d := &partnerv1.Decision{
		DecisionId: r.DecisionID, Kind: string(r.Kind), State: string(r.State), AmountMinor: r.AmountMinor, Currency: tx.Currency,
		SessionId: Optional(tx.SessionID), CustomerId: Optional(tx.Buyer.CustomerID), Grant: grant,
		Reasoning:       Reasoning(r.Plan.Reasoning.Summary, r.Plan.Reasoning.Rule, r.Plan.Reasoning.Facts),
		DecisionTraceId: r.TraceID, CreatedAt: timestamppb.New(r.CreatedAt),
	}
	if r.State == checkout.Pending {
		d.Reasoning = Reasoning("Its actuator has not answered yet; it is asked again.", "actuator.pending", nil)
	}
	if r.Actuator != "" {
		d.Actuator = &partnerv1.DecisionActuator{Name: r.Actuator, Version: r.ActuatorVersion}
	}
	for _, o := range r.Offers {
		if o.AttributedMinor > 0 {
			d.OfferId = Optional(o.OfferID)
			break
		}
	}
	return d
}
