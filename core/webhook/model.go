// Package webhook tells partners what happened: subscriptions, deliveries, when
// a failed one is tried again, and which URLs may be posted to.
package webhook

import (
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// Status is whether a subscription delivers.
type Status string

// The subscription statuses.
const (
	Active   Status = "active"
	Paused   Status = "paused"
	Disabled Status = "disabled" // by the system, after a day of failures
)

// Subscription sends events to a URL.
type Subscription struct {
	ID          string
	Tenant      tenancy.Tenant
	URL         string
	EventTypes  []string // names, prefixes with .*, or *
	Status      Status
	Ordered     bool // deliveries of one subject wait for one another
	Description string
	// Secret signs deliveries (whsec_...); sealed in the store, in clear here.
	Secret string
	// PreviousSecret signs along until PreviousSecretExpiresAt, after a rotation;
	// nil and empty where there was none.
	PreviousSecret          string
	PreviousSecretExpiresAt *time.Time

	Health    Health
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Wants reports whether the subscription asks for an event type.
func (s Subscription) Wants(eventType string) bool {
	for _, p := range s.EventTypes {
		if event.Matches(p, eventType) {
			return true
		}
	}
	return false
}

// RotationOverlap is how long the secret before the newest signs along, so that
// receivers can change over without losing a delivery.
const RotationOverlap = 24 * time.Hour

// Change is what is changed of a subscription; nil members stay as they are.
type Change struct {
	URL         *string
	EventTypes  []string // empty leaves them
	Status      *Status  // active or paused
	Ordered     *bool
	Description *string
}

// Health is how an endpoint is doing.
type Health struct {
	ConsecutiveFailures int
	Pending, Parked     int64
	LastSuccessAt       *time.Time
	LastFailureAt       *time.Time
}

// State is the health in a word: new, healthy or failing.
func (h Health) State() string {
	switch {
	case h.ConsecutiveFailures > 0:
		return "failing"
	case h.LastSuccessAt == nil:
		return "new"
	default:
		return "healthy"
	}
}

// DeliveryState is where a delivery stands; the values are stored.
type DeliveryState int16

// The delivery states.
const (
	Pending DeliveryState = iota
	Retrying
	Delivered
	Parked
)

// String is the state's name in the contract.
func (s DeliveryState) String() string {
	return [...]string{"pending", "retrying", "delivered", "parked"}[s]
}

// ParseState reads a state's name; ok is false for any other text.
func ParseState(name string) (s DeliveryState, ok bool) {
	for s := Pending; s <= Parked; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// Delivery is one event on its way to one subscription.
type Delivery struct {
	No             int64 // its place in the list; grows with time
	ID             string
	SubscriptionID string
	EventID        string
	EventType      string
	State          DeliveryState
	AttemptCount   int
	Attempts       []Attempt  // the latest, newest first
	DueAt          *time.Time // next attempt; nil where none is due
	CreatedAt      time.Time
	DeliveredAt    *time.Time
}

// Attempt is one post to an endpoint.
type Attempt struct {
	Number     int
	StatusCode int    // 0 where the endpoint did not answer
	Error      string // empty where it succeeded
	Excerpt    string // the first 500 characters of the answer
	Duration   time.Duration
	At         time.Time
}

// Claimed is a delivery that a worker has taken, with what it posts.
type Claimed struct {
	No      int64
	Attempt int // the number of the attempt to make, from 1
	// CreatedAt is when its tries began: when it was made, or sent off again by hand.
	CreatedAt time.Time
	Event     event.Event
}

// Outcome is what became of a claimed delivery. An Attempt with Number 0 says
// that none was made: the delivery is given back as it was.
type Outcome struct {
	No      int64
	State   DeliveryState
	DueAt   time.Time // when it is tried again, for Retrying
	Attempt Attempt
}

// Route is what one subscription gets of a run of events.
type Route struct {
	Subscription Subscription
	Events       []event.Logged
}

// Made is a delivery as it is first written: one that waits, one that is being
// posted (UnderWay: the post that began counts as its first attempt, and it
// comes back at DueAt where nobody settles it), or one that was posted, with its
// outcome. Its number is not known yet.
type Made struct {
	ID             string
	SubscriptionID string
	Event          event.Logged
	CreatedAt      time.Time
	UnderWay       bool
	Outcome
}

// Posted reports whether a first attempt has come to an end.
func (m Made) Posted() bool { return m.Attempt.Number > 0 }
