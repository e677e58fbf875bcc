package settlement_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/settlement"
)

func deposit(id, reference string, amount int64) settlement.Deposit {
	return settlement.Deposit{
		TopupID: id, Reference: reference, State: ledger.TopupCompleted, AmountMinor: amount, Currency: "USD", Progress: settlement.Unsettled,
	}
}

func TestEveryResultOfALine(t *testing.T) {
	t.Parallel()
	old := deposit("top_3", "old", 100)
	old.Progress, old.Reported = settlement.Settled, &settlement.Reported{GrossMinor: 100, NetMinor: 100}
	wrong := deposit("top_5", "wrong", 70)
	wrong.Progress, wrong.Reported = settlement.Differs, &settlement.Reported{GrossMinor: 7, NetMinor: 7}
	found := map[string]settlement.Deposit{
		"a": deposit("top_1", "a", 100), "b": deposit("top_2", "b", 100), "old": old, "back": deposit("top_4", "back", 50), "wrong": wrong,
	}
	r := settlement.Report{ID: "srp_1", Reference: "po_1"}
	var want []settlement.Result
	line := func(reference string, gross int64, result settlement.Result) {
		r.Lines = append(r.Lines, settlement.ReportLine{Reference: reference, GrossMinor: gross, FeeMinor: 1, NetMinor: gross - 1})
		want = append(want, result)
	}
	line("a", 100, settlement.Matched)
	line("a", 100, settlement.Duplicate)
	line("a", -100, settlement.Chargeback)
	line("b", 99, settlement.AmountDiffers)
	line("b", 100, settlement.Duplicate)
	line("old", 100, settlement.AlreadySettled)
	line("old", 99, settlement.Duplicate)
	line("back", -50, settlement.Chargeback)
	line("back", 50, settlement.Matched)
	line("wrong", 70, settlement.Matched) // put right by a later report
	line("none", 5, settlement.Unmatched)
	line("none", 5, settlement.Duplicate)
	line("b", 0, settlement.Duplicate)
	fits := r.Fits(found)
	for i, f := range fits {
		if f.Result != want[i] {
			t.Errorf("line %d (%s, %d) is %s, want %s", i, f.Reference, f.GrossMinor, f.Result, want[i])
		}
	}
	if d := fits[3].Deposit; d.Progress != settlement.Differs || d.Reported.GrossMinor != 99 || d.Reported.BankReference != "po_1" {
		t.Errorf("the deposit that differs is marked %+v", d)
	}
	if d := fits[0].Deposit; d.Progress != settlement.Settled || d.Reported.ReportID != "srp_1" {
		t.Errorf("the matched deposit is marked %+v", d)
	}
}

// However a report is made, every line has one result, no deposit is changed
// twice, none that was settled is changed, and the counts and sums are whole.
func TestFitsChangeEachDepositOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		found := map[string]settlement.Deposit{}
		names := []string{"a", "b", "c", "d", "e"}
		for _, name := range names[:rapid.IntRange(0, 5).Draw(t, "deposits")] {
			d := deposit("top_"+name, name, rapid.Int64Range(1, 3).Draw(t, "amount"))
			if rapid.Bool().Draw(t, "settled") {
				d.Progress, d.Reported = settlement.Settled, &settlement.Reported{GrossMinor: d.AmountMinor}
			}
			found[name] = d
		}
		r := settlement.Report{Lines: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) settlement.ReportLine {
			gross, fee := rapid.Int64Range(-3, 3).Draw(t, "gross"), rapid.Int64Range(0, 1).Draw(t, "fee")
			return settlement.ReportLine{Reference: rapid.SampledFrom(names).Draw(t, "reference"), GrossMinor: gross, FeeMinor: fee, NetMinor: gross - fee}
		}), 1, 20).Draw(t, "lines")}
		fits := r.Fits(found)
		changed := map[string]int{}
		for i, f := range fits {
			if f.ReportLine != r.Lines[i] {
				t.Fatalf("line %d is not where it was", i)
			}
			if (f.Deposit == nil) != (f.Result == settlement.Unmatched || f.Result == settlement.Duplicate && found[f.Reference].TopupID == "") {
				t.Fatalf("%s with deposit %v", f.Result, f.Deposit)
			}
			if f.Changed() {
				changed[f.Reference]++
				if found[f.Reference].Progress == settlement.Settled {
					t.Fatalf("a settled deposit was changed")
				}
				if (f.Result == settlement.Matched) != (f.GrossMinor == found[f.Reference].AmountMinor) {
					t.Fatalf("%d against %d is %s", f.GrossMinor, found[f.Reference].AmountMinor, f.Result)
				}
			}
		}
		for name, n := range changed {
			if n > 1 {
				t.Fatalf("%s was changed %d times", name, n)
			}
		}
		total, lines := settlement.TotalsOf(fits), 0
		for _, n := range total.Counts {
			lines += n
		}
		if lines != len(r.Lines) || total.All.GrossMinor != total.All.FeeMinor+total.All.NetMinor || total.Matched.GrossMinor != total.Matched.FeeMinor+total.Matched.NetMinor {
			t.Fatalf("%+v of %d lines", total, len(r.Lines))
		}
	})
}

