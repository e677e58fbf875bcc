package customers

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
)

// ConsentInput is one act of agreeing or withdrawing.
type ConsentInput struct {
	CustomerID string
	Purpose    identity.Purpose
	Channel    string // empty for every channel
	State      identity.ConsentState
	Version    string
	Evidence   json.RawMessage // a JSON object
	OccurredAt *time.Time      // nil for now
}

// RecordConsent records an act; the latest of a purpose and channel holds.
// Errors: NOT_FOUND, VALIDATION_FAILED (a time to come).
func (s *Service) RecordConsent(ctx context.Context, call *app.Call, in ConsentInput) (identity.Consent, error) {
	now := s.Clock.Now()
	at, err := identity.Happened(in.OccurredAt, now)
	if err != nil {
		return identity.Consent{}, err
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identity.Consent, error) {
		c, err := held(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return identity.Consent{}, err
		}
		out := identity.Consent{
			ID: s.IDs.Make(ids.Consent), Tenant: call.Tenant, CustomerID: c.ID, Purpose: in.Purpose, Channel: in.Channel, State: in.State,
			Version: in.Version, Evidence: in.Evidence, OccurredAt: at, RecordedAt: now,
		}
		return out, st.Identity.AddConsent(ctx, out)
	})
}

// Consents lists every act, the latest recorded first. Errors: NOT_FOUND,
// CURSOR_INVALID.
func (s *Service) Consents(ctx context.Context, call *app.Call, in ListInput) (Page[identity.Consent], error) {
	return list(ctx, s, call, "consents", in, func(st app.Stores, id string, end paging.Mark, limit int) ([]identity.Consent, error) {
		return st.Identity.ListConsents(ctx, call.Tenant, id, in.Only, end.At, end.ID, limit)
	}, func(c identity.Consent) paging.Mark { return paging.Mark{At: c.RecordedAt, ID: c.ID} })
}

// AttributesInput is what a customer tells about themselves; empty members stay
// as they are.
type AttributesInput struct{ CustomerID, Name, Email, BirthDate, Language string }

// Validate checks that the birth date is a day that has been.
func (in AttributesInput) Validate(now time.Time) error {
	if in.BirthDate == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, in.BirthDate)
	if err != nil || day.After(now) || day.Year() < 1880 {
		return fault.Field(fault.CodeValidationFailed, "birth_date", "birth_date", "give a day of the calendar that has been, as YYYY-MM-DD")
	}
	return nil
}

// SubmitIdentity attaches what a customer tells. E-mail and birth date are more
// than serving takes: the customer must have agreed to the terms before.
// Errors: NOT_FOUND, CONSENT_REQUIRED, VALIDATION_FAILED.
func (s *Service) SubmitIdentity(ctx context.Context, call *app.Call, in AttributesInput) (identities.CustomerContext, error) {
	now := s.Clock.Now()
	if err := in.Validate(now); err != nil {
		return identities.CustomerContext{}, err
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identities.CustomerContext, error) {
		c, err := held(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return identities.CustomerContext{}, err
		}
		if err := agreed(ctx, st, c, in); err != nil {
			return identities.CustomerContext{}, err
		}
		for _, part := range []struct {
			to   *string
			told string
		}{{&c.Name, in.Name}, {&c.Email, in.Email}, {&c.BirthDate, in.BirthDate}, {&c.Locale, in.Language}} {
			if part.told != "" {
				*part.to = part.told
			}
		}
		if err := st.Identity.SaveAttributes(ctx, c, now); err != nil {
			return identities.CustomerContext{}, err
		}
		return s.Identities.ContextOf(ctx, st, call.Tenant, c.ID, now)
	})
}

func agreed(ctx context.Context, st app.Stores, c identity.Customer, in AttributesInput) error {
	field := "email"
	switch {
	case in.Email == "" && in.BirthDate == "":
		return nil
	case in.Email == "":
		field = "birth_date"
	}
	acts, err := st.Identity.ConsentActs(ctx, c.Tenant, c.ID)
	if err != nil {
		return err
	}
	return acts.Require(identity.ForTerms, "", field)
}

