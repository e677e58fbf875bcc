package shape

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/money"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Transaction is a transaction whole.
func Transaction(v transactions.View) *partnerv1.Transaction {
	tx := v.Transaction
	out := &partnerv1.Transaction{
		TransactionId: tx.ID, ReceiptNumber: tx.ReceiptNumber, Status: string(tx.Status()), Origin: tx.Origin,
		Channel: Optional(tx.Channel), SessionId: Optional(tx.SessionID), MerchantId: tx.Tenant.MerchantID,
		BrandId: Optional(tx.BrandID), BranchId: Optional(tx.BranchID), TerminalId: Optional(tx.TerminalID), CashierId: Optional(tx.CashierID),
		Customer: buyer(tx.Buyer), Currency: tx.Currency, SubtotalMinor: tx.SubtotalMinor, BasketDiscountMinor: tx.BasketDiscountMinor,
		TaxMinor: tx.TaxMinor, DiscountMinor: tx.DiscountMinor, TotalMinor: tx.TotalMinor, Lines: basketLines(tx.Lines),
		AppliedOffers: AppliedOffers(tx.Offers), Tenders: paidTenders(tx.Tenders), MoneyMovement: moneyMovements(tx.Movements()),
		Cashback: transactionCashback(v), Attribution: attributionMessage(tx), DecisionTraceId: Optional(tx.TraceID),
		RefundedMinor: tx.Standing.RefundedMinor, VoidedAt: Stamp(tx.Standing.VoidedAt), CreatedAt: timestamppb.New(tx.CreatedAt),
	}
	if v.Reported != nil {
		out.PartnerAttribution = Report(*v.Reported, transactions.Credited(tx, *v.Reported))
	}
	return out
}

// Report is what partners reported about a sale.
func Report(r checkout.AttributionReport, offers []checkout.CreditedOffer) *partnerv1.Attribution {
	out := &partnerv1.Attribution{
		AttributionId: r.ID, TransactionId: r.TransactionID, Source: "partner", CreatedAt: timestamppb.New(r.CreatedAt),
	}
	for _, o := range offers {
		out.Offers = append(out.Offers, &partnerv1.AttributedOffer{
			OfferId: o.OfferID, DecisionTraceId: o.TraceID, Outcome: o.Outcome, AttributedMinor: o.AttributedMinor,
			DiscountMinor: o.DiscountMinor, Reasoning: cardMessage(o.Card),
		})
	}
	return out
}

// TransactionSummary is a transaction as lists show it.
func TransactionSummary(tx checkout.Transaction) *partnerv1.TransactionSummary {
	out := &partnerv1.TransactionSummary{
		TransactionId: tx.ID, ReceiptNumber: tx.ReceiptNumber, Status: string(tx.Status()), Origin: tx.Origin,
		SessionId: Optional(tx.SessionID), MerchantId: tx.Tenant.MerchantID, BrandId: Optional(tx.BrandID), BranchId: Optional(tx.BranchID),
		TerminalId: Optional(tx.TerminalID), Customer: buyer(tx.Buyer), Currency: tx.Currency, DiscountMinor: tx.DiscountMinor,
		TotalMinor: tx.TotalMinor, RefundedMinor: tx.Standing.RefundedMinor, TenderTypes: tx.TenderTypes(), CreatedAt: timestamppb.New(tx.CreatedAt),
	}
	if r := tx.Ruling(actuation.KindCashback); r != nil && r.State == checkout.Committed {
		out.CashbackMinor = r.AmountMinor
	}
	return out
}

func buyer(b checkout.Buyer) *partnerv1.TransactionCustomer {
	if b.CustomerID == "" {
		return nil
	}
	return &partnerv1.TransactionCustomer{
		CustomerId: b.CustomerID, State: b.State, CredentialType: Optional(b.CredentialType), Probationary: b.Probationary,
	}
}

func paidTenders(tenders []checkout.Paid) []*partnerv1.TransactionTender {
	out := make([]*partnerv1.TransactionTender, 0, len(tenders))
	for _, t := range tenders {
		out = append(out, &partnerv1.TransactionTender{
			Type: t.Type, AmountMinor: t.AmountMinor, PaymentId: Optional(t.PaymentID), Reference: Optional(t.Reference),
			DebitedPromoMinor: t.DebitedPromoMinor, DebitedActualMinor: t.DebitedActualMinor,
			CardScheme: Optional(t.CardScheme), CardLastFour: Optional(t.CardLastFour),
		})
	}
	return out
}

func moneyMovements(moved []checkout.Movement) []*partnerv1.MoneyMovement {
	out := make([]*partnerv1.MoneyMovement, 0, len(moved))
	for _, m := range moved {
		out = append(out, &partnerv1.MoneyMovement{
			MoneyClass: string(m.Class), DebitedMinor: m.DebitedMinor, CreditedMinor: m.CreditedMinor, EntryIds: m.EntryIDs,
		})
	}
	return out
}

// transactionCashback is what a sale earned; nil where none was granted. The
// rate is shown where it explains the amount.
func transactionCashback(v transactions.View) *partnerv1.TransactionCashback {
	r := v.Transaction.Ruling(actuation.KindCashback)
	if r == nil || v.Cashback == nil {
		return nil
	}
	out := &partnerv1.TransactionCashback{
		AmountMinor: r.AmountMinor, GrantId: v.Cashback.ID, State: string(v.Cashback.State), ExpiresAt: Stamp(v.Cashback.ExpiresAt),
	}
	if money.BasisPoints(v.Transaction.TotalMinor, r.PercentBP) == r.AmountMinor {
		rate := int32(r.PercentBP)
		out.PercentBp = &rate
	}
	return out
}

