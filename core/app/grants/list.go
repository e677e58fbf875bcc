package grants

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/ledger"
)

// ListInput asks for one page of a customer's grants.
type ListInput struct {
	CustomerID string
	State      ledger.GrantState // empty for all
	Source     ledger.Source     // empty for all
	After      string            // last grant of the page before; empty for the first page
	Limit      int               // 1 to 200
}

// Page is one page of grants, latest first.
type Page struct {
	Grants []ledger.Grant
	// Next is the last grant's id where more follow, else empty.
	Next string
}

// List reads a page of a customer's grants. Errors: NOT_FOUND.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	store := s.UoW.Read().Ledger
	// A customer without grants is told from one that does not exist.
	if _, err := store.Balance(ctx, call.Tenant, in.CustomerID); err != nil {
		return Page{}, err
	}
	list, err := store.GrantsOf(ctx, call.Tenant, in.CustomerID, ledger.GrantFilter{
		State: in.State, Source: in.Source, After: in.After, Limit: in.Limit + 1,
	})
	if err != nil {
		return Page{}, err
	}
	p := Page{Grants: list}
	if len(list) > in.Limit {
		p.Grants = list[:in.Limit]
		p.Next = p.Grants[in.Limit-1].ID
	}
	return p, nil
}
