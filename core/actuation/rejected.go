package actuation

import (
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/fault"
)

// Rule names what a plan must hold to. The names are stable: operators alert
// on them and conformance tests quote them.
type Rule string

// The rules of a plan.
const (
	RuleAnswer       Rule = "answer"        // answers its snapshot, once
	RuleDecisionKind Rule = "decision_kind" // the actuator declares the decision's kind
	RuleOutcome      Rule = "outcome"       // either effects or a refusal
	RuleRefusal      Rule = "refusal"       // a refusal is a machine word, and true
	RuleReasoning    Rule = "reasoning"     // a readable summary, a rule, a facts object
	RuleCount        Rule = "count"         // at most MaxEffects beside debits
	RuleSize         Rule = "size"          // documents and the plan stay within bounds
	RuleDocument     Rule = "document"      // a storable JSON object
	RuleEffectKind   Rule = "effect_kind"   // declared, and possible for the decision
	RuleField        Rule = "field"         // no member that the effect's kind does not have
	RuleCustomer     Rule = "customer"      // value moves only for an identified customer
	RuleClass        Rule = "class"         // the money class of the effect's kind
	RuleCurrency     Rule = "currency"      // the snapshot's currency
	RuleAmount       Rule = "amount"        // 1 to 10^12, sums within int64
	RuleLot          Rule = "lot"           // a spendable lot of the snapshot, once, within its remaining
	RuleBalance      Rule = "balance"       // actual debits within the wallet
	RuleDebitSum     Rule = "debit_sum"     // debits sum exactly to the decision's amount
	RuleSpending     Rule = "spending"      // rule 15: promo by earliest expiry, then actual
	RuleAllowance    Rule = "allowance"     // gifts within what the decision allows
	RuleSource       Rule = "source"        // a source that the decision allows
	RuleBudget       Rule = "budget"        // a budget of the decision, within its remaining
	RuleExpiry       Rule = "expiry"        // after the decision, within ten years
	RuleCommand      Rule = "command"       // a command kind of the manifest, of a message
)

// Rejected says which rule a proposed plan broke. Nothing of the plan was
// committed. It is the cause of the fault that Validate returns: callers see
// ACTUATOR_UNAVAILABLE, operators see this.
type Rejected struct {
	Actuator   string // name in the manifest
	Version    string
	SnapshotID string
	Kind       Kind
	MerchantID string
	Rule       Rule
	Message    string // what was proposed and what would have been right
}

// Error implements error.
func (r *Rejected) Error() string {
	return fmt.Sprintf("actuator %s %s: the plan for %s breaks rule %s: %s", r.Actuator, r.Version, r.SnapshotID, r.Rule, r.Message)
}

// RejectionOf returns the rejection behind err, or nil.
func RejectionOf(err error) *Rejected {
	var r *Rejected
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// Failure is an actuator's own error, for one snapshot or a whole call. It
// reaches operators, never a partner.
type Failure struct {
	// Code in machine form: unsupported_kind, invalid_settings, invalid_facts,
	// unavailable, internal, one of the host's (garbage, oversized, busy,
	// breaker_open, not_running), or the actuator's own.
	Code    string
	Message string
	Field   string // path of the setting or fact at fault
	// Retryable is true where the same call may succeed later.
	Retryable bool
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Field != "" {
		return f.Code + " (" + f.Field + "): " + f.Message
	}
	return f.Code + ": " + f.Message
}

// FailureOf returns the actuator's own error behind err, or nil.
func FailureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// retryAfter is what callers are told to wait: a killed actuator is back
// within a second.
const retryAfter = time.Second

// Unavailable is the fault that callers get when the actuator of that name
// does not answer usefully; cause is for the operator.
func Unavailable(name string, cause error) *fault.Error {
	return fault.New(fault.CodeActuatorUnavailable, "the %s actuator does not answer usefully; nothing was changed; retry with the same Idempotency-Key", name).Because(cause).After(retryAfter)
}
