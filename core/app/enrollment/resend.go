package enrollment

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// ResendInput names the enrolment.
type ResendInput struct{ EnrollmentID string }

// Resent is the enrolment with its new message out.
type Resent struct {
	Enrollment identity.Enrollment
	Customer   identity.Customer
	Proof      identity.Proof // shown by the sandbox only
}

// Resend sends a new code and link; the earlier ones end. Attempts that wrong
// codes have used up stay used (rule 33).
// Errors: NOT_FOUND, STATE_CONFLICT, RATE_LIMITED, ATTEMPTS_EXHAUSTED.
func (s *Service) Resend(ctx context.Context, call *app.Call, in ResendInput) (Resent, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Resent{}, err
	}
	now := s.Clock.Now()
	out, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Resent, error) {
		e, err := st.Identity.LockEnrollment(ctx, call.Tenant, in.EnrollmentID)
		if err != nil {
			return Resent{}, err
		}
		c, err := st.Identity.Customer(ctx, call.Tenant, e.CustomerID)
		if err != nil || c.Usable() != nil {
			return Resent{}, orNotFound(err)
		}
		if c.State == identity.Verified { // by the code of a payment
			return Resent{}, fault.Field(fault.CodeStateConflict, "enrollment_id", "pending", "the phone is verified already; there is nothing to send")
		}
		if e, err = e.Resend(now); err != nil {
			return Resent{}, err
		}
		proof, err := s.proof(&e)
		if err != nil {
			return Resent{}, err
		}
		return Resent{Enrollment: e, Customer: c, Proof: *proof}, st.Identity.SaveEnrollment(ctx, e)
	})
	if err == nil {
		s.send(ctx, call, m, out.Customer, out.Enrollment, out.Proof)
	}
	return out, err
}
