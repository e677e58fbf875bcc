package checkout

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// ReviseInput is the whole next basket.
type ReviseInput struct {
	SessionID string
	// Expected is the revision that it follows, 0 for the first.
	Expected int64
	Draft    checkout.Draft
}

// Revised is a session with its new basket.
type Revised struct {
	View sessions.View
	// Released are the offers that no longer fit.
	Released []checkout.AppliedOffer
}

// ReviseBasket puts the next basket revision. Applied offers are judged anew;
// those that no longer fit are released with their budget.
// Errors: NOT_FOUND, SESSION_ENDED; REVISION_CONFLICT where Expected is not the
// current revision, which the details name; VALIDATION_FAILED and
// AMOUNT_OUT_OF_RANGE of the arithmetic; STATE_CONFLICT where more is paid
// already than the basket would cost.
func (s *Service) ReviseBasket(ctx context.Context, call *app.Call, in ReviseInput) (Revised, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Revised, error) {
		c, err := lock(ctx, st, call, in.SessionID)
		if err != nil {
			return Revised{}, err
		}
		if err := c.Live(now); err != nil {
			return Revised{}, err
		}
		if err := c.Expect(in.Expected); err != nil {
			return Revised{}, err
		}
		b, err := in.Draft.Price(c, now)
		if err != nil {
			return Revised{}, err
		}
		return s.put(ctx, st, c, b, now)
	})
}

func (s *Service) put(ctx context.Context, st app.Stores, c checkout.Session, b checkout.Basket, now time.Time) (Revised, error) {
	if err := st.Checkout.AddBasket(ctx, c.Tenant, b); err != nil {
		return Revised{}, err
	}
	discount, released, err := s.Incentives.Recheck(ctx, st, c, b, now)
	if err != nil {
		return Revised{}, err
	}
	if c, err = c.Put(b, discount); err != nil {
		return Revised{}, err
	}
	if c, err = st.Checkout.Save(ctx, c); err != nil {
		return Revised{}, err
	}
	out := Revised{Released: sessions.Copies(released)}
	if err := s.tell(ctx, st, eventRevised, c, now, map[string]any{"released_offer_ids": offerIDs(released)}); err != nil {
		return out, err
	}
	out.View, err = sessions.Load(ctx, st, c)
	return out, err
}

// recheck judges applied offers anew on the basket as it is.
func (s *Service) recheck(ctx context.Context, st app.Stores, c checkout.Session, now time.Time) (checkout.Session, []offers.Application, error) {
	b := checkout.Basket{SessionID: c.ID, Currency: c.Currency}
	if c.BasketRevision > 0 {
		var err error
		if b, err = st.Checkout.Basket(ctx, c.Tenant, c.ID, c.BasketRevision); err != nil {
			return c, nil, err
		}
	}
	discount, released, err := s.Incentives.Recheck(ctx, st, c, b, now)
	if err != nil {
		return c, nil, err
	}
	c, err = c.Discount(discount)
	return c, released, err
}

func offerIDs(apps []offers.Application) []string {
	out := make([]string, 0, len(apps))
	for _, a := range apps {
		out = append(out, a.OfferID)
	}
	return out
}

// BasketInput names a basket; Revision 0 is the latest.
type BasketInput struct {
	SessionID string
	Revision  int64
}

// GetBasket reads a basket; nil before the first revision.
// Errors: NOT_FOUND (the session, or a revision that it never had).
func (s *Service) GetBasket(ctx context.Context, call *app.Call, in BasketInput) (*checkout.Basket, error) {
	st := s.UoW.Read()
	c, err := sessions.Read(ctx, st, call, in.SessionID)
	if err != nil {
		return nil, err
	}
	b, err := st.Checkout.Basket(ctx, call.Tenant, c.ID, in.Revision)
	if in.Revision == 0 && fault.Is(err, fault.CodeNotFound) {
		return nil, nil
	}
	return &b, err
}
