// Package timeline is the use cases of a session's history: what tills record
// of it, and what happened in it, with what did not.
package timeline

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases. Every member is required.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
}

// eventRecorded is the type of the events that Record writes.
const eventRecorded = "checkout.session.event_recorded"

// RecordInput is what a till saw.
type RecordInput struct {
	SessionID        string
	Type             checkout.TillEventType
	OfferID, TraceID string
	TenderType       string
	Prompt           string
	Data             json.RawMessage // a JSON object, or nil
	OccurredAt       *time.Time      // nil for now
}

// Record keeps what a till saw in a live session, tied to the decision that it
// is about (rule 59). It holds no lock on the session: a payment never waits
// for telemetry. Errors: VALIDATION_FAILED, NOT_FOUND (session; offer or
// recovery that was not decided in it), SESSION_ENDED, STATE_CONFLICT where the
// session has taken as many events as it may.
func (s *Service) Record(ctx context.Context, call *app.Call, in RecordInput) (checkout.TillEvent, error) {
	now := s.Clock.Now()
	e := checkout.TillEvent{
		ID: s.IDs.Make(ids.Event), SessionID: in.SessionID, Type: in.Type, OfferID: in.OfferID, TraceID: in.TraceID,
		TenderType: in.TenderType, Prompt: in.Prompt, Data: in.Data, OccurredAt: now, RecordedAt: now,
	}
	if in.OccurredAt != nil {
		e.OccurredAt = *in.OccurredAt
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (checkout.TillEvent, error) {
		session, err := sessions.Read(ctx, st, call, in.SessionID)
		if err != nil {
			return e, err
		}
		if err := session.Live(now); err != nil {
			return e, err
		}
		if err := e.Within(session, now); err != nil {
			return e, err
		}
		tied, err := tie(ctx, st, session, e)
		if err != nil {
			return e, err
		}
		written, err := st.Checkout.AddTillEvent(ctx, session.Tenant, tied, checkout.MaxTillEvents)
		if err == nil && !written {
			err = fault.Field(fault.CodeStateConflict, "session_id", "max_events",
				"the session has %d recorded events, which is as many as it takes; record fewer, or close the session", checkout.MaxTillEvents)
		}
		if err != nil {
			return e, err
		}
		return tied, s.tell(ctx, st, session, tied)
	})
}

// tie finds the decision that an event is about, and notes it there.
func tie(ctx context.Context, st app.Stores, session checkout.Session, e checkout.TillEvent) (checkout.TillEvent, error) {
	switch {
	case e.Type.AboutOffer():
		trace, err := st.Decisions.Meet(ctx, session.Tenant, decision.Meeting{
			SessionID: session.ID, OfferID: e.OfferID, TraceID: e.TraceID, Declined: e.Type == checkout.OfferDeclined, At: e.OccurredAt,
		})
		if err == nil && trace == "" {
			err = unknown("offer", "no feed of this session showed that offer, or not under that decision_trace_id; read them at GET /checkout/sessions/{id}/offers")
		}
		e.TraceID = trace
		return e, err
	case e.Type.AboutRecovery():
		decided, err := st.Decisions.BySession(ctx, session.Tenant, session.ID)
		if err != nil {
			return e, err
		}
		for i := len(decided) - 1; i >= 0; i-- { // the latest first
			if d := decided[i]; d.Kind == string(actuation.KindRecovery) && (e.TraceID == "" || e.TraceID == d.TraceID) {
				e.TraceID = d.TraceID
				return e, nil
			}
		}
		return e, unknown("recovery", "no payment of this session was declined for short funds, or not under that decision_trace_id; the 402 names it in meta")
	}
	return e, nil
}

func unknown(resource, message string) error {
	return fault.Field(fault.CodeNotFound, resource, "decided_here", "%s", message)
}

// tell appends the news, without the till's own data.
func (s *Service) tell(ctx context.Context, st app.Stores, session checkout.Session, e checkout.TillEvent) error {
	data, err := json.Marshal(map[string]any{
		"session_id": session.ID, "type": string(e.Type), "customer_id": orNull(session.CustomerID), "offer_id": orNull(e.OfferID),
		"decision_trace_id": orNull(e.TraceID), "tender_type": orNull(e.TenderType), "prompt": orNull(e.Prompt),
		"branch_id": orNull(session.BranchID), "terminal_id": orNull(session.TerminalID), "basket_revision": session.BasketRevision,
		"occurred_at": e.OccurredAt.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		return fault.Internal(err)
	}
	return st.Events.Append(ctx, event.Event{
		ID: e.ID, Tenant: session.Tenant, Type: eventRecorded, Subject: session.ID, At: e.RecordedAt, Data: data, TraceID: e.TraceID,
	})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
