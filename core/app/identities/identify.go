package identities

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/identity"
)

// IdentifyInput is the credential to resolve.
type IdentifyInput struct{ Credential identity.Credential }

// Identified says who a credential is; Context is nil where it leads nowhere.
type Identified struct{ Context *CustomerContext }

// Identify resolves a credential outside a session. A code is not used up, and
// the answer holds nothing that can be spent (rules 1, 2 and 7).
// Errors: those of Resolve; ATTEMPTS_EXHAUSTED where short codes are guessed.
func (s *Service) Identify(ctx context.Context, call *app.Call, in IdentifyInput) (Identified, error) {
	now := s.Clock.Now()
	led := func(out Identified) bool { return out.Context != nil }
	return Guarded(&s.Guesses, call, in.Credential, now, led, func() (Identified, error) { return s.identify(ctx, call, in, now) })
}

func (s *Service) identify(ctx context.Context, call *app.Call, in IdentifyInput, now time.Time) (Identified, error) {
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Identified, error) {
		r, err := s.Resolve(ctx, st, call.Tenant, in.Credential, now)
		if err != nil || r.Customer == nil {
			return Identified{}, err
		}
		if err := Seen(ctx, st, call.Tenant, r, now); err != nil {
			return Identified{}, err
		}
		found, err := s.ContextFor(ctx, st, r, now)
		return Identified{Context: &found}, err
	})
}
