package pg

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

// Defaults of Options, chosen for a box of two cores.
const (
	DefaultMaxConns         = 16
	DefaultStatementTimeout = 5 * time.Second
	// idleInTransaction ends a transaction whose owner went silent: it would
	// hold its locks, and every reader of the outbox, back.
	idleInTransaction = 10 * time.Second
)

// Options tune a connection pool; the zero value is right for the server.
type Options struct {
	// MaxConns bounds the connections; 0 means DefaultMaxConns.
	MaxConns int32
	// StatementTimeout ends a statement on the server; 0 means
	// DefaultStatementTimeout, negative means none (migrations, exports).
	StatementTimeout time.Duration
	// ApplicationName is what pg_stat_activity shows; empty means "feddi".
	ApplicationName string
	// Settings are names and values of settings of each connection.
	Settings [][2]string
	// Replan is how long a plan that is kept stays good, for statements that are
	// planned once: made while a table was small, it may take an index that is
	// wrong for a large one, and Postgres tells of the growth with the next ANALYZE
	// only. 0 means for good.
	Replan time.Duration
}

// ReplanEvery is the Replan of whoever has all its plans kept. To make those of a
// connection anew takes some milliseconds.
const ReplanEvery = 10 * time.Second

// DB is one pool of connections, with bun on top of the same pool. Safe for
// concurrent use.
type DB struct {
	pool *pgxpool.Pool
	bun  *bun.DB
	dsn  string
}

// Connect opens a pool on dsn (a postgres:// URL or key=value pairs) and
// checks that the server answers. A server that does not is
// fault.CodeSubsystemDegraded.
func Connect(ctx context.Context, dsn string, o Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	o.apply(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database pool: %w", Map(err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", Map(err))
	}
	return &DB{pool: pool, bun: bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New()), dsn: dsn}, nil
}

func (o Options) apply(c *pgxpool.Config) {
	c.MaxConns = DefaultMaxConns
	if o.MaxConns > 0 {
		c.MaxConns = o.MaxConns
	}
	c.MaxConnLifetime = time.Hour
	c.MaxConnLifetimeJitter = 10 * time.Minute
	c.ConnConfig.ConnectTimeout = 5 * time.Second
	// bun writes its arguments into the text, so that to a statement cache each
	// of its statements would be a new one. The default of the pool, which is
	// what bun's statements get, is therefore the unnamed statement; Q asks for
	// the cache by name (see bound). One row by primary key, BenchmarkPaths on
	// two cores: Q 30-38 us, bun with exec 55-57, with the simple protocol
	// 47-51, with describe 84-89, with the statement cache 124-128. Exec it is:
	// unlike the simple protocol it refuses a second statement in a text.
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.ConnConfig.StatementCacheCapacity = 512
	c.AfterConnect = timesInUTC
	c.ShouldPing = doubtful
	if o.Replan > 0 {
		c.PrepareConn = o.replan
	}

	timeout := o.StatementTimeout
	switch {
	case timeout == 0:
		timeout = DefaultStatementTimeout
	case timeout < 0:
		timeout = 0
	default:
		timeout = max(timeout, time.Millisecond) // 0 would mean none
	}
	name := o.ApplicationName
	if name == "" {
		name = "feddi"
	}
	p := c.ConnConfig.RuntimeParams
	p["application_name"] = name
	for _, s := range o.Settings {
		p[s[0]] = s[1]
	}
	p["timezone"] = "UTC"
	p["statement_timeout"] = strconv.FormatInt(timeout.Milliseconds(), 10)
	p["idle_in_transaction_session_timeout"] = strconv.FormatInt(idleInTransaction.Milliseconds(), 10)
}

// replan has the plans of a connection made anew that are older than o.Replan.
func (o Options) replan(ctx context.Context, c *pgx.Conn) (bool, error) {
	const planned = "feddi.planned"
	known := c.PgConn().CustomData()
	since, ok := known[planned].(time.Time)
	if ok && time.Since(since) < o.Replan {
		return true, nil
	}
	known[planned] = time.Now()
	if !ok { // a new connection has none
		return true, nil
	}
	if _, err := c.Exec(ctx, "DISCARD PLANS"); err != nil {
		return false, nil //nolint:nilerr // the connection is given up, and another one tried
	}
	return true, nil
}

// timesInUTC makes a timestamptz come back in UTC whatever the zone of the
// process, so that a value read equals the value written.
func timesInUTC(_ context.Context, c *pgx.Conn) error {
	utc := &pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}}
	m := c.TypeMap()
	m.RegisterType(utc)
	m.RegisterType(&pgtype.Type{Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID, Codec: &pgtype.ArrayCodec{ElementType: utc}})
	return nil
}

// Close waits for connections in use and closes all.
func (db *DB) Close() {
	_ = db.bun.Close() // it owns no connections: the pool does
	db.pool.Close()
}

// DSN is what Connect was given. It may hold a password.
func (db *DB) DSN() string { return db.dsn }

// Pool is the pool itself, for what needs a connection of its own: COPY,
// LISTEN, advisory locks. Its default mode is unprepared; repositories use Q.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Bun is bun over the pool; for schema, administration and reads.
func (db *DB) Bun() *bun.DB { return db.bun }

// SQL is database/sql over the same pool.
func (db *DB) SQL() *sql.DB { return db.bun.DB }

// Q runs statements outside a transaction, each on any connection.
func (db *DB) Q() Q { return Q{bun: db.bun, x: db.pool} }

// Ping asks the server for a sign of life.
func (db *DB) Ping(ctx context.Context) error { return Map(db.pool.Ping(ctx)) }

// ExecBinary runs a statement whose parameters are encoded already, all in their
// binary form, nil for null. It is prepared under name, once per connection, and
// stays so when it fails: what Q prepares is prepared and planned again after each
// failure. Errors as in Q.Exec.
func (db *DB) ExecBinary(ctx context.Context, name, sql string, params [][]byte) error {
	c, err := db.pool.Acquire(ctx)
	if err != nil {
		return Map(err)
	}
	defer c.Release()
	statement, err := c.Conn().Prepare(ctx, name, sql)
	if err != nil {
		return Map(err)
	}
	wire := c.Conn().PgConn()
	wire.Frontend().Send(roomFor(params))
	_, err = wire.ExecPrepared(ctx, statement.Name, params, inBinary, nil).Close()
	return Map(err)
}

// inBinary says that all parameters are in binary.
var inBinary = []int16{pgtype.BinaryFormatCode}
