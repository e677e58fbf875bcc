package pipeline

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// withContext is a request that says where it happens.
type withContext interface {
	GetContext() *partnerv1.RequestContext
}

// withMerchant is a read that may name its merchant in the query. One that only
// terminals may call takes it from the token, whatever the query says (rule 12).
type withMerchant interface{ GetMerchantId() string }

// admit checks the credential against the operation, the merchant against the
// credential, and the place against the merchant, and fills the call with what
// is proven.
func (p *Pipeline) admit(ctx context.Context, x *Exchange, req proto.Message) error {
	if e := Permit(x.Handler.Op, x.Call.Actor); e != nil {
		return e
	}
	if x.Handler.Op.Signed() {
		return nil
	}
	asked, field, names := askedMerchant(x, req)
	if x.Handler.Op.Public() {
		return nil
	}
	merchant, err := merchantOf(x, asked, field, names)
	if err != nil {
		return err
	}
	x.Call.Tenant = x.Call.Actor.Tenant(merchant)
	return p.locate(ctx, x, contextOf(req))
}

func contextOf(req proto.Message) *partnerv1.RequestContext {
	if c, ok := req.(withContext); ok {
		return c.GetContext()
	}
	return nil
}

// askedMerchant returns the merchant that the request names, the field it
// names it in, and whether it could name one at all.
func askedMerchant(x *Exchange, req proto.Message) (merchant, field string, names bool) {
	if _, ok := req.(withContext); ok {
		c := contextOf(req)
		x.Call.CashierID, x.Call.Locale = c.GetCashierId(), c.GetLocale()
		return c.GetMerchantId(), "context.merchant_id", true
	}
	if m, ok := req.(withMerchant); ok && x.Handler.Op.Takes(optionsv1.Credential_CREDENTIAL_KEY) {
		return m.GetMerchantId(), "merchant_id", true
	}
	return "", "", false
}

// merchantOf decides for whom the call is: the merchant it names, where the
// credential is authorised for it, or else the credential's only one.
func merchantOf(x *Exchange, asked, field string, names bool) (string, error) {
	actor := x.Call.Actor
	switch {
	case asked != "" && !actor.May(asked):
		return "", fault.Field(fault.CodeMerchantNotAuthorized, field, "authorised",
			"this credential is not authorised for that merchant; use one of its own merchants")
	case asked != "":
		return asked, nil
	case len(actor.Merchants) == 1:
		return actor.Merchants[0], nil
	case !names || x.Handler.anyMerchant || x.Handler.Op.Options.GetPlatformScope():
		return "", nil
	}
	return "", fault.Field(fault.CodeValidationFailed, field, "required",
		"this credential is not bound to one merchant; say in %s which one you mean", field)
}

// locate settles brand, branch and terminal. What the credential is bound to
// is filled in, and may be repeated by the caller but not contradicted.
func (p *Pipeline) locate(ctx context.Context, x *Exchange, c *partnerv1.RequestContext) error {
	actor := x.Call.Actor
	bound := Place{BrandID: actor.BrandID, BranchID: actor.BranchID, TerminalID: actor.TerminalID}
	place := bound
	for _, part := range []struct {
		field string
		to    *string
		asked string
	}{
		{"context.brand_id", &place.BrandID, c.GetBrandId()},
		{"context.branch_id", &place.BranchID, c.GetBranchId()},
		{"context.terminal_id", &place.TerminalID, c.GetTerminalId()},
	} {
		if part.asked == "" || part.asked == *part.to {
			continue
		}
		if *part.to != "" {
			return contradiction(part.field)
		}
		*part.to = part.asked
	}
	if place != bound || !place.whole() {
		resolved, err := p.Places.Resolve(ctx, x.Call.Tenant, place)
		if err != nil {
			return err
		}
		place = resolved
		if field := bound.leftBy(place); field != "" {
			return contradiction(field)
		}
	}
	x.Call.BrandID, x.Call.BranchID, x.Call.TerminalID = place.BrandID, place.BranchID, place.TerminalID
	return nil
}

// whole reports whether nothing follows from the place that it does not say.
func (p Place) whole() bool {
	return (p.TerminalID == "" || p.BranchID != "") && (p.BranchID == "" || p.BrandID != "")
}

// leftBy names the field in which a resolved place lies outside of what the
// credential is bound to (p); empty where it does not.
func (p Place) leftBy(place Place) string {
	switch {
	case p.BrandID != "" && place.BrandID != p.BrandID:
		return "context.brand_id"
	case p.BranchID != "" && place.BranchID != p.BranchID:
		return "context.branch_id"
	}
	return ""
}

func contradiction(field string) error {
	return fault.Field(fault.CodeScopeInsufficient, field, "within_credential",
		"the credential is bound to another %s; leave the field out or use a credential of that place", field[len("context."):])
}

// partnerOf is the namespace of an actor's idempotency keys.
func partnerOf(a tenancy.Actor) string {
	if a.PartnerID == "" {
		return "anonymous"
	}
	return a.PartnerID
}
