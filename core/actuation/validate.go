package actuation

import (
	"fmt"
	"slices"
	"time"

	"github.com/feddi/feddi/core/money"
)

// maxGrantLife bounds the expiry of an issued grant.
const maxGrantLifeYears = 10

// Validate proves that the plan p, proposed by the actuator that declares m,
// may be committed for the snapshot s: nil means that committing it moves no
// more, to no one else and for no other reason than the decision allows.
//
// Errors: ACTUATOR_UNAVAILABLE, caused by *Rejected (the plan breaks a rule)
// or by *Failure (the actuator could not decide).
func Validate(m Manifest, s Snapshot, p Plan) error { return validate(&m, &s, &p) }

func validate(m *Manifest, s *Snapshot, p *Plan) error {
	if p.Failure != nil {
		return Unavailable(m.Name, p.Failure)
	}
	v := validation{m: m, s: s, p: p}
	if broken := v.plan(); broken != nil {
		return Unavailable(m.Name, broken)
	}
	return nil
}

// validation is one plan under proof. Its methods return nil, or what is wrong.
type validation struct {
	m *Manifest
	s *Snapshot
	p *Plan
}

func (v *validation) broken(rule Rule, format string, args ...any) *Rejected {
	return &Rejected{
		Actuator: v.m.Name, Version: v.m.Version, SnapshotID: v.s.ID, Kind: v.s.Kind, MerchantID: v.s.MerchantID,
		Rule: rule, Message: fmt.Sprintf(format, args...),
	}
}

func (v *validation) plan() *Rejected {
	switch {
	case v.p.SnapshotID != v.s.ID:
		return v.broken(RuleAnswer, "the plan answers snapshot %.64q instead of its own", v.p.SnapshotID)
	case !v.m.Serves(v.s.Kind):
		return v.broken(RuleDecisionKind, "the actuator does not declare decision kind %s", v.s.Kind)
	}
	if r := v.reasoning(); r != nil {
		return r
	}
	if v.p.Refusal != "" {
		return v.refusal()
	}
	if len(v.p.Effects) == 0 {
		return v.broken(RuleOutcome, "the plan has neither effects nor a refusal")
	}
	return v.effects()
}

func (v *validation) reasoning() *Rejected {
	r := &v.p.Reasoning
	switch {
	case !text(r.Summary, 1, MaxSummaryRunes):
		return v.broken(RuleReasoning, "the summary must be 1 to %d characters of readable text", MaxSummaryRunes)
	case !text(r.Rule, 1, MaxRuleRunes):
		return v.broken(RuleReasoning, "the rule must be 1 to %d characters of readable text", MaxRuleRunes)
	case len(r.Facts) > MaxDocumentBytes:
		return v.broken(RuleSize, "the reasoning facts are %d bytes, more than %d", len(r.Facts), MaxDocumentBytes)
	case len(r.Facts) > 0 && !document(r.Facts):
		return v.broken(RuleDocument, "the reasoning facts are not a storable JSON object")
	}
	return nil
}

func (v *validation) refusal() *Rejected {
	switch {
	case len(v.p.Effects) > 0:
		return v.broken(RuleOutcome, "the plan refuses and has %d effects", len(v.p.Effects))
	case !wordPattern.MatchString(v.p.Refusal):
		return v.broken(RuleRefusal, "the refusal must be a lower-case word of at most 64 characters")
	case v.s.Kind == KindWalletDebit && v.p.Refusal == RefusalInsufficientFunds && v.s.covers():
		return v.broken(RuleRefusal, "the refusal says that funds are insufficient; they cover the amount")
	}
	return nil
}

func (v *validation) effects() *Rejected {
	debits := make([]*Effect, 0, 8)
	for i := range v.p.Effects {
		if e := &v.p.Effects[i]; e.Kind == EffectDebit {
			debits = append(debits, e)
		}
	}
	if others := len(v.p.Effects) - len(debits); others > MaxEffects {
		return v.broken(RuleCount, "the plan has %d effects beside debits, more than %d", others, MaxEffects)
	}
	if len(debits) > len(v.s.Lots)+1 {
		return v.broken(RuleCount, "the plan has %d debits, more than the %d lots and actual", len(debits), len(v.s.Lots))
	}
	for i := range v.p.Effects {
		if r := v.effect(&v.p.Effects[i]); r != nil {
			r.Message = fmt.Sprintf("effect %d: %s", i+1, r.Message)
			return r
		}
	}
	if r := v.sums(); r != nil {
		return r
	}
	if v.s.Kind == KindWalletDebit {
		return v.debits(debits)
	}
	return nil
}

