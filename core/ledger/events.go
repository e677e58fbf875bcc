package ledger

import (
	"encoding/json"
	"strconv"
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
	o := newObject(256)
	o.text("grant_id", g.ID)
	o.text("customer_id", g.CustomerID)
	o.text("source", string(g.Source))
	o.text("state", string(g.State))
	o.number("amount_minor", g.AmountMinor)
	o.number("remaining_minor", g.RemainingMinor)
	o.text("currency", g.Currency)
	o.instant("expires_at", g.ExpiresAt)
	o.optional("budget_id", g.BudgetID)
	o.optional("origin_id", g.OriginID)
	if g.State == Expired || g.State == ClawedBack {
		o.number("ended_minor", endedMinor)
	}
	return event.Event{ID: id, Tenant: g.Tenant, Type: eventOf[g.State], Subject: g.CustomerID, At: now, Data: o.close()}
}

// Event is the news about p. kind is one of the payment event types.
func (p Payment) Event(id, kind string, now time.Time) event.Event {
	return event.Event{ID: id, Tenant: p.Tenant, Type: kind, Subject: p.ID, At: now, Data: p.eventData(), TraceID: p.traceID()}
}

func (p Payment) traceID() string {
	if p.EntryID == "" {
		return ""
	}
	return TraceID(p.ID)
}

func (p Payment) eventData() json.RawMessage {
	o := newObject(512)
	o.text("payment_id", p.ID)
	o.text("status", string(p.Status))
	o.text("customer_id", p.CustomerID)
	o.optional("session_id", p.SessionID)
	o.number("amount_minor", p.AmountMinor)
	o.number("debited_promo_minor", p.Debit.PromoMinor())
	o.number("debited_actual_minor", p.Debit.ActualMinor)
	o.text("currency", p.Currency)
	o.text("credential_type", p.CredentialType)
	o.sources("promo_sources", p.Debit.Sources)
	o.optional("branch_id", p.BranchID)
	o.optional("terminal_id", p.TerminalID)
	if p.FailureCode != "" {
		o.text("failure_code", p.FailureCode)
	}
	return o.close()
}

// Event is the news about a top-up. kind is one of the top-up event types.
func (t Topup) Event(id, kind string, now time.Time) event.Event {
	o := newObject(384)
	o.text("topup_id", t.ID)
	o.text("state", string(t.State))
	o.text("customer_id", t.CustomerID)
	o.optional("session_id", t.SessionID)
	o.number("amount_minor", t.AmountMinor)
	o.number("bonus_minor", t.BonusMinor)
	o.optional("bonus_grant_id", t.GrantID)
	o.text("currency", t.Currency)
	o.text("source", string(t.Source))
	o.optional("sku_id", t.SKUID)
	o.optional("provider", t.Provider)
	o.optional("provider_settlement_reference", t.Reference)
	if t.State == TopupReversed {
		o.number("reversed_actual_minor", t.ReversedActualMinor)
		o.number("reversed_bonus_minor", t.ReversedBonusMinor)
		o.optional("entry_id", t.ReversalEntryID)
		o.text("reason", t.ReversalReason)
	}
	return event.Event{ID: id, Tenant: t.Tenant, Type: kind, Subject: t.ID, At: now, Data: o.close()}
}

// object writes a JSON object of ids and amounts member by member: events of
// payments are written by the thousand, where reflection would cost more than
// the rest of the plan.
type object struct{ buf []byte }

func newObject(size int) *object { return &object{buf: append(make([]byte, 0, size), '{')} }

func (o *object) close() json.RawMessage { return append(o.buf, '}') }

func (o *object) key(name string) {
	if o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

func (o *object) text(name, value string) {
	o.key(name)
	o.buf = appendJSON(o.buf, value)
}

// optional writes null where value is empty.
func (o *object) optional(name, value string) {
	if value == "" {
		o.key(name)
		o.buf = append(o.buf, "null"...)
		return
	}
	o.text(name, value)
}

func (o *object) number(name string, value int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
}

func (o *object) sources(name string, list []PromoSource) {
	o.key(name)
	o.buf = append(o.buf, '[')
	for i, s := range list {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		part := object{buf: append(o.buf, '{')}
		part.text("grant_id", s.GrantID)
		part.number("amount_minor", s.AmountMinor)
		o.buf = append(part.buf, '}')
	}
	o.buf = append(o.buf, ']')
}

func (o *object) instant(name string, at *time.Time) {
	o.key(name)
	if at == nil {
		o.buf = append(o.buf, "null"...)
		return
	}
	o.buf = append(o.buf, '"')
	o.buf = at.UTC().AppendFormat(o.buf, time.RFC3339Nano)
	o.buf = append(o.buf, '"')
}

// appendJSON appends s as a JSON string. Ids and codes need no escape; what
// does goes through encoding/json.
func appendJSON(buf []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return append(buf, `""`...)
			}
			return append(buf, quoted...)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, s...)
	return append(buf, '"')
}
