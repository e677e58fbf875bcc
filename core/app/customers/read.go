package customers

import (
	"context"
	"slices"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// Get reads one customer. One that is disabled, merged or erased reads as not
// found (rule 10). Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, customerID string) (identities.CustomerContext, error) {
	return s.Identities.ContextOf(ctx, s.UoW.Read(), call.Tenant, customerID, s.Clock.Now())
}

// held reads a customer who may be served, held until the transaction ends.
// Errors: NOT_FOUND, which says where a merged one went.
func held(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (identity.Customer, error) {
	c, err := st.Identity.LockCustomer(ctx, t, id)
	if err == nil {
		err = c.Usable()
	}
	return c, err
}

// ListInput asks for a page of something of a customer's.
type ListInput struct {
	CustomerID string
	Only       string // a type or purpose; empty for all
	Limit      int    // 1 to 200; 0 for 50
	Cursor     string
}

// Page is a page of a customer's rows, latest first.
type Page[T any] struct {
	Rows []T
	Next string // empty on the last page
}

// list reads a page of rows of a customer who may be served, by whose id read
// is called: that of the one who remains where in names a merged one.
func list[T any](
	ctx context.Context, s *Service, call *app.Call, name string, in ListInput,
	read func(st app.Stores, id string, end paging.Mark, limit int) ([]T, error), mark func(T) paging.Mark,
) (Page[T], error) {
	name += ":" + in.CustomerID
	end, err := paging.Open(name, in.Cursor)
	if err != nil {
		return Page[T]{}, err
	}
	st := s.UoW.Read()
	c, err := identities.Served(ctx, st, call.Tenant, in.CustomerID)
	if err != nil {
		return Page[T]{}, err
	}
	size := paging.Size(in.Limit)
	rows, err := read(st, c.ID, end, size+1)
	if err != nil {
		return Page[T]{}, err
	}
	var p Page[T]
	p.Rows, p.Next = paging.Cut(rows, size, name, mark)
	return p, nil
}

// Activity lists what happened between a customer and the merchant, latest
// first: sales, top-ups, grants, enrolments and consents. Errors: NOT_FOUND,
// CURSOR_INVALID.
func (s *Service) Activity(ctx context.Context, call *app.Call, in ListInput) (Page[identity.Activity], error) {
	return list(ctx, s, call, "activity", in, func(st app.Stores, id string, end paging.Mark, limit int) ([]identity.Activity, error) {
		return st.Identity.Activity(ctx, call.Tenant, identity.ActivityFilter{
			CustomerID: id, Type: in.Only, Before: end.At, BeforeID: end.ID, Limit: limit,
		})
	}, func(a identity.Activity) paging.Mark { return paging.Mark{At: a.At, ID: a.ReferenceID} })
}

// CredentialsInput asks for a page of links.
type CredentialsInput struct {
	ListInput
	IncludeUnlinked bool
}

// Credentials lists how a customer is recognised, latest first, the phone
// among it. A customer has few links: they are read whole and cut here.
// Errors: NOT_FOUND, CURSOR_INVALID.
func (s *Service) Credentials(ctx context.Context, call *app.Call, in CredentialsInput) (Page[identity.Link], error) {
	mark := func(l identity.Link) paging.Mark { return paging.Mark{At: l.LinkedAt, ID: l.ID} }
	return list(ctx, s, call, "credentials", in.ListInput, func(st app.Stores, id string, end paging.Mark, limit int) ([]identity.Link, error) {
		links, err := linksOf(ctx, st, call.Tenant, id, in.IncludeUnlinked)
		if err != nil {
			return nil, err
		}
		links = slices.DeleteFunc(links, func(l identity.Link) bool { return !mark(l).After(end) })
		slices.SortFunc(links, func(a, b identity.Link) int {
			if mark(a).After(mark(b)) {
				return 1
			}
			return -1
		})
		return links[:min(len(links), limit)], nil
	}, mark)
}

func linksOf(ctx context.Context, st app.Stores, t tenancy.Tenant, id string, ever bool) ([]identity.Link, error) {
	c, err := st.Identity.Customer(ctx, t, id)
	if err != nil {
		return nil, err
	}
	read := st.Identity.Links
	if ever {
		read = st.Identity.LinksEver
	}
	links, err := read(ctx, t, id)
	for i := range links {
		links[i].Probationary = identity.Probationary(links[i].Type, c.State)
	}
	return append(links, c.PhoneLink()), err
}