// Preferences reads how a customer wants to be treated. Errors: NOT_FOUND.
func (s *Service) Preferences(ctx context.Context, call *app.Call, customerID string) (identity.Preferences, error) {
	st := s.UoW.Read()
	c, err := identities.Served(ctx, st, call.Tenant, customerID)
	if err != nil {
		return identity.Preferences{}, err
	}
	return st.Identity.Preferences(ctx, call.Tenant, c.ID)
}

// PreferencesInput changes what it names.
type PreferencesInput struct {
	CustomerID string
	Change     identity.PreferenceChange
}

// UpdatePreferences changes how a customer wants to be treated; decisions obey
// at once. Errors: NOT_FOUND, REVISION_CONFLICT, CONSENT_REQUIRED.
func (s *Service) UpdatePreferences(ctx context.Context, call *app.Call, in PreferencesInput) (identity.Preferences, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identity.Preferences, error) {
		c, err := held(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return identity.Preferences{}, err
		}
		p, err := st.Identity.Preferences(ctx, call.Tenant, c.ID)
		if err != nil {
			return p, err
		}
		acts, err := st.Identity.ConsentActs(ctx, call.Tenant, c.ID)
		if err != nil {
			return p, err
		}
		if p, err = p.Change(in.Change, acts, now); err != nil {
			return p, err
		}
		return p, st.Identity.SavePreferences(ctx, call.Tenant, p)
	})
}

// EventInput is one thing that a partner tells about a customer.
type EventInput struct {
	CustomerID, Type, SessionID string
	Attributes                  json.RawMessage // a JSON object
	OccurredAt                  *time.Time      // nil for now
}

// LogEvent appends to a customer's profile, which takes their consent to
// profiling. Errors: NOT_FOUND (customer, session), CONSENT_REQUIRED,
// VALIDATION_FAILED (a time to come).
func (s *Service) LogEvent(ctx context.Context, call *app.Call, in EventInput) (identity.CustomerEvent, error) {
	now := s.Clock.Now()
	at, err := identity.Happened(in.OccurredAt, now)
	if err != nil {
		return identity.CustomerEvent{}, err
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identity.CustomerEvent, error) {
		c, err := identities.Served(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return identity.CustomerEvent{}, err
		}
		acts, err := st.Identity.ConsentActs(ctx, call.Tenant, c.ID)
		if err != nil {
			return identity.CustomerEvent{}, err
		}
		if err := acts.Require(identity.ForProfiling, "", "customer_id"); err != nil {
			return identity.CustomerEvent{}, err
		}
		if err := theirSession(ctx, st, c, in.SessionID); err != nil {
			return identity.CustomerEvent{}, err
		}
		e := identity.CustomerEvent{
			ID: s.IDs.Make(ids.CustomerEvent), Tenant: call.Tenant, CustomerID: c.ID, Type: in.Type, SessionID: in.SessionID,
			Attributes: in.Attributes, OccurredAt: at, RecordedAt: now,
		}
		return e, st.Identity.AddCustomerEvent(ctx, e)
	})
}

// theirSession checks that a session, where one is named, is the customer's.
func theirSession(ctx context.Context, st app.Stores, c identity.Customer, sessionID string) error {
	if sessionID == "" {
		return nil
	}
	session, err := st.Checkout.Session(ctx, c.Tenant, sessionID)
	if err == nil && session.CustomerID != c.ID {
		err = fault.NotFound("session")
	}
	return err
}

// Events lists what partners told about a customer, latest first. Errors:
// NOT_FOUND, CURSOR_INVALID.
func (s *Service) Events(ctx context.Context, call *app.Call, in ListInput) (Page[identity.CustomerEvent], error) {
	return list(ctx, s, call, "customer_events", in, func(st app.Stores, id string, end paging.Mark, limit int) ([]identity.CustomerEvent, error) {
		return st.Identity.ListCustomerEvents(ctx, call.Tenant, id, in.Only, end.At, end.ID, limit)
	}, func(e identity.CustomerEvent) paging.Mark { return paging.Mark{At: e.OccurredAt, ID: e.ID} })
}
