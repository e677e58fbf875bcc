package main

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
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/app/webhooks"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// useCases are the services of core/app, wired.
type useCases struct {
	auth         *auth.Service
	sandbox      *sandbox.Service
	identities   *identities.Service
	enrollment   *enrollment.Service
	customers    *customers.Service
	incentives   *incentives.Service
	transactions *transactions.Service
	checkout     *checkout.Service
	pipeline     *payments.Pipeline
	payments     *payments.Service
	topup        *topup.Service
	grants       *grants.Service
	budgets      *budgets.Service
	points       *points.Service
	webhooks     *webhooks.Service
}

func (s *system) makeUseCases() (*useCases, error) {
	rules, err := celrules.New()
	if err != nil {
		return nil, fmt.Errorf("make the rule language: %w", err)
	}
	proofKey, err := derive(s.secrets.ServerKey, "enrolment proofs")
	if err != nil {
		return nil, err
	}
	u := &useCases{}
	u.identities = &identities.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Phones: phone.Numbers{}}
	u.enrollment = &enrollment.Service{
		UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Identities: u.identities,
		Proofs: identity.Proofs{Key: proofKey}, Sender: s.sender,
	}
	u.customers = &customers.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Identities: u.identities, Draw: qr.SVG}
	u.incentives = &incentives.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Rules: rules}
	u.transactions = &transactions.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Planner: s.planner}
	u.pipeline = &payments.Pipeline{Journal: s.journal, Planner: s.planner, Clock: s.clock, IDs: s.ids, Wake: s.wake.Ring}
	u.payments = &payments.Service{
		UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Pipeline: u.pipeline,
		Resolve: u.identities.Resolve, Prove: u.enrollment.Prove, Guesses: &u.identities.Guesses,
		Messages: &identities.Messenger{Identities: u.identities, Sender: s.sender}, Random: rand.Reader,
	}
	u.topup = &topup.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.grants = &grants.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.points = &points.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.budgets = &budgets.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids}
	u.webhooks = &webhooks.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Events: events.NewReader(s.db.Q())}
	u.auth = &auth.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory, Tokens: s.auth, Changes: tenancy.Listeners{s.directory, s.auth}}
	u.sandbox = &sandbox.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Seeders: []sandbox.Seeder{
		sandbox.Offers{From: u.incentives}, sandbox.Topups{}, sandbox.Guest{IDs: s.ids},
	}}
	u.checkout = &checkout.Service{
		UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: s.directory,
		Identities: u.identities, Incentives: u.incentives, Transactions: u.transactions,
	}
	return u, nil
}

// jobs are the background work that servers share.
func (s *system) jobs() []job {
	u := s.uses
	unbounded := func(run func(context.Context) (int, error)) func(context.Context, int) (int, error) {
		return func(ctx context.Context, _ int) (int, error) { return run(ctx) }
	}
	return []job{
		{"sessions.expire", 5 * time.Second, unbounded(u.checkout.Expire)},
		{"decisions.retry", 2 * time.Second, unbounded(u.transactions.Retry)},
		{"grants.expire", 10 * time.Second, u.grants.Expire},
		{"points.expire", time.Minute, u.points.Expire},
		{"topups.expire", time.Minute, u.topup.Expire},
		{"codes.sweep", time.Minute, u.identities.Sweep},
		{"sandboxes.sweep", time.Hour, u.sandbox.Sweep},
		{"idempotency.sweep", time.Minute, func(ctx context.Context, limit int) (int, error) {
			return s.uow.Read().Idempotency.Sweep(ctx, s.clock.Now(), limit)
		}},
		{"tokens.sweep", time.Hour, func(ctx context.Context, _ int) (int, error) {
			return s.uow.Read().Tenancy.SweepTokens(ctx, s.clock.Now())
		}},
	}
}
