package webhooks

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

// Store implements webhook.Store.
type Store struct {
	q     pg.Q
	vault webhook.Vault
}

// New returns the store on q; vault seals signing secrets.
func New(q pg.Q, vault webhook.Vault) *Store { return &Store{q, vault} }

// shownAttempts is how many attempts a listed delivery shows.
const shownAttempts = 20

func modeOf(live bool) tenancy.Mode {
	if live {
		return tenancy.Production
	}
	return tenancy.Sandbox
}

// Insert implements webhook.Store.
func (s *Store) Insert(ctx context.Context, sub webhook.Subscription) error {
	sealed, err := s.vault.Seal([]byte(sub.Secret))
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, `insert into webhook_subscriptions
		(subscription_id, tenant_no, url, event_types, status, ordered, description, secret, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
		sub.ID, sub.Tenant.No, sub.URL, sub.EventTypes, string(sub.Status), sub.Ordered, sub.Description, sealed, sub.CreatedAt)
	return err
}

type subscriptionRow struct {
	SubscriptionID      string
	URL                 string
	EventTypes          []string `bun:"event_types,array"`
	Status              string
	Ordered             bool
	Description         string
	ConsecutiveFailures int
	LastSuccessAt       *time.Time
	LastFailureAt       *time.Time
	CreatedAt           time.Time
	UpdatedAt           time.Time
	Pending             int64
	Parked              int64

	PreviousSecretExpiresAt *time.Time
}

func (r subscriptionRow) subscription(t tenancy.Tenant) webhook.Subscription {
	return webhook.Subscription{
		ID: r.SubscriptionID, Tenant: t, URL: r.URL, EventTypes: r.EventTypes, Status: webhook.Status(r.Status),
		Ordered: r.Ordered, Description: r.Description, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		PreviousSecretExpiresAt: r.PreviousSecretExpiresAt,
		Health: webhook.Health{
			ConsecutiveFailures: r.ConsecutiveFailures, Pending: r.Pending, Parked: r.Parked,
			LastSuccessAt: r.LastSuccessAt, LastFailureAt: r.LastFailureAt,
		},
	}
}

func (s *Store) selectSubscriptions(t tenancy.Tenant) *bun.SelectQuery {
	return s.q.Bun().NewSelect().TableExpr("webhook_subscriptions AS s").
		ColumnExpr("subscription_id, url, event_types, status, ordered, description, consecutive_failures").
		ColumnExpr("last_success_at, last_failure_at, created_at, updated_at, previous_secret_expires_at").
		ColumnExpr("(select count(*) from webhook_deliveries d where d.subscription_id = s.subscription_id and d.state < 2) AS pending").
		ColumnExpr("(select count(*) from webhook_deliveries d where d.subscription_id = s.subscription_id and d.state = 3) AS parked").
		Where("s.tenant_no = ?", t.No)
}

// Subscription implements webhook.Store.
func (s *Store) Subscription(ctx context.Context, t tenancy.Tenant, id string) (webhook.Subscription, error) {
	var rows []subscriptionRow
	if err := s.selectSubscriptions(t).Where("subscription_id = ?", id).Scan(ctx, &rows); err != nil {
		return webhook.Subscription{}, pg.Map(err)
	}
	if len(rows) == 0 {
		return webhook.Subscription{}, fault.NotFound("subscription")
	}
	return rows[0].subscription(t), nil
}

// Subscriptions implements webhook.Store.
func (s *Store) Subscriptions(ctx context.Context, t tenancy.Tenant, f webhook.SubscriptionFilter) ([]webhook.Subscription, error) {
	query := s.selectSubscriptions(t).OrderExpr("subscription_id DESC").Limit(int64(f.Limit))
	if f.Before != "" {
		query = query.Where("subscription_id < ?", f.Before)
	}
	if f.Status != "" {
		query = query.Where("status = ?", string(f.Status))
	}
	var rows []subscriptionRow
	if err := query.Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	out := make([]webhook.Subscription, len(rows))
	for i, r := range rows {
		out[i] = r.subscription(t)
	}
	return out, nil
}

// Delete implements webhook.Store. Deliveries that wait go with it; finished
// ones stay readable.
func (s *Store) Delete(ctx context.Context, t tenancy.Tenant, id string) error {
	n, err := s.q.Exec(ctx, `delete from webhook_subscriptions where tenant_no = $1 and subscription_id = $2`, t.No, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.NotFound("subscription")
	}
	_, err = s.q.Exec(ctx, `delete from webhook_deliveries where tenant_no = $1 and subscription_id = $2 and state < 2`, t.No, id)
	return err
}

type deliveryRow struct {
	DeliveryNo     int64
	DeliveryID     string
	SubscriptionID string
	EventID        string
	EventType      string
	State          int16
	Attempts       int
	DueAt          time.Time
	CreatedAt      time.Time
	DeliveredAt    *time.Time

	FirstStatusCode  *int
	FirstError       *string
	FirstExcerpt     *string
	FirstDurationMs  *int64
	FirstAttemptedAt *time.Time
}

// deliveryColumns are those of a deliveryRow.
const deliveryColumns = `delivery_no, delivery_id, subscription_id, event_id, event_type, state, attempts, due_at, created_at, delivered_at,
	first_status_code, first_error, first_excerpt, first_duration_ms::bigint, first_attempted_at`

// first is the first attempt where it stands in the row; deliveries of before
// have it among the others.
func (r deliveryRow) first() *webhook.Attempt {
	if r.FirstAttemptedAt == nil {
		return nil
	}
	a := attemptRow{r.DeliveryNo, 1, r.FirstStatusCode, r.FirstError, r.FirstExcerpt, *r.FirstDurationMs, *r.FirstAttemptedAt}.attempt()
	return &a
}

func (r deliveryRow) delivery() webhook.Delivery {
	d := webhook.Delivery{
		No: r.DeliveryNo, ID: r.DeliveryID, SubscriptionID: r.SubscriptionID, EventID: r.EventID, EventType: r.EventType,
		State: webhook.DeliveryState(r.State), AttemptCount: r.Attempts, CreatedAt: r.CreatedAt, DeliveredAt: r.DeliveredAt,
	}
	if d.State <= webhook.Retrying {
		d.DueAt = &r.DueAt
	}
	return d
}

// Deliveries implements webhook.Store.
func (s *Store) Deliveries(ctx context.Context, t tenancy.Tenant, f webhook.DeliveryFilter) ([]webhook.Delivery, error) {
	query := s.q.Bun().NewSelect().TableExpr("webhook_deliveries").
		ColumnExpr(deliveryColumns).
		Where("tenant_no = ?", t.No).OrderExpr("delivery_no DESC").Limit(int64(f.Limit))
	for column, value := range map[string]string{"subscription_id": f.SubscriptionID, "event_id": f.EventID, "event_type": f.EventType} {
		if value != "" {
			query = query.Where("? = ?", bun.Ident(column), value)
		}
	}
	if f.State != nil {
		query = query.Where("state = ?", int16(*f.State))
	}
	if f.CreatedFrom != nil {
		query = query.Where("created_at >= ?", *f.CreatedFrom)
	}
	if f.CreatedBefore != nil {
		query = query.Where("created_at < ?", *f.CreatedBefore)
	}
	if f.Before > 0 {
		query = query.Where("delivery_no < ?", f.Before)
	}
	var rows []deliveryRow
	if err := query.Scan(ctx, &rows); err != nil {
		return nil, pg.Map(err)
	}
	return s.withAttempts(ctx, rows)
}

type attemptRow struct {
	DeliveryNo  int64
	Attempt     int
	StatusCode  *int
	Error       *string
	Excerpt     *string
	DurationMs  int64
	AttemptedAt time.Time
}

const latestAttempts = `
select a.* from unnest($1::bigint[]) as d (no), lateral (
  select delivery_no, attempt, status_code, error, excerpt, duration_ms::bigint, attempted_at from webhook_attempts
  where delivery_no = d.no order by attempt desc limit $2) as a`

// withAttempts gives the deliveries of rows with their latest attempts.
func (s *Store) withAttempts(ctx context.Context, rows []deliveryRow) ([]webhook.Delivery, error) {
	out, numbers, at := make([]webhook.Delivery, len(rows)), make([]int64, len(rows)), make(map[int64]int, len(rows))
	for i, r := range rows {
		out[i], numbers[i], at[r.DeliveryNo] = r.delivery(), r.DeliveryNo, i
	}
	later, err := pg.Many[attemptRow](ctx, s.q, latestAttempts, numbers, shownAttempts)
	if err != nil {
		return nil, err
	}
	for _, r := range later {
		d := &out[at[r.DeliveryNo]]
		d.Attempts = append(d.Attempts, r.attempt())
	}
	for i, r := range rows {
		if first := r.first(); first != nil && len(out[i].Attempts) < shownAttempts {
			out[i].Attempts = append(out[i].Attempts, *first)
		}
	}
	return out, nil
}

func (r attemptRow) attempt() webhook.Attempt {
	a := webhook.Attempt{Number: r.Attempt, Duration: time.Duration(r.DurationMs) * time.Millisecond, At: r.AttemptedAt}
	if r.StatusCode != nil {
		a.StatusCode = *r.StatusCode
	}
	if r.Error != nil {
		a.Error = *r.Error
	}
	if r.Excerpt != nil {
		a.Excerpt = *r.Excerpt
	}
	return a
}
