package enrollment

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// Standing is where an enrolment stands.
type Standing struct {
	Enrollment identity.Enrollment
	Expired    bool // neither proven nor within its time
}

// Get reads where an enrolment stands. One of a customer who is disabled,
// merged or erased reads as not found (rule 10). Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (Standing, error) {
	st := s.UoW.Read()
	e, err := st.Identity.Enrollment(ctx, call.Tenant, id)
	if err != nil {
		return Standing{}, err
	}
	c, err := st.Identity.Customer(ctx, call.Tenant, e.CustomerID)
	if err != nil {
		return Standing{}, err
	}
	if c.Usable() != nil {
		return Standing{}, fault.NotFound("enrollment")
	}
	return Standing{Enrollment: e, Expired: e.State == identity.PendingProof && !e.Live(s.Clock.Now())}, nil
}

// GetClaim reads one re-drive: what it released and what it left LOCKED, with
// the reasons of then and the grants as they are now. Errors: NOT_FOUND.
func (s *Service) GetClaim(ctx context.Context, call *app.Call, id string) (Redriven, error) {
	st := s.UoW.Read()
	claim, err := st.Identity.Claim(ctx, call.Tenant, id)
	if err != nil {
		return Redriven{}, err
	}
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Redriven{}, err
	}
	out := Redriven{Claim: claim, Gate: m.Settings.ClaimGate}
	if out.Customer, err = st.Identity.Customer(ctx, call.Tenant, claim.CustomerID); err != nil {
		return out, err
	}
	for _, id := range claim.Released {
		g, err := st.Ledger.Grant(ctx, call.Tenant, id)
		if err != nil {
			return out, err
		}
		out.Released = append(out.Released, g)
	}
	for _, l := range claim.Locked {
		g, err := st.Ledger.Grant(ctx, call.Tenant, l.GrantID)
		if err != nil {
			return out, err
		}
		out.Locked = append(out.Locked, StillLocked{g, l.Reason})
	}
	return out, nil
}
