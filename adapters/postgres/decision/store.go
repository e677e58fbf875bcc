// Package decision keeps traces, decisions and counterfactuals in Postgres.
package decision

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation/record"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements decision.Store.
type Store struct{ q pg.Q }

var _ decision.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// SaveTrace implements decision.Store.
func (s *Store) SaveTrace(ctx context.Context, tr decision.Trace, decisions []decision.Decision, cf []decision.Counterfactual) error {
	_, err := s.save(ctx, tr, decisions, cf)
	return err
}

// Record implements decision.Store.
func (s *Store) Record(ctx context.Context, tr decision.Trace, decisions []decision.Decision, cf []decision.Counterfactual) (decision.Trace, bool, error) {
	written, err := s.save(ctx, tr, decisions, cf)
	if err != nil || written {
		return tr, written, err
	}
	stored, err := s.Trace(ctx, tr.Tenant, tr.ID)
	return stored, false, err
}

const insertTrace = `
insert into decision_traces (tenant_no, trace_id, kind, session_id, customer_id, engine, inputs, outputs, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (tenant_no, trace_id) do nothing`

func (s *Store) save(ctx context.Context, tr decision.Trace, decisions []decision.Decision, cf []decision.Counterfactual) (bool, error) {
	n, err := s.q.Exec(ctx, insertTrace, tr.Tenant.No, tr.ID, tr.Kind, null(tr.SessionID), null(tr.CustomerID), tr.Engine, object(tr.Inputs), object(tr.Outputs), tr.At)
	if err != nil || n == 0 {
		return false, err
	}
	if err := s.insertDecisions(ctx, decisions); err != nil {
		return false, err
	}
	return true, s.insertCounterfactuals(ctx, tr.Tenant, cf)
}

const insertTraces = `
insert into decision_traces (tenant_no, trace_id, kind, session_id, customer_id, engine, inputs, outputs, at)
select tenant_no, trace_id, kind, nullif(session_id, ''), nullif(customer_id, ''), engine, inputs::json, outputs::json, at
from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
  as t (tenant_no, trace_id, kind, session_id, customer_id, engine, inputs, outputs, at)`

// SaveTraces implements decision.Store.
func (s *Store) SaveTraces(ctx context.Context, traces []decision.Trace, decisions []decision.Decision) error {
	if len(traces) == 0 {
		return nil
	}
	n := len(traces)
	var text [7][]string // the columns of text, in the order of the statement
	for i := range text {
		text[i] = make([]string, n)
	}
	tenants, times := make([]int32, n), make([]time.Time, n)
	for i, tr := range traces {
		row := [...]string{tr.ID, tr.Kind, tr.SessionID, tr.CustomerID, tr.Engine, string(object(tr.Inputs)), string(object(tr.Outputs))}
		for c := range row {
			text[c][i] = row[c]
		}
		tenants[i], times[i] = tr.Tenant.No, tr.At
	}
	_, err := s.q.Exec(ctx, insertTraces, tenants, text[0], text[1], text[2], text[3], text[4], text[5], text[6], times)
	if err != nil {
		return err
	}
	return s.insertDecisions(ctx, decisions)
}

