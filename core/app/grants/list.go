package grants

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
)

// ListInput asks for one page of a customer's grants.
type ListInput struct {
	CustomerID string
	State      ledger.GrantState // empty for all
	Source     ledger.Source     // empty for all
	Cursor     string            // Page.Next of the page before; empty for the first page
	Limit      int               // 1 to 200; 0 means 50
}

// Page is one page of grants, latest first.
type Page struct {
	Grants []ledger.Grant
	// Next is where the next page begins; empty on the last page.
	Next string
}

// List reads a page of a customer's grants. Errors: NOT_FOUND, CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	after, err := grantOf(in.Cursor)
	if err != nil {
		return Page{}, err
	}
	if in.Limit == 0 {
		in.Limit = defaultLimit
	}
	store := s.UoW.Read().Ledger
	// A customer without grants is told from one that does not exist.
	if _, err := store.Balance(ctx, call.Tenant, in.CustomerID); err != nil {
		return Page{}, err
	}
	list, err := store.GrantsOf(ctx, call.Tenant, in.CustomerID, ledger.GrantFilter{
		State: in.State, Source: in.Source, After: after, Limit: in.Limit + 1,
	})
	if err != nil {
		return Page{}, err
	}
	p := Page{Grants: list}
	if len(list) > in.Limit {
		p.Grants = list[:in.Limit]
		p.Next = cursorOf(p.Grants[in.Limit-1].ID)
	}
	return p, nil
}

const defaultLimit = 50

// cursorOf is the cursor behind a grant: ids are ordered by time, so a grant's
// place in the list never moves.
func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

func grantOf(cursor string) (string, error) {
	id, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || cursor != "" && !strings.HasPrefix(string(id), ids.Grant+"_") {
		return "", fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here",
			"the cursor was not issued for this list; leave it out to begin with the first page")
	}
	return string(id), nil
}
