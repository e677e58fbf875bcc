package settlements_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/settlement"
)

// Payments go first for longer while all is gathered that is older than five
// minutes.
func TestGatheringGivesWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var waits []time.Duration
	s.GiveWay = func(_ context.Context, most time.Duration) { waits = append(waits, most) }
	first := func() time.Duration {
		waits = nil
		_, err := s.Gather(t.Context(), 500)
		s.must(err)
		return waits[0]
	}
	if waited := first(); waited != time.Second {
		t.Errorf("before anything was gathered, gave way for %v", waited)
	}
	s.gathered()
	if waited := first(); waited != 15*time.Second {
		t.Errorf("with all gathered, gave way for %v", waited)
	}
	s.gathered()
	s.clock.Advance(6 * time.Minute)
	if waited := first(); waited != time.Second {
		t.Errorf("six minutes late, gave way for %v", waited)
	}
}

// Whatever happens on whichever days, and whenever it is gathered, by one server
// or by several: every batch adds up to the postings of its day, nothing is
// left out or counted twice, each batch is ready once, and none changes then.
func TestTotalsAreThePostings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guests := []string{s.customer(), s.customer()}
	brands := []string{"", "brd_a", "brd_b"}
	var sales []sale
	owner := map[string]string{}
	expire := &grants.Service{UoW: s.UoW, Clock: s.clock, IDs: s.IDs, Directory: s.Directory}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			guest := rapid.SampledFrom(guests).Draw(rt, "guest")
			amount := rapid.Int64Range(1, 5000).Draw(rt, "amount")
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0:
				n++
				s.deposit(guest, fmt.Sprintf("pi_%d", n), amount)
			case 1:
				s.grant(guest, ledger.SourceCashback, amount, rapid.IntRange(0, 1).Draw(rt, "days"))
			case 2, 3:
				if paid := s.pay(guest, rapid.SampledFrom(brands).Draw(rt, "brand"), amount); paid.payment != "" {
					sales, owner[paid.payment] = append(sales, paid), guest
				}
			case 4:
				if len(sales) > 0 {
					s.back(owner[sales[0].payment], sales[0], rapid.SampledFrom([]ledger.EntryKind{ledger.EntryVoid, ledger.EntryRefund}).Draw(rt, "kind"))
					sales = sales[1:]
				}
			case 5:
				s.clock.Advance(time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour)
				_, err := expire.Expire(t.Context(), 100)
				s.must(err)
			case 6:
				atOnce(2, func(int) {
					if _, err := s.Gather(t.Context(), 500); err != nil {
						t.Error(err)
					}
				})
			}
		}
	})
	s.gathered()
	before := s.batches(settlements.BatchesInput{Limit: 200, State: settlement.BatchReady})
	s.clock.Advance(48 * time.Hour)
	s.gathered()
	all := s.everyBatch()
	for _, b := range all {
		if b.State != settlement.BatchReady || b.ReadyAt == nil {
			t.Errorf("%s of a day that is over is %s", b.ID, b.State)
		}
	}
	for _, b := range before {
		if i := slices.IndexFunc(all, func(a settlement.Batch) bool { return a.ID == b.ID }); i < 0 || !same(all[i], b) {
			t.Errorf("%s was ready and changed", b.ID)
		}
	}
	if n := s.events("settlement.ready"); n != int64(len(all)) || n < 3 {
		t.Errorf("%d events for %d batches", n, len(all))
	}
	s.isThePostings(all)
	s.sound()
}

func same(a, b settlement.Batch) bool {
	return a.LinesCount == b.LinesCount && slices.Equal(a.Sums, b.Sums) && a.ReadyAt.Equal(*b.ReadyAt)
}

// everyBatch reads the list page by page.
func (s *shop) everyBatch() (all []settlement.Batch) {
	s.t.Helper()
	for in := (settlements.BatchesInput{Limit: 3}); ; {
		p, err := s.Batches(s.t.Context(), s.call, in)
		s.must(err)
		all = append(all, p.Batches...)
		if in.Cursor = p.Next; p.Next == "" {
			return all
		}
	}
}

// posted is what the postings of a period say, per class.
type posted struct {
	Class int16
	Sum   int64
	Count int64
}

