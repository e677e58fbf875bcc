package checkout

import (
	"time"

	"github.com/feddi/feddi/core/actuation"
)

// Receipt is the receipt of record: what the customer is told of a sale. Every
// transaction has one whatever its tenders (rule 56). SubtotalMinor -
// DiscountMinor + TaxMinor = TotalMinor, which the tenders add up to.
type Receipt struct {
	TransactionID, Number string
	Status                Status
	Issuer                Issuer
	Currency              string
	Lines                 []ReceiptLine
	Discounts             []ReceiptDiscount
	SubtotalMinor         int64
	DiscountMinor         int64
	TaxMinor              int64
	TotalMinor            int64
	RefundedMinor         int64 // since, by refunds
	Tenders               []Paid
	// CashbackMinor is what the sale earned as promotional credit: a class of
	// its own, never taken off the total. 0 where none was decided yet.
	CashbackMinor     int64
	CashbackState     string // of its grant: LOCKED, RELEASED, ...
	CashbackExpiresAt *time.Time
	SessionID         string
	TerminalID        string
	CashierID         string
	CustomerID        string
	Locale            string
	IssuedAt          time.Time
	// Zone is where the sale was made; printed times are in it. nil means UTC.
	Zone *time.Location
}

// Issuer is who gives the receipt. Empty members are not known.
type Issuer struct{ MerchantID, MerchantName, BranchName, Address, TaxID string }

// ReceiptLine is one printed line, at its price before discounts.
type ReceiptLine struct {
	Name, SKU      string
	Quantity       int64
	UnitPriceMinor int64
	DiscountMinor  int64 // the till's on this line, and the offers' share of it
	TaxMinor       int64
	TotalMinor     int64 // quantity times unit price less DiscountMinor
}

// ReceiptDiscount is one discount as the customer reads it.
type ReceiptDiscount struct {
	Title       string
	AmountMinor int64
	OfferID     string // empty for a discount of the till
}

// ReceiptLocale is the language that receipts are written in.
const ReceiptLocale = "en"

// Receipt writes the receipt of t.
func (t Transaction) Receipt(by Issuer) Receipt {
	r := Receipt{
		TransactionID: t.ID, Number: t.ReceiptNumber, Status: t.Status(), Issuer: by, Currency: t.Currency,
		SubtotalMinor: t.SubtotalMinor, DiscountMinor: t.BasketDiscountMinor + t.DiscountMinor, TaxMinor: t.TaxMinor,
		TotalMinor: t.TotalMinor, RefundedMinor: t.Standing.RefundedMinor, Tenders: t.Tenders, SessionID: t.SessionID, TerminalID: t.TerminalID,
		CashierID: t.CashierID, CustomerID: t.Buyer.CustomerID, Locale: ReceiptLocale, IssuedAt: t.CreatedAt,
	}
	for _, l := range t.Lines {
		r.Lines = append(r.Lines, l.receipt(t.offered(l.LineID)))
	}
	if t.BasketDiscountMinor > 0 {
		r.Discounts = append(r.Discounts, ReceiptDiscount{Title: "Discount", AmountMinor: t.BasketDiscountMinor})
	}
	for _, o := range t.Offers {
		if o.DiscountMinor > 0 {
			r.Discounts = append(r.Discounts, ReceiptDiscount{Title: o.Title, AmountMinor: o.DiscountMinor, OfferID: o.OfferID})
		}
	}
	if c := t.Ruling(actuation.KindCashback); c != nil && c.State == Committed {
		r.CashbackMinor = c.AmountMinor
	}
	return r
}

// offered is what offers took off a line.
func (t Transaction) offered(lineID string) int64 {
	var sum int64
	for _, o := range t.Offers {
		for _, share := range o.Lines {
			if share.LineID == lineID {
				sum += share.DiscountMinor
			}
		}
	}
	return sum
}

func (l Line) receipt(offered int64) ReceiptLine {
	name := l.Name
	if name == "" {
		name = l.SKU
	}
	return ReceiptLine{
		Name: name, SKU: l.SKU, Quantity: l.Quantity, UnitPriceMinor: l.UnitPriceMinor,
		DiscountMinor: l.DiscountMinor + offered, TaxMinor: l.TaxMinor, TotalMinor: l.GrossMinor() - l.DiscountMinor - offered,
	}
}
