package feddi

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/webhooks"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// webhooksAPI answers WebhooksService.
type webhooksAPI struct{ uses *webhooks.Service }

// RegisterWebhooks mounts the webhooks domain.
func RegisterWebhooks(reg *pipeline.Registry, uses *webhooks.Service) {
	a := webhooksAPI{uses}
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceCreateSubscriptionProcedure, a.create)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceListSubscriptionsProcedure, a.list)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceGetSubscriptionProcedure, a.get)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceUpdateSubscriptionProcedure, a.update)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceDeleteSubscriptionProcedure, a.delete)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceRotateSubscriptionSecretProcedure, a.rotate)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceRetryDeliveryProcedure, a.retry)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceListDeliveriesProcedure, a.deliveries)
	pipeline.Handle(reg, partnerv1connect.WebhooksServiceGetEventCatalogProcedure, a.catalogue)
	pipeline.Handle(reg, partnerv1connect.WebhooksServicePollEventsProcedure, a.poll)
}

func (a webhooksAPI) create(ctx context.Context, call *app.Call, req *partnerv1.CreateSubscriptionRequest) (*partnerv1.CreateSubscriptionResponse, error) {
	in := webhooks.CreateInput{URL: req.GetUrl(), EventTypes: req.GetEventTypes(), Ordered: req.GetOrdered(), Description: req.GetDescription()}
	return pipeline.Run(ctx, call, a.uses.Create, in, func(call *app.Call, s webhook.Subscription) *partnerv1.CreateSubscriptionResponse {
		return shape.Flat(subscription(call, s), &partnerv1.CreateSubscriptionResponse{Secret: s.Secret})
	})
}

func (a webhooksAPI) get(ctx context.Context, call *app.Call, req *partnerv1.GetSubscriptionRequest) (*partnerv1.GetSubscriptionResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Get, req.GetSubscriptionId(), func(call *app.Call, s webhook.Subscription) *partnerv1.GetSubscriptionResponse {
		return shape.Flat(subscription(call, s), &partnerv1.GetSubscriptionResponse{})
	})
}

func (a webhooksAPI) update(ctx context.Context, call *app.Call, req *partnerv1.UpdateSubscriptionRequest) (*partnerv1.UpdateSubscriptionResponse, error) {
	in := webhooks.UpdateInput{SubscriptionID: req.GetSubscriptionId(), Change: webhook.Change{
		URL: req.Url, EventTypes: req.GetEventTypes(), Status: (*webhook.Status)(req.Status), Ordered: req.Ordered, Description: req.Description,
	}}
	return pipeline.Run(ctx, call, a.uses.Update, in, func(call *app.Call, s webhook.Subscription) *partnerv1.UpdateSubscriptionResponse {
		return shape.Flat(subscription(call, s), &partnerv1.UpdateSubscriptionResponse{})
	})
}

func (a webhooksAPI) rotate(ctx context.Context, call *app.Call, req *partnerv1.RotateSubscriptionSecretRequest) (*partnerv1.RotateSubscriptionSecretResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Rotate, req.GetSubscriptionId(), func(call *app.Call, s webhook.Subscription) *partnerv1.RotateSubscriptionSecretResponse {
		return shape.Flat(subscription(call, s), &partnerv1.RotateSubscriptionSecretResponse{Secret: s.Secret})
	})
}

func (a webhooksAPI) retry(ctx context.Context, call *app.Call, req *partnerv1.RetryDeliveryRequest) (*partnerv1.RetryDeliveryResponse, error) {
	in := webhooks.RetryInput{DeliveryID: req.GetDeliveryId(), Until: shape.Moment(req.GetReplayUntil())}
	return pipeline.Run(ctx, call, a.uses.Retry, in, func(_ *app.Call, r webhooks.Retried) *partnerv1.RetryDeliveryResponse {
		return &partnerv1.RetryDeliveryResponse{Delivery: delivery(r.Delivery), RequeuedCount: r.Count}
	})
}