func TestSettleADeposit(t *testing.T) {
	t.Parallel()
	bank := settlement.Banked{FeeMinor: 3, BankReference: "b1", Currency: "USD"}
	d, changed, err := deposit("top_1", "a", 100).Settle(bank)
	if err != nil || !changed || d.Stage() != settlement.Settled || d.Reported.NetMinor != 97 {
		t.Errorf("%+v %v %v", d, changed, err)
	}
	if again, changed, err := d.Settle(bank); err != nil || changed || again.Reported != d.Reported {
		t.Errorf("again: %v %v", changed, err)
	}
	pending, reversed := deposit("top_2", "", 100), deposit("top_3", "c", 100)
	pending.State, reversed.State = ledger.TopupPending, ledger.TopupReversed
	other, qar, fee := bank, bank, bank
	other.BankReference, qar.Currency, fee.FeeMinor = "b2", "QAR", 101
	for what, c := range map[string]struct {
		d    settlement.Deposit
		b    settlement.Banked
		code fault.Code
	}{
		"pending": {pending, bank, fault.CodeStateConflict}, "reversed": {reversed, bank, fault.CodeStateConflict},
		"settled by another transfer": {d, other, fault.CodeStateConflict}, "another currency": {deposit("top_4", "d", 100), qar, fault.CodeCurrencyMismatch},
		"a fee above the deposit": {deposit("top_5", "e", 100), fee, fault.CodeAmountOutOfRange},
	} {
		if _, changed, err := c.d.Settle(c.b); !fault.Is(err, c.code) || changed {
			t.Errorf("%s: %v", what, err)
		}
	}
	if reversed.Stage() != settlement.Reversed {
		t.Errorf("a reversed top-up is %s", reversed.Stage())
	}
}

// Rule 22: a row for each class, none of them a sum of two; and the net of each
// is the sum of its lines, whatever kinds there are.
func TestTotalsAreTheLines(t *testing.T) {
	t.Parallel()
	kinds := []ledger.EntryKind{
		ledger.EntryPayment, ledger.EntryVoid, ledger.EntryRefund, ledger.EntryTopup, ledger.EntryTopupReversal, ledger.EntryGrant,
		ledger.EntryExpiry, ledger.EntryClawback, ledger.EntryPoints, "something_new",
	}
	rapid.Check(t, func(t *rapid.T) {
		sums := rapid.SliceOf(rapid.Custom(func(t *rapid.T) settlement.Sum {
			return settlement.Sum{
				Class: rapid.SampledFrom([]money.Class{money.Actual, money.Promo, money.Points}).Draw(t, "class"), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
				PlusMinor: rapid.Int64Range(0, 1000).Draw(t, "plus"), MinusMinor: rapid.Int64Range(0, 1000).Draw(t, "minus"),
			}
		})).Draw(t, "sums")
		want := map[money.Class]int64{}
		for _, s := range sums {
			want[s.Class] += s.PlusMinor - s.MinusMinor
		}
		totals := settlement.Batch{Sums: sums}.Totals()
		if len(totals) != len(want) {
			t.Fatalf("%d rows for %d classes", len(totals), len(want))
		}
		for _, row := range totals {
			if row.NetMinor() != want[row.Class] {
				t.Fatalf("%s: %+v nets %d, the lines %d", row.Class, row, row.NetMinor(), want[row.Class])
			}
		}
	})
}