// effect checks one effect by itself.
func (v *validation) effect(e *Effect) *Rejected {
	if !v.m.Emits(e.Kind) {
		return v.broken(RuleEffectKind, "the actuator does not declare effect kind %.64q", e.Kind)
	}
	if of, moves := movers[e.Kind]; moves && !slices.Contains(of, v.s.Kind) {
		return v.broken(RuleEffectKind, "a %s decision cannot have a %s effect", v.s.Kind, e.Kind)
	}
	if r := v.data(e); r != nil {
		return r
	}
	switch {
	case e.Command != "" && e.Kind != EffectMessage:
		return v.broken(RuleField, "a %s effect names no command; only a message does", e.Kind)
	case e.Command != "" && !v.m.Executes(e.Command):
		return v.broken(RuleCommand, "the actuator does not declare command kind %.64q", e.Command)
	}
	switch e.Kind {
	case EffectDebit:
		return v.debit(e)
	case EffectGrant:
		return v.grant(e)
	case EffectPoints:
		return v.points(e)
	default:
		return v.record(e)
	}
}

func (v *validation) data(e *Effect) *Rejected {
	switch {
	case len(e.Data) > MaxDocumentBytes:
		return v.broken(RuleSize, "the data is %d bytes, more than %d", len(e.Data), MaxDocumentBytes)
	case len(e.Data) > 0 && !document(e.Data):
		return v.broken(RuleDocument, "the data is not a storable JSON object")
	}
	return nil
}

func (v *validation) debit(e *Effect) *Rejected {
	switch {
	case e.Source != "" || e.BudgetID != "" || !e.ExpiresAt.IsZero():
		return v.broken(RuleField, "a debit has no source, budget or expiry")
	case e.Class != money.Actual && e.Class != money.Promo:
		return v.broken(RuleClass, "a debit is of class actual or promo, not %.32q", e.Class)
	case e.Class == money.Actual && e.GrantID != "":
		return v.broken(RuleField, "an actual debit names no lot")
	}
	return v.moves(e, v.s.Currency)
}

func (v *validation) grant(e *Effect) *Rejected {
	switch {
	case e.GrantID != "":
		return v.broken(RuleField, "an issued grant has no id yet; the core gives it one")
	case e.Class != money.Promo:
		return v.broken(RuleClass, "a grant is of class promo, not %.32q", e.Class)
	case !slices.Contains(v.s.Allowance.Sources, e.Source):
		return v.broken(RuleSource, "source %.64q is not among those of the decision: %.200q", e.Source, v.s.Allowance.Sources)
	case e.BudgetID != "" && !slices.ContainsFunc(v.s.Allowance.Budgets, func(b Budget) bool { return b.BudgetID == e.BudgetID }):
		return v.broken(RuleBudget, "budget %.64q is not among those of the decision", e.BudgetID)
	case !e.ExpiresAt.IsZero() && (!e.ExpiresAt.After(v.s.At) || e.ExpiresAt.After(v.s.At.AddDate(maxGrantLifeYears, 0, 0))):
		return v.broken(RuleExpiry, "the expiry %s is not within %d years after the decision", e.ExpiresAt.Format(time.RFC3339), maxGrantLifeYears)
	}
	return v.moves(e, v.s.Currency)
}

func (v *validation) points(e *Effect) *Rejected {
	switch {
	case e.GrantID != "" || e.Source != "" || e.BudgetID != "" || !e.ExpiresAt.IsZero():
		return v.broken(RuleField, "points have no lot, source, budget or expiry")
	case e.Class != money.Points:
		return v.broken(RuleClass, "points are of class points, not %.32q", e.Class)
	}
	return v.moves(e, "")
}

// record checks an effect that moves nothing.
func (v *validation) record(e *Effect) *Rejected {
	switch {
	case e.Class != "" || e.AmountMinor != 0 || e.Currency != "" || e.GrantID != "" || e.Source != "" || e.BudgetID != "" || !e.ExpiresAt.IsZero():
		return v.broken(RuleField, "a %s effect carries data only", e.Kind)
	case len(e.Data) == 0:
		return v.broken(RuleDocument, "a %s effect must carry data", e.Kind)
	}
	return nil
}

