package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/feddi/feddi/cmd/feddi/internal/bench"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/actuators"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/actuation"
)

type benchActuators struct {
	benchFlags
	Starts      int           `default:"10" help:"Of each actuator, 1 to 100 (${default})." placeholder:"N"`
	Connections []int         `default:"32,128" help:"That pay, 1 to 1000 (${default})." placeholder:"N"`
	Duration    time.Duration `default:"4s" help:"Of each round of payments, 1s to 1m (${default})." placeholder:"TIME"`
	Rounds      int           `default:"2" help:"With either planner, in turn, 1 to 20 (${default})." placeholder:"N"`
	Wallets     int           `default:"5000" help:"Funded wallets, 10 to 1000000 (${default})." placeholder:"N"`
	Kills       int           `default:"3" help:"Of an actuator under load, 1 to 5 (${default})." placeholder:"N"`
}

// Validate is called by the command-line parser.
func (c *benchActuators) Validate() error {
	switch {
	case c.Starts < 1 || c.Starts > 100:
		return errors.New("--starts: give 1 to 100")
	case len(c.Connections) == 0 || slices.Min(c.Connections) < 1 || slices.Max(c.Connections) > 1000:
		return errors.New("--connections: give 1 to 1000, for example 32,128")
	case c.Duration < time.Second || c.Duration > time.Minute:
		return errors.New("--duration: give 1s to 1m")
	case c.Rounds < 1 || c.Rounds > 20:
		return errors.New("--rounds: give 1 to 20")
	case c.Wallets < 10 || c.Wallets > 1_000_000:
		return errors.New("--wallets: give 10 to 1000000")
	case c.Kills < 1 || c.Kills > 5: // the budget of restarts
		return errors.New("--kills: give 1 to 5")
	}
	return nil
}

// Run measures actuators; status 1 where an operation failed that must not.
func (c *benchActuators) Run(ctx context.Context, t *terminal) error {
	turn := &actuators.Switch{}
	c.registry = func(r actuation.Registry) actuation.Registry {
		turn.Registry = r
		return turn
	}
	return c.measure(ctx, t, func(s *system.System, d *bench.Deployment, head bench.Head) (benchReport, error) {
		return reported(actuators.Run(ctx, d, head, actuators.Options{
			Specs: system.FirstParty(), Starts: c.Starts, Connections: c.Connections, Duration: c.Duration, Rounds: c.Rounds,
			Wallets: c.Wallets, Kills: c.Kills, Host: s.Host, Switch: turn,
		}))
	})
}
