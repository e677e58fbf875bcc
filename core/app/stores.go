package app

import (
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/merging"
	"github.com/feddi/feddi/core/messaging"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/returns"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

// Stores are all the ports to the database, bound to one transaction or to
// plain reads. A module's port is declared in that module.
type Stores struct {
	Tenancy     tenancy.Store
	Idempotency idempotency.Store
	Events      event.Log
	Identity    identity.Store
	Ledger      ledger.Store
	Offers      offers.Store
	Decisions   decision.Store
	Checkout    checkout.Store
	Webhooks    webhook.Store
	Merging     merging.Store
	Messaging   messaging.Store
	Privacy     privacy.Store
	Commands    actuation.CommandLog
	Disputes    dispute.Store
	Returns     returns.Store
	Settlement  settlement.Store
}
