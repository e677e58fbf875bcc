// Package dispute is the contest of a sale: who says what about it, and how it
// ends. A dispute moves no money itself; one resolved for the customer has the
// money go back through the payments of the sale.
package dispute

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Bounds of a dispute.
const (
	// Life is how long there is to resolve one; nothing happens by itself after it.
	Life = 14 * 24 * time.Hour
	// MaxEvidence is how many items may be brought forward.
	MaxEvidence = 20
	// MaxFacts is how many bytes of JSON the facts of one item may take.
	MaxFacts = 8 << 10
)

// State is where a dispute stands.
type State string

// The states. Resolved is final; a sale may be disputed again.
const (
	Open     State = "open"
	Resolved State = "resolved"
)

// Outcome is whom a dispute went for.
type Outcome string

// The outcomes.
const (
	ForCustomer Outcome = "customer"
	ForMerchant Outcome = "merchant"
)

// Dispute is a contest of a sale. A sale has one open dispute at most.
type Dispute struct {
	ID            string
	Tenant        tenancy.Tenant
	TransactionID string
	CustomerID    string // empty where nobody identified
	// Place is the sale's: a branch's key does not see another branch's disputes.
	tenancy.Place
	State       State
	Reason      string
	AmountMinor int64 // what is contested, at most what is left of the sale
	Currency    string
	Description string
	Evidence    []Evidence // oldest first
	History     []Step     // oldest first
	Resolution  *Resolution
	OpenedAt    time.Time
	DueAt       time.Time
	ResolvedAt  *time.Time
}

// Evidence is one thing brought forward.
type Evidence struct {
	Type  string          `json:"type"` // statement, receipt, image, document, log
	Text  string          `json:"text"`
	URL   string          `json:"url,omitempty"` // http or https
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Step is one thing that was done about a dispute.
type Step struct {
	Type    string    `json:"type"` // opened, resolved
	ActorID string    `json:"actor_id"`
	Note    string    `json:"note,omitempty"`
	At      time.Time `json:"at"`
}

// Resolution is how a dispute ended. The amounts are what went back: to actual
// money, to lots, and to the funders of lots clawed back since.
type Resolution struct {
	Outcome                                 Outcome
	ActualMinor, PromoMinor, ForfeitedMinor int64
	EntryIDs                                []string
	Note                                    string
}

// Check checks what the contract's rules for evidence cannot: that links are
// links, and how large facts are. Errors: VALIDATION_FAILED.
func Check(evidence []Evidence) error {
	if len(evidence) > MaxEvidence {
		return fault.Field(fault.CodeValidationFailed, "evidence", "max_items", "give at most %d items", MaxEvidence)
	}
	for i, e := range evidence {
		path := "evidence[" + strconv.Itoa(i) + "]"
		if e.URL != "" {
			if u, err := url.Parse(e.URL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
				return fault.Field(fault.CodeValidationFailed, path+".url", "web_address", "give an http or https address without user and password")
			}
		}
		if len(e.Facts) > MaxFacts {
			return fault.Field(fault.CodeValidationFailed, path+".facts", "max_bytes", "facts take %d bytes of JSON; give at most %d", len(e.Facts), MaxFacts)
		}
	}
	return nil
}

// Resolve ends a dispute. Errors: STATE_CONFLICT where it is resolved.
func (d Dispute) Resolve(r Resolution, actorID string, now time.Time) (Dispute, error) {
	if err := d.Resolvable(); err != nil {
		return d, err
	}
	d.State, d.Resolution, d.ResolvedAt = Resolved, &r, &now
	d.History = append(append([]Step(nil), d.History...), Step{Type: "resolved", ActorID: actorID, Note: r.Note, At: now})
	return d, nil
}

// Resolvable gives nil for an open dispute. Errors: STATE_CONFLICT.
func (d Dispute) Resolvable() error {
	if d.State == Open {
		return nil
	}
	return fault.Field(fault.CodeStateConflict, "dispute_id", "open", "the dispute was resolved already; open a new one to contest the sale again")
}
