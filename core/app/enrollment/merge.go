package enrollment

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/handover"
	"github.com/feddi/feddi/core/merging"
	"github.com/feddi/feddi/core/tenancy"
)

// MergeInput names what is merged into whom, by CustomerID and exactly one of
// SourceID and SessionID; or the merge to undo, by UndoID alone.
type MergeInput struct {
	CustomerID string // who remains
	SourceID   string
	SessionID  string
	UndoID     string
	Partial    bool // undo also where not everything can go back
	Reason     string
}

// Merged is a merge with the wallet after it, or one that was undone.
type Merged struct {
	merging.Merge
	Balance ledger.Balance
	// Undo is nil for a merge.
	Undo *merging.Undo
	// SourceBalance is the wallet that is in use again; nil but for the undo of a
	// customer's merge.
	SourceBalance *ledger.Balance
}

// credentialMerge is how a session that was merged is said to be identified.
const credentialMerge = "merge"

// Merge makes one identity of two, in one transaction: money by ledger entries
// that sum to zero over both wallets, lots with their source and expiry, points,
// links, consents and history. Both wallets are locked in the order of their
// ids, so that merges never wait for each other in a circle. The merged
// identity leads to the one that remains from then on, until the merge is undone
// (see undo), which is asked for by the same operation.
//
// Errors: NOT_FOUND, STATE_CONFLICT (both phones proven; a payment, an applied
// offer or a top-up under way; merged already), IDENTITY_PROBATIONARY,
// CURRENCY_MISMATCH, SESSION_ENDED.
func (s *Service) Merge(ctx context.Context, call *app.Call, in MergeInput) (Merged, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Merged, error) {
		if in.UndoID != "" {
			return s.undo(ctx, st, call, in, now)
		}
		m := merging.Merge{
			ID: s.IDs.Make(ids.Merge), Tenant: call.Tenant, CustomerID: in.CustomerID, SourceID: in.SourceID, SessionID: in.SessionID,
			Reason: in.Reason, At: now,
		}.Window()
		var err error
		if in.SourceID == "" {
			err = s.mergeSession(ctx, st, m)
		} else {
			m, err = s.mergeCustomer(ctx, st, m)
		}
		if err != nil {
			return Merged{}, err
		}
		if err := st.Merging.Add(ctx, m); err != nil {
			return Merged{}, err
		}
		b, err := st.Ledger.Balance(ctx, m.Tenant, m.CustomerID)
		if err != nil {
			return Merged{}, err
		}
		return Merged{Merge: m, Balance: b.At(now)}, st.Events.Append(ctx, m.Event(s.IDs.Make(ids.Event)))
	})
}

// mergeSession gives an anonymous session to the customer.
func (s *Service) mergeSession(ctx context.Context, st app.Stores, m merging.Merge) error {
	session, err := st.Checkout.Lock(ctx, m.Tenant, m.SessionID)
	if err != nil {
		return err
	}
	c, err := st.Identity.LockCustomer(ctx, m.Tenant, m.CustomerID)
	if err == nil {
		err = c.Usable()
	}
	if err != nil {
		return err
	}
	if err := session.Live(m.At); err != nil {
		return err
	}
	if session.CustomerID != "" {
		return fault.Field(fault.CodeStateConflict, "session_id", "anonymous",
			"the session belongs to %s; to merge that customer, give source_customer_id", session.CustomerID)
	}
	next, err := session.Attach(checkout.Identity{CustomerID: c.ID, CredentialType: credentialMerge}, false, m.At)
	if err != nil {
		return err
	}
	if _, err := st.Checkout.Save(ctx, next); err != nil {
		return err
	}
	return st.Events.Append(ctx, next.Identified(s.IDs.Make(ids.Event), m.At))
}

// mergeCustomer merges the source, and returns m with what moved.
func (s *Service) mergeCustomer(ctx context.Context, st app.Stores, m merging.Merge) (merging.Merge, error) {
	merchant, err := s.Directory.Merchant(ctx, m.Tenant.MerchantID)
	if err != nil {
		return m, err
	}
	if err := mergeable(ctx, st, m); err != nil {
		return m, err
	}
	if err := s.mergeWallets(ctx, st, &m); err != nil {
		return m, err
	}
	if err := s.mergePoints(ctx, st, &m); err != nil {
		return m, err
	}
	moved, err := st.Merging.Move(ctx, m)
	if err != nil {
		return m, err
	}
	if m.Links, err = linksNamed(ctx, st, m.Tenant, m.CustomerID, moved); err != nil {
		return m, err
	}
	// What the source's LOCKED lots waited for, the customer may have done (rule 26).
	_, err = grants.Release(ctx, st, m.Tenant, merchant.Settings.ClaimGate, m.CustomerID, m.At)
	return m, err
}

// mergeable locks sessions and both customers, in the order of their ids, and
// checks that the source may be merged.
func mergeable(ctx context.Context, st app.Stores, m merging.Merge) error {
	source, target, err := holdBoth(ctx, st, m, m.SourceID)
	if err != nil {
		return err
	}
	if err := merging.Allow(source, target); err != nil {
		return err
	}
	if err := unblocked(ctx, st, m.Tenant, source.ID, "source_customer_id", m.At); err != nil {
		return err
	}
	had, err := st.Merging.Merged(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return err
	}
	brought, err := st.Merging.Merged(ctx, m.Tenant, source.ID)
	if err == nil && len(had)+len(brought)+1 > merging.MaxMerged {
		err = fault.Field(fault.CodeStateConflict, "customer_id", "max_merged",
			"at most %d identities can be merged into one customer, and %d were already", merging.MaxMerged, len(had))
	}
	return err
}

