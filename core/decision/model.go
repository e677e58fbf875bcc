// Package decision keeps what was decided and why: reasoning cards, traces
// that replay byte for byte, and counterfactuals, the offers that were not
// shown or not taken (rules 47 and 59).
package decision

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Card is a reasoning card.
type Card struct {
	Summary string          `json:"summary"` // words a cashier can read
	Rule    string          `json:"rule"`    // machine form
	Facts   json.RawMessage `json:"facts"`   // a JSON object
}

// Decision is one decision taken.
type Decision struct {
	ID              string
	Tenant          tenancy.Tenant
	TraceID         string
	Kind            string // an actuation.Kind
	SessionID       string // empty outside of sessions
	CustomerID      string // empty where anonymous
	OfferID         string // for kinds about an offer
	GrantID         string // where it issued one
	AmountMinor     int64
	State           string // proposed, taken, declined, withheld, failed
	Actuator        string
	ActuatorVersion string
	Card            Card
	// Plan is the actuator's plan as it was validated, a JSON object or nil.
	Plan json.RawMessage
	At   time.Time
}

// Trace is the whole of one decision process: inputs and outputs, each a JSON
// object. Running Inputs again gives Outputs, byte for byte.
type Trace struct {
	ID         string
	Tenant     tenancy.Tenant
	Kind       string
	SessionID  string
	CustomerID string
	// Engine names what ran and its version, for example "offers/1".
	Engine  string
	Inputs  json.RawMessage
	Outputs json.RawMessage
	At      time.Time
}

// Counterfactual is an offer that was evaluated and not shown, or shown and
// not taken.
type Counterfactual struct {
	TraceID   string
	SessionID string
	OfferID   string
	Version   int64
	Outcome   string // withheld, shown, taken, released, not_taken
	Reason    string // machine form, for example MIN_BASKET_NOT_MET
	// ValueMinor is what it would have been worth.
	ValueMinor int64
	At         time.Time
	// SeenAt is when a till first showed it to the customer, DeclinedAt when
	// the customer first declined it; nil where no till said so.
	SeenAt, DeclinedAt *time.Time
}

// Meeting is a customer who saw an offer, or declined it.
type Meeting struct {
	SessionID, OfferID string
	TraceID            string // empty for the latest feed that showed it
	Declined           bool
	At                 time.Time
}

// Store keeps decisions, traces and counterfactuals.
type Store interface {
	// SaveTrace writes a trace with its decisions and counterfactuals. A trace
	// id that exists already is left as it is: asked again, nothing more is written.
	SaveTrace(ctx context.Context, tr Trace, decisions []Decision, cf []Counterfactual) error
	// SaveTraces writes many new traces, of any tenants, with their decisions.
	SaveTraces(ctx context.Context, traces []Trace, decisions []Decision) error
	// Record is SaveTrace that tells what now stands: the stored trace, which is
	// tr where written is true, and the earlier one where it is false. Of two
	// concurrent writers of one id exactly one sees true.
	Record(ctx context.Context, tr Trace, decisions []Decision, cf []Counterfactual) (stored Trace, written bool, err error)
	// Trace reads one. Errors: NOT_FOUND.
	Trace(ctx context.Context, t tenancy.Tenant, id string) (Trace, error)
	// BySession lists a session's decisions in order.
	BySession(ctx context.Context, t tenancy.Tenant, sessionID string) ([]Decision, error)
	// MarkTaken turns the session's counterfactual of an offer from shown into
	// outcome (taken, released, not_taken). An empty offerID means every offer
	// of the session that is still shown: what the end of a session settles. The
	// decisions that proposed it follow: taken, proposed again, or declined.
	MarkTaken(ctx context.Context, t tenancy.Tenant, sessionID, offerID, outcome string) error
	// Settle writes what became of one decision: its state, and the grant that it
	// led to, where there is one.
	Settle(ctx context.Context, t tenancy.Tenant, decisionID, state, grantID string) error
	// Feeds reads the latest recorded feed of each session, by its id; sessions
	// that were never decided for are left out.
	Feeds(ctx context.Context, t tenancy.Tenant, sessionIDs []string) (map[string]Trace, error)
	// Meet notes a meeting on the counterfactual of a feed that showed the offer
	// and returns its trace; empty where none did.
	Meet(ctx context.Context, t tenancy.Tenant, m Meeting) (traceID string, err error)
	// Counterfactuals lists what was evaluated in a session, oldest first.
	Counterfactuals(ctx context.Context, t tenancy.Tenant, sessionID string) ([]Counterfactual, error)
	// Tally counts the feeds that showed and that withheld an offer.
	Tally(ctx context.Context, t tenancy.Tenant, offerID string) (shown, withheld int64, err error)
}
