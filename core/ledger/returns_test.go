package ledger_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
)

// noExpiry is an entry id for a lot that must not lapse.
func noExpiry(t interface{ Errorf(string, ...any) }) func() string {
	return func() string {
		t.Errorf("a lot lapsed that had not")
		return "ent_lapsed"
	}
}

// A payment refunded by any sequence of parts gives back, per class and per lot,
// exactly what it took, and what is left never says otherwise: the sum alone
// tells which parts went back.
func TestRefundsAreExactOverAnySequence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := ledger.Payment{ID: "pay_1", Status: ledger.PaymentSucceeded}
		p.Debit.ActualMinor = rapid.Int64Range(0, 500).Draw(t, "actual")
		for _, id := range []string{"grt_1", "grt_2", "grt_3"}[:rapid.IntRange(0, 3).Draw(t, "lots")] {
			p.Debit.Sources = append(p.Debit.Sources, ledger.PromoSource{GrantID: id, AmountMinor: rapid.Int64Range(1, 300).Draw(t, id)})
		}
		if p.AmountMinor = p.Debit.AmountMinor(); p.AmountMinor == 0 {
			return
		}
		var actual int64
		lots := map[string]int64{}
		last := len(p.Debit.Sources)
		for p.Paid().LeftMinor() > 0 {
			left := p.Paid().LeftMinor()
			if left != p.AmountMinor-p.RefundedMinor {
				t.Fatalf("%d left of %d after %d", left, p.AmountMinor, p.RefundedMinor)
			}
			if _, err := p.Paid().PlanBack(left + 1); !fault.Is(err, fault.CodeRefundExceedsPayment) {
				t.Fatalf("one more than is left: %v", err)
			}
			part := rapid.Int64Range(1, left).Draw(t, "part")
			back, err := p.Paid().PlanBack(part)
			if err != nil {
				t.Fatal(err)
			}
			actual += back.ActualMinor
			sum := back.ActualMinor
			for _, s := range back.Sources {
				if actual != p.Debit.ActualMinor {
					t.Fatalf("a lot is restored while actual money is left")
				}
				i := indexOf(p.Debit.Sources, s.GrantID)
				if i > last {
					t.Fatalf("%s is restored after a lot that was spent before it", s.GrantID)
				}
				last = i
				lots[s.GrantID] += s.AmountMinor
				sum += s.AmountMinor
			}
			if sum != part {
				t.Fatalf("%d goes back for %d", sum, part)
			}
			p.RefundedMinor += part
		}
		if actual != p.Debit.ActualMinor {
			t.Fatalf("actual %d of %d", actual, p.Debit.ActualMinor)
		}
		for _, s := range p.Debit.Sources {
			if lots[s.GrantID] != s.AmountMinor {
				t.Fatalf("%s got %d of %d", s.GrantID, lots[s.GrantID], s.AmountMinor)
			}
		}
	})
}

func indexOf(list []ledger.PromoSource, id string) int {
	for i, s := range list {
		if s.GrantID == id {
			return i
		}
	}
	return -1
}

// Grace is for what comes back. What a lapsed lot still held, because the sweep
// had not come by, expires all the same.
func TestRestoreExpiresTheRestOfALapsedLot(t *testing.T) {
	t.Parallel()
	gone := noon.Add(-time.Minute)
	lots := []ledger.Grant{{ID: "grt_1", CustomerID: "cus_1", State: ledger.Released, AmountMinor: 100, RemainingMinor: 60, ExpiresAt: &gone}}
	c := ledger.Begin(ledger.Wallet{CustomerID: "cus_1", Currency: "USD", PromoAvailableMinor: 60})
	back := ledger.Back{Sources: []ledger.PromoSource{{GrantID: "grt_1", AmountMinor: 40}}}
	given, err := c.Restore(head(ledger.EntryVoid), back, lots, ledger.DefaultGrace, func() string { return "ent_2" })
	if err != nil || len(given.Lapsed) != 1 || given.Lapsed[0].RemainingMinor != 60 {
		t.Fatalf("%+v, %v", given, err)
	}
	if c.Wallet.PromoAvailableMinor != 40 || len(c.Grants) != 1 || c.Grants[0].RemainingMinor != 40 || c.Grants[0].State != ledger.Released {
		t.Fatalf("wallet %+v, lots %+v", c.Wallet, c.Grants)
	}
	if !c.Grants[0].ExpiresAt.Equal(noon.Add(ledger.DefaultGrace)) || len(c.Entries) != 2 || c.Entries[0].Kind != ledger.EntryExpiry {
		t.Fatalf("%+v", c.Entries)
	}
}

