// Package webhooks answers the operations on subscriptions, deliveries and
// events.
package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/webhook"
)

// DefaultLimit and MaxLimit bound every list.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Service answers. Every member is needed.
type Service struct {
	UoW    app.UnitOfWork
	Clock  clock.Clock
	IDs    *ids.Source
	Events event.Reader
}

// CreateInput is a new subscription.
type CreateInput struct {
	URL         string
	EventTypes  []string // names, prefixes with .*, or *
	Ordered     bool
	Description string
}

// Validate judges what the contract's own rules cannot: that each pattern
// matches an event type that exists.
func (in CreateInput) Validate() error {
	for i, p := range in.EventTypes {
		if !event.Covers(p) {
			return fault.Field(fault.CodeValidationFailed, "event_types["+strconv.Itoa(i)+"]", "known_event_type",
				"no event type matches %q; GET /webhooks/events/catalog lists them", p)
		}
	}
	return nil
}

// Create subscribes. The subscription returned is the only place where the
// secret ever shows. Errors: VALIDATION_FAILED for a URL that may not be posted to.
func (s *Service) Create(ctx context.Context, call *app.Call, in CreateInput) (webhook.Subscription, error) {
	if err := in.Validate(); err != nil {
		return webhook.Subscription{}, err
	}
	if err := webhook.CheckURL(in.URL, call.Tenant.Mode); err != nil {
		return webhook.Subscription{}, err
	}
	now := s.Clock.Now()
	sub := webhook.Subscription{
		ID: s.IDs.Make(ids.Subscription), Tenant: call.Tenant, URL: in.URL, EventTypes: in.EventTypes, Status: webhook.Active,
		Ordered: in.Ordered, Description: in.Description, Secret: newSecret(), CreatedAt: now, UpdatedAt: now,
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (webhook.Subscription, error) {
		return sub, st.Webhooks.Insert(ctx, sub)
	})
}

// newSecret makes a signing secret as Standard Webhooks writes them.
func newSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
	return "whsec_" + base64.StdEncoding.EncodeToString(raw[:])
}

// Get reads one subscription with its health. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (webhook.Subscription, error) {
	return s.UoW.Read().Webhooks.Subscription(ctx, call.Tenant, id)
}

// Delete removes a subscription; what waits for it is dropped. Errors: NOT_FOUND.
func (s *Service) Delete(ctx context.Context, call *app.Call, id string) (string, error) {
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (string, error) {
		return id, st.Webhooks.Delete(ctx, call.Tenant, id)
	})
}

// Page is one page of a list and where the next one begins.
type Page[T any] struct {
	Items []T
	Next  string // empty on the last page
}

// ListInput asks for a page of subscriptions.
type ListInput struct {
	Status string
	Limit  int
	Cursor string
}

// List lists subscriptions, latest first. Errors: CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page[webhook.Subscription], error) {
	end, err := paging.Open(subscriptionList, in.Cursor)
	if err != nil {
		return Page[webhook.Subscription]{}, err
	}
	limit := bound(in.Limit)
	items, err := s.UoW.Read().Webhooks.Subscriptions(ctx, call.Tenant, webhook.SubscriptionFilter{
		Status: webhook.Status(in.Status), Before: end.ID, Limit: limit + 1,
	})
	return page(items, limit, subscriptionList, func(s webhook.Subscription) string { return s.ID }), err
}

// DeliveriesInput asks for a page of deliveries; empty members do not narrow.
type DeliveriesInput struct {
	SubscriptionID, EventID, EventType string
	State                              string
	CreatedFrom, CreatedBefore         *time.Time
	Limit                              int
	Cursor                             string
}

// Deliveries lists deliveries with their attempts, latest first. Errors: CURSOR_INVALID.
func (s *Service) Deliveries(ctx context.Context, call *app.Call, in DeliveriesInput) (Page[webhook.Delivery], error) {
	end, err := paging.Open(deliveryList, in.Cursor)
	if err != nil {
		return Page[webhook.Delivery]{}, err
	}
	limit := bound(in.Limit)
	f := webhook.DeliveryFilter{
		SubscriptionID: in.SubscriptionID, EventID: in.EventID, EventType: in.EventType,
		CreatedFrom: in.CreatedFrom, CreatedBefore: in.CreatedBefore, Limit: limit + 1,
	}
	if end.ID != "" {
		if f.Before, err = strconv.ParseInt(end.ID, 10, 64); err != nil {
			return Page[webhook.Delivery]{}, fmt.Errorf("a cursor that was issued here has the number %q: %w", end.ID, err)
		}
	}
	if state, ok := webhook.ParseState(in.State); ok {
		f.State = &state
	}
	items, err := s.UoW.Read().Webhooks.Deliveries(ctx, call.Tenant, f)
	return page(items, limit, deliveryList, func(d webhook.Delivery) string { return strconv.FormatInt(d.No, 10) }), err
}

// PollInput asks for the events after a cursor; no types means all.
type PollInput struct {
	After      string
	EventTypes []string
	Limit      int
}

// Polled is what a poll found.
type Polled struct {
	Events []event.Logged
	Cursor string // where to go on; always set
	More   bool
}

// Poll reads events in the order in which they were committed; one that
// commits late is never skipped. Errors: CURSOR_INVALID.
func (s *Service) Poll(ctx context.Context, call *app.Call, in PollInput) (Polled, error) {
	c, err := event.ParseCursor(in.After)
	if err != nil {
		return Polled{}, err
	}
	limit := bound(in.Limit)
	events, err := s.Events.Poll(ctx, call.Tenant, c, in.EventTypes, limit+1)
	if err != nil {
		return Polled{}, err
	}
	more := len(events) > limit
	events = events[:min(len(events), limit)]
	if len(events) > 0 {
		c = events[len(events)-1].Cursor
	}
	return Polled{Events: events, Cursor: c.String(), More: more}, nil
}

// Catalogue lists the event types that pattern covers; empty means all.
func (s *Service) Catalogue(_ context.Context, _ *app.Call, pattern string) ([]event.Type, error) {
	var out []event.Type
	for _, t := range event.Types() {
		if pattern == "" || event.Matches(pattern, t.Name) {
			out = append(out, t)
		}
	}
	return out, nil
}

func bound(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return min(limit, MaxLimit)
}

// The lists, as their cursors know them.
const (
	subscriptionList = "webhook_subscriptions"
	deliveryList     = "webhook_deliveries"
)

// page cuts the one row read too many and makes the cursor of the rest. Rows
// stand in the order of their ids, which is that of their making.
func page[T any](items []T, limit int, list string, id func(T) string) Page[T] {
	rows, next := paging.Cut(items, limit, list, func(row T) paging.Mark { return paging.Mark{At: time.UnixMicro(0), ID: id(row)} })
	return Page[T]{Items: rows, Next: next}
}
