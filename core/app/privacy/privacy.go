// Package privacy serves what people may ask for by right: an archive of all
// that is held on them, and to be erased. Asking queues a request; a worker
// that several servers share does it.
package privacy

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of the privacy area.
type Service struct {
	UoW   app.UnitOfWork
	Clock clock.Clock
	IDs   *ids.Source
	// Sealer encrypts archives at rest.
	Sealer privacy.Sealer
	// LinkKey signs where an archive can be fetched; 32 bytes that the database
	// never sees.
	LinkKey []byte
	// PublicURL is how the server is reached from outside, without a slash at
	// the end.
	PublicURL func() string
}

// View is a request with where its archive can be fetched; empty while there
// is nothing to fetch.
type View struct {
	privacy.Request
	DownloadURL string
}

// view shows a request at now.
func (s *Service) view(r privacy.Request, now time.Time) View {
	v := View{Request: r}
	if r.Fetchable(now) {
		v.DownloadURL = s.PublicURL() + "/exports/" + r.ID + "?token=" + s.token(r.ID)
	}
	return v
}

// Input names a person, and why.
type Input struct {
	CustomerID string
	Reason     string
	// Forfeit agrees that what the wallet holds goes to breakage; of an erasure.
	Forfeit bool
}

// RequestExport queues an export. A disabled customer has a right to one, too.
// Errors: NOT_FOUND; STATE_CONFLICT where one is under way.
func (s *Service) RequestExport(ctx context.Context, call *app.Call, in Input) (View, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (View, error) {
		c, err := person(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return View{}, err
		}
		if c, err = st.Identity.LockCustomer(ctx, call.Tenant, c.ID); err != nil {
			return View{}, err
		}
		open, err := st.Privacy.OpenRequest(ctx, call.Tenant, c.ID, privacy.Export)
		if err != nil {
			return View{}, err
		}
		if open != "" {
			return View{}, fault.Field(fault.CodeStateConflict, "customer_id", "one_at_a_time",
				"the export %s is under way; read it (GET /customers/gdpr/requests/%s)", open, open)
		}
		r := s.request(call.Tenant, c.ID, privacy.Export, in.Reason, now)
		return s.view(r, now), st.Privacy.AddRequest(ctx, r)
	})
}

func (s *Service) request(t tenancy.Tenant, customerID string, k privacy.Kind, reason string, now time.Time) privacy.Request {
	return privacy.Request{
		ID: s.IDs.Make(ids.GDPR), Tenant: t, CustomerID: customerID, Kind: k, State: privacy.Pending, Reason: reason, DueAt: &now, RequestedAt: now,
	}
}

// person reads whom a request is about: one who may be served or is disabled; of
// an identity that was merged, the one who remains. Errors: NOT_FOUND.
func person(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (identity.Customer, error) {
	c, err := identities.Served(ctx, st, t, id)
	if err != nil && c.Status == identity.Disabled {
		return c, nil
	}
	return c, err
}

// Get reads a request. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (View, error) {
	r, err := s.UoW.Read().Privacy.Request(ctx, call.Tenant, id)
	if err != nil {
		return View{}, err
	}
	now := s.Clock.Now()
	if r.Kind == privacy.Export && r.State == privacy.Completed && !r.Fetchable(now) {
		r.State = privacy.Expired // before the sweep says so
	}
	return s.view(r, now), nil
}

// Work is one round of the worker: it does requests that are due, up to limit,
// one by one, and returns how many. One that fails is due again when its lease
// ends; an export that keeps failing ends as failed.
func (s *Service) Work(ctx context.Context, limit int) (int, error) {
	for n := range limit {
		r, err := s.UoW.Read().Privacy.ClaimRequest(ctx, s.Clock.Now())
		if err != nil || r == nil {
			return n, err
		}
		if err := s.do(ctx, *r); err != nil {
			return n, errors.Join(err, s.fail(context.WithoutCancel(ctx), *r))
		}
	}
	return limit, nil
}

func (s *Service) do(ctx context.Context, r privacy.Request) error {
	if r.Kind == privacy.Export {
		return s.export(ctx, r)
	}
	return s.erase(ctx, r)
}

// fail gives an export up that was tried too often. An erasure is never given up.
func (s *Service) fail(ctx context.Context, r privacy.Request) error {
	if r.Kind != privacy.Export || r.Attempts < privacy.MaxAttempts {
		return nil
	}
	store := s.UoW.Read().Privacy
	_, err := store.SaveRequest(ctx, r.End(privacy.Failed, s.Clock.Now()))
	return errors.Join(err, store.DropArchive(ctx, r.Tenant, r.ID))
}

// Sweep deletes up to limit archives whose time is over.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	return s.UoW.Read().Privacy.ExpireArchives(ctx, s.Clock.Now(), limit)
}
