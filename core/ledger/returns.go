package ledger

import (
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Return is one time that something went back of a payment: a void or a refund.
// ActualMinor + PromoMinor + ForfeitedMinor = AmountMinor.
type Return struct {
	ID        string // ref_ or vod_
	Tenant    tenancy.Tenant
	PaymentID string
	Kind      EntryKind // EntryVoid or EntryRefund
	// AmountMinor is what went back, ActualMinor to actual money, PromoMinor to
	// lots, ForfeitedMinor to the funders of lots clawed back since.
	AmountMinor, ActualMinor, PromoMinor, ForfeitedMinor int64
	Sources                                              []PromoSource // what came back to each lot, last spent first
	Currency                                             string
	EntryID                                              string // the contra entry
	CauseID                                              string // the voided transaction or the dispute behind it; may be empty
	ActorID                                              string // the key or terminal that asked
	Reason                                               string // may be empty
	At                                                   time.Time
}

// GiveBack is p after amountMinor went back of it by a void or a refund.
func (p Payment) GiveBack(kind EntryKind, amountMinor int64) Payment {
	p.RefundedMinor += amountMinor
	switch {
	case kind == EntryVoid:
		p.Status = PaymentVoided
	case p.RefundedMinor == p.AmountMinor:
		p.Status = PaymentRefunded
	default:
		p.Status = PaymentPartiallyRefunded
	}
	return p
}

// Returnable gives nil where something may go back of p.
// Errors: STATE_CONFLICT where it debited nothing, or all went back already by
// a void; REFUND_EXCEEDS_PAYMENT where refunds left nothing.
func (p Payment) Returnable() error {
	switch p.Status {
	case PaymentSucceeded, PaymentPartiallyRefunded:
		return nil
	case PaymentRefunded:
		return fault.Field(fault.CodeRefundExceedsPayment, "amount_minor", "at_most_left",
			"all %d minor units of this payment were refunded already; 0 are left to give back", p.AmountMinor)
	case PaymentVoided:
		return fault.Field(fault.CodeStateConflict, "payment_id", "not_voided", "the payment was voided already: all of it went back")
	case PaymentRequiresCapture, PaymentFailed:
	}
	return fault.Field(fault.CodeStateConflict, "payment_id", "debited",
		"the payment is %s and debited nothing, so there is nothing to give back", p.Status)
}

// Voidable gives nil where p may be undone whole, as on the business day of its
// debit: the calendar day in the merchant's time zone, zone.
// Errors: STATE_CONFLICT, which names the refund where that is the way.
func (p Payment) Voidable(now time.Time, zone *time.Location) error {
	switch {
	case p.Status == PaymentPartiallyRefunded || p.Status == PaymentRefunded:
		return fault.Field(fault.CodeStateConflict, "payment_id", "not_refunded",
			"%d of %d minor units were refunded already; a void undoes a payment whole: refund the other %d by POST /refund/create",
			p.RefundedMinor, p.AmountMinor, p.AmountMinor-p.RefundedMinor)
	case p.Returnable() != nil:
		return p.Returnable()
	case p.CapturedAt == nil:
		return nil
	}
	const day = "2006-01-02"
	if on := p.CapturedAt.In(zone).Format(day); on != now.In(zone).Format(day) {
		return fault.Field(fault.CodeStateConflict, "payment_id", "same_business_day",
			"the payment was taken on %s (%s) and that business day is over; refund it by POST /refund/create", on, zone)
	}
	return nil
}

// Types of the events of returns.
const (
	EventPaymentVoided   = "payment.voided"
	EventPaymentRefunded = "payment.refunded"
	EventTopupReversed   = "topup.reversed"
)

// ReturnEvent is the news that r went back of p, which is as it is after.
func (p Payment) ReturnEvent(id string, r Return) event.Event {
	kind := EventPaymentRefunded
	if r.Kind == EntryVoid {
		kind = EventPaymentVoided
	}
	o := p.members()
	o.text("return_id", r.ID)
	o.number("returned_minor", r.AmountMinor)
	o.number("restored_actual_minor", r.ActualMinor)
	o.number("restored_promo_minor", r.PromoMinor)
	o.number("forfeited_promo_minor", r.ForfeitedMinor)
	o.number("refunded_minor", p.RefundedMinor)
	o.sources("restored_sources", r.Sources)
	o.text("entry_id", r.EntryID)
	o.text("reverses", p.EntryID)
	o.optional("cause_id", r.CauseID)
	return event.Event{ID: id, Tenant: p.Tenant, Type: kind, Subject: p.ID, At: r.At, Data: o.close(), TraceID: p.traceID()}
}