// A lot that is somebody else's since a merge was undone gets its part back
// there, as rule 26 has it for them; the payer's own figures know nothing of it.
func TestRule26RestoreOfALotThatBelongsToSomebodyElseByNow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state                       ledger.GrantState
		remaining, available, locks int64
		verified                    bool
		want                        ledger.GrantState
	}{
		{ledger.Spent, 0, 0, 40, false, ledger.Locked},
		{ledger.Locked, 60, 0, 100, false, ledger.Locked},
		{ledger.Spent, 0, 40, 0, true, ledger.Released},
		{ledger.Released, 60, 100, 0, true, ledger.Released},
		{ledger.Locked, 60, 0, 100, true, ledger.Locked}, // a gate that is not met
	} {
		lots := []ledger.Grant{{ID: "grt_1", CustomerID: "cus_2", State: c.state, AmountMinor: 100, RemainingMinor: c.remaining}}
		owner := ledger.Wallet{CustomerID: "cus_2", Currency: "USD"}
		if c.state == ledger.Locked {
			owner.PromoLockedMinor = c.remaining
		} else {
			owner.PromoAvailableMinor = c.remaining
		}
		payer, theirs := ledger.Begin(ledger.Wallet{CustomerID: "cus_1", Currency: "USD"}), ledger.Begin(owner)
		back := ledger.Back{ActualMinor: 3, Sources: []ledger.PromoSource{{GrantID: "grt_1", AmountMinor: 40}}}
		none := func() string { t.Error("something expired"); return "" }
		if _, err := ledger.Begin(payer.Wallet).Restore(head(ledger.EntryRefund), back, lots, ledger.DefaultGrace, none); err == nil {
			t.Error("restored to a wallet that is not held")
		}
		given, err := payer.Restore(head(ledger.EntryRefund), back, lots, ledger.DefaultGrace, none, ledger.Beside{Change: theirs, Verified: c.verified})
		if err != nil || given.PromoMinor() != 40 || payer.Wallet.ActualMinor != 3 || payer.Wallet.PromoAvailableMinor+payer.Wallet.PromoLockedMinor != 0 || len(payer.Grants) != 0 {
			t.Errorf("%+v: gave %+v, payer %+v, %v", c, given, payer.Wallet, err)
		}
		if w := theirs.Wallet; w.PromoAvailableMinor != c.available || w.PromoLockedMinor != c.locks || len(theirs.Grants) != 1 || theirs.Grants[0].State != c.want || len(theirs.Entries) != 0 {
			t.Errorf("%+v: their wallet %+v, lots %+v", c, w, theirs.Grants)
		}
	}
}

