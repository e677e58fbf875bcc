package returns

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	core "github.com/feddi/feddi/core/returns"
)

// VoidInput names a payment to undo whole.
type VoidInput struct {
	PaymentID string
	Reason    string // for the record; may be empty
}

// Void undoes a debit of the same business day whole: every class and every lot
// gets back what it paid. In an open session the amount is due again; a payment
// alone takes its sale with it (cashback, points), as VoidTransaction does. The
// business day is the calendar day in the merchant's time zone.
// Errors: NOT_FOUND; STATE_CONFLICT where the payment debited nothing, was
// voided or refunded, is of another day, or belongs to a sale that is closed.
func (s *Service) Void(ctx context.Context, call *app.Call, in VoidInput) (Outcome, error) {
	set, err := s.settings(ctx, call)
	if err != nil {
		return Outcome{}, err
	}
	day, err := zone(set)
	if err != nil {
		return Outcome{}, err
	}
	now := s.Clock.Now()
	voidable := func(p ledger.Payment) error { return core.Voidable(p, now, day) }
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Outcome, error) {
		p, err := payment(ctx, st, call, in.PaymentID)
		if err != nil {
			return Outcome{}, err
		}
		of, err := s.sale(ctx, st, p, set, false)
		if err != nil {
			return Outcome{}, err
		}
		o := order{kind: ledger.EntryVoid, reason: in.Reason, actor: actor(call), settings: set, now: now}
		switch {
		case of.open():
			out, err := s.giveBack(ctx, st, p, o, voidable)
			if err != nil {
				return Outcome{}, err
			}
			return out, unpaid(ctx, st, *of.session, out.Return.AmountMinor)
		case of.session != nil:
			return Outcome{}, closed(p, of)
		case of.tx == nil: // it never debited
			return Outcome{}, core.Returnable(p)
		}
		if p, err = st.Ledger.Payment(ctx, p.Tenant, p.ID); err != nil { // as it is under the lock
			return Outcome{}, err
		}
		if err := voidable(p); err != nil {
			return Outcome{}, err
		}
		voided, err := s.undo(ctx, st, call, *of.tx, set, in.Reason)
		if err != nil {
			return Outcome{}, err
		}
		out := voided.Payments[0]
		b, err := st.Ledger.Balance(ctx, p.Tenant, p.CustomerID) // cashback was taken back behind it
		out.Balance = b.At(now)
		return out, err
	})
}

// closed says what to do with a payment of a session that is over.
func closed(p ledger.Payment, of sale) error {
	if err := core.Returnable(p); err != nil && p.Status == ledger.PaymentVoided {
		return err
	}
	if of.tx == nil {
		return fault.Field(fault.CodeStateConflict, "payment_id", "session_open",
			"the session of this payment is %s; refund the payment by POST /refund/create", of.session.State)
	}
	return fault.Field(fault.CodeStateConflict, "payment_id", "session_open",
		"the session of this payment is %s and its sale is recorded; void the sale by POST /transactions/%s/void, or refund the payment by POST /refund/create",
		of.session.State, of.tx.ID).With("transaction_id", "void_transaction", of.tx.ID)
}

// RefundInput says what to give back of a payment.
type RefundInput struct {
	PaymentID   string
	AmountMinor int64  // 0 for all that is left
	Currency    string // the payment's where empty
	Reason      string // for the record; may be empty
}

// Refund gives a payment back in full or in part, any number of times, never
// beyond what it took: actual money first, then the lots from the last spent to
// the first. In an open session the amount is due again; beside a recorded sale
// the sale shows it. What the sale earned stays the customer's: VoidTransaction
// takes that back.
// Errors: NOT_FOUND, CURRENCY_MISMATCH, STATE_CONFLICT where the payment debited
// nothing or was voided, REFUND_EXCEEDS_PAYMENT, which names what is left.
func (s *Service) Refund(ctx context.Context, call *app.Call, in RefundInput) (Outcome, error) {
	set, err := s.settings(ctx, call)
	if err != nil {
		return Outcome{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Outcome, error) {
		p, err := payment(ctx, st, call, in.PaymentID)
		if err != nil {
			return Outcome{}, err
		}
		if in.Currency != "" && in.Currency != p.Currency {
			return Outcome{}, fault.Field(fault.CodeCurrencyMismatch, "currency", "payment_currency", "the payment is in %s", p.Currency)
		}
		return s.refund(ctx, st, p, order{
			kind: ledger.EntryRefund, amountMinor: in.AmountMinor, reason: in.Reason, actor: actor(call), settings: set, now: now,
		})
	})
}

// refund gives back and says so where it belongs: the open session, else the
// recorded sale.
func (s *Service) refund(ctx context.Context, st app.Stores, p ledger.Payment, o order) (Outcome, error) {
	of, err := s.sale(ctx, st, p, o.settings, true)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.giveBack(ctx, st, p, o, nil)
	switch {
	case err != nil:
		return Outcome{}, err
	case of.open():
		return out, unpaid(ctx, st, *of.session, out.Return.AmountMinor)
	case of.tx == nil:
		return out, nil
	}
	of.tx.Standing.RefundedMinor += out.Return.AmountMinor
	return out, st.Checkout.SaveStanding(ctx, *of.tx)
}

// RefundSale gives amountMinor of a recorded sale back over its wallet payments,
// the last one first, in the caller's transaction; for a dispute, whose id is
// the cause. Errors: REFUND_EXCEEDS_PAYMENT where the payments have less left.
func (s *Service) RefundSale(ctx context.Context, st app.Stores, call *app.Call, tx checkout.Transaction, amountMinor int64, cause, reason string) ([]Outcome, error) {
	set, err := s.settings(ctx, call)
	if err != nil {
		return nil, err
	}
	payments, err := lockPayments(ctx, st, tx)
	if err != nil {
		return nil, err
	}
	if left := leftOf(payments); amountMinor > left {
		return nil, fault.Field(fault.CodeRefundExceedsPayment, "amount_minor", "at_most_left",
			"only %d minor units of this sale's wallet payments are left to give back; give back what other tenders paid where it was paid, and resolve with an amount_minor of at most %d or for the merchant", left, left)
	}
	var out []Outcome
	for i := len(payments) - 1; i >= 0 && amountMinor > 0; i-- {
		part := min(amountMinor, left(payments[i]))
		if part == 0 {
			continue
		}
		one, err := s.refund(ctx, st, payments[i], order{
			kind: ledger.EntryRefund, amountMinor: part, cause: cause, reason: reason, actor: actor(call), settings: set, now: s.Clock.Now(),
		})
		if err != nil {
			return nil, err
		}
		out, amountMinor = append(out, one), amountMinor-part
	}
	return out, nil
}

// left is what a payment can still give back.
func left(p ledger.Payment) int64 {
	if core.Returnable(p) != nil {
		return 0
	}
	return p.Paid().LeftMinor()
}

func leftOf(payments []ledger.Payment) int64 {
	var sum int64
	for _, p := range payments {
		sum += left(p)
	}
	return sum
}
