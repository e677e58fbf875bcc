package settlements_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/settlement"
)

func report(reference string, lines ...settlement.ReportLine) settlement.Report {
	return settlement.Report{Provider: "stripe", Reference: reference, Currency: "USD", PeriodStart: noon, PeriodEnd: noon.Add(time.Hour), Lines: lines}
}

func line(reference string, gross int64) settlement.ReportLine {
	return settlement.ReportLine{Reference: reference, GrossMinor: gross, FeeMinor: 3, NetMinor: gross - 3, SettledAt: noon}
}

func (s *shop) stages() string {
	s.t.Helper()
	p, err := s.Deposits(s.t.Context(), s.call, settlements.DepositsInput{Limit: 200})
	s.must(err)
	var out []string
	for _, d := range p.Deposits {
		out = append(out, d.Reference+" "+string(d.Stage()))
	}
	return strings.Join(out, ", ")
}

func TestAReport(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.customer()
	for i, amount := range []int64{2500, 1000, 700} {
		s.clock.Advance(time.Second)
		s.deposit(guest, fmt.Sprintf("pi_%d", i+1), amount)
	}
	before := s.count("select count(*) from entries")
	r, err := s.Report(t.Context(), s.call, report("po_1", line("pi_1", 2500), line("pi_2", 999), line("pi_none", 5), line("pi_1", 2500)))
	s.must(err)
	var got []string
	for _, f := range r.Fits {
		got = append(got, string(f.Result))
	}
	if want := "matched amount_differs unmatched duplicate"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := s.stages(), "pi_3 unsettled, pi_2 differs, pi_1 settled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := s.events("topup.settled"); n != 1 {
		t.Errorf("%d events", n)
	}
	_, err = s.Report(t.Context(), s.call, report("po_1", line("pi_3", 700)))
	wants(t, "the same report reference", err, fault.CodeDuplicateReference)
	if got := s.stages(); !strings.HasPrefix(got, "pi_3 unsettled") {
		t.Errorf("a refused report settled something: %s", got)
	}
	// The next report puts the amount right; what is settled stays so.
	r, err = s.Report(t.Context(), s.call, report("po_2", line("pi_1", 1), line("pi_2", 1000)))
	s.must(err)
	if r.Fits[0].Result != settlement.AlreadySettled || r.Fits[1].Result != settlement.Matched {
		t.Errorf("%s, %s", r.Fits[0].Result, r.Fits[1].Result)
	}
	if n := s.count("select count(*) from entries"); n != before {
		t.Errorf("rule 25: a report wrote %d entries", n-before)
	}
	// Nothing of another provider, currency or tenant is found.
	other := report("po_3", line("pi_3", 700))
	other.Provider = "sadad"
	_, stranger := s.merchant()
	for what, try := range map[string]func() (settlements.Reported, error){
		"another provider": func() (settlements.Reported, error) { return s.Report(t.Context(), s.call, other) },
		"another tenant": func() (settlements.Reported, error) {
			return s.Report(t.Context(), stranger, report("po_1", line("pi_3", 700)))
		},
	} {
		if r, err := try(); err != nil || r.Fits[0].Result != settlement.Unmatched {
			t.Errorf("%s: %+v %v", what, r.Fits, err)
		}
	}
	qar := report("po_4", line("pi_3", 700))
	qar.Currency = "XYZ"
	_, err = s.Report(t.Context(), s.call, qar)
	wants(t, "another currency", err, fault.CodeUnsupportedCurrency)
	brand := *s.call
	brand.Actor.BrandID = "brd_a"
	_, err = s.Report(t.Context(), &brand, report("po_5", line("pi_3", 700)))
	wants(t, "a brand's key", err, fault.CodeScopeInsufficient)
	s.sound()
}

// Of reports that come at once and hold the same deposits, in whichever order,
// one settles each; none waits for another in a circle.
func TestReportsAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.customer()
	var lines, reversed []settlement.ReportLine
	for i := range 20 {
		reference := fmt.Sprintf("pi_%d", i)
		s.deposit(guest, reference, 100)
		lines = append(lines, line(reference, 100))
		reversed = append([]settlement.ReportLine{line(reference, 100)}, reversed...)
	}
	var mu sync.Mutex
	counts := map[settlement.Result]int{}
	atOnce(8, func(i int) {
		in := report(fmt.Sprintf("po_%d", i), lines...)
		if i%2 == 1 {
			in.Lines = reversed
		}
		r, err := s.Report(t.Context(), s.call, in)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for result, n := range settlement.TotalsOf(r.Fits).Counts {
			counts[result] += n
		}
	})
	if counts[settlement.Matched] != 20 || counts[settlement.AlreadySettled] != 140 || s.events("topup.settled") != 20 {
		t.Errorf("%v, %d events", counts, s.events("topup.settled"))
	}
}

// A report of the largest size is a few statements, not one per line.
func TestALargeReport(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, err := s.db.Q().Exec(t.Context(), `INSERT INTO topups (topup_id, tenant_no, customer_id, state, amount_minor, currency, source, provider, reference, created_at, completed_at)
		SELECT 'top_' || i, $1, 'cus_1', 'COMPLETED', 100, 'USD', 'provider', 'stripe', 'pi_' || i, $2, $2 FROM generate_series(1, $3) i`, s.tenant.No, noon, settlement.MaxReportLines)
	s.must(err)
	in := report("po_1")
	for i := range settlement.MaxReportLines {
		in.Lines = append(in.Lines, line(fmt.Sprintf("pi_%d", i+1), 100))
	}
	r, err := s.Report(t.Context(), s.call, in)
	s.must(err)
	if n := settlement.TotalsOf(r.Fits).Counts[settlement.Matched]; n != settlement.MaxReportLines || s.events("topup.settled") != int64(n) {
		t.Errorf("%d matched, %d events", n, s.events("topup.settled"))
	}
	// The list stays whole while it is paged, with a filter and without.
	for _, stage := range []settlement.Progress{"", settlement.Settled} {
		seen := map[string]bool{}
		for page := (settlements.DepositsInput{Limit: 200, Stage: stage}); ; {
			p, err := s.Deposits(t.Context(), s.call, page)
			s.must(err)
			for _, d := range p.Deposits {
				seen[d.TopupID] = true
			}
			if page.Cursor = p.Next; p.Next == "" {
				break
			}
		}
		if len(seen) != settlement.MaxReportLines {
			t.Errorf("%q: the pages hold %d", stage, len(seen))
		}
	}
}

func TestListsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, err := s.db.Q().Exec(t.Context(), `INSERT INTO topups (topup_id, tenant_no, customer_id, state, amount_minor, currency, source, provider, reference, created_at, completed_at)
		SELECT 'top_' || i, i % 50, 'cus_1', 'COMPLETED', 100, 'USD', 'provider', 'stripe', 'pi_' || i, $1, $1::timestamptz + make_interval(secs => i) FROM generate_series(1, 20000) i`, noon)
	s.must(err)
	_, err = s.db.Q().Exec(t.Context(), `ANALYZE topups`)
	s.must(err)
	for name, where := range map[string]string{
		"topups_completed": "p.completed_at IS NOT NULL", "topups_settlement": "p.state = 'COMPLETED' AND p.settlement = 'differs'",
		"topups_reversed": "p.completed_at IS NOT NULL AND p.state = 'REVERSED'",
	} {
		var plan strings.Builder
		rows, err := s.db.Q().Query(t.Context(), `EXPLAIN SELECT * FROM topups p WHERE p.tenant_no = 7 AND `+where+`
			AND (p.completed_at, p.topup_id) < ('2030-01-01', 'x') ORDER BY p.completed_at DESC, p.topup_id DESC LIMIT 51`)
		s.must(err)
		for rows.Next() {
			var l string
			s.must(rows.Scan(&l))
			plan.WriteString(l + "\n")
		}
		s.must(rows.Err())
		if !strings.Contains(plan.String(), name) || strings.Contains(plan.String(), "Sort") {
			t.Errorf("%s is read by\n%s", name, plan.String())
		}
	}
}

func TestSettleTopups(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.customer()
	one, two := s.deposit(guest, "pi_1", 1000), s.deposit(guest, "pi_2", 500)
	in := func(reference string, fee int64, ids ...string) settlements.SettleInput {
		out := settlements.SettleInput{BankReference: reference, Currency: "USD", SettledAt: noon}
		for _, id := range ids {
			out.Lines = append(out.Lines, settlements.SettleLine{TopupID: id, FeeMinor: fee})
		}
		return out
	}
	settle := func(in settlements.SettleInput) error {
		_, err := s.Settle(t.Context(), s.call, in)
		return err
	}
	wants(t, "one unknown", settle(in("b1", 3, one.ID, "top_none")), fault.CodeNotFound)
	wants(t, "a fee above the deposit", settle(in("b1", 501, one.ID, two.ID)), fault.CodeAmountOutOfRange)
	if got := s.count("select count(*) from topup_settlements"); got != 0 || s.events("topup.settled") != 0 {
		t.Errorf("refused calls settled %d", got)
	}
	all, err := s.Settle(t.Context(), s.call, in("b1", 3, two.ID, one.ID))
	s.must(err)
	if len(all) != 2 || all[0].TopupID != two.ID || all[0].Reported.NetMinor != 497 {
		t.Errorf("%+v", all)
	}
	s.must(settle(in("b1", 3, one.ID))) // the same again, as after a lost answer under another key
	if n := s.events("topup.settled"); n != 2 {
		t.Errorf("%d events", n)
	}
	wants(t, "by another transfer", settle(in("b2", 3, one.ID)), fault.CodeStateConflict)
	_, stranger := s.merchant()
	_, err = s.Settle(t.Context(), stranger, in("b1", 3, one.ID))
	wants(t, "another tenant", err, fault.CodeNotFound)
	branch := *s.call
	branch.Actor.BranchID = "brn_a"
	_, err = s.Settle(t.Context(), &branch, in("b1", 3, one.ID))
	wants(t, "a branch's key", err, fault.CodeScopeInsufficient)
	_, err = s.Deposits(t.Context(), &branch, settlements.DepositsInput{})
	wants(t, "a branch's key lists", err, fault.CodeScopeInsufficient)
	_, err = s.Deposits(t.Context(), s.call, settlements.DepositsInput{Cursor: "x"})
	wants(t, "a cursor of nowhere", err, fault.CodeCursorInvalid)

	// A reversed top-up shows so, whatever was reported of it.
	s.in(func(ctx context.Context, st app.Stores) error {
		_, err := s.db.Q().Exec(ctx, `UPDATE topups SET state = 'REVERSED', reversed_at = $2 WHERE topup_id = $1`, two.ID, noon)
		return err
	})
	for stage, want := range map[settlement.Progress]string{settlement.Settled: one.ID, settlement.Reversed: two.ID} {
		p, err := s.Deposits(t.Context(), s.call, settlements.DepositsInput{Stage: stage})
		s.must(err)
		if len(p.Deposits) != 1 || p.Deposits[0].TopupID != want || p.Deposits[0].Stage() != stage {
			t.Errorf("%s: %+v", stage, p.Deposits)
		}
	}
	later := noon.Add(time.Hour)
	if p, err := s.Deposits(t.Context(), s.call, settlements.DepositsInput{CompletedFrom: &later}); err != nil || len(p.Deposits) != 0 {
		t.Errorf("completed later: %+v %v", p, err)
	}
}
