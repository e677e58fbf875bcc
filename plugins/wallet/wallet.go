// Package wallet is the first-party actuator that takes a payment from a
// customer's wallet: promotional credit first, the lot that expires earliest
// first, then deposits (rule 15 of the contract). It is a pure function of the
// snapshot; the core proves its plans before it commits them.
package wallet

import (
	"context"
	"strconv"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// Rules named on reasoning cards.
const (
	RulePromoFirst        = "wallet.promo_first"
	RuleInsufficientFunds = "wallet.insufficient_funds"
)

// Wallet is the actuator. The zero value is ready for use.
type Wallet struct{}

// Describe implements sdk.Actuator.
func (Wallet) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "wallet", Version: "1.0.0",
		DecisionKinds: []sdk.Kind{sdk.KindWalletDebit},
		EffectKinds:   []sdk.EffectKind{sdk.EffectDebit},
		TimeLimit:     500 * time.Millisecond,
		Policy:        sdk.Required,
		Description:   "Takes payments from wallets: promotional credit by earliest expiry, then the balance.",
	}
}

// Plan implements sdk.Actuator.
func (Wallet) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	if s.AmountMinor <= 0 {
		return sdk.Plan{}, &sdk.Error{Code: sdk.CodeInvalidFacts, Field: "amount_minor", Message: "the amount of a payment must be positive"}
	}
	return DebitPlan(s), nil
}

// DebitPlan spends s.AmountMinor, which is positive: every spendable lot in
// spending order as far as needed, then actual. Where that does not reach, the
// plan is the refusal insufficient_funds, and its reasoning facts hold
// shortfall_minor and what is spendable by class.
func DebitPlan(s sdk.Snapshot) sdk.Plan {
	lots := s.SpendableLots()
	effects := make([]sdk.Effect, 0, len(lots)+1)
	left := s.AmountMinor
	for _, l := range lots {
		if left == 0 {
			break
		}
		take := min(left, l.RemainingMinor)
		effects = append(effects, s.DebitLot(l, take))
		left -= take
	}
	used := len(effects)
	promo := s.AmountMinor - left
	if left > max(s.Wallet.ActualMinor, 0) {
		return refuse(s, promo, left-max(s.Wallet.ActualMinor, 0))
	}
	if left > 0 {
		effects = append(effects, s.DebitActual(left))
	}
	return sdk.Plan{SnapshotID: s.ID, Effects: effects, Reasoning: paid(s, promo, left, used)}
}

// paid is the card of a payment that is taken.
func paid(s sdk.Snapshot, promo, actual int64, lots int) sdk.Reasoning {
	text := append(make([]byte, 0, 160), "Paid "...)
	text = sdk.AppendAmount(text, s.AmountMinor, s.Currency)
	switch {
	case promo == 0:
		text = append(text, " from the balance; there was no promotional credit to spend."...)
	case actual == 0:
		text = append(text, " from promotional credit, earliest expiry first."...)
	default:
		text = sdk.AppendAmount(append(text, ": "...), promo, s.Currency)
		text = append(text, " from promotional credit, earliest expiry first, then "...)
		text = append(sdk.AppendAmount(text, actual, s.Currency), " from the balance."...)
	}
	facts := member(make([]byte, 0, 96), "debited_promo_minor", promo)
	facts = member(facts, "debited_actual_minor", actual)
	facts = member(facts, "lots_used", int64(lots))
	return sdk.Reasoning{Summary: string(text), Rule: RulePromoFirst, Facts: append(facts, '}')}
}

// refuse is the plan where the spendable funds, promo and all of actual, are
// short by shortfall.
func refuse(s sdk.Snapshot, promo, shortfall int64) sdk.Plan {
	actual := max(s.Wallet.ActualMinor, 0)
	text := sdk.Amount(s.AmountMinor, s.Currency) + " cannot be paid from the wallet: " + sdk.Amount(shortfall, s.Currency) + " short. Spendable now: " +
		sdk.Amount(actual, s.Currency) + " balance and " + sdk.Amount(promo, s.Currency) + " promotional credit."
	facts := member(make([]byte, 0, 96), "shortfall_minor", shortfall)
	facts = member(facts, "spendable_actual_minor", actual)
	facts = member(facts, "spendable_promo_minor", promo)
	return sdk.Plan{
		SnapshotID: s.ID, Refusal: sdk.RefusalInsufficientFunds,
		Reasoning: sdk.Reasoning{Summary: text, Rule: RuleInsufficientFunds, Facts: append(facts, '}')},
	}
}

// member appends a member to a JSON object that is being written. This runs
// for every payment, where encoding/json would cost more than the plan.
func member(object []byte, name string, value int64) []byte {
	if len(object) == 0 {
		object = append(object, '{')
	} else {
		object = append(object, ',')
	}
	object = append(object, '"')
	object = append(object, name...)
	object = append(object, '"', ':')
	return strconv.AppendInt(object, value, 10)
}
