package feddi

import (
	"context"

	"github.com/feddi/feddi/adapters/api/feddi/sessions"
	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	checkoutuses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/checkout"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// checkoutAPI answers CheckoutSessionService.
type checkoutAPI struct{ uses *checkoutuses.Service }

// RegisterCheckout mounts the checkout_session domain.
func RegisterCheckout(reg *pipeline.Registry, uses *checkoutuses.Service) {
	a := checkoutAPI{uses}
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceOpenCheckoutSessionProcedure, a.open)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceGetCheckoutSessionProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceIdentifyCheckoutSessionProcedure, a.identify)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceReviseBasketProcedure, a.revise)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceGetBasketProcedure, a.basket)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceCloseCheckoutSessionProcedure, a.close)
	pipeline.Handle(reg, partnerv1connect.CheckoutSessionServiceAbandonCheckoutSessionProcedure, a.abandon)
	sessions.Register(reg, uses)
}

func (a checkoutAPI) open(ctx context.Context, call *app.Call, req *partnerv1.OpenCheckoutSessionRequest) (*partnerv1.OpenCheckoutSessionResponse, error) {
	in := checkoutuses.OpenInput{Currency: req.GetCurrency(), Channel: req.GetChannel()}
	if c := req.GetCredential(); c != nil {
		credential := credentialOf(c)
		in.Credential = &credential
	}
	if b := req.GetBasket(); b != nil {
		d := shape.Draft(b.GetLines(), b.GetDiscountMinor(), b.GetTaxMinor())
		in.Basket = &d
	}
	return pipeline.Run(ctx, call, a.uses.Open, in, func(_ *app.Call, out checkoutuses.Identified) *partnerv1.OpenCheckoutSessionResponse {
		return &partnerv1.OpenCheckoutSessionResponse{
			Session: shape.Session(out.View), Status: shape.Optional(out.Status), CustomerContext: shape.CustomerContext(out.Customer),
		}
	})
}

func (a checkoutAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetCheckoutSessionRequest) (*partnerv1.GetCheckoutSessionResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetId(), func(_ *app.Call, out checkoutuses.Identified) *partnerv1.GetCheckoutSessionResponse {
		return &partnerv1.GetCheckoutSessionResponse{Session: shape.Session(out.View), CustomerContext: shape.CustomerContext(out.Customer)}
	})
}

func (a checkoutAPI) identify(ctx context.Context, call *app.Call, req *partnerv1.IdentifyCheckoutSessionRequest) (*partnerv1.IdentifyCheckoutSessionResponse, error) {
	in := checkoutuses.IdentifyInput{SessionID: req.GetId(), Credential: credentialOf(req.GetCredential())}
	return pipeline.Run(ctx, call, a.uses.Identify, in, func(_ *app.Call, out checkoutuses.Identified) *partnerv1.IdentifyCheckoutSessionResponse {
		return &partnerv1.IdentifyCheckoutSessionResponse{
			Session: shape.Session(out.View), Status: out.Status, CustomerContext: shape.CustomerContext(out.Customer),
		}
	})
}

func (a checkoutAPI) revise(ctx context.Context, call *app.Call, req *partnerv1.ReviseBasketRequest) (*partnerv1.ReviseBasketResponse, error) {
	in := checkoutuses.ReviseInput{
		SessionID: req.GetId(), Expected: int64(req.GetExpectedRevision()),
		Draft: shape.Draft(req.GetLines(), req.GetDiscountMinor(), req.GetTaxMinor()),
	}
	return pipeline.Run(ctx, call, a.uses.ReviseBasket, in, func(_ *app.Call, out checkoutuses.Revised) *partnerv1.ReviseBasketResponse {
		session := shape.Session(out.View)
		return &partnerv1.ReviseBasketResponse{Basket: session.GetBasket(), Session: session, ReleasedOffers: shape.AppliedOffers(out.Released)}
	})
}

func (a checkoutAPI) basket(ctx context.Context, call *app.Call, req *partnerv1.GetBasketRequest) (*partnerv1.GetBasketResponse, error) {
	in := checkoutuses.BasketInput{SessionID: req.GetId(), Revision: int64(req.GetRevision())}
	return pipeline.Run(ctx, call, a.uses.GetBasket, in, func(_ *app.Call, b *checkout.Basket) *partnerv1.GetBasketResponse {
		res := &partnerv1.GetBasketResponse{}
		if b != nil {
			res.Basket = shape.Basket(*b)
		}
		return res
	})
}

func (a checkoutAPI) close(ctx context.Context, call *app.Call, req *partnerv1.CloseCheckoutSessionRequest) (*partnerv1.CloseCheckoutSessionResponse, error) {
	in := checkoutuses.CloseInput{SessionID: req.GetId()}
	for _, t := range req.GetTenders() {
		in.Tenders = append(in.Tenders, checkout.Tender{
			Type: t.GetType(), AmountMinor: t.GetAmountMinor(), PaymentID: t.GetPaymentId(), Reference: t.GetReference(),
			CardScheme: t.GetCardScheme(), CardLastFour: t.GetCardLastFour(),
		})
	}
	return pipeline.Run(ctx, call, a.uses.Close, in, func(_ *app.Call, out checkoutuses.Closed) *partnerv1.CloseCheckoutSessionResponse {
		tx := out.Sale.Transaction
		res := &partnerv1.CloseCheckoutSessionResponse{
			Meta: pipeline.Trace(tx.TraceID), Session: shape.Session(out.View), Transaction: shape.Transaction(out.Sale),
		}
		for _, r := range tx.Rulings {
			var grant *partnerv1.Grant
			if r.Kind == actuation.KindCashback && out.Sale.Cashback != nil {
				grant = shape.Grant(*out.Sale.Cashback)
			}
			res.Decisions = append(res.Decisions, shape.Ruling(r, tx, grant))
		}
		return res
	})
}

func (a checkoutAPI) abandon(ctx context.Context, call *app.Call, req *partnerv1.AbandonCheckoutSessionRequest) (*partnerv1.AbandonCheckoutSessionResponse, error) {
	in := checkoutuses.AbandonInput{SessionID: req.GetId(), Reason: req.GetReason(), Note: req.GetNote()}
	return pipeline.Run(ctx, call, a.uses.Abandon, in, func(_ *app.Call, out checkoutuses.Abandoned) *partnerv1.AbandonCheckoutSessionResponse {
		return &partnerv1.AbandonCheckoutSessionResponse{
			Session: shape.Session(out.View), Reason: out.Reason, ReleasedOffers: shape.AppliedOffers(out.Released),
		}
	})
}
