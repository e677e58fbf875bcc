package feddi

import (
	"context"
	"net/http"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/receipts"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// TransactionsDeps is what the transactions domain needs.
type TransactionsDeps struct {
	Transactions *transactions.Service
	Receipts     *receipts.Service
	// Text and PDF print receipts.
	Text func(checkout.Receipt) []byte
	PDF  func(checkout.Receipt) ([]byte, error)
}

// transactionsAPI answers TransactionsService.
type transactionsAPI struct{ TransactionsDeps }

// RegisterTransactions mounts the transactions domain.
func RegisterTransactions(reg *pipeline.Registry, d TransactionsDeps) {
	a := transactionsAPI{d}
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceListTransactionsProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceGetTransactionProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceReportAttributionProcedure, a.report)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceSendReceiptProcedure, a.send)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceGetReceiptProcedure, a.receipt,
		pipeline.Represented("text/plain", a.text), pipeline.Represented("application/pdf", a.pdf))
}

func (a transactionsAPI) send(ctx context.Context, call *app.Call, req *partnerv1.SendReceiptRequest) (*partnerv1.SendReceiptResponse, error) {
	in := receipts.SendInput{TransactionID: req.GetTransactionId(), Channel: req.GetChannel()}
	return pipeline.Run(ctx, call, a.Receipts.Send, in, func(_ *app.Call, m receipts.Queued) *partnerv1.SendReceiptResponse {
		return &partnerv1.SendReceiptResponse{
			MessageId: m.ID, TransactionId: m.TransactionID, Channel: m.Channel, MaskedDestination: m.MaskedDestination,
			State: string(m.State), CreatedAt: shape.Stamp(&m.CreatedAt),
		}
	})
}

func (a transactionsAPI) list(ctx context.Context, call *app.Call, req *partnerv1.ListTransactionsRequest) (*partnerv1.ListTransactionsResponse, error) {
	in := transactions.ListInput{
		IntegrationID: req.GetIntegrationId(), IncludeUnidentified: req.GetIncludeUnidentified(), Status: req.GetStatus(),
		BranchID: req.GetBranchId(), TerminalID: req.GetTerminalId(), CustomerID: req.GetCustomerId(), SessionID: req.GetSessionId(),
		CreatedFrom: shape.Moment(req.GetCreatedAfter()), CreatedBefore: shape.Moment(req.GetCreatedBefore()),
		Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.Transactions.List, in, func(_ *app.Call, p transactions.Page) *partnerv1.ListTransactionsResponse {
		res := &partnerv1.ListTransactionsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, tx := range p.Transactions {
			res.Transactions = append(res.Transactions, shape.TransactionSummary(tx))
		}
		return res
	})
}

func (a transactionsAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetTransactionRequest) (*partnerv1.GetTransactionResponse, error) {
	in := transactions.GetInput{IntegrationID: req.GetIntegrationId(), TransactionID: req.GetTransactionId()}
	return pipeline.Run(ctx, call, a.Transactions.Get, in, func(_ *app.Call, v transactions.View) *partnerv1.GetTransactionResponse {
		return shape.Flat(shape.Transaction(v), &partnerv1.GetTransactionResponse{})
	})
}

func (a transactionsAPI) receipt(ctx context.Context, call *app.Call, req *partnerv1.GetReceiptRequest) (*partnerv1.GetReceiptResponse, error) {
	in := transactions.ReceiptInput{TransactionID: req.GetTransactionId()}
	return pipeline.Run(ctx, call, a.Transactions.Receipt, in, func(_ *app.Call, v transactions.ReceiptView) *partnerv1.GetReceiptResponse {
		return shape.Receipt(v)
	})
}

func (a transactionsAPI) report(ctx context.Context, call *app.Call, req *partnerv1.ReportAttributionRequest) (*partnerv1.ReportAttributionResponse, error) {
	in := transactions.ReportInput{TransactionID: req.GetTransactionId()}
	for _, e := range req.GetExposures() {
		in.Exposures = append(in.Exposures, transactions.Reported{
			OfferID: e.GetOfferId(), TraceID: e.GetDecisionTraceId(), Outcome: e.GetOutcome(), ShownAt: shape.Moment(e.GetShownAt()),
		})
	}
	return pipeline.Run(ctx, call, a.Transactions.Report, in, func(call *app.Call, v transactions.ReportView) *partnerv1.ReportAttributionResponse {
		if !v.Added {
			pipeline.SetStatus(call, http.StatusOK)
		}
		return shape.Flat(shape.Report(v.Report, v.Offers), &partnerv1.ReportAttributionResponse{Meta: pipeline.Trace(v.TraceID)})
	})
}

func (a transactionsAPI) text(ctx context.Context, call *app.Call, res *partnerv1.GetReceiptResponse) ([]byte, error) {
	return a.Text(a.printed(ctx, call, res)), nil
}

func (a transactionsAPI) pdf(ctx context.Context, call *app.Call, res *partnerv1.GetReceiptResponse) ([]byte, error) {
	return a.PDF(a.printed(ctx, call, res))
}

// printed is a receipt as it is printed: what was answered, with times in the
// merchant's zone.
func (a transactionsAPI) printed(ctx context.Context, call *app.Call, res *partnerv1.GetReceiptResponse) checkout.Receipt {
	r := shape.ReceiptOf(res)
	r.Zone = a.Transactions.Zone(ctx, call.Tenant)
	return r
}
