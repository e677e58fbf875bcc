package shape

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"buf.build/go/protovalidate"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/offers"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// whole is a definition with every member set that its kind allows.
func whole() offers.Definition {
	starts, ends := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	return offers.Definition{
		Kind: offers.ItemDiscount, Name: "n", Title: "t", Description: "d", Currency: "USD",
		Value: offers.Value{Type: offers.ValuePercent, PercentBP: 1250, Per: offers.PerLine, MaxDiscountMinor: 500},
		Targets: offers.Targets{
			SKUs: []string{"A"}, Categories: []string{"coffee"}, ExcludeSKUs: []string{"B"}, ExcludeCategories: []string{"tea"},
			Segments: []string{"s"}, Tiers: []string{"gold"},
		},
		Conditions: offers.Conditions{
			MinBasketMinor: 1000, MinQuantity: 2, Days: []string{"monday"}, TimeWindow: &offers.TimeWindow{From: 22 * 60, To: 24 * 60},
			Channels: []string{"in_store"}, BranchIDs: []string{"brn_1"}, CustomerStates: []string{"VERIFIED"}, NewCustomersOnly: true, Rule: "true",
		},
		Limits:   offers.Limits{PerCustomer: 1, Total: 2, PerSession: 3, PerDay: 4, PerCustomerPerDay: 5},
		Stacking: offers.Stacking{Group: "g", Alone: true, Exclusive: true, Priority: -7},
		Funding:  offers.Funding{BudgetID: "bud_1", FundedBy: "brand"},
		Window:   offers.Window{StartsAt: &starts, EndsAt: &ends}, Redemption: []string{offers.MethodApply},
	}
}

// TestDefinitionRoundTrip holds that what is read back, sent again, is the
// same Definition, and that both are valid by the contract.
func TestDefinitionRoundTrip(t *testing.T) {
	t.Parallel()
	bare := offers.Definition{
		Kind: offers.FreeItem, Title: "t", Value: offers.Value{Type: offers.ValueFreeItem}, Targets: offers.Targets{BasketWide: true},
	}.Normal()
	for name, d := range map[string]offers.Definition{"whole": whole(), "bare": bare} {
		if err := d.Validate(); err != nil {
			t.Fatal(name, err)
		}
		message := Definition(offers.Offer{ID: "off_1", Version: 1, Status: offers.Active, Definition: d}, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC))
		if message.GetStatus() != "active" {
			t.Errorf("%s is %s", name, message.GetStatus())
		}
		req := Flat(message, &partnerv1.CreateOfferRequest{
			Meta: &partnerv1.RequestMeta{ApiVersion: "2026-06-01"}, Context: &partnerv1.RequestContext{MerchantId: "mer_1"},
		})
		if d.Currency == "" {
			req.Currency = nil
		}
		req.Status = nil
		if err := protovalidate.Validate(req); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(d, DefinitionOf(req)); diff != "" {
			t.Errorf("%s (-laid down +read back):\n%s", name, diff)
		}
	}
}

// TestFeedMessage holds the members of a feed that clients depend on.
func TestFeedMessage(t *testing.T) {
	t.Parallel()
	card := decision.Card{Summary: "s", Rule: "r", Facts: json.RawMessage(`{"n":1}`)}
	o := Shown(&offers.Shown{
		OfferID: "off_1", Version: 2, Kind: offers.ItemDiscount, Title: "t", Value: offers.Worth{Type: offers.ValueAmount, AmountMinor: 100},
		AppliesTo: []offers.Share{{LineID: "1", DiscountMinor: 100}}, Redemption: []string{"apply"}, Rank: 1, Card: card,
	}, "apl_1")
	if o.GetValue().GetAmountMinor() != 100 || o.GetAppliesTo()[0].GetLineId() != "1" || o.GetRank() != 1 || o.GetApplicationId() != "apl_1" ||
		o.GetReasoning().GetFacts().GetFields()["n"].GetNumberValue() != 1 || o.ExpiresAt != nil || o.Value.PercentBp != nil {
		t.Errorf("%v", o)
	}
	w := Withheld(&offers.Withheld{OfferID: "off_2", Reason: offers.MinBasketNotMet, Card: card})
	if w.GetReason() != "MIN_BASKET_NOT_MET" || w.GetReasoning().GetSummary() != "s" {
		t.Errorf("%v", w)
	}
}

// TestRulingMessage holds that a pending decision says so and that a broken
// card does not break the answer.
func TestRulingMessage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	tx := checkout.Transaction{Currency: "USD", SessionID: "cs_1"}
	pending := Ruling(checkout.Ruling{DecisionID: "dec_1", Kind: "cashback", State: checkout.Pending, CreatedAt: at}, tx, nil)
	if pending.GetReasoning().GetRule() != "actuator.pending" || pending.Actuator != nil || pending.CustomerId != nil || !pending.GetCreatedAt().AsTime().Equal(at) {
		t.Errorf("%v", pending)
	}
	decided := checkout.Ruling{State: checkout.Committed, Actuator: "attribution", ActuatorVersion: "1.0.0", Offers: []checkout.AttributedOffer{{OfferID: "off_0"}, {OfferID: "off_1", AttributedMinor: 5}}}
	decided.Plan.Reasoning.Facts = json.RawMessage(`[1]`)
	d := Ruling(decided, tx, &partnerv1.Grant{GrantId: "grt_1", CreatedAt: timestamppb.New(at)})
	if d.GetActuator().GetName() != "attribution" || d.GetOfferId() != "off_1" || d.GetReasoning().GetFacts() == nil || d.GetGrant().GetGrantId() != "grt_1" {
		t.Errorf("%v", d)
	}
}
