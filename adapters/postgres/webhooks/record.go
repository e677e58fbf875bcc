package webhooks

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"
)

// route reads the subscriptions of the tenants in a run of events, and for each
// what it has of that run already: a range of the index, empty nearly always. A
// delivery is its subscription's tenant's; to ask for that, too, would offer the plan,
// which is kept, an index of all the tenant's deliveries.
const route = `
select s.subscription_id, s.tenant_no, s.event_types, s.status, s.url, s.ordered, s.secret, s.previous_secret, s.previous_secret_expires_at,
  s.consecutive_failures,
  array(select d.event_xid::text || '/' || d.event_position from webhook_deliveries d
    where d.subscription_id = s.subscription_id
      and (d.event_xid, d.event_position) >= ($2::text::xid8, $3::bigint) and (d.event_xid, d.event_position) <= ($4::text::xid8, $5::bigint)) as has
from webhook_subscriptions s where s.tenant_no = any($1) and s.status <> 'disabled'`

// routed is a subscription and the events of a run that it has.
type routed struct {
	webhook.Subscription
	has map[string]bool
}

// Route implements webhook.Queue: one read for the whole run.
func (s *Queue) Route(ctx context.Context, events []event.Logged) ([]webhook.Route, error) {
	if len(events) == 0 {
		return nil, nil
	}
	first, last := events[0].Cursor, events[len(events)-1].Cursor
	all, err := pg.ManyFunc(ctx, s.log, s.scanRouted, route, tenants(events), xid(first), first.Position, xid(last), last.Position)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b routed) int { return strings.Compare(a.ID, b.ID) }) // the index gives them by tenant
	var routes []webhook.Route
	for _, r := range all {
		if to := r.of(events); len(to.Events) > 0 {
			routes = append(routes, to)
		}
	}
	return routes, nil
}

// scanRouted leaves a secret that cannot be opened empty: that is the trouble of
// one subscription, not of all.
func (s *Queue) scanRouted(row pgx.CollectableRow) (routed, error) {
	var (
		r                routed
		status           string
		sealed, previous []byte
		has              []string
	)
	err := row.Scan(&r.ID, &r.Tenant.No, &r.EventTypes, &status, &r.URL, &r.Ordered, &sealed, &previous, &r.PreviousSecretExpiresAt,
		&r.Health.ConsecutiveFailures, &has)
	if err != nil {
		return r, err
	}
	r.Status = webhook.Status(status)
	if r.Secret, err = s.open(sealed); err == nil {
		r.PreviousSecret, err = s.open(previous)
	}
	if err != nil {
		r.Secret = ""
	}
	if len(has) > 0 {
		r.has = make(map[string]bool, len(has))
		for _, at := range has {
			r.has[at] = true
		}
	}
	return r, nil
}

// of picks what the subscription gets of a run.
func (r routed) of(events []event.Logged) webhook.Route {
	to := webhook.Route{Subscription: r.Subscription}
	for _, e := range events {
		if e.Tenant.No != r.Tenant.No || !r.Wants(e.Type) {
			continue
		}
		if r.has != nil && r.has[place(e.Cursor)] {
			continue
		}
		to.Subscription.Tenant = e.Tenant
		to.Events = append(to.Events, e)
	}
	return to
}

func xid(c event.Cursor) string { return strconv.FormatUint(c.XID, 10) }

func place(c event.Cursor) string { return xid(c) + "/" + strconv.FormatInt(c.Position, 10) }

func tenants(events []event.Logged) []int32 {
	seen := map[int32]bool{}
	var out []int32
	for _, e := range events {
		if !seen[e.Tenant.No] {
			seen[e.Tenant.No] = true
			out = append(out, e.Tenant.No)
		}
	}
	return out
}

