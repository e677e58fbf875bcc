package checkout

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/offers"
)

// AbandonInput says why nothing was bought.
type AbandonInput struct {
	SessionID string
	Reason    string // one of the contract's; empty for other
	Note      string // in the cashier's words; kept with the session, told to nobody
}

// Abandoned is a session that ended without a purchase.
type Abandoned struct {
	View     sessions.View
	Reason   string
	Released []checkout.AppliedOffer
}

// Abandon ends a session without a purchase and gives applied offers back with
// their budget. Errors: NOT_FOUND, SESSION_ENDED; STATE_CONFLICT where the
// session holds a payment.
func (s *Service) Abandon(ctx context.Context, call *app.Call, in AbandonInput) (Abandoned, error) {
	if in.Reason == "" {
		in.Reason = "other"
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Abandoned, error) {
		c, err := lock(ctx, st, call, in.SessionID)
		if err != nil {
			return Abandoned{}, err
		}
		if c, err = c.Abandon(in.Reason, in.Note, now); err != nil {
			return Abandoned{}, err
		}
		out := Abandoned{Reason: in.Reason}
		if c, out.Released, err = s.release(ctx, st, c, offers.ReasonSessionAbandoned); err != nil {
			return out, err
		}
		if c, err = st.Checkout.Save(ctx, c); err != nil {
			return out, err
		}
		if err := s.tell(ctx, st, eventAbandoned, c, now, map[string]any{"reason": in.Reason}); err != nil {
			return out, err
		}
		out.View, err = sessions.Load(ctx, st, c)
		return out, err
	})
}

// release gives back what the session holds, and takes its discount off. Offers
// that were redeemed already stay redeemed.
func (s *Service) release(ctx context.Context, st app.Stores, c checkout.Session, reason string) (checkout.Session, []checkout.AppliedOffer, error) {
	held, err := incentives.Applied(ctx, st, c.Tenant, c.ID)
	if err != nil || len(held) == 0 {
		return c, []checkout.AppliedOffer{}, err
	}
	if err := s.Incentives.ReleaseAll(ctx, st, c, reason, s.Clock.Now()); err != nil {
		return c, nil, err
	}
	var released []offers.Application
	for _, a := range held {
		if a.State == offers.Applied {
			a.State = offers.Released
			released = append(released, a)
			c.DiscountMinor -= min(a.DiscountMinor, c.DiscountMinor)
		}
	}
	return c, sessions.Copies(released), nil
}
