// Package actuation is the port through which the core drives actuators, and
// the proof that what they propose is safe. An actuator turns a decision and a
// snapshot of facts into effects; the core validates the effects and only then
// commits them. So a faulty or hostile actuator can refuse or delay, never
// corrupt.
package actuation

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Kind is what a decision is about.
type Kind string

// The decision kinds.
const (
	KindOffer       Kind = "offer"
	KindRecovery    Kind = "recovery"
	KindCashback    Kind = "cashback"
	KindUpsell      Kind = "upsell"
	KindAttribution Kind = "attribution"
	KindFraudFlag   Kind = "fraud_flag"
	KindEnrichment  Kind = "enrichment"
	KindWalletDebit Kind = "wallet_debit"
)

// EffectKind is what an effect does.
type EffectKind string

// The effect kinds.
const (
	// EffectDebit takes AmountMinor of Class from the customer's wallet to the
	// merchant's sales. A promo debit names the lot in GrantID.
	EffectDebit EffectKind = "wallet.debit"
	// EffectGrant issues a promotional lot to the customer.
	EffectGrant EffectKind = "grant.issue"
	// EffectPoints gives points to the customer.
	EffectPoints EffectKind = "points.move"
	// EffectAttribution records what led to the sale.
	EffectAttribution EffectKind = "attribution.record"
	// EffectMessage asks for a message by a consented channel. Where it names a
	// Command, the actuator's own Execute sends it after the commit.
	EffectMessage EffectKind = "message.send"
	// EffectAnnotation notes something for the cashier or the profile.
	EffectAnnotation EffectKind = "annotation.write"
)

// Policy says what happens to the operation when the actuator fails.
type Policy string

// The failure policies.
const (
	Required Policy = "required" // the operation fails cleanly with nothing changed
	Optional Policy = "optional" // the operation goes on; the decision is retried from the outbox
)

// RefusalInsufficientFunds is the refusal of a wallet_debit that the spendable
// balance does not cover. The core answers it with INSUFFICIENT_FUNDS and a
// recovery, and refuses to believe it while the balance does cover the amount.
const RefusalInsufficientFunds = "insufficient_funds"

// Manifest is what an actuator declares of itself.
//
// Its JSON form is what is recorded when a merchant installs it.
type Manifest struct {
	Name          string        `json:"name"`    // lower-case, unique on the host
	Version       string        `json:"version"` // semantic version
	DecisionKinds []Kind        `json:"decision_kinds"`
	EffectKinds   []EffectKind  `json:"effect_kinds,omitempty"`
	TimeLimit     time.Duration `json:"time_limit_ns"` // per PlanBatch or Execute call; 1 ms to 10 s
	Policy        Policy        `json:"policy"`
	// CommandKinds are the outside effects that it executes, for example
	// "sms.send"; empty where it only plans.
	CommandKinds []string `json:"command_kinds,omitempty"`
	Description  string   `json:"description,omitempty"` // one line for operators
	// SettingsSchema says what the merchant may set (see Schema); empty where
	// there is nothing to set.
	SettingsSchema json.RawMessage `json:"settings_schema,omitempty"`
	// Hosts are what Execute needs to reach: name (its port 443), name:port, or
	// AnyHost.
	Hosts []string `json:"hosts,omitempty"`
	// Schedules have commands carried out again and again.
	Schedules []Schedule `json:"schedules,omitempty"`
}

// Snapshot is the facts of one decision. It holds ids, never phone, name or
// e-mail, and the time as a fact: equal snapshots give equal plans. Its JSON
// form is what a decision trace stores.
type Snapshot struct {
	ID         string         `json:"id"` // unique in the batch; a plan answers to it
	Kind       Kind           `json:"kind"`
	PartnerID  string         `json:"partner_id"`
	MerchantID string         `json:"merchant_id"`
	Mode       tenancy.Mode   `json:"mode,omitzero"`
	CustomerID string         `json:"customer_id,omitzero"` // empty for an unidentified sale
	SessionID  string         `json:"session_id,omitzero"`
	Currency   money.Currency `json:"currency"`
	At         time.Time      `json:"at"`
	// AmountMinor is the amount of the decision: the payment to take, or the
	// total of the sale. A wallet_debit takes exactly it.
	AmountMinor int64  `json:"amount_minor"`
	Wallet      Wallet `json:"wallet,omitzero"`
	// Lots are the RELEASED promo lots of the wallet's currency in spending
	// order: earliest expiry first, never-expiring ones last, then oldest.
	Lots []Lot `json:"lots,omitempty"`
	// Allowance bounds what the plan may give away; the zero value allows no
	// grant and no points.
	Allowance Allowance `json:"allowance,omitzero"`
	// Settings are the merchant's settings for this actuator, a JSON object.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Facts are everything else, a JSON object (basket, tenders, offers, history).
	Facts json.RawMessage `json:"facts,omitempty"`
	// Stored are the facts that the actuator's own Execute answered last for the
	// merchant, at StoredAt; empty before that.
	Stored   json.RawMessage `json:"stored,omitempty"`
	StoredAt time.Time       `json:"stored_at,omitzero"`
}

// Wallet is the spendable truth at the snapshot.
type Wallet struct {
	ActualMinor         int64 `json:"actual_minor"`
	PromoAvailableMinor int64 `json:"promo_available_minor"`
	Verified            bool  `json:"verified"`
}

// Lot is one RELEASED promo lot. One whose time has come (ExpiresAt not after
// the snapshot's At) is not spendable, whether or not a sweep has marked it.
type Lot struct {
	GrantID        string    `json:"grant_id"`
	RemainingMinor int64     `json:"remaining_minor"`
	ExpiresAt      time.Time `json:"expires_at,omitzero"` // zero where it never expires
	// IssuedAt orders lots of equal expiry; where it is zero the order of
	// Snapshot.Lots stands.
	IssuedAt time.Time `json:"issued_at,omitzero"`
}

