package actuators

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps installations and what is told of them.
type Store interface {
	// Revision rises with every change of installations.
	Revision(ctx context.Context) (int64, error)
	// Current lists what is installed, of every merchant of a mode; with an empty
	// mode, of both.
	Current(ctx context.Context, mode tenancy.Mode) ([]actuation.Installation, error)
	// Install records in, in place of the merchant's installation of that name
	// and shadow. Errors: STATE_CONFLICT where another live actuator of the
	// merchant decides one of its kinds.
	Install(ctx context.Context, in actuation.Installation) (replaced *actuation.Installation, err error)
	// Remove ends the merchant's installation of name. What its live one had
	// still to decide, and nobody else decides, is refused. Errors: NOT_FOUND.
	Remove(ctx context.Context, t tenancy.Tenant, name string, shadow bool, now time.Time) (actuation.Installation, error)
	// AddShadow records what a shadow would have decided; a repetition changes
	// nothing.
	AddShadow(ctx context.Context, plans ...ShadowPlan) error
	// Shadows sums up what shadows would have decided.
	Shadows(ctx context.Context) ([]ShadowSum, error)
	// Tell records how the actuators of one server fare, and forgets what it
	// told of others.
	Tell(ctx context.Context, server string, list []Told) error
	// Told lists what servers told within the last minute.
	Told(ctx context.Context) ([]Told, error)
	// Recorded lists decided snapshots of kinds since a time, oldest first, from
	// after the cursor; empty where there are no more.
	Recorded(ctx context.Context, f RecordedFilter) ([]Recorded, error)
	// CountRecorded says how many Recorded has in all.
	CountRecorded(ctx context.Context, f RecordedFilter) (int64, error)
	// StoredFacts are what the installation's actuator stored; zero where nothing
	// is.
	StoredFacts(ctx context.Context, in actuation.Installation) (StoredFacts, error)
	Commands
	// Reject counts plans that broke a rule, by actuator, version and rule.
	Reject(ctx context.Context, at time.Time, list []Rejection) error
	// Rejections lists them, the latest first.
	Rejections(ctx context.Context, limit int) ([]Rejection, error)
	// Bought sums up what a customer bought in a currency before the transaction.
	Bought(ctx context.Context, t tenancy.Tenant, customerID, transactionID, currency string, before time.Time) (History, error)
}

// Commands are the stored commands of actuators.
type Commands interface {
	// Schedule stores a command for every schedule that is due, with ids of make,
	// unless its last one is still pending, and says how many were due.
	Schedule(ctx context.Context, mode tenancy.Mode, now time.Time, limit int, makeID func() string) (int, error)
	// Claim takes pending commands that are due. Each is due again after the lease,
	// so that a worker that dies gives it back by doing nothing.
	Claim(ctx context.Context, mode tenancy.Mode, now time.Time, lease time.Duration, limit int) ([]actuation.StoredCommand, error)
	// Finish records that a command was carried out, and its facts.
	Finish(ctx context.Context, c actuation.StoredCommand, r actuation.Receipt, now time.Time) error
	// Again has a command that failed tried again at a time; uncounted takes the
	// attempt back.
	Again(ctx context.Context, c actuation.StoredCommand, failure string, at time.Time, uncounted bool) error
	// Park puts a command aside for the operator.
	Park(ctx context.Context, c actuation.StoredCommand, failure string, now time.Time) error
	// Sweep deletes finished commands of before a time, limit at most.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
	// CommandList lists commands for the operator, the latest first.
	CommandList(ctx context.Context, f CommandFilter) ([]CommandStatus, error)
	// CommandSums counts commands by state, of every installation.
	CommandSums(ctx context.Context) ([]CommandSum, error)
	// Unpark has a parked command tried again from its first attempt. Errors:
	// NOT_FOUND, STATE_CONFLICT where it is not parked.
	Unpark(ctx context.Context, commandID string, now time.Time) error
}

// StoredFacts are what an actuator's Execute answered last.
type StoredFacts struct {
	Facts json.RawMessage
	At    time.Time
}

// CommandFilter narrows a list of commands. Zero members do not.
type CommandFilter struct {
	MerchantID string
	State      string // pending, done or parked
	Limit      int
}

// CommandStatus is a command as the operator sees it.
type CommandStatus struct {
	CommandID   string     `json:"command_id"`
	MerchantID  string     `json:"merchant_id"`
	Actuator    string     `json:"actuator"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Scheduled   bool       `json:"scheduled"`
	DecisionID  string     `json:"decision_id,omitempty"`
	Attempts    int        `json:"attempts"`
	Reference   string     `json:"reference,omitempty"`
	Failure     string     `json:"failure,omitempty"`
	CommittedAt time.Time  `json:"committed_at"`
	DueAt       *time.Time `json:"due_at,omitempty"`
	FinishedAt  *time.Time `json:"finished_at,omitempty"`
}

// CommandSum is how the commands of one installation fare.
type CommandSum struct {
	TenantNo        int32
	Actuator        string
	Shadow          bool
	Pending, Parked int64
	RefreshedAt     *time.Time // its stored facts; nil where there are none
}

// Rejection is plans of one actuator that broke one rule.
type Rejection struct {
	MerchantID string    `json:"merchant_id"`
	Actuator   string    `json:"actuator"`
	Version    string    `json:"version"`
	Rule       string    `json:"rule"`
	Count      int64     `json:"count"`
	SnapshotID string    `json:"snapshot_id"` // of the last one
	Message    string    `json:"message"`     // of the last one
	LastAt     time.Time `json:"last_at"`
}

// ShadowPlan is what a shadow would have decided about one sale.
type ShadowPlan struct {
	Installation  actuation.Installation
	TransactionID string
	Snapshot      actuation.Snapshot
	Plan          *actuation.Plan // nil where it failed
	Failure       string
	At            time.Time
}

// ShadowSum is what one shadow would have done since it was installed.
type ShadowSum struct {
	InstallationID              string
	Effects, Refusals, Failures int64
	GrantMinor                  int64 // over all currencies of the merchant
}

// Told is how one actuator of one server fares.
type Told struct {
	Server   string
	Actuator string // name, or the installation's id
	TenantNo int32  // 0 for the platform's
	Status   actuation.Status
	Usage    actuation.Usage
	At       time.Time
}

// RecordedFilter narrows recorded decisions. Zero members do not.
type RecordedFilter struct {
	MerchantID string
	Kinds      []actuation.Kind
	Since      time.Time
	After      string // decision id
	Limit      int
}

// Recorded is a decision with the snapshot that it was taken on.
type Recorded struct {
	DecisionID      string
	Actuator        string
	ActuatorVersion string
	Snapshot        actuation.Snapshot
	Plan            actuation.Plan
}

// History is what a customer bought before a sale, in its currency, as facts.
type History struct {
	Sales      int64               `json:"sales"`
	TotalMinor int64               `json:"total_minor"`
	FirstAt    *time.Time          `json:"first_at,omitempty"`
	LastAt     *time.Time          `json:"last_at,omitempty"`
	Categories map[string]Quantity `json:"categories"` // the 100 most bought
	SKUs       map[string]Quantity `json:"skus"`       // the 100 most bought
}

// Quantity is how much of something was bought.
type Quantity struct {
	Quantity   int64 `json:"quantity"`
	TotalMinor int64 `json:"total_minor"`
}
