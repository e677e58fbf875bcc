package merging

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/handover"
	"github.com/feddi/feddi/core/tenancy"
)

// EventCustomerUnmerged tells that a merge was undone.
const EventCustomerUnmerged = "customer.unmerged"

// UndoWindow is how long a merge can be undone: long enough for a mistake of a
// Friday evening to be seen on Monday, short enough that most of what moved is
// still there. It is no setting of the merchant's: what moved is noted row by
// row for this long, and the answer to a merge promises the instant, which a
// change of the constant does not move.
const UndoWindow = 72 * time.Hour

// field names the merge in requests to undo one.
const field = "undo_merge_id"

// Window sets until when m can be undone.
func (m Merge) Window() Merge {
	until := m.At.Add(UndoWindow)
	m.UndoUntil = &until
	return m
}

// ActualEntry is the entry that moved actual money; empty where none moved.
func (m Merge) ActualEntry() string {
	if m.ActualMinor == 0 {
		return ""
	}
	return m.EntryIDs[0]
}

// PointsEntry is the entry that moved points; empty where none moved.
func (m Merge) PointsEntry() string {
	if m.Points == 0 {
		return ""
	}
	return m.EntryIDs[len(m.EntryIDs)-1]
}

// Undoable gives nil where m can be undone at now, as far as time goes.
// Errors: STATE_CONFLICT where it was undone already, or its time is over.
func (m Merge) Undoable(now time.Time) error {
	switch {
	case m.UndoneAt != nil:
		return fault.Field(fault.CodeStateConflict, field, "not_undone", "this merge was undone at %s; there is nothing to do", instant(*m.UndoneAt))
	case m.UndoUntil == nil:
		return fault.Field(fault.CodeStateConflict, field, "undo_window", "this merge is from before merges could be undone; what it moved was not noted")
	case !now.Before(*m.UndoUntil):
		return fault.Field(fault.CodeStateConflict, field, "undo_window",
			"the time to undo this merge ended at %s; both stay one customer, and what is owed to a second person is for a new enrolment and a goodwill grant", instant(*m.UndoUntil))
	}
	return nil
}