func attributionMessage(tx checkout.Transaction) *partnerv1.Attribution {
	r := tx.Ruling(actuation.KindAttribution)
	if r == nil || r.State != checkout.Committed {
		return nil
	}
	out := &partnerv1.Attribution{
		AttributionId: r.AttributionID, TransactionId: tx.ID, Source: "system", CreatedAt: Stamp(r.DecidedAt),
	}
	for _, o := range r.Offers {
		out.Offers = append(out.Offers, &partnerv1.AttributedOffer{
			OfferId: o.OfferID, DecisionTraceId: o.TraceID, Outcome: o.Outcome, AttributedMinor: o.AttributedMinor, DiscountMinor: o.DiscountMinor,
		})
	}
	return out
}

// Receipt is the receipt of record as JSON has it.
func Receipt(v transactions.ReceiptView) *partnerv1.GetReceiptResponse {
	r := v.Receipt
	out := &partnerv1.GetReceiptResponse{
		TransactionId: r.TransactionID, ReceiptNumber: r.Number, Status: string(r.Status), Currency: r.Currency,
		Issuer: &partnerv1.ReceiptParty{
			MerchantId: r.Issuer.MerchantID, MerchantName: r.Issuer.MerchantName, BranchName: Optional(r.Issuer.BranchName),
			Address: Optional(r.Issuer.Address), TaxId: Optional(r.Issuer.TaxID),
		},
		SubtotalMinor: r.SubtotalMinor, DiscountMinor: r.DiscountMinor, TaxMinor: r.TaxMinor, TotalMinor: r.TotalMinor, RefundedMinor: r.RefundedMinor,
		Tenders: paidTenders(r.Tenders), Cashback: transactionCashback(v.View), SessionId: Optional(r.SessionID),
		TerminalId: Optional(r.TerminalID), CashierId: Optional(r.CashierID), CustomerId: Optional(r.CustomerID),
		Locale: r.Locale, IssuedAt: timestamppb.New(r.IssuedAt),
	}
	for _, l := range r.Lines {
		out.Lines = append(out.Lines, &partnerv1.ReceiptLine{
			Name: l.Name, Sku: l.SKU, Quantity: int32(l.Quantity), UnitPriceMinor: l.UnitPriceMinor,
			DiscountMinor: l.DiscountMinor, TaxMinor: l.TaxMinor, TotalMinor: l.TotalMinor,
		})
	}
	for _, d := range r.Discounts {
		out.Discounts = append(out.Discounts, &partnerv1.ReceiptDiscount{Title: d.Title, AmountMinor: d.AmountMinor, OfferId: Optional(d.OfferID)})
	}
	return out
}

// ReceiptOf is the receipt that receiptMessage wrote, so that every
// representation prints what JSON says.
func ReceiptOf(res *partnerv1.GetReceiptResponse) checkout.Receipt {
	issuer := res.GetIssuer()
	r := checkout.Receipt{
		TransactionID: res.GetTransactionId(), Number: res.GetReceiptNumber(), Status: checkout.Status(res.GetStatus()), Currency: res.GetCurrency(),
		Issuer: checkout.Issuer{
			MerchantID: issuer.GetMerchantId(), MerchantName: issuer.GetMerchantName(), BranchName: issuer.GetBranchName(),
			Address: issuer.GetAddress(), TaxID: issuer.GetTaxId(),
		},
		SubtotalMinor: res.GetSubtotalMinor(), DiscountMinor: res.GetDiscountMinor(), TaxMinor: res.GetTaxMinor(), TotalMinor: res.GetTotalMinor(), RefundedMinor: res.GetRefundedMinor(),
		CashbackMinor: res.GetCashback().GetAmountMinor(), CashbackState: res.GetCashback().GetState(),
		SessionID: res.GetSessionId(), TerminalID: res.GetTerminalId(), CashierID: res.GetCashierId(), CustomerID: res.GetCustomerId(),
		Locale: res.GetLocale(), IssuedAt: res.GetIssuedAt().AsTime(),
	}
	if until := res.GetCashback().GetExpiresAt(); until != nil {
		at := until.AsTime()
		r.CashbackExpiresAt = &at
	}
	for _, l := range res.GetLines() {
		r.Lines = append(r.Lines, checkout.ReceiptLine{
			Name: l.GetName(), SKU: l.GetSku(), Quantity: int64(l.GetQuantity()), UnitPriceMinor: l.GetUnitPriceMinor(),
			DiscountMinor: l.GetDiscountMinor(), TaxMinor: l.GetTaxMinor(), TotalMinor: l.GetTotalMinor(),
		})
	}
	for _, d := range res.GetDiscounts() {
		r.Discounts = append(r.Discounts, checkout.ReceiptDiscount{Title: d.GetTitle(), AmountMinor: d.GetAmountMinor(), OfferID: d.GetOfferId()})
	}
	for _, t := range res.GetTenders() {
		r.Tenders = append(r.Tenders, checkout.Paid{
			Tender: checkout.Tender{
				Type: t.GetType(), AmountMinor: t.GetAmountMinor(), PaymentID: t.GetPaymentId(), Reference: t.GetReference(),
				CardScheme: t.GetCardScheme(), CardLastFour: t.GetCardLastFour(),
			},
			DebitedPromoMinor: t.GetDebitedPromoMinor(), DebitedActualMinor: t.GetDebitedActualMinor(),
		})
	}
	return r
}
