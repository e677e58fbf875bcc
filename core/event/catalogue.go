package event

import (
	"encoding/json"
	"slices"
	"strings"
)

// Type is one kind of event that can be subscribed to.
type Type struct {
	Name        string
	Description string  // when it is written
	Subject     string  // what kind of id Event.Subject holds
	Fields      []Field // the members of data that are always there
}

// Field is one member of an event's data.
type Field struct {
	Name string
	// Kind is a JSON Schema type: string, integer, boolean, array or object;
	// a trailing "?" makes it nullable.
	Kind    string
	What    string
	Example any
}

// Shorthands for the fields that many events share.
var (
	customerField = Field{"customer_id", "string?", "The customer; null for an anonymous sale.", "cus_01k9z3v7qw"}
	sessionField  = Field{"session_id", "string?", "The session; null outside of sessions.", "cs_01k9z3v7qx"}
	currencyField = Field{"currency", "string", "ISO 4217 code.", "USD"}
	amountField   = Field{"amount_minor", "integer", "Amount in minor units.", 1175}
	paymentField  = Field{"payment_id", "string", "The payment.", "pay_01k9z3v7qy"}
	grantField    = Field{"grant_id", "string", "The grant.", "grt_01k9z3v7qz"}
	topupField    = Field{"topup_id", "string", "The top-up.", "top_01k9z3v7r0"}
	offerField    = Field{"offer_id", "string", "The offer.", "off_01k9z3v7r1"}
	budgetField   = Field{"budget_id", "string", "The budget.", "bud_01k9z3v7r2"}
	periodStart   = Field{"period_start", "string", "The period's first moment.", "2026-06-12T04:00:00Z"}
	periodEnd     = Field{"period_end", "string", "The moment just after the period.", "2026-06-13T04:00:00Z"}
	txnField      = Field{"transaction_id", "string", "The transaction.", "txn_01k9z3v7r3"}
)

func session(what, description string) Type {
	return Type{"checkout.session." + what, description, "session", []Field{{"session_id", "string", "The session.", "cs_01k9z3v7qx"}}}
}

func payment(what, description string) Type {
	return Type{"payment." + what, description, "payment", []Field{paymentField, customerField, sessionField, amountField, currencyField}}
}

// returned is a payment of which something went back.
func returned(what, description string) Type {
	t := payment(what, description)
	t.Fields = append(t.Fields,
		Field{"return_id", "string", "The void or the refund.", "ref_01k9z3v7r5"},
		Field{"returned_minor", "integer", "What went back by it, in minor units.", 1000},
		Field{"restored_actual_minor", "integer", "To actual money, in minor units.", 925},
		Field{"restored_promo_minor", "integer", "To the lots that paid, in minor units.", 75},
		Field{"forfeited_promo_minor", "integer", "To the funders of lots clawed back since, in minor units.", 0},
		Field{"refunded_minor", "integer", "What went back in all, in minor units.", 1000},
		Field{"entry_id", "string", "The contra entry.", "ent_01k9z3v7r6"},
	)
	return t
}

