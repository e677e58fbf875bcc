// Package postgres assembles the repositories into the unit of work that use
// cases run in.
package postgres

import (
	"context"

	"github.com/feddi/feddi/adapters/postgres/actuators"
	"github.com/feddi/feddi/adapters/postgres/checkout"
	"github.com/feddi/feddi/adapters/postgres/decision"
	"github.com/feddi/feddi/adapters/postgres/dispute"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/idempotency"
	"github.com/feddi/feddi/adapters/postgres/identity"
	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/merging"
	"github.com/feddi/feddi/adapters/postgres/messaging"
	"github.com/feddi/feddi/adapters/postgres/offers"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/privacy"
	"github.com/feddi/feddi/adapters/postgres/returns"
	"github.com/feddi/feddi/adapters/postgres/settlement"
	"github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/adapters/postgres/webhooks"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/webhook"
)

// UnitOfWork implements app.UnitOfWork. Safe for concurrent use.
type UnitOfWork struct {
	db    *pg.DB
	vault webhook.Vault
	wake  func()
}

// New returns the unit of work over db. vault seals webhook secrets; wake, where
// not nil, is called after each commit that wrote events.
func New(db *pg.DB, vault webhook.Vault, wake func()) *UnitOfWork {
	return &UnitOfWork{db, vault, wake}
}

// Do implements app.UnitOfWork.
func (u *UnitOfWork) Do(ctx context.Context, fn func(ctx context.Context, s app.Stores) error) error {
	var appended bool
	err := pg.Tx(ctx, u.db, func(ctx context.Context, q pg.Q) error {
		appended = false
		return fn(ctx, u.stores(q, &appended))
	})
	if err == nil && appended && u.wake != nil {
		u.wake()
	}
	return err
}

// Read implements app.UnitOfWork.
func (u *UnitOfWork) Read() app.Stores { return u.stores(u.db.Q(), nil) }

func (u *UnitOfWork) stores(q pg.Q, appended *bool) app.Stores {
	return app.Stores{
		Tenancy:     tenancy.New(q),
		Idempotency: idempotency.New(q),
		Events:      events.NewLog(q, appended),
		Identity:    identity.New(q),
		Ledger:      ledger.New(q),
		Offers:      offers.New(q),
		Decisions:   decision.New(q),
		Checkout:    checkout.New(q),
		Webhooks:    webhooks.New(q, u.vault),
		Merging:     merging.New(q),
		Messaging:   messaging.New(q),
		Privacy:     privacy.New(q),
		Commands:    actuators.NewLog(q),
		Disputes:    dispute.New(q),
		Returns:     returns.New(q),
		Settlement:  settlement.New(q),
	}
}