// A top-up is reversed as far as actual money is left, never beyond.
func TestTopupReversal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		states := []ledger.TopupState{ledger.TopupPending, ledger.TopupCompleted, ledger.TopupReversed, ledger.TopupFailed, ledger.TopupExpired}
		top := ledger.Topup{State: rapid.SampledFrom(states).Draw(t, "state"), AmountMinor: rapid.Int64Range(1, 100).Draw(t, "amount")}
		actual := rapid.Int64Range(0, 150).Draw(t, "in the wallet")
		partial := rapid.Bool().Draw(t, "partial")
		got, err := top.Reverse(actual, partial, noon)
		if ok := top.State == ledger.TopupCompleted && (partial || actual >= top.AmountMinor); ok != (err == nil) {
			t.Fatalf("%s with %d of %d: %v", top.State, actual, top.AmountMinor, err)
		}
		if err != nil {
			if !fault.Is(err, fault.CodeStateConflict) {
				t.Fatal(err)
			}
			return
		}
		w := ledger.Wallet{CustomerID: "cus_1", Currency: "USD", ActualMinor: actual}
		c := ledger.Begin(w)
		if got.ReversedActualMinor == 0 {
			return
		}
		if err := c.Withdraw(head(ledger.EntryTopupReversal), got.ReversedActualMinor); err != nil {
			t.Fatal(err)
		}
		explains(t, c, w, nil)
		if got.State != ledger.TopupReversed || c.Wallet.ActualMinor < 0 || c.Wallet.ActualMinor != max(actual-top.AmountMinor, 0) {
			t.Fatalf("%+v leaves %d of %d", got, c.Wallet.ActualMinor, actual)
		}
	})
}

// A lot that should not have been given ends CLAWED_BACK whatever its state;
// only what it holds is taken, never actual money (rule 36).
func TestAnnul(t *testing.T) {
	t.Parallel()
	for state, holds := range map[ledger.GrantState]int64{ledger.Locked: 60, ledger.Released: 60, ledger.Spent: 0, ledger.Expired: 0, ledger.ClawedBack: 0} {
		g := ledger.Grant{ID: "grt_1", State: state, AmountMinor: 100, RemainingMinor: holds, Currency: "USD"}
		w := ledger.Wallet{CustomerID: "cus_1", Currency: "USD", ActualMinor: 7, PromoAvailableMinor: 60, PromoLockedMinor: 60}
		c := ledger.Begin(w)
		taken, err := c.Annul(head(ledger.EntryClawback), g)
		if err != nil || taken != holds || c.Wallet.ActualMinor != 7 || (len(c.Entries) == 1) != (holds > 0) {
			t.Errorf("%s: took %d, %v, %+v", state, taken, err, c)
		}
		after := c.Lots([]ledger.Grant{g})[0]
		if after.State != ledger.ClawedBack || after.RemainingMinor != 0 {
			t.Errorf("%s became %+v", state, after)
		}
	}
}

// Reversing points takes what their own lots still hold and nothing else, and
// gives burned ones back.
func TestPointsReverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		own, other := rapid.Int64Range(0, 50).Draw(t, "own left"), rapid.Int64Range(0, 50).Draw(t, "others")
		net := rapid.Int64Range(-80, 80).Filter(func(n int64) bool { return n != 0 }).Draw(t, "net")
		a := ledger.PointsAccount{CustomerID: "cus_1", Balance: own + other, Earned: 1000, Burned: 1000}
		for ref, n := range map[string]int64{"txn_1": own, "txn_2": other} {
			if n > 0 {
				a.Lots = append(a.Lots, ledger.PointsLot{ID: "plt_" + ref, Points: 100, Remaining: n, ReferenceID: ref})
			}
		}
		c := ledger.BeginPoints(a)
		moved, err := c.Reverse(ledger.PointsMovement{ID: "pmv_1", EntryID: "ent_1", ReferenceID: "txn_1", At: noon}, net, "plt_back")
		want := -net
		if net > 0 {
			want = -min(net, own)
		}
		if err != nil || moved != want || c.Account.Balance != own+other+want {
			t.Fatalf("moved %d of %d, balance %d, %v", moved, net, c.Account.Balance, err)
		}
		held := int64(0)
		for _, l := range c.Account.Lots {
			held += l.Remaining
			if l.ReferenceID == "txn_2" && l.Remaining != other {
				t.Fatalf("another sale's points went: %+v", l)
			}
		}
		if held != c.Account.Balance || (len(c.Entries) == 1) != (moved != 0) {
			t.Fatalf("lots hold %d of %d, %d entries", held, c.Account.Balance, len(c.Entries))
		}
	})
}
