package checkout

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/fault"
)

// Get reads a session whole, with its customer as they are now; Customer is nil
// while the session is anonymous, and for a customer who was disabled or erased
// since. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, sessionID string) (Identified, error) {
	st := s.UoW.Read()
	c, err := sessions.Read(ctx, st, call, sessionID)
	if err != nil {
		return Identified{}, err
	}
	v, err := sessions.Load(ctx, st, c)
	if err != nil || c.CustomerID == "" {
		return Identified{View: v}, err
	}
	customer, err := s.Identities.ContextOf(ctx, st, call.Tenant, c.CustomerID, s.Clock.Now())
	if fault.Is(err, fault.CodeNotFound) {
		return Identified{View: v}, nil
	}
	customer.Probationary = c.Probationary
	return Identified{View: v, Customer: &customer}, err
}
