package actuators

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
)

// Shadows runs the shadow installations: after the sale, off its path.
type Shadows struct {
	UoW   app.UnitOfWork
	Store Store
	Clock clock.Clock
	// Installed lists what a merchant has.
	Installed func(merchantID string) []actuation.Installation
	// Registry is the one shadow's; false where it does not run here.
	Registry func(merchantID, installationID string) (actuation.Registry, bool)
	// Snapshot makes what an installation is asked about a sale.
	Snapshot func(ctx context.Context, in actuation.Installation, kind actuation.Kind, tx checkout.Transaction) (actuation.Snapshot, error)
}

// Watch asks the shadows of the merchants of transaction.created events and
// records what they would have done. Merchants without a shadow are passed by.
// An event may come again: a plan is recorded once.
func (s *Shadows) Watch(ctx context.Context, events []event.Event) error {
	for _, e := range events {
		if err := s.watch(ctx, e); err != nil {
			return fmt.Errorf("%s %s: %w", e.Type, e.ID, err)
		}
	}
	return nil
}

func (s *Shadows) watch(ctx context.Context, e event.Event) error {
	for _, in := range s.Installed(e.Tenant.MerchantID) {
		if !in.Shadow || e.At.Before(in.InstalledAt) {
			continue
		}
		if err := s.ask(ctx, in, e); err != nil && !fault.Is(err, fault.CodeNotFound) {
			return err // not found: a sandbox that was erased since
		}
	}
	return nil
}

func (s *Shadows) ask(ctx context.Context, in actuation.Installation, e event.Event) error {
	registry, runs := s.Registry(e.Tenant.MerchantID, in.ID)
	if !runs {
		return nil // uninstalled since
	}
	var data struct {
		TransactionID string `json:"transaction_id"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return fmt.Errorf("read event %s: %w", e.ID, err)
	}
	tx, err := s.UoW.Read().Checkout.Transaction(ctx, e.Tenant, data.TransactionID)
	if err != nil {
		return err
	}
	kinds := in.SaleKinds()
	batch := make([]actuation.Snapshot, len(kinds))
	for i, kind := range kinds {
		if batch[i], err = s.Snapshot(ctx, in, kind, tx); err != nil {
			return err
		}
	}
	planner := &actuation.Planner{Registry: registry}
	plans := make([]ShadowPlan, len(batch))
	for i, o := range planner.Plan(ctx, batch) {
		plans[i] = ShadowPlan{Installation: in, TransactionID: tx.ID, Snapshot: batch[i], At: s.Clock.Now()}
		if o.Err != nil {
			plans[i].Failure = Cause(o.Err)
		} else {
			plans[i].Plan = &o.Plan
		}
	}
	return s.Store.AddShadow(ctx, plans...)
}

// Cause is why an actuator gave no usable plan, for its operator.
func Cause(err error) string {
	if r := actuation.RejectionOf(err); r != nil {
		return "rule " + string(r.Rule) + ": " + r.Message
	}
	if f := actuation.FailureOf(err); f != nil {
		return f.Error()
	}
	return err.Error()
}
