package checkout

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// ListInput asks for a page of sessions; empty members do not narrow it.
type ListInput struct {
	State                            checkout.State
	BranchID, TerminalID, CustomerID string
	OpenedFrom, OpenedBefore         *time.Time
	Limit                            int // 1 to 200; 0 for 50
	Cursor                           string
}

// ListPage is a page of sessions, latest opened first.
type ListPage struct {
	Sessions []sessions.View
	Next     string // empty on the last page
}

// List lists the sessions that the caller's credential reaches.
// Errors: CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (ListPage, error) {
	const name = "sessions"
	end, err := paging.Open(name, in.Cursor)
	if err != nil {
		return ListPage{}, err
	}
	st, size := s.UoW.Read(), paging.Size(in.Limit)
	found, err := st.Checkout.Sessions(ctx, call.Tenant, checkout.SessionFilter{
		State: in.State, Now: s.Clock.Now(), BranchID: in.BranchID, TerminalID: in.TerminalID, CustomerID: in.CustomerID,
		Reach:      tenancy.Place{BrandID: call.Actor.BrandID, BranchID: call.Actor.BranchID},
		OpenedFrom: in.OpenedFrom, OpenedBefore: in.OpenedBefore, Before: end.At, BeforeID: end.ID, Limit: size + 1,
	})
	if err != nil {
		return ListPage{}, err
	}
	rows, next := paging.Cut(found, size, name, func(c checkout.Session) paging.Mark { return paging.Mark{At: c.OpenedAt, ID: c.ID} })
	page := ListPage{Next: next}
	for _, c := range rows {
		v, err := sessions.Load(ctx, st, c)
		if err != nil {
			return ListPage{}, err
		}
		page.Sessions = append(page.Sessions, v)
	}
	return page, nil
}

// OfInput asks for a page of what belongs to a session.
type OfInput struct {
	SessionID string
	Kind      string // of decision; empty for all
	Limit     int    // 1 to 200; 0 for 50
	Cursor    string
}

// RevisionPage is a page of revisions, oldest first.
type RevisionPage struct {
	Revisions []checkout.Revision
	Next      string // empty on the last page
}

// Revisions lists what each revision of a session's basket changed.
// Errors: NOT_FOUND, CURSOR_INVALID.
func (s *Service) Revisions(ctx context.Context, call *app.Call, in OfInput) (RevisionPage, error) {
	st := s.UoW.Read()
	if _, err := sessions.Read(ctx, st, call, in.SessionID); err != nil {
		return RevisionPage{}, err
	}
	name := "revisions:" + in.SessionID
	mark, err := paging.Open(name, in.Cursor)
	if err != nil {
		return RevisionPage{}, err
	}
	after, _ := strconv.ParseInt(mark.ID, 10, 64) // 0 on the first page; sealed here on the others
	size := paging.Size(in.Limit)
	baskets, err := st.Checkout.Baskets(ctx, call.Tenant, in.SessionID, after-1, size+2) // with the one before
	if err != nil {
		return RevisionPage{}, err
	}
	var before checkout.Basket
	if len(baskets) > 0 && baskets[0].Revision == after {
		before, baskets = baskets[0], baskets[1:]
	}
	revisions := make([]checkout.Revision, len(baskets))
	for i, b := range baskets {
		revisions[i] = b.Since(before)
		before = b
	}
	var page RevisionPage
	page.Revisions, page.Next = paging.Cut(revisions, size, name, func(r checkout.Revision) paging.Mark {
		return paging.Mark{At: r.CreatedAt, ID: strconv.FormatInt(r.Revision, 10)}
	})
	return page, nil
}

// Taken is a decision with the credit it gave, if any.
type Taken struct {
	Decision decision.Decision
	Currency string
	Grant    *ledger.Grant
}

// DecisionPage is a page of decisions, oldest first.
type DecisionPage struct {
	Decisions []Taken
	Next      string // empty on the last page
}

// Decisions lists what was decided in a session, and why. A session has few:
// they are read whole and cut here. Errors: NOT_FOUND, CURSOR_INVALID.
func (s *Service) Decisions(ctx context.Context, call *app.Call, in OfInput) (DecisionPage, error) {
	st := s.UoW.Read()
	session, err := sessions.Read(ctx, st, call, in.SessionID)
	if err != nil {
		return DecisionPage{}, err
	}
	name := "decisions:" + in.SessionID + ":" + in.Kind
	mark, err := paging.Open(name, in.Cursor)
	if err != nil {
		return DecisionPage{}, err
	}
	all, err := st.Decisions.BySession(ctx, call.Tenant, in.SessionID)
	if err != nil {
		return DecisionPage{}, err
	}
	all = slices.DeleteFunc(all, func(d decision.Decision) bool { return in.Kind != "" && d.Kind != in.Kind || d.ID <= mark.ID })
	rows, next := paging.Cut(all, paging.Size(in.Limit), name, func(d decision.Decision) paging.Mark { return paging.Mark{At: d.At, ID: d.ID} })
	page := DecisionPage{Next: next}
	for _, d := range rows {
		taken := Taken{Decision: d, Currency: session.Currency}
		if d.GrantID != "" {
			g, err := st.Ledger.Grant(ctx, call.Tenant, d.GrantID)
			if err != nil {
				return DecisionPage{}, err
			}
			taken.Grant = &g
		}
		page.Decisions = append(page.Decisions, taken)
	}
	return page, nil
}
