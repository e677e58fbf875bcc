package identity

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// Event types of this module.
const (
	EventEnrollmentInitiated = "enrollment.initiated"
	EventEnrollmentVerified  = "enrollment.verified"
	EventCustomerLinked      = "customer.linked"   // and unlinked: state says which
	EventCustomerDisabled    = "customer.disabled" // and enabled again: status says which
)

// Initiated tells that an enrolment began.
func (e Enrollment) Initiated(id string, now time.Time) event.Event {
	return about(e.Tenant, e.CustomerID, id, EventEnrollmentInitiated, now, map[string]any{
		"customer_id": e.CustomerID, "enrollment_id": e.ID, "session_id": orNull(e.SessionID), "state": string(PendingProof),
	})
}

// VerifiedEvent tells that a customer proved the phone; by an enrolment, or by the
// code of a payment (enrollmentID is empty then).
func VerifiedEvent(t tenancy.Tenant, customerID, enrollmentID, id string, now time.Time) event.Event {
	return about(t, customerID, id, EventEnrollmentVerified, now, map[string]any{
		"customer_id": customerID, "enrollment_id": orNull(enrollmentID), "state": string(Verified),
	})
}

// Linked tells that a credential was linked; the value itself stays here.
func (l Link) Linked(id string, now time.Time) event.Event {
	return about(l.Tenant, l.CustomerID, id, EventCustomerLinked, now, map[string]any{
		"customer_id": l.CustomerID, "credential_id": l.ID, "credential_type": string(l.Type), "state": string(l.State),
	})
}

// StatusChanged tells that the identity was disabled or enabled again.
func (c Customer) StatusChanged(id string, now time.Time) event.Event {
	return about(c.Tenant, c.ID, id, EventCustomerDisabled, now, map[string]any{"customer_id": c.ID, "status": string(c.Status)})
}

func about(t tenancy.Tenant, customerID, id, kind string, now time.Time, data map[string]any) event.Event {
	raw, _ := json.Marshal(data) // strings only: cannot fail
	return event.Event{ID: id, Tenant: t, Type: kind, Subject: customerID, At: now, Data: raw}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
