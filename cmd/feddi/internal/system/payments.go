package system

import (
	"fmt"

	"github.com/feddi/feddi/adapters/providers"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/tenancy"
)

// Payments are the payment providers that top-ups come through. One is set up
// by the secrets that sign its callbacks: several, newest first, while one is
// replaced by the next.
type Payments struct {
	StripeSecrets string `name:"stripe-webhook-secrets" env:"FEDDI_STRIPE_WEBHOOK_SECRETS" help:"Sets up stripe: the secrets that sign its callbacks, newest first, separated by commas." placeholder:"SECRETS"`
	SadadSecrets  string `name:"sadad-webhook-secrets" env:"FEDDI_SADAD_WEBHOOK_SECRETS" help:"Sets up sadad: the secrets that sign its callbacks, newest first, separated by commas." placeholder:"SECRETS"`
}

// gateways makes what the use cases need of the providers that are set up. The
// sandbox takes callbacks of all of them, by secrets that a partner derives.
func gateways(mode tenancy.Mode, o Payments) (map[string]topup.Provider, map[string]topup.Gateway, error) {
	takers, readers := map[string]topup.Provider{}, map[string]topup.Gateway{}
	for _, p := range []struct {
		name, secrets string
		reads         func(providers.Secrets) topup.Gateway
	}{
		{"stripe", o.StripeSecrets, func(s providers.Secrets) topup.Gateway { return providers.Stripe{Secrets: s} }},
		{"sadad", o.SadadSecrets, func(s providers.Secrets) topup.Gateway { return providers.Sadad{Secrets: s} }},
	} {
		if mode == tenancy.Sandbox {
			readers[p.name] = p.reads(providers.Sandbox())
			continue
		}
		if p.secrets == "" {
			continue
		}
		secrets, err := providers.Parse(p.secrets)
		if err != nil {
			return nil, nil, fmt.Errorf("set up %s: %w", p.name, err)
		}
		takers[p.name], readers[p.name] = topup.Signed{Name: p.name}, p.reads(providers.Fixed(secrets...))
	}
	return takers, readers, nil
}
