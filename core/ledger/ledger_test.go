package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

var noon = time.Date(2026, 6, 12, 12, 0, 0, 0, time.UTC)

// drawLots draws live and ended lots with expiries around noon.
func drawLots(t *rapid.T) []ledger.Grant {
	states := []ledger.GrantState{ledger.Locked, ledger.Released, ledger.Released, ledger.Released}
	lots := make([]ledger.Grant, rapid.IntRange(0, 8).Draw(t, "lots"))
	for i := range lots {
		amount := rapid.Int64Range(1, 1000).Draw(t, "amount")
		lots[i] = ledger.Grant{
			ID: fmt.Sprintf("grt_%02d", i), CustomerID: "cus_1", State: rapid.SampledFrom(states).Draw(t, "state"), AmountMinor: amount,
			RemainingMinor: rapid.Int64Range(1, amount).Draw(t, "remaining"), Currency: "USD",
			CreatedAt: noon.Add(-time.Duration(rapid.IntRange(1, 3).Draw(t, "age")) * time.Hour),
		}
		if rapid.Bool().Draw(t, "expires") {
			at := noon.Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "expiry")) * time.Hour)
			lots[i].ExpiresAt = &at
		}
	}
	return lots
}

func walletOf(lots []ledger.Grant, actual int64) ledger.Wallet {
	w := ledger.Wallet{Tenant: tenancy.Tenant{No: 1}, CustomerID: "cus_1", Currency: "USD", ActualMinor: actual, Version: 3}
	for _, g := range lots {
		if g.State == ledger.Locked {
			w.PromoLockedMinor += g.RemainingMinor
		} else {
			w.PromoAvailableMinor += g.RemainingMinor
		}
	}
	return w
}

func head(kind ledger.EntryKind) ledger.Head {
	return ledger.Head{ID: "ent_1", Kind: kind, RefID: "ref", At: noon}
}

// explains proves that what changed is what the entries say, account by account.
func explains(t *rapid.T, c *ledger.Change, before ledger.Wallet, lots []ledger.Grant) {
	moved := map[string]int64{}
	for _, e := range c.Entries {
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, p := range e.Postings {
			moved[p.Account.String()] += p.AmountMinor
		}
	}
	if got := c.Wallet.ActualMinor - before.ActualMinor; got != moved["wallet cus_1"] {
		t.Fatalf("actual moved by %d, the postings say %d", got, moved["wallet cus_1"])
	}
	after := c.Lots(lots)
	for _, g := range after {
		was := int64(0)
		if i := slices.IndexFunc(lots, func(o ledger.Grant) bool { return o.ID == g.ID }); i >= 0 {
			was = lots[i].RemainingMinor
		}
		if got := g.RemainingMinor - was; got != moved["lot "+g.ID] {
			t.Fatalf("lot %s moved by %d, the postings say %d", g.ID, got, moved["lot "+g.ID])
		}
		if g.RemainingMinor < 0 || g.RemainingMinor > g.AmountMinor || (g.RemainingMinor > 0) != g.Live() {
			t.Fatalf("lot %+v", g)
		}
	}
	want := walletOf(slices.DeleteFunc(slices.Clone(after), func(g ledger.Grant) bool { return !g.Live() }), 0)
	if c.Wallet.PromoAvailableMinor != want.PromoAvailableMinor || c.Wallet.PromoLockedMinor != want.PromoLockedMinor {
		t.Fatalf("wallet %+v, its lots give %+v", c.Wallet, want)
	}
}

// Rules 15 to 19.
func TestSpend(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lots := drawLots(t)
		actual := rapid.Int64Range(0, 2000).Draw(t, "actual")
		amount := rapid.Int64Range(1, 6000).Draw(t, "to pay")
		d, short := ledger.Spend(amount, actual, lots, noon)
		spendable := actual + ledger.SpendablePromo(lots, noon)
		if want := max(amount-spendable, 0); short != want {
			t.Fatalf("short %d, want %d", short, want)
		}
		if short > 0 {
			return
		}
		if d.AmountMinor() != amount || !d.InOrder(amount, actual, lots, noon) {
			t.Fatalf("debit %+v of %d", d, amount)
		}
		order := ledger.Spendable(lots, noon)
		for i, s := range d.Sources {
			if order[i].ID != s.GrantID || (i < len(d.Sources)-1 || d.ActualMinor > 0) && s.AmountMinor != order[i].RemainingMinor {
				t.Fatalf("source %d is %+v, the order is %+v", i, s, order)
			}
		}
		for i := 1; i < len(order); i++ {
			a, b := order[i-1].ExpiresAt, order[i].ExpiresAt
			if a == nil && b != nil || a != nil && b != nil && a.After(*b) {
				t.Fatalf("order %+v", order)
			}
		}
		w := walletOf(lots, actual)
		c := ledger.Begin(w)
		if err := c.Pay(head(ledger.EntryPayment), d, lots); err != nil {
			t.Fatal(err)
		}
		explains(t, c, w, lots)
	})
}

