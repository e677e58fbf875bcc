package main

import (
	"fmt"
	"net/http"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/api/feddi/customers"
	"github.com/feddi/feddi/adapters/api/feddi/rewards"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/adapters/receipt"
)

// apiVersions are the contract versions spoken, the current one first.
var apiVersions = pipeline.Versions

// handler mounts every operation that has a use case.
func (s *system) handler() (http.Handler, error) {
	catalogue, err := api.Catalogue()
	if err != nil {
		return nil, err
	}
	reg := pipeline.NewRegistry(catalogue, s.mode)
	s.register(reg)
	if missing := reg.Missing(); len(missing) > 0 {
		s.log.Debug("operations that the contract calls callable have no handler", "operations", missing)
	}
	server, err := api.New(pipeline.Config{
		Registry: reg, Auth: s.auth, Limits: s.limiter(), Places: feddi.Places{Directory: s.directory},
		Replays: s.uow.Read().Idempotency, Clock: s.clock, IDs: s.ids, Versions: apiVersions,
		ServerKey: s.secrets.ServerKey, Log: s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("mount the API: %w", err)
	}
	return server, nil
}

func (s *system) register(reg *pipeline.Registry) {
	u := s.uses
	feddi.RegisterPlatform(reg, feddi.PlatformDeps{
		Directory: s.directory, Actuators: s.host, Probe: s.probe, Version: version, APIVersions: apiVersions,
	})
	feddi.RegisterAuth(reg, feddi.AuthDeps{Auth: u.auth, Sandbox: u.sandbox})
	feddi.RegisterIdentity(reg, u.identities)
	feddi.RegisterEnrollment(reg, u.enrollment)
	customers.Register(reg, u.customers)
	feddi.RegisterQR(reg, u.customers)
	feddi.RegisterCheckout(reg, u.checkout)
	feddi.RegisterPayments(reg, u.payments)
	feddi.RegisterTopup(reg, u.topup)
	feddi.RegisterGrants(reg, u.grants)
	feddi.RegisterOffers(reg, u.incentives)
	rewards.RegisterPoints(reg, u.points)
	rewards.Register(reg, rewards.Deps{Incentives: u.incentives, Budgets: u.budgets, Grants: u.grants})
	feddi.RegisterTransactions(reg, feddi.TransactionsDeps{Transactions: u.transactions, Text: receipt.Text, PDF: receipt.PDF})
	feddi.RegisterWebhooks(reg, u.webhooks)
}

func (s *system) limiter() pipeline.Limiter {
	if !s.limits {
		return ratelimit.Off{}
	}
	return ratelimit.New(s.clock, map[string]ratelimit.Rule{
		pipeline.KeyLimit: ratelimit.PerKey(), pipeline.SandboxLimit: ratelimit.SandboxesPerAddress(),
	})
}