// isThePostings holds the batches of each day against the postings of that day,
// on the customers' side and, with the other sign, on the merchant's.
func (s *shop) isThePostings(all []settlement.Batch) {
	s.t.Helper()
	days := map[time.Time][]settlement.Batch{}
	for _, b := range all {
		days[b.PeriodStart] = append(days[b.PeriodStart], b)
	}
	codes := map[money.Class]int16{money.Actual: 1, money.Promo: 2}
	for start, batches := range days {
		for side, sql := range map[string]string{
			"customers'": `SELECT class, sum(amount_minor)::bigint AS sum, count(DISTINCT p.entry_id) AS count`,
			"merchant's": `SELECT class, -sum(amount_minor)::bigint AS sum, count(DISTINCT p.entry_id) AS count`,
		} {
			in := "IN (1, 2, 9, 10)"
			if side == "merchant's" {
				in = "NOT IN (1, 2, 9, 10)"
			}
			rows, err := pg.Many[posted](s.t.Context(), s.db.Q(), sql+` FROM postings p JOIN entries e USING (entry_id)
				WHERE e.tenant_no = $1 AND e.at >= $2 AND e.at < $3 AND p.account `+in+` GROUP BY class`, s.tenant.No, start, batches[0].PeriodEnd)
			s.must(err)
			net, lines := map[int16]int64{}, int64(0)
			for _, b := range batches {
				lines += b.LinesCount
				for _, total := range b.Totals() {
					net[codes[total.Class]] += total.NetMinor()
				}
			}
			for _, row := range rows {
				if net[row.Class] != row.Sum {
					s.t.Errorf("%s: the %s side of class %d moved %d, the batches say %d", start, side, row.Class, row.Sum, net[row.Class])
				}
				lines -= row.Count
			}
			if lines != 0 {
				s.t.Errorf("%s: %d lines too many on the %s side", start, lines, side)
			}
		}
	}
	if left := s.count(`SELECT count(DISTINCT p.entry_id) FROM postings p LEFT JOIN settlement_lines l USING (entry_id) WHERE p.account IN (1, 2) AND l.entry_id IS NULL`); left != 0 {
		s.t.Errorf("%d entries are in no batch", left)
	}
}

func TestABatchOfADay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.customer()
	top := s.deposit(guest, "pi_1", 2500)
	s.clock.Advance(time.Second) // lines of one instant stand in the order of their ids
	s.grant(guest, ledger.SourceCashback, 300, 0)
	paid := s.pay(guest, "brd_a", 1000)
	s.clock.Advance(11*time.Hour + 59*time.Minute) // the last minute of the day in New York
	s.pay(guest, "brd_a", 100)
	s.clock.Advance(time.Minute)
	s.back(guest, paid, ledger.EntryRefund) // of yesterday's sale, so today's
	s.gathered()

	if ready := s.batches(settlements.BatchesInput{State: settlement.BatchReady}); len(ready) != 0 {
		t.Errorf("%d batches are ready the moment the day ends", len(ready))
	}
	s.clock.Advance(settlement.Grace)
	s.gathered()
	ready := s.batches(settlements.BatchesInput{State: settlement.BatchReady, BrandID: "brd_a"})
	if len(ready) != 1 || s.events("settlement.ready") != 2 { // the brand's, and that of no brand
		t.Fatalf("%d batches of the brand are ready, %d events", len(ready), s.events("settlement.ready"))
	}
	b := ready[0]
	start := time.Date(2026, 6, 12, 4, 0, 0, 0, time.UTC)
	if !b.PeriodStart.Equal(start) || b.PeriodEnd.Sub(start) != 24*time.Hour || b.LinesCount != 3 {
		t.Errorf("%+v", b)
	}
	want := []settlement.Totals{{Class: money.Actual, DebitedMinor: 800}, {Class: money.Promo, DebitedMinor: 300}}
	if got := b.Totals(); !slices.Equal(got, want) {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	today := s.batches(settlements.BatchesInput{State: settlement.BatchOpen})
	if len(today) != 1 || today[0].BrandID != "brd_a" || !slices.Equal(today[0].Totals(), []settlement.Totals{{Class: money.Actual, RefundedMinor: 700}}) {
		t.Errorf("today: %+v", today)
	}

	// Its lines, page by page, oldest first.
	var lines []settlement.Line
	for in := (settlements.BatchInput{ID: b.ID, Limit: 1}); ; {
		v, err := s.Batch(t.Context(), s.call, in)
		s.must(err)
		lines = append(lines, v.Lines...)
		if in.Cursor = v.Next; v.Next == "" {
			break
		}
	}
	if len(lines) != 3 || lines[0].RefID != paid.payment || lines[0].AmountMinor != -700 || lines[1].AmountMinor != -300 || lines[2].AmountMinor != -100 {
		t.Errorf("lines %+v", lines)
	}
	other := s.batches(settlements.BatchesInput{State: settlement.BatchReady})
	i := slices.IndexFunc(other, func(b settlement.Batch) bool { return b.BrandID == "" })
	v, err := s.Batch(t.Context(), s.call, settlements.BatchInput{ID: other[i].ID})
	s.must(err)
	if len(v.Lines) != 2 || v.Lines[0].Reference != "pi_1" || v.Lines[0].RefID != top.ID || v.Lines[0].Source != "provider" {
		t.Errorf("lines %+v", v.Lines)
	}

	// Settling its top-up settles the batch that holds it, and no other.
	_, err = s.Settle(t.Context(), s.call, settlements.SettleInput{BankReference: "b", Currency: "USD", SettledAt: noon, Lines: []settlements.SettleLine{{TopupID: top.ID}}})
	s.must(err)
	if got := s.batches(settlements.BatchesInput{State: settlement.BatchSettled}); len(got) != 1 || got[0].ID != other[i].ID {
		t.Errorf("settled: %+v", got)
	}
	s.sound()
}

