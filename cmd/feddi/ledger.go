package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	storeledger "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/ledger"
)

type ledgerCommand struct {
	Verify   ledgerVerify   `cmd:"" help:"Derive every balance, lot and budget from the postings again; exit 1 names what differs."`
	Decision ledgerDecision `cmd:"" help:"Print a payment's decision: the facts, the plan, and who planned."`
}

type ledgerVerify struct {
	DataDir string `type:"path" help:"A data directory of feddi dev that is not running; default: DATABASE_URL." placeholder:"DIR"`
	JSON    bool   `help:"Print one JSON object, for machines."`
}

// Run verifies. It changes nothing.
func (c ledgerVerify) Run(ctx context.Context, t *terminal) error {
	server, err := ledgerServer(ctx, c.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	db, err := pg.Connect(ctx, server.DSN(""), pg.Options{StatementTimeout: -1, ApplicationName: "feddi ledger verify"})
	if err != nil {
		return err
	}
	defer db.Close()
	begin := time.Now()
	bar := newBar(t.err, 100, "deriving every balance from its postings")
	audit := storeledger.NewAudit(db).Telling(func(share float64) { _ = bar.Set(int(100 * share)) })
	var found []ledger.Finding
	examined, findings, err := ledger.Verify(ctx, audit, func(f ledger.Finding) {
		if !c.JSON {
			fmt.Fprintln(t.out, f)
		}
		if len(found) < 1000 {
			found = append(found, f)
		}
	})
	_ = bar.Finish()
	if err != nil {
		return err
	}
	c.print(t, examined, found, findings, time.Since(begin))
	if findings > 0 {
		return errSilent
	}
	return nil
}

func (c ledgerVerify) print(t *terminal, e ledger.Examined, found []ledger.Finding, findings int, took time.Duration) {
	if c.JSON {
		_ = json.NewEncoder(t.out).Encode(map[string]any{
			"sound": findings == 0, "findings": findings, "first_findings": found, "examined": e, "seconds": took.Seconds(),
		})
		return
	}
	verdict := "The ledger is sound."
	if findings > 0 {
		verdict = fmt.Sprintf("%d figures do not follow from their postings.", findings)
	}
	fmt.Fprintf(t.out, "%d entries, %d postings, %d wallets, %d lots, %d budgets in %.1f s\n%s\n",
		e.Entries, e.Postings, e.Wallets, e.Lots, e.Budgets, took.Seconds(), verdict)
}

// ledgerServer is the database whose ledger is looked at.
func ledgerServer(ctx context.Context, dataDir string) (*pgdev.Server, error) {
	if dataDir != "" {
		return pgdev.Start(ctx, pgdev.Options{Dir: dataDir, Durable: true, Private: true})
	}
	url, err := system.DatabaseURL()
	if err != nil {
		return nil, err
	}
	return pgdev.External(url), nil
}
