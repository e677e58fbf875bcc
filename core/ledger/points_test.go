package ledger

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

// Whatever is earned, burned and lapses: the balance is the sum of the lots and
// of the customer's postings, never negative; a burn that is refused changes
// nothing; points that expire first go first.
func TestPointsBalanceFollowsFromLotsAndPostings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
		a := PointsAccount{CustomerID: "cus_1"}
		posted := int64(0)
		for i := range rapid.IntRange(1, 30).Draw(t, "moves") {
			now = now.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour)
			m := PointsMovement{ID: "pmv_1", EntryID: "ent_1", At: now}
			c := BeginPoints(a)
			if err := c.Expire(m); err != nil {
				t.Fatal(err)
			}
			before := c.Account.Balance
			m.Points = rapid.Int64Range(1, 500).Draw(t, "points")
			if rapid.Bool().Draw(t, "burn") {
				m.Type, m.Points = PointsBurn, -m.Points
				err := c.Burn(m)
				if short := -m.Points > before; short != fault.Is(err, fault.CodeAmountOutOfRange) {
					t.Fatalf("burning %d of %d: %v", -m.Points, before, err)
				}
				if err != nil && c.Account.Balance != before {
					t.Fatalf("a refused burn left %d of %d", c.Account.Balance, before)
				}
			} else {
				m.Type = PointsEarn
				var expires *time.Time
				if rapid.Bool().Draw(t, "expires") {
					at := now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "life")) * time.Hour)
					expires = &at
				}
				if err := c.Earn(m, "plt_"+string(rune('a'+i)), expires); err != nil {
					t.Fatal(err)
				}
			}
			for _, e := range c.Entries {
				for _, p := range e.Postings {
					if p.Class != money.Points {
						t.Fatalf("a posting of class %v", p.Class)
					}
					if p.Kind == AccountPoints {
						posted += p.AmountMinor
					}
				}
			}
			a = c.Account
			held := int64(0)
			for _, l := range a.Lots {
				held += l.Remaining
			}
			if a.Balance != held || a.Balance != posted || a.Balance < 0 {
				t.Fatalf("balance %d, lots %d, postings %d", a.Balance, held, posted)
			}
		}
	})
}

func TestPointsBurnInOrderOfExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
	soon, late, past := now.Add(time.Hour), now.Add(2*time.Hour), now.Add(-time.Hour)
	a := PointsAccount{CustomerID: "cus_1", Balance: 40, Lots: []PointsLot{
		{ID: "never", Points: 10, Remaining: 10}, {ID: "late", Points: 10, Remaining: 10, ExpiresAt: &late},
		{ID: "past", Points: 10, Remaining: 10, ExpiresAt: &past}, {ID: "soon", Points: 10, Remaining: 10, ExpiresAt: &soon},
	}}
	if shown := a.At(now); shown.Balance != 30 || len(shown.Lots) != 3 || shown.Lots[0].ID != "soon" || shown.Lots[2].ID != "never" {
		t.Errorf("shown as %+v", shown)
	}
	c := BeginPoints(a)
	if err := c.Expire(PointsMovement{ID: "pmv_1", EntryID: "ent_1", At: now}); err != nil {
		t.Fatal(err)
	}
	if err := c.Burn(PointsMovement{ID: "pmv_2", EntryID: "ent_2", Type: PointsBurn, Points: -15, At: now}); err != nil {
		t.Fatal(err)
	}
	left := map[string]int64{}
	for _, l := range c.Account.Lots {
		left[l.ID] = l.Remaining
	}
	if len(left) != 2 || left["late"] != 5 || left["never"] != 10 || c.Account.Balance != 15 || c.Account.Burned != 15 {
		t.Errorf("left %v, account %+v", left, c.Account)
	}
	if len(c.Movements) != 2 || c.Movements[0].Type != PointsExpire || c.Movements[0].Points != -10 || c.Movements[1].Balance != 15 {
		t.Errorf("movements %+v", c.Movements)
	}
}
