// Package sessions is a session as callers see it: with its basket, whose it
// is, and the offers in force. Checkout and incentives both answer with it.
package sessions

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// View is a session with what belongs to it.
type View struct {
	Session checkout.Session
	// Basket is the latest revision; nil before the first.
	Basket *checkout.Basket
	// CustomerState is PENDING_PROOF or VERIFIED; empty while the session is anonymous.
	CustomerState string
	// Offers are those in force, in the order in which they were applied.
	Offers []checkout.AppliedOffer
}

// Read reads a session that the caller may see. Errors: NOT_FOUND.
func Read(ctx context.Context, st app.Stores, call *app.Call, id string) (checkout.Session, error) {
	s, err := st.Checkout.Session(ctx, call.Tenant, id)
	return s, Visible(call, s, err)
}

// Visible is err, or NOT_FOUND where s lies outside of what the caller reaches.
func Visible(call *app.Call, s checkout.Session, err error) error {
	if err == nil && !checkout.Within(call.Actor, s.Place) {
		return fault.NotFound("session")
	}
	return err
}

// Load reads what belongs to a session.
func Load(ctx context.Context, st app.Stores, s checkout.Session) (View, error) {
	v := View{Session: s}
	if s.BasketRevision > 0 {
		b, err := st.Checkout.Basket(ctx, s.Tenant, s.ID, s.BasketRevision)
		if err != nil {
			return v, err
		}
		v.Basket = &b
	}
	if s.CustomerID != "" {
		c, err := st.Identity.Customer(ctx, s.Tenant, s.CustomerID)
		if err != nil {
			return v, err
		}
		v.CustomerState = string(c.State)
	}
	apps, err := incentives.Applied(ctx, st, s.Tenant, s.ID)
	v.Offers = Copies(apps)
	return v, err
}

// Copies are applications as a session shows them and a transaction keeps them.
func Copies(apps []offers.Application) []checkout.AppliedOffer {
	out := make([]checkout.AppliedOffer, 0, len(apps))
	for _, a := range apps {
		o := checkout.AppliedOffer{
			ApplicationID: a.ID, OfferID: a.OfferID, OfferVersion: a.Version, Kind: string(a.Kind), Title: a.Title,
			State: string(a.State), DiscountMinor: a.DiscountMinor, TraceID: a.TraceID, AppliedAt: a.AppliedAt,
		}
		for _, share := range a.Lines {
			o.Lines = append(o.Lines, checkout.OfferShare{LineID: share.LineID, DiscountMinor: share.DiscountMinor})
		}
		out = append(out, o)
	}
	return out
}
