package actuation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

func TestEveryRightDebitPasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, p := debitCase(t)
		if err := actuation.Validate(allManifest(), s, p); err != nil {
			t.Fatalf("a right plan was refused: %v\n%+v\n%+v", err, s, p)
		}
	})
}

func TestEveryRightGiftPasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, p := giftCase(t)
		if err := actuation.Validate(allManifest(), s, p); err != nil {
			t.Fatalf("a right plan was refused: %v\n%+v\n%+v", err, s, p)
		}
	})
}

// TestNoWrongDebitPasses makes plans from scraps of right ones; whatever
// passes must have the properties that protect the wallet.
func TestNoWrongDebitPasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, right := debitCase(t)
		p := actuation.Plan{SnapshotID: s.ID, Reasoning: right.Reasoning}
		p.Effects = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) actuation.Effect {
			return scrap(t, s, right)
		}), 0, 6).Draw(t, "effects")
		if rapid.Bool().Draw(t, "from right") {
			p.Effects = append(slices.Clone(right.Effects), p.Effects...)
		}
		p.Effects = rapid.Permutation(p.Effects).Draw(t, "order")
		if actuation.Validate(allManifest(), s, p) == nil {
			mustProtect(t, s, p)
		}
	})
}

// scrap draws an effect that is nearly right.
func scrap(t *rapid.T, s actuation.Snapshot, right actuation.Plan) actuation.Effect {
	e := actuation.Effect{Kind: actuation.EffectDebit, Class: money.Promo, Currency: s.Currency}
	if len(right.Effects) > 0 {
		e = rapid.SampledFrom(right.Effects).Draw(t, "like")
	}
	if rapid.Bool().Draw(t, "other amount") {
		e.AmountMinor = rapid.Int64Range(-5, s.AmountMinor+5).Draw(t, "amount")
	}
	if len(s.Lots) > 0 && rapid.Bool().Draw(t, "other lot") {
		e.GrantID = rapid.SampledFrom(s.Lots).Draw(t, "lot").GrantID
		e.Class = money.Promo
	}
	return e
}

// mustProtect states what a wallet needs, in the terms of rule 15 and the
// ledger, not in the terms of the validator.
func mustProtect(t *rapid.T, s actuation.Snapshot, p actuation.Plan) {
	var sum, actual int64
	spent := map[string]int64{}
	for _, e := range p.Effects {
		if e.AmountMinor <= 0 || e.Currency != s.Currency {
			t.Fatalf("passed with a bad effect: %+v", e)
		}
		sum += e.AmountMinor
		if e.Class == money.Actual {
			actual += e.AmountMinor
		} else {
			spent[e.GrantID] += e.AmountMinor
		}
	}
	if sum != s.AmountMinor || actual > s.Wallet.ActualMinor {
		t.Fatalf("passed with sum %d of %d, actual %d of %d", sum, s.AmountMinor, actual, s.Wallet.ActualMinor)
	}
	exhausted := true
	for _, l := range live(s) {
		if spent[l.GrantID] > l.RemainingMinor || (spent[l.GrantID] > 0 && !exhausted) {
			t.Fatalf("passed with lot %s at %d of %d (earlier ones exhausted: %v)", l.GrantID, spent[l.GrantID], l.RemainingMinor, exhausted)
		}
		exhausted = exhausted && spent[l.GrantID] == l.RemainingMinor
		delete(spent, l.GrantID)
	}
	if len(spent) > 0 || (actual > 0 && !exhausted) {
		t.Fatalf("passed with foreign lots %v, or actual before promo", spent)
	}
}

