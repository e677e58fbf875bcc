package checkout

import (
	"time"

	"github.com/feddi/feddi/core/event"
)

// EventIdentified is the type of the event that tells whose a session is.
const EventIdentified = "checkout.session.identified"

// Identified tells that a payment, or the proof of a phone, has shown whose the
// session is.
func (s *Session) Identified(id string, now time.Time) event.Event {
	o := event.NewObject(192)
	o.Text("credential_type", s.CredentialType)
	o.Text("customer_id", s.CustomerID)
	o.Bool("probationary", false)
	o.Text("session_id", s.ID)
	return event.Event{ID: id, Tenant: s.Tenant, Type: EventIdentified, Subject: s.ID, At: now, Data: o.Close()}
}
