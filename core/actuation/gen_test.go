package actuation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// allManifest may do everything, so that only the rules of the plan decide.
func allManifest() actuation.Manifest {
	return actuation.Manifest{
		Name: "all", Version: "1.0.0", DecisionKinds: actuation.Kinds(), EffectKinds: actuation.EffectKinds(),
		TimeLimit: time.Second, Policy: actuation.Required,
	}
}

func reasoning() actuation.Reasoning {
	return actuation.Reasoning{Summary: "Because it is so.", Rule: "test.rule", Facts: json.RawMessage(`{"a":1}`)}
}

// lots draws lots in spending order, some of them expired or empty.
func lots(t *rapid.T) []actuation.Lot {
	out := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) actuation.Lot {
		l := actuation.Lot{RemainingMinor: rapid.Int64Range(0, 300).Draw(t, "remaining")}
		if rapid.Bool().Draw(t, "expires") {
			l.ExpiresAt = noon.Add(time.Duration(rapid.IntRange(-2, 4).Draw(t, "hours")) * time.Hour)
		}
		l.IssuedAt = noon.Add(-time.Duration(rapid.IntRange(1, 4).Draw(t, "age")) * time.Hour)
		return l
	}), 0, 8).Draw(t, "lots")
	slices.SortStableFunc(out, byRule15)
	for i := range out {
		out[i].GrantID = fmt.Sprintf("grt_%d", i)
	}
	return out
}

// byRule15 is rule 15 written once more, in other words than the core's.
func byRule15(a, b actuation.Lot) int {
	far := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	ea, eb := a.ExpiresAt, b.ExpiresAt
	if ea.IsZero() {
		ea = far
	}
	if eb.IsZero() {
		eb = far
	}
	if !ea.Equal(eb) {
		return int(max(-1, min(1, ea.Sub(eb))))
	}
	return int(max(-1, min(1, a.IssuedAt.Sub(b.IssuedAt))))
}

func live(s actuation.Snapshot) []actuation.Lot {
	return slices.DeleteFunc(slices.Clone(s.Lots), func(l actuation.Lot) bool {
		return l.RemainingMinor == 0 || (!l.ExpiresAt.IsZero() && !l.ExpiresAt.After(s.At))
	})
}

func spendable(s actuation.Snapshot) int64 {
	sum := s.Wallet.ActualMinor
	for _, l := range live(s) {
		sum += l.RemainingMinor
	}
	return sum
}

// debitCase draws a wallet_debit and the one right plan for it.
func debitCase(t *rapid.T) (actuation.Snapshot, actuation.Plan) {
	s := actuation.Snapshot{
		ID: "pay_1", Kind: actuation.KindWalletDebit, MerchantID: "mer_1", CustomerID: "cus_1", Currency: "USD", At: noon,
		Wallet: actuation.Wallet{ActualMinor: rapid.Int64Range(1, 2000).Draw(t, "actual")}, Lots: lots(t),
	}
	s.AmountMinor = rapid.Int64Range(1, spendable(s)).Draw(t, "amount")
	p := actuation.Plan{SnapshotID: s.ID, Reasoning: reasoning()}
	left := s.AmountMinor
	for _, l := range live(s) {
		take := min(left, l.RemainingMinor)
		if take == 0 {
			break
		}
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: money.Promo, Currency: "USD", AmountMinor: take, GrantID: l.GrantID})
		left -= take
	}
	if left > 0 {
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: money.Actual, Currency: "USD", AmountMinor: left})
	}
	return s, p
}

// giftCase draws a decision that gives something away, and a plan within it.
func giftCase(t *rapid.T) (actuation.Snapshot, actuation.Plan) {
	s := actuation.Snapshot{
		ID: "dec_1", Kind: rapid.SampledFrom([]actuation.Kind{actuation.KindCashback, actuation.KindOffer, actuation.KindUpsell}).Draw(t, "kind"),
		MerchantID: "mer_1", CustomerID: "cus_1", Currency: "AED", At: noon, AmountMinor: 1000,
		Allowance: actuation.Allowance{
			MaxGrantMinor: rapid.Int64Range(2, 500).Draw(t, "grant"), MaxPoints: rapid.Int64Range(1, 50).Draw(t, "points"),
			Sources: []string{"CASHBACK", "OFFER"},
		},
	}
	s.Allowance.Budgets = []actuation.Budget{{BudgetID: "bud_1", RemainingMinor: s.Allowance.MaxGrantMinor}}
	first := rapid.Int64Range(1, s.Allowance.MaxGrantMinor-1).Draw(t, "first")
	p := actuation.Plan{SnapshotID: s.ID, Reasoning: reasoning(), Effects: []actuation.Effect{
		{Kind: actuation.EffectGrant, Class: money.Promo, Currency: "AED", AmountMinor: first, Source: "CASHBACK", BudgetID: "bud_1"},
		{Kind: actuation.EffectGrant, Class: money.Promo, Currency: "AED", AmountMinor: s.Allowance.MaxGrantMinor - first, Source: "OFFER", ExpiresAt: noon.AddDate(10, 0, 0)},
		{Kind: actuation.EffectPoints, Class: money.Points, AmountMinor: s.Allowance.MaxPoints},
		{Kind: actuation.EffectAnnotation, Data: json.RawMessage(`{"note":"well earned"}`)},
	}}
	return s, p
}
