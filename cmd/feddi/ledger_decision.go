package main

import (
	"context"
	"encoding/json"
	"fmt"

	storeledger "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation/record"
	"github.com/feddi/feddi/core/fault"
)

type ledgerDecision struct {
	Payment string `arg:"" help:"Id of the payment (pay_...)."`
	DataDir string `type:"path" help:"A data directory of feddi dev that is not running; default: DATABASE_URL." placeholder:"DIR"`
}

// Run prints the decision as JSON. It changes nothing.
func (c ledgerDecision) Run(ctx context.Context, t *terminal) error {
	server, err := ledgerServer(ctx, c.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	db, err := pg.Connect(ctx, server.DSN(""), pg.Options{ApplicationName: "feddi ledger decision"})
	if err != nil {
		return err
	}
	defer db.Close()
	stored, err := storeledger.Decision(ctx, db.Q(), c.Payment)
	switch {
	case fault.Is(err, fault.CodeNotFound):
		return fmt.Errorf("there is no payment %s in this database; give an id that begins with pay_", c.Payment)
	case err != nil:
		return err
	case stored == nil:
		return fmt.Errorf("%s has no decision: nothing was debited", c.Payment)
	}
	d, err := record.Read(stored)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Payment, err)
	}
	out := json.NewEncoder(t.out)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(d)
}
