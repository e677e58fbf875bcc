package incentives

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/offers"
)

// Undone is a redeemed offer that was given back, and what returned to its budget.
type Undone struct {
	ApplicationID string
	ReturnedMinor int64
}

// Undo gives back what a voided sale redeemed: each use is counted no longer
// and its budget gets back what it spent, less what the budget gave as credit:
// credited, by offer, is what the sale's lots were issued with, which return on
// their own as far as they are not spent. The caller holds the session's lock.
func (s *Service) Undo(ctx context.Context, st app.Stores, tx checkout.Transaction, credited map[string]int64, now time.Time) ([]Undone, error) {
	if tx.SessionID == "" || len(tx.Offers) == 0 {
		return nil, nil
	}
	apps, err := st.Offers.Applications(ctx, tx.Tenant, tx.SessionID)
	if err != nil {
		return nil, err
	}
	w := s.work(st, checkout.Session{ID: tx.SessionID, Tenant: tx.Tenant}, now)
	var undone []Undone
	for _, a := range inState(apps, offers.Redeemed) {
		if a.TransactionID != tx.ID {
			continue
		}
		def, err := st.Offers.Offer(ctx, a.Tenant, a.OfferID, a.Version)
		if err != nil {
			return nil, err
		}
		a.State, a.ReleaseReason, a.ReleasedAt = offers.Released, offers.ReasonSaleVoided, &w.now
		if err := st.Offers.SaveApplication(ctx, a, offers.Redeemed); err != nil {
			return nil, err
		}
		if err := st.Offers.GiveBack(ctx, a.Tenant, a.OfferID, def.Limits, a.CustomerID, a.Day); err != nil {
			return nil, err
		}
		back := max(a.ValueMinor-credited[a.OfferID], 0)
		w.move(a.BudgetID, "returned", back, a.ID)
		w.tell("offer.released", a)
		undone = append(undone, Undone{ApplicationID: a.ID, ReturnedMinor: back})
	}
	return undone, w.finish(ctx)
}
