// Package recovery decides how somebody whose wallet is short can pay all the
// same.
package recovery

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// Shortage is what a recovery is decided on.
type Shortage struct {
	AmountMinor int64 // what was to be paid
	Currency    string
	// Spendable now, by class.
	ActualMinor, PromoMinor int64
	Tiers                   ledger.Tiers
	// BonusSpendable is true where a reload bonus earned now would be RELEASED
	// at once, so that it can help to pay.
	BonusSpendable bool
}

// Decide says how to get out of a shortage. Its options, best first:
//
//   - topup_exact: deposit just what is missing. It counts on no bonus; where
//     the deposit happens to reach a tier, the bonus comes on top.
//   - topup_tier: the smallest deposit of a reload tier that covers the rest of
//     the amount, with its bonus as far as that may be spent.
//   - split_tender: the wallet pays what it can, another tender the rest.
//   - smaller_basket: what a basket may cost to be paid from the wallet alone.
//
// Of the two deposits the smaller comes first. The same shortage gives the
// same recovery. It returns a recovery without options where nothing is short.
func Decide(s Shortage) fault.Recovery {
	r := fault.Recovery{ActualMinor: s.ActualMinor, PromoAvailableMinor: s.PromoMinor}
	spendable := s.ActualMinor + s.PromoMinor
	if r.ShortfallMinor = s.AmountMinor - spendable; r.ShortfallMinor <= 0 {
		r.ShortfallMinor = 0
		return r
	}
	r.Options = s.deposits(r.ShortfallMinor)
	r.Options = append(r.Options, s.split(spendable, r.ShortfallMinor))
	if spendable > 0 {
		r.Options = append(r.Options, fault.RecoveryOption{
			Type: "smaller_basket", AffordableMinor: &spendable,
			Summary: fmt.Sprintf("Take away %s or more and pay from the wallet", s.text(r.ShortfallMinor)),
		})
	}
	return r
}

func (s Shortage) deposits(shortfall int64) []fault.RecoveryOption {
	var out []fault.RecoveryOption
	if shortfall <= money.MaxMinor {
		out = append(out, s.deposit("topup_exact", shortfall, 0,
			fmt.Sprintf("Top up %s and pay", s.text(shortfall))))
	}
	if t, ok := s.serving(shortfall); ok {
		words := fmt.Sprintf("Top up %s, get %s on top and pay", s.text(t.MinTopupMinor), s.text(t.BonusMinor))
		if !s.BonusSpendable {
			words = fmt.Sprintf("Top up %s and pay; %s on top stays locked for now", s.text(t.MinTopupMinor), s.text(t.BonusMinor))
		}
		out = append(out, s.deposit("topup_tier", t.MinTopupMinor, t.BonusMinor, words))
	}
	slices.SortStableFunc(out, func(a, b fault.RecoveryOption) int { return cmp.Compare(*a.TopupMinor, *b.TopupMinor) })
	return out
}

// serving is the tier with the smallest deposit that covers the shortfall.
func (s Shortage) serving(shortfall int64) (ledger.Tier, bool) {
	var best ledger.Tier
	found := false
	for _, t := range s.Tiers.Steps {
		covered := t.MinTopupMinor
		if s.BonusSpendable {
			covered += t.BonusMinor
		}
		if covered >= shortfall && t.MinTopupMinor <= money.MaxMinor && (!found || t.MinTopupMinor < best.MinTopupMinor) {
			best, found = t, true
		}
	}
	return best, found
}

// deposit is an option to top up and pay at once; what is left afterwards
// follows the spending order.
func (s Shortage) deposit(kind string, topup, bonus int64, summary string) fault.RecoveryOption {
	promo := s.PromoMinor
	if s.BonusSpendable {
		promo += bonus
	}
	fromPromo := min(promo, s.AmountMinor)
	after := fault.Spendable{
		ActualMinor:         s.ActualMinor + topup - (s.AmountMinor - fromPromo),
		PromoAvailableMinor: promo - fromPromo,
	}
	return fault.RecoveryOption{Type: kind, TopupMinor: &topup, BonusMinor: &bonus, BalanceAfter: &after, Summary: summary}
}

func (s Shortage) split(wallet, other int64) fault.RecoveryOption {
	summary := fmt.Sprintf("Pay %s another way", s.text(other))
	if wallet > 0 {
		summary = fmt.Sprintf("Pay %s from the wallet and %s another way", s.text(wallet), s.text(other))
	}
	return fault.RecoveryOption{
		Type: "split_tender", WalletMinor: &wallet, OtherMinor: &other,
		BalanceAfter: &fault.Spendable{}, Summary: summary,
	}
}

func (s Shortage) text(minor int64) string { return money.Text(minor, s.Currency) }