func topup(what, description string, more ...Field) Type {
	return Type{"topup." + what, description, "top-up", append([]Field{topupField, {"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}, amountField, currencyField}, more...)}
}

func dispute(what, description string, more ...Field) Type {
	return Type{"dispute." + what, description, "dispute", append([]Field{
		{"dispute_id", "string", "The dispute.", "dsp_01k9z3v7r7"}, txnField, customerField,
		{"reason", "string", "Why it was opened.", "wrong_amount"}, amountField, currencyField,
	}, more...)}
}

func settledTopup() Type {
	t := topup("settled", "A top-up was settled to the merchant's bank.")
	t.Fields = append(t.Fields,
		Field{"fee_minor", "integer", "The provider's fee, in minor units.", 103}, Field{"net_minor", "integer", "What reached the bank, in minor units.", 2397},
		Field{"bank_reference", "string", "The bank's reference, or that of the provider's report.", "SETTLE-20260614"})
	return t
}

func grant(what, description string) Type {
	return Type{"grant." + what, description, "customer", []Field{
		grantField, {"customer_id", "string", "The customer.", "cus_01k9z3v7qw"},
		{"source", "string", "Why it was given.", "CASHBACK"}, amountField,
		{"remaining_minor", "integer", "Credit left, in minor units.", 58}, currencyField,
	}}
}

func offer(what, description string) Type {
	return Type{"offer." + what, description, "offer", []Field{offerField}}
}

func proposal(what, description string) Type {
	return Type{"proposal." + what, description, "proposal", []Field{
		{"proposal_id", "string", "The proposal.", "prp_01k9z3v7r5"}, {"kind", "string", "What it is for.", "upsell"},
		{"state", "string", "Where it stands: open, accepted, rejected or expired.", map[string]string{"created": "open", "decided": "accepted"}[what]},
		{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}, sessionField, currencyField,
		{"decision_trace_id", "string", "The trace of the decision to propose it.", "dt_01k9z3v7r4"},
	}}
}

func simple(name, description, subject string, fields ...Field) Type {
	return Type{name, description, subject, fields}
}

// catalogue is every event type of the partner surface, by name.
var catalogue = sorted([]Type{
	session("opened", "A session was opened."),
	session("identified", "A session got its identity."),
	session("basket_revised", "A session got a new basket revision."),
	session("closed", "A session was closed; its transaction is written."),
	session("abandoned", "A session ended without a purchase, or expired."),
	simple("checkout.session.event_recorded", "A till recorded what it saw: an offer shown or declined, a tender chosen, a prompt skipped.", "session",
		Field{"session_id", "string", "The session.", "cs_01k9z3v7qx"}, Field{"type", "string", "What the till saw.", "offer_declined"},
		Field{"offer_id", "string?", "The offer concerned.", "off_01k9z3v7r1"}, Field{"decision_trace_id", "string?", "The decision that it is tied to.", "dt_01k9z3v7r4"},
		Field{"occurred_at", "string", "When it happened, RFC 3339 in UTC.", "2026-06-12T08:04:00Z"}),
	simple("decision.made", "Decisions were taken.", "session or customer", Field{"decision_trace_id", "string", "The trace of the decisions.", "dt_01k9z3v7r4"}),
	payment("authorized", "A payment waits for its capture (the one-time code of the customer)."),
	payment("succeeded", "A payment was debited."),
	payment("failed", "A payment was declined; nothing was debited."),
	returned("voided", "A payment was voided; each class and lot was restored."),
	returned("refunded", "A payment was refunded in full or in part."),
	topup("prepared", "A top-up was opened with its provider; no money moved."),
	topup("completed", "A top-up was credited."),
	topup("reversed", "A top-up was undone.",
		Field{"reversed_actual_minor", "integer", "Actual money taken back, in minor units.", 2500},
		Field{"reversed_bonus_minor", "integer", "Bonus taken back, in minor units.", 250},
		Field{"reason", "string", "Why.", "uncollected"}),
	settledTopup(),
	grant("locked", "A grant was given and waits for verification and the claim gate, or went back to a customer who has proven nothing."),
	grant("released", "A grant can be spent."),
	grant("spent", "A grant was spent, to its end or in part."),
	grant("expired", "What was left of a grant expired."),
	grant("clawed_back", "What was left of a grant was taken back; actual money is never touched."),
	simple("points.moved", "Points were earned, burnt or adjusted.", "customer", Field{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}),
	offer("activated", "An offer went live."), offer("paused", "An offer was paused."),
	offer("applied", "An offer was reserved for a session."), offer("redeemed", "An applied offer was consumed."),
	offer("released", "An applied offer and its budget were given back."), offer("expired", "An offer passed its window."),
	simple("budget.low", "A budget passed 80 % of its cap.", "budget", budgetField),
	simple("budget.exhausted", "A budget is used up.", "budget", budgetField),
	proposal("created", "A one-off incentive was proposed."),
	proposal("decided", "A proposal was accepted or rejected, or its time ran out."),
	simple("enrollment.initiated", "An enrolment began; the proof was sent.", "customer", Field{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}),
	simple("enrollment.verified", "A customer proved the phone.", "customer", Field{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}),
	simple("customer.linked", "A credential was linked to a customer.", "customer", Field{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}),
	simple("customer.merged", "Two identities became one.", "customer", Field{"customer_id", "string", "The customer that remains.", "cus_01k9z3v7qw"},
		Field{"merge_id", "string", "The merge.", "mrg_01k9z3v7r5"}, Field{"source_customer_id", "string?", "The customer that was merged; null where a session was.", "cus_01k9z3v7r6"},
		Field{"session_id", "string?", "The anonymous session that was merged; null where a customer was.", nil},
		Field{"moved_actual_minor", "integer", "Actual money that moved, in minor units.", 1575}, Field{"moved_points", "integer", "Points that moved.", 0}),
	simple("customer.unmerged", "A merge was undone; the identity that was merged is one of its own again.", "customer",
		Field{"customer_id", "string", "The customer that remained.", "cus_01k9z3v7qw"}, Field{"merge_id", "string", "The merge.", "mrg_01k9z3v7r5"},
		Field{"source_customer_id", "string?", "The customer that is one of its own again; null where a session was.", "cus_01k9z3v7r6"},
		Field{"session_id", "string?", "The session that is anonymous again; null where a customer was.", nil},
		Field{"moved_actual_minor", "integer", "Actual money that went back, in minor units.", 1200}, Field{"moved_points", "integer", "Points that went back.", 0},
		Field{"unreturned_actual_minor", "integer", "Actual money that moved and could not go back, in minor units.", 375},
		Field{"unreturned_promo_minor", "integer", "Promotional credit that moved and could not go back, in minor units.", 0},
		Field{"unreturned_points", "integer", "Points that moved and could not go back.", 0}),
	simple("customer.erased", "A customer's personal data was erased.", "customer", Field{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"},
		Field{"request_id", "string", "The request that asked for it.", "gdr_01k9z3v7r7"}),
	simple("customer.disabled", "A customer was disabled or enabled again.", "customer", Field{"customer_id", "string", "The customer.", "cus_01k9z3v7qw"}),
	simple("transaction.created", "A sale was recorded.", "transaction", txnField, customerField, sessionField, Field{"total_minor", "integer", "Total in minor units.", 1175}, currencyField),
	simple("transaction.voided", "A sale was voided by contra entries.", "transaction", txnField, customerField, sessionField,
		Field{"total_minor", "integer", "Total in minor units.", 1175}, currencyField,
		Field{"reversals", "array", "What was taken back: type, reference_id, amount_minor and, where there are any, forfeited_promo_minor, unrecovered_minor, entry_id.", []any{
			map[string]any{"type": "payment", "reference_id": "pay_01k9z3v7qy", "amount_minor": 1175, "entry_id": "ent_01k9z3v7r6"},
		}}),
	dispute("opened", "A dispute was opened."),
	dispute("resolved", "A dispute was resolved.",
		Field{"outcome", "string", "Whom it went for: customer, merchant.", "customer"},
		Field{"refunded_actual_minor", "integer", "Given back to actual money, in minor units.", 375},
		Field{"refunded_promo_minor", "integer", "Given back to lots, in minor units.", 0}),
	simple("settlement.ready", "A settlement batch is complete and changes no more.", "settlement",
		Field{"settlement_id", "string", "The batch.", "stl_01k9z3v7r5"}, Field{"brand_id", "string?", "The brand; null for what belongs to none.", "brd_01k9z3v7r2"},
		currencyField, periodStart, periodEnd, Field{"lines_count", "integer", "How many lines it has.", 4}),
	simple("reconciliation.completed", "A reconciliation run ended.", "reconciliation",
		Field{"run_id", "string", "The run.", "rec_01k9z3v7r6"}, Field{"state", "string", "matched or differs.", "matched"},
		Field{"complete", "boolean", "Whether the period was over and all of it gathered.", true}, currencyField, periodStart, periodEnd,
		Field{"differences_count", "integer", "How many movements differ.", 0}),
	simple("actuator.degraded", "An actuator stopped answering.", "actuator", Field{"actuator", "string", "Its name.", "cashback"}),
	simple("actuator.restored", "An actuator answers again.", "actuator", Field{"actuator", "string", "Its name.", "cashback"}),
})

func sorted(types []Type) []Type {
	slices.SortFunc(types, func(a, b Type) int { return strings.Compare(a.Name, b.Name) })
	return types
}

// Types lists every event type, by name. The caller owns the slice.
func Types() []Type { return slices.Clone(catalogue) }

// Known reports whether name is an event type.
func Known(name string) bool {
	_, ok := slices.BinarySearchFunc(catalogue, name, func(t Type, name string) int { return strings.Compare(t.Name, name) })
	return ok
}

// Matches reports whether a pattern (a name, a prefix with ".*", or "*")
// covers an event type.
func Matches(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, ".*"); ok {
		return strings.HasPrefix(name, prefix+".")
	}
	return pattern == name
}

// Covers reports whether a pattern matches at least one event type, so that a
// subscription cannot wait for what never comes.
func Covers(pattern string) bool {
	return slices.ContainsFunc(catalogue, func(t Type) bool { return Matches(pattern, t.Name) })
}

// Schema is the JSON Schema (2020-12) of the type's data: the fields that are
// always there; more may come.
func (t Type) Schema() json.RawMessage {
	properties := make(map[string]any, len(t.Fields))
	required := make([]string, 0, len(t.Fields))
	for _, f := range t.Fields {
		properties[f.Name] = map[string]any{"type": jsonType(f.Kind), "description": f.What}
		required = append(required, f.Name)
	}
	return encode(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
		"properties": properties, "required": required, "additionalProperties": true,
	})
}

// Example is data of the type as it would be delivered.
func (t Type) Example() json.RawMessage {
	data := make(map[string]any, len(t.Fields))
	for _, f := range t.Fields {
		data[f.Name] = f.Example
	}
	return encode(data)
}

func jsonType(kind string) any {
	if base, nullable := strings.CutSuffix(kind, "?"); nullable {
		return []string{base, "null"}
	}
	return kind
}

// encode cannot fail: its input is maps, strings and integers.
func encode(v any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}
