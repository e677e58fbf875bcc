package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// rulingRow is a ruling as the table has it.
type rulingRow struct {
	TransactionID   string
	Kind            string
	State           string
	DecisionID      string
	TraceID         string
	Snapshot        json.RawMessage
	Plan            json.RawMessage
	Actuator        string
	ActuatorVersion string
	AmountMinor     int64
	PercentBP       int64
	GrantID         string
	EntryID         string
	AttributionID   string
	Offers          json.RawMessage
	Attempts        int
	CreatedAt       time.Time
	DecidedAt       *time.Time
}

func (r rulingRow) ruling(t tenancy.Tenant) (checkout.Ruling, error) {
	out := checkout.Ruling{
		TransactionID: r.TransactionID, Tenant: t, Kind: actuation.Kind(r.Kind), State: checkout.RulingState(r.State),
		DecisionID: r.DecisionID, TraceID: r.TraceID, Actuator: r.Actuator, ActuatorVersion: r.ActuatorVersion,
		AmountMinor: r.AmountMinor, PercentBP: r.PercentBP, GrantID: r.GrantID, EntryID: r.EntryID, AttributionID: r.AttributionID,
		Attempts: r.Attempts, CreatedAt: r.CreatedAt, DecidedAt: r.DecidedAt,
	}
	err := json.Unmarshal(r.Offers, &out.Offers)
	if len(r.Snapshot) > 0 {
		err = errors.Join(err, json.Unmarshal(r.Snapshot, &out.Snapshot))
	}
	if len(r.Plan) > 0 {
		err = errors.Join(err, json.Unmarshal(r.Plan, &out.Plan))
	}
	if err != nil {
		return out, fmt.Errorf("read the %s ruling of %s: %w", r.Kind, r.TransactionID, err)
	}
	return out, nil
}

const rulingColumns = `transaction_id, kind, state, decision_id, trace_id, snapshot, plan, actuator, actuator_version,
  amount_minor, percent_bp, grant_id, entry_id, attribution_id, offers, attempts, created_at, decided_at`

const findRulings = `
select ` + rulingColumns + ` from transaction_rulings
where tenant_no = $1 and transaction_id = any ($2) order by transaction_id, kind desc`

// rulings reads those of several transactions: cashback first, then attribution.
func (s *Store) rulings(ctx context.Context, t tenancy.Tenant, transactions []string) (map[string][]checkout.Ruling, error) {
	if len(transactions) == 0 {
		return nil, nil
	}
	rows, err := pg.Many[rulingRow](ctx, s.q, findRulings, t.No, transactions)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]checkout.Ruling, len(transactions))
	for _, row := range rows {
		r, err := row.ruling(t)
		if err != nil {
			return nil, err
		}
		out[r.TransactionID] = append(out[r.TransactionID], r)
	}
	return out, nil
}

const findRuling = `
select ` + rulingColumns + ` from transaction_rulings where tenant_no = $1 and transaction_id = $2 and kind = $3`

// Ruling implements checkout.Rulings.
func (s *Store) Ruling(ctx context.Context, t tenancy.Tenant, transactionID string, kind actuation.Kind) (checkout.Ruling, error) {
	row, err := pg.Maybe[rulingRow](ctx, s.q, findRuling, t.No, transactionID, string(kind))
	switch {
	case err != nil:
		return checkout.Ruling{}, err
	case row == nil:
		return checkout.Ruling{}, fault.NotFound("decision")
	}
	return row.ruling(t)
}

const addRulings = `
insert into transaction_rulings (tenant_no, transaction_id, kind, state, decision_id, trace_id, snapshot, plan, actuator,
  actuator_version, grant_id, entry_id, attribution_id, offers, amount_minor, percent_bp, attempts, due_at, created_at, decided_at)
select tenant_no, transaction_id, kind, state, decision_id, trace_id, nullif(snapshot, '')::json, nullif(plan, '')::json, actuator,
  actuator_version, grant_id, entry_id, attribution_id, offers::jsonb, amount_minor, percent_bp, attempts,
  case when state = 'pending' then created_at end, created_at, decided_at
from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
  $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::int[], $17::int[], $18::timestamptz[], $19::timestamptz[])
  as r (tenant_no, transaction_id, kind, state, decision_id, trace_id, snapshot, plan, actuator,
  actuator_version, grant_id, entry_id, attribution_id, offers, amount_minor, percent_bp, attempts, created_at, decided_at)`