func (a webhooksAPI) delete(ctx context.Context, call *app.Call, req *partnerv1.DeleteSubscriptionRequest) (*partnerv1.DeleteSubscriptionResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Delete, req.GetSubscriptionId(), func(_ *app.Call, id string) *partnerv1.DeleteSubscriptionResponse {
		return &partnerv1.DeleteSubscriptionResponse{SubscriptionId: id, Deleted: true}
	})
}

func (a webhooksAPI) list(ctx context.Context, call *app.Call, req *partnerv1.ListSubscriptionsRequest) (*partnerv1.ListSubscriptionsResponse, error) {
	in := webhooks.ListInput{Status: req.GetStatus(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.List, in, func(call *app.Call, p webhooks.Page[webhook.Subscription]) *partnerv1.ListSubscriptionsResponse {
		res := &partnerv1.ListSubscriptionsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, s := range p.Items {
			res.Subscriptions = append(res.Subscriptions, subscription(call, s))
		}
		return res
	})
}

func (a webhooksAPI) deliveries(ctx context.Context, call *app.Call, req *partnerv1.ListDeliveriesRequest) (*partnerv1.ListDeliveriesResponse, error) {
	in := webhooks.DeliveriesInput{
		SubscriptionID: req.GetSubscriptionId(), EventID: req.GetEventId(), EventType: req.GetEventType(), State: req.GetState(),
		CreatedFrom: shape.Moment(req.GetCreatedAfter()), CreatedBefore: shape.Moment(req.GetCreatedBefore()),
		Limit: int(req.GetLimit()), Cursor: req.GetCursor(),
	}
	return pipeline.Run(ctx, call, a.uses.Deliveries, in, func(_ *app.Call, p webhooks.Page[webhook.Delivery]) *partnerv1.ListDeliveriesResponse {
		res := &partnerv1.ListDeliveriesResponse{Meta: pipeline.Cursor(p.Next)}
		for _, d := range p.Items {
			res.Deliveries = append(res.Deliveries, delivery(d))
		}
		return res
	})
}

func (a webhooksAPI) catalogue(ctx context.Context, call *app.Call, req *partnerv1.GetEventCatalogRequest) (*partnerv1.GetEventCatalogResponse, error) {
	types, err := a.uses.Catalogue(ctx, call, req.GetType())
	if err != nil {
		return nil, err
	}
	res := &partnerv1.GetEventCatalogResponse{}
	for _, t := range types {
		row, err := eventType(t, call.APIVersion)
		if err != nil {
			return nil, err
		}
		res.EventTypes = append(res.EventTypes, row)
	}
	return res, nil
}

func (a webhooksAPI) poll(ctx context.Context, call *app.Call, req *partnerv1.PollEventsRequest) (*partnerv1.PollEventsResponse, error) {
	polled, err := a.uses.Poll(ctx, call, webhooks.PollInput{After: req.GetAfter(), EventTypes: req.GetEventTypes(), Limit: int(req.GetLimit())})
	if err != nil {
		return nil, err
	}
	res := &partnerv1.PollEventsResponse{Cursor: polled.Cursor, HasMore: polled.More}
	if polled.More {
		res.Meta = pipeline.Cursor(polled.Cursor)
	}
	for _, e := range polled.Events {
		row, err := envelope(e.Event, call.APIVersion)
		if err != nil {
			return nil, err
		}
		res.Events = append(res.Events, row)
	}
	return res, nil
}

// eventType is one row of the event catalogue.
func eventType(t event.Type, version string) (*partnerv1.EventType, error) {
	schema, err := shape.Struct(t.Schema())
	if err != nil {
		return nil, err
	}
	example, err := envelope(event.Event{ID: "evt_01k9z3v7qs", Type: t.Name, Subject: "01k9z3v7qs", At: exampleTime, Data: t.Example()}, version)
	if err != nil {
		return nil, err
	}
	return &partnerv1.EventType{Type: t.Name, Description: t.Description, Schema: schema, Example: example}, nil
}

// exampleTime stands in every example of the event catalogue.
var exampleTime = time.Date(2026, 6, 12, 8, 8, 0, 0, time.UTC)
