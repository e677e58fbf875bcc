package incentives_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

func (s *shop) envelopes() *budgets.Service {
	return &budgets.Service{UoW: s.UoW, Clock: s.clock, IDs: s.IDs}
}

func (s *shop) grants() *grants.Service {
	return &grants.Service{UoW: s.UoW, Clock: s.clock, IDs: s.IDs, Directory: s.Directory}
}

// operator is a call with operator authority.
func (s *shop) operator() *app.Call {
	return &app.Call{Tenant: s.tenant, Actor: tenancy.Actor{Kind: tenancy.KeyCall, Operator: true}}
}

func (s *shop) envelope(in incentives.CreateBudgetInput) offers.Budget {
	s.t.Helper()
	if in.Name == "" {
		in.Name = "Goodwill"
	}
	s.clock.Advance(time.Millisecond) // ids of one millisecond are in no order
	d, err := s.CreateBudget(s.t.Context(), s.call, in)
	s.must(err)
	return d.Budget
}

// guest is a customer with a wallet.
func (s *shop) guest(phone string) string {
	s.t.Helper()
	id := s.customer(phone)
	s.must(s.UoW.Do(s.t.Context(), func(ctx context.Context, st app.Stores) error {
		return st.Ledger.OpenWallet(ctx, s.tenant, id, "USD")
	}))
	return id
}

func (s *shop) giveByHand(customer, budget string, amount int64) (ledger.Grant, error) {
	return s.grants().IssueByHand(s.t.Context(), s.operator(), grants.HandInput{
		CustomerID: customer, Source: ledger.SourceGoodwill, AmountMinor: amount, Currency: "USD", BudgetID: budget, Reason: "Long wait",
	})
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("%v, want %s", err, code)
	}
}

func TestBudgetsAreListedByStatusLatestFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	later, past := noon.Add(time.Hour), noon.Add(30*time.Minute)
	active := s.envelope(incentives.CreateBudgetInput{CapMinor: 100})
	scheduled := s.envelope(incentives.CreateBudgetInput{CapMinor: 100, StartsAt: &later})
	ending := s.envelope(incentives.CreateBudgetInput{CapMinor: 100, EndsAt: &past})
	used := s.envelope(incentives.CreateBudgetInput{CapMinor: 100})
	_, err := s.giveByHand(s.guest("+14155550101"), used.ID, 100)
	s.must(err)
	s.clock.Advance(past.Sub(noon))
	for status, want := range map[string]string{"active": active.ID, "scheduled": scheduled.ID, "ended": ending.ID, "exhausted": used.ID} {
		p, err := s.envelopes().List(t.Context(), s.call, budgets.ListInput{Status: status})
		s.must(err)
		if len(p.Budgets) != 1 || p.Budgets[0].ID != want || p.Budgets[0].StatusAt(p.At) != status {
			t.Errorf("%s lists %v", status, p.Budgets)
		}
	}
	var seen []string
	in := budgets.ListInput{Limit: 3}
	for {
		p, err := s.envelopes().List(t.Context(), s.call, in)
		s.must(err)
		for _, b := range p.Budgets {
			seen = append(seen, b.ID)
		}
		if in.Cursor = p.Next; p.Next == "" {
			break
		}
	}
	if len(seen) != 4 || seen[0] != used.ID || seen[3] != active.ID {
		t.Errorf("pages give %v", seen)
	}
	_, err = s.envelopes().List(t.Context(), s.call, budgets.ListInput{Cursor: "bm9uZQ"})
	wantCode(t, err, fault.CodeCursorInvalid)
	other := &app.Call{Tenant: s.merchant()}
	if p, err := s.envelopes().List(t.Context(), other, budgets.ListInput{}); err != nil || len(p.Budgets) != 0 {
		t.Errorf("another merchant sees %v, %v", p.Budgets, err)
	}
}

