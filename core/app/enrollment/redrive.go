package enrollment

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// RedriveInput names the customer whose LOCKED grants are judged again.
type RedriveInput struct {
	CustomerID string
	GrantIDs   []string // only these; empty for all that are LOCKED
}

// Redriven is the run with what it released and what stays LOCKED.
type Redriven struct {
	Claim    identity.Claim
	Customer identity.Customer
	Gate     tenancy.ClaimGate
	Released []ledger.Grant
	Locked   []StillLocked
}

// StillLocked is a grant that stays LOCKED, and why.
type StillLocked struct {
	Grant  ledger.Grant
	Reason identity.LockReason
}

// Redrive judges a customer's LOCKED grants again and releases those whose
// conditions hold. The conditions are those of rule 26 and don't change here
// (rule 34), so that a second run releases nothing more. The run is recorded.
// Errors: NOT_FOUND (customer, grant).
func (s *Service) Redrive(ctx context.Context, call *app.Call, in RedriveInput) (Redriven, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Redriven{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Redriven, error) {
		return s.redrive(ctx, st, call.Tenant, m.Settings.ClaimGate, in, now)
	})
}

func (s *Service) redrive(ctx context.Context, st app.Stores, t tenancy.Tenant, gate tenancy.ClaimGate, in RedriveInput, now time.Time) (Redriven, error) {
	out := Redriven{Gate: gate}
	var err error
	if out.Customer, err = st.Identity.Customer(ctx, t, in.CustomerID); err != nil {
		return out, err
	}
	if err := theirs(ctx, st, t, in); err != nil {
		return out, err
	}
	book, err := st.Ledger.Book(ctx, t, in.CustomerID)
	if err != nil {
		return out, err
	}
	locked := slices.DeleteFunc(book.Lots, func(g ledger.Grant) bool {
		return g.State != ledger.Locked || g.Lapsed(now) || len(in.GrantIDs) > 0 && !slices.Contains(in.GrantIDs, g.ID)
	})
	c := ledger.Begin(book.Wallet)
	if err := grants.Unlock(c, locked, gate, book.Verified, now); err != nil {
		return out, err
	}
	out.Released = c.Grants
	if err := s.write(ctx, st, c, now); err != nil {
		return out, err
	}
	out.Claim = s.claim(&out, locked, t, now)
	return out, st.Identity.AddClaim(ctx, out.Claim)
}

// theirs checks that the grants named are the customer's.
func theirs(ctx context.Context, st app.Stores, t tenancy.Tenant, in RedriveInput) error {
	for _, id := range in.GrantIDs {
		g, err := st.Ledger.Grant(ctx, t, id)
		if err != nil {
			return err
		}
		if g.CustomerID != in.CustomerID {
			return fault.NotFound("grant")
		}
	}
	return nil
}

// write applies a change of released lots and tells about each.
func (s *Service) write(ctx context.Context, st app.Stores, c *ledger.Change, now time.Time) error {
	if len(c.Grants) == 0 {
		return nil
	}
	if _, err := st.Ledger.Apply(ctx, c); err != nil {
		return err
	}
	events := make([]event.Event, len(c.Grants))
	for i, g := range c.Grants {
		events[i] = g.Event(s.IDs.Make(ids.Event), now, 0)
	}
	return st.Events.Append(ctx, events...)
}

// claim is the record of the run; it also notes what stays LOCKED.
func (s *Service) claim(out *Redriven, judged []ledger.Grant, t tenancy.Tenant, now time.Time) identity.Claim {
	claim := identity.Claim{ID: s.IDs.Make(ids.Claim), Tenant: t, CustomerID: out.Customer.ID, CreatedAt: now}
	for _, g := range out.Released {
		claim.Released = append(claim.Released, g.ID)
	}
	for _, g := range judged {
		if slices.Contains(claim.Released, g.ID) {
			continue
		}
		reason := out.Customer.StaysLocked()
		out.Locked = append(out.Locked, StillLocked{g, reason})
		claim.Locked = append(claim.Locked, identity.LockedGrant{GrantID: g.ID, Reason: reason})
	}
	return claim
}
