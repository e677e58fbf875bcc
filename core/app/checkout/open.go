package checkout

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// What became of a credential.
const (
	StatusIdentified = "identified"
	StatusNotFound   = "not_found"
)

// OpenInput opens a session; a first credential and a first basket may come along.
type OpenInput struct {
	Currency   string
	Channel    string // empty for in_store
	Credential *identity.Credential
	Basket     *checkout.Draft
}

// Identified is a session after a credential was tried on it.
type Identified struct {
	View sessions.View
	// Status is StatusIdentified or StatusNotFound; empty where no credential came.
	Status string
	// Customer is nil unless identified.
	Customer *identities.CustomerContext
}

// known reports whether the credential led to a customer.
func (i Identified) known() bool { return i.Customer != nil }

// Open opens the spine of one interaction. A credential that leads to nobody
// leaves the session anonymous.
// Errors: UNSUPPORTED_CURRENCY, and those of Identify and ReviseBasket.
func (s *Service) Open(ctx context.Context, call *app.Call, in OpenInput) (Identified, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Identified{}, err
	}
	if !slices.Contains(m.Settings.Currencies, in.Currency) {
		return Identified{}, fault.Field(fault.CodeUnsupportedCurrency, "currency", "enabled",
			"%s is not enabled for this merchant; GET /capabilities lists the currencies that are", in.Currency)
	}
	now := s.Clock.Now()
	if in.Credential == nil {
		return s.open(ctx, call, in, m.Settings, now)
	}
	return identities.Guarded(&s.Identities.Guesses, call, *in.Credential, now, Identified.known, func() (Identified, error) {
		return s.open(ctx, call, in, m.Settings, now)
	})
}

func (s *Service) open(ctx context.Context, call *app.Call, in OpenInput, settings tenancy.Settings, now time.Time) (Identified, error) {
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (out Identified, err error) {
		c := s.fresh(call, in, settings, now)
		var r identity.Resolution
		if in.Credential != nil {
			if r, err = s.Identities.Resolve(ctx, st, call.Tenant, *in.Credential, now); err != nil {
				return Identified{}, err
			}
			if c, err = attach(c, r, false, now); err != nil {
				return Identified{}, err
			}
		}
		c, basket, err := first(c, in.Basket, now)
		if err != nil {
			return Identified{}, err
		}
		if err := s.write(ctx, st, c, basket, r, now); err != nil {
			return Identified{}, err
		}
		return s.identified(ctx, st, c, in.Credential != nil, r, now)
	})
}

// fresh is a new, empty session.
func (s *Service) fresh(call *app.Call, in OpenInput, set tenancy.Settings, now time.Time) checkout.Session {
	ttl := time.Duration(set.SessionTTLMinutes) * time.Minute
	if ttl <= 0 {
		ttl = checkout.DefaultTTL
	}
	channel := in.Channel
	if channel == "" {
		channel = checkout.DefaultChannel
	}
	return checkout.Session{
		ID: s.IDs.Make(ids.Session), Tenant: call.Tenant, Version: 1, State: checkout.Open, Currency: in.Currency,
		Origin: checkout.OriginPOS, Channel: channel, CashierID: call.CashierID, Locale: call.Locale,
		Place:    tenancy.Place{BrandID: call.BrandID, BranchID: call.BranchID, TerminalID: call.TerminalID},
		OpenedAt: now, ExpiresAt: now.Add(ttl),
	}
}

// first puts the basket that came along, if one did.
func first(c checkout.Session, d *checkout.Draft, now time.Time) (checkout.Session, *checkout.Basket, error) {
	if d == nil {
		return c, nil, nil
	}
	b, err := d.Price(c, now)
	if err != nil {
		return c, nil, below("basket", err)
	}
	c, err = c.Put(b, 0)
	return c, &b, err
}

// below puts the fields that a fault names below a parent.
func below(parent string, err error) error {
	e := *fault.As(err)
	e.Details = slices.Clone(e.Details)
	for i := range e.Details {
		e.Details[i].Field = parent + "." + e.Details[i].Field
	}
	return &e
}

// write stores a new session with what came along, and tells of each.
func (s *Service) write(ctx context.Context, st app.Stores, c checkout.Session, basket *checkout.Basket, r identity.Resolution, now time.Time) error {
	if err := st.Checkout.Insert(ctx, c); err != nil {
		return err
	}
	if err := s.tell(ctx, st, eventOpened, c, now, nil); err != nil {
		return err
	}
	if r.Customer != nil {
		if err := identities.Bind(ctx, st, c.Tenant, r, c.ID, now); err != nil {
			return err
		}
		if err := s.tellIdentity(ctx, st, c, now); err != nil {
			return err
		}
	}
	if basket == nil {
		return nil
	}
	if err := st.Checkout.AddBasket(ctx, c.Tenant, *basket); err != nil {
		return err
	}
	return s.tell(ctx, st, eventRevised, c, now, nil)
}