// wrongs are changes that make any right debit plan wrong, with the rule that
// must be named.
var wrongs = []struct {
	name string
	rule actuation.Rule
	do   func(*actuation.Manifest, *actuation.Snapshot, *actuation.Plan)
}{
	{"another snapshot", actuation.RuleAnswer, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) { p.SnapshotID = "pay_2" }},
	{"undeclared decision kind", actuation.RuleDecisionKind, func(m *actuation.Manifest, _ *actuation.Snapshot, _ *actuation.Plan) {
		m.DecisionKinds = []actuation.Kind{actuation.KindCashback}
	}},
	{"undeclared effect kind", actuation.RuleEffectKind, func(m *actuation.Manifest, _ *actuation.Snapshot, _ *actuation.Plan) {
		m.EffectKinds = []actuation.EffectKind{actuation.EffectGrant}
	}},
	{"unknown effect kind", actuation.RuleEffectKind, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].Kind = "wallet.drain"
	}},
	{"grant in a debit", actuation.RuleEffectKind, func(_ *actuation.Manifest, s *actuation.Snapshot, p *actuation.Plan) {
		s.Allowance = actuation.Allowance{MaxGrantMinor: 100, Sources: []string{"OFFER"}}
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectGrant, Class: money.Promo, Currency: "USD", AmountMinor: 1, Source: "OFFER"})
	}},
	{"debit in a cashback", actuation.RuleEffectKind, func(_ *actuation.Manifest, s *actuation.Snapshot, _ *actuation.Plan) {
		s.Kind = actuation.KindCashback
	}},
	{"no effects", actuation.RuleOutcome, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) { p.Effects = nil }},
	{"refusal with effects", actuation.RuleOutcome, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) { p.Refusal = "closed" }},
	{"refusal in prose", actuation.RuleRefusal, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects, p.Refusal = nil, "We are closed."
	}},
	{"insufficient funds, untrue", actuation.RuleRefusal, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects, p.Refusal = nil, actuation.RefusalInsufficientFunds
	}},
	{"no summary", actuation.RuleReasoning, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) { p.Reasoning.Summary = "" }},
	{"control characters", actuation.RuleReasoning, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Reasoning.Summary = "a\x00b"
	}},
	{"long rule", actuation.RuleReasoning, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Reasoning.Rule = strings.Repeat("x", 101)
	}},
	{"facts not an object", actuation.RuleDocument, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Reasoning.Facts = json.RawMessage(`[1]`)
	}},
	{"facts too large", actuation.RuleSize, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Reasoning.Facts = json.RawMessage(`{"a":"` + strings.Repeat("x", actuation.MaxDocumentBytes) + `"}`)
	}},
	{"data with NUL", actuation.RuleDocument, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].Data = json.RawMessage(`{"a":"\u0000"}`)
	}},
	{"plan too large", actuation.RuleSize, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		for range 5 {
			p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectAnnotation, Data: json.RawMessage(`{"a":"` + strings.Repeat("x", 15<<10) + `"}`)})
		}
	}},
	{"too many effects", actuation.RuleCount, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		for range actuation.MaxEffects + 1 {
			p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectAnnotation, Data: json.RawMessage(`{}`)})
		}
	}},
	{"too many debits", actuation.RuleCount, func(_ *actuation.Manifest, s *actuation.Snapshot, p *actuation.Plan) {
		for range len(s.Lots) + 2 {
			p.Effects = append(p.Effects, p.Effects[0])
		}
	}},
	{"unidentified", actuation.RuleCustomer, func(_ *actuation.Manifest, s *actuation.Snapshot, _ *actuation.Plan) { s.CustomerID = "" }},
	{"other currency", actuation.RuleCurrency, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].Currency = "EUR"
	}},
	{"points class", actuation.RuleClass, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].Class = money.Points
	}},
	{"zero amount", actuation.RuleAmount, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].AmountMinor = 0 }},
	{"negative amount", actuation.RuleAmount, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].AmountMinor = -1
	}},
	{"amount beyond range", actuation.RuleAmount, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].AmountMinor = money.MaxMinor + 1
	}},
	{"debit with expiry", actuation.RuleField, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects[0].ExpiresAt = noon.AddDate(0, 1, 0)
	}},
	{"annotation with amount", actuation.RuleField, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectAnnotation, AmountMinor: 1, Data: json.RawMessage(`{}`)})
	}},
	{"annotation without data", actuation.RuleDocument, func(_ *actuation.Manifest, _ *actuation.Snapshot, p *actuation.Plan) {
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectAnnotation})
	}},
}

func TestWrongsAreNamed(t *testing.T) {
	t.Parallel()
	for _, w := range wrongs {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m := allManifest()
				s, p := debitCase(t)
				w.do(&m, &s, &p)
				mustReject(t, m, s, p, w.rule)
			})
		})
	}
}

type failer interface{ Fatalf(string, ...any) }

func mustReject(t failer, m actuation.Manifest, s actuation.Snapshot, p actuation.Plan, rule actuation.Rule) {
	err := actuation.Validate(m, s, p)
	r := actuation.RejectionOf(err)
	if r == nil {
		t.Fatalf("got %v, want a rejection by rule %s of %+v for %+v", err, rule, p, s)
		return
	}
	if r.Rule != rule {
		t.Fatalf("rule %s (%s), want %s", r.Rule, r.Message, rule)
	}
	if f := fault.As(err); f.Code != fault.CodeActuatorUnavailable || f.RetryAfter == 0 || strings.Contains(f.Message, r.Message) {
		t.Fatalf("callers must see ACTUATOR_UNAVAILABLE without the inner reason, got %+v", f)
	}
}

