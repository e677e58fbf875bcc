package checkout_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/plugins/attribution"
	"github.com/feddi/feddi/plugins/sdk"
)

// TestCreditIsTheSalesOwn holds that the offers a sale redeemed share its whole
// total, that what was not taken has no part, and that reports credit what the
// attribution actuator credits at the close.
func TestCreditIsTheSalesOwn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tx := checkout.Transaction{TotalMinor: rapid.Int64Range(0, 100_000).Draw(t, "total"), Currency: "USD"}
		var facts attribution.Facts
		for i := range rapid.IntRange(1, 6).Draw(t, "offers") {
			id := fmt.Sprintf("off_%d", i)
			discount := rapid.Int64Range(0, 5).Draw(t, "discount") * 100
			tx.Offers = append(tx.Offers, checkout.AppliedOffer{OfferID: id, DiscountMinor: discount})
			facts.Offers = append(facts.Offers, attribution.Offer{OfferID: id, Exposed: true, Applied: true, DiscountMinor: discount})
		}
		record := attribution.Attribute(sdk.Snapshot{AmountMinor: tx.TotalMinor, Currency: "USD"}, facts)
		sum := int64(0)
		for _, o := range record.Offers {
			got := tx.Credit(checkout.Exposure{OfferID: o.OfferID, TraceID: "dt_1", Outcome: checkout.OutcomeRedeemed})
			if got.AttributedMinor != o.CreditedMinor || got.DiscountMinor != o.DiscountMinor {
				t.Fatalf("%+v, the actuator credits %+v", got, o)
			}
			sum += got.AttributedMinor
			passed := tx.Credit(checkout.Exposure{OfferID: o.OfferID, TraceID: "dt_2", Outcome: checkout.OutcomeShownNotTaken})
			if passed.AttributedMinor != 0 || passed.DiscountMinor != 0 || passed.Card.Rule != "attribution.shown_not_taken" {
				t.Fatalf("not taken: %+v", passed)
			}
		}
		if sum != tx.TotalMinor {
			t.Fatalf("%d of %d is credited", sum, tx.TotalMinor)
		}
	})
}
