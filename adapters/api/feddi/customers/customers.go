// Package customers answers the customers domain, and what enrollment says of
// consents and attributes: a thin layer between messages and use cases.
package customers

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// api answers CustomersService.
type api struct{ uses *customers.Service }

// Register mounts the customers domain.
func Register(reg *pipeline.Registry, uses *customers.Service) {
	a := api{uses}
	pipeline.Handle(reg, partnerv1connect.CustomersServiceLookupCustomerProcedure, a.lookup)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceGetCustomerProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceListCustomerActivityProcedure, a.activity)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceListCustomerCredentialsProcedure, a.credentials)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceLinkCustomerCredentialProcedure, a.link)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceUnlinkCustomerCredentialProcedure, a.unlink)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceSetCustomerStatusProcedure, a.setStatus)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceGetCustomerSummaryProcedure, a.summary)
	registerProfile(reg, a)
}

// lookup ignores the enterprise and merchant of the query: the terminal's own
// counts (rule 12).
func (a api) lookup(ctx context.Context, call *app.Call, req *partnerv1.LookupCustomerRequest) (*partnerv1.LookupCustomerResponse, error) {
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

func (a api) get(ctx context.Context, call *app.Call, req *partnerv1.GetCustomerRequest) (*partnerv1.GetCustomerResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetCustomerId(), func(call *app.Call, c identities.CustomerContext) *partnerv1.GetCustomerResponse {
		return shape.Flat(customerFor(call, c), &partnerv1.GetCustomerResponse{})
	})
}

func (a api) summary(ctx context.Context, call *app.Call, req *partnerv1.GetCustomerSummaryRequest) (*partnerv1.GetCustomerSummaryResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Summary, req.GetCustomerId(), func(call *app.Call, s customers.Summary) *partnerv1.GetCustomerSummaryResponse {
		res := &partnerv1.GetCustomerSummaryResponse{
			Meta: pipeline.Trace(s.TraceID), Customer: customerFor(call, s.Context), Balance: shape.Balance(s.Context.Balance),
			UnclaimedCashback: shape.Unclaimed(s.Context.Unclaimed), RecentActivity: shape.Activities(s.Activity),
		}
		if s.Offer != nil {
			res.BestNextOffer = shape.Shown(s.Offer, "")
		}
		return res
	})
}

// customerFor is a customer as the caller may see one: phone, e-mail and birth
// date are for keys only.
func customerFor(call *app.Call, c identities.CustomerContext) *partnerv1.Customer {
	if call.Actor.Kind == tenancy.KeyCall {
		return shape.CustomerInFull(&c)
	}
	return shape.Customer(&c)
}

func (a api) activity(ctx context.Context, call *app.Call, req *partnerv1.ListCustomerActivityRequest) (*partnerv1.ListCustomerActivityResponse, error) {
	in := customers.ListInput{CustomerID: req.GetCustomerId(), Only: req.GetType(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.Activity, in, func(_ *app.Call, p customers.Page[identity.Activity]) *partnerv1.ListCustomerActivityResponse {
		return &partnerv1.ListCustomerActivityResponse{Meta: pipeline.Cursor(p.Next), Activity: shape.Activities(p.Rows)}
	})
}

func (a api) credentials(ctx context.Context, call *app.Call, req *partnerv1.ListCustomerCredentialsRequest) (*partnerv1.ListCustomerCredentialsResponse, error) {
	in := customers.CredentialsInput{
		ListInput:       customers.ListInput{CustomerID: req.GetCustomerId(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()},
		IncludeUnlinked: req.GetIncludeUnlinked(),
	}
	return pipeline.Run(ctx, call, a.uses.Credentials, in, func(_ *app.Call, p customers.Page[identity.Link]) *partnerv1.ListCustomerCredentialsResponse {
		res := &partnerv1.ListCustomerCredentialsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, l := range p.Rows {
			res.Credentials = append(res.Credentials, shape.Link(l))
		}
		return res
	})
}

func (a api) link(ctx context.Context, call *app.Call, req *partnerv1.LinkCustomerCredentialRequest) (*partnerv1.LinkCustomerCredentialResponse, error) {
	in := customers.LinkInput{
		CustomerID: req.GetCustomerId(), Provider: req.GetProvider(),
		Credential: identity.Credential{Type: identity.CredentialType(req.GetCredential().GetCredentialType()), Value: req.GetCredential().GetValue()},
	}
	return pipeline.Run(ctx, call, a.uses.Link, in, func(_ *app.Call, l identity.Link) *partnerv1.LinkCustomerCredentialResponse {
		return shape.Flat(shape.Link(l), &partnerv1.LinkCustomerCredentialResponse{})
	})
}

func (a api) unlink(ctx context.Context, call *app.Call, req *partnerv1.UnlinkCustomerCredentialRequest) (*partnerv1.UnlinkCustomerCredentialResponse, error) {
	in := customers.UnlinkInput{CustomerID: req.GetCustomerId(), LinkID: req.GetCredentialId(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.uses.Unlink, in, func(_ *app.Call, l identity.Link) *partnerv1.UnlinkCustomerCredentialResponse {
		return shape.Flat(shape.Link(l), &partnerv1.UnlinkCustomerCredentialResponse{})
	})
}

func (a api) setStatus(ctx context.Context, call *app.Call, req *partnerv1.SetCustomerStatusRequest) (*partnerv1.SetCustomerStatusResponse, error) {
	in := customers.StatusInput{CustomerID: req.GetCustomerId(), Status: identity.Status(req.GetStatus()), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.uses.SetStatus, in, func(_ *app.Call, c identity.Customer) *partnerv1.SetCustomerStatusResponse {
		return &partnerv1.SetCustomerStatusResponse{CustomerId: c.ID, Status: string(c.Status), UpdatedAt: shape.Stamp(&c.UpdatedAt)}
	})
}
