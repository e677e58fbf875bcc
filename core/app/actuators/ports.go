package actuators

import (
	"context"
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
	// Bought sums up what a customer bought in a currency before the transaction.
	Bought(ctx context.Context, t tenancy.Tenant, customerID, transactionID, currency string, before time.Time) (History, error)
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