func TestAdjustBudget(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	end := noon.Add(time.Hour)
	b := s.envelope(incentives.CreateBudgetInput{CapMinor: 1000, EndsAt: &end})
	_, err := s.giveByHand(s.guest("+14155550101"), b.ID, 300)
	s.must(err)
	adjust := func(limit int64) (budgets.Adjusted, error) {
		return s.envelopes().Adjust(t.Context(), s.call, budgets.AdjustInput{BudgetID: b.ID, CapMinor: limit, Reason: "Runs well"})
	}
	_, err = adjust(299)
	wantCode(t, err, fault.CodeAmountOutOfRange)
	d, err := adjust(300) // to the cent: nothing is left
	s.must(err)
	if d.Budget.AvailableMinor() != 0 || d.Budget.StatusAt(d.At) != "exhausted" || !d.Budget.LowTold {
		t.Errorf("lowered to what is used: %+v", d.Budget)
	}
	d, err = adjust(5000)
	s.must(err)
	if d.Budget.AvailableMinor() != 4700 || d.Budget.LowTold {
		t.Errorf("raised: %+v", d.Budget)
	}
	detail, err := s.GetBudget(t.Context(), s.call, incentives.GetBudgetInput{BudgetID: b.ID})
	s.must(err)
	if m := detail.Movements[0]; m.Type != "cap_adjusted" || m.AmountMinor != 4700 || m.Reason != "Runs well" || m.AvailableAfterMinor != 4700 {
		t.Errorf("latest movement %+v", m)
	}
	if m := detail.Movements[1]; m.AmountMinor != -700 {
		t.Errorf("the fall of the cap is %d, want -700", m.AmountMinor)
	}
	_, err = s.envelopes().Adjust(t.Context(), &app.Call{Tenant: s.merchant()}, budgets.AdjustInput{BudgetID: b.ID, CapMinor: 9000})
	wantCode(t, err, fault.CodeNotFound)
	s.clock.Advance(end.Sub(noon))
	_, err = adjust(6000)
	wantCode(t, err, fault.CodeStateConflict)
}

