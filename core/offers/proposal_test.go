package offers_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// TestProposalsBecomeSoundOffers holds that whatever passes as a proposal
// becomes an offer that a merchant could have laid down, in nobody's catalogue,
// or a grant within what was said.
func TestProposalsBecomeSoundOffers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := offers.Proposal{
			Kind:      rapid.SampledFrom([]offers.ProposalKind{offers.ProposeUpsell, offers.ProposeRecovery, offers.ProposeGoodwill}).Draw(t, "kind"),
			SessionID: rapid.SampledFrom([]string{"", "cs_1"}).Draw(t, "session"), Title: "t", Currency: "USD", OfferID: "off_1",
			CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
			Value: offers.Value{
				Type: rapid.SampledFrom([]offers.ValueType{offers.ValueAmount, offers.ValuePercent, offers.ValueFreeItem, offers.ValuePoints, offers.ValueCashback}).Draw(t, "type"),
				Per:  rapid.SampledFrom([]offers.Per{"", offers.PerUnit, offers.PerLine, offers.PerBasket}).Draw(t, "per"),

				AmountMinor: rapid.SampledFrom([]int64{0, 70}).Draw(t, "amount"), PercentBP: rapid.SampledFrom([]int64{0, 500}).Draw(t, "rate"),
				Points: rapid.SampledFrom([]int64{0, 5}).Draw(t, "points"), MaxDiscountMinor: rapid.SampledFrom([]int64{0, 50}).Draw(t, "ceiling"),
			},
		}
		if err := p.Validate(); err != nil {
			if !fault.Is(err, fault.CodeValidationFailed) {
				t.Fatal(err)
			}
			return
		}
		if p.SessionID == "" {
			if grant, err := p.GrantMinor(); err != nil || grant < 1 || grant > p.Value.AmountMinor || p.Value.MaxDiscountMinor > 0 && grant > p.Value.MaxDiscountMinor {
				t.Fatalf("%+v becomes a grant of %d, %v", p.Value, grant, err)
			}
			return
		}
		if o := p.Offer(); o.Definition.Validate() != nil || o.Status != offers.Archived || o.Version != 1 {
			t.Fatalf("%+v becomes %+v: %v", p, o, o.Definition.Validate())
		}
	})
}

// TestProposalStates holds when a proposal can be decided.
func TestProposalStates(t *testing.T) {
	t.Parallel()
	for want, p := range map[fault.Code]offers.Proposal{
		"":                      {State: offers.ProposalOpen, ExpiresAt: noon.Add(time.Microsecond)},
		fault.CodeOfferExpired:  {State: offers.ProposalOpen, ExpiresAt: noon},
		fault.CodeStateConflict: {State: offers.ProposalAccepted, ExpiresAt: noon},
	} {
		if err := p.Open(noon); (err == nil) != (want == "") || err != nil && !fault.Is(err, want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
	swept := offers.Proposal{State: offers.ProposalExpired, ExpiresAt: noon.Add(time.Hour)}
	if err := swept.Open(noon); !fault.Is(err, fault.CodeOfferExpired) {
		t.Errorf("once swept: %v", err)
	}
}
