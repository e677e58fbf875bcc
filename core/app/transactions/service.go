// Package transactions writes the immutable records of sales, has their
// cashback and attribution decided, now or when the actuators answer again, and
// reads the records and their receipts.
package transactions

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of transactions.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
	Planner   *actuation.Planner
	// Mode is of whose pending rulings Retry takes care.
	Mode tenancy.Mode
	// GiveWay waits while payments queue, at most as long as it is told; nil where
	// there is nobody to give way to.
	GiveWay func(ctx context.Context, most time.Duration)
	// Own and Bought are for merchants with actuators of their own; nil where
	// there are none.
	Own    Own
	Bought Bought
}

// event makes an event of data, a struct or map of ids and amounts.
func (s *Service) event(t tenancy.Tenant, kind, subject, traceID string, at time.Time, data any) (event.Event, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return event.Event{}, fault.Internal(err)
	}
	return event.Event{ID: s.IDs.Make(ids.Event), Tenant: t, Type: kind, Subject: subject, At: at, Data: raw, TraceID: traceID}, nil
}

// orNull shows an empty id as null.
func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}