// What is written long after its day, because something held it up, goes into
// the batch that is open: what is ready never changes.
func TestALateLine(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.customer()
	s.deposit(guest, "pi_1", 1000)
	s.clock.Advance(24 * time.Hour)
	s.gathered()
	ready := s.batches(settlements.BatchesInput{State: settlement.BatchReady})
	if len(ready) != 1 {
		t.Fatalf("%d batches are ready", len(ready))
	}
	s.clock.Advance(-20 * time.Hour) // the entry is of yesterday
	s.deposit(guest, "pi_2", 500)
	s.clock.Advance(20*time.Hour + time.Second)
	s.gathered()
	if again := s.batches(settlements.BatchesInput{State: settlement.BatchReady}); len(again) != 1 || !same(again[0], ready[0]) {
		t.Errorf("the ready batch changed: %+v", again)
	}
	open := s.batches(settlements.BatchesInput{State: settlement.BatchOpen})
	if len(open) != 1 || open[0].Totals()[0].CreditedMinor != 500 {
		t.Errorf("the late line is in %+v", open)
	}
	s.sound()
}

func TestWhoSeesABatch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.customer()
	s.deposit(guest, "pi_1", 1000)
	s.pay(guest, "brd_a", 100)
	s.pay(guest, "brd_b", 200)
	s.gathered()
	all := s.batches(settlements.BatchesInput{})
	if len(all) != 3 {
		t.Fatalf("%d batches", len(all))
	}
	brand := *s.call
	brand.Actor.BrandID = "brd_a"
	p, err := s.Batches(t.Context(), &brand, settlements.BatchesInput{})
	s.must(err)
	if len(p.Batches) != 1 || p.Batches[0].BrandID != "brd_a" {
		t.Errorf("a brand's key sees %+v", p.Batches)
	}
	for _, b := range all {
		_, err := s.Batch(t.Context(), &brand, settlements.BatchInput{ID: b.ID})
		if own := b.BrandID == "brd_a"; own && err != nil || !own && !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("batch of %q by a key of brd_a: %v", b.BrandID, err)
		}
	}
	if p, err := s.Batches(t.Context(), &brand, settlements.BatchesInput{BrandID: "brd_b"}); err != nil || len(p.Batches) != 0 {
		t.Errorf("another brand's: %+v %v", p, err)
	}
	branch := brand
	branch.Actor.BranchID = "brn_a"
	_, err = s.Batches(t.Context(), &branch, settlements.BatchesInput{})
	wants(t, "a branch's key lists", err, fault.CodeScopeInsufficient)
	_, stranger := s.merchant()
	_, err = s.Batch(t.Context(), stranger, settlements.BatchInput{ID: all[0].ID})
	wants(t, "another tenant reads", err, fault.CodeNotFound)
	if p, err := s.Batches(t.Context(), stranger, settlements.BatchesInput{}); err != nil || len(p.Batches) != 0 {
		t.Errorf("another tenant lists %+v %v", p, err)
	}
	_, err = s.Batches(t.Context(), s.call, settlements.BatchesInput{Cursor: "x"})
	wants(t, "a cursor of nowhere", err, fault.CodeCursorInvalid)
	_, err = s.Batch(t.Context(), s.call, settlements.BatchInput{ID: all[0].ID, Cursor: "x"})
	wants(t, "a cursor of nowhere", err, fault.CodeCursorInvalid)
	after, before := noon.Add(24*time.Hour), noon.Add(-24*time.Hour)
	if got := s.batches(settlements.BatchesInput{PeriodAfter: &after}); len(got) != 0 {
		t.Errorf("after: %+v", got)
	}
	if got := s.batches(settlements.BatchesInput{PeriodBefore: &before}); len(got) != 0 {
		t.Errorf("before: %+v", got)
	}
}
