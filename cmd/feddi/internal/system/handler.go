package system

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/archive"
	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/api/feddi/customers"
	"github.com/feddi/feddi/adapters/api/feddi/merchants"
	"github.com/feddi/feddi/adapters/api/feddi/returns"
	"github.com/feddi/feddi/adapters/api/feddi/rewards"
	"github.com/feddi/feddi/adapters/api/feddi/sessions"
	"github.com/feddi/feddi/adapters/api/feddi/settlements"
	"github.com/feddi/feddi/adapters/api/feddi/terminals"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/adapters/receipt"
	"github.com/feddi/feddi/core/app/privacy"
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
	archives := archive.Handler(s.Uses.Privacy.Open, privacy.ErrGone, s.Log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, archive.Path) {
			archives.ServeHTTP(w, r)
			return
		}
		server.ServeHTTP(w, r)
	}), nil
}

func (s *System) register(reg *pipeline.Registry) {
	u := s.Uses
	feddi.RegisterPlatform(reg, feddi.PlatformDeps{
		Directory: s.directory, Actuators: loaded{s.Host}, Probe: s.probe, Version: s.Version, APIVersions: apiVersions,
	})
	feddi.RegisterAuth(reg, feddi.AuthDeps{Auth: u.Auth, Sandbox: u.Sandbox})
	terminals.Register(reg, u.Terminals)
	merchants.Register(reg, u.Merchants)
	feddi.RegisterIdentity(reg, u.Identities)
	feddi.RegisterEnrollment(reg, u.Enrollment)
	customers.Register(reg, u.Customers)
	customers.RegisterPrivacy(reg, u.Privacy)
	feddi.RegisterQR(reg, u.Customers)
	feddi.RegisterCheckout(reg, u.Checkout)
	sessions.RegisterTimeline(reg, u.Timeline)
	feddi.RegisterPayments(reg, u.Payments)
	feddi.RegisterTopup(reg, u.Topup)
	feddi.RegisterGrants(reg, u.Grants)
	feddi.RegisterOffers(reg, u.Incentives)
	rewards.RegisterPoints(reg, u.Points)
	rewards.Register(reg, rewards.Deps{Incentives: u.Incentives, Budgets: u.Budgets, Grants: u.Grants, Proposals: u.Proposals, Trials: u.Trials})
	feddi.RegisterTransactions(reg, feddi.TransactionsDeps{Transactions: u.Transactions, Receipts: u.Receipts, Text: receipt.Text, PDF: receipt.PDF})
	returns.Register(reg, u.Returns, u.Disputes)
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
