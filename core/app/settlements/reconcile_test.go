package settlements_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/settlement"
)

func period(totals ...settlement.Total) settlements.ReconcileInput {
	return settlements.ReconcileInput{PeriodStart: noon.Add(-time.Hour), PeriodEnd: noon.Add(time.Hour), Currency: "USD", Totals: totals}
}

// traded does a little of everything and gathers it.
func (s *shop) traded() (paid sale) {
	s.t.Helper()
	guest := s.customer()
	s.deposit(guest, "pi_1", 2500)
	s.grant(guest, ledger.SourceCashback, 300, 0)
	s.grant(guest, ledger.SourceReloadBonus, 50, 0)
	paid = s.pay(guest, "brd_a", 1000)
	second := s.pay(guest, "brd_b", 200)
	s.back(guest, second, ledger.EntryRefund)
	s.back(guest, s.pay(guest, "brd_b", 10), ledger.EntryVoid)
	s.gathered()
	return paid
}

var truth = []settlement.Total{
	{Item: settlement.ItemPayments, AmountMinor: 1210, Count: 3}, {Item: settlement.ItemPaymentsPromo, AmountMinor: 350, Count: 1},
	{Item: settlement.ItemPaymentsActual, AmountMinor: 860, Count: 3}, {Item: settlement.ItemRefunds, AmountMinor: 200, Count: 1},
	{Item: settlement.ItemVoids, AmountMinor: 10, Count: 1}, {Item: settlement.ItemTopups, AmountMinor: 2500, Count: 1},
	{Item: settlement.ItemSKUTopups}, {Item: settlement.ItemCashback, AmountMinor: 300, Count: 1},
	{Item: settlement.ItemReloadBonus, AmountMinor: 50, Count: 1}, {Item: settlement.ItemTransactions},
}

func TestReconcileAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.traded()
	run, err := s.Reconcile(t.Context(), s.call, period(truth...))
	s.must(err)
	if run.State != settlement.RunMatched || len(run.Lines) != len(truth) || run.Complete {
		t.Errorf("%+v", run)
	}
	if s.events("reconciliation.completed") != 1 {
		t.Errorf("%d events", s.events("reconciliation.completed"))
	}
	// An item that differs is named with both figures, by amount and by count.
	for item := range truth {
		claims := append([]settlement.Total(nil), truth...)
		claims[item].AmountMinor += 25
		run, err := s.Reconcile(t.Context(), s.call, period(claims...))
		s.must(err)
		for i, l := range run.Lines {
			if l.Agrees() != (i != item) || i == item && l.DifferenceMinor() != 25 {
				t.Errorf("%s with 25 too many: %+v", truth[item].Item, l)
			}
		}
		if run.State != settlement.RunDiffers {
			t.Errorf("%s", run.State)
		}
	}
	// A place compares its own, a day without trade nothing.
	brand := *s.call
	brand.BrandID = "brd_a"
	run, err = s.Reconcile(t.Context(), &brand, period(settlement.Total{Item: settlement.ItemPayments, AmountMinor: 1000, Count: 1}))
	s.must(err)
	if run.State != settlement.RunMatched {
		t.Errorf("the brand: %+v", run.Lines)
	}
	early := period(settlement.Total{Item: settlement.ItemPayments})
	early.PeriodStart, early.PeriodEnd = noon.Add(-48*time.Hour), noon // its end is exclusive
	run, err = s.Reconcile(t.Context(), s.call, early)
	s.must(err)
	if run.State != settlement.RunMatched {
		t.Errorf("before: %+v", run.Lines)
	}
	xyz := period(truth...)
	xyz.Currency = "XYZ"
	_, err = s.Reconcile(t.Context(), s.call, xyz)
	wants(t, "another currency", err, fault.CodeUnsupportedCurrency)
}

// Over a period that is over and gathered a comparison is complete, and made
// again it finds the same.
func TestAClosedPeriodStays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.traded()
	s.clock.Advance(time.Hour + settlement.Grace - time.Second)
	s.gathered()
	run, err := s.Reconcile(t.Context(), s.call, period(truth...))
	s.must(err)
	if run.Complete {
		t.Error("a period is complete while its last movements may still be written")
	}
	s.clock.Advance(time.Second)
	s.gathered()
	first, err := s.Reconcile(t.Context(), s.call, period(truth...))
	s.must(err)
	s.deposit(s.customer(), "pi_late", 100)
	s.gathered()
	again, err := s.Reconcile(t.Context(), s.call, period(truth...))
	s.must(err)
	if !first.Complete || fmt.Sprint(first.Lines) != fmt.Sprint(again.Lines) || again.State != settlement.RunMatched {
		t.Errorf("%+v\nand again %+v", first, again)
	}
	stored, err := s.Reconciliation(t.Context(), s.call, first.ID)
	s.must(err)
	if fmt.Sprint(stored.Lines) != fmt.Sprint(first.Lines) || !stored.Complete || stored.State != first.State || !stored.CompletedAt.Equal(*first.CompletedAt) {
		t.Errorf("%+v, stored %+v", first, stored)
	}
	_, stranger := s.merchant()
	_, err = s.Reconciliation(t.Context(), stranger, first.ID)
	wants(t, "another tenant reads it", err, fault.CodeNotFound)
	brand := *s.call
	brand.Actor.BrandID = "brd_a"
	_, err = s.Reconciliation(t.Context(), &brand, first.ID)
	wants(t, "a brand's key reads the whole merchant's", err, fault.CodeNotFound)
}

