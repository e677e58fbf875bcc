package webhook

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps subscriptions and their history for the API.
type Store interface {
	// Insert writes a new subscription.
	Insert(ctx context.Context, s Subscription) error
	// Subscription reads one with its health; its secret is not filled in. Errors: NOT_FOUND.
	Subscription(ctx context.Context, t tenancy.Tenant, id string) (Subscription, error)
	// Subscriptions lists those before the id before (empty: the latest), latest first.
	Subscriptions(ctx context.Context, t tenancy.Tenant, f SubscriptionFilter) ([]Subscription, error)
	// Update changes a subscription. One that becomes active again begins with a
	// clean record of failures. Errors: NOT_FOUND.
	Update(ctx context.Context, t tenancy.Tenant, id string, c Change, at time.Time) error
	// Rotate makes secret the one that signs; the one before signs along until
	// expires, an older one no longer. Errors: NOT_FOUND.
	Rotate(ctx context.Context, t tenancy.Tenant, id, secret string, expires, at time.Time) error
	// Delivery reads one with its latest attempts. Errors: NOT_FOUND.
	Delivery(ctx context.Context, t tenancy.Tenant, id string) (Delivery, error)
	// Requeue makes a delivery due at once, whatever became of it, and with until
	// also every later one of its subscription that was made before that moment.
	// It returns how many go out again.
	Requeue(ctx context.Context, t tenancy.Tenant, d Delivery, until *time.Time, at time.Time) (int64, error)
	// Delete removes a subscription and its waiting deliveries. Errors: NOT_FOUND.
	Delete(ctx context.Context, t tenancy.Tenant, id string) error
	// Deliveries lists deliveries with their latest attempts, latest first.
	Deliveries(ctx context.Context, t tenancy.Tenant, f DeliveryFilter) ([]Delivery, error)
}

// SubscriptionFilter narrows a list of subscriptions; empty members do not.
type SubscriptionFilter struct {
	Status Status
	Before string // the id of the last one seen
	Limit  int
}

// DeliveryFilter narrows a list of deliveries; empty members do not.
type DeliveryFilter struct {
	SubscriptionID, EventID, EventType string
	State                              *DeliveryState
	CreatedFrom, CreatedBefore         *time.Time
	Before                             int64 // the number of the last one seen
	Limit                              int
}

// Queue is the worker's side: one row is queue, schedule and state at once.
type Queue interface {
	// Route finds who gets what of a run of events: each active or paused
	// subscription of their tenants that wants any, with those that it has no
	// delivery of yet, in order. A secret that cannot be read is left empty.
	Route(ctx context.Context, events []event.Logged) ([]Route, error)
	// Record writes new deliveries as they stand, with the endpoints' failures in
	// a row by subscription where one answered, and returns the numbers of those
	// under way by id. A delivery that is there already stays as it is.
	Record(ctx context.Context, made []Made, failures map[string]int) (underWay map[string]int64, err error)
	// Waiting lists active subscriptions that have a delivery due before by.
	Waiting(ctx context.Context, by time.Time) (subscriptionIDs []string, err error)
	// Endpoint reads what a worker needs of a subscription, with its secret;
	// nil where it is gone or not active.
	Endpoint(ctx context.Context, subscriptionID string) (*Subscription, error)
	// Claim takes up to limit due deliveries of a subscription and moves them
	// ahead by lease, so that they come back by themselves if the worker dies.
	Claim(ctx context.Context, s Subscription, now time.Time, lease time.Duration, limit int) ([]Claimed, error)
	// Settle records outcomes and their attempts, and the endpoint's health:
	// failures in a row, and when it last succeeded and failed.
	Settle(ctx context.Context, subscriptionID string, outcomes []Outcome, failures int) error
	// Disable parks every waiting delivery of a subscription and stops it.
	Disable(ctx context.Context, subscriptionID string, at time.Time) error
}

// Vault seals the signing secrets, so that a stolen table shows none.
type Vault interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}
