package checkout

import (
	"errors"
	"fmt"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

// errDiscount says that offers took off more than the basket costs; their
// valuation is capped, so this is a defect.
var errDiscount = errors.New("checkout: applied offers exceed the basket")

// MaxTenders bounds the tenders of a sale.
const MaxTenders = 50

// Wallet is the tender type that names a wallet payment. All other types
// (cash, card, gift_card, voucher, bank_transfer, other) are recorded as told.
const Wallet = "wallet"

// Tender is one way in which a sale is paid, as the till tells it.
type Tender struct {
	Type         string `json:"type"`
	AmountMinor  int64  `json:"amount_minor"`
	PaymentID    string `json:"payment_id,omitempty"` // for Wallet, and only there
	Reference    string `json:"reference,omitempty"`
	CardScheme   string `json:"card_scheme,omitempty"`
	CardLastFour string `json:"card_last_four,omitempty"`
}

// Payment is a succeeded wallet payment as a sale needs to know it. The two
// debits are what it took, by class; refunds and voids before the sale are
// taken off already.
type Payment struct {
	ID                 string
	CustomerID         string
	DebitedPromoMinor  int64
	DebitedActualMinor int64
	EntryIDs           []string
}

// AmountMinor is what the payment covers of a sale.
func (p Payment) AmountMinor() int64 { return p.DebitedPromoMinor + p.DebitedActualMinor }

// Paid is a tender as the transaction records it: a wallet tender with what it
// took of each money class.
type Paid struct {
	Tender
	DebitedPromoMinor  int64    `json:"debited_promo_minor,omitempty"`
	DebitedActualMinor int64    `json:"debited_actual_minor,omitempty"`
	EntryIDs           []string `json:"entry_ids,omitempty"`
}

// Settle matches tenders with the payments of a session whose total is
// totalMinor: they add up to it, each wallet tender is one payment of the
// session in its whole amount, and no payment is left out.
// Errors: VALIDATION_FAILED (shape of one tender), TENDERS_MISMATCH.
func Settle(totalMinor int64, tenders []Tender, payments []Payment) ([]Paid, error) {
	if len(tenders) > MaxTenders {
		return nil, fault.Field(fault.CodeValidationFailed, "tenders", "max_items", "a sale takes at most %d tenders", MaxTenders)
	}
	open := make(map[string]Payment, len(payments))
	for _, p := range payments {
		open[p.ID] = p
	}
	paid := make([]Paid, 0, len(tenders))
	var sum int64
	for i, t := range tenders {
		path := fmt.Sprintf("tenders[%d]", i)
		if err := t.validate(path); err != nil {
			return nil, err
		}
		p := Paid{Tender: t}
		if t.Type == Wallet {
			payment, ok := open[t.PaymentID]
			if !ok {
				return nil, mismatch(path+".payment_id", "payment_of_session", "%s is no succeeded payment of this session, or stands twice", t.PaymentID)
			}
			if payment.AmountMinor() != t.AmountMinor {
				return nil, mismatch(path+".amount_minor", "whole_payment", "payment %s covers %d, not %d", t.PaymentID, payment.AmountMinor(), t.AmountMinor)
			}
			delete(open, t.PaymentID)
			p.DebitedPromoMinor, p.DebitedActualMinor, p.EntryIDs = payment.DebitedPromoMinor, payment.DebitedActualMinor, payment.EntryIDs
		}
		paid = append(paid, p)
		var err error
		if sum, err = money.Add(sum, t.AmountMinor); err != nil {
			return nil, mismatch(path, "sum", "the tenders overflow")
		}
	}
	for _, p := range payments {
		if _, left := open[p.ID]; left {
			return nil, mismatch("tenders", "every_payment", "payment %s of this session is missing; name it as a wallet tender of %d", p.ID, p.AmountMinor())
		}
	}
	if sum != totalMinor {
		return nil, mismatch("tenders", "sum", "the tenders add up to %d; the session's total is %d", sum, totalMinor)
	}
	return paid, nil
}

func (t Tender) validate(path string) error {
	switch {
	case t.AmountMinor < 1 || t.AmountMinor > money.MaxMinor:
		return fault.Field(fault.CodeValidationFailed, path+".amount_minor", "range", "amount_minor must be 1 to %d", money.MaxMinor)
	case t.Type == Wallet && t.PaymentID == "":
		return fault.Field(fault.CodeValidationFailed, path+".payment_id", "required_for_wallet", "a wallet tender names its payment")
	case t.Type != Wallet && t.PaymentID != "":
		return fault.Field(fault.CodeValidationFailed, path+".payment_id", "wallet_only", "only a wallet tender names a payment")
	case t.Type != "card" && (t.CardScheme != "" || t.CardLastFour != ""):
		return fault.Field(fault.CodeValidationFailed, path+".card_last_four", "card_only", "only a card tender has a scheme and last digits")
	}
	return nil
}

func mismatch(field, rule, format string, args ...any) error {
	return fault.Field(fault.CodeTendersMismatch, field, rule, format, args...)
}
