package feddi

import (
	"github.com/feddi/feddi/adapters/api/feddi/shape"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

func subscription(call *app.Call, s webhook.Subscription) *partnerv1.Subscription {
	return &partnerv1.Subscription{
		SubscriptionId: s.ID, Url: s.URL, EventTypes: s.EventTypes, Status: string(s.Status), Ordered: s.Ordered,
		Description: shape.Optional(s.Description), MerchantId: s.Tenant.MerchantID, ApiVersion: call.APIVersion,
		Health: &partnerv1.SubscriptionHealth{
			State: s.Health.State(), ConsecutiveFailures: int32(s.Health.ConsecutiveFailures),
			PendingCount: s.Health.Pending, ParkedCount: s.Health.Parked,
			LastSuccessAt: shape.Stamp(s.Health.LastSuccessAt), LastFailureAt: shape.Stamp(s.Health.LastFailureAt),
		},
		PreviousSecretExpiresAt: shape.Stamp(s.PreviousSecretExpiresAt),
		CreatedAt:               timestamppb.New(s.CreatedAt), UpdatedAt: timestamppb.New(s.UpdatedAt),
	}
}

func delivery(d webhook.Delivery) *partnerv1.Delivery {
	row := &partnerv1.Delivery{
		DeliveryId: d.ID, SubscriptionId: d.SubscriptionID, EventId: d.EventID, EventType: d.EventType, State: d.State.String(),
		AttemptsCount: int32(d.AttemptCount), NextAttemptAt: shape.Stamp(d.DueAt),
		CreatedAt: timestamppb.New(d.CreatedAt), DeliveredAt: shape.Stamp(d.DeliveredAt),
	}
	for _, a := range d.Attempts {
		row.Attempts = append(row.Attempts, attempt(a))
	}
	return row
}

func attempt(a webhook.Attempt) *partnerv1.DeliveryAttempt {
	row := &partnerv1.DeliveryAttempt{
		Attempt: int32(a.Number), Error: shape.Optional(a.Error), ResponseExcerpt: shape.Optional(a.Excerpt),
		DurationMs: int32(a.Duration.Milliseconds()), AttemptedAt: timestamppb.New(a.At),
	}
	if a.StatusCode != 0 {
		code := int32(a.StatusCode)
		row.StatusCode = &code
	}
	return row
}

// envelope is an event as polling shows it: the same members as a delivery's body.
func envelope(e event.Event, version string) (*partnerv1.EventEnvelope, error) {
	data, err := shape.Struct(e.Data)
	if err != nil {
		return nil, err
	}
	return &partnerv1.EventEnvelope{
		Type: e.Type, Id: e.ID, Timestamp: timestamppb.New(e.At), ApiVersion: version,
		Data: data, Subject: e.Subject, MerchantId: shape.Optional(e.Tenant.MerchantID),
	}, nil
}
