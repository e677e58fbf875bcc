package enrollment

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/handover"
	"github.com/feddi/feddi/core/merging"
)

// MergeInput names what is merged into whom: exactly one of SourceID and
// SessionID.
type MergeInput struct {
	CustomerID string // who remains
	SourceID   string
	SessionID  string
	Reason     string
}

// Merged is a merge with the wallet after it.
type Merged struct {
	merging.Merge
	Balance ledger.Balance
}

// credentialMerge is how a session that was merged is said to be identified.
const credentialMerge = "merge"

// Merge makes one identity of two, in one transaction: money by ledger entries
// that sum to zero over both wallets, lots with their source and expiry, points,
// links, consents and history. Both wallets are locked in the order of their
// ids, so that merges never wait for each other in a circle. The merged
// identity leads to the one that remains from then on.
//
// Errors: NOT_FOUND, STATE_CONFLICT (both phones proven; a payment, an applied
// offer or a top-up under way; merged already), IDENTITY_PROBATIONARY,
// CURRENCY_MISMATCH, SESSION_ENDED.
func (s *Service) Merge(ctx context.Context, call *app.Call, in MergeInput) (Merged, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Merged, error) {
		m := merging.Merge{
			ID: s.IDs.Make(ids.Merge), Tenant: call.Tenant, CustomerID: in.CustomerID, SourceID: in.SourceID, SessionID: in.SessionID,
			Reason: in.Reason, At: now,
		}
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
	return st.Events.Append(ctx, s.identified(next, m.At))
}

// mergeCustomer merges the source, and returns m with what moved.
func (s *Service) mergeCustomer(ctx context.Context, st app.Stores, m merging.Merge) (merging.Merge, error) {
	merchant, err := s.Directory.Merchant(ctx, m.Tenant.MerchantID)
	if err != nil {
		return m, err
	}
	source, err := mergeable(ctx, st, m)
	if err != nil {
		return m, err
	}
	if err := s.mergeWallets(ctx, st, &m); err != nil {
		return m, err
	}
	if err := s.mergePoints(ctx, st, &m); err != nil {
		return m, err
	}
	moved, err := st.Merging.Move(ctx, m.Tenant, source.ID, m.CustomerID, m.At)
	if err != nil {
		return m, err
	}
	if m.Links, err = linksNamed(ctx, st, m, moved); err != nil {
		return m, err
	}
	// What the source's LOCKED lots waited for, the customer may have done (rule 26).
	_, err = grants.Release(ctx, st, m.Tenant, merchant.Settings.ClaimGate, m.CustomerID, m.At)
	return m, err
}

// mergeable locks sessions and both customers, in the order of their ids, and
// checks that the source may be merged.
func mergeable(ctx context.Context, st app.Stores, m merging.Merge) (identity.Customer, error) {
	if err := st.Merging.HoldSessions(ctx, m.Tenant, m.SourceID); err != nil {
		return identity.Customer{}, err
	}
	locked := map[string]identity.Customer{}
	for _, id := range inOrder(m) {
		c, err := st.Identity.LockCustomer(ctx, m.Tenant, id)
		if err != nil {
			return c, err
		}
		locked[id] = c
	}
	source := locked[m.SourceID]
	if err := merging.Allow(source, locked[m.CustomerID]); err != nil {
		return source, err
	}
	blockers, err := st.Merging.Blockers(ctx, m.Tenant, source.ID, m.At)
	if err == nil {
		err = blockers.Check("source_customer_id")
	}
	if err != nil {
		return source, err
	}
	had, err := st.Merging.Merged(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return source, err
	}
	brought, err := st.Merging.Merged(ctx, m.Tenant, source.ID)
	if err == nil && had+brought+1 > merging.MaxMerged {
		err = fault.Field(fault.CodeStateConflict, "customer_id", "max_merged",
			"at most %d identities can be merged into one customer, and %d were already", merging.MaxMerged, had)
	}
	return source, err
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
	books := map[string]ledger.Book{}
	for _, id := range inOrder(*m) {
		b, err := st.Ledger.Book(ctx, m.Tenant, id)
		if err != nil {
			return err
		}
		books[id] = b
	}
	from, into := books[m.SourceID], books[m.CustomerID]
	out, in, moved, err := handover.Wallets(s.mergeHead(*m), from.Wallet, into.Wallet)
	if err != nil {
		return err
	}
	m.ActualMinor = moved
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

func (s *Service) mergePoints(ctx context.Context, st app.Stores, m *merging.Merge) error {
	accounts := map[string]ledger.PointsAccount{}
	for _, id := range inOrder(*m) {
		a, err := st.Ledger.LockPoints(ctx, m.Tenant, id)
		if err != nil {
			return err
		}
		accounts[id] = a
	}
	out, in, moved, err := handover.Points(s.mergeHead(*m), s.IDs.Make("pmv"), s.IDs.Make("pmv"), accounts[m.SourceID], accounts[m.CustomerID])
	if err != nil {
		return err
	}
	m.Points = moved
	for _, e := range in.Entries {
		m.EntryIDs = append(m.EntryIDs, e.ID)
	}
	if err := st.Ledger.ApplyPoints(ctx, out); err != nil {
		return err
	}
	return st.Ledger.ApplyPoints(ctx, in)
}

func (s *Service) mergeHead(m merging.Merge) ledger.Head {
	return ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: handover.EntryMerge, RefID: m.ID, At: m.At}
}

// linksNamed reads the links that moved, as they are at the customer who remains.
func linksNamed(ctx context.Context, st app.Stores, m merging.Merge, moved []string) ([]identity.Link, error) {
	c, err := st.Identity.Customer(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return nil, err
	}
	all, err := st.Identity.Links(ctx, m.Tenant, m.CustomerID)
	if err != nil {
		return nil, err
	}
	is := make(map[string]bool, len(moved))
	for _, id := range moved {
		is[id] = true
	}
	var links []identity.Link
	for _, l := range all {
		if is[l.ID] {
			l.Probationary = identity.Probationary(l.Type, c.State)
			links = append(links, l)
		}
	}
	return links, nil
}
