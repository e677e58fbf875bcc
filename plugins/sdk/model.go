package sdk

import (
	"context"
	"encoding/json"
	"time"
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
	EffectDebit       EffectKind = "wallet.debit"       // only in wallet_debit decisions
	EffectGrant       EffectKind = "grant.issue"        // only in cashback, offer and upsell, within the allowance
	EffectPoints      EffectKind = "points.move"        // as grants
	EffectAttribution EffectKind = "attribution.record" // what led to the sale
	EffectMessage     EffectKind = "message.send"       // by a channel that the customer consented to
	EffectAnnotation  EffectKind = "annotation.write"   // for the cashier or the profile
)

// Class is a money class. Classes are never mixed and never summed.
type Class string

// The money classes of effects.
const (
	ClassActual Class = "actual" // deposits of the customer
	ClassPromo  Class = "promo"  // promotional credit, held as lots
	ClassPoints Class = "points" // loyalty points
)

// Policy says what happens to the operation when the actuator fails.
type Policy string

// The failure policies.
const (
	Required Policy = "required" // the operation fails cleanly with nothing changed
	Optional Policy = "optional" // the operation goes on; the decision is retried later
)

// Refusals that Feddi understands. Any other lower-case word of at most 64
// letters, digits, dots, hyphens and underscores may be used as well.
const (
	// RefusalInsufficientFunds makes a payment answer with ways to recover. It
	// is believed only where the spendable balance really is short.
	RefusalInsufficientFunds = "insufficient_funds"
	// RefusalUnidentified says that the decision needs to know the customer.
	RefusalUnidentified = "unidentified"
)

// Manifest is what an actuator declares of itself. Feddi holds it to that.
type Manifest struct {
	Name          string // 1 to 40 of a to z, 0 to 9 and hyphen, unique on the host
	Version       string // semantic version
	DecisionKinds []Kind // what it serves, at least one
	EffectKinds   []EffectKind
	TimeLimit     time.Duration // per call, 1 ms to 10 s
	Policy        Policy
	CommandKinds  []string // what Execute carries out; empty for most
	Description   string   // one line for operators, at most 200 characters
	// SettingsSchema says what the merchant may set, as a JSON Schema of the
	// keywords type, properties, required, additionalProperties, items, enum,
	// minimum, maximum, minLength, maxLength, pattern, title, description and
	// default. Settings are held to it before they are stored. Empty means that
	// there is nothing to set.
	SettingsSchema json.RawMessage
	// Hosts are what Execute needs to reach: name (its port 443), name:port, or *
	// for those that the operator names at install. A process has no network; it
	// reaches what the operator granted by [HTTPClient] and [Dial].
	Hosts []string
	// Schedules have commands carried out again and again, for example to refresh
	// stored facts. At most 8, each kind once.
	Schedules []Schedule
}

// Schedule is a command that is carried out at intervals, for the first time
// when the actuator is installed.
type Schedule struct {
	Command string        // one of CommandKinds
	Every   time.Duration // 1 s to 30 days
}

// Snapshot is the facts of one decision. It holds ids, never a phone, a name or
// an e-mail.
type Snapshot struct {
	ID         string
	Kind       Kind
	PartnerID  string
	MerchantID string
	Mode       string // sandbox or production
	CustomerID string // empty for an unidentified sale
	SessionID  string // empty outside a session
	Currency   string // ISO 4217, of every amount here and in the plan
	At         time.Time
	// AmountMinor is the payment to take, or the total of the sale.
	AmountMinor int64
	Wallet      Wallet
	Lots        []Lot // RELEASED promo lots, in spending order
	Allowance   Allowance
	Settings    json.RawMessage // the merchant's settings, a JSON object or empty
	Facts       json.RawMessage // everything else, a JSON object or empty
	// Stored are the facts that Execute answered last for this merchant, and
	// StoredAt when it did; empty and zero before that.
	Stored   json.RawMessage
	StoredAt time.Time
}

