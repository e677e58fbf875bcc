package pg

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/feddi/feddi/core/fault"
)

// retryAfter is what a caller is asked to wait while the database is away.
const retryAfter = time.Second

// SQLSTATEs that the adapters tell apart.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	foreignKeyViolation  = "23503"
	checkViolation       = "23514"
	lockNotAvailable     = "55P03"
	queryCanceled        = "57014"
	readOnlyTransaction  = "25006"
)

// ErrLockTimeout says that a row or table lock was not had within
// lock_timeout: another transaction is at work on the same thing.
var ErrLockTimeout = errors.New("another transaction holds the lock")

// ErrAgain says that what a transaction rests on changed while it waited for its
// locks: it has to begin again.
var ErrAgain = errors.New("the transaction has to begin again")

// Map turns a failure of the database that is nobody's defect into a fault:
//
//   - the server is gone, starting, shutting down, full or out of connections:
//     SUBSYSTEM_DEGRADED with RetryAfter;
//   - a serialization failure, a deadlock or an ErrAgain that outlived its retries: the same;
//   - statement timeout, deadline or cancellation of ctx: DEADLINE_EXCEEDED;
//   - lock_timeout: ErrLockTimeout.
//
// The database's error stays in the chain. Everything else, ErrNoRows,
// constraint violations and faults of the domain among them, comes back as it
// is. Map of a mapped error changes nothing.
func Map(err error) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) || errors.Is(err, ErrLockTimeout) || errors.Is(err, ErrNoRows) {
		return err
	}
	switch s := sqlState(err); {
	case s == "" && isConnect(err): // also where a limit of its own ended it
		return away(err)
	case s == queryCanceled, isContext(err):
		// Whether it finished after we stopped waiting is not known: the key tells.
		return fault.New(fault.CodeDeadlineExceeded, "the database did not answer in time; retry with the same key, which gives the outcome where there is one").Because(err)
	case s == lockNotAvailable:
		return fmt.Errorf("%w: %w", ErrLockTimeout, err)
	case Retryable(err):
		return fault.New(fault.CodeSubsystemDegraded, "too many calls work on the same record; nothing was changed; retry with the same key").After(retryAfter).Because(err)
	case unavailable(s), s == "" && isConnection(err):
		return away(err)
	}
	return err
}

func away(cause error) error {
	return fault.New(fault.CodeSubsystemDegraded, "the database is not available; retry with the same key").After(retryAfter).Because(cause)
}

// unavailable reports whether a SQLSTATE says that the server cannot serve
// anybody just now: connection exceptions (08), insufficient resources (53),
// operator intervention (57P), system errors (58), a standby.
func unavailable(state string) bool {
	return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "53") ||
		strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "58") || state == readOnlyTransaction ||
		state == "25P03" // idle_in_transaction_session_timeout ended the session
}

func isContext(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// isConnect reports whether no connection could be made.
func isConnect(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect)
}

// isConnection reports whether a connection was lost.
func isConnection(err error) bool {
	var network net.Error
	return errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, pgconn.ErrConnClosed) || pgconn.SafeToRetry(err)
}

// sqlState is the SQLSTATE in err's chain, or "".
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Unique returns the name of the unique constraint or index that err violated.
func Unique(err error) (constraint string, ok bool) { return violated(err, uniqueViolation) }

// ForeignKey returns the name of the foreign key that err violated.
func ForeignKey(err error) (constraint string, ok bool) { return violated(err, foreignKeyViolation) }

// Check returns the name of the check constraint that err violated.
func Check(err error) (constraint string, ok bool) { return violated(err, checkViolation) }

func violated(err error, state string) (string, bool) {
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != state {
		return "", false
	}
	return e.ConstraintName, true
}

// NoRows reports whether err says that no row was found, on either face of Q.
func NoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) || errors.Is(err, sql.ErrNoRows) }