// A payment given back in any number of parts leaves everything as it was.
func TestRestoreUndoesPay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lots := drawLots(t)
		actual := rapid.Int64Range(1, 2000).Draw(t, "actual")
		amount := rapid.Int64Range(1, actual+ledger.SpendablePromo(lots, noon)).Draw(t, "to pay")
		d, _ := ledger.Spend(amount, actual, lots, noon)
		w := walletOf(lots, actual)
		c := ledger.Begin(w)
		if err := c.Pay(head(ledger.EntryPayment), d, lots); err != nil {
			t.Fatal(err)
		}
		wallet, now := c.Wallet, c.Lots(lots)
		paid := ledger.Paid{Debit: d, RestoredPromo: make([]int64, len(d.Sources))}
		for paid.LeftMinor() > 0 {
			part := rapid.Int64Range(1, paid.LeftMinor()).Draw(t, "part")
			back, err := paid.PlanBack(part)
			if err != nil {
				t.Fatal(err)
			}
			// Actual money goes back before any promo: the reverse of the order of spending.
			if len(back.Sources) > 0 && paid.RestoredActualMinor+back.ActualMinor != d.ActualMinor {
				t.Fatalf("promo goes back while %d actual are left: %+v", d.ActualMinor, back)
			}
			r := ledger.Begin(wallet)
			given, err := r.Restore(head(ledger.EntryRefund), back, now, time.Hour, noExpiry(t))
			if err != nil || given.ForfeitedMinor() != 0 || given.ActualMinor+given.PromoMinor() != part {
				t.Fatal(given, err)
			}
			explains(t, r, wallet, now)
			wallet, now = r.Wallet, r.Lots(now)
			paid.RestoredActualMinor += back.ActualMinor
			for _, s := range back.Sources {
				i := slices.IndexFunc(d.Sources, func(o ledger.PromoSource) bool { return o.GrantID == s.GrantID })
				paid.RestoredPromo[i] += s.AmountMinor
			}
		}
		if wallet.ActualMinor != w.ActualMinor || wallet.PromoAvailableMinor != w.PromoAvailableMinor {
			t.Fatalf("after giving all back %+v, before %+v", wallet, w)
		}
		if _, err := paid.PlanBack(1); !fault.Is(err, fault.CodeRefundExceedsPayment) {
			t.Fatalf("one more: %v", err)
		}
	})
}

func TestRestoreOfLapsedAndClawedBack(t *testing.T) {
	t.Parallel()
	gone := noon.Add(-time.Hour)
	lots := []ledger.Grant{
		{ID: "grt_expired", CustomerID: "cus_1", State: ledger.Expired, AmountMinor: 100, ExpiresAt: &gone},
		{ID: "grt_clawed", CustomerID: "cus_1", State: ledger.ClawedBack, AmountMinor: 100, BudgetID: "bud_1"},
		{ID: "grt_spent", CustomerID: "cus_1", State: ledger.Spent, AmountMinor: 100},
	}
	c := ledger.Begin(ledger.Wallet{CustomerID: "cus_1", Currency: "USD"})
	back := ledger.Back{ActualMinor: 5, Sources: []ledger.PromoSource{{GrantID: "grt_spent", AmountMinor: 40}, {GrantID: "grt_clawed", AmountMinor: 30}, {GrantID: "grt_expired", AmountMinor: 20}}}
	given, err := c.Restore(head(ledger.EntryRefund), back, lots, ledger.DefaultGrace, noExpiry(t))
	if err != nil || given.ForfeitedMinor() != 30 || given.PromoMinor() != 60 {
		t.Fatalf("gave %+v, %v", given, err)
	}
	if c.Wallet.ActualMinor != 5 || c.Wallet.PromoAvailableMinor != 60 {
		t.Fatalf("wallet %+v", c.Wallet)
	}
	for _, g := range c.Grants {
		if g.State != ledger.Released {
			t.Errorf("%s is %s", g.ID, g.State)
		}
		if g.ID == "grt_expired" && !g.ExpiresAt.Equal(noon.Add(ledger.DefaultGrace)) {
			t.Errorf("grace until %s", g.ExpiresAt)
		}
		if g.ID == "grt_spent" && g.ExpiresAt != nil {
			t.Errorf("a never-expiring lot expires %s", g.ExpiresAt)
		}
	}
	if i := slices.IndexFunc(c.Entries[0].Postings, func(p ledger.Posting) bool {
		return p.Account == ledger.Account{Kind: ledger.AccountBudget, Owner: "bud_1"}
	}); i < 0 {
		t.Error("the forfeited part did not go back to its budget")
	}
}