// moves checks what all effects share that move value.
func (v *validation) moves(e *Effect, currency money.Currency) *Rejected {
	switch {
	case v.s.CustomerID == "":
		return v.broken(RuleCustomer, "value cannot move for an unidentified customer")
	case e.Currency != currency:
		return v.broken(RuleCurrency, "the currency is %.16q instead of %q", e.Currency, currency)
	case e.AmountMinor < 1 || e.AmountMinor > money.MaxMinor:
		return v.broken(RuleAmount, "the amount %d is not within 1 to %d", e.AmountMinor, money.MaxMinor)
	}
	return nil
}

// sums checks what only all effects together can break. Each amount is at most
// 10^12 and there are at most MaxEffects, so that no sum overflows.
func (v *validation) sums() *Rejected {
	size := len(v.p.Reasoning.Summary) + len(v.p.Reasoning.Rule) + len(v.p.Reasoning.Facts)
	var granted, points int64
	for i := range v.p.Effects {
		e := &v.p.Effects[i]
		size += len(e.Data)
		switch e.Kind {
		case EffectGrant:
			granted += e.AmountMinor
		case EffectPoints:
			points += e.AmountMinor
		}
	}
	switch {
	case size > MaxPlanBytes:
		return v.broken(RuleSize, "the texts and objects of the plan are %d bytes, more than %d", size, MaxPlanBytes)
	case granted > max(v.s.Allowance.MaxGrantMinor, 0):
		return v.broken(RuleAllowance, "the grants come to %d, more than the allowed %d", granted, v.s.Allowance.MaxGrantMinor)
	case points > max(v.s.Allowance.MaxPoints, 0):
		return v.broken(RuleAllowance, "the points come to %d, more than the allowed %d", points, v.s.Allowance.MaxPoints)
	}
	return v.budgets()
}

// budgets checks what the grants draw on each budget.
func (v *validation) budgets() *Rejected {
	for i := range v.s.Allowance.Budgets {
		b := &v.s.Allowance.Budgets[i]
		var drawn int64
		for j := range v.p.Effects {
			if e := &v.p.Effects[j]; e.Kind == EffectGrant && e.BudgetID == b.BudgetID {
				drawn += e.AmountMinor
			}
		}
		if drawn > max(b.RemainingMinor, 0) {
			return v.broken(RuleBudget, "the grants draw %d on budget %s, which has %d left", drawn, b.BudgetID, b.RemainingMinor)
		}
	}
	return nil
}

// debits proves the debits of a wallet_debit. Rule 15 leaves exactly one right
// answer; the checks behind the first one only find the rule to name.
func (v *validation) debits(debits []*Effect) *Rejected {
	if v.s.follows(debits) {
		return nil
	}
	var sum, actual int64
	for i, e := range debits {
		sum += e.AmountMinor
		if e.Class == money.Actual {
			actual += e.AmountMinor
			continue
		}
		if r := v.lot(e, debits[:i]); r != nil {
			return r
		}
	}
	switch {
	case actual > v.s.Wallet.ActualMinor:
		return v.broken(RuleBalance, "the actual debits come to %d; the wallet holds %d", actual, v.s.Wallet.ActualMinor)
	case sum != v.s.AmountMinor:
		return v.broken(RuleDebitSum, "the debits come to %d instead of %d", sum, v.s.AmountMinor)
	}
	return v.broken(RuleSpending, "the debits do not spend promo by earliest expiry and then actual, in that order")
}

// lot checks one promo debit against the lots of the snapshot.
func (v *validation) lot(e *Effect, earlier []*Effect) *Rejected {
	at := slices.IndexFunc(v.s.Lots, func(l Lot) bool { return l.GrantID == e.GrantID })
	switch {
	case at < 0:
		return v.broken(RuleLot, "lot %.64q is not in the snapshot", e.GrantID)
	case slices.ContainsFunc(earlier, func(o *Effect) bool { return o.Class == money.Promo && o.GrantID == e.GrantID }):
		return v.broken(RuleLot, "lot %.64q is spent twice", e.GrantID)
	case !v.s.Lots[at].spendable(v.s.At):
		return v.broken(RuleLot, "lot %.64q is empty or expired", e.GrantID)
	case e.AmountMinor > v.s.Lots[at].RemainingMinor:
		return v.broken(RuleLot, "lot %.64q has %d left, not %d", e.GrantID, v.s.Lots[at].RemainingMinor, e.AmountMinor)
	}
	return nil
}
