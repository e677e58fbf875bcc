package customers

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/offers"
)

// Suggestion is the offer that fits a customer best while no basket is known.
type Suggestion struct {
	Offer   *offers.Shown // nil where none does
	TraceID string        // of the decision
}

// Suggest decides a Suggestion by identity alone (rule 58).
type Suggest func(ctx context.Context, call *app.Call, customerID string) (Suggestion, error)

// Summary is what a cashier needs at a glance.
type Summary struct {
	Context  identities.CustomerContext
	Activity []identity.Activity // newest first
	Suggestion
}

// Summary reads a customer at a glance: balance by class, badge, the latest
// activity and the next offer. Errors: NOT_FOUND, also where the customer is
// disabled (rule 10).
func (s *Service) Summary(ctx context.Context, call *app.Call, customerID string) (Summary, error) {
	st := s.UoW.Read()
	found, err := s.Identities.ContextOf(ctx, st, call.Tenant, customerID, s.Clock.Now())
	if err != nil {
		return Summary{}, err
	}
	out := Summary{Context: found}
	if out.Activity, err = latest(ctx, st, found.Customer); err != nil || s.Suggest == nil {
		return out, err
	}
	out.Suggestion, err = s.Suggest(ctx, call, found.Customer.ID)
	return out, err
}
