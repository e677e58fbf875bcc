// Package merging is how two identities become one: who may be merged into
// whom, what stands in the way, and the record of it.
package merging

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// EventCustomerMerged tells that two identities became one.
const EventCustomerMerged = "customer.merged"

// MaxMerged is how many identities may be merged into one customer: reads of a
// customer's history read theirs, too.
const MaxMerged = 50

// Merge is the record of a merge.
type Merge struct {
	ID          string
	Tenant      tenancy.Tenant
	CustomerID  string // who remains
	SourceID    string // who was merged; empty where a session was
	SessionID   string // the anonymous session that was merged; empty otherwise
	Reason      string
	ActualMinor int64
	Points      int64
	Grants      []ledger.Grant  // that moved, as they were
	Links       []identity.Link // that moved
	// EntryIDs are the entries that moved it: that of actual money where some
	// moved, then that of points.
	EntryIDs []string
	At       time.Time

	// What an undo needs. PointsEarned and PointsBurned moved with the points;
	// the gates are those of who remains, before the merge.
	PointsEarned, PointsBurned    int64
	FirstTopupAt, FirstPurchaseAt *time.Time
	// UndoUntil is when the time to undo it ends; nil for a merge of before there
	// was an undo.
	UndoUntil *time.Time
	UndoneAt  *time.Time // nil while it stands
}

// Event tells of the merge.
func (m Merge) Event(id string) event.Event {
	raw, _ := json.Marshal(map[string]any{ // ids and amounts: cannot fail
		"merge_id": m.ID, "customer_id": m.CustomerID, "source_customer_id": orNull(m.SourceID), "session_id": orNull(m.SessionID),
		"moved_actual_minor": m.ActualMinor, "moved_points": m.Points,
	})
	return event.Event{ID: id, Tenant: m.Tenant, Type: EventCustomerMerged, Subject: m.CustomerID, At: m.At, Data: raw}
}

func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// Blockers are what stands in the way of taking a customer's wallet away.
type Blockers struct {
	PaidSessions    []string // open sessions that hold a payment of the customer's; at most 10
	AppliedSessions []string // open sessions that hold offers applied for the customer; at most 10
	WaitingPayments []string // payments that wait for their code; at most 10
	PendingTopups   []string // top-ups under way; at most 10
}

// Check gives nil where nothing is in the way, else STATE_CONFLICT that names
// each thing. field is what named the customer.
func (b Blockers) Check(field string) error {
	var found *fault.Error
	add := func(ids []string, rule, message string) {
		for _, id := range ids {
			if found == nil {
				found = fault.Field(fault.CodeStateConflict, field, rule, "%s: %s", id, message)
				continue
			}
			found = found.With(field, rule, id+": "+message)
		}
	}
	add(b.PaidSessions, "no_paid_session", "this open session holds a payment of the customer; close it first")
	add(b.AppliedSessions, "no_applied_offers", "this open session holds offers applied for the customer; close or abandon it first")
	add(b.WaitingPayments, "no_waiting_payment", "this payment waits for its code; capture it, or let it expire")
	add(b.PendingTopups, "no_pending_topup", "this top-up is under way; confirm it, or let it expire")
	if found == nil {
		return nil
	}
	return found
}

// Allow gives nil where source may be merged into target.
// Errors: NOT_FOUND (either may not be served); STATE_CONFLICT where both
// phones are proven, which makes them two people until one is unproven, or the
// two are one already; IDENTITY_PROBATIONARY where a proven wallet would go to
// an unproven one.
func Allow(source, target identity.Customer) error {
	switch {
	case source.ID == target.ID:
		return fault.Field(fault.CodeStateConflict, "source_customer_id", "another_customer", "a customer cannot be merged into itself")
	case target.Usable() != nil:
		return target.Usable()
	case source.Status == identity.Merged && source.MergedInto == target.ID:
		return fault.Field(fault.CodeStateConflict, "source_customer_id", "not_merged", "this customer was merged into that one already; there is nothing to do")
	case source.Usable() != nil:
		return source.Usable()
	case source.State == identity.Verified && target.State == identity.Verified:
		return fault.Field(fault.CodeStateConflict, "source_customer_id", "one_proven_phone",
			"both customers have proven their phones, which are different; what is whose is not for us to guess")
	case source.State == identity.Verified:
		return fault.Field(fault.CodeIdentityProbationary, "customer_id", "verified",
			"the customer that remains has not proven the phone, the other one has; merge the other way round, or verify first")
	}
	return nil
}

// Store keeps merges and moves what is not money.
type Store interface {
	// HoldSessions locks the open sessions of customers until the transaction
	// ends. It comes before the customers themselves.
	HoldSessions(ctx context.Context, t tenancy.Tenant, customerIDs ...string) error
	// HoldCustomers locks customers, and those merged into giver, in the order of
	// their ids until the transaction ends: they lead elsewhere at its end.
	HoldCustomers(ctx context.Context, t tenancy.Tenant, giver string, customerIDs ...string) error
	// Blockers finds what stands in the way of taking the wallet of a customer,
	// held by the caller, away at now.
	Blockers(ctx context.Context, t tenancy.Tenant, customerID string, now time.Time) (Blockers, error)
	// Merged names the identities merged into a customer, MaxMerged at most.
	Merged(ctx context.Context, t tenancy.Tenant, customerID string) ([]string, error)
	// Move gives what m's source has to its customer: lots, links, codes that are
	// out, consents, preferences (where the customer has none), events, enrolments,
	// claims, completed top-ups, open sessions, uses of offers, and those merged
	// into source. It notes what moved, for an undo. source ends as merged. Sales
	// stay as they were written; they are found by way of source. Both customers
	// and their wallets are held. Returns the links that moved.
	Move(ctx context.Context, m Merge) ([]string, error)
	// Add writes a merge.
	Add(ctx context.Context, m Merge) error
	Undoing
}