// object is a JSON column's value; an absent one is the empty object.
func object(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

const insertDecisions = `
insert into decisions (tenant_no, decision_id, trace_id, kind, session_id, customer_id, offer_id, grant_id, amount_minor, state,
  actuator, actuator_version, card, plan, at)
select d.tenant_no, d.id, d.trace, d.kind, nullif(d.session, ''), nullif(d.customer, ''), nullif(d.offer, ''), nullif(d.given, ''), d.amount, d.state,
  d.actuator, d.version, d.card::json, nullif(d.plan, '')::json, d.at
from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[],
  $12::text[], $13::text[], $14::text[], $15::timestamptz[])
  as d (tenant_no, id, trace, kind, session, customer, offer, given, amount, state, actuator, version, card, plan, at)`

// insertDecisions writes any number of them in one statement.
func (s *Store) insertDecisions(ctx context.Context, decisions []decision.Decision) error {
	if len(decisions) == 0 {
		return nil
	}
	n := len(decisions)
	var text [12][]string // the columns of text, in the order of the statement
	for i := range text {
		text[i] = make([]string, n)
	}
	tenants, amounts, times := make([]int32, n), make([]int64, n), make([]time.Time, n)
	for i, d := range decisions {
		d.Card.Facts = object(d.Card.Facts)
		card, err := json.Marshal(d.Card)
		if err != nil {
			return err
		}
		row := [...]string{
			d.ID, d.TraceID, d.Kind, d.SessionID, d.CustomerID, d.OfferID, d.GrantID, d.State, d.Actuator, d.ActuatorVersion, string(card), string(d.Plan),
		}
		for c := range row {
			text[c][i] = row[c]
		}
		tenants[i], amounts[i], times[i] = d.Tenant.No, d.AmountMinor, d.At
	}
	_, err := s.q.Exec(ctx, insertDecisions, tenants, text[0], text[1], text[2], text[3], text[4], text[5], text[6], amounts,
		text[7], text[8], text[9], text[10], text[11], times)
	return err
}

const insertCounterfactuals = `
insert into counterfactuals (tenant_no, session_id, offer_id, trace_id, version, outcome, reason, value_minor, at)
select $1, x.* from unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::bigint[], $9::timestamptz[]) x`

// insertCounterfactuals writes all of a trace's in one statement.
func (s *Store) insertCounterfactuals(ctx context.Context, t tenancy.Tenant, cf []decision.Counterfactual) error {
	if len(cf) == 0 {
		return nil
	}
	n := len(cf)
	sessions, offers, traces, outcomes, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	versions, values, times := make([]int32, n), make([]int64, n), make([]time.Time, n)
	for i, c := range cf {
		sessions[i], offers[i], traces[i], outcomes[i], reasons[i] = c.SessionID, c.OfferID, c.TraceID, c.Outcome, c.Reason
		versions[i], values[i], times[i] = int32(c.Version), c.ValueMinor, c.At
	}
	_, err := s.q.Exec(ctx, insertCounterfactuals, t.No, sessions, offers, traces, versions, outcomes, reasons, values, times)
	return err
}

// traceRow is a trace as the table has it.
type traceRow struct {
	TraceID    string
	Kind       string
	SessionID  string
	CustomerID string
	Engine     string
	Inputs     json.RawMessage
	Outputs    json.RawMessage
	At         time.Time
}

const findTrace = `
select trace_id, kind, coalesce(session_id, '') as session_id, coalesce(customer_id, '') as customer_id, engine, inputs, outputs, at
from decision_traces where tenant_no = $1 and trace_id = $2`

// Trace implements decision.Store.
func (s *Store) Trace(ctx context.Context, t tenancy.Tenant, id string) (decision.Trace, error) {
	r, err := pg.One[traceRow](ctx, s.q, findTrace, t.No, id)
	if errors.Is(err, pg.ErrNoRows) {
		return decision.Trace{}, fault.NotFound("decision_trace")
	}
	return r.trace(t), err
}

func (r traceRow) trace(t tenancy.Tenant) decision.Trace {
	return decision.Trace{
		ID: r.TraceID, Tenant: t, Kind: r.Kind, SessionID: r.SessionID, CustomerID: r.CustomerID, Engine: r.Engine,
		Inputs: r.Inputs, Outputs: r.Outputs, At: r.At,
	}
}

const latestFeeds = `
select f.* from unnest($2::text[]) as want (session_id) cross join lateral (
  select trace_id, kind, session_id, coalesce(customer_id, '') as customer_id, engine, inputs, outputs, at
  from decision_traces d
  where d.tenant_no = $1 and d.session_id = want.session_id and d.kind = 'offer'
  order by d.at desc, d.trace_id desc limit 1) f`

// Feeds implements decision.Store.
func (s *Store) Feeds(ctx context.Context, t tenancy.Tenant, sessionIDs []string) (map[string]decision.Trace, error) {
	rows, err := pg.Many[traceRow](ctx, s.q, latestFeeds, t.No, sessionIDs)
	if err != nil {
		return nil, err
	}
	out := make(map[string]decision.Trace, len(rows))
	for _, r := range rows {
		out[r.SessionID] = r.trace(t)
	}
	return out, nil
}

// Settle implements decision.Store.
func (s *Store) Settle(ctx context.Context, t tenancy.Tenant, decisionID, state, grantID string) error {
	_, err := s.q.Exec(ctx, `update decisions set state = $3, grant_id = coalesce($4, grant_id) where tenant_no = $1 and decision_id = $2`,
		t.No, decisionID, state, null(grantID))
	return err
}

// decisionRow is a decision as the table has it.
type decisionRow struct {
	DecisionID      string
	TraceID         string
	Kind            string
	SessionID       string
	CustomerID      string
	OfferID         string
	GrantID         string
	AmountMinor     int64
	State           string
	Actuator        string
	ActuatorVersion string
	Card            json.RawMessage
	Plan            json.RawMessage
	// Debit is the stored decision of a payment, in place of actuator, version and card.
	Debit []byte
	At    time.Time
}

func (r decisionRow) decision(t tenancy.Tenant) (decision.Decision, error) {
	d := decision.Decision{
		ID: r.DecisionID, Tenant: t, TraceID: r.TraceID, Kind: r.Kind, SessionID: r.SessionID, CustomerID: r.CustomerID, OfferID: r.OfferID,
		GrantID: r.GrantID, AmountMinor: r.AmountMinor, State: r.State, Actuator: r.Actuator, ActuatorVersion: r.ActuatorVersion,
		Plan: r.Plan, At: r.At,
	}
	if r.Debit == nil {
		return d, json.Unmarshal(r.Card, &d.Card)
	}
	debit, err := record.Read(r.Debit)
	d.Actuator, d.ActuatorVersion, d.Card = debit.Actuator, debit.Version, decision.Card(debit.Plan.Reasoning)
	return d, err
}

// sessionDecisions has the debits of a session's payments as well: they are kept
// with the payments, which spares each debit a row.
const sessionDecisions = `
select decision_id, trace_id, kind, coalesce(session_id, '') as session_id, coalesce(customer_id, '') as customer_id,
  coalesce(offer_id, '') as offer_id, coalesce(grant_id, '') as grant_id, amount_minor, state, actuator, actuator_version, card, plan, null::bytea as debit, at
from decisions where tenant_no = $1 and session_id = $2
union all
select 'dec' || substr(payment_id, 4), 'dt' || substr(payment_id, 4), 'wallet_debit', session_id, customer_id, '', '', amount_minor, 'taken',
  '', '', null, null, decision, captured_at
from payments where tenant_no = $1 and session_id = $2 and status not in ('requires_capture', 'failed') and decision is not null
order by at, decision_id`

// BySession implements decision.Store.
func (s *Store) BySession(ctx context.Context, t tenancy.Tenant, sessionID string) ([]decision.Decision, error) {
	rows, err := pg.Many[decisionRow](ctx, s.q, sessionDecisions, t.No, sessionID)
	if err != nil {
		return nil, err
	}
	out := make([]decision.Decision, len(rows))
	for i, r := range rows {
		if out[i], err = r.decision(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// settle moves counterfactuals and the proposals behind them together. What
// was shown can be taken or not; what was taken can be released and taken again.
const settle = `
with settled as (
  update counterfactuals set outcome = $4
  where tenant_no = $1 and session_id = $2 and ($3 = '' or offer_id = $3)
    and case $4 when 'released' then outcome = 'taken'
                when 'taken' then outcome in ('shown', 'released')
                else outcome = 'shown' end
)
update decisions set state = case $4 when 'taken' then 'taken' when 'released' then 'proposed' else 'declined' end
where tenant_no = $1 and session_id = $2 and kind in ('offer', 'upsell') and ($3 = '' or offer_id = $3)
  and case $4 when 'released' then state = 'taken' else state = 'proposed' end`

// MarkTaken implements decision.Store.
func (s *Store) MarkTaken(ctx context.Context, t tenancy.Tenant, sessionID, offerID, outcome string) error {
	_, err := s.q.Exec(ctx, settle, t.No, sessionID, offerID, outcome)
	return err
}

// meet takes the latest feed that showed the offer. Who declines it has seen it.
const meet = `
update counterfactuals set seen_at = coalesce(seen_at, $6), declined_at = case when $5 then coalesce(declined_at, $6) else declined_at end
where tenant_no = $1 and session_id = $2 and offer_id = $3 and outcome <> 'withheld' and trace_id = (
  select trace_id from counterfactuals
  where tenant_no = $1 and session_id = $2 and offer_id = $3 and outcome <> 'withheld' and ($4 = '' or trace_id = $4)
  order by at desc, trace_id desc limit 1)
returning trace_id`

// Meet implements decision.Store.
func (s *Store) Meet(ctx context.Context, t tenancy.Tenant, m decision.Meeting) (string, error) {
	trace, err := pg.Maybe[string](ctx, s.q, meet, t.No, m.SessionID, m.OfferID, m.TraceID, m.Declined, m.At)
	if err != nil || trace == nil {
		return "", err
	}
	return *trace, nil
}

const sessionCounterfactuals = `
select trace_id, session_id, offer_id, version, outcome, reason, value_minor, at, seen_at, declined_at
from counterfactuals where tenant_no = $1 and session_id = $2 order by at, trace_id, offer_id`

// Counterfactuals implements decision.Store.
func (s *Store) Counterfactuals(ctx context.Context, t tenancy.Tenant, sessionID string) ([]decision.Counterfactual, error) {
	return pg.Many[decision.Counterfactual](ctx, s.q, sessionCounterfactuals, t.No, sessionID)
}

const tally = `
select count(*) filter (where outcome <> 'withheld'), count(*) filter (where outcome = 'withheld')
from counterfactuals where tenant_no = $1 and offer_id = $2`

// Tally implements decision.Store.
func (s *Store) Tally(ctx context.Context, t tenancy.Tenant, offerID string) (shown, withheld int64, err error) {
	err = s.q.QueryRow(ctx, tally, t.No, offerID).Scan(&shown, &withheld)
	return shown, withheld, err
}
