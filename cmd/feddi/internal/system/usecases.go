package system

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/adapters/phone"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/qr"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/app/webhooks"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// UseCases are the services of core/app, wired.
type UseCases struct {
	Auth         *auth.Service
	Sandbox      *sandbox.Service
	Identities   *identities.Service
	Enrollment   *enrollment.Service
	Customers    *customers.Service
	Incentives   *incentives.Service
	Transactions *transactions.Service
	Checkout     *checkout.Service
	Pipeline     *payments.Pipeline
	Payments     *payments.Service
	Topup        *topup.Service
	Grants       *grants.Service
	Budgets      *budgets.Service
	Points       *points.Service
	Webhooks     *webhooks.Service
	Settlements  *settlements.Service
}

func (s *System) makeUseCases() (*UseCases, error) {
	rules, err := celrules.New()
	if err != nil {
		return nil, fmt.Errorf("make the rule language: %w", err)
	}
	proofKey, err := derive(s.secrets.ServerKey, "enrolment proofs")
	if err != nil {
		return nil, err
	}
	u := &UseCases{}
	u.Identities = &identities.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Phones: phone.Numbers{}}
	u.Enrollment = &enrollment.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Identities: u.Identities,
		Proofs: identity.Proofs{Key: proofKey}, Sender: s.sender,
	}
	u.Customers = &customers.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Identities: u.Identities, Draw: qr.SVG}
	u.Incentives = &incentives.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Rules: rules}
	u.Transactions = &transactions.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Planner: s.planner}
	u.Pipeline = &payments.Pipeline{Journal: s.journal, Planner: s.planner, Clock: s.clock, IDs: s.ids, Wake: s.wake.Ring}
	u.Payments = &payments.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Pipeline: u.Pipeline,
		Resolve: u.Identities.Resolve, Prove: u.Enrollment.Prove, Guesses: &u.Identities.Guesses,
		Messages: &identities.Messenger{Identities: u.Identities, Sender: s.sender}, Random: rand.Reader,
	}
	u.Topup = &topup.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	if u.Topup.Providers, u.Topup.Gateways, err = gateways(s.Mode, s.Payments); err != nil {
		return nil, err
	}
	u.Settlements = &settlements.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.Grants = &grants.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.Points = &points.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.Budgets = &budgets.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids}
	u.Webhooks = &webhooks.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Events: events.NewReader(s.DB.Q())}
	u.Auth = &auth.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Tokens: s.auth, Changes: tenancy.Listeners{s.directory, s.auth}}
	u.Sandbox = &sandbox.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Seeders: []sandbox.Seeder{
		sandbox.Offers{From: u.Incentives}, sandbox.Topups{}, sandbox.Guest{IDs: s.ids},
	}}
	u.Checkout = &checkout.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory,
		Identities: u.Identities, Incentives: u.Incentives, Transactions: u.Transactions,
	}
	return u, nil
}

// jobs are the background work that servers share.
func (s *System) jobs() []job {
	u := s.Uses
	unbounded := func(run func(context.Context) (int, error)) func(context.Context, int) (int, error) {
		return func(ctx context.Context, _ int) (int, error) { return run(ctx) }
	}
	return []job{
		{"sessions.expire", 5 * time.Second, unbounded(u.Checkout.Expire)},
		{"decisions.retry", 2 * time.Second, unbounded(u.Transactions.Retry)},
		{"grants.expire", 10 * time.Second, u.Grants.Expire},
		{"points.expire", time.Minute, u.Points.Expire},
		{"topups.expire", time.Minute, u.Topup.Expire},
		{"settlements.gather", 2 * time.Second, u.Settlements.Gather},
		{"reconciliations.compare", 2 * time.Second, u.Settlements.Compare},
		{"codes.sweep", time.Minute, u.Identities.Sweep},
		{"sandboxes.sweep", time.Hour, u.Sandbox.Sweep},
		{"idempotency.sweep", time.Minute, func(ctx context.Context, limit int) (int, error) {
			return s.UoW.Read().Idempotency.Sweep(ctx, s.clock.Now(), limit)
		}},
		{"tokens.sweep", time.Hour, func(ctx context.Context, _ int) (int, error) {
			return s.UoW.Read().Tenancy.SweepTokens(ctx, s.clock.Now())
		}},
	}
}
