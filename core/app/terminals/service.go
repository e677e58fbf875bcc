// Package terminals is the use cases of tills as devices: register them, list
// them, and take their heartbeats, which are many and must cost next to nothing.
package terminals

import (
	"context"
	"sync"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/lru"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases. Every exported member is required. Safe for
// concurrent use.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	// Version is the build of the server: another one can do other things.
	Version string
	// Degraded names the subsystems that are out, from memory.
	Degraded func() []string

	mu sync.Mutex
	// beats are the heartbeats that Flush has not written yet, by terminal.
	beats map[string]tenancy.Heartbeat
	// revisions are those of each tenant, as they were read; nil before the first.
	revisions *lru.Cache[int32, aged]
}

// RegisterInput describes a terminal.
type RegisterInput struct {
	BranchID, Name          string
	Reference, SerialNumber string // each unique for the merchant; may be empty
	Model                   string
}

// View is a terminal with how it stands.
type View struct {
	tenancy.Terminal
	State tenancy.TerminalState
}

// Register registers a terminal at a branch in the key's scope. Errors:
// NOT_FOUND (branch), SCOPE_INSUFFICIENT, DUPLICATE_REFERENCE.
func (s *Service) Register(ctx context.Context, call *app.Call, in RegisterInput) (View, error) {
	now := s.Clock.Now()
	t := tenancy.Terminal{
		ID: s.IDs.Make(ids.Terminal), MerchantID: call.Tenant.MerchantID, BranchID: in.BranchID, Name: in.Name, Status: tenancy.TerminalActive,
		Reference: in.Reference, SerialNumber: in.SerialNumber, Model: in.Model, CreatedAt: now,
	}
	place, err := s.Directory.Place(ctx, call.Tenant.MerchantID, "", in.BranchID, "")
	if err != nil {
		return View{}, err
	}
	t.BrandID = place.BrandID
	if !call.Actor.Reach().Covers(t.Reach(call.Tenant)) {
		return View{}, fault.Field(fault.CodeScopeInsufficient, "branch_id", "within_own",
			"the branch lies outside of the brand or branch that your key is limited to; use a key that reaches it")
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (View, error) {
		return View{t, t.StateAt(now)}, st.Tenancy.AddTerminal(ctx, call.Tenant, t)
	})
}

// ListInput narrows the list; empty members do not.
type ListInput struct {
	BranchID string
	State    tenancy.TerminalState
	Limit    int // 1 to 200; 0 for 50
	Cursor   string
}

// Page is one page of terminals, latest registered first.
type Page struct {
	Terminals []View
	Next      string // empty on the last page
}

// List lists the terminals in the key's reach, each as it stands now. Errors:
// CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	const name = "terminals"
	end, err := paging.Open(name, in.Cursor)
	if err != nil {
		return Page{}, err
	}
	// What this server heard is in the list at once; the others write within seconds.
	if err := s.Flush(ctx); err != nil {
		return Page{}, err
	}
	now, size := s.Clock.Now(), paging.Size(in.Limit)
	found, err := s.UoW.Read().Tenancy.ListTerminals(ctx, call.Tenant, tenancy.TerminalFilter{
		BranchID: in.BranchID, Reach: tenancy.Place{BrandID: call.Actor.BrandID, BranchID: call.Actor.BranchID},
		State: in.State, Now: now, Before: end.At, BeforeID: end.ID, Limit: size + 1,
	})
	if err != nil {
		return Page{}, err
	}
	rows, next := paging.Cut(found, size, name, func(t tenancy.Terminal) paging.Mark { return paging.Mark{At: t.CreatedAt, ID: t.ID} })
	page := Page{Next: next}
	for _, t := range rows {
		page.Terminals = append(page.Terminals, View{t, t.StateAt(now)})
	}
	return page, nil
}

// note remembers a heartbeat until Flush writes it; a later one wins.
func (s *Service) note(terminalID string, b tenancy.Heartbeat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beats == nil {
		s.beats = map[string]tenancy.Heartbeat{}
	}
	if known, ok := s.beats[terminalID]; !ok || known.At.Before(b.At) {
		s.beats[terminalID] = b
	}
}

// Flush writes the heartbeats that were noted since the last Flush, all in one
// statement. Where that fails they are kept for the next one. Each server calls
// it every few seconds and once more when it ends.
func (s *Service) Flush(ctx context.Context) error {
	s.mu.Lock()
	beats := s.beats
	s.beats = nil
	s.mu.Unlock()
	err := s.UoW.Read().Tenancy.Seen(ctx, beats)
	if err != nil {
		for id, b := range beats {
			s.note(id, b)
		}
	}
	return err
}

// aged are revisions with when they were read.
type aged struct {
	has tillState
	at  time.Time
}
