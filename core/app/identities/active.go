package identities

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// Active reads a customer who may take part: one who is disabled, merged or erased
// looks like none (rule 10). Errors: NOT_FOUND.
func Active(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string) (identity.Customer, error) {
	c, err := st.Identity.Customer(ctx, t, customerID)
	if err == nil && c.Status != identity.Active {
		err = fault.NotFound("customer")
	}
	return c, err
}
