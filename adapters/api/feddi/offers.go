package feddi

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/offers"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// offersAPI answers the offers and budgets of IncentivesService.
type offersAPI struct{ uses *incentives.Service }

// RegisterOffers mounts the offers and budgets of the incentives domain.
func RegisterOffers(reg *pipeline.Registry, uses *incentives.Service) {
	a := offersAPI{uses}
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceGetSessionOffersProcedure, a.feed)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceApplyOfferProcedure, a.apply)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceRedeemOfferProcedure, a.redeem)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceReleaseOfferProcedure, a.release)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceCreateOfferProcedure, a.create)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceListOffersProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceGetOfferProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceSetOfferStatusProcedure, a.setStatus)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceCreateBudgetProcedure, a.createBudget)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceGetBudgetProcedure, a.getBudget)
}

func (a offersAPI) feed(ctx context.Context, call *app.Call, req *partnerv1.GetSessionOffersRequest) (*partnerv1.GetSessionOffersResponse, error) {
	return pipeline.Run(ctx, call, a.uses.SessionOffers, incentives.FeedInput{SessionID: req.GetId()}, func(_ *app.Call, f incentives.FeedResult) *partnerv1.GetSessionOffersResponse {
		res := &partnerv1.GetSessionOffersResponse{
			Meta: pipeline.Trace(f.TraceID), SessionId: f.Session.ID, BasketRevision: int32(f.Session.BasketRevision), Currency: f.Session.Currency,
		}
		for i := range f.Feed.Offers {
			o := &f.Feed.Offers[i]
			res.Offers = append(res.Offers, shape.Shown(o, f.Applied[o.OfferID]))
		}
		for i := range f.Feed.Withheld {
			res.Withheld = append(res.Withheld, shape.Withheld(&f.Feed.Withheld[i]))
		}
		return res
	})
}

func (a offersAPI) apply(ctx context.Context, call *app.Call, req *partnerv1.ApplyOfferRequest) (*partnerv1.ApplyOfferResponse, error) {
	in := incentives.TakeInput{OfferID: req.GetOfferId(), SessionID: req.GetSessionId()}
	return pipeline.Run(ctx, call, a.uses.ApplyOffer, in, func(_ *app.Call, r incentives.TakeResult) *partnerv1.ApplyOfferResponse {
		return shape.Flat(shape.Application(r.Application), &partnerv1.ApplyOfferResponse{Meta: pipeline.Trace(r.TraceID), Session: sessionOf(r)})
	})
}

func (a offersAPI) redeem(ctx context.Context, call *app.Call, req *partnerv1.RedeemOfferRequest) (*partnerv1.RedeemOfferResponse, error) {
	in := incentives.TakeInput{OfferID: req.GetOfferId(), SessionID: req.GetSessionId(), ApplicationID: req.GetApplicationId()}
	return pipeline.Run(ctx, call, a.uses.RedeemOffer, in, func(_ *app.Call, r incentives.TakeResult) *partnerv1.RedeemOfferResponse {
		return shape.Flat(shape.Application(r.Application), &partnerv1.RedeemOfferResponse{Session: sessionOf(r)})
	})
}

func (a offersAPI) release(ctx context.Context, call *app.Call, req *partnerv1.ReleaseOfferRequest) (*partnerv1.ReleaseOfferResponse, error) {
	in := incentives.TakeInput{OfferID: req.GetOfferId(), SessionID: req.GetSessionId(), ApplicationID: req.GetApplicationId()}
	return pipeline.Run(ctx, call, a.uses.ReleaseOffer, in, func(_ *app.Call, r incentives.TakeResult) *partnerv1.ReleaseOfferResponse {
		return shape.Flat(shape.Application(r.Application), &partnerv1.ReleaseOfferResponse{Session: sessionOf(r)})
	})
}

func sessionOf(r incentives.TakeResult) *partnerv1.Session {
	return shape.Session(sessions.View{Session: r.Session, Basket: r.Basket, CustomerState: r.Customer.State, Offers: sessions.Copies(r.Applied)})
}

