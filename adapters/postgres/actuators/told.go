package actuators

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
)

const addShadow = `insert into actuator_shadow_plans
  (tenant_no, installation_id, transaction_id, kind, outcome, grant_minor, currency, snapshot, plan, failure, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing`

// AddShadow implements actuators.Store.
func (s *Store) AddShadow(ctx context.Context, plans ...actuators.ShadowPlan) error {
	for _, p := range plans { // a few at most
		snapshot, err := json.Marshal(p.Snapshot)
		if err != nil {
			return err
		}
		outcome, granted, plan := "failure", int64(0), []byte(nil)
		if p.Plan != nil {
			outcome, granted = Outcome(*p.Plan)
			if plan, err = json.Marshal(p.Plan); err != nil {
				return err
			}
		}
		_, err = s.db.Q().Exec(ctx, addShadow, p.Installation.Tenant.No, p.Installation.ID, p.TransactionID, string(p.Snapshot.Kind), outcome, granted,
			string(p.Snapshot.Currency), snapshot, plan, p.Failure, p.At)
		if err != nil {
			return err
		}
	}
	return nil
}

// Outcome is effects or refusal, and what the plan grants.
func Outcome(p actuation.Plan) (outcome string, granted int64) {
	if p.Refusal != "" {
		return "refusal", 0
	}
	return "effects", p.GrantMinor()
}

// Shadows implements actuators.Store.
func (s *Store) Shadows(ctx context.Context) ([]actuators.ShadowSum, error) {
	// Every merchant's: for the operator of the machine.
	return pg.Many[actuators.ShadowSum](ctx, s.db.Q(), `select installation_id, count(*) filter (where outcome = 'effects') as effects,
  count(*) filter (where outcome = 'refusal') as refusals, count(*) filter (where outcome = 'failure') as failures,
  coalesce(sum(grant_minor), 0)::bigint as grant_minor from actuator_shadow_plans group by 1`)
}

const tell = `insert into actuator_status (server, actuator, tenant_no, state, reason, since, restarts, calls, snapshots, failures, rejections, p50_us, p99_us, executions)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (server, actuator) do update set state = $4, reason = $5, since = $6, restarts = $7, calls = $8, snapshots = $9, failures = $10,
  rejections = $11, p50_us = $12, p99_us = $13, executions = $14, told_at = now()`

// Tell implements actuators.Store.
func (s *Store) Tell(ctx context.Context, server string, list []actuators.Told) error {
	return pg.Tx(ctx, s.db, func(ctx context.Context, q pg.Q) error {
		names := make([]string, len(list))
		for i, t := range list {
			names[i] = t.Actuator
			_, err := q.Exec(ctx, tell, server, t.Actuator, t.TenantNo, string(t.Status.State), t.Status.Reason, t.Status.Since, t.Status.Restarts,
				t.Usage.Calls, t.Usage.Snapshots, t.Usage.Failures, t.Usage.Rejections, t.Usage.P50.Microseconds(), t.Usage.P99.Microseconds(), t.Usage.Executions)
			if err != nil {
				return err
			}
		}
		_, err := q.Exec(ctx, `delete from actuator_status where (server = $1 and actuator <> all ($2)) or told_at < now() - interval '1 hour'`, server, names)
		return err
	})
}

type toldRow struct {
	Server, Actuator, State, Reason                  string
	TenantNo                                         int32
	Since, ToldAt                                    time.Time
	Restarts, Calls, Snapshots, Failures, Rejections int64
	P50Micros, P99Micros, Executions                 int64
}

// Told implements actuators.Store.
func (s *Store) Told(ctx context.Context) ([]actuators.Told, error) {
	rows, err := pg.Many[toldRow](ctx, s.db.Q(), `select server, actuator, tenant_no, state, reason, since, restarts, calls, snapshots, failures, rejections,
  p50_us as p50_micros, p99_us as p99_micros, executions, told_at from actuator_status where told_at > now() - interval '1 minute' order by server, tenant_no, actuator`)
	if err != nil {
		return nil, err
	}
	out := make([]actuators.Told, len(rows))
	for i, r := range rows {
		out[i] = actuators.Told{
			Server: r.Server, Actuator: r.Actuator, TenantNo: r.TenantNo, At: r.ToldAt,
			Status: actuation.Status{State: actuation.State(r.State), Reason: r.Reason, Since: r.Since, Restarts: int(r.Restarts)},
			Usage: actuation.Usage{
				Calls: r.Calls, Snapshots: r.Snapshots, Failures: r.Failures, Rejections: r.Rejections, Executions: r.Executions,
				P50: time.Duration(r.P50Micros) * time.Microsecond, P99: time.Duration(r.P99Micros) * time.Microsecond,
			},
		}
	}
	return out, nil
}

// Of one merchant where one is named; of all for the operator of the machine.
const fromRecorded = `
from decisions d join decision_traces t on t.tenant_no = d.tenant_no and t.trace_id = d.trace_id
join merchants m on m.tenant_no = d.tenant_no
where t.kind = 'sale' and d.plan is not null and d.kind = any ($1) and d.at >= $2 and d.decision_id > $3 and ($4 = '' or m.merchant_id = $4)`

const recorded = `select d.decision_id, d.actuator, d.actuator_version, d.plan,
  (select s from json_array_elements(t.inputs->'snapshots') s where s->>'id' = d.decision_id) as snapshot` + fromRecorded + `
order by d.decision_id limit $5`

// CountRecorded implements actuators.Store.
func (s *Store) CountRecorded(ctx context.Context, f actuators.RecordedFilter) (int64, error) {
	return pg.One[int64](ctx, s.db.Q(), `select count(*)`+fromRecorded, words(f.Kinds), f.Since, f.After, f.MerchantID)
}

func words(kinds []actuation.Kind) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

// Recorded implements actuators.Store.
func (s *Store) Recorded(ctx context.Context, f actuators.RecordedFilter) ([]actuators.Recorded, error) {
	type decided struct {
		DecisionID, Actuator, ActuatorVersion string
		Plan, Snapshot                        json.RawMessage
	}
	rows, err := pg.Many[decided](ctx, s.db.Q(), recorded, words(f.Kinds), f.Since, f.After, f.MerchantID, f.Limit)
	if err != nil {
		return nil, err
	}
	out := make([]actuators.Recorded, 0, len(rows))
	for _, r := range rows {
		d := actuators.Recorded{DecisionID: r.DecisionID, Actuator: r.Actuator, ActuatorVersion: r.ActuatorVersion}
		if err := errors.Join(json.Unmarshal(r.Snapshot, &d.Snapshot), json.Unmarshal(r.Plan, &d.Plan)); err != nil {
			return nil, fmt.Errorf("read decision %s: %w", r.DecisionID, err)
		}
		out = append(out, d)
	}
	return out, nil
}
