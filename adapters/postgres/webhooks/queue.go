// Package webhooks keeps subscriptions, their deliveries and attempts. A
// delivery row is queue, schedule and state at once: due_at is when it may be
// claimed next, and a claim moves it ahead by a lease.
package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"
)

// Queue implements webhook.Queue.
type Queue struct {
	q, log pg.Q
	vault  webhook.Vault
}

// NewQueue returns the queue on q. What it does at each reading of the event log
// it does on log, whose connections keep their plans.
func NewQueue(q, log pg.Q, vault webhook.Vault) *Queue { return &Queue{q, log, vault} }

// waiting walks the due index from one subscription to the next instead of
// reading every row of a backlog.
const waiting = `
with recursive w as (
  (select subscription_id from webhook_deliveries where state < 2 order by subscription_id limit 1)
  union all
  select (select d.subscription_id from webhook_deliveries d where d.state < 2 and d.subscription_id > w.subscription_id
          order by d.subscription_id limit 1)
  from w where w.subscription_id is not null)
select w.subscription_id from w
where (select s.status from webhook_subscriptions s where s.subscription_id = w.subscription_id) = 'active' and exists (select 1 from webhook_deliveries d where d.subscription_id = w.subscription_id and d.state < 2 and d.due_at <= $1)`

// Waiting implements webhook.Queue.
func (s *Queue) Waiting(ctx context.Context, by time.Time) ([]string, error) {
	return pg.Many[string](ctx, s.q, waiting, by)
}

const endpoint = `
select s.subscription_id, s.tenant_no, s.url, s.ordered, s.secret, s.previous_secret, s.previous_secret_expires_at,
  s.consecutive_failures, m.partner_id, m.merchant_id, m.live
from webhook_subscriptions s join merchants m on m.tenant_no = s.tenant_no
where s.subscription_id = $1 and s.status = 'active'`