// record writes deliveries with what became of their first attempts, and the
// health of the endpoints that answered.
const record = `
with o as materialized (select * from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::smallint[], $10::int[], $11::timestamptz[], $12::timestamptz[],
    $13::int[], $14::text[], $15::text[], $16::int[], $17::timestamptz[])
  with ordinality as o (delivery_id, tenant_no, subscription_id, event_id, event_type, subject, event_xid, event_position,
    state, attempts, due_at, created_at, status_code, error, excerpt, duration_ms, at, n)),
d as (insert into webhook_deliveries (delivery_id, tenant_no, subscription_id, event_id, event_type, subject, event_xid, event_position,
    state, attempts, due_at, created_at, delivered_at, first_status_code, first_error, first_excerpt, first_duration_ms, first_attempted_at)
  select delivery_id, tenant_no, subscription_id, event_id, event_type, subject, event_xid::xid8, event_position,
    state, attempts, due_at, created_at, case when state = 2 then at end,
    nullif(status_code, 0), nullif(error, ''), nullif(excerpt, ''), case when at is not null then duration_ms end, at
  from o order by n
  on conflict (subscription_id, event_xid, event_position) do nothing
  returning delivery_id, delivery_no, attempts, first_attempted_at),
h as (update webhook_subscriptions s set consecutive_failures = f.failures,
    last_success_at = coalesce(f.good, last_success_at), last_failure_at = coalesce(f.bad, last_failure_at)
  from (select f.subscription_id, o.tenant_no, f.failures, max(o.at) filter (where o.state = 2) as good, max(o.at) filter (where o.state <> 2) as bad
    from unnest($18::text[], $19::int[]) as f (subscription_id, failures) join o using (subscription_id)
    group by f.subscription_id, o.tenant_no, f.failures) f
  where s.tenant_no = f.tenant_no and s.subscription_id = f.subscription_id)
select delivery_id, delivery_no from d where attempts > 0 and first_attempted_at is null`

type numbered struct {
	DeliveryID string
	DeliveryNo int64
}

// Record implements webhook.Queue: one statement for the whole run.
func (s *Queue) Record(ctx context.Context, made []webhook.Made, failures map[string]int) (map[string]int64, error) {
	if len(made) == 0 {
		return nil, nil
	}
	r := newRecords(len(made))
	for _, m := range made {
		r.add(m)
	}
	ids, counts := make([]string, 0, len(failures)), make([]int32, 0, len(failures))
	for id, n := range failures {
		ids, counts = append(ids, id), append(counts, int32(n))
	}
	rows, err := pg.Many[numbered](ctx, s.q, record, r.ids, r.tenants, r.subscriptions, r.events, r.types, r.subjects, r.xids, r.positions,
		r.states, r.attempts, r.due, r.created, r.codes, r.causes, r.excerpts, r.durations, r.times, ids, counts)
	if err != nil {
		return nil, err
	}
	numbers := make(map[string]int64, len(rows))
	for _, row := range rows {
		numbers[row.DeliveryID] = row.DeliveryNo
	}
	return numbers, nil
}

// records are new deliveries as arrays, one for each column.
type records struct {
	ids, subscriptions, events, types, subjects, xids []string
	tenants                                           []int32
	positions                                         []int64
	states                                            []int16
	attempts                                          []int32
	due, created                                      []time.Time
	codes, durations                                  []int32
	causes, excerpts                                  []string
	times                                             []*time.Time
}

func newRecords(n int) *records {
	text := func() []string { return make([]string, 0, n) }
	return &records{
		ids: text(), subscriptions: text(), events: text(), types: text(), subjects: text(), xids: text(),
		tenants: make([]int32, 0, n), positions: make([]int64, 0, n), states: make([]int16, 0, n), attempts: make([]int32, 0, n),
		due: make([]time.Time, 0, n), created: make([]time.Time, 0, n), codes: make([]int32, 0, n), durations: make([]int32, 0, n),
		causes: text(), excerpts: text(), times: make([]*time.Time, 0, n),
	}
}

func (r *records) add(m webhook.Made) {
	r.ids = append(r.ids, m.ID)
	r.tenants = append(r.tenants, m.Event.Tenant.No)
	r.subscriptions = append(r.subscriptions, m.SubscriptionID)
	r.events = append(r.events, m.Event.ID)
	r.types = append(r.types, m.Event.Type)
	r.subjects = append(r.subjects, m.Event.Subject)
	r.xids = append(r.xids, xid(m.Event.Cursor))
	r.positions = append(r.positions, m.Event.Cursor.Position)
	r.states = append(r.states, int16(m.State))
	r.due = append(r.due, m.DueAt)
	r.created = append(r.created, m.CreatedAt)
	tries, at := int32(m.Attempt.Number), (*time.Time)(nil)
	if m.UnderWay {
		tries = 1
	} else if m.Posted() {
		at = &m.Attempt.At
	}
	r.attempts = append(r.attempts, tries)
	r.times = append(r.times, at)
	r.codes = append(r.codes, int32(m.Attempt.StatusCode))
	r.causes = append(r.causes, m.Attempt.Error)
	r.excerpts = append(r.excerpts, m.Attempt.Excerpt)
	r.durations = append(r.durations, int32(m.Attempt.Duration.Milliseconds()))
}
