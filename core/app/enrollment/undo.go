package enrollment

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/handover"
	"github.com/feddi/feddi/core/merging"
)

// undo takes a merge back, in the transaction of Merge: the merged identity is
// one of its own again, with what came of it and is still there. Money goes back
// by contra entries, lots with what is left of them. What came since the merge,
// and the sales since, stay with who remained.
//
// Errors: NOT_FOUND (merge); STATE_CONFLICT where its time is over, it was undone
// already, who remained was merged, disabled or erased since or has a payment, an
// applied offer or a top-up under way, and, unless in.Partial, where less can go
// back than moved; SESSION_ENDED for a session's.
func (s *Service) undo(ctx context.Context, st app.Stores, call *app.Call, in MergeInput, now time.Time) (Merged, error) {
	m, err := st.Merging.Merge(ctx, call.Tenant, in.UndoID)
	if err != nil {
		return Merged{}, err
	}
	u := merging.Undo{Reason: in.Reason, At: now}
	out := Merged{}
	if m.SourceID == "" {
		err = s.undoSession(ctx, st, &m, now)
	} else {
		out, err = s.undoCustomer(ctx, st, &m, &u, in.Partial)
	}
	if err != nil {
		return Merged{}, err
	}
	if err := st.Merging.AddUndo(ctx, m, u); err != nil {
		return Merged{}, err
	}
	b, err := st.Ledger.Balance(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return Merged{}, err
	}
	out.Merge, out.Undo, out.Balance = m, &u, b.At(now)
	out.UndoneAt = &now
	return out, st.Events.Append(ctx, u.Event(s.IDs.Make(ids.Event), m))
}

// undoSession makes an open session anonymous again. The session's lock is what
// serialises its undos.
func (s *Service) undoSession(ctx context.Context, st app.Stores, m *merging.Merge, now time.Time) error {
	session, err := st.Checkout.Lock(ctx, m.Tenant, m.SessionID)
	if err != nil {
		return err
	}
	if *m, err = st.Merging.Merge(ctx, m.Tenant, m.ID); err != nil {
		return err
	}
	if err := m.Undoable(now); err != nil {
		return err
	}
	if err := session.Live(now); err != nil {
		return err
	}
	if session.CustomerID != m.CustomerID {
		return fault.Field(fault.CodeStateConflict, "undo_merge_id", "same_customer", "the session belongs to another customer since")
	}
	held, err := incentives.Applied(ctx, st, m.Tenant, session.ID)
	if err != nil {
		return err
	}
	next, err := session.Detach(len(held) > 0, now)
	if err != nil {
		return err
	}
	_, err = st.Checkout.Save(ctx, next)
	return err
}

// undoCustomer divides two customers again.
func (s *Service) undoCustomer(ctx context.Context, st app.Stores, m *merging.Merge, u *merging.Undo, partial bool) (Merged, error) {
	source, err := divisible(ctx, st, m, u.At)
	if err != nil {
		return Merged{}, err
	}
	// That of the source leads to who remained still.
	if _, _, err := lockWallets(ctx, st, *m, m.CustomerID); err != nil {
		return Merged{}, err
	}
	came, err := st.Merging.Came(ctx, *m)
	if err != nil {
		return Merged{}, err
	}
	if err := st.Merging.Divide(ctx, *m, u.At); err != nil {
		return Merged{}, err
	}
	accounts, err := lockPoints(ctx, st, *m)
	if err != nil {
		return Merged{}, err
	}
	links, err := st.Merging.MoveBack(ctx, *m)
	if err != nil {
		return Merged{}, err
	}
	if err := s.moneyBack(ctx, st, *m, u, came, accounts, source.State == identity.Verified, partial); err != nil {
		return Merged{}, err
	}
	for _, id := range came.Links {
		if !slices.Contains(links, id) {
			u.Left.Links = append(u.Left.Links, id)
		}
	}
	if u.Links, err = linksNamed(ctx, st, m.Tenant, m.SourceID, links); err != nil {
		return Merged{}, err
	}
	b, err := st.Ledger.Balance(ctx, m.Tenant, m.SourceID)
	b = b.At(u.At)
	return Merged{SourceBalance: &b}, err
}

