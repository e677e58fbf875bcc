package actuators

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Log implements actuation.CommandLog in a transaction of the caller's.
type Log struct{ q pg.Q }

var _ actuation.CommandLog = (*Log)(nil)

// NewLog returns the log over q.
func NewLog(q pg.Q) *Log { return &Log{q} }

const addCommand = `insert into actuator_commands
  (command_id, tenant_no, actuator, shadow, kind, decision_id, payload, committed_at, due_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)`

// Add implements actuation.CommandLog.
func (l *Log) Add(ctx context.Context, commands ...actuation.StoredCommand) error {
	for _, c := range commands { // bounded by the effects of a sale's plans
		_, err := l.q.Exec(ctx, addCommand, c.ID, c.Tenant.No, c.Actuator, c.Shadow, c.Kind, c.DecisionID, orNull(c.Payload), c.CommittedAt)
		if err != nil {
			return err
		}
	}
	return nil
}

// orNull is null for an absent document.
func orNull(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// place is what schedules, facts and commands belong to.
const samePlace = `tenant_no = $1 and actuator = $2 and shadow = $3`

// schedule makes the schedules of a place those of in: each is due at once.
func schedule(ctx context.Context, q pg.Q, in actuation.Installation) error {
	kinds := make([]string, len(in.Manifest.Schedules))
	for i, s := range in.Manifest.Schedules {
		kinds[i] = s.Command
		_, err := q.Exec(ctx, `insert into actuator_schedules (tenant_no, actuator, shadow, kind, every, next_at)
values ($1, $2, $3, $4, make_interval(secs => $5), $6)
on conflict (tenant_no, actuator, shadow, kind) do update set every = excluded.every, next_at = excluded.next_at`,
			in.Tenant.No, in.Manifest.Name, in.Shadow, s.Command, s.Every.Seconds(), in.InstalledAt)
		if err != nil {
			return err
		}
	}
	_, err := q.Exec(ctx, `delete from actuator_schedules where `+samePlace+` and kind <> all ($4)`, in.Tenant.No, in.Manifest.Name, in.Shadow, kinds)
	return err
}

// unschedule ends what an uninstalled actuator had still to do outside.
func unschedule(ctx context.Context, q pg.Q, in actuation.Installation, now time.Time) error {
	for _, sql := range []string{
		`delete from actuator_schedules where ` + samePlace, `delete from actuator_facts where ` + samePlace,
		`delete from actuator_commands where ` + samePlace + ` and scheduled`,
	} {
		if _, err := q.Exec(ctx, sql, in.Tenant.No, in.Manifest.Name, in.Shadow); err != nil {
			return err
		}
	}
	_, err := q.Exec(ctx, `update actuator_commands set state = 'parked', failure = 'its actuator was uninstalled', due_at = null, finished_at = $4
where `+samePlace+` and state = 'pending'`, in.Tenant.No, in.Manifest.Name, in.Shadow, now)
	return err
}

// Every merchant's of a mode: a server carries them all out.
const dueSchedules = `select s.tenant_no, s.actuator, s.shadow, s.kind from actuator_schedules s join merchants m using (tenant_no)
where s.next_at <= $1 and m.live = $2 order by s.next_at limit $3 for update of s skip locked`

type scheduled struct {
	TenantNo int32
	Actuator string
	Shadow   bool
	Kind     string
}

// Schedule implements actuators.Commands.
func (s *Store) Schedule(ctx context.Context, mode tenancy.Mode, now time.Time, limit int, makeID func() string) (int, error) {
	n := 0
	err := pg.Tx(ctx, s.db, func(ctx context.Context, q pg.Q) error {
		due, err := pg.Many[scheduled](ctx, q, dueSchedules, now, mode == tenancy.Production, limit)
		if err != nil {
			return err
		}
		n = len(due)
		for _, d := range due {
			// One that is finished makes room: of a schedule only the last is kept.
			_, err := q.Exec(ctx, `delete from actuator_commands where `+samePlace+` and kind = $4 and scheduled and state <> 'pending'`, d.TenantNo, d.Actuator, d.Shadow, d.Kind)
			if err != nil {
				return err
			}
			_, err = q.Exec(ctx, `insert into actuator_commands (command_id, tenant_no, actuator, shadow, kind, scheduled, committed_at, due_at)
values ($1, $2, $3, $4, $5, true, $6, $6) on conflict do nothing`, makeID(), d.TenantNo, d.Actuator, d.Shadow, d.Kind, now)
			if err != nil {
				return err
			}
			_, err = q.Exec(ctx, `update actuator_schedules set next_at = $5::timestamptz + every where `+samePlace+` and kind = $4`, d.TenantNo, d.Actuator, d.Shadow, d.Kind, now)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

const claimCommands = `with due as (
  select c.command_id from actuator_commands c join merchants m using (tenant_no)
  where c.state = 'pending' and c.due_at <= $1 and m.live = $2 order by c.due_at limit $4 for update of c skip locked)
update actuator_commands c set attempts = c.attempts + 1, due_at = $1::timestamptz + make_interval(secs => $3)
from due, merchants m where c.command_id = due.command_id and m.tenant_no = c.tenant_no
returning c.command_id, c.actuator, c.shadow, c.kind, c.scheduled, c.decision_id, c.payload, c.attempts, c.committed_at,
  m.tenant_no, m.partner_id, m.merchant_id, m.live`

type commandRow struct {
	CommandID, Actuator, Kind, DecisionID string
	Shadow, Scheduled, Live               bool
	Payload                               json.RawMessage
	Attempts                              int
	CommittedAt                           time.Time
	TenantNo                              int32
	PartnerID, MerchantID                 string
}

// Claim implements actuators.Commands.
func (s *Store) Claim(ctx context.Context, m tenancy.Mode, now time.Time, lease time.Duration, limit int) ([]actuation.StoredCommand, error) {
	rows, err := pg.Many[commandRow](ctx, s.db.Q(), claimCommands, now, m == tenancy.Production, lease.Seconds(), limit)
	if err != nil {
		return nil, err
	}
	out := make([]actuation.StoredCommand, len(rows))
	for i, r := range rows {
		out[i] = actuation.StoredCommand{
			ID: r.CommandID, Tenant: tenancy.Tenant{PartnerID: r.PartnerID, MerchantID: r.MerchantID, Mode: mode(r.Live), No: r.TenantNo},
			Actuator: r.Actuator, Shadow: r.Shadow, Kind: r.Kind, Payload: r.Payload, Scheduled: r.Scheduled, DecisionID: r.DecisionID,
			Attempts: r.Attempts, CommittedAt: r.CommittedAt,
		}
	}
	return out, nil
}

// An attempt counts only while it is the last that was begun: a worker that was
// too slow, and whose command another one took, changes nothing.
const ofAttempt = ` where tenant_no = $1 and command_id = $2 and state = 'pending' and attempts = $3`

const keepFacts = `insert into actuator_facts (tenant_no, actuator, shadow, facts, refreshed_at) values ($1, $2, $3, $4, $5)
on conflict (tenant_no, actuator, shadow) do update set facts = excluded.facts, refreshed_at = excluded.refreshed_at`

// Finish implements actuators.Commands.
func (s *Store) Finish(ctx context.Context, c actuation.StoredCommand, r actuation.Receipt, now time.Time) error {
	return pg.Tx(ctx, s.db, func(ctx context.Context, q pg.Q) error {
		n, err := q.Exec(ctx, `update actuator_commands set state = 'done', failure = '', reference = $4, result = $5, due_at = null, finished_at = $6`+ofAttempt,
			c.Tenant.No, c.ID, c.Attempts, r.Reference, orNull(r.Result), now)
		if err != nil || n == 0 || len(r.Facts) == 0 {
			return err
		}
		_, err = q.Exec(ctx, keepFacts, c.Tenant.No, c.Actuator, c.Shadow, r.Facts, now)
		return err
	})
}

// Again implements actuators.Commands.
func (s *Store) Again(ctx context.Context, c actuation.StoredCommand, failure string, at time.Time, uncounted bool) error {
	_, err := s.db.Q().Exec(ctx, `update actuator_commands set failure = $4, due_at = $5, attempts = attempts - $6::bool::int`+ofAttempt,
		c.Tenant.No, c.ID, c.Attempts, shorter(failure), at, uncounted)
	return err
}

// Park implements actuators.Commands.
func (s *Store) Park(ctx context.Context, c actuation.StoredCommand, failure string, now time.Time) error {
	_, err := s.db.Q().Exec(ctx, `update actuator_commands set state = 'parked', failure = $4, due_at = null, finished_at = $5`+ofAttempt,
		c.Tenant.No, c.ID, c.Attempts, shorter(failure), now)
	return err
}

// shorter bounds what an actuator says of itself.
func shorter(s string) string {
	const most = 1000
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	return strings.Map(func(r rune) rune {
		if r == 0 {
			return -1 // the database takes no NUL
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Sweep implements actuators.Commands.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.db.Q().Exec(ctx, `delete from actuator_commands where command_id in (
  select command_id from actuator_commands where state <> 'pending' and finished_at < $1 order by finished_at limit $2)`, before, limit)
	return int(n), err
}

// For the operator of the machine: every merchant's where none is named.
const commandList = `select c.command_id, m.merchant_id, c.actuator, c.kind, c.state, c.scheduled, c.decision_id, c.attempts, c.reference, c.failure,
  c.committed_at, c.due_at, c.finished_at
from actuator_commands c join merchants m using (tenant_no)
where ($1 = '' or m.merchant_id = $1) and ($2 = '' or c.state = $2) order by c.command_id desc limit $3`

// CommandList implements actuators.Commands.
func (s *Store) CommandList(ctx context.Context, f actuators.CommandFilter) ([]actuators.CommandStatus, error) {
	return pg.Many[actuators.CommandStatus](ctx, s.db.Q(), commandList, f.MerchantID, f.State, f.Limit)
}

// CommandSums implements actuators.Commands.
func (s *Store) CommandSums(ctx context.Context) ([]actuators.CommandSum, error) {
	return pg.Many[actuators.CommandSum](ctx, s.db.Q(), `
select coalesce(c.tenant_no, f.tenant_no) as tenant_no, coalesce(c.actuator, f.actuator) as actuator, coalesce(c.shadow, f.shadow) as shadow,
  coalesce(c.pending, 0) as pending, coalesce(c.parked, 0) as parked, f.refreshed_at
from (select tenant_no, actuator, shadow, count(*) filter (where state = 'pending') as pending, count(*) filter (where state = 'parked') as parked
  from actuator_commands where state <> 'done' group by 1, 2, 3) c
full join actuator_facts f on f.tenant_no = c.tenant_no and f.actuator = c.actuator and f.shadow = c.shadow`)
}

// Unpark implements actuators.Commands.
func (s *Store) Unpark(ctx context.Context, commandID string, now time.Time) error {
	// By the operator of the machine, of whatever merchant it is.
	n, err := s.db.Q().Exec(ctx, `update actuator_commands set state = 'pending', attempts = 0, due_at = $2, finished_at = null
where command_id = $1 and state = 'parked'`, commandID, now)
	if err != nil || n == 1 {
		return err
	}
	state, err := pg.Maybe[string](ctx, s.db.Q(), `select state from actuator_commands where command_id = $1`, commandID)
	switch {
	case err != nil:
		return err
	case state == nil:
		return fault.NotFound("command")
	}
	return fault.New(fault.CodeStateConflict, "command %s is %s; only a parked one is tried again", commandID, *state)
}

// StoredFacts implements actuators.Store.
func (s *Store) StoredFacts(ctx context.Context, in actuation.Installation) (actuators.StoredFacts, error) {
	type kept struct {
		Facts       json.RawMessage
		RefreshedAt time.Time
	}
	k, err := pg.Maybe[kept](ctx, s.db.Q(), `select facts, refreshed_at from actuator_facts where `+samePlace, in.Tenant.No, in.Manifest.Name, in.Shadow)
	if err != nil || k == nil {
		return actuators.StoredFacts{}, err
	}
	return actuators.StoredFacts{Facts: k.Facts, At: k.RefreshedAt}, nil
}

const reject = `insert into actuator_rejections (tenant_no, actuator, version, rule, count, snapshot_id, message, first_at, last_at)
select tenant_no, $2, $3, $4, $5, $6, $7, $8, $8 from merchants where merchant_id = $1
on conflict (tenant_no, actuator, version, rule) do update set count = actuator_rejections.count + excluded.count,
  snapshot_id = excluded.snapshot_id, message = excluded.message, last_at = excluded.last_at`

// Reject implements actuators.Store.
func (s *Store) Reject(ctx context.Context, at time.Time, list []actuators.Rejection) error {
	for _, r := range list {
		_, err := s.db.Q().Exec(ctx, reject, r.MerchantID, r.Actuator, r.Version, r.Rule, r.Count, shorter(r.SnapshotID), shorter(r.Message), at)
		if err != nil {
			return err
		}
	}
	return nil
}

// Rejections implements actuators.Store.
func (s *Store) Rejections(ctx context.Context, limit int) ([]actuators.Rejection, error) {
	return pg.Many[actuators.Rejection](ctx, s.db.Q(), `select m.merchant_id, r.actuator, r.version, r.rule, r.count, r.snapshot_id, r.message, r.last_at
from actuator_rejections r join merchants m using (tenant_no) order by r.last_at desc limit $1`, limit)
}
