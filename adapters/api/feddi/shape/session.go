package shape

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/checkout"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Session is a session with what belongs to it.
func Session(v sessions.View) *partnerv1.Session {
	s := v.Session
	out := &partnerv1.Session{
		SessionId: s.ID, State: string(s.State), Currency: s.Currency, Origin: s.Origin, Channel: s.Channel,
		Identity: sessionIdentity(v), BasketRevision: int32(s.BasketRevision), TotalMinor: s.TotalMinor(), DiscountMinor: s.DiscountMinor,
		PaidMinor: s.PaidMinor, DueMinor: s.DueMinor(), AppliedOffers: AppliedOffers(v.Offers), MerchantId: s.Tenant.MerchantID,
		BrandId: Optional(s.BrandID), BranchId: Optional(s.BranchID), TerminalId: Optional(s.TerminalID), CashierId: Optional(s.CashierID),
		OpenedAt: timestamppb.New(s.OpenedAt), ExpiresAt: timestamppb.New(s.ExpiresAt), EndedAt: Stamp(s.EndedAt),
		TransactionId: Optional(s.TransactionID),
	}
	if v.Basket != nil {
		out.Basket = Basket(*v.Basket)
	}
	return out
}

func sessionIdentity(v sessions.View) *partnerv1.SessionIdentity {
	if v.Session.CustomerID == "" {
		return nil
	}
	return &partnerv1.SessionIdentity{
		CustomerId: v.Session.CustomerID, CredentialType: v.Session.CredentialType, State: v.CustomerState, Probationary: v.Session.Probationary,
	}
}

// Basket is one revision of a basket.
func Basket(b checkout.Basket) *partnerv1.Basket {
	return &partnerv1.Basket{
		Revision: int32(b.Revision), TotalMinor: b.TotalMinor, SubtotalMinor: b.SubtotalMinor, DiscountMinor: b.DiscountMinor,
		TaxMinor: b.TaxMinor, Currency: b.Currency, Lines: basketLines(b.Lines), CreatedAt: timestamppb.New(b.CreatedAt),
	}
}

func basketLines(lines []checkout.Line) []*partnerv1.BasketLine {
	out := make([]*partnerv1.BasketLine, 0, len(lines))
	for i := range lines {
		out = append(out, BasketLine(&lines[i]))
	}
	return out
}

// BasketLine is one line of a basket; nil where there is none.
func BasketLine(l *checkout.Line) *partnerv1.BasketLine {
	if l == nil {
		return nil
	}
	return &partnerv1.BasketLine{
		LineId: l.LineID, Sku: l.SKU, Name: Optional(l.Name), Category: Optional(l.Category), Quantity: int32(l.Quantity),
		UnitPriceMinor: l.UnitPriceMinor, DiscountMinor: l.DiscountMinor, TaxMinor: l.TaxMinor,
	}
}

// Draft is a basket as the till sent it.
func Draft(lines []*partnerv1.BasketLine, discountMinor, taxMinor int64) checkout.Draft {
	d := checkout.Draft{Lines: make([]checkout.Line, 0, len(lines)), DiscountMinor: discountMinor, TaxMinor: taxMinor}
	for _, l := range lines {
		d.Lines = append(d.Lines, checkout.Line{
			LineID: l.GetLineId(), SKU: l.GetSku(), Name: l.GetName(), Category: l.GetCategory(), Quantity: int64(l.GetQuantity()),
			UnitPriceMinor: l.GetUnitPriceMinor(), DiscountMinor: l.GetDiscountMinor(), TaxMinor: l.GetTaxMinor(),
		})
	}
	return d
}

// AppliedOffers are the offers that a session holds.
func AppliedOffers(offers []checkout.AppliedOffer) []*partnerv1.AppliedOffer {
	out := make([]*partnerv1.AppliedOffer, 0, len(offers))
	for _, o := range offers {
		row := &partnerv1.AppliedOffer{
			ApplicationId: o.ApplicationID, OfferId: o.OfferID, OfferVersion: int32(o.OfferVersion), Kind: o.Kind, Title: o.Title,
			State: o.State, DiscountMinor: o.DiscountMinor, DecisionTraceId: Optional(o.TraceID), AppliedAt: timestamppb.New(o.AppliedAt),
		}
		for _, share := range o.Lines {
			row.AppliesTo = append(row.AppliesTo, &partnerv1.AppliedOfferTarget{LineId: share.LineID})
		}
		out = append(out, row)
	}
	return out
}
