package system

import (
	"fmt"
	"net/http"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/api/feddi/customers"
	"github.com/feddi/feddi/adapters/api/feddi/rewards"
	"github.com/feddi/feddi/adapters/api/feddi/settlements"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/adapters/receipt"
)

// apiVersions are the contract versions spoken, the current one first.
var apiVersions = pipeline.Versions

// handler mounts every operation that has a use case.
func (s *System) handler() (http.Handler, error) {
	catalogue, err := api.Catalogue()
	if err != nil {
		return nil, err
	}
	reg := pipeline.NewRegistry(catalogue, s.Mode)
	s.register(reg)
	if missing := reg.Missing(); len(missing) > 0 {
		s.Log.Debug("operations that the contract calls callable have no handler", "operations", missing)
	}
	server, err := api.New(pipeline.Config{
		Registry: reg, Auth: s.auth, Limits: s.limiter(), Places: feddi.Places{Directory: s.directory},
		Replays: s.UoW.Read().Idempotency, Clock: s.clock, IDs: s.ids, Versions: apiVersions,
		ServerKey: s.secrets.ServerKey, Log: s.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("mount the API: %w", err)
	}
	return server, nil
}

func (s *System) register(reg *pipeline.Registry) {
	u := s.Uses
	feddi.RegisterPlatform(reg, feddi.PlatformDeps{
		Directory: s.directory, Actuators: s.Host, Probe: s.probe, Version: s.Version, APIVersions: apiVersions,
	})
	feddi.RegisterAuth(reg, feddi.AuthDeps{Auth: u.Auth, Sandbox: u.Sandbox})
	feddi.RegisterIdentity(reg, u.Identities)
	feddi.RegisterEnrollment(reg, u.Enrollment)
	customers.Register(reg, u.Customers)
	feddi.RegisterQR(reg, u.Customers)
	feddi.RegisterCheckout(reg, u.Checkout)
	feddi.RegisterPayments(reg, u.Payments)
	feddi.RegisterTopup(reg, u.Topup)
	feddi.RegisterGrants(reg, u.Grants)
	feddi.RegisterOffers(reg, u.Incentives)
	rewards.RegisterPoints(reg, u.Points)
	rewards.Register(reg, rewards.Deps{Incentives: u.Incentives, Budgets: u.Budgets, Grants: u.Grants})
	feddi.RegisterTransactions(reg, feddi.TransactionsDeps{Transactions: u.Transactions, Text: receipt.Text, PDF: receipt.PDF})
	feddi.RegisterWebhooks(reg, u.Webhooks)
	settlements.Register(reg, u.Settlements)
}

func (s *System) limiter() pipeline.Limiter {
	if !s.Limits {
		return ratelimit.Off{}
	}
	return ratelimit.New(s.clock, map[string]ratelimit.Rule{
		pipeline.KeyLimit: ratelimit.PerKey(), pipeline.SandboxLimit: ratelimit.SandboxesPerAddress(),
	})
}
