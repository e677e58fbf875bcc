package feddi

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// authorized is a payment as paymentAuthorize answers it; the other payment
// operations answer the same fields.
func authorized(r payments.Result) *partnerv1.PaymentAuthorizeResponse {
	p := &r.Payment
	res := &partnerv1.PaymentAuthorizeResponse{
		PaymentId: p.ID, Status: string(p.Status), AmountMinor: p.AmountMinor,
		DebitedPromoMinor: p.Debit.PromoMinor(), DebitedActualMinor: p.Debit.ActualMinor, RefundedMinor: p.RefundedMinor,
		Currency: p.Currency, SessionId: shape.Optional(p.SessionID), CustomerId: p.CustomerID, TransactionId: shape.Optional(p.TransactionID),
		CredentialType: p.CredentialType, PromoSources: promoSources(p.Debit.Sources), Balance: shape.Balance(r.Balance),
		FailureCode: shape.Optional(p.FailureCode), CreatedAt: timestamppb.New(p.CreatedAt), CapturedAt: shape.Stamp(p.CapturedAt),
	}
	if p.Status == ledger.PaymentRequiresCapture && p.Code != nil {
		left := int32(p.Code.AttemptsLeft())
		res.ExpiresAt, res.AttemptsLeft = timestamppb.New(p.Code.ExpiresAt), &left
		if r.SandboxCode != "" {
			res.Sandbox = &partnerv1.PaymentSandbox{Code: r.SandboxCode}
		}
	}
	if p.EntryID != "" {
		res.Meta = pipeline.Trace(ledger.TraceID(p.ID))
	}
	return res
}

func promoSources(list []ledger.PromoSource) []*partnerv1.PromoSource {
	out := make([]*partnerv1.PromoSource, 0, len(list))
	for _, s := range list {
		out = append(out, &partnerv1.PromoSource{GrantId: s.GrantID, AmountMinor: s.AmountMinor})
	}
	return out
}
