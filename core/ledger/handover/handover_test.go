package handover_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/handover"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

var now = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

func wallet(t *rapid.T, id string) (ledger.Wallet, []ledger.Grant) {
	w := ledger.Wallet{Tenant: tenancy.Tenant{No: 1}, CustomerID: id, Currency: "USD", ActualMinor: rapid.Int64Range(0, 1e6).Draw(t, "actual")}
	var lots []ledger.Grant
	for i := range rapid.IntRange(0, 4).Draw(t, "lots") {
		g := ledger.Grant{
			ID: fmt.Sprintf("grt_%s_%d", id, i), CustomerID: id, Currency: "USD", AmountMinor: 1e6,
			RemainingMinor: rapid.Int64Range(1, 1e6).Draw(t, "left"), State: rapid.SampledFrom([]ledger.GrantState{ledger.Locked, ledger.Released}).Draw(t, "state"),
		}
		if g.State == ledger.Locked {
			w.PromoLockedMinor += g.RemainingMinor
		} else {
			w.PromoAvailableMinor += g.RemainingMinor
		}
		lots = append(lots, g)
	}
	return w, lots
}

// Moving a wallet makes and loses nothing in any class, and leaves the source empty.
func TestRule22MergingWalletsKeepsEveryClass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, _ := wallet(t, "a")
		into, _ := wallet(t, "b")
		out, in, moved, err := handover.Wallets(ledger.Head{ID: "ent_1", Kind: handover.EntryMerge, RefID: "mrg_1", At: now}, from, into)
		if err != nil {
			t.Fatal(err)
		}
		o, i := out.Wallet, in.Wallet
		if o.ActualMinor+o.PromoAvailableMinor+o.PromoLockedMinor != 0 {
			t.Fatalf("the source keeps %+v", o)
		}
		if moved != from.ActualMinor || i.ActualMinor != from.ActualMinor+into.ActualMinor ||
			i.PromoAvailableMinor != from.PromoAvailableMinor+into.PromoAvailableMinor || i.PromoLockedMinor != from.PromoLockedMinor+into.PromoLockedMinor {
			t.Fatalf("%+v and %+v gave %+v", from, into, i)
		}
		if want := min(moved, 1); int64(len(in.Entries)) != want || len(out.Entries) != 0 {
			t.Fatalf("%d entries for %d", len(in.Entries), moved)
		}
		for _, e := range in.Entries {
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestForfeitEndsEveryLotAndAllMoney(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, lots := wallet(t, "a")
		c, err := handover.Forfeit(ledger.Head{ID: "ent_1", Kind: handover.EntryForfeit, RefID: "gdr_1", At: now}, w, lots)
		if err != nil {
			t.Fatal(err)
		}
		if c.Wallet.ActualMinor+c.Wallet.PromoAvailableMinor+c.Wallet.PromoLockedMinor != 0 || len(c.Grants) != len(lots) {
			t.Fatalf("%+v", c)
		}
		gone := map[money.Class]int64{}
		for _, e := range c.Entries {
			for _, p := range e.Postings {
				if p.Kind == ledger.AccountBreakage {
					gone[p.Class] += p.AmountMinor
				}
			}
		}
		if gone[money.Actual] != w.ActualMinor || gone[money.Promo] != w.PromoAvailableMinor+w.PromoLockedMinor {
			t.Fatalf("%v of %+v", gone, w)
		}
	})
}

func TestPointsMoveWithTheirHistory(t *testing.T) {
	t.Parallel()
	from := ledger.PointsAccount{CustomerID: "a", Balance: 40, Earned: 100, Burned: 60}
	into := ledger.PointsAccount{CustomerID: "b", Balance: 5, Earned: 5}
	out, in, moved, err := handover.Points(ledger.Head{ID: "ent_1", Kind: handover.EntryMerge, At: now}, "pmv_1", "pmv_2", from, into)
	if err != nil || moved != 40 || out.Account.Balance != 0 || in.Account.Balance != 45 || in.Account.Earned != 105 || in.Account.Burned != 60 {
		t.Fatalf("%+v %+v %d %v", out, in, moved, err)
	}
	if len(out.Movements) != 1 || out.Movements[0].Points != -40 || len(in.Movements) != 1 || in.Movements[0].Balance != 45 || in.Entries[0].Validate() != nil {
		t.Fatalf("%+v %+v", out.Movements, in.Movements)
	}
}

