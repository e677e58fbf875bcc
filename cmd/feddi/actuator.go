package main

import (
	"runtime"

	"github.com/alecthomas/kong"

	"github.com/feddi/feddi/cmd/feddi/internal/actuatorcmd"
	"github.com/feddi/feddi/plugins/attribution"
	"github.com/feddi/feddi/plugins/cashback"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/wallet"
)

// actuatorCommand is about actuators. The first-party ones are hidden: the
// server re-executes its own binary with them, so nothing has to be found or
// installed; run by hand they say what they are for and end.
type actuatorCommand struct {
	New       actuatorcmd.New       `cmd:"" help:"Begin an actuator of your own: a small, tested program."`
	Verify    actuatorcmd.Verify    `cmd:"" help:"Examine an actuator: manifest, conformance, timings, verdict. Needs no server."`
	Install   actuatorcmd.Install   `cmd:"" help:"Install an actuator for one merchant; running servers take it up within a second."`
	Uninstall actuatorcmd.Uninstall `cmd:"" help:"Uninstall a merchant's actuator."`
	List      actuatorcmd.List      `cmd:"" help:"List what is installed and how every actuator fares."`

	Commands actuatorcmd.Commands `cmd:"" help:"List what actuators do outside: commands of decisions and schedules."`
	Retry    actuatorcmd.Retry    `cmd:"" help:"Try a parked command again."`

	Replay actuatorcmd.Replay `cmd:"" help:"Run an actuator over recorded decisions: what would change, by count and by money. Commits nothing."`

	Wallet      walletActuator      `cmd:"" hidden:"" help:"Debits wallets: promo first, then actual."`
	Cashback    cashbackActuator    `cmd:"" hidden:"" help:"Gives cashback on identified sales."`
	Attribution attributionActuator `cmd:"" hidden:"" help:"Records what led to a sale."`
}

// AfterApply gives the commands their terminal.
func (actuatorCommand) AfterApply(k *kong.Context) error {
	k.Bind(&actuatorcmd.Terminal{Out: k.Stdout, Err: k.Stderr, Version: version})
	return nil
}

type (
	walletActuator      struct{}
	cashbackActuator    struct{}
	attributionActuator struct{}
)

// Run serves until the host ends it.
func (walletActuator) Run() error { return serve(wallet.Wallet{}) }

// Run serves until the host ends it.
func (cashbackActuator) Run() error { return serve(cashback.Cashback{}) }

// Run serves until the host ends it.
func (attributionActuator) Run() error { return serve(attribution.Attribution{}) }

// serve serves a with one processor. A plan of ours takes microseconds, and the
// host asks for one batch at a time: to wake a second thread for each message
// costs more than it gains.
func serve(a sdk.Actuator) error {
	runtime.GOMAXPROCS(1)
	sdk.Serve(a)
	return nil
}
