package main

import (
	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/plugins/attribution"
	"github.com/feddi/feddi/plugins/cashback"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/wallet"
)

// actuatorCommand runs a first-party actuator as the plugin process it is. The
// server re-executes its own binary with it, so nothing has to be found or
// installed; run by hand it says what it is for and ends.
type actuatorCommand struct {
	Wallet      walletActuator      `cmd:"" help:"Debits wallets: promo first, then actual."`
	Cashback    cashbackActuator    `cmd:"" help:"Gives cashback on identified sales."`
	Attribution attributionActuator `cmd:"" help:"Records what led to a sale."`
}

type (
	walletActuator      struct{}
	cashbackActuator    struct{}
	attributionActuator struct{}
)

// Run serves until the host ends it.
func (walletActuator) Run() error { sdk.Serve(wallet.Wallet{}); return nil }

// Run serves until the host ends it.
func (cashbackActuator) Run() error { sdk.Serve(cashback.Cashback{}); return nil }

// Run serves until the host ends it.
func (attributionActuator) Run() error { sdk.Serve(attribution.Attribution{}); return nil }

// firstParty are the actuators that every server runs.
func firstParty() []pluginhost.Spec {
	return []pluginhost.Spec{
		pluginhost.Self("wallet", "actuator", "wallet"),
		pluginhost.Self("cashback", "actuator", "cashback"),
		pluginhost.Self("attribution", "actuator", "attribution"),
	}
}
