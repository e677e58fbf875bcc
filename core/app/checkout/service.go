// Package checkout is the use cases of sessions: open, identify, revise the
// basket, close with tenders, abandon, and the sweep of those whose time is
// over.
package checkout

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of sessions.
type Service struct {
	UoW          app.UnitOfWork
	Clock        clock.Clock
	IDs          *ids.Source
	Directory    tenancy.Directory
	Identities   *identities.Service
	Incentives   *incentives.Service
	Transactions *transactions.Service
}

// Types of the events that sessions write.
const (
	eventOpened     = "checkout.session.opened"
	eventIdentified = checkout.EventIdentified
	eventRevised    = "checkout.session.basket_revised"
	eventClosed     = "checkout.session.closed"
	eventAbandoned  = "checkout.session.abandoned" // by hand or by time: state says which
)

// tell appends the news of a session: its figures as they stand, and more.
func (s *Service) tell(ctx context.Context, st app.Stores, kind string, c checkout.Session, at time.Time, more map[string]any) error {
	data := map[string]any{
		"session_id": c.ID, "state": string(c.State), "customer_id": orNull(c.CustomerID), "channel": c.Channel,
		"branch_id": orNull(c.BranchID), "terminal_id": orNull(c.TerminalID), "basket_revision": c.BasketRevision,
		"total_minor": c.TotalMinor(), "discount_minor": c.DiscountMinor, "paid_minor": c.PaidMinor, "currency": c.Currency,
		"transaction_id": orNull(c.TransactionID),
	}
	maps.Copy(data, more)
	raw, err := json.Marshal(data)
	if err != nil {
		return fault.Internal(err)
	}
	return st.Events.Append(ctx, event.Event{ID: s.IDs.Make(ids.Event), Tenant: c.Tenant, Type: kind, Subject: c.ID, At: at, Data: raw})
}

// orNull shows an empty id as null.
func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// lock reads and holds a session that the caller may see.
func lock(ctx context.Context, st app.Stores, call *app.Call, id string) (checkout.Session, error) {
	c, err := st.Checkout.Lock(ctx, call.Tenant, id)
	return c, sessions.Visible(call, c, err)
}
