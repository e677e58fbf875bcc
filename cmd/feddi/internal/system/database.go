package system

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

// Database is a Postgres that is connected and migrated.
type Database struct {
	Server *pgdev.Server
	DB     *pg.DB
	tell   func(string)
}

// StartDatabase uses DATABASE_URL or starts a durable server in dir (empty: a
// temporary one that is gone with the process), and brings it up to date.
func StartDatabase(ctx context.Context, dir string, tell func(string)) (*Database, error) {
	server, err := pgdev.Start(ctx, pgdev.Options{Dir: dir, Durable: true, Progress: tell})
	if err != nil {
		return nil, err
	}
	d := &Database{Server: server, tell: tell}
	if d.DB, err = Connect(ctx, server.DSN(""), tell); err != nil {
		return nil, errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// Connect opens dsn and migrates it.
func Connect(ctx context.Context, dsn string, tell func(string)) (*pg.DB, error) {
	db, err := pg.Connect(ctx, dsn, pg.Options{})
	if err != nil {
		return nil, err
	}
	if err := migrations.Run(ctx, db, tell); err != nil {
		db.Close()
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	return db, nil
}

// Close disconnects, and stops a server of our own.
func (d *Database) Close(ctx context.Context) error {
	d.DB.Close()
	return d.Server.Stop(ctx)
}

// DatabaseURL is where production's database is.
func DatabaseURL() (string, error) {
	if url := os.Getenv("DATABASE_URL"); url != "" {
		return url, nil
	}
	return "", errors.New("DATABASE_URL is not set; give the address of a Postgres 15 or later, for example postgres://feddi@localhost/feddi")
}
