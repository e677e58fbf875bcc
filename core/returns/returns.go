// Package returns is what goes back of a payment: the record of each time, and
// the rules of when a void or a refund may be. How an amount is split and what
// it does to a wallet is for core/ledger.
package returns

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// Return is one time that something went back of a payment: a void or a refund.
// ActualMinor + PromoMinor + ForfeitedMinor = AmountMinor.
type Return struct {
	ID        string // ref_ or vod_
	Tenant    tenancy.Tenant
	PaymentID string
	Kind      ledger.EntryKind // EntryVoid or EntryRefund
	// AmountMinor is what went back, ActualMinor to actual money, PromoMinor to
	// lots, ForfeitedMinor to the funders of lots clawed back since.
	AmountMinor, ActualMinor, PromoMinor, ForfeitedMinor int64
	Sources                                              []ledger.PromoSource // what came back to each lot, last spent first
	Currency                                             string
	EntryID                                              string // the contra entry
	CauseID                                              string // the voided transaction or the dispute behind it; may be empty
	ActorID                                              string // the key or terminal that asked
	Reason                                               string // may be empty
	At                                                   time.Time
}

// After is p after amountMinor went back of it by a void or a refund.
func After(p ledger.Payment, kind ledger.EntryKind, amountMinor int64) ledger.Payment {
	p.RefundedMinor += amountMinor
	switch {
	case kind == ledger.EntryVoid:
		p.Status = ledger.PaymentVoided
	case p.RefundedMinor == p.AmountMinor:
		p.Status = ledger.PaymentRefunded
	default:
		p.Status = ledger.PaymentPartiallyRefunded
	}
	return p
}

// Returnable gives nil where something may go back of p.
// Errors: STATE_CONFLICT where it debited nothing, or all went back already by
// a void; REFUND_EXCEEDS_PAYMENT where refunds left nothing.
func Returnable(p ledger.Payment) error {
	switch p.Status {
	case ledger.PaymentSucceeded, ledger.PaymentPartiallyRefunded:
		return nil
	case ledger.PaymentRefunded:
		return fault.Field(fault.CodeRefundExceedsPayment, "amount_minor", "at_most_left",
			"all %d minor units of this payment were refunded already; 0 are left to give back", p.AmountMinor)
	case ledger.PaymentVoided:
		return fault.Field(fault.CodeStateConflict, "payment_id", "not_voided", "the payment was voided already: all of it went back")
	case ledger.PaymentRequiresCapture, ledger.PaymentFailed:
	}
	return fault.Field(fault.CodeStateConflict, "payment_id", "debited",
		"the payment is %s and debited nothing, so there is nothing to give back", p.Status)
}

// Voidable gives nil where p may be undone whole, as on the business day of its
// debit: the calendar day in the merchant's time zone, zone.
// Errors: STATE_CONFLICT, which names the refund where that is the way.
func Voidable(p ledger.Payment, now time.Time, zone *time.Location) error {
	switch {
	case p.Status == ledger.PaymentPartiallyRefunded || p.Status == ledger.PaymentRefunded:
		return fault.Field(fault.CodeStateConflict, "payment_id", "not_refunded",
			"%d of %d minor units were refunded already; a void undoes a payment whole: refund the other %d by POST /refund/create",
			p.RefundedMinor, p.AmountMinor, p.AmountMinor-p.RefundedMinor)
	case Returnable(p) != nil:
		return Returnable(p)
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
	EventVoided   = "payment.voided"
	EventRefunded = "payment.refunded"
)

// Event is the news that r went back of p, which is as it is after. It has the
// members of every event of a payment and those of the return.
func (r Return) Event(id string, p ledger.Payment) (event.Event, error) {
	kind := EventRefunded
	if r.Kind == ledger.EntryVoid {
		kind = EventVoided
	}
	restored := []map[string]any{}
	for _, s := range r.Sources {
		restored = append(restored, map[string]any{"grant_id": s.GrantID, "amount_minor": s.AmountMinor})
	}
	e := p.Event(id, kind, r.At)
	var payment map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &payment); err != nil {
		return e, fault.Internal(err)
	}
	members := make(map[string]any, len(payment)+10)
	for name, value := range payment {
		members[name] = value
	}
	for name, value := range map[string]any{
		"return_id": r.ID, "returned_minor": r.AmountMinor, "restored_actual_minor": r.ActualMinor, "restored_promo_minor": r.PromoMinor,
		"forfeited_promo_minor": r.ForfeitedMinor, "refunded_minor": p.RefundedMinor, "restored_sources": restored, "entry_id": r.EntryID,
		"reverses": p.EntryID, "cause_id": nil,
	} {
		members[name] = value
	}
	if r.CauseID != "" {
		members["cause_id"] = r.CauseID
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return e, fault.Internal(err)
	}
	e.Data = raw
	return e, nil
}

// Store keeps returns.
type Store interface {
	// Save writes r and the payment as it is after it. Errors: STATE_CONFLICT
	// where something else went back of the payment since it was read.
	Save(ctx context.Context, after ledger.Payment, r Return) error
}
