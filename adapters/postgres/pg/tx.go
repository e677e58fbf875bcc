package pg

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/feddi/feddi/core/clock"
)

const (
	txAttempts = 3
	txBackoff  = 10 * time.Millisecond // mean wait before the second attempt; doubles
	// endTimeout bounds COMMIT and ROLLBACK, which run to their end even where
	// the caller has gone: an outcome must not hang on its patience.
	endTimeout = 5 * time.Second
)

// Tx runs fn in one read-committed transaction. An error from fn, or a panic,
// undoes everything. A serialization failure, a deadlock or an ErrAgain is tried again,
// at most three times in all, after a random wait; fn may therefore run more than
// once. Errors come back through Map. fn must not keep q, and must not use db
// beside it: a second connection per transaction is how a pool runs dry.
func Tx(ctx context.Context, db *DB, fn func(ctx context.Context, q Q) error) error {
	for attempt := 1; ; attempt++ {
		err := once(ctx, db, fn)
		if err == nil || attempt == txAttempts || !Retryable(err) {
			return Map(err)
		}
		if wait(ctx, txBackoff<<(attempt-1)) != nil {
			return Map(err)
		}
	}
}

// once borrows one connection for both faces of Q: bun through database/sql,
// and pgx itself below it for bound arguments.
func once(ctx context.Context, db *DB, fn func(ctx context.Context, q Q) error) (err error) {
	c, err := db.bun.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // back to the pool; a broken one is dropped there
	var native *pgx.Conn
	err = c.Raw(func(driver any) error {
		sc, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("database/sql runs on %T, not on pgx", driver)
		}
		native = sc.Conn()
		return nil
	})
	if err != nil {
		return err
	}
	// database/sql would roll back on its own goroutine when ctx ends, while fn
	// still uses the connection. So ctx ends BEGIN and each statement, and the
	// transaction has a context of its own.
	txCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	begun := context.AfterFunc(ctx, cancel)
	tx, err := c.BeginTx(txCtx, nil)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			defer time.AfterFunc(endTimeout, cancel).Stop()
			_ = tx.Rollback() // fails only where the connection, and with it the transaction, is gone
		}
	}()
	if !begun() {
		return ctx.Err()
	}
	if err := fn(ctx, Q{bun: tx, x: native}); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done = true
	defer time.AfterFunc(endTimeout, cancel).Stop()
	return tx.Commit()
}

// wait sleeps for a random time around d (0 to 2d), or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	if !clock.Wait(ctx, time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(2*d))) {
		return ctx.Err()
	}
	return nil
}

// Retryable reports whether err is a serialization failure, a deadlock or an
// ErrAgain: the same work may succeed when it is run again from its start.
func Retryable(err error) bool {
	s := sqlState(err)
	return s == serializationFailure || s == deadlockDetected || errors.Is(err, ErrAgain)
}