// Allowance is what a decision may give away at most. The engine that made the
// decision sets it from the offer, the merchant's settings and the budgets.
type Allowance struct {
	MaxGrantMinor int64    `json:"max_grant_minor,omitzero"` // sum of all grants of the plan
	MaxPoints     int64    `json:"max_points,omitzero"`      // sum of all points of the plan
	Sources       []string `json:"sources,omitempty"`        // grant sources, for example CASHBACK
	Budgets       []Budget `json:"budgets,omitempty"`        // envelopes that a grant may name
}

// Budget is an envelope that grants may draw on, with what is left in it.
type Budget struct {
	BudgetID       string `json:"budget_id"`
	RemainingMinor int64  `json:"remaining_minor"`
}

// Effect is one change that an actuator proposes.
type Effect struct {
	Kind        EffectKind     `json:"kind"`
	Class       money.Class    `json:"class,omitzero"`        // for effects that move something
	AmountMinor int64          `json:"amount_minor,omitzero"` // positive; points for points.move
	Currency    money.Currency `json:"currency,omitzero"`     // the snapshot's, for debits and grants
	GrantID     string         `json:"grant_id,omitzero"`     // the lot of a promo debit
	Source      string         `json:"source,omitzero"`       // source of an issued grant, for example CASHBACK
	ExpiresAt   time.Time      `json:"expires_at,omitzero"`   // expiry of an issued grant; zero means never
	BudgetID    string         `json:"budget_id,omitzero"`    // budget of an issued grant
	// Data is a JSON object: the content of attribution, messages and
	// annotations, optional elsewhere.
	Data json.RawMessage `json:"data,omitempty"`
	// Command of a message is the command kind that carries it out.
	Command string `json:"command,omitzero"`
}

// Reasoning is the actuator's reasoning card.
type Reasoning struct {
	Summary string          `json:"summary"`         // words a cashier can read
	Rule    string          `json:"rule"`            // machine form
	Facts   json.RawMessage `json:"facts,omitempty"` // a JSON object
}

// Plan is the answer to one snapshot: effects, a refusal, or a failure. Its
// JSON form is what is stored with the decision.
type Plan struct {
	SnapshotID string    `json:"snapshot_id"`
	Effects    []Effect  `json:"effects,omitempty"`
	Reasoning  Reasoning `json:"reasoning"`
	// Refusal, where not empty, says why there are no effects, in machine form
	// (for example "insufficient_funds"). A refusal is a decision.
	Refusal string `json:"refusal,omitzero"`
	// Failure says that the actuator could not decide this snapshot; the other
	// plans of its batch stand. Validate turns it into ACTUATOR_UNAVAILABLE.
	Failure *Failure `json:"-"`
}

// GrantMinor is what the plan gives as promotional credit, in minor units.
func (p Plan) GrantMinor() int64 {
	var sum int64
	for _, e := range p.Effects {
		if e.Kind == EffectGrant {
			sum += e.AmountMinor
		}
	}
	return sum
}

// Command is an outside effect that was committed and is now carried out.
type Command struct {
	IdempotencyKey string // the same for every repetition
	Kind           string // one of the manifest's CommandKinds
	PartnerID      string
	MerchantID     string
	Mode           tenancy.Mode // in the sandbox nothing may reach a customer
	CommittedAt    time.Time
	Attempt        int // counted from 1
	Payload        json.RawMessage
	Settings       json.RawMessage
}

// Receipt is what the outside world answered to a command.
type Receipt struct {
	Reference string          // for example a provider's message id
	Result    json.RawMessage // a JSON object, or empty
	Facts     json.RawMessage // a JSON object that becomes the stored facts, or empty
}

// Actuator plans. Implementations: a go-plugin process behind
// adapters/pluginhost, or a plain Go value in tests of an actuator's own logic.
// They are comparable (a pointer, mostly): a batch is grouped by them.
type Actuator interface {
	Manifest() Manifest
	// PlanBatch answers every snapshot with one plan, in any order. It touches
	// no database and no clock. What it answers is not yet proven: use Planner,
	// which validates. Errors: ACTUATOR_UNAVAILABLE, DEADLINE_EXCEEDED.
	PlanBatch(ctx context.Context, batch []Snapshot) ([]Plan, error)
}

// Executor is implemented by actuators that carry out commands. Execute is
// called at least once per command, outside any transaction. Errors:
// ACTUATOR_UNAVAILABLE (with a *Failure that says whether a repetition makes
// sense), DEADLINE_EXCEEDED.
type Executor interface {
	Execute(ctx context.Context, c Command) (Receipt, error)
}

// Registry finds the actuator of a decision.
type Registry interface {
	// For returns the actuator that serves kind for a merchant; a fault
	// ACTUATOR_UNAVAILABLE where it is down or there is none.
	For(kind Kind, merchantID string) (Actuator, error)
	// All lists the platform's actuators with their states, for /health.
	All() []Status
}

// State is where an actuator is in its life.
type State string

// The states of an actuator.
const (
	StateStarting State = "starting" // its process is being started or restarted
	StateReady    State = "ready"    // it answers
	StateDegraded State = "degraded" // it runs, but calls or pings fail
	StateFailed   State = "failed"   // it could not be kept running; retried rarely
	StateStopped  State = "stopped"  // the host stopped it
)

// Status is an actuator as operators see it.
type Status struct {
	// Manifest has only its Name until the actuator has described itself.
	Manifest Manifest
	State    State
	Since    time.Time // when it entered State
	Reason   string    // why, for an operator; empty while all is well
	Restarts int       // times its process was started again
}
