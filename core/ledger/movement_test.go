package ledger

import (
	"slices"
	"testing"
	"time"
)

func TestMovementsOfALot(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 6, 12, 8, minute, 0, 0, time.UTC) }
	released := at(2)
	g := Grant{ID: "grt_1", OriginID: "top_1", CreatedAt: at(0), ReleasedAt: &released}
	got := MovementsOf(g, []LotLine{
		{EntryID: "ent_1", Kind: EntryTopup, RefID: "top_1", AmountMinor: 250, At: at(0)},
		{EntryID: "ent_2", Kind: EntryPayment, RefID: "pay_1", AmountMinor: -200, At: at(3)},
		{EntryID: "ent_3", Kind: EntryVoid, RefID: "pay_1", AmountMinor: 200, At: at(4)},
		{EntryID: "ent_4", Kind: EntryExpiry, RefID: "grt_1", AmountMinor: -250, At: at(5)},
	})
	want := []GrantMovement{
		{"issued", 250, 250, "top_1", "ent_1", at(0)},
		{"released", 0, 250, "", "", at(2)},
		{"spent", 200, 50, "pay_1", "ent_2", at(3)},
		{"restored", 200, 250, "pay_1", "ent_3", at(4)},
		{"expired", 250, 0, "grt_1", "ent_4", at(5)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	g.ReleasedAt = &g.CreatedAt // released at its issue: one movement, not two
	if got := MovementsOf(g, nil); len(got) != 0 {
		t.Errorf("a lot without lines moved: %v", got)
	}
}
