package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/event"
)

// Types of the events that the ledger writes.
const (
	EventPaymentAuthorized = "payment.authorized"
	EventPaymentSucceeded  = "payment.succeeded"
	EventPaymentFailed     = "payment.failed"
	EventTopupPrepared     = "topup.prepared"
	EventTopupCompleted    = "topup.completed"
	EventTopupReversed     = "topup.reversed"
	EventGrantLocked       = "grant.locked"
	EventGrantReleased     = "grant.released"
	EventGrantSpent        = "grant.spent"
	EventGrantExpired      = "grant.expired"
	EventGrantClawedBack   = "grant.clawed_back"
)

// eventOf says which event a grant's new state is.
var eventOf = map[GrantState]string{
	Locked: EventGrantLocked, Released: EventGrantReleased, Spent: EventGrantSpent,
	Expired: EventGrantExpired, ClawedBack: EventGrantClawedBack,
}

// Event is the news that g is in its state now. endedMinor is what it held
// when it expired or was clawed back, 0 for the other states.
func (g Grant) Event(id string, now time.Time, endedMinor int64) event.Event {
	o := event.NewObject(256)
	o.Text("grant_id", g.ID)
	o.Text("customer_id", g.CustomerID)
	o.Text("source", string(g.Source))
	o.Text("state", string(g.State))
	o.Number("amount_minor", g.AmountMinor)
	o.Number("remaining_minor", g.RemainingMinor)
	o.Text("currency", g.Currency)
	o.Instant("expires_at", g.ExpiresAt)
	o.Optional("budget_id", g.BudgetID)
	o.Optional("origin_id", g.OriginID)
	if g.State == Expired || g.State == ClawedBack {
		o.Number("ended_minor", endedMinor)
	}
	return event.Event{ID: id, Tenant: g.Tenant, Type: eventOf[g.State], Subject: g.CustomerID, At: now, Data: o.Close()}
}

// Event is the news about p. kind is one of the payment event types.
func (p Payment) Event(id, kind string, now time.Time) event.Event {
	return event.Event{ID: id, Tenant: p.Tenant, Type: kind, Subject: p.ID, At: now, Data: p.eventData(), TraceID: p.traceID()}
}

// How the data of an event tells whether its payment is in a session. Neither can
// be within a text, where quotes are escaped.
var (
	inNoSession = []byte(`"session_id":null`)
	inSession   = []byte(`"session_id":"`)
)

// PaidAlone reports whether e is of a payment that succeeded outside of sessions.
// It is asked of each payment, so that it parses nothing. An error means that e
// does not say so.
func PaidAlone(e *event.Event) (bool, error) {
	switch {
	case e.Type != EventPaymentSucceeded, bytes.Contains(e.Data, inSession):
		return false, nil
	case bytes.Contains(e.Data, inNoSession):
		return true, nil
	}
	return false, fmt.Errorf("event %s does not say whether its payment is in a session", e.ID)
}

func (p Payment) traceID() string {
	if p.EntryID == "" {
		return ""
	}
	return TraceID(p.ID)
}

func (p Payment) eventData() json.RawMessage {
	o := event.NewObject(512)
	o.Text("payment_id", p.ID)
	o.Text("status", string(p.Status))
	o.Text("customer_id", p.CustomerID)
	o.Optional("session_id", p.SessionID)
	o.Number("amount_minor", p.AmountMinor)
	o.Number("debited_promo_minor", p.Debit.PromoMinor())
	o.Number("debited_actual_minor", p.Debit.ActualMinor)
	o.Text("currency", p.Currency)
	o.Text("credential_type", p.CredentialType)
	o.List("promo_sources", len(p.Debit.Sources), func(o *event.Object, i int) {
		o.Text("grant_id", p.Debit.Sources[i].GrantID)
		o.Number("amount_minor", p.Debit.Sources[i].AmountMinor)
	})
	o.Optional("branch_id", p.BranchID)
	o.Optional("terminal_id", p.TerminalID)
	if p.FailureCode != "" {
		o.Text("failure_code", p.FailureCode)
	}
	return o.Close()
}

// Event is the news about a top-up. kind is one of the top-up event types.
func (t Topup) Event(id, kind string, now time.Time) event.Event {
	o := event.NewObject(384)
	o.Text("topup_id", t.ID)
	o.Text("state", string(t.State))
	o.Text("customer_id", t.CustomerID)
	o.Optional("session_id", t.SessionID)
	o.Number("amount_minor", t.AmountMinor)
	o.Number("bonus_minor", t.BonusMinor)
	o.Optional("bonus_grant_id", t.GrantID)
	o.Text("currency", t.Currency)
	o.Text("source", string(t.Source))
	o.Optional("sku_id", t.SKUID)
	o.Optional("provider", t.Provider)
	o.Optional("provider_settlement_reference", t.Reference)
	if t.State == TopupReversed {
		o.Number("reversed_actual_minor", t.ReversedActualMinor)
		o.Number("reversed_bonus_minor", t.ReversedBonusMinor)
		o.Optional("entry_id", t.ReversalEntryID)
		o.Text("reason", t.ReversalReason)
	}
	return event.Event{ID: id, Tenant: t.Tenant, Type: kind, Subject: t.ID, At: now, Data: o.Close()}
}
