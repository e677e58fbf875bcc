package settlements

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/settlement"
)

// Reported is a report that was taken, with the result of every line.
type Reported struct {
	Report settlement.Report
	Fits   []settlement.Fit
}

// Report takes in a provider's settlement report and marks what it settles.
// Errors: SCOPE_INSUFFICIENT, UNSUPPORTED_CURRENCY, DUPLICATE_REFERENCE.
func (s *Service) Report(ctx context.Context, call *app.Call, r settlement.Report) (Reported, error) {
	if err := wholeMerchant(call); err != nil {
		return Reported{}, err
	}
	if err := s.currencyEnabled(ctx, call.Tenant, r.Currency); err != nil {
		return Reported{}, err
	}
	r.ID, r.Tenant, r.CreatedAt = s.IDs.Make(ids.Report), call.Tenant, s.Clock.Now()
	references := make([]string, 0, len(r.Lines))
	for _, l := range r.Lines {
		references = append(references, l.Reference)
	}
	return app.Mutate(ctx, s.UoW, r.CreatedAt, call, func(ctx context.Context, st app.Stores) (Reported, error) {
		found, err := st.Settlement.LockReferences(ctx, r.Tenant, r.Provider, r.Currency, references)
		if err != nil {
			return Reported{}, err
		}
		fits := r.Fits(byKey(found, func(d settlement.Deposit) string { return d.Reference }))
		// The report first: one whose reference was taken must stop all else.
		if err := st.Settlement.InsertReport(ctx, r, fits); err != nil {
			return Reported{}, err
		}
		return Reported{r, fits}, s.mark(ctx, st, r, fits)
	})
}

// mark writes what the lines changed, and tells of what was settled.
func (s *Service) mark(ctx context.Context, st app.Stores, r settlement.Report, fits []settlement.Fit) error {
	var changed []settlement.Deposit
	var events []event.Event
	for _, f := range fits {
		if !f.Changed() {
			continue
		}
		changed = append(changed, *f.Deposit)
		if f.Result == settlement.Matched && f.Deposit.State == ledger.TopupCompleted {
			events = append(events, f.Deposit.SettledEvent(s.IDs.Make(ids.Event), r.CreatedAt))
		}
	}
	if err := st.Settlement.MarkDeposits(ctx, r.Tenant, changed, r.CreatedAt); err != nil {
		return err
	}
	return st.Events.Append(ctx, events...)
}