// Endpoint implements webhook.Queue.
func (s *Queue) Endpoint(ctx context.Context, id string) (*webhook.Subscription, error) {
	var (
		sub              = webhook.Subscription{Status: webhook.Active}
		sealed, previous []byte
		live             bool
	)
	err := s.q.QueryRow(ctx, endpoint, id).Scan(&sub.ID, &sub.Tenant.No, &sub.URL, &sub.Ordered, &sealed, &previous, &sub.PreviousSecretExpiresAt,
		&sub.Health.ConsecutiveFailures, &sub.Tenant.PartnerID, &sub.Tenant.MerchantID, &live)
	if errors.Is(err, pg.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sub.Tenant.Mode = modeOf(live)
	if sub.Secret, err = s.open(sealed); err != nil {
		return nil, err
	}
	sub.PreviousSecret, err = s.open(previous)
	return &sub, err
}

// open gives a sealed secret in clear; empty where there is none.
func (s *Queue) open(sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	secret, err := s.vault.Open(sealed)
	return string(secret), err
}

// claim takes due rows; those that another worker holds are skipped. An
// ordered subscription gives only the first unfinished row of each subject.
const claim = `
with due as (
  select delivery_no from webhook_deliveries d
  where subscription_id = $1 and state < 2 and due_at <= $2
    and (not $5 or not exists (select 1 from webhook_deliveries e
      where e.subscription_id = $1 and e.state < 2 and e.subject = d.subject and e.delivery_no < d.delivery_no))
  order by due_at, delivery_no limit $4 for update skip locked),
taken as (
  update webhook_deliveries d set due_at = $3, attempts = attempts + 1 from due where d.delivery_no = due.delivery_no
  returning d.delivery_no, d.attempts, coalesce(d.requeued_at, d.created_at) as created_at, d.event_xid, d.event_position)
select t.delivery_no, t.attempts, t.created_at, e.event_id, e.type, e.subject, e.data, e.at
from taken t join events e on e.xid = t.event_xid and e.position = t.event_position
order by t.delivery_no`

// Claim implements webhook.Queue.
func (s *Queue) Claim(ctx context.Context, sub webhook.Subscription, now time.Time, lease time.Duration, limit int) ([]webhook.Claimed, error) {
	return pg.ManyFunc(ctx, s.q, func(row pgx.CollectableRow) (webhook.Claimed, error) {
		var data []byte
		c := webhook.Claimed{Event: event.Event{Tenant: sub.Tenant}}
		err := row.Scan(&c.No, &c.Attempt, &c.CreatedAt, &c.Event.ID, &c.Event.Type, &c.Event.Subject, &data, &c.Event.At)
		c.Event.Data = data
		return c, err
	}, claim, sub.ID, now, now.Add(lease), limit, sub.Ordered)
}

// settle may come twice, where the first was written and nobody heard of it: what
// was given back as it was, whose attempts go back by one, is so only once.
const settle = `
with o as (select * from unnest($2::bigint[], $3::smallint[], $4::timestamptz[], $5::int[], $6::int[], $7::text[], $8::text[], $9::int[], $10::timestamptz[])
  as o (no, state, due_at, attempt, status_code, error, excerpt, duration_ms, at)),
a as (insert into webhook_attempts (delivery_no, attempt, status_code, error, excerpt, duration_ms, attempted_at)
  select no, attempt, nullif(status_code, 0), nullif(error, ''), nullif(excerpt, ''), duration_ms, at from o where attempt > 1 on conflict do nothing),
d as (update webhook_deliveries d set due_at = o.due_at, delivered_at = case when o.state = 2 then o.at end,
    state = case when o.attempt > 0 then o.state else d.state end,
    attempts = d.attempts - case when o.attempt > 0 then 0 else 1 end,
    first_status_code = case when o.attempt = 1 then nullif(o.status_code, 0) else d.first_status_code end,
    first_error = case when o.attempt = 1 then nullif(o.error, '') else d.first_error end,
    first_excerpt = case when o.attempt = 1 then nullif(o.excerpt, '') else d.first_excerpt end,
    first_duration_ms = case when o.attempt = 1 then o.duration_ms else d.first_duration_ms end,
    first_attempted_at = case when o.attempt = 1 then o.at else d.first_attempted_at end
  from o where d.delivery_no = o.no and d.state < 2 and (o.attempt > 0 or d.due_at <> o.due_at))
update webhook_subscriptions set consecutive_failures = $11,
  last_success_at = coalesce((select max(at) from o where state = 2), last_success_at),
  last_failure_at = coalesce((select max(at) from o where state <> 2 and attempt > 0), last_failure_at)
where subscription_id = $1`

// Settle implements webhook.Queue.
func (s *Queue) Settle(ctx context.Context, subscriptionID string, outcomes []webhook.Outcome, failures int) error {
	n := len(outcomes)
	numbers, states, due := make([]int64, n), make([]int16, n), make([]time.Time, n)
	attempts, codes, durations := make([]int32, n), make([]int32, n), make([]int32, n)
	causes, excerpts, times := make([]string, n), make([]string, n), make([]time.Time, n)
	for i, o := range outcomes {
		numbers[i], states[i], due[i] = o.No, int16(o.State), o.DueAt
		attempts[i], codes[i], durations[i] = int32(o.Attempt.Number), int32(o.Attempt.StatusCode), int32(o.Attempt.Duration.Milliseconds())
		causes[i], excerpts[i], times[i] = o.Attempt.Error, o.Attempt.Excerpt, o.Attempt.At
	}
	_, err := s.q.Exec(ctx, settle, subscriptionID, numbers, states, due, attempts, codes, causes, excerpts, durations, times, failures)
	return err
}

const disable = `
with parked as (update webhook_deliveries set state = 3 where subscription_id = $1 and state < 2)
update webhook_subscriptions set status = 'disabled', updated_at = $2 where subscription_id = $1`

// Disable implements webhook.Queue.
func (s *Queue) Disable(ctx context.Context, subscriptionID string, at time.Time) error {
	_, err := s.q.Exec(ctx, disable, subscriptionID, at)
	return err
}