// A large run waits for the background, is ended once by one of several
// servers, and names each movement that a side lacks or has otherwise.
func TestReconcileMovements(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	paid := s.traded()
	in := period(truth...)
	in.Entries = []settlement.Entry{
		{Item: settlement.ItemPayments, ReferenceID: paid.payment, AmountMinor: 999},
		{Item: settlement.ItemPayments, ReferenceID: "pay_ours_alone", AmountMinor: 5},
		{Item: settlement.ItemVoids, ReferenceID: "none", AmountMinor: 1},
	}
	run, err := s.Reconcile(t.Context(), s.call, in)
	s.must(err)
	if run.State != settlement.RunRunning || s.events("reconciliation.completed") != 0 {
		t.Errorf("%+v", run)
	}
	waiting, err := s.Reconciliation(t.Context(), s.call, run.ID)
	s.must(err)
	if waiting.State != settlement.RunRunning || waiting.CompletedAt != nil {
		t.Errorf("%+v", waiting)
	}
	ended := make([]int, 4)
	atOnce(4, func(i int) {
		var err error
		if ended[i], err = s.Compare(t.Context(), 500); err != nil {
			t.Error(err)
		}
	})
	if ended[0]+ended[1]+ended[2]+ended[3] != 1 || s.events("reconciliation.completed") != 1 {
		t.Errorf("ended %v times, %d events", ended, s.events("reconciliation.completed"))
	}
	done, err := s.Reconciliation(t.Context(), s.call, run.ID)
	s.must(err)
	kinds := map[string]int{}
	for _, d := range done.Differences {
		kinds[string(d.Item)+" "+d.Kind()]++
		if d.ReferenceID == paid.payment && d.DifferenceMinor() != -1 {
			t.Errorf("%+v", d)
		}
	}
	want := map[string]int{"payments differs": 1, "payments missing_here": 1, "payments missing_there": 2, "voids missing_here": 1, "voids missing_there": 1}
	if fmt.Sprint(kinds) != fmt.Sprint(want) || done.DifferencesCount != 6 || done.State != settlement.RunDiffers || len(done.Lines) != len(truth) {
		t.Errorf("%v of %d, want %v; %+v", kinds, done.DifferencesCount, want, done)
	}
	// Movements that all agree are a match; a long period is added up in parts.
	in.PeriodStart, in.PeriodEnd = noon.Add(-40*24*time.Hour), noon.Add(40*24*time.Hour)
	in.Entries = []settlement.Entry{{Item: settlement.ItemTopups, ReferenceID: s.topup("pi_1"), AmountMinor: 2500}}
	run, err = s.Reconcile(t.Context(), s.call, in)
	s.must(err)
	_, err = s.Compare(t.Context(), 500)
	s.must(err)
	if done, err = s.Reconciliation(t.Context(), s.call, run.ID); err != nil || done.State != settlement.RunMatched {
		t.Errorf("%+v %v", done, err)
	}
}

// A server that died over a run leaves it to the next one when its lease ends.
func TestARunOfADeadServer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	in := period(settlement.Total{Item: settlement.ItemPayments})
	in.PeriodStart = in.PeriodStart.Add(-30 * 24 * time.Hour)
	run, err := s.Reconcile(t.Context(), s.call, in)
	s.must(err)
	claimed, err := s.UoW.Read().Settlement.DueRuns(t.Context(), s.clock.Now(), time.Minute, 10) // and then it died
	s.must(err)
	if n, err := s.Compare(t.Context(), 500); err != nil || n != 0 || len(claimed) != 1 {
		t.Errorf("%d ended, %d claimed: %v", n, len(claimed), err)
	}
	s.clock.Advance(time.Minute)
	if n, err := s.Compare(t.Context(), 500); err != nil || n != 1 {
		t.Errorf("%d ended after the lease: %v", n, err)
	}
	if done, err := s.Reconciliation(t.Context(), s.call, run.ID); err != nil || done.State != settlement.RunMatched {
		t.Errorf("%+v %v", done, err)
	}
}

func (s *shop) topup(reference string) string {
	s.t.Helper()
	var id string
	s.must(s.db.Q().QueryRow(s.t.Context(), "select topup_id from topups where reference = $1", reference).Scan(&id))
	return id
}