// divisible locks sessions and both customers, in the order of their ids, reads
// the merge as it is then, and checks that it may be undone.
func divisible(ctx context.Context, st app.Stores, m *merging.Merge, now time.Time) (identity.Customer, error) {
	source, remained, err := holdBoth(ctx, st, *m, m.CustomerID)
	if err != nil {
		return source, err
	}
	if *m, err = st.Merging.Merge(ctx, m.Tenant, m.ID); err != nil {
		return source, err
	}
	if err := m.Undoable(now); err != nil {
		return source, err
	}
	later := ""
	if remained.Status == identity.Merged {
		if later, err = st.Merging.MergeOf(ctx, m.Tenant, remained.ID); err != nil {
			return source, err
		}
	}
	if err := m.Divide(source, remained, later); err != nil {
		return source, err
	}
	return source, unblocked(ctx, st, m.Tenant, remained.ID, "undo_merge_id", now)
}

// moneyBack gives back what of money, credit and points can go back. The lots
// that came belong to the source again; no figure follows them so far.
func (s *Service) moneyBack(ctx context.Context, st app.Stores, m merging.Merge, u *merging.Undo, came merging.Came,
	accounts map[string]ledger.PointsAccount, verified, partial bool,
) error {
	from, err := st.Ledger.Book(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return err
	}
	into, err := st.Ledger.Book(ctx, m.Tenant, m.SourceID)
	if err != nil {
		return err
	}
	lots, err := st.Ledger.Lots(ctx, m.Tenant, slices.Sorted(maps.Keys(came.Lots)))
	if err != nil {
		return err
	}
	plan := came.Plan(m, from.Wallet, lots, accounts[m.CustomerID])
	if err := plan.Complete(partial); err != nil {
		return err
	}
	u.ActualMinor, u.Points, u.Left = plan.ActualMinor, plan.Points, plan.Left
	if err := s.walletsBack(ctx, st, m, u, from.Wallet, into.Wallet, handover.Back{ActualMinor: u.ActualMinor, Lots: lots, Verified: verified}); err != nil {
		return err
	}
	return s.pointsBack(ctx, st, m, u, accounts)
}

func (s *Service) walletsBack(ctx context.Context, st app.Stores, m merging.Merge, u *merging.Undo, from, into ledger.Wallet, b handover.Back) error {
	out, in, lots, err := handover.WalletsBack(s.undoHead(m, u, m.ActualEntry()), from, into, b)
	if err != nil {
		return err
	}
	first, err := st.Merging.Firsts(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return err
	}
	out.Wallet, u.Grants = m.Gates(out.Wallet, first), lots
	note(u, in.Entries)
	if _, err := st.Ledger.Apply(ctx, out); err != nil {
		return err
	}
	if _, err := st.Ledger.Apply(ctx, in); err != nil || len(in.Grants) == 0 {
		return err
	}
	var events []event.Event
	for _, g := range in.Grants { // LOCKED again
		events = append(events, g.Event(s.IDs.Make(ids.Event), u.At, 0))
	}
	return st.Events.Append(ctx, events...)
}

func (s *Service) pointsBack(ctx context.Context, st app.Stores, m merging.Merge, u *merging.Undo, accounts map[string]ledger.PointsAccount) error {
	out, in, err := handover.PointsBack(s.undoHead(m, u, m.PointsEntry()), s.IDs.Make("pmv"), s.IDs.Make("pmv"),
		accounts[m.CustomerID], accounts[m.SourceID], m.Carried(*u))
	if err != nil {
		return err
	}
	note(u, in.Entries)
	if err := st.Ledger.ApplyPoints(ctx, out); err != nil {
		return err
	}
	return st.Ledger.ApplyPoints(ctx, in)
}

// undoHead heads a contra entry of a merge's.
func (s *Service) undoHead(m merging.Merge, u *merging.Undo, reverses string) ledger.Head {
	return ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: handover.EntryMerge, RefID: m.ID, Reverses: reverses, At: u.At}
}

func note(u *merging.Undo, entries []ledger.Entry) {
	for _, e := range entries {
		u.EntryIDs = append(u.EntryIDs, e.ID)
	}
}

// UndoneSweep drops what was noted for merges that cannot be undone any more, up
// to limit rows. A round that returns less has nothing left to do.
func (s *Service) UndoneSweep(ctx context.Context, limit int) (int, error) {
	return s.UoW.Read().Merging.Sweep(ctx, s.Clock.Now(), limit)
}
