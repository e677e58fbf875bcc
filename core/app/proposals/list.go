package proposals

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// ListInput selects proposals; empty members do not narrow.
type ListInput struct {
	State                 offers.ProposalState
	CustomerID, SessionID string
	Limit                 int // 1 to 200; 0 means 50
	Cursor                string
}

// Page is one page of proposals, latest first.
type Page struct {
	Proposals []offers.Proposal
	Next      string    // empty on the last page
	At        time.Time // what the states are judged at
}

// listName marks the cursors of this list.
const listName = "proposals"

// List reads a page of proposals. Errors: CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	p := Page{At: s.Clock.Now()}
	f := offers.ProposalFilter{
		State: in.State, CustomerID: in.CustomerID, SessionID: in.SessionID, Limit: paging.Size(in.Limit) + 1, Now: p.At,
		Reach: tenancy.Place{BrandID: call.Actor.BrandID, BranchID: call.Actor.BranchID},
	}
	if in.Cursor != "" {
		end, err := paging.Open(listName, in.Cursor)
		if err != nil {
			return Page{}, err
		}
		f.Before = end.ID
	}
	found, err := s.UoW.Read().Offers.ListProposals(ctx, call.Tenant, f)
	p.Proposals, p.Next = paging.Cut(found, f.Limit-1, listName, func(p offers.Proposal) paging.Mark {
		return paging.Mark{At: p.CreatedAt, ID: p.ID}
	})
	return p, err
}
