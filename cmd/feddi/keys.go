package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// keysCommand works on the database that DATABASE_URL names, with no key: the
// first keys of an installation have to come from somewhere.
type keysCommand struct {
	Create   keysCreate   `cmd:"" help:"Make a platform key; it is shown once."`
	Merchant keysMerchant `cmd:"" help:"Found a merchant with a brand, a branch and a terminal."`
	List     keysList     `cmd:"" help:"List the keys of an integration."`
	Revoke   keysRevoke   `cmd:"" help:"Revoke a key; its terminal tokens die within a second."`
}

type keysCreate struct {
	Integration string `help:"Id of the integration (par_...); empty makes a new one." placeholder:"ID"`
	Partner     string `help:"Name of a new integration." placeholder:"NAME"`
	Name        string `help:"What the key is for." placeholder:"TEXT"`
	Mode        string `default:"production" enum:"production,sandbox" help:"production or sandbox."`
	Operator    bool   `help:"Give it operator authority (clawback, erasure, disputes)."`
}

// Run makes the key.
func (c keysCreate) Run(ctx context.Context, t *terminal) error {
	return withBootstrap(ctx, func(b *auth.Bootstrap) error {
		issued, err := b.CreatePlatformKey(ctx, auth.PlatformKeyInput{
			PartnerID: c.Integration, PartnerName: c.Partner, Mode: tenancy.Mode(c.Mode), Name: c.Name, Operator: c.Operator,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(t.out, "integration  %s\nkey id       %s\nkey          %s\n", issued.Key.PartnerID, issued.Key.ID, issued.Raw)
		fmt.Fprintln(t.err, "The key is shown this once; store it now.")
		return nil
	})
}

type keysMerchant struct {
	Integration string `required:"" help:"Id of the integration (par_...)." placeholder:"ID"`
	Name        string `required:"" help:"The merchant's name." placeholder:"NAME"`
	Currency    string `default:"USD" help:"ISO 4217 code." placeholder:"CODE"`
	Mode        string `default:"production" enum:"production,sandbox" help:"production or sandbox."`
}

// Run founds the merchant.
func (c keysMerchant) Run(ctx context.Context, t *terminal) error {
	return withBootstrap(ctx, func(b *auth.Bootstrap) error {
		e, err := b.CreateMerchant(ctx, auth.EnterpriseInput{
			PartnerID: c.Integration, Mode: tenancy.Mode(c.Mode), Name: c.Name, Settings: tenancy.DefaultSettings(c.Currency),
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(t.out, "merchant  %s\nbrand     %s\nbranch    %s\nterminal  %s\n", e.Merchant.ID, e.Brand.ID, e.Branch.ID, e.Terminal.ID)
		return nil
	})
}

type keysList struct {
	Integration string `required:"" help:"Id of the integration (par_...)." placeholder:"ID"`
	Mode        string `default:"production" enum:"production,sandbox" help:"production or sandbox."`
	Limit       int    `default:"50" help:"How many at most, latest first."`
}

// Run lists keys.
func (c keysList) Run(ctx context.Context, t *terminal) error {
	return withBootstrap(ctx, func(b *auth.Bootstrap) error {
		keys, err := b.ListKeys(ctx, tenancy.Owner{PartnerID: c.Integration, Mode: tenancy.Mode(c.Mode)}, c.Limit)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tBEGINS\tSCOPE\tSTATUS\tNAME")
		for _, k := range keys {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Prefix, k.Scope, k.Status, k.Name)
		}
		return w.Flush()
	})
}

type keysRevoke struct {
	Integration string `required:"" help:"Id of the integration (par_...)." placeholder:"ID"`
	Mode        string `default:"production" enum:"production,sandbox" help:"production or sandbox."`
	Key         string `arg:"" help:"Id of the key (key_...)."`
}

// Run revokes a key.
func (c keysRevoke) Run(ctx context.Context, t *terminal) error {
	return withBootstrap(ctx, func(b *auth.Bootstrap) error {
		k, err := b.RevokeKey(ctx, tenancy.Owner{PartnerID: c.Integration, Mode: tenancy.Mode(c.Mode)}, c.Key)
		if err == nil {
			fmt.Fprintf(t.out, "%s is %s\n", k.ID, k.Status)
		}
		return err
	})
}

func withBootstrap(ctx context.Context, fn func(b *auth.Bootstrap) error) error {
	url, err := system.DatabaseURL()
	if err != nil {
		return err
	}
	db, err := pg.Connect(ctx, url, pg.Options{ApplicationName: "feddi keys"})
	if err != nil {
		return err
	}
	defer db.Close()
	c := clock.System{}
	return fn(&auth.Bootstrap{UoW: postgres.New(db, nil, nil), Clock: c, IDs: ids.New(c)})
}