// Wallet is what the customer can spend, in minor units.
type Wallet struct {
	ActualMinor         int64
	PromoAvailableMinor int64
	Verified            bool
}

// Lot is one RELEASED promo lot.
type Lot struct {
	GrantID        string
	RemainingMinor int64
	ExpiresAt      time.Time // zero where it never expires
	IssuedAt       time.Time
}

// Allowance is the most that a plan may give away. The zero value is nothing.
type Allowance struct {
	MaxGrantMinor int64
	MaxPoints     int64
	Sources       []string // grant sources that may be used, for example CASHBACK
	Budgets       []Budget // envelopes that a grant may name
}

// Budget is an envelope that grants may draw on.
type Budget struct {
	BudgetID       string
	RemainingMinor int64
}

// Effect is one change that the actuator proposes. The functions and methods
// that return one set the members that its kind needs.
type Effect struct {
	Kind        EffectKind
	Class       Class
	AmountMinor int64
	Currency    string
	GrantID     string
	Source      string
	ExpiresAt   time.Time // of an issued grant; zero means never
	BudgetID    string
	Data        json.RawMessage // a JSON object of at most 16 KiB, or empty
	// Command of a message is the command kind by which Execute sends it, with
	// Data as its payload, once the plan is committed.
	Command string
}

// Reasoning is the reasoning card of a plan. It is shown to cashiers and
// operators and stored with the decision.
type Reasoning struct {
	Summary string          // words a cashier can read, 1 to 500 characters
	Rule    string          // machine form, 1 to 100 characters
	Facts   json.RawMessage // the figures behind it, a JSON object or empty
}

// Plan is the answer to one snapshot: effects or a refusal.
type Plan struct {
	// SnapshotID is set by the SDK, except for plans of a BatchPlanner.
	SnapshotID string
	Effects    []Effect // at most 64, not counting debits
	Reasoning  Reasoning
	Refusal    string
}

// Command is an outside effect that was committed and is now carried out.
type Command struct {
	IdempotencyKey string // the same for every repetition
	Kind           string
	PartnerID      string
	MerchantID     string
	Mode           string // in the sandbox nothing may reach a customer
	CommittedAt    time.Time
	Attempt        int             // counted from 1
	Payload        json.RawMessage // the message's data; empty for a scheduled command
	Settings       json.RawMessage
}

// Receipt is the outcome of a command.
type Receipt struct {
	Reference string          // the outside world's, for example a message id; at most 200 characters
	Result    json.RawMessage // a JSON object of at most 16 KiB or empty; kept with the command
	// Facts are what later snapshots of this merchant hold as Stored, in place of
	// those before: a JSON object of at most 16 KiB. Empty leaves them as they are.
	Facts json.RawMessage
}

// Actuator is what an author writes. Methods are called from several
// goroutines at once.
type Actuator interface {
	// Describe declares what the actuator is and may do. It always returns the
	// same.
	Describe() Manifest
	// Plan answers one snapshot. It must return when ctx ends. Errors: an
	// *Error reaches operators as it is; any other counts as code "internal".
	// Either way nothing happens for this snapshot, and the others of its batch
	// are not concerned.
	Plan(ctx context.Context, s Snapshot) (Plan, error)
}

// BatchPlanner may be implemented beside Actuator where planning many at once
// is cheaper than one by one; the SDK then never calls Plan. It returns one
// plan per snapshot, in any order, with its SnapshotID. An error fails the
// whole batch.
type BatchPlanner interface {
	PlanBatch(ctx context.Context, batch []Snapshot) ([]Plan, error)
}

// Executor is implemented by actuators that declare command kinds.
type Executor interface {
	// Execute carries out one command, which a committed plan or a schedule asked
	// for. It is called at least once: a repetition has the same idempotency key
	// and must answer as the first call did. It may use the network, by
	// [HTTPClient], within the manifest's time limit. An *Error that is Retryable
	// is tried again, 20 times over about 8 hours; any other, and the last one,
	// parks the command for the operator.
	Execute(ctx context.Context, c Command) (Receipt, error)
}