func TestMoneyIsNeverConverted(t *testing.T) {
	t.Parallel()
	_, _, _, err := handover.Wallets(ledger.Head{}, ledger.Wallet{Currency: "USD"}, ledger.Wallet{Currency: "EUR"})
	if !fault.Is(err, fault.CodeCurrencyMismatch) {
		t.Fatal(err)
	}
}

// Taking a handover back gives what is there, class by class, and makes and loses
// nothing: neither wallet is ever short, and an unproven owner gets LOCKED lots.
func TestRule22TakingAHandoverBackKeepsEveryClass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, own := wallet(t, "b")
		into, _ := wallet(t, "a")
		came := own[:rapid.IntRange(0, len(own)).Draw(t, "came")]
		back := handover.Back{ActualMinor: rapid.Int64Range(0, from.ActualMinor).Draw(t, "back"), Lots: came, Verified: rapid.Bool().Draw(t, "verified")}
		out, in, lots, err := handover.WalletsBack(ledger.Head{ID: "ent_2", Kind: handover.EntryMerge, RefID: "mrg_1", Reverses: "ent_1", At: now}, from, into, back)
		if err != nil {
			t.Fatal(err)
		}
		var available, locked int64
		for _, g := range lots {
			if g.CustomerID != "a" || !back.Verified && g.State != ledger.Locked {
				t.Fatalf("%+v", g)
			}
			if g.State == ledger.Locked {
				locked += g.RemainingMinor
			} else {
				available += g.RemainingMinor
			}
		}
		o, i := out.Wallet, in.Wallet
		if len(lots) != len(came) || i.PromoAvailableMinor != into.PromoAvailableMinor+available || i.PromoLockedMinor != into.PromoLockedMinor+locked {
			t.Fatalf("%d lots gave %+v", len(lots), i)
		}
		if o.Validate() != nil || o.ActualMinor+i.ActualMinor != from.ActualMinor+into.ActualMinor || i.ActualMinor != into.ActualMinor+back.ActualMinor ||
			promo(o)+promo(i) != promo(from)+promo(into) {
			t.Fatalf("%+v and %+v gave %+v and %+v", from, into, o, i)
		}
		if want := min(back.ActualMinor, 1); int64(len(in.Entries)) != want || len(out.Entries) != 0 {
			t.Fatalf("%d entries for %d", len(in.Entries), back.ActualMinor)
		}
		for _, e := range in.Entries {
			if e.Validate() != nil || e.Reverses != "ent_1" || e.Currency != "USD" {
				t.Fatalf("%+v", e)
			}
		}
		if _, _, _, err := handover.WalletsBack(ledger.Head{}, from, into, handover.Back{ActualMinor: from.ActualMinor + 1}); err == nil {
			t.Fatal("more went back than there is")
		}
	})
}

func promo(w ledger.Wallet) int64 { return w.PromoAvailableMinor + w.PromoLockedMinor }

func TestPointsGoBackWithTheirHistory(t *testing.T) {
	t.Parallel()
	from := ledger.PointsAccount{CustomerID: "b", Balance: 35, Earned: 104, Burned: 69}
	head := ledger.Head{ID: "ent_2", Kind: handover.EntryMerge, RefID: "mrg_1", Reverses: "ent_1", At: now}
	out, in, err := handover.PointsBack(head, "pmv_1", "pmv_2", from, ledger.PointsAccount{CustomerID: "a"}, handover.Carried{Points: 31, Earned: 110, Burned: 60})
	if err != nil || out.Account.Balance != 4 || in.Account.Balance != 31 || out.Account.Earned != 0 || in.Account.Earned != 104 || out.Account.Burned != 9 || in.Account.Burned != 60 {
		t.Fatalf("%+v %+v %v", out, in, err)
	}
	if len(out.Movements) != 1 || out.Movements[0].Points != -31 || out.Movements[0].Balance != 4 || in.Entries[0].Reverses != "ent_1" || in.Entries[0].Validate() != nil {
		t.Fatalf("%+v %+v", out.Movements, in.Entries)
	}
	if _, _, err := handover.PointsBack(head, "pmv_1", "pmv_2", from, ledger.PointsAccount{CustomerID: "a"}, handover.Carried{Points: 36}); err == nil {
		t.Fatal("more points went back than there are")
	}
}
