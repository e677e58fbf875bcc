package system

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/adapters/phone"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/ranges"
	"github.com/feddi/feddi/adapters/qr"
	"github.com/feddi/feddi/adapters/receipt"
	"github.com/feddi/feddi/adapters/vault"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/disputes"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/merchants"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/privacy"
	"github.com/feddi/feddi/core/app/proposals"
	"github.com/feddi/feddi/core/app/receipts"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/app/settlements"
	"github.com/feddi/feddi/core/app/terminals"
	"github.com/feddi/feddi/core/app/timeline"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/app/trials"
	"github.com/feddi/feddi/core/app/webhooks"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// UseCases are the services of core/app, wired.
type UseCases struct {
	Auth         *auth.Service
	Terminals    *terminals.Service
	Merchants    *merchants.Service
	Sandbox      *sandbox.Service
	Identities   *identities.Service
	Enrollment   *enrollment.Service
	Customers    *customers.Service
	Incentives   *incentives.Service
	Transactions *transactions.Service
	Checkout     *checkout.Service
	Timeline     *timeline.Service
	Pipeline     *payments.Pipeline
	Payments     *payments.Service
	Topup        *topup.Service
	Grants       *grants.Service
	Budgets      *budgets.Service
	Points       *points.Service
	Proposals    *proposals.Service
	Trials       *trials.Service
	Webhooks     *webhooks.Service
	Receipts     *receipts.Service
	Privacy      *privacy.Service
	Returns      *returns.Service
	Disputes     *disputes.Service
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
	u.Customers.Suggest = suggest(u.Incentives)
	u.Transactions = &transactions.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Planner: s.planner, Mode: s.Mode}
	u.Receipts = &receipts.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Transactions: u.Transactions, Courier: s.sender, Mode: s.Mode, Print: receipt.Text,
	}
	if u.Privacy, err = s.makePrivacy(); err != nil {
		return nil, err
	}
	u.Pipeline = &payments.Pipeline{Journal: s.journal, Planner: s.planner, Clock: s.clock, IDs: s.ids, Wake: s.wake.Ring}
	u.Transactions.GiveWay = u.Pipeline.GiveWay
	u.Payments = &payments.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Pipeline: u.Pipeline,
		Resolve: u.Identities.Resolve, Prove: u.Enrollment.Prove, Guesses: &u.Identities.Guesses,
		Messages: &identities.Messenger{Identities: u.Identities, Sender: s.sender}, Random: rand.Reader,
	}
	u.Topup = &topup.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	if u.Topup.Providers, u.Topup.Gateways, err = gateways(s.Mode, s.Payments); err != nil {
		return nil, err
	}
	u.Settlements = &settlements.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, GiveWay: u.Pipeline.GiveWay}
	u.Grants = &grants.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.Points = &points.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.Proposals = &proposals.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Incentives: u.Incentives, Grants: u.Grants}
	u.Trials = &trials.Service{UoW: s.UoW, Clock: s.clock, Directory: s.directory, Incentives: u.Incentives}
	u.Returns = &returns.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory,
		Transactions: u.Transactions, Incentives: u.Incentives, Points: u.Points,
	}
	u.Disputes = &disputes.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Returns: u.Returns}
	u.Budgets = &budgets.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids}
	u.Webhooks = &webhooks.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Events: events.NewReader(s.DB.Q())}
	u.Auth = &auth.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Tokens: s.auth, Changes: tenancy.Listeners{s.directory, s.auth}}
	u.Terminals = &terminals.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory, Version: s.Version,
		Degraded: func() []string { return s.probe.Health().Degraded },
	}
	u.Merchants = &merchants.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Changes: tenancy.Listeners{s.directory, s.auth}}
	u.Sandbox = &sandbox.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Seeders: []sandbox.Seeder{
		sandbox.Offers{From: u.Incentives}, sandbox.Topups{}, sandbox.Guest{IDs: s.ids},
	}}
	u.Timeline = &timeline.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory}
	u.Checkout = &checkout.Service{
		UoW: s.UoW, Clock: s.clock, IDs: s.ids, Directory: s.directory,
		Identities: u.Identities, Incentives: u.Incentives, Transactions: u.Transactions,
	}
	return u, nil
}

// suggest gives the summary of a customer the first offer of the feed that is
// theirs alone.
func suggest(from *incentives.Service) customers.Suggest {
	return func(ctx context.Context, call *app.Call, id string) (customers.Suggestion, error) {
		r, err := from.CustomerOffers(ctx, call, incentives.ProspectInput{CustomerID: id})
		out := customers.Suggestion{TraceID: r.TraceID}
		if err == nil && len(r.Feed.Offers) > 0 {
			out.Offer = &r.Feed.Offers[0]
		}
		return out, err
	}
}

// makePrivacy wires exports and erasures: archives are sealed, and their links
// signed, with keys that the database never sees.
func (s *System) makePrivacy() (*privacy.Service, error) {
	sealer, err := vault.New(s.secrets.ServerKey, "gdpr archives")
	if err != nil {
		return nil, err
	}
	linkKey, err := derive(s.secrets.ServerKey, "gdpr archive links")
	if err != nil {
		return nil, err
	}
	return &privacy.Service{UoW: s.UoW, Clock: s.clock, IDs: s.ids, Sealer: sealer, LinkKey: linkKey, PublicURL: s.publicURL}, nil
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
		{"actuators.execute", time.Second, s.own.execute.Run},
		{"actuators.sweep", time.Hour, s.own.execute.Sweep},
		{"grants.expire", 10 * time.Second, u.Grants.Expire},
		{"points.expire", time.Minute, u.Points.Expire},
		{"proposals.expire", 10 * time.Second, u.Proposals.Expire},
		{"topups.expire", time.Minute, u.Topup.Expire},
		{"receipts.send", 2 * time.Second, u.Receipts.Deliver},
		{"gdpr.requests", 2 * time.Second, u.Privacy.Work},
		{"gdpr.archives", 10 * time.Minute, u.Privacy.Sweep},
		{"settlements.gather", 2 * time.Second, u.Settlements.Gather},
		{"reconciliations.compare", 2 * time.Second, u.Settlements.Compare},
		{"codes.sweep", time.Minute, u.Identities.Sweep},
		{"merges.sweep", 10 * time.Minute, u.Enrollment.UndoneSweep},
		{"sandboxes.sweep", time.Hour, u.Sandbox.Sweep},
		{"idempotency.sweep", time.Minute, func(ctx context.Context, limit int) (int, error) {
			return s.UoW.Read().Idempotency.Sweep(ctx, s.clock.Now(), limit)
		}},
		{"indexes.summarize", 2 * time.Second, func(ctx context.Context, limit int) (int, error) {
			n, err := ranges.Summarize(ctx, s.DB)
			return min(n, limit-1), err // all there is
		}},
		{"tokens.sweep", time.Hour, func(ctx context.Context, _ int) (int, error) {
			return s.UoW.Read().Tenancy.SweepTokens(ctx, s.clock.Now())
		}},
	}
}