// Every transition of the state machine that is not in the diagram is refused.
func TestGrantStates(t *testing.T) {
	t.Parallel()
	past, future := noon.Add(-1), noon.Add(1)
	grant := func(s ledger.GrantState, expires *time.Time) ledger.Grant {
		g := ledger.Grant{ID: "grt_1", State: s, AmountMinor: 10, ExpiresAt: expires}
		if g.Live() {
			g.RemainingMinor = 10
		}
		return g
	}
	for _, s := range []ledger.GrantState{ledger.Locked, ledger.Released, ledger.Spent, ledger.Expired, ledger.ClawedBack} {
		live := s == ledger.Locked || s == ledger.Released
		_, err := grant(s, nil).Release(noon)
		if (err == nil) != (s == ledger.Locked) {
			t.Errorf("release of %s: %v", s, err)
		}
		_, err = grant(s, &future).Spend(10, noon)
		if (err == nil) != (s == ledger.Released) {
			t.Errorf("spend of %s: %v", s, err)
		}
		_, err = grant(s, &past).Expire(noon)
		if (err == nil) != live {
			t.Errorf("expiry of %s: %v", s, err)
		}
		_, err = grant(s, nil).ClawBack()
		if (err == nil) != live {
			t.Errorf("clawback of %s: %v", s, err)
		}
		if !live && !fault.Is(err, fault.CodeGrantNotClawbackable) {
			t.Errorf("clawback of %s: %v", s, err)
		}
	}
	if _, err := grant(ledger.Released, &past).Spend(1, noon); err == nil {
		t.Error("a lapsed lot was spent")
	}
	if _, err := grant(ledger.Released, &future).Expire(noon); err == nil {
		t.Error("a lot expired before its time")
	}
}

