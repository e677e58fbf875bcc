package feddi

import (
	"context"
	"net/http"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// paymentsAPI answers PaymentsService, but for qrMint, which is identity's.
type paymentsAPI struct{ uses *payments.Service }

// RegisterPayments mounts the payments domain.
func RegisterPayments(reg *pipeline.Registry, uses *payments.Service) {
	a := paymentsAPI{uses}
	// The key is looked up in the statement that reads all else a payment rests on.
	pipeline.Handle(reg, partnerv1connect.PaymentsServicePaymentAuthorizeProcedure, a.authorize, pipeline.Unsearched())
	pipeline.Handle(reg, partnerv1connect.PaymentsServicePaymentGetProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.PaymentsServicePaymentCaptureProcedure, a.capture)
	pipeline.Handle(reg, partnerv1connect.PaymentsServiceRedeemBalanceCheckProcedure, a.check)
}

func (a paymentsAPI) authorize(ctx context.Context, call *app.Call, req *partnerv1.PaymentAuthorizeRequest) (*partnerv1.PaymentAuthorizeResponse, error) {
	in := payments.AuthorizeInput{
		SessionID: req.GetSessionId(), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency(), Credential: credentialOf(req.GetCredential()),
	}
	return pipeline.Run(ctx, call, a.uses.Authorize, in, func(call *app.Call, r payments.Result) *partnerv1.PaymentAuthorizeResponse {
		if r.Payment.Status == ledger.PaymentRequiresCapture {
			pipeline.SetStatus(call, http.StatusAccepted)
		}
		return authorized(r)
	})
}

func (a paymentsAPI) get(ctx context.Context, call *app.Call, req *partnerv1.PaymentGetRequest) (*partnerv1.PaymentGetResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetId(), func(_ *app.Call, r payments.Result) *partnerv1.PaymentGetResponse {
		res := shape.Flat(authorized(r), &partnerv1.PaymentGetResponse{})
		res.Meta = nil // the trace belongs to the debit, not to the read
		return res
	})
}

func (a paymentsAPI) capture(ctx context.Context, call *app.Call, req *partnerv1.PaymentCaptureRequest) (*partnerv1.PaymentCaptureResponse, error) {
	in := payments.CaptureInput{PaymentID: req.GetId(), Code: req.GetCode()}
	return pipeline.Run(ctx, call, a.uses.Capture, in, func(_ *app.Call, r payments.Result) *partnerv1.PaymentCaptureResponse {
		return shape.Flat(authorized(r), &partnerv1.PaymentCaptureResponse{})
	})
}

func (a paymentsAPI) check(ctx context.Context, call *app.Call, req *partnerv1.RedeemBalanceCheckRequest) (*partnerv1.RedeemBalanceCheckResponse, error) {
	in := payments.CheckInput{Credential: credentialOf(req.GetCredential()), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency()}
	return pipeline.Run(ctx, call, a.uses.BalanceCheck, in, func(_ *app.Call, c payments.Check) *partnerv1.RedeemBalanceCheckResponse {
		res := &partnerv1.RedeemBalanceCheckResponse{
			CustomerId: c.CustomerID, Currency: c.Currency,
			Spendable: &partnerv1.Spendable{ActualMinor: c.ActualMinor, PromoAvailableMinor: c.PromoMinor},
		}
		if c.Asked {
			res.Sufficient, res.ShortfallMinor = &c.Sufficient, &c.Recovery.ShortfallMinor
		}
		if c.Asked && !c.Sufficient {
			res.Recovery = pipeline.Published(&fault.Error{Recovery: &c.Recovery}).GetRecovery()
		}
		return res
	})
}

func credentialOf(c *partnerv1.Credential) identity.Credential {
	return identity.Credential{Type: identity.CredentialType(c.GetCredentialType()), Value: c.GetValue()}
}
