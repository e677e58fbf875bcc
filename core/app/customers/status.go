package customers

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
)

// StatusInput says what to do with an identity, and why.
type StatusInput struct {
	CustomerID string
	Status     identity.Status // Active or Disabled
	Reason     string
}

// SetStatus disables an identity, which reads as not found everywhere from then
// on (rule 10), or enables it again; its money stays. Setting the status that
// it has changes nothing. Errors: NOT_FOUND, STATE_CONFLICT (merged).
func (s *Service) SetStatus(ctx context.Context, call *app.Call, in StatusInput) (identity.Customer, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (identity.Customer, error) {
		c, err := st.Identity.LockCustomer(ctx, call.Tenant, in.CustomerID)
		switch {
		case err != nil:
			return c, err
		case c.Status == identity.Erased:
			return c, fault.NotFound("customer")
		case c.Status == identity.Merged:
			return c, fault.Field(fault.CodeStateConflict, "customer_id", "not_merged",
				"this customer was merged into %s; set the status of that one", c.MergedInto)
		case c.Status == in.Status:
			return c, nil
		}
		if err := st.Identity.SetStatus(ctx, call.Tenant, c.ID, in.Status, now); err != nil {
			return c, err
		}
		if err := st.Identity.NoteStatus(ctx, call.Tenant, c.ID, in.Reason); err != nil {
			return c, err
		}
		c.Status, c.UpdatedAt = in.Status, now
		return c, st.Events.Append(ctx, c.StatusChanged(s.IDs.Make(ids.Event), now))
	})
}