// holdBoth locks the open sessions of who gives, and both customers with those merged
// into who gives, in the order of their ids.
func holdBoth(ctx context.Context, st app.Stores, m merging.Merge, giver string) (source, target identity.Customer, err error) {
	if err := st.Merging.HoldSessions(ctx, m.Tenant, giver); err != nil {
		return source, target, err
	}
	if err := st.Merging.HoldCustomers(ctx, m.Tenant, giver, m.SourceID, m.CustomerID); err != nil {
		return source, target, err
	}
	locked := map[string]identity.Customer{}
	for _, id := range inOrder(m) {
		if locked[id], err = st.Identity.LockCustomer(ctx, m.Tenant, id); err != nil {
			return source, target, err
		}
	}
	return locked[m.SourceID], locked[m.CustomerID], nil
}

// unblocked checks that nothing is in the way of taking from a customer's wallet.
func unblocked(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID, field string, now time.Time) error {
	blockers, err := st.Merging.Blockers(ctx, t, customerID, now)
	if err != nil {
		return err
	}
	return blockers.Check(field)
}

func inOrder(m merging.Merge) []string {
	switch {
	case m.SourceID == m.CustomerID:
		return []string{m.CustomerID}
	case m.SourceID < m.CustomerID:
		return []string{m.SourceID, m.CustomerID}
	}
	return []string{m.CustomerID, m.SourceID}
}

func (s *Service) mergeWallets(ctx context.Context, st app.Stores, m *merging.Merge) error {
	from, into, err := lockWallets(ctx, st, *m, m.SourceID)
	if err != nil {
		return err
	}
	out, in, moved, err := handover.Wallets(s.mergeHead(*m), from.Wallet, into.Wallet)
	if err != nil {
		return err
	}
	m.ActualMinor = moved
	m.FirstTopupAt, m.FirstPurchaseAt = into.Wallet.FirstTopupAt, into.Wallet.FirstPurchaseAt
	for _, e := range in.Entries {
		m.EntryIDs = append(m.EntryIDs, e.ID)
	}
	for _, g := range from.Lots {
		g.CustomerID = m.CustomerID
		m.Grants = append(m.Grants, g)
	}
	if _, err := st.Ledger.Apply(ctx, out); err != nil {
		return err
	}
	_, err = st.Ledger.Apply(ctx, in)
	return err
}

// lockWallets locks the wallets of both, and those that lead to the wallet of giver
// and will lead elsewhere, in the order in which everybody locks wallets. Those of
// the two that lead to the other one are that one's.
func lockWallets(ctx context.Context, st app.Stores, m merging.Merge, giver string) (source, target ledger.Book, err error) {
	all, err := st.Merging.Merged(ctx, m.Tenant, giver)
	if err != nil {
		return source, target, err
	}
	owners := make([]ledger.Owner, 0, len(all)+2)
	for _, id := range append(all, inOrder(m)...) {
		if o := (ledger.Owner{Tenant: m.Tenant, CustomerID: id}); !slices.Contains(owners, o) {
			owners = append(owners, o)
		}
	}
	books, err := st.Ledger.Books(ctx, owners)
	if err != nil {
		return source, target, err
	}
	for _, b := range books {
		if slices.Contains(b.Asked, m.SourceID) {
			source = b
		}
		if slices.Contains(b.Asked, m.CustomerID) {
			target = b
		}
	}
	if source.Asked == nil || target.Asked == nil {
		return source, target, fault.NotFound("customer")
	}
	return source, target, nil
}

func (s *Service) mergePoints(ctx context.Context, st app.Stores, m *merging.Merge) error {
	accounts, err := lockPoints(ctx, st, *m)
	if err != nil {
		return err
	}
	out, in, moved, err := handover.Points(s.mergeHead(*m), s.IDs.Make("pmv"), s.IDs.Make("pmv"), accounts[m.SourceID], accounts[m.CustomerID])
	if err != nil {
		return err
	}
	m.Points, m.PointsEarned, m.PointsBurned = moved, accounts[m.SourceID].Earned, accounts[m.SourceID].Burned
	for _, e := range in.Entries {
		m.EntryIDs = append(m.EntryIDs, e.ID)
	}
	if err := st.Ledger.ApplyPoints(ctx, out); err != nil {
		return err
	}
	return st.Ledger.ApplyPoints(ctx, in)
}

// lockPoints locks the points of both customers, in the order of their ids.
func lockPoints(ctx context.Context, st app.Stores, m merging.Merge) (map[string]ledger.PointsAccount, error) {
	accounts := map[string]ledger.PointsAccount{}
	for _, id := range inOrder(m) {
		a, err := st.Ledger.LockPoints(ctx, m.Tenant, id)
		if err != nil {
			return nil, err
		}
		accounts[id] = a
	}
	return accounts, nil
}

func (s *Service) mergeHead(m merging.Merge) ledger.Head {
	return ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: handover.EntryMerge, RefID: m.ID, At: m.At}
}

// linksNamed reads the links that moved, as they are at the customer.
func linksNamed(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string, moved []string) ([]identity.Link, error) {
	c, err := st.Identity.Customer(ctx, t, customerID)
	if err != nil {
		return nil, err
	}
	all, err := st.Identity.Links(ctx, t, customerID)
	if err != nil {
		return nil, err
	}
	var links []identity.Link
	for _, l := range all {
		if slices.Contains(moved, l.ID) {
			l.Probationary = identity.Probationary(l.Type, c.State)
			links = append(links, l)
		}
	}
	return links, nil
}
