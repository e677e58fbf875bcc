package settlements

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/settlement"
)

// BatchesInput narrows a list; empty members do not.
type BatchesInput struct {
	State                     settlement.BatchState
	BrandID                   string
	PeriodAfter, PeriodBefore *time.Time
	Limit                     int // 1 to 200; 0 for 50
	Cursor                    string
}

// BatchesPage is a page of batches, latest period first.
type BatchesPage struct {
	Batches []settlement.Batch
	Next    string // empty on the last page
}

const (
	batchesList = "settlements"
	linesList   = "settlement_lines"
)

// brandOnly is the brand that a credential may see batches of; empty for all.
// Errors: SCOPE_INSUFFICIENT for a credential of one branch.
func brandOnly(call *app.Call) (string, error) {
	if call.Actor.BranchID != "" {
		return "", fault.New(fault.CodeScopeInsufficient, "a batch is of a whole brand; use an API key of the brand or the merchant")
	}
	return call.Actor.BrandID, nil
}

// Batches lists settlement batches. Errors: SCOPE_INSUFFICIENT, CURSOR_INVALID.
func (s *Service) Batches(ctx context.Context, call *app.Call, in BatchesInput) (BatchesPage, error) {
	own, err := brandOnly(call)
	if err != nil {
		return BatchesPage{}, err
	}
	after, err := paging.Open(batchesList, in.Cursor)
	if err != nil {
		return BatchesPage{}, err
	}
	if own != "" {
		if in.BrandID != "" && in.BrandID != own {
			return BatchesPage{}, nil
		}
		in.BrandID = own
	}
	size := paging.Size(in.Limit)
	rows, err := s.UoW.Read().Settlement.ListBatches(ctx, call.Tenant, settlement.BatchFilter{
		State: in.State, BrandID: in.BrandID, EndsAfter: in.PeriodAfter, StartsTill: in.PeriodBefore,
		After: settlement.Mark(after), Limit: size + 1,
	})
	if err != nil {
		return BatchesPage{}, err
	}
	var p BatchesPage
	p.Batches, p.Next = paging.Cut(rows, size, batchesList, func(b settlement.Batch) paging.Mark {
		return paging.Mark{At: b.PeriodEnd, ID: b.ID}
	})
	return p, nil
}

// BatchInput names a batch and a page of its lines.
type BatchInput struct {
	ID     string
	Limit  int // 1 to 200; 0 for 50
	Cursor string
}

// BatchView is a batch with a page of its lines, oldest first.
type BatchView struct {
	Batch settlement.Batch
	Lines []settlement.Line
	Next  string // empty on the last page
}

// Batch reads one batch. Errors: SCOPE_INSUFFICIENT, CURSOR_INVALID, NOT_FOUND.
func (s *Service) Batch(ctx context.Context, call *app.Call, in BatchInput) (BatchView, error) {
	own, err := brandOnly(call)
	if err != nil {
		return BatchView{}, err
	}
	var after paging.Mark // before the oldest line
	if in.Cursor != "" {
		if after, err = paging.Open(linesList+in.ID, in.Cursor); err != nil {
			return BatchView{}, err
		}
	}
	store := s.UoW.Read().Settlement
	b, err := store.Batch(ctx, call.Tenant, in.ID)
	switch {
	case err != nil:
		return BatchView{}, err
	case own != "" && b.BrandID != own:
		return BatchView{}, fault.NotFound("settlement")
	}
	size := paging.Size(in.Limit)
	rows, err := store.BatchLines(ctx, call.Tenant, in.ID, settlement.Mark(after), size+1)
	if err != nil {
		return BatchView{}, err
	}
	v := BatchView{Batch: b}
	v.Lines, v.Next = paging.Cut(rows, size, linesList+in.ID, func(l settlement.Line) paging.Mark {
		return paging.Mark{At: l.At, ID: l.Key()}
	})
	return v, nil
}
