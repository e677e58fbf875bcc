package feddi

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// customersAPI answers CustomersService.
type customersAPI struct{ uses *customers.Service }

// RegisterCustomers mounts the customers domain.
func RegisterCustomers(reg *pipeline.Registry, uses *customers.Service) {
	pipeline.Handle(reg, partnerv1connect.CustomersServiceLookupCustomerProcedure, customersAPI{uses}.lookup)
}

// lookup ignores the enterprise and merchant of the query: the terminal's own
// counts (rule 12).
func (a customersAPI) lookup(ctx context.Context, call *app.Call, req *partnerv1.LookupCustomerRequest) (*partnerv1.LookupCustomerResponse, error) {
	in := customers.LookupInput{Phone: req.GetPhone(), ProviderCustomerID: req.GetProviderCustomerId(), SessionID: req.GetSessionId()}
	return pipeline.Run(ctx, call, a.uses.Lookup, in, func(_ *app.Call, p customers.Panel) *partnerv1.LookupCustomerResponse {
		res := &partnerv1.LookupCustomerResponse{Status: string(p.Status), RegistrationAllowed: p.RegistrationAllowed}
		if p.Context != nil {
			res.Customer, res.Balance = shape.Customer(p.Context), shape.Balance(p.Context.Balance)
			res.UnclaimedCashback, res.RecentActivity = shape.Unclaimed(p.Context.Unclaimed), shape.Activities(p.Activity)
		}
		return res
	})
}
