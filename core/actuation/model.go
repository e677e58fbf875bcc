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
	// EffectPoints moves points.
	EffectPoints EffectKind = "points.move"
	// EffectAttribution records what led to the sale.
	EffectAttribution EffectKind = "attribution.record"
	// EffectMessage asks for a message by a consented channel.
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

// Manifest is what an actuator declares of itself.
type Manifest struct {
	Name          string // lower-case, unique on the host
	Version       string // semantic version
	DecisionKinds []Kind
	EffectKinds   []EffectKind
	TimeLimit     time.Duration // per PlanBatch call; 1 ms to 10 s
	Policy        Policy
}

// Snapshot is the facts of one decision. It holds ids, never phone, name or
// e-mail, and the time as a fact: equal snapshots give equal plans.
type Snapshot struct {
	ID         string // unique in the batch; a plan answers to it
	Kind       Kind
	PartnerID  string
	MerchantID string
	CustomerID string // empty for an unidentified sale
	SessionID  string
	Currency   money.Currency
	At         time.Time
	// AmountMinor is the amount of the decision: the payment to take, or the
	// total of the sale. Effects may not exceed what it allows.
	AmountMinor int64
	Wallet      Wallet
	// Lots are the RELEASED promo lots in spending order.
	Lots []Lot
	// Settings are the merchant's settings for this actuator, a JSON object.
	Settings json.RawMessage
	// Facts are everything else, a JSON object (basket, tenders, offers, history).
	Facts json.RawMessage
}

// Wallet is the spendable truth at the snapshot.
type Wallet struct {
	ActualMinor, PromoAvailableMinor int64
	Verified                         bool
}

// Lot is one RELEASED promo lot.
type Lot struct {
	GrantID        string
	RemainingMinor int64
	ExpiresAt      time.Time // zero where it never expires
}

// Effect is one change that an actuator proposes.
type Effect struct {
	Kind        EffectKind
	Class       money.Class // for money effects
	AmountMinor int64       // positive
	GrantID     string      // the lot of a promo debit
	Source      string      // source of an issued grant, for example CASHBACK
	ExpiresAt   time.Time   // expiry of an issued grant; zero means never
	BudgetID    string      // budget of an issued grant
	// Data is a JSON object for attribution, messages and annotations.
	Data json.RawMessage
}

// Reasoning is the actuator's reasoning card.
type Reasoning struct {
	Summary string          // words a cashier can read
	Rule    string          // machine form
	Facts   json.RawMessage // a JSON object
}

// Plan is the answer to one snapshot: effects, or a refusal.
type Plan struct {
	SnapshotID string
	Effects    []Effect
	Reasoning  Reasoning
	// Refusal, where not empty, says why there are no effects, in machine form
	// (for example "insufficient_funds").
	Refusal string
}

// Actuator plans. Implementations: a go-plugin process behind
// adapters/pluginhost, or a plain Go value in tests of an actuator's own logic.
type Actuator interface {
	Manifest() Manifest
	// PlanBatch answers every snapshot with one plan, in any order. It touches
	// no database and no clock. Errors: ACTUATOR_UNAVAILABLE, DEADLINE_EXCEEDED.
	PlanBatch(ctx context.Context, batch []Snapshot) ([]Plan, error)
}

// Registry finds the actuator of a decision.
type Registry interface {
	// For returns the actuator that serves kind for a merchant; a fault
	// ACTUATOR_UNAVAILABLE where it is down or there is none.
	For(kind Kind, merchantID string) (Actuator, error)
	// All lists every loaded actuator with its state, for /capabilities and /health.
	All() []Status
}

// Status is an actuator as operators see it.
type Status struct {
	Manifest Manifest
	State    string // starting, ready, degraded, failed, stopped
}
