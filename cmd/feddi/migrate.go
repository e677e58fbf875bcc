package main

import (
	"context"
	"fmt"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
)

type migrateCommand struct {
	Pending bool `help:"List what would be applied, and apply nothing."`
}

// Run migrates the database that DATABASE_URL names.
func (c migrateCommand) Run(ctx context.Context, t *terminal) error {
	url, err := system.DatabaseURL()
	if err != nil {
		return err
	}
	db, err := pg.Connect(ctx, url, pg.Options{StatementTimeout: -1, ApplicationName: "feddi migrate"})
	if err != nil {
		return err
	}
	defer db.Close()
	if c.Pending {
		names, err := migrations.Pending(ctx, db)
		for _, name := range names {
			fmt.Fprintln(t.out, name)
		}
		return err
	}
	return migrations.Run(ctx, db, func(what string) { fmt.Fprintln(t.out, what) })
}