func TestGiftsStayWithinTheAllowance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule actuation.Rule
		do   func(*actuation.Snapshot, *actuation.Plan)
	}{
		"grants over":        {actuation.RuleAllowance, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[1].AmountMinor++ }},
		"points over":        {actuation.RuleAllowance, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[2].AmountMinor++ }},
		"nothing allowed":    {actuation.RuleAllowance, func(s *actuation.Snapshot, _ *actuation.Plan) { s.Allowance.MaxGrantMinor = 0 }},
		"negative allowance": {actuation.RuleAllowance, func(s *actuation.Snapshot, _ *actuation.Plan) { s.Allowance.MaxPoints = -1 }},
		"other source":       {actuation.RuleSource, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].Source = "GOODWILL" }},
		"no source":          {actuation.RuleSource, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].Source = "" }},
		"other budget":       {actuation.RuleBudget, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].BudgetID = "bud_2" }},
		"budget over":        {actuation.RuleBudget, func(s *actuation.Snapshot, _ *actuation.Plan) { s.Allowance.Budgets[0].RemainingMinor = 0 }},
		"expires at once":    {actuation.RuleExpiry, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].ExpiresAt = noon }},
		"expires too late":   {actuation.RuleExpiry, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].ExpiresAt = noon.AddDate(10, 0, 1) }},
		"actual grant":       {actuation.RuleClass, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].Class = money.Actual }},
		"promo points":       {actuation.RuleClass, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[2].Class = money.Promo }},
		"own grant id":       {actuation.RuleField, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[0].GrantID = "grt_x" }},
		"points that expire": {actuation.RuleField, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[2].ExpiresAt = noon.Add(time.Hour) }},
		"points in money":    {actuation.RuleCurrency, func(_ *actuation.Snapshot, p *actuation.Plan) { p.Effects[2].Currency = "AED" }},
		"grant by attribution": {actuation.RuleEffectKind, func(s *actuation.Snapshot, _ *actuation.Plan) {
			s.Kind = actuation.KindAttribution
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				s, p := giftCase(t)
				c.do(&s, &p)
				mustReject(t, allManifest(), s, p, c.rule)
			})
		})
	}
}

func TestDebitRulesAreToldApart(t *testing.T) {
	t.Parallel()
	debit := func(class money.Class, lot string, amount int64) actuation.Effect {
		return actuation.Effect{Kind: actuation.EffectDebit, Class: class, Currency: "USD", GrantID: lot, AmountMinor: amount}
	}
	s := actuation.Snapshot{
		ID: "pay_1", Kind: actuation.KindWalletDebit, CustomerID: "cus_1", Currency: "USD", At: noon, AmountMinor: 100,
		Wallet: actuation.Wallet{ActualMinor: 80},
		Lots: []actuation.Lot{
			{GrantID: "gone", RemainingMinor: 50, ExpiresAt: noon},
			{GrantID: "soon", RemainingMinor: 30, ExpiresAt: noon.Add(time.Hour)},
			{GrantID: "never", RemainingMinor: 40},
		},
	}
	for name, c := range map[string]struct {
		rule    actuation.Rule
		effects []actuation.Effect
	}{
		"right":             {"", []actuation.Effect{debit("promo", "soon", 30), debit("promo", "never", 40), debit("actual", "", 30)}},
		"unknown lot":       {actuation.RuleLot, []actuation.Effect{debit("promo", "mine", 30), debit("promo", "never", 40), debit("actual", "", 30)}},
		"expired lot":       {actuation.RuleLot, []actuation.Effect{debit("promo", "gone", 50), debit("actual", "", 50)}},
		"lot twice":         {actuation.RuleLot, []actuation.Effect{debit("promo", "soon", 30), debit("promo", "soon", 30), debit("actual", "", 40)}},
		"lot overdrawn":     {actuation.RuleLot, []actuation.Effect{debit("promo", "soon", 60), debit("promo", "never", 40)}},
		"wallet overdrawn":  {actuation.RuleBalance, []actuation.Effect{debit("actual", "", 100)}},
		"too little":        {actuation.RuleDebitSum, []actuation.Effect{debit("promo", "soon", 30), debit("promo", "never", 40)}},
		"too much":          {actuation.RuleDebitSum, []actuation.Effect{debit("promo", "soon", 30), debit("promo", "never", 40), debit("actual", "", 31)}},
		"later lot first":   {actuation.RuleSpending, []actuation.Effect{debit("promo", "never", 40), debit("promo", "soon", 30), debit("actual", "", 30)}},
		"actual first":      {actuation.RuleSpending, []actuation.Effect{debit("actual", "", 30), debit("promo", "soon", 30), debit("promo", "never", 40)}},
		"promo held back":   {actuation.RuleSpending, []actuation.Effect{debit("promo", "soon", 30), debit("promo", "never", 20), debit("actual", "", 50)}},
		"actual in two":     {actuation.RuleSpending, []actuation.Effect{debit("promo", "soon", 30), debit("promo", "never", 40), debit("actual", "", 10), debit("actual", "", 20)}},
		"actual with a lot": {actuation.RuleField, []actuation.Effect{debit("promo", "soon", 30), debit("promo", "never", 40), debit("actual", "soon", 30)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := actuation.Plan{SnapshotID: s.ID, Effects: c.effects, Reasoning: reasoning()}
			if c.rule == "" {
				if err := actuation.Validate(allManifest(), s, p); err != nil {
					t.Fatal(err)
				}
				return
			}
			mustReject(t, allManifest(), s, p, c.rule)
		})
	}
}

