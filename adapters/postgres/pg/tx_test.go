package pg_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/fault"
)

func withCounters(t *testing.T) *pg.DB {
	t.Helper()
	db := pgtest.New(t)
	for _, sql := range []string{"CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)", "INSERT INTO counter VALUES (1, 0), (2, 0)"} {
		if _, err := db.Q().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func total(t *testing.T, db *pg.DB) int64 {
	t.Helper()
	n, err := pg.One[int64](t.Context(), db.Q(), "SELECT sum(n) FROM counter")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const bump = "UPDATE counter SET n = n + 1 WHERE id = $1"

func TestAnErrorOrPanicUndoesEverything(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	refused := fault.New(fault.CodeStateConflict, "no")
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		if _, err := q.Exec(ctx, bump, 1); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("err = %v, want fn's own", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
			if _, err := q.Exec(ctx, bump, 1); err != nil {
				t.Error(err)
			}
			panic("defect")
		})
	}()
	if n := total(t, db); n != 0 {
		t.Errorf("total = %d, want 0", n)
	}
	if used := db.Pool().Stat().AcquiredConns(); used != 0 {
		t.Errorf("%d connections were not given back", used)
	}
}

func TestAnEndedContextUndoesEverything(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
		_, err := q.Exec(ctx, bump, 1)
		cancel()
		return err
	})
	if !fault.Is(err, fault.CodeDeadlineExceeded) {
		t.Errorf("err = %v, want DEADLINE_EXCEEDED", err)
	}
	if n := total(t, db); n != 0 {
		t.Errorf("total = %d, want 0", n)
	}
}

// deadlock makes two transactions take both rows in opposite order, on their
// first attempt for certain.
func TestADeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	var met sync.WaitGroup
	met.Add(2)
	var runs atomic.Int32
	work := func(first, second int) error {
		attempt := 0
		return pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
			attempt++
			runs.Add(1)
			if _, err := q.Exec(ctx, "SET LOCAL deadlock_timeout = '10ms'"); err != nil {
				return err
			}
			if _, err := q.Exec(ctx, bump, first); err != nil {
				return err
			}
			if attempt == 1 {
				met.Done()
				met.Wait()
			}
			_, err := q.Exec(ctx, bump, second)
			return err
		})
	}
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = work(1, 2) })
	wg.Go(func() { errs[1] = work(2, 1) })
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	if n := total(t, db); n != 4 {
		t.Errorf("total = %d, want 4", n)
	}
	if runs.Load() < 3 {
		t.Errorf("%d runs, want a third one", runs.Load())
	}
}

// What was done is undone before it is done again.
func TestATransactionThatHasToBeginAgain(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	again := func(times int) (runs int, err error) {
		err = pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
			if _, err := q.Exec(ctx, bump, 1); err != nil {
				return err
			}
			if runs++; runs <= times {
				return fmt.Errorf("%w: it changed", pg.ErrAgain)
			}
			return nil
		})
		return runs, err
	}
	if runs, err := again(2); runs != 3 || err != nil {
		t.Errorf("%d runs, %v", runs, err)
	}
	if runs, err := again(3); runs != 3 || !fault.Is(err, fault.CodeSubsystemDegraded) {
		t.Errorf("%d runs, %v, want SUBSYSTEM_DEGRADED", runs, err)
	}
	if n := total(t, db); n != 1 {
		t.Errorf("total = %d, want 1", n)
	}
}

func TestASerializationFailureIsRunAgainThreeTimesAtMost(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	lose := func(losses int) (runs int, err error) {
		err = pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
			runs++
			if _, err := q.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
				return err
			}
			if _, err := pg.One[int](ctx, q, "SELECT n FROM counter WHERE id = 1"); err != nil {
				return err
			}
			if runs <= losses { // somebody else is faster
				if _, err := db.Q().Exec(ctx, bump, 1); err != nil {
					return err
				}
			}
			_, err := q.Exec(ctx, bump, 1)
			return err
		})
		return runs, err
	}
	if runs, err := lose(2); runs != 3 || err != nil {
		t.Errorf("two losses: %d runs, %v; want 3 and success", runs, err)
	}
	runs, err := lose(99)
	if runs != 3 || !fault.Is(err, fault.CodeSubsystemDegraded) || !pg.Retryable(err) {
		t.Errorf("losses only: %d runs, %v; want 3 and SUBSYSTEM_DEGRADED", runs, err)
	}
	if n := total(t, db); n != 2+1+3 {
		t.Errorf("total = %d, want the five of the others and one of ours", n)
	}
}

func TestAFailedStatementCannotCommit(t *testing.T) {
	t.Parallel()
	db := withCounters(t)
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		if _, err := q.Exec(ctx, bump, 1); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, "INSERT INTO counter VALUES ($1, 0)", 1); err == nil {
			t.Error("a second row with the same key")
		}
		return nil // swallows the failure
	})
	if err == nil {
		t.Error("the commit of a failed transaction went unnoticed")
	}
	if n := total(t, db); n != 0 {
		t.Errorf("total = %d, want 0", n)
	}
}
