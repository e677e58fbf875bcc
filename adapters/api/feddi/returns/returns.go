// Package returns answers the operations by which money goes back: the void and
// the refund of a payment, the void of a sale, the reversal of a top-up, and
// disputes.
package returns

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/disputes"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// api answers what gives money back.
type api struct {
	returns  *returns.Service
	disputes *disputes.Service
}

// Register mounts the operations.
func Register(reg *pipeline.Registry, uses *returns.Service, contests *disputes.Service) {
	a := api{uses, contests}
	pipeline.Handle(reg, partnerv1connect.PaymentsServiceRedeemVoidProcedure, a.void)
	pipeline.Handle(reg, partnerv1connect.PaymentsServiceRefundCreateProcedure, a.refund)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceVoidTransactionProcedure, a.voidTransaction)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceOpenDisputeProcedure, a.open)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceListDisputesProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceGetDisputeProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceResolveDisputeProcedure, a.resolve)
}

func (a api) void(ctx context.Context, call *app.Call, req *partnerv1.RedeemVoidRequest) (*partnerv1.RedeemVoidResponse, error) {
	in := returns.VoidInput{PaymentID: req.GetPaymentId(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.returns.Void, in, func(_ *app.Call, o returns.Outcome) *partnerv1.RedeemVoidResponse {
		p, r := o.Payment, o.Return
		return &partnerv1.RedeemVoidResponse{
			PaymentId: p.ID, Status: string(p.Status), AmountMinor: r.AmountMinor, RestoredPromoMinor: r.PromoMinor,
			RestoredActualMinor: r.ActualMinor, ForfeitedPromoMinor: r.ForfeitedMinor, Currency: r.Currency,
			SessionId: shape.Optional(p.SessionID), CustomerId: p.CustomerID, PromoSources: sources(r.Sources),
			Balance: shape.Balance(o.Balance), Reason: shape.Optional(r.Reason), VoidedAt: timestamppb.New(r.At),
		}
	})
}

func (a api) refund(ctx context.Context, call *app.Call, req *partnerv1.RefundCreateRequest) (*partnerv1.RefundCreateResponse, error) {
	in := returns.RefundInput{PaymentID: req.GetPaymentId(), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.returns.Refund, in, func(_ *app.Call, o returns.Outcome) *partnerv1.RefundCreateResponse {
		p, r := o.Payment, o.Return
		return &partnerv1.RefundCreateResponse{
			RefundId: r.ID, PaymentId: p.ID, Status: "succeeded", PaymentStatus: string(p.Status), AmountMinor: r.AmountMinor,
			RestoredPromoMinor: r.PromoMinor, RestoredActualMinor: r.ActualMinor, ForfeitedPromoMinor: r.ForfeitedMinor,
			RefundedMinor: p.RefundedMinor, Currency: r.Currency, CustomerId: p.CustomerID, PromoSources: sources(r.Sources),
			Balance: shape.Balance(o.Balance), Reason: shape.Optional(r.Reason), CreatedAt: timestamppb.New(r.At),
		}
	})
}

func sources(list []ledger.PromoSource) []*partnerv1.PromoSource {
	out := make([]*partnerv1.PromoSource, 0, len(list))
	for _, s := range list {
		out = append(out, &partnerv1.PromoSource{GrantId: s.GrantID, AmountMinor: s.AmountMinor})
	}
	return out
}

func (a api) voidTransaction(ctx context.Context, call *app.Call, req *partnerv1.VoidTransactionRequest) (*partnerv1.VoidTransactionResponse, error) {
	in := returns.VoidTransactionInput{TransactionID: req.GetTransactionId(), Reason: req.GetReason()}
	return pipeline.Run(ctx, call, a.returns.VoidTransaction, in, func(_ *app.Call, v returns.Voided) *partnerv1.VoidTransactionResponse {
		res := shape.Flat(shape.Transaction(v.View), &partnerv1.VoidTransactionResponse{})
		for _, r := range v.Void.Reversals {
			res.Reversals = append(res.Reversals, reversal(r))
		}
		return res
	})
}

func reversal(r checkout.Reversal) *partnerv1.TransactionReversal {
	return &partnerv1.TransactionReversal{
		Type: string(r.Type), ReferenceId: r.ReferenceID, AmountMinor: r.AmountMinor, ForfeitedPromoMinor: r.ForfeitedMinor,
		EntryId: shape.Optional(r.EntryID), UnrecoveredMinor: r.UnrecoveredMinor,
	}
}
