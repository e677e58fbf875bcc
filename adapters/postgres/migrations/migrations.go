// Package migrations holds the schema as numbered SQL files and brings a
// database up to them.
//
// A file is named NNNN_name.tx.up.sql, lower case: it runs once, in one
// transaction, in the order of its number, and may hold many statements. Gaps
// are fine, so each area has its own ten: 0001 foundation, 0010 tenancy, 0020
// identity, 0030 ledger, 0040 offers and decisions, 0050 checkout and
// transactions, 0060 events, 0070 webhooks. There is no way down: a mistake is
// put right by a next file. An applied file must not change; Run refuses a
// database whose applied files differ from those of this binary.
package migrations

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

//go:embed *.tx.up.sql
var files embed.FS

const (
	table      = "schema_migrations"
	locksTable = "schema_migration_locks" // bun makes it; the advisory lock is what locks
	filesTable = "schema_migration_files"
	// lockKey is the advisory lock of migrating; any constant of our own.
	lockKey int64 = 0x66656464_69000001
)

// Run applies what is pending and reports each file to progress (nil for
// silence) before it runs. Any number of processes may run it at once: one
// does the work while the others wait, and a crash releases the lock with its
// connection. A failed file leaves nothing behind and stops the run.
func Run(ctx context.Context, db *pg.DB, progress func(string)) error {
	return runFS(ctx, db, files, progress)
}

// Pending lists the names of the files that db lacks, in order, without
// changing anything.
func Pending(ctx context.Context, db *pg.DB) ([]string, error) {
	return pendingFS(ctx, db, files)
}

// Hash identifies the schema that this binary brings: SHA-256 over the names
// and texts of all files, in hex.
func Hash() string { return hashFS(files) }

func hashFS(fsys fs.FS) string {
	h := sha256.New()
	names, _ := fs.Glob(fsys, "*.sql") // sorted; the pattern is well formed
	for _, name := range names {
		fmt.Fprintf(h, "%s %s\n", name, sumOf(fsys, name))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sumOf is SHA-256 of one file in hex.
func sumOf(fsys fs.FS, name string) string {
	text, _ := fs.ReadFile(fsys, name) // an embedded file that was just listed
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func runFS(ctx context.Context, db *pg.DB, fsys fs.FS, progress func(string)) error {
	set := migrate.NewMigrations()
	if err := set.Discover(fsys); err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	// Two connections of its own: one holds the lock, one works. Neither has
	// the server's statement timeout: an index may take its time.
	own, err := pg.Connect(ctx, db.DSN(), pg.Options{MaxConns: 2, StatementTimeout: -1, ApplicationName: "feddi migrate"})
	if err != nil {
		return err
	}
	defer own.Close()
	lock, err := own.Pool().Acquire(ctx)
	if err != nil {
		return pg.Map(err)
	}
	defer lock.Release()
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_lock($1)", lockKey); err != nil {
		return fmt.Errorf("wait for other migrations: %w", pg.Map(err))
	}
	return pg.Map(apply(ctx, own.Bun(), set, fsys, progress))
}

func apply(ctx context.Context, db *bun.DB, set *migrate.Migrations, fsys fs.FS, progress func(string)) error {
	m := migrate.NewMigrator(db, set,
		migrate.WithTableName(table), migrate.WithLocksTableName(locksTable),
		migrate.WithMarkAppliedOnSuccess(true), migrate.WithUpsert(true),
		migrate.BeforeMigration(func(_ context.Context, _ bun.IConn, mig *migrate.Migration) error {
			if progress != nil {
				progress("migrate " + mig.String())
			}
			return nil
		}),
		migrate.AfterMigration(mark(fsys)))
	if err := m.Init(ctx); err != nil {
		return fmt.Errorf("make the table of migrations: %w", err)
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+filesTable+" (name text PRIMARY KEY, sha256 text NOT NULL)"); err != nil {
		return fmt.Errorf("make the table of migrations: %w", err)
	}
	if err := unchanged(ctx, db, fsys); err != nil {
		return err
	}
	if _, err := m.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// mark records a file in the transaction that ran it: bun does so after the
// commit, and a crash between the two would run the file twice.
func mark(fsys fs.FS) migrate.MigrationHook {
	return func(ctx context.Context, tx bun.IConn, mig *migrate.Migration) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (name, group_id) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", mig.Name, mig.GroupID)
		if err != nil {
			return err
		}
		name := fileOf(mig)
		_, err = tx.ExecContext(ctx, "INSERT INTO "+filesTable+" (name, sha256) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, sumOf(fsys, name))
		return err
	}
}

func fileOf(mig *migrate.Migration) string { return mig.String() + ".tx.up.sql" }

// unchanged refuses a database that was built from other texts of the same files.
func unchanged(ctx context.Context, db *bun.DB, fsys fs.FS) error {
	var applied []struct{ Name, SHA256 string }
	if err := db.NewSelect().TableExpr(filesTable).ColumnExpr("name, sha256").Order("name").Scan(ctx, &applied); err != nil {
		return err
	}
	for _, a := range applied {
		if _, err := fs.Stat(fsys, path.Clean(a.Name)); err != nil {
			continue // a newer binary was here before; its tables do no harm
		}
		if sumOf(fsys, a.Name) != a.SHA256 {
			return fmt.Errorf("%s was changed after this database applied it; put the change into a new file, or start on an empty database (for a development one: remove its data directory)", a.Name)
		}
	}
	return nil
}

func pendingFS(ctx context.Context, db *pg.DB, fsys fs.FS) ([]string, error) {
	set := migrate.NewMigrations()
	if err := set.Discover(fsys); err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	applied, err := appliedNames(ctx, db)
	if err != nil {
		return nil, err
	}
	pending := []string{}
	for _, mig := range set.Sorted() {
		if !applied[mig.Name] {
			pending = append(pending, fileOf(&mig))
		}
	}
	return pending, nil
}

func appliedNames(ctx context.Context, db *pg.DB) (map[string]bool, error) {
	exists, err := pg.One[bool](ctx, db.Q(), "SELECT to_regclass($1) IS NOT NULL", table)
	if err != nil || !exists {
		return nil, err
	}
	names, err := pg.Many[string](ctx, db.Q(), "SELECT name FROM "+table)
	if err != nil {
		return nil, err
	}
	applied := make(map[string]bool, len(names))
	for _, n := range names {
		applied[n] = true
	}
	return applied, nil
}
