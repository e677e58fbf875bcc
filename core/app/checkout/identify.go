package checkout

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/identity"
)

// IdentifyInput is the credential to attach.
type IdentifyInput struct {
	SessionID  string
	Credential identity.Credential
}

// Identify attaches an identity to an open session: an anonymous session merges
// into the customer (rule 8). The answer holds nothing that can be spent (rule
// 1). A code is bound to the session, not used up. A credential that leads to
// nobody is an answer, not an error, and leaves the session as it was.
// Errors: NOT_FOUND, UNSUPPORTED_CREDENTIAL_TYPE, CREDENTIAL_EXPIRED,
// CREDENTIAL_USED, SESSION_ENDED; STATE_CONFLICT where the session holds a
// payment or an offer of another customer, or another session has the code.
func (s *Service) Identify(ctx context.Context, call *app.Call, in IdentifyInput) (Identified, error) {
	now := s.Clock.Now()
	return identities.Guarded(&s.Identities.Guesses, call, in.Credential, now, Identified.known, func() (Identified, error) {
		return s.identify(ctx, call, in, now)
	})
}

func (s *Service) identify(ctx context.Context, call *app.Call, in IdentifyInput, now time.Time) (Identified, error) {
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Identified, error) {
		c, err := lock(ctx, st, call, in.SessionID)
		if err != nil {
			return Identified{}, err
		}
		r, err := s.Identities.Resolve(ctx, st, call.Tenant, in.Credential, now)
		if err != nil {
			return Identified{}, err
		}
		if err := c.Live(now); err != nil {
			return Identified{}, err
		}
		if c, err = s.merge(ctx, st, c, r, now); err != nil {
			return Identified{}, err
		}
		return s.identified(ctx, st, c, true, r, now)
	})
}

// attach gives the session the identity that was found, if one was.
func attach(c checkout.Session, r identity.Resolution, holds bool, now time.Time) (checkout.Session, error) {
	if r.Customer == nil {
		return c, nil
	}
	return c.Attach(checkout.Identity{CustomerID: r.Customer.ID, CredentialType: string(r.Via), Probationary: r.Probationary}, holds, now)
}

// merge writes the session with its identity. Applied offers are judged anew
// for the customer.
func (s *Service) merge(ctx context.Context, st app.Stores, before checkout.Session, r identity.Resolution, now time.Time) (checkout.Session, error) {
	if r.Customer == nil {
		return before, nil
	}
	held, err := incentives.Applied(ctx, st, before.Tenant, before.ID)
	if err != nil {
		return before, err
	}
	c, err := attach(before, r, len(held) > 0, now)
	if err != nil {
		return before, err
	}
	if len(held) > 0 && c.CustomerID != before.CustomerID {
		if c, _, err = s.recheck(ctx, st, c, now); err != nil {
			return before, err
		}
	}
	if err := identities.Bind(ctx, st, c.Tenant, r, c.ID, now); err != nil {
		return before, err
	}
	if c == before { // the same customer once more
		return c, nil
	}
	if c, err = st.Checkout.Save(ctx, c); err != nil {
		return before, err
	}
	return c, s.tellIdentity(ctx, st, c, now)
}

// tellIdentity tells who a session belongs to from now on.
func (s *Service) tellIdentity(ctx context.Context, st app.Stores, c checkout.Session, now time.Time) error {
	return s.tell(ctx, st, eventIdentified, c, now, map[string]any{"credential_type": c.CredentialType, "probationary": c.Probationary})
}

// identified is the answer to a credential.
func (s *Service) identified(ctx context.Context, st app.Stores, c checkout.Session, tried bool, r identity.Resolution, now time.Time) (Identified, error) {
	v, err := sessions.Load(ctx, st, c)
	if err != nil || !tried {
		return Identified{View: v}, err
	}
	if r.Customer == nil {
		return Identified{View: v, Status: StatusNotFound}, nil
	}
	found, err := s.Identities.ContextFor(ctx, st, r, now)
	return Identified{View: v, Status: StatusIdentified, Customer: &found}, err
}
