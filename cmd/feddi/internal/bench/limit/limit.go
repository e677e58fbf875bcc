// Package limit measures what Postgres itself can commit: the smallest debit
// that is still one (a key that pins it, a guarded balance, two balanced
// lines), as one prepared statement. What the system does per second is quoted
// as a share of this, measured in the same run on the same server.
package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// schema is a place of its own, dropped at the end.
const schema = "feddi_limit"

// setUp makes the smallest ledger: wallets with room for updates in place,
// keys, and lines that are only ever appended.
const setUp = `
DROP SCHEMA IF EXISTS feddi_limit CASCADE;
CREATE SCHEMA feddi_limit;
CREATE TABLE feddi_limit.wallets (
	wallet  bigint PRIMARY KEY,
	minor   bigint NOT NULL CHECK (minor >= 0),
	version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE TABLE feddi_limit.keys (
	key    text PRIMARY KEY,
	debit  bigint GENERATED ALWAYS AS IDENTITY,
	wallet bigint NOT NULL,
	minor  bigint NOT NULL,
	at     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE feddi_limit.lines (
	line    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	debit   bigint NOT NULL,
	account bigint NOT NULL,
	minor   bigint NOT NULL,
	at      timestamptz NOT NULL DEFAULT now()
);
INSERT INTO feddi_limit.wallets SELECT n, 1000000000000 FROM generate_series(1, %d) n;
`

// shop is the account that all debits go to; beyond every wallet's number.
const shop = "9000000001"

// statement debits once. %[1]s is the key, %[2]s the wallet, %[3]s the amount.
const statement = `WITH pinned AS (
	INSERT INTO feddi_limit.keys (key, wallet, minor) VALUES (%[1]s, %[2]s, %[3]s) ON CONFLICT DO NOTHING RETURNING debit),
taken AS (
	UPDATE feddi_limit.wallets SET minor = minor - %[3]s, version = version + 1
	WHERE wallet = %[2]s AND minor >= %[3]s AND EXISTS (SELECT 1 FROM pinned) RETURNING minor),
booked AS (
	INSERT INTO feddi_limit.lines (debit, account, minor)
	SELECT p.debit, l.account, l.minor FROM pinned p, taken, (VALUES (%[2]s::bigint, -%[3]s::bigint), (` + shop + `::bigint, %[3]s::bigint)) l (account, minor)
	RETURNING 1)
SELECT (SELECT debit FROM pinned), (SELECT minor FROM taken), (SELECT count(*) FROM booked)`

// Limit is a prepared place to measure in.
type Limit struct {
	db      *pg.DB
	wallets int
	bench   string // path of pgbench; empty: a loop of our own
}

// Open makes the tables. Close drops them.
func Open(ctx context.Context, db *pg.DB, wallets int) (*Limit, error) {
	l := &Limit{db: db, wallets: wallets, bench: findPgbench()}
	if err := l.exec(ctx, fmt.Sprintf(setUp, wallets)); err != nil {
		return nil, fmt.Errorf("make the tables of the Postgres limit: %w", err)
	}
	return l, l.exec(ctx, "VACUUM ANALYZE feddi_limit.wallets")
}

// Close drops the tables.
func (l *Limit) Close(ctx context.Context) error {
	return l.exec(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE")
}

// exec runs text that has no arguments, several statements where there are.
func (l *Limit) exec(ctx context.Context, text string) error {
	conn, err := l.db.Pool().Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, text).ReadAll()
	return err
}

// Tool says what drives the statement.
func (l *Limit) Tool() string {
	if l.bench != "" {
		return "pgbench"
	}
	return "pgx"
}

// Measure is what one measurement gave.
type Measure struct {
	Clients int           `json:"clients"`
	Debits  int64         `json:"debits"`
	Rate    float64       `json:"per_second"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Max     time.Duration `json:"max_ns"`
}

// Measure debits for d on the given number of connections, prepared, with
// random wallets and keys.
func (l *Limit) Measure(ctx context.Context, clients int, d time.Duration) (Measure, error) {
	// A database that was idle and one that has just been filled differ; both
	// sides of every ratio begin behind a checkpoint.
	_ = l.exec(ctx, "CHECKPOINT") // a guest in somebody's database may not
	if l.bench != "" {
		return l.pgbench(ctx, clients, d)
	}
	return l.loop(ctx, clients, d)
}

// Check gives an error where money was made or lost.
func (l *Limit) Check(ctx context.Context) error {
	var lines, wallets int64
	err := l.db.Pool().QueryRow(ctx, `SELECT coalesce(sum(minor), 0)::bigint,
		(SELECT 1000000000000 * count(*) - sum(minor) FROM feddi_limit.wallets)::bigint
			- coalesce(sum(minor) FILTER (WHERE account = `+shop+`), 0)::bigint FROM feddi_limit.lines`).Scan(&lines, &wallets)
	if err != nil {
		return err
	}
	if lines != 0 || wallets != 0 {
		return fmt.Errorf("the limit's own books do not balance: lines %d, wallets %d", lines, wallets)
	}
	return nil
}
