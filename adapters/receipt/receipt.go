// Package receipt prints receipts of record: as text that a till can put on
// its roll, and as PDF. Both print the same rows.
package receipt

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// row is one printed row: a left and a right part, or one of them in the
// middle, or a line across.
type row struct {
	left, right string
	style       style
}

type style int

const (
	plain  style = iota
	strong       // bold on paper
	indent       // belongs to the row above
	centre       // left in the middle
	title        // as centre, large
	rule         // a thin line across
	double       // a double line across
)

// rows lays out a receipt. The two money classes of a wallet tender stand on
// rows of their own and are never summed (rule 22).
func rows(r checkout.Receipt) []row {
	var out []row
	out = append(out, head(r)...)
	out = append(out, row{style: rule})
	for _, l := range r.Lines {
		out = append(out, line(l, r.Currency)...)
	}
	if len(r.Lines) > 0 {
		out = append(out, row{style: rule})
	}
	out = append(out, totals(r)...)
	for _, t := range r.Tenders {
		out = append(out, tender(t, r.Currency)...)
	}
	out = append(out, cashback(r)...)
	return append(out, row{style: rule}, row{left: r.TransactionID, style: centre})
}

func head(r checkout.Receipt) []row {
	out := []row{{left: r.Issuer.MerchantName, style: title}}
	for _, s := range []string{r.Issuer.BranchName, r.Issuer.Address} {
		if s != "" && s != r.Issuer.MerchantName {
			out = append(out, row{left: s, style: centre})
		}
	}
	if r.Issuer.TaxID != "" {
		out = append(out, row{left: "Tax no. " + r.Issuer.TaxID, style: centre})
	}
	switch r.Status {
	case checkout.Voided:
		out = append(out, row{left: "*** VOIDED ***", style: title})
	case checkout.Refunded:
		out = append(out, row{left: "*** REFUNDED ***", style: title})
	case checkout.PartiallyRefunded:
		out = append(out, row{left: "*** PARTLY REFUNDED ***", style: centre})
	case checkout.Completed:
	}
	out = append(out, row{style: plain}, row{left: "Receipt " + r.Number, right: at(r).Format("2006-01-02 15:04")})
	if r.CashierID != "" {
		out = append(out, row{left: "Cashier " + r.CashierID})
	}
	return out
}

func line(l checkout.ReceiptLine, currency string) []row {
	gross := figure(l.Quantity*l.UnitPriceMinor, currency)
	if l.Quantity == 1 {
		return []row{{left: l.Name, right: gross}}
	}
	return []row{{left: l.Name}, {left: fmt.Sprintf("%d x %s", l.Quantity, figure(l.UnitPriceMinor, currency)), right: gross, style: indent}}
}

func totals(r checkout.Receipt) []row {
	var out []row
	if r.SubtotalMinor != r.TotalMinor || len(r.Discounts) > 0 {
		out = append(out, row{left: "Subtotal", right: figure(r.SubtotalMinor, r.Currency)})
	}
	for _, d := range r.Discounts {
		out = append(out, row{left: d.Title, right: figure(-d.AmountMinor, r.Currency)})
	}
	if r.TaxMinor != 0 {
		out = append(out, row{left: "Tax", right: figure(r.TaxMinor, r.Currency)})
	}
	return append(out, row{left: "TOTAL " + r.Currency, right: figure(r.TotalMinor, r.Currency), style: strong}, row{style: double})
}

// tenders are the words for what was paid with.
var tenders = map[string]string{
	"cash": "Cash", "card": "Card", "gift_card": "Gift card", "voucher": "Voucher", "bank_transfer": "Bank transfer", "other": "Other",
}

func tender(t checkout.Paid, currency string) []row {
	if t.Type == checkout.Wallet {
		var out []row
		if t.DebitedPromoMinor > 0 {
			out = append(out, row{left: "Wallet, promotional credit", right: figure(t.DebitedPromoMinor, currency)})
		}
		if t.DebitedActualMinor > 0 {
			out = append(out, row{left: "Wallet, own money", right: figure(t.DebitedActualMinor, currency)})
		}
		return out
	}
	name, known := tenders[t.Type]
	if !known {
		name = t.Type
	}
	if t.CardScheme != "" {
		name += " " + t.CardScheme
	}
	if t.CardLastFour != "" {
		name += " ..." + t.CardLastFour
	}
	out := []row{{left: name, right: figure(t.AmountMinor, currency)}}
	if t.Reference != "" {
		out = append(out, row{left: "Ref. " + t.Reference, style: indent})
	}
	return out
}

func cashback(r checkout.Receipt) []row {
	if r.CashbackMinor == 0 {
		return nil
	}
	out := []row{{style: rule}, {left: "Cashback earned", right: figure(r.CashbackMinor, r.Currency), style: strong}}
	note := "as promotional credit"
	if r.CashbackState == string(ledger.Locked) {
		note += ", yours once your phone is verified"
	}
	if r.CashbackExpiresAt != nil {
		note += ", until " + r.CashbackExpiresAt.In(zone(r)).Format(time.DateOnly)
	}
	return append(out, row{left: note, style: indent})
}

func at(r checkout.Receipt) time.Time { return r.IssuedAt.In(zone(r)) }

func zone(r checkout.Receipt) *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

// figure writes minor units for people: 1275 in USD is "12.75".
func figure(minor int64, currency string) string {
	sign := ""
	digits := strconv.FormatInt(minor, 10)
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	exponent := money.Currency(currency).Exponent()
	if exponent == 0 {
		return sign + digits
	}
	if short := exponent + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	return sign + digits[:len(digits)-exponent] + "." + digits[len(digits)-exponent:]
}

// printable is s as a printer may have it: without control characters, which
// a till would take for commands, and without what is not text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Co, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, s)
}
