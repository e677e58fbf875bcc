package attribution_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/plugins/attribution"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	sdktest.Exercise(t, func() sdk.Actuator { return attribution.Attribution{} })
}

func TestModels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		offers  []attribution.Offer
		model   string
		weights string
		summary string
	}{
		"organic": {[]attribution.Offer{{OfferID: "a"}}, attribution.ModelOrganic, "", "No offer was shown; the sale is counted as organic."},
		"applied by discount": {[]attribution.Offer{
			{OfferID: "a", Exposed: true}, {OfferID: "b", Exposed: true, Applied: true, DiscountMinor: 100}, {OfferID: "c", Applied: true, DiscountMinor: 300},
		}, attribution.ModelApplied, "c:7500 b:2500 a:0", "The sale is credited to the 2 offers used, in proportion to what each took off."},
		"applied without discount": {[]attribution.Offer{{OfferID: "a", Applied: true}, {OfferID: "b", Applied: true}, {OfferID: "c", Exposed: true}},
			attribution.ModelApplied, "a:5000 b:5000 c:0", "The sale is credited to the 2 offers used, in proportion to what each took off."},
		"exposed evenly": {[]attribution.Offer{{OfferID: "b", Exposed: true}, {OfferID: "a", Exposed: true}, {OfferID: "c", Exposed: true}},
			attribution.ModelExposed, "a:3334 b:3333 c:3333", "No offer was used; the 3 offers shown get the sale in equal parts."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, _ := json.Marshal(attribution.Facts{Offers: c.offers, Channel: "in_store"})
			p, err := attribution.Attribution{}.Plan(t.Context(), sdk.Snapshot{ID: "dec_1", SessionID: "cs_1", AmountMinor: 1175, Currency: "USD", Facts: facts})
			if err != nil {
				t.Fatal(err)
			}
			var r attribution.Record
			if err := json.Unmarshal(p.Effects[0].Data, &r); err != nil {
				t.Fatal(err)
			}
			weights := make([]string, len(r.Offers))
			for i, o := range r.Offers {
				weights[i] = fmt.Sprint(o.OfferID, ":", o.WeightBP)
			}
			if r.Model != c.model || strings.Join(weights, " ") != c.weights || p.Reasoning.Summary != c.summary {
				t.Errorf("%s %v %s", r.Model, weights, p.Reasoning.Summary)
			}
			if r.SessionID != "cs_1" || r.Channel != "in_store" || r.TotalMinor != 1175 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestNothingIsLost: whatever was shown, weights and parts sum to the whole,
// and the record fits an effect.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := attribution.Facts{
			Offers: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) attribution.Offer {
				return attribution.Offer{
					OfferID: rapid.StringMatching(`off_[a-z0-9]{26}`).Draw(t, "id"), Exposed: rapid.Bool().Draw(t, "exposed"), Applied: rapid.Bool().Draw(t, "applied"),
					DiscountMinor: rapid.Int64Range(0, 500).Draw(t, "discount"), DecisionTraceID: rapid.StringMatching(`dt_[a-z0-9]{26}`).Draw(t, "trace"),
				}
			}), 0, 80).Draw(t, "offers"),
			Tenders: []attribution.Tender{{Type: "wallet", AmountMinor: 300}, {Type: "cash", AmountMinor: 875}},
		}
		r := attribution.Attribute(sdk.Snapshot{AmountMinor: 1175, Currency: "USD"}, facts)
		var weight, credited, share int64
		for _, o := range r.Offers {
			weight, credited = weight+o.WeightBP, credited+o.CreditedMinor
		}
		for _, s := range r.Tenders {
			share += s.ShareBP
		}
		if share != 10_000 {
			t.Fatalf("tenders come to %d", share)
		}
		if r.OffersLeftOut == 0 && r.Model != attribution.ModelOrganic && (weight != 10_000 || credited != 1175) {
			t.Fatalf("weights come to %d, parts to %d", weight, credited)
		}
		if raw, _ := json.Marshal(r); len(raw) > 16<<10 {
			t.Fatalf("%d bytes", len(raw))
		}
	})
}

func TestFactsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	_, err := attribution.Attribution{}.Plan(t.Context(), sdk.Snapshot{Facts: json.RawMessage(`{"offers":7}`)})
	if err == nil || !strings.HasPrefix(err.Error(), sdk.CodeInvalidFacts) {
		t.Errorf("%v", err)
	}
}
