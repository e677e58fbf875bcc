package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

const update = `
update webhook_subscriptions set url = coalesce($3, url),
  event_types = case when cardinality($4::text[]) > 0 then $4 else event_types end,
  consecutive_failures = case when $5 = 'active' and status <> 'active' then 0 else consecutive_failures end,
  status = coalesce($5, status), ordered = coalesce($6, ordered), description = coalesce($7, description), updated_at = $8
where tenant_no = $1 and subscription_id = $2`

// Update implements webhook.Store: one statement, so that two changes of
// different members both hold.
func (s *Store) Update(ctx context.Context, t tenancy.Tenant, id string, c webhook.Change, at time.Time) error {
	types := c.EventTypes
	if types == nil {
		types = []string{}
	}
	return s.touch(s.q.Exec(ctx, update, t.No, id, c.URL, types, (*string)(c.Status), c.Ordered, c.Description, at))
}

const rotate = `
update webhook_subscriptions set previous_secret = secret, secret = $3, previous_secret_expires_at = $4, updated_at = $5
where tenant_no = $1 and subscription_id = $2`

// Rotate implements webhook.Store.
func (s *Store) Rotate(ctx context.Context, t tenancy.Tenant, id, secret string, expires, at time.Time) error {
	sealed, err := s.vault.Seal([]byte(secret))
	if err != nil {
		return err
	}
	return s.touch(s.q.Exec(ctx, rotate, t.No, id, sealed, expires, at))
}

// touch judges a statement on one subscription.
func (*Store) touch(n int64, err error) error {
	if err == nil && n == 0 {
		return fault.NotFound("subscription")
	}
	return err
}

const readDelivery = `
select ` + deliveryColumns + ` from webhook_deliveries where tenant_no = $1 and delivery_id = $2`

// Delivery implements webhook.Store.
func (s *Store) Delivery(ctx context.Context, t tenancy.Tenant, id string) (webhook.Delivery, error) {
	row, err := pg.One[deliveryRow](ctx, s.q, readDelivery, t.No, id)
	if errors.Is(err, pg.ErrNoRows) {
		return webhook.Delivery{}, fault.NotFound("delivery")
	}
	if err != nil {
		return webhook.Delivery{}, err
	}
	found, err := s.withAttempts(ctx, []deliveryRow{row})
	if err != nil {
		return webhook.Delivery{}, err
	}
	return found[0], nil
}

// requeue walks the deliveries of one subscription from the first on, by the
// primary key of the first and the tenant's index.
const requeue = `
update webhook_deliveries set state = case when attempts > 0 then 1 else 0 end, due_at = $6, requeued_at = $6, delivered_at = null
where tenant_no = $1 and subscription_id = $2
  and (delivery_no = $3 or ($4 and delivery_no > $3 and created_at < $5))`

// Requeue implements webhook.Store.
func (s *Store) Requeue(ctx context.Context, t tenancy.Tenant, d webhook.Delivery, until *time.Time, at time.Time) (int64, error) {
	bound := at
	if until != nil {
		bound = *until
	}
	return s.q.Exec(ctx, requeue, t.No, d.SubscriptionID, d.No, until != nil, bound, at)
}