// AddRulings implements checkout.Rulings.
func (s *Store) AddRulings(ctx context.Context, rulings ...checkout.Ruling) error {
	n := len(rulings)
	if n == 0 {
		return nil
	}
	var text [13][]string // the columns of text, in the order of the statement
	for i := range text {
		text[i] = make([]string, n)
	}
	tenants, percents, attempts := make([]int32, n), make([]int32, n), make([]int32, n)
	amounts, created, decided := make([]int64, n), make([]time.Time, n), make([]*time.Time, n)
	for i, r := range rulings {
		snapshot, plan, offers, err := documents(r)
		if err != nil {
			return err
		}
		row := [...]string{
			r.TransactionID, string(r.Kind), string(r.State), r.DecisionID, r.TraceID, string(snapshot), string(plan), r.Actuator,
			r.ActuatorVersion, r.GrantID, r.EntryID, r.AttributionID, string(offers),
		}
		for c := range row {
			text[c][i] = row[c]
		}
		tenants[i], percents[i], attempts[i] = r.Tenant.No, int32(r.PercentBP), int32(r.Attempts)
		amounts[i], created[i], decided[i] = r.AmountMinor, r.CreatedAt, r.DecidedAt
	}
	_, err := s.q.Exec(ctx, addRulings, tenants, text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7], text[8],
		text[9], text[10], text[11], text[12], amounts, percents, attempts, created, decided)
	return err
}

// documents are the JSON columns: the snapshot while pending, the plan once
// decided.
func documents(r checkout.Ruling) (snapshot, plan, offers []byte, err error) {
	if offers, err = json.Marshal(list(r.Offers)); err != nil {
		return nil, nil, nil, err
	}
	if r.State == checkout.Pending {
		snapshot, err = json.Marshal(r.Snapshot)
	} else {
		plan, err = json.Marshal(r.Plan)
	}
	return snapshot, plan, offers, err
}

const decideRuling = `
update transaction_rulings set state = $4, snapshot = null, plan = $5, actuator = $6, actuator_version = $7,
  amount_minor = $8, grant_id = $9, entry_id = $10, attribution_id = $11, offers = $12, decided_at = $13, due_at = null
where tenant_no = $1 and transaction_id = $2 and kind = $3 and state = 'pending'`

// Decide implements checkout.Rulings.
func (s *Store) Decide(ctx context.Context, r checkout.Ruling) error {
	_, plan, offers, err := documents(r)
	if err != nil {
		return err
	}
	n, err := s.q.Exec(ctx, decideRuling, r.Tenant.No, r.TransactionID, string(r.Kind), string(r.State), plan, r.Actuator,
		r.ActuatorVersion, r.AmountMinor, r.GrantID, r.EntryID, r.AttributionID, offers, r.DecidedAt)
	if err == nil && n == 0 {
		return checkout.ErrDecided
	}
	return err
}

// claimedRow is a ruling with whose it is.
type claimedRow struct {
	rulingRow
	TenantNo   int32
	PartnerID  string
	MerchantID string
	Live       bool
}

// The claim itself moves due_at, so that a worker that dies gives its claims
// back by doing nothing.
const claimPending = `
with due as (
  select r.transaction_id, r.kind from transaction_rulings r join merchants m on m.tenant_no = r.tenant_no
  where r.state = 'pending' and r.due_at <= $1 and m.live = $5 order by r.due_at limit $4 for update of r skip locked)
update transaction_rulings r set attempts = r.attempts + 1,
  due_at = $1::timestamptz + least(make_interval(secs => $2 * power(2, least(r.attempts, 20))), make_interval(secs => $3))
from due, merchants m
where r.transaction_id = due.transaction_id and r.kind = due.kind and m.tenant_no = r.tenant_no
returning r.transaction_id, r.kind, r.state, r.decision_id, r.trace_id, r.snapshot, r.plan, r.actuator, r.actuator_version,
  r.amount_minor, r.percent_bp, r.grant_id, r.entry_id, r.attribution_id, r.offers, r.attempts, r.created_at, r.decided_at,
  m.tenant_no, m.partner_id, m.merchant_id, m.live`

// ClaimPending implements checkout.Rulings.
func (s *Store) ClaimPending(ctx context.Context, mode tenancy.Mode, now time.Time, lease, longest time.Duration, limit int) ([]checkout.Ruling, error) {
	rows, err := pg.Many[claimedRow](ctx, s.q, claimPending, now, lease.Seconds(), longest.Seconds(), limit, mode == tenancy.Production)
	if err != nil {
		return nil, err
	}
	out := make([]checkout.Ruling, 0, len(rows))
	for _, row := range rows {
		r, err := row.ruling(tenantOf(row.PartnerID, row.MerchantID, row.Live, row.TenantNo))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