func (a offersAPI) create(ctx context.Context, call *app.Call, req *partnerv1.CreateOfferRequest) (*partnerv1.CreateOfferResponse, error) {
	in := incentives.CreateOfferInput{Definition: shape.DefinitionOf(req), Active: req.GetStatus() == string(offers.Active)}
	return pipeline.Run(ctx, call, a.uses.CreateOffer, in, func(_ *app.Call, o offers.Offer) *partnerv1.CreateOfferResponse {
		return shape.Flat(shape.Definition(o, o.UpdatedAt), &partnerv1.CreateOfferResponse{})
	})
}

func (a offersAPI) list(ctx context.Context, call *app.Call, req *partnerv1.ListOffersRequest) (*partnerv1.ListOffersResponse, error) {
	in := incentives.ListOffersInput{Cursor: req.GetCursor(), Filter: offers.Filter{
		Status: offers.Status(req.GetStatus()), Kind: offers.Kind(req.GetKind()), BrandID: req.GetBrandId(),
		ActiveFrom: shape.Moment(req.GetActiveFrom()), ActiveTo: shape.Moment(req.GetActiveTo()), Limit: int(req.GetLimit()),
	}}
	return pipeline.Run(ctx, call, a.uses.ListOffers, in, func(_ *app.Call, p incentives.OfferPage) *partnerv1.ListOffersResponse {
		res := &partnerv1.ListOffersResponse{Meta: pipeline.Cursor(p.Next)}
		for _, o := range p.Offers {
			res.Offers = append(res.Offers, shape.Definition(o, p.At))
		}
		return res
	})
}

func (a offersAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetOfferRequest) (*partnerv1.GetOfferResponse, error) {
	in := incentives.GetOfferInput{OfferID: req.GetOfferId(), Version: int64(req.GetVersion())}
	return pipeline.Run(ctx, call, a.uses.GetOffer, in, func(_ *app.Call, d incentives.OfferDetail) *partnerv1.GetOfferResponse {
		c := d.Counters
		return shape.Flat(shape.Definition(d.Offer, d.At), &partnerv1.GetOfferResponse{Counters: &partnerv1.OfferCounters{
			Shown: c.Shown, Withheld: c.Withheld, Applied: c.Applied, Redeemed: c.Redeemed, Released: c.Released,
			RedeemedMinor: c.RedeemedMinor, HeldMinor: c.HeldMinor,
		}})
	})
}

func (a offersAPI) setStatus(ctx context.Context, call *app.Call, req *partnerv1.SetOfferStatusRequest) (*partnerv1.SetOfferStatusResponse, error) {
	in := incentives.SetOfferStatusInput{OfferID: req.GetOfferId(), Status: offers.Status(req.GetStatus()), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.uses.SetOfferStatus, in, func(_ *app.Call, d incentives.OfferDetail) *partnerv1.SetOfferStatusResponse {
		return shape.Flat(shape.Definition(d.Offer, d.At), &partnerv1.SetOfferStatusResponse{})
	})
}

func (a offersAPI) createBudget(ctx context.Context, call *app.Call, req *partnerv1.CreateBudgetRequest) (*partnerv1.CreateBudgetResponse, error) {
	in := incentives.CreateBudgetInput{
		Name: req.GetName(), CapMinor: req.GetCapMinor(), Currency: req.GetCurrency(), StartsAt: shape.Moment(req.GetStartsAt()),
		EndsAt: shape.Moment(req.GetEndsAt()), FundedBy: req.GetFundedBy(),
	}
	if req.LowThresholdBp != nil {
		bp := int64(req.GetLowThresholdBp())
		in.LowThresholdBP = &bp
	}
	return pipeline.Run(ctx, call, a.uses.CreateBudget, in, func(_ *app.Call, d incentives.BudgetDetail) *partnerv1.CreateBudgetResponse {
		return shape.Flat(shape.Budget(d.Budget, d.At), &partnerv1.CreateBudgetResponse{})
	})
}

func (a offersAPI) getBudget(ctx context.Context, call *app.Call, req *partnerv1.GetBudgetRequest) (*partnerv1.GetBudgetResponse, error) {
	in := incentives.GetBudgetInput{BudgetID: req.GetBudgetId(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.GetBudget, in, func(_ *app.Call, d incentives.BudgetDetail) *partnerv1.GetBudgetResponse {
		return shape.Flat(shape.Budget(d.Budget, d.At), &partnerv1.GetBudgetResponse{Meta: pipeline.Cursor(d.Next), Movements: shape.Movements(d.Movements)})
	})
}
