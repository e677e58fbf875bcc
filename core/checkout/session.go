package checkout

import (
	"time"

	"github.com/feddi/feddi/core/fault"
)

// DefaultTTL is how long a session stays open where the merchant set nothing.
const DefaultTTL = time.Hour

// Origins of a session.
const (
	OriginPOS         = "pos"
	OriginCardNetwork = "card_network"
)

// DefaultChannel is the channel of a session that names none.
const DefaultChannel = "in_store"

// Identity is whom a credential led to.
type Identity struct {
	CustomerID     string
	CredentialType string
	Probationary   bool
}

// Attach identifies the session: an anonymous one merges into the customer,
// with its basket. holds says whether offers are applied. The same customer
// again is no change, but for a probationary link that a proven one replaces.
// Errors: SESSION_ENDED; STATE_CONFLICT where the session belongs to another
// customer and is paid in part or has offers applied, because those are that
// customer's.
func (s Session) Attach(who Identity, holds bool, now time.Time) (Session, error) {
	if err := s.Live(now); err != nil {
		return s, err
	}
	switch {
	case s.CustomerID == who.CustomerID && (who.Probationary || !s.Probationary):
		return s, nil
	case s.CustomerID != "" && s.CustomerID != who.CustomerID && s.PaidMinor > 0:
		return s, fault.Field(fault.CodeStateConflict, "credential", "same_customer",
			"the session holds a payment of another customer; close it, and open a new one for this customer")
	case s.CustomerID != "" && s.CustomerID != who.CustomerID && holds:
		return s, fault.Field(fault.CodeStateConflict, "credential", "same_customer",
			"offers are applied for another customer; release them first, or open a new session")
	}
	s.CustomerID, s.CredentialType, s.Probationary = who.CustomerID, who.CredentialType, who.Probationary
	return s, nil
}

// Detach takes the identity off an open session again, which keeps its basket.
// holds says whether offers are applied. Errors: SESSION_ENDED; STATE_CONFLICT
// where the session is paid in part or has offers applied, because those are the
// customer's.
func (s Session) Detach(holds bool, now time.Time) (Session, error) {
	if err := s.Live(now); err != nil {
		return s, err
	}
	switch {
	case s.PaidMinor > 0:
		return s, fault.Field(fault.CodeStateConflict, "session_id", "no_paid_session",
			"the session holds a payment of the customer; refund it first, or leave the session with the customer")
	case holds:
		return s, fault.Field(fault.CodeStateConflict, "session_id", "no_applied_offers",
			"the session holds offers applied for the customer; release them first")
	}
	s.CustomerID, s.CredentialType, s.Probationary = "", "", false
	return s, nil
}

// Expect gives nil where the session's basket stands at revision.
// Errors: REVISION_CONFLICT, whose details name the current revision.
func (s Session) Expect(revision int64) error {
	if s.BasketRevision == revision {
		return nil
	}
	return fault.Field(fault.CodeRevisionConflict, "expected_revision", "current_revision",
		"the basket is at revision %d, not %d; read it, decide again and send expected_revision %d", s.BasketRevision, revision, s.BasketRevision)
}

// Put makes b the session's basket; discountMinor is what the offers that
// still fit it take off. Errors: STATE_CONFLICT where more is paid already
// than b would cost.
func (s Session) Put(b Basket, discountMinor int64) (Session, error) {
	s.BasketRevision, s.BasketMinor = b.Revision, b.TotalMinor
	return s.Discount(discountMinor)
}

// Discount sets what applied offers take off the basket.
// Errors: STATE_CONFLICT where more is paid already than would be due.
func (s Session) Discount(discountMinor int64) (Session, error) {
	s.DiscountMinor = discountMinor
	if s.TotalMinor() < 0 {
		return s, fault.Internal(errDiscount)
	}
	if s.DueMinor() < 0 {
		return s, fault.Field(fault.CodeStateConflict, "session_id", "at_least_paid",
			"%d minor units are paid already, more than the new total of %d; refund the payment first, or close the session as it is", s.PaidMinor, s.TotalMinor())
	}
	return s, nil
}

// Close ends the session with a sale.
func (s Session) Close(transactionID string, now time.Time) Session {
	s = s.end(Closed, "", now)
	s.TransactionID = transactionID
	return s
}

// Abandon ends the session without a sale.
// Errors: SESSION_ENDED; STATE_CONFLICT where it holds a payment.
func (s Session) Abandon(reason, note string, now time.Time) (Session, error) {
	if err := s.Live(now); err != nil {
		return s, err
	}
	if s.PaidMinor > 0 {
		return s, fault.Field(fault.CodeStateConflict, "session_id", "unpaid",
			"the session holds a payment of %d minor units; close it, or refund the payment first", s.PaidMinor)
	}
	s.EndNote = note
	return s.end(Abandoned, reason, now), nil
}

// Expire ends a session whose time is over. It ended when its time was over,
// not when the sweep came by.
func (s Session) Expire() Session { return s.end(Expired, "expired", s.ExpiresAt) }

func (s Session) end(state State, reason string, at time.Time) Session {
	s.State, s.EndReason, s.EndedAt = state, reason, &at
	return s
}