func TestTotalsByColumn(t *testing.T) {
	t.Parallel()
	b := settlement.Batch{Sums: []settlement.Sum{
		{money.Actual, ledger.EntryTopup, 2500, 0}, {money.Actual, ledger.EntryPayment, 0, 925}, {money.Actual, ledger.EntryRefund, 100, 0},
		{money.Actual, ledger.EntryVoid, 50, 0}, {money.Actual, ledger.EntryTopupReversal, 0, 500},
		{money.Promo, ledger.EntryGrant, 308, 0}, {money.Promo, ledger.EntryPayment, 0, 250}, {money.Promo, ledger.EntryExpiry, 0, 8},
		{money.Points, ledger.EntryPoints, 30, 10},
	}}
	want := []settlement.Totals{
		{money.Actual, 2500, 925, 150, 500}, {money.Promo, 308, 250, 0, 8}, {money.Points, 30, 10, 0, 0},
	}
	if got := b.Totals(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Every instant lies in exactly one of the merchant's days, and a day ends where
// the next one begins, also where clocks change.
func TestDays(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "America/New_York", "Asia/Qatar", "Australia/Lord_Howe", "America/Sao_Paulo"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			at := time.Unix(rapid.Int64Range(1_500_000_000, 1_900_000_000).Draw(t, "at"), 0)
			start, end := settlement.Day(at, zone)
			next, _ := settlement.Day(end, zone)
			same, _ := settlement.Day(start, zone)
			if at.Before(start) || !at.Before(end) || !next.Equal(end) || !same.Equal(start) {
				t.Fatalf("%s in %s: %s to %s, then %s", at, name, start, end, next)
			}
		})
	}
	zone, _ := time.LoadLocation("America/New_York") // found above
	start, end := settlement.Day(time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC), zone)
	if end.Sub(start) != 23*time.Hour {
		t.Errorf("the day on which clocks go forward has %s", end.Sub(start))
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
	run := settlement.Run{State: settlement.RunRunning, Claims: []settlement.Total{
		{settlement.ItemTopups, 2500, 1}, {settlement.ItemPayments, 1200, 1}, {settlement.ItemVoids, 0, 0},
	}}
	ledgers := map[settlement.Item]settlement.Total{settlement.ItemTopups: {AmountMinor: 2500, Count: 1}, settlement.ItemPayments: {AmountMinor: 1175, Count: 1}}
	done := run.Compare(ledgers, nil, 0, true, now)
	if done.State != settlement.RunDiffers || len(done.Lines) != 3 || done.Lines[1].DifferenceMinor() != 25 || !done.Lines[0].Agrees() || !done.Lines[2].Agrees() {
		t.Errorf("%+v", done)
	}
	run.Claims = run.Claims[:1]
	if done := run.Compare(ledgers, nil, 0, false, now); done.State != settlement.RunMatched || done.Complete {
		t.Errorf("%+v", done)
	}
	ten, nine := int64(10), int64(9)
	differences := []settlement.Difference{{"payments", "p1", &ten, nil}, {"payments", "p2", nil, &nine}, {"payments", "p3", &ten, &nine}}
	if done := run.Compare(ledgers, differences, 3, true, now); done.State != settlement.RunDiffers {
		t.Errorf("differing movements are %s", done.State)
	}
	for i, want := range []struct {
		kind string
		by   int64
	}{{"missing_here", 10}, {"missing_there", -9}, {"differs", 1}} {
		if d := differences[i]; d.Kind() != want.kind || d.DifferenceMinor() != want.by {
			t.Errorf("%s by %d, want %v", d.Kind(), d.DifferenceMinor(), want)
		}
	}
}
