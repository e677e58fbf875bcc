package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/feddi/feddi/cmd/feddi/internal/bench"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
)

type benchPayments struct {
	benchFlags
	Connections []int         `default:"1,32,128" help:"Connections of each row, 1 to 1000 (${default})." placeholder:"N"`
	Duration    time.Duration `default:"10s" help:"Of each row, 1s to 5m (${default})." placeholder:"TIME"`
	Wallets     int           `default:"10000" help:"Funded wallets, 10 to 1000000 (${default})." placeholder:"N"`
	Merchants   int           `default:"100" help:"Merchants that are paid, 2 to 1000 (${default})." placeholder:"N"`
	OneMerchant bool          `aliases:"one-branch" help:"Only pay one merchant at one branch; else the last row does, for the ratio."`
	Sessions    bool          `help:"Make each payment a tender of a checkout session."`
	MaxPayments int           `default:"250000" help:"Most payments of one row, 10 to 10000000 (${default})." placeholder:"N"`
	History     int           `default:"0" help:"Write so many postings of older payments, then measure the busiest row again (${default})." placeholder:"N"`
	Plot        string        `type:"path" help:"Write throughput and latency against connections as SVG." placeholder:"FILE.svg"`
	CPUProfile  string        `type:"path" name:"cpu-profile" help:"Write a CPU profile of the busiest row." placeholder:"FILE"`
}

// Validate is called by the command-line parser.
func (c *benchPayments) Validate() error {
	switch {
	case len(c.Connections) == 0 || slices.Min(c.Connections) < 1 || slices.Max(c.Connections) > 1000:
		return errors.New("--connections: give 1 to 1000, for example 1,32,128")
	case c.Duration < time.Second || c.Duration > 5*time.Minute:
		return errors.New("--duration: give 1s to 5m")
	case c.Wallets < 10 || c.Wallets > 1_000_000:
		return errors.New("--wallets: give 10 to 1000000")
	case c.Merchants < 2 || c.Merchants > 1000:
		return errors.New("--merchants: give 2 to 1000, or --one-merchant")
	case c.History < 0 || c.History > 100_000_000:
		return errors.New("--history: give 0 to 100000000")
	case c.MaxPayments < 10 || c.MaxPayments > 10_000_000:
		return errors.New("--max-payments: give 10 to 10000000")
	}
	return nil
}

// Run measures payments; status 1 where one was lost, invented or unbalanced.
func (c *benchPayments) Run(ctx context.Context, t *terminal) error {
	return c.measure(ctx, t, func(_ *system.System, d *bench.Deployment, head bench.Head) (benchReport, error) {
		r, err := bench.Payments(ctx, d, head, bench.PaymentsOptions{
			Connections: c.Connections, Duration: c.Duration, Wallets: c.Wallets, Merchants: c.Merchants,
			OneMerchant: c.OneMerchant, Sessions: c.Sessions, MaxPayments: c.MaxPayments, History: c.History, Profile: c.CPUProfile,
		})
		if r == nil {
			return nil, err
		}
		if c.Plot != "" && len(r.Rows) > 0 {
			err = errors.Join(err, os.WriteFile(c.Plot, []byte(r.Plot().SVG()), 0o644))
		}
		return r, err
	})
}
