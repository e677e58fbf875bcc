package recovery_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/recovery"
)

var noon = time.Date(2026, 6, 12, 12, 0, 0, 0, time.UTC)

func TestRecoverGoldenPath(t *testing.T) {
	t.Parallel()
	tiers := ledger.Tiers{Currency: "USD", Steps: []ledger.Tier{{MinTopupMinor: 1000, BonusMinor: 50}, {MinTopupMinor: 2500, BonusMinor: 250}, {MinTopupMinor: 5000, BonusMinor: 750}}}
	r := recovery.Decide(recovery.Shortage{AmountMinor: 1175, Currency: "USD", Tiers: tiers, BonusSpendable: true})
	got, err := json.Marshal(r.Options)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Options) != 3 || r.Options[0].Type != "topup_exact" || *r.Options[0].TopupMinor != 1175 || *r.Options[0].BonusMinor != 0 ||
		r.Options[1].Type != "topup_tier" || *r.Options[1].TopupMinor != 2500 || *r.Options[1].BonusMinor != 250 ||
		*r.Options[1].BalanceAfter != (fault.Spendable{ActualMinor: 1575}) ||
		r.Options[2].Type != "split_tender" || *r.Options[2].WalletMinor != 0 || *r.Options[2].OtherMinor != 1175 {
		t.Fatalf("options %s", got)
	}
	if r.Options[1].Summary != "Top up 25.00 USD, get 2.50 USD on top and pay" {
		t.Errorf("summary %q", r.Options[1].Summary)
	}
	if enough := recovery.Decide(recovery.Shortage{AmountMinor: 5, ActualMinor: 5}); enough.ShortfallMinor != 0 || enough.Options != nil {
		t.Errorf("nothing is short: %+v", enough)
	}
}

// Whatever option is taken, the payment then goes through with what it says.
func TestRecoveryOptionsWork(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := recovery.Shortage{
			AmountMinor: rapid.Int64Range(1, 10_000).Draw(t, "amount"), Currency: "USD",
			ActualMinor: rapid.Int64Range(0, 3000).Draw(t, "actual"), PromoMinor: rapid.Int64Range(0, 3000).Draw(t, "promo"),
			BonusSpendable: rapid.Bool().Draw(t, "bonus spendable"),
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "tiers") {
			s.Tiers.Steps = append(s.Tiers.Steps, ledger.Tier{MinTopupMinor: int64(i+1) * rapid.Int64Range(1, 3000).Draw(t, "least"), BonusMinor: rapid.Int64Range(1, 900).Draw(t, "bonus")})
		}
		r := recovery.Decide(s)
		if r.ShortfallMinor != max(s.AmountMinor-s.ActualMinor-s.PromoMinor, 0) {
			t.Fatalf("shortfall %d", r.ShortfallMinor)
		}
		last := int64(0)
		for _, o := range r.Options {
			switch o.Type {
			case "topup_exact", "topup_tier":
				if *o.TopupMinor < last {
					t.Fatalf("a larger deposit stands before a smaller one: %+v", r.Options)
				}
				last = *o.TopupMinor
				promo := s.PromoMinor
				if s.BonusSpendable {
					promo += *o.BonusMinor
				}
				lots := []ledger.Grant{{ID: "grt", State: ledger.Released, AmountMinor: max(promo, 1), RemainingMinor: promo}}
				d, short := ledger.Spend(s.AmountMinor, s.ActualMinor+*o.TopupMinor, lots, noon)
				if short > 0 {
					t.Fatalf("%s leaves the payment %d short", o.Type, short)
				}
				want := fault.Spendable{ActualMinor: s.ActualMinor + *o.TopupMinor - d.ActualMinor, PromoAvailableMinor: promo - d.PromoMinor()}
				if *o.BalanceAfter != want {
					t.Fatalf("%s says %+v is left, it is %+v", o.Type, *o.BalanceAfter, want)
				}
			case "split_tender":
				if *o.WalletMinor != s.ActualMinor+s.PromoMinor || *o.WalletMinor+*o.OtherMinor != s.AmountMinor {
					t.Fatalf("split %+v", o)
				}
			case "smaller_basket":
				if *o.AffordableMinor != s.ActualMinor+s.PromoMinor || *o.AffordableMinor == 0 {
					t.Fatalf("smaller basket %+v", o)
				}
			}
		}
	})
}
