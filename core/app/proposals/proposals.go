// Package proposals is the use cases of one-off incentives: somebody proposes
// one for a customer or an open session, somebody accepts or rejects it. It
// gives nothing before it is accepted; then it is an applied offer of the
// session, or a grant, by the rules of those.
package proposals

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of proposals.
type Service struct {
	UoW        app.UnitOfWork
	Clock      clock.Clock
	IDs        *ids.Source
	Directory  tenancy.Directory
	Incentives *incentives.Service
	Grants     *grants.Service
}

// View is a proposal as it stands at a moment, with what it became.
type View struct {
	Proposal    offers.Proposal
	At          time.Time
	Application *offers.Application // once accepted for a session
	Grant       *ledger.Grant       // once accepted outside of one
}

// session reads the session of a proposal where the caller sees it.
func session(ctx context.Context, call *app.Call, read func(context.Context, tenancy.Tenant, string) (checkout.Session, error), id string) (checkout.Session, error) {
	c, err := read(ctx, call.Tenant, id)
	if err == nil && !checkout.Within(call.Actor, c.Place) {
		return c, fault.NotFound("session")
	}
	return c, err
}

// belongs refuses a session that is not the customer's.
func belongs(c checkout.Session, customerID string) error {
	if c.CustomerID == customerID && !c.Probationary {
		return nil
	}
	return fault.Field(fault.CodeStateConflict, "session_id", "of_the_customer",
		"the session is not identified as this customer; identify it first, or leave session_id out")
}

// tell appends the event of a proposal. It holds ids and amounts only: what was
// written by hand may name a person.
func (s *Service) tell(ctx context.Context, st app.Stores, kind string, p offers.Proposal, now time.Time) error {
	data, err := json.Marshal(map[string]any{
		"proposal_id": p.ID, "kind": p.Kind, "state": p.State, "customer_id": p.CustomerID, "session_id": orNull(p.SessionID),
		"offer_id": p.OfferID, "budget_id": orNull(p.BudgetID), "currency": p.Currency, "application_id": orNull(p.ApplicationID),
		"grant_id": orNull(p.GrantID), "decision_trace_id": p.TraceID, "expires_at": p.ExpiresAt.UTC(),
	})
	if err != nil {
		return fault.Internal(err)
	}
	return st.Events.Append(ctx, event.Event{
		ID: s.IDs.Make(ids.Event), Tenant: p.Tenant, Type: kind, Subject: p.ID, At: now, Data: data, TraceID: p.TraceID,
	})
}

func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}