// Rule 26.
func TestQualifies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gate               tenancy.ClaimGate
		verified, top, buy bool
		want               bool
	}{
		{tenancy.GateOnVerification, true, false, false, true},
		{tenancy.GateOnVerification, false, true, true, false},
		{"", true, false, false, true},
		{tenancy.GateOnFirstTopup, true, false, true, false},
		{tenancy.GateOnFirstTopup, true, true, false, true},
		{tenancy.GateOnFirstTopup, false, true, true, false},
		{tenancy.GateOnFirstPurchase, true, true, false, false},
		{tenancy.GateOnFirstPurchase, true, false, true, true},
		{"on_full_moon", true, true, true, false},
	} {
		var w ledger.Wallet
		if c.top {
			w.FirstTopupAt = &noon
		}
		if c.buy {
			w.FirstPurchaseAt = &noon
		}
		if got := w.Qualifies(c.gate, c.verified); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestEntryValidate(t *testing.T) {
	t.Parallel()
	wallet, sales := ledger.Account{Kind: ledger.AccountWallet, Owner: "cus_1"}, ledger.Account{Kind: ledger.AccountSales}
	lot := ledger.Account{Kind: ledger.AccountLot, Owner: "grt_1"}
	p := func(a ledger.Account, c money.Class, n int64) ledger.Posting {
		return ledger.Posting{Account: a, Class: c, AmountMinor: n}
	}
	for name, c := range map[string]struct {
		postings []ledger.Posting
		want     error
	}{
		"balanced":        {[]ledger.Posting{p(wallet, money.Actual, -5), p(sales, money.Actual, 5)}, nil},
		"both classes":    {[]ledger.Posting{p(wallet, money.Actual, -5), p(sales, money.Actual, 5), p(lot, money.Promo, -1), p(sales, money.Promo, 1)}, nil},
		"one line":        {[]ledger.Posting{p(wallet, money.Actual, -5)}, ledger.ErrPosting},
		"unbalanced":      {[]ledger.Posting{p(wallet, money.Actual, -5), p(sales, money.Actual, 4)}, ledger.ErrUnbalanced},
		"across classes":  {[]ledger.Posting{p(wallet, money.Actual, -5), p(sales, money.Promo, 5)}, ledger.ErrUnbalanced},
		"gift unbalanced": {[]ledger.Posting{p(sales, money.Gift, -5), p(sales, money.Gift, 4)}, ledger.ErrUnbalanced},
		"zero":            {[]ledger.Posting{p(wallet, money.Actual, 0), p(sales, money.Actual, 0)}, ledger.ErrPosting},
		"no owner":        {[]ledger.Posting{p(ledger.Account{Kind: ledger.AccountWallet}, money.Actual, -5), p(sales, money.Actual, 5)}, ledger.ErrPosting},
		"promo in wallet": {[]ledger.Posting{p(wallet, money.Promo, -5), p(sales, money.Promo, 5)}, ledger.ErrPosting},
		"actual in lot":   {[]ledger.Posting{p(lot, money.Actual, -5), p(sales, money.Actual, 5)}, ledger.ErrPosting},
	} {
		if err := (ledger.Entry{Postings: c.postings}).Validate(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTiers(t *testing.T) {
	t.Parallel()
	tiers := ledger.Tiers{Steps: []ledger.Tier{{2500, 250, 0}, {1000, 50, 0}, {5000, 750, 0}}}
	for amount, want := range map[int64]int64{999: 0, 1000: 50, 2499: 50, 2500: 250, 3000: 250, 5000: 750, 1e12: 750} {
		tier, ok := tiers.Earned(amount)
		if tier.BonusMinor != want || ok != (want > 0) {
			t.Errorf("a deposit of %d earns %d, want %d", amount, tier.BonusMinor, want)
		}
	}
}

// Figures of a balance are the sums of the lots that it lists (rules 19, 22).
func TestBalanceIsTheSumOfItsGrants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lots := drawLots(t)
		b := walletOf(lots, 7).Balance(lots, noon)
		var available, locked int64
		for _, g := range b.Grants {
			if g.Lapsed(noon) || !g.Live() {
				t.Fatalf("the balance lists %+v", g)
			}
			if g.State == ledger.Released {
				available += g.RemainingMinor
			} else {
				locked += g.RemainingMinor
			}
		}
		if b.ActualMinor != 7 || b.PromoAvailableMinor != available || b.PromoLockedMinor != locked || available != ledger.SpendablePromo(lots, noon) {
			t.Fatalf("balance %+v, its grants give %d and %d", b, available, locked)
		}
	})
}

// Event data is a JSON object whatever the ids hold.
func TestEventData(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"session_id":null`, `","session_id":"`, `\","session_id":null,"`}))
	rapid.Check(t, func(t *rapid.T) {
		p := ledger.Payment{
			ID: text.Draw(t, "id"), CustomerID: text.Draw(t, "customer"), SessionID: text.Draw(t, "session"),
			Debit: ledger.Debit{Sources: []ledger.PromoSource{{GrantID: rapid.String().Draw(t, "grant"), AmountMinor: 3}, {GrantID: "g", AmountMinor: 4}}, ActualMinor: 5},
		}
		var got struct {
			SessionID    *string `json:"session_id"`
			CustomerID   string  `json:"customer_id"`
			PromoMinor   int64   `json:"debited_promo_minor"`
			PromoSources []struct {
				AmountMinor int64 `json:"amount_minor"`
			} `json:"promo_sources"`
		}
		e := p.Event("evt_1", ledger.EventPaymentSucceeded, noon)
		if err := json.Unmarshal(e.Data, &got); err != nil {
			t.Fatal(err)
		}
		if alone, err := ledger.PaidAlone(&e); err != nil || alone != (p.SessionID == "") {
			t.Fatalf("alone %v, %v: %s", alone, err, e.Data)
		}
		if got.PromoMinor != 7 || len(got.PromoSources) != 2 || (got.SessionID == nil) != (p.SessionID == "") {
			t.Fatalf("data %+v", got)
		}
	})
}

// A wallet takes deposits up to what an amount may be, with those on their way;
// one that holds more, by what went back to it, takes none.
func TestRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		actual, pending, amount int64
		ok                      bool
	}{
		{0, 0, money.MaxMinor, true}, {0, 0, money.MaxMinor + 1, false}, {1, 0, money.MaxMinor, false}, {0, 1, money.MaxMinor, false},
		{money.MaxMinor - 3, 2, 1, true}, {money.MaxMinor - 3, 2, 2, false}, {2 * money.MaxMinor, 0, 1, false}, {2 * money.MaxMinor, 0, 0, true},
	} {
		err := ledger.Wallet{ActualMinor: c.actual, PendingTopupsMinor: c.pending}.Room("amount_minor", c.amount)
		if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.CodeAmountOutOfRange) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