// Grants draw from a budget while its cap falls: what was given never exceeds
// the cap, whoever comes first.
func TestAdjustBudgetAgainstConcurrentGrants(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.envelope(incentives.CreateBudgetInput{CapMinor: 1000})
	customers := []string{s.guest("+14155550101"), s.guest("+14155550102"), s.guest("+14155550103")}
	var all sync.WaitGroup
	for _, c := range customers {
		all.Go(func() {
			for range 6 {
				if _, err := s.giveByHand(c, b.ID, 90); err != nil && !fault.Is(err, fault.CodeBudgetExhausted) {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for limit := int64(950); limit >= 300; limit -= 50 {
			_, err := s.envelopes().Adjust(t.Context(), s.call, budgets.AdjustInput{BudgetID: b.ID, CapMinor: limit})
			if err != nil && !fault.Is(err, fault.CodeAmountOutOfRange) {
				t.Error(err)
			}
		}
	})
	all.Wait()
	after, err := s.UoW.Read().Offers.Budget(t.Context(), s.tenant, b.ID)
	s.must(err)
	given := int64(0)
	for _, c := range customers {
		balance, err := s.UoW.Read().Ledger.Balance(t.Context(), s.tenant, c)
		s.must(err)
		given += balance.PromoAvailableMinor
	}
	if after.AvailableMinor() < 0 || after.SpentMinor != given || after.CommittedMinor != 0 {
		t.Errorf("cap %d, committed %d, spent %d; the customers hold %d", after.CapMinor, after.CommittedMinor, after.SpentMinor, given)
	}
}

func TestIssueGrantByHand(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c, b := s.guest("+14155550101"), s.envelope(incentives.CreateBudgetInput{CapMinor: 500, FundedBy: "brand"})
	g, err := s.giveByHand(c, b.ID, 300)
	s.must(err)
	if g.State != ledger.Released || g.BudgetID != b.ID || g.FundedBy != "brand" || g.RemainingMinor != 300 {
		t.Errorf("issued %+v", g)
	}
	after, err := s.UoW.Read().Offers.Budget(t.Context(), s.tenant, b.ID)
	s.must(err)
	if after.SpentMinor != 300 || after.CommittedMinor != 0 {
		t.Errorf("the budget has %d committed and %d spent", after.CommittedMinor, after.SpentMinor)
	}
	_, err = s.giveByHand(c, b.ID, 201)
	wantCode(t, err, fault.CodeBudgetExhausted)
	_, err = s.giveByHand("cus_none", b.ID, 1)
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.giveByHand(c, "bud_none", 1)
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.grants().IssueByHand(t.Context(), s.operator(), grants.HandInput{
		CustomerID: c, Source: ledger.SourceGoodwill, AmountMinor: 1, Currency: "EUR", BudgetID: b.ID,
	})
	wantCode(t, err, fault.CodeCurrencyMismatch)
	past := noon
	_, err = s.grants().IssueByHand(t.Context(), s.operator(), grants.HandInput{
		CustomerID: c, Source: ledger.SourceGoodwill, AmountMinor: 1, Currency: "USD", BudgetID: b.ID, ExpiresAt: &past,
	})
	wantCode(t, err, fault.CodeValidationFailed)
	_, err = s.grants().IssueByHand(t.Context(), s.call, grants.HandInput{CustomerID: c, AmountMinor: 1, Currency: "USD", BudgetID: b.ID})
	wantCode(t, err, fault.CodeOperatorRequired)
	unchanged, err := s.UoW.Read().Offers.Budget(t.Context(), s.tenant, b.ID)
	s.must(err)
	if unchanged != after {
		t.Errorf("refusals moved the budget: %+v", unchanged)
	}
}

func TestGrantTellsItsMovements(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c, b := s.guest("+14155550101"), s.envelope(incentives.CreateBudgetInput{CapMinor: 500})
	g, err := s.giveByHand(c, b.ID, 300)
	s.must(err)
	s.clock.Advance(time.Minute)
	_, err = s.grants().ClawBack(t.Context(), s.operator(), grants.ClawBackInput{GrantID: g.ID})
	s.must(err)
	d, err := s.grants().Get(t.Context(), s.call, g.ID)
	s.must(err)
	if len(d.Movements) != 2 || d.Grant.State != ledger.ClawedBack {
		t.Fatalf("%s with %v", d.Grant.State, d.Movements)
	}
	first, last := d.Movements[0], d.Movements[1]
	if first.Type != "issued" || first.AmountMinor != 300 || first.RemainingMinor != 300 || first.EntryID == "" {
		t.Errorf("first %+v", first)
	}
	if last.Type != "clawed_back" || last.AmountMinor != 300 || last.RemainingMinor != 0 || !last.At.Equal(s.clock.Now()) {
		t.Errorf("last %+v", last)
	}
	_, err = s.grants().Get(t.Context(), &app.Call{Tenant: s.merchant()}, g.ID)
	wantCode(t, err, fault.CodeNotFound)
}

// Of 64 operators who give at once what a budget can pay for ten, ten do.
func TestGrantsByHandNeverOverdrawABudget(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := s.envelope(incentives.CreateBudgetInput{CapMinor: 1050})
	customers := make([]string, 64)
	for i := range customers {
		customers[i] = s.guest(fmt.Sprintf("+141555502%02d", i))
	}
	errs := make([]error, len(customers))
	var all sync.WaitGroup
	for i, c := range customers {
		all.Go(func() { _, errs[i] = s.giveByHand(c, b.ID, 100) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantCode(t, err, fault.CodeBudgetExhausted)
	}
	after, err := s.UoW.Read().Offers.Budget(t.Context(), s.tenant, b.ID)
	s.must(err)
	if n := s.count("select count(*) from grants"); won != 10 || n != 10 || after.SpentMinor != 1000 || after.CommittedMinor != 0 {
		t.Errorf("%d gave, %d grants, %d spent, %d held", won, n, after.SpentMinor, after.CommittedMinor)
	}
}