func instant(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Divide gives nil where source and the customer who remained, as they are now,
// can be divided again. later is the merge that took who remained; empty where
// none did. Errors: STATE_CONFLICT that says what happened to whom since.
func (m Merge) Divide(source, remained identity.Customer, later string) error {
	switch {
	case remained.Status == identity.Erased || source.Status == identity.Erased:
		return fault.Field(fault.CodeStateConflict, field, "erased", "the customer was erased since, with all that was merged into it; there is nobody to divide")
	case remained.Status == identity.Merged:
		return fault.Field(fault.CodeStateConflict, field, "last_merge_first",
			"the customer who remained, %s, was merged into %s since; undo that merge first", remained.ID, remained.MergedInto).With(field, "later_merge", later)
	case remained.Status == identity.Disabled:
		return fault.Field(fault.CodeStateConflict, field, "enabled",
			"the customer who remained, %s, is disabled, which holds its money back; enable it, undo the merge, and disable whom you mean", remained.ID)
	case source.Status != identity.Merged || source.MergedInto != remained.ID:
		return fault.Field(fault.CodeStateConflict, field, "still_merged", "customer %s is not merged into %s any more", source.ID, remained.ID)
	}
	return nil
}

// Came is what a merge brought to who remained, as it was then.
type Came struct {
	Lots   map[string]int64 // what each lot held, by its id
	Points map[string]int64 // what each lot of points held, by its id
	Links  []string         // ids of links
	// ReversedMinor is actual money of deposits that came, which was taken back
	// from who remained since: it was theirs who came, and is gone.
	ReversedMinor int64
}

// Undo is a merge undone: what went back, and what did not.
type Undo struct {
	Reason      string
	At          time.Time
	ActualMinor int64
	Points      int64
	Grants      []ledger.Grant  // that hold credit, as they are after it
	Links       []identity.Link // as they are after it
	EntryIDs    []string        // contra entries of the merge's
	Left        Unreturned
}

// Unreturned is what a merge moved and its undo leaves, by class.
type Unreturned struct {
	ActualMinor, PromoMinor, Points int64
	Links                           []string // ids of links that were removed since
}

// Plan says what of m can go back. wallet is that of who remained, lots are
// those that came, points the account of who remained; all as they are now.
//
// Actual money has no marks: what is there goes back first, up to what moved, so
// that what was spent since counts against who remained. Every lot knows where
// it came from: it goes back with what is left, so that nothing of one class or
// lot stands in for another.
func (c Came) Plan(m Merge, wallet ledger.Wallet, lots []ledger.Grant, points ledger.PointsAccount) Undo {
	u := Undo{ActualMinor: min(max(m.ActualMinor-c.ReversedMinor, 0), wallet.ActualMinor)}
	u.Left.ActualMinor = m.ActualMinor - u.ActualMinor
	for _, g := range lots {
		u.Left.PromoMinor += max(c.Lots[g.ID]-g.RemainingMinor, 0)
	}
	for _, l := range points.Lots {
		if _, came := c.Points[l.ID]; came {
			u.Points += l.Remaining
		}
	}
	u.Left.Points = m.Points - u.Points
	return u
}

// Complete gives nil where everything that moved can go back, or a part is
// enough. Errors: STATE_CONFLICT that says how much of each class is missing.
func (u Undo) Complete(partial bool) error {
	if partial || u.Left.ActualMinor == 0 && u.Left.PromoMinor == 0 && u.Left.Points == 0 {
		return nil
	}
	e := fault.Field(fault.CodeStateConflict, field, "unspent",
		"part of what moved was spent, expired or was taken back since: %d minor units of actual money, %d of promotional credit and %d points are missing; nothing was changed; set accept_partial to give back what is left",
		u.Left.ActualMinor, u.Left.PromoMinor, u.Left.Points)
	for _, part := range []struct {
		name    string
		missing int64
	}{{"actual_minor", u.Left.ActualMinor}, {"promo_minor", u.Left.PromoMinor}, {"points", u.Left.Points}} {
		if part.missing > 0 {
			e = e.With("unreturned."+part.name, "missing", strconv.FormatInt(part.missing, 10))
		}
	}
	return e
}

// Gates are those of who remained without what came: its own of before the
// merge, else the first it did since, which first tells.
func (m Merge) Gates(w ledger.Wallet, first Firsts) ledger.Wallet {
	if w.FirstTopupAt = m.FirstTopupAt; w.FirstTopupAt == nil {
		w.FirstTopupAt = first.TopupAt
	}
	if w.FirstPurchaseAt = m.FirstPurchaseAt; w.FirstPurchaseAt == nil {
		w.FirstPurchaseAt = first.PurchaseAt
	}
	return w
}

// Carried is what of points goes back with u.
func (m Merge) Carried(u Undo) handover.Carried {
	return handover.Carried{Points: u.Points, Earned: m.PointsEarned, Burned: m.PointsBurned}
}

// Event tells of the undo of m.
func (u Undo) Event(id string, m Merge) event.Event {
	raw, _ := json.Marshal(map[string]any{ // ids and amounts: cannot fail
		"merge_id": m.ID, "customer_id": m.CustomerID, "source_customer_id": orNull(m.SourceID), "session_id": orNull(m.SessionID),
		"moved_actual_minor": u.ActualMinor, "moved_points": u.Points,
		"unreturned_actual_minor": u.Left.ActualMinor, "unreturned_promo_minor": u.Left.PromoMinor, "unreturned_points": u.Left.Points,
	})
	return event.Event{ID: id, Tenant: m.Tenant, Type: EventCustomerUnmerged, Subject: m.CustomerID, At: u.At, Data: raw}
}

// Firsts are the first top-up and the first sale that are on record for a
// customer; nil where there is none.
type Firsts struct{ TopupAt, PurchaseAt *time.Time }

// Undoing keeps what an undo needs, and moves back what is not money.
type Undoing interface {
	// Merge reads one. Errors: NOT_FOUND.
	Merge(ctx context.Context, t tenancy.Tenant, id string) (Merge, error)
	// MergeOf is the id of the merge that took a customer and stands; empty where
	// there is none.
	MergeOf(ctx context.Context, t tenancy.Tenant, customerID string) (string, error)
	// Came reads what m brought.
	Came(ctx context.Context, m Merge) (Came, error)
	// Divide makes m's source, and who was merged into it before, identities of
	// their own again. Both customers and their wallets are held.
	Divide(ctx context.Context, m Merge, now time.Time) error
	// MoveBack gives back what m moved and is still there: what Move gave, in
	// whatever state it is. What was removed since stays removed. Returns the
	// links that went back.
	MoveBack(ctx context.Context, m Merge) ([]string, error)
	// Firsts reads those of a customer.
	Firsts(ctx context.Context, t tenancy.Tenant, customerID string) (Firsts, error)
	// AddUndo writes that m was undone, and drops what was noted for it.
	AddUndo(ctx context.Context, m Merge, u Undo) error
	// Sweep drops what was noted for merges whose time to undo ended before a
	// time, up to limit rows, and returns how many went.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
}
