package webhooks

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

// UpdateInput is a change of a subscription.
type UpdateInput struct {
	SubscriptionID string
	Change         webhook.Change
}

// Validate judges what the contract's own rules cannot; mode says which URLs
// may be posted to.
func (in UpdateInput) Validate(mode tenancy.Mode) error {
	if err := (CreateInput{EventTypes: in.Change.EventTypes}).Validate(); err != nil {
		return err
	}
	if in.Change.URL == nil {
		return nil
	}
	return webhook.CheckURL(*in.Change.URL, mode)
}

// Update changes a subscription. Deliveries under way go to the new URL.
// Errors: NOT_FOUND; VALIDATION_FAILED for a URL that may not be posted to or a
// pattern that matches no event type.
func (s *Service) Update(ctx context.Context, call *app.Call, in UpdateInput) (webhook.Subscription, error) {
	if err := in.Validate(call.Tenant.Mode); err != nil {
		return webhook.Subscription{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (webhook.Subscription, error) {
		if err := st.Webhooks.Update(ctx, call.Tenant, in.SubscriptionID, in.Change, now); err != nil {
			return webhook.Subscription{}, err
		}
		return st.Webhooks.Subscription(ctx, call.Tenant, in.SubscriptionID)
	})
}

// Rotate gives a subscription a new secret, shown in the answer only. The one
// before signs along for webhook.RotationOverlap; one older than that stops at
// once. Errors: NOT_FOUND.
func (s *Service) Rotate(ctx context.Context, call *app.Call, id string) (webhook.Subscription, error) {
	now, secret := s.Clock.Now(), newSecret()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (webhook.Subscription, error) {
		if err := st.Webhooks.Rotate(ctx, call.Tenant, id, secret, now.Add(webhook.RotationOverlap), now); err != nil {
			return webhook.Subscription{}, err
		}
		sub, err := st.Webhooks.Subscription(ctx, call.Tenant, id)
		sub.Secret = secret
		return sub, err
	})
}

// RetryInput names the delivery to send again, and with Until also every later
// one of its subscription that was made before that moment.
type RetryInput struct {
	DeliveryID string
	Until      *time.Time
}

// Retried is a delivery as it is now, and how many go out again with it.
type Retried struct {
	Delivery webhook.Delivery
	Count    int64
}

// Retry sends deliveries again, those too that arrived: their tries begin anew,
// with the URL and the secret of now. A paused subscription keeps them until it
// is active. Errors: NOT_FOUND; STATE_CONFLICT where the subscription is gone or
// disabled, since nothing would go out.
func (s *Service) Retry(ctx context.Context, call *app.Call, in RetryInput) (Retried, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Retried, error) {
		d, err := st.Webhooks.Delivery(ctx, call.Tenant, in.DeliveryID)
		if err != nil {
			return Retried{}, err
		}
		if err := retryable(ctx, st, call.Tenant, d.SubscriptionID); err != nil {
			return Retried{}, err
		}
		n, err := st.Webhooks.Requeue(ctx, call.Tenant, d, in.Until, now)
		if err != nil {
			return Retried{}, err
		}
		d, err = st.Webhooks.Delivery(ctx, call.Tenant, in.DeliveryID)
		return Retried{Delivery: d, Count: n}, err
	})
}

// retryable refuses subscriptions through which nothing would go out.
func retryable(ctx context.Context, st app.Stores, t tenancy.Tenant, subscriptionID string) error {
	sub, err := st.Webhooks.Subscription(ctx, t, subscriptionID)
	switch {
	case fault.Is(err, fault.CodeNotFound):
		return fault.Field(fault.CodeStateConflict, "delivery_id", "subscription_exists",
			"the subscription of this delivery was deleted; create one again and poll GET /webhooks/events for what it missed")
	case err == nil && sub.Status == webhook.Disabled:
		return fault.Field(fault.CodeStateConflict, "delivery_id", "subscription_enabled",
			"the subscription was disabled because its endpoint was dead; set its status to active first")
	}
	return err
}