func TestManyLotsCanStillPay(t *testing.T) {
	t.Parallel()
	s := actuation.Snapshot{ID: "pay_1", Kind: actuation.KindWalletDebit, CustomerID: "cus_1", Currency: "USD", At: noon, AmountMinor: 200}
	p := actuation.Plan{SnapshotID: s.ID, Reasoning: reasoning()}
	for i := range 200 {
		id := fmt.Sprintf("grt_%03d", i)
		s.Lots = append(s.Lots, actuation.Lot{GrantID: id, RemainingMinor: 1})
		p.Effects = append(p.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: money.Promo, Currency: "USD", GrantID: id, AmountMinor: 1})
	}
	if err := actuation.Validate(allManifest(), s, p); err != nil {
		t.Fatal(err)
	}
}

// TestUnsortedSnapshot shows that rule 15 is the core's, whatever order the
// snapshot came in.
func TestUnsortedSnapshot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, p := debitCase(t)
		for i := range s.Lots { // every lot its own instant, so that no tie leaves a choice
			s.Lots[i].IssuedAt = noon.Add(time.Duration(i-100) * time.Second)
		}
		s.Lots = rapid.Permutation(s.Lots).Draw(t, "order")
		if err := actuation.Validate(allManifest(), s, p); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRefusalsAndFailures(t *testing.T) {
	t.Parallel()
	short := actuation.Snapshot{ID: "pay_1", Kind: actuation.KindWalletDebit, CustomerID: "cus_1", Currency: "USD", At: noon, AmountMinor: 100,
		Wallet: actuation.Wallet{ActualMinor: 50}, Lots: []actuation.Lot{{GrantID: "gone", RemainingMinor: 50, ExpiresAt: noon}, {GrantID: "g", RemainingMinor: 49}}}
	refusal := actuation.Plan{SnapshotID: "pay_1", Refusal: actuation.RefusalInsufficientFunds, Reasoning: reasoning()}
	if err := actuation.Validate(allManifest(), short, refusal); err != nil {
		t.Errorf("a true refusal was not believed: %v", err)
	}
	failed := actuation.Plan{SnapshotID: "pay_1", Failure: &actuation.Failure{Code: "invalid_settings", Field: "cashback_bp", Message: "too high"}}
	err := actuation.Validate(allManifest(), short, failed)
	if f := actuation.FailureOf(err); f == nil || f.Field != "cashback_bp" || !fault.Is(err, fault.CodeActuatorUnavailable) {
		t.Errorf("got %v, want the failure behind ACTUATOR_UNAVAILABLE", err)
	}
}

func TestPlanSurvivesStorage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, p := giftCase(t)
		if rapid.Bool().Draw(t, "debit") {
			s, p = debitCase(t)
		}
		storedS, _ := json.Marshal(s)
		storedP, _ := json.Marshal(p)
		var s2 actuation.Snapshot
		var p2 actuation.Plan
		if json.Unmarshal(storedS, &s2) != nil || json.Unmarshal(storedP, &p2) != nil {
			t.Fatalf("%s\n%s", storedS, storedP)
		}
		if err := actuation.Validate(allManifest(), s2, p2); err != nil {
			t.Fatalf("a stored plan no longer holds: %v", err)
		}
		if again, _ := json.Marshal(p2); string(again) != string(storedP) {
			t.Fatalf("%s became %s", storedP, again)
		}
	})
}

func BenchmarkValidateDebit(b *testing.B) {
	s := actuation.Snapshot{ID: "pay_1", Kind: actuation.KindWalletDebit, CustomerID: "cus_1", Currency: "USD", At: noon, AmountMinor: 1175,
		Wallet: actuation.Wallet{ActualMinor: 2500}, Lots: []actuation.Lot{{GrantID: "g1", RemainingMinor: 250, ExpiresAt: noon.Add(time.Hour)}}}
	p := actuation.Plan{SnapshotID: s.ID, Reasoning: reasoning(), Effects: []actuation.Effect{
		{Kind: actuation.EffectDebit, Class: money.Promo, Currency: "USD", GrantID: "g1", AmountMinor: 250},
		{Kind: actuation.EffectDebit, Class: money.Actual, Currency: "USD", AmountMinor: 925},
	}}
	m := allManifest()
	b.ReportAllocs()
	for b.Loop() {
		if err := actuation.Validate(m, s, p); err != nil {
			b.Fatal(err)
		}
	}
}
