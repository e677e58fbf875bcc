package pg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/fault"
)

func TestMapLeavesAloneWhatTheDomainDecides(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		nil, pg.ErrNoRows, errors.New("x"), fault.New(fault.CodeNotFound, "x"), &pgconn.PgError{Code: "23505"}, &pgconn.PgError{Code: "42601"},
	} {
		if got := pg.Map(err); got != err { //nolint:errorlint // the very same value is the point
			t.Errorf("Map(%v) = %v", err, got)
		}
	}
}

func TestMapKnowsAbsence(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"08006", "53100", "53300", "57P01", "57P02", "57P03", "58030", "25006", "25P03", "40001", "40P01"} {
		err := pg.Map(fmt.Errorf("statement: %w", &pgconn.PgError{Code: state}))
		f := fault.As(err)
		if f.Code != fault.CodeSubsystemDegraded || f.RetryAfter == 0 {
			t.Errorf("%s = %v", state, err)
		}
		if again := pg.Map(err); again != err { //nolint:errorlint // the very same value is the point
			t.Errorf("%s: mapped twice: %v", state, again)
		}
	}
	if err := pg.Map(&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}); !fault.Is(err, fault.CodeSubsystemDegraded) {
		t.Errorf("reset connection = %v", err)
	}
}

func TestConstraintsAreToldApartByName(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	q := db.Q()
	for _, sql := range []string{
		"CREATE TABLE parent (id int CONSTRAINT parent_id PRIMARY KEY, n int CONSTRAINT parent_n CHECK (n >= 0))",
		"CREATE TABLE child (parent int CONSTRAINT child_parent REFERENCES parent)",
		"INSERT INTO parent VALUES (1, 1)",
	} {
		if _, err := q.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	_, err := q.Exec(t.Context(), "INSERT INTO parent VALUES ($1, 1)", 1)
	if name, ok := pg.Unique(err); !ok || name != "parent_id" {
		t.Errorf("Unique(%v) = %q, %v", err, name, ok)
	}
	if _, ok := pg.Check(err); ok {
		t.Error("a unique violation is no check violation")
	}
	_, err = q.Exec(t.Context(), "INSERT INTO parent VALUES ($1, -1)", 2)
	if name, ok := pg.Check(err); !ok || name != "parent_n" {
		t.Errorf("Check(%v) = %q, %v", err, name, ok)
	}
	_, err = q.Exec(t.Context(), "INSERT INTO child VALUES ($1)", 9)
	if name, ok := pg.ForeignKey(err); !ok || name != "child_parent" {
		t.Errorf("ForeignKey(%v) = %q, %v", err, name, ok)
	}
	_, err = q.Bun().ExecContext(t.Context(), "INSERT INTO parent VALUES (?, 1)", 1)
	if name, ok := pg.Unique(pg.Map(err)); !ok || name != "parent_id" {
		t.Errorf("through bun: Unique(%v) = %q, %v", err, name, ok)
	}
}

func TestALockTimeoutIsItsOwnError(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		if _, err := q.Exec(ctx, bump, 1); err != nil {
			return err
		}
		second := pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
			if _, err := q.Exec(ctx, "SET LOCAL lock_timeout = '20ms'"); err != nil {
				return err
			}
			_, err := q.Exec(ctx, bump, 1)
			return err
		})
		if !errors.Is(second, pg.ErrLockTimeout) {
			t.Errorf("err = %v, want ErrLockTimeout", second)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTimeThatRunsOutIsDeadlineExceeded(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	db, err := pg.Connect(t.Context(), dsn, pg.Options{StatementTimeout: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const forever = "SELECT pg_sleep(60)"
	if _, err := db.Q().Exec(t.Context(), forever); !fault.Is(err, fault.CodeDeadlineExceeded) {
		t.Errorf("statement timeout = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := db.Q().Exec(ctx, forever); !fault.Is(err, fault.CodeDeadlineExceeded) {
		t.Errorf("deadline of ctx on the pool = %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err = pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
		_, err := q.Bun().ExecContext(ctx, forever)
		return err
	})
	if !fault.Is(err, fault.CodeDeadlineExceeded) {
		t.Errorf("deadline of ctx in bun in a transaction = %v", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("the pool does not recover: %v", err)
	}
}

func TestALostConnectionIsDegradedAndThePoolRecovers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const kill = "SELECT pg_terminate_backend(pg_backend_pid())"
	if _, err := db.Q().Exec(t.Context(), kill); !fault.Is(err, fault.CodeSubsystemDegraded) {
		t.Errorf("on the pool = %v", err)
	}
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		_, _ = q.Exec(ctx, kill) // what matters is the statement after it
		_, err := q.Exec(ctx, "SELECT 1")
		return err
	})
	if !fault.Is(err, fault.CodeSubsystemDegraded) {
		t.Errorf("in a transaction = %v", err)
	}
	err = pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		_, _ = q.Exec(ctx, kill) // what matters is the commit
		return nil
	})
	if !fault.Is(err, fault.CodeSubsystemDegraded) {
		t.Errorf("at the commit = %v", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("the pool does not recover: %v", err)
	}
}

func TestAMissingServerIsDegraded(t *testing.T) {
	t.Parallel()
	_, err := pg.Connect(t.Context(), "postgres://nobody@/none?host=/nonexistent", pg.Options{})
	if !fault.Is(err, fault.CodeSubsystemDegraded) {
		t.Errorf("err = %v", err)
	}
}
