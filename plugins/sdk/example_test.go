package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// birthday gives a fixed gift on the customer's birthday, which the merchant's
// profile puts among the facts.
type birthday struct{}

func (birthday) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "birthday", Version: "1.0.0",
		DecisionKinds: []sdk.Kind{sdk.KindOffer},
		EffectKinds:   []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit:     100 * time.Millisecond,
		Policy:        sdk.Optional,
	}
}

func (birthday) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	settings := struct {
		GiftMinor int64 `json:"gift_minor"`
	}{GiftMinor: 300}
	facts := struct {
		Birthday string `json:"birthday"` // month and day, 06-01
	}{}
	if err := s.DecodeSettings(&settings); err != nil {
		return sdk.Plan{}, err
	}
	if err := s.DecodeFacts(&facts); err != nil {
		return sdk.Plan{}, err
	}
	if facts.Birthday != s.At.Format("01-02") { // the snapshot's time, never time.Now
		return sdk.Plan{Refusal: "not_today", Reasoning: sdk.Reasoning{Summary: "It is not the customer's birthday.", Rule: "birthday.not_today"}}, nil
	}
	gift := s.Grant("OFFER", min(settings.GiftMinor, s.Allowance.MaxGrantMinor))
	gift.ExpiresAt = s.At.AddDate(0, 0, 30)
	return sdk.Plan{
		Effects:   []sdk.Effect{gift},
		Reasoning: sdk.Reasoning{Summary: "Happy birthday: " + sdk.Amount(gift.AmountMinor, s.Currency) + " as a gift.", Rule: "birthday.gift"},
	}, nil
}

// A whole actuator is its Describe and Plan, and a main that serves it:
//
//	func main() { sdk.Serve(birthday{}) }
func Example() {
	plan, err := birthday{}.Plan(context.Background(), sdk.Snapshot{
		CustomerID: "cus_1", Currency: "USD", At: time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC),
		Allowance: sdk.Allowance{MaxGrantMinor: 250, Sources: []string{"OFFER"}},
		Facts:     json.RawMessage(`{"birthday":"06-01"}`),
	})
	fmt.Println(plan.Reasoning.Summary, err)
	fmt.Println(plan.Effects[0].Kind, plan.Effects[0].AmountMinor, plan.Effects[0].ExpiresAt.Format(time.DateOnly))
	// Output:
	// Happy birthday: 2.50 USD as a gift. <nil>
	// grant.issue 250 2026-07-01
}
