// Package idempotency keeps idempotency records in Postgres. A record is
// written by the transaction that does the work, so it is there exactly when
// the work is. The table is described in migration 0001; the payment path
// writes whole records into it with its own set-based statement.
package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
)

// claimWait is how long a claim waits for a concurrent one of the same scope.
const claimWait = 2 * time.Second

// Store implements idempotency.Store.
type Store struct{ q pg.Q }

var _ idempotency.Store = (*Store)(nil)

// New returns the store on q. Claim and Settle want a transaction.
func New(q pg.Q) *Store { return &Store{q} }

// row is a record as the table has it.
type row struct {
	PayloadHash []byte
	Status      int16
	Body        []byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

const find = `
SELECT payload_hash, status, body, created_at, expires_at FROM idempotency
WHERE partner_id = $1 AND mode = $2 AND operation = $3 AND key = $4
  AND expires_at > $5 AND status IS NOT NULL`

// Find implements idempotency.Store.
func (s *Store) Find(ctx context.Context, scope idempotency.Scope, now time.Time) (*idempotency.Record, error) {
	found, err := pg.Maybe[row](ctx, s.q, find, scope.PartnerID, pg.Mode(scope.Mode), scope.Operation, scope.Key, now)
	if err != nil || found == nil {
		return nil, err
	}
	r := &idempotency.Record{
		Scope:     scope,
		Outcome:   idempotency.Outcome{Status: int(found.Status), Body: found.Body},
		CreatedAt: found.CreatedAt,
		ExpiresAt: found.ExpiresAt,
	}
	copy(r.PayloadHash[:], found.PayloadHash)
	return r, nil
}

// claim inserts, waiting at the primary key for a concurrent insert to end. A
// live record leaves no row; one that has expired is taken over, and so is a
// claim that was committed without its outcome, which no use case does. The
// bound of the wait is set and lifted by the statement itself, which saves two
// round trips; where it stays set the transaction is about to be undone.
const claim = `
INSERT INTO idempotency (partner_id, mode, operation, key, payload_hash, created_at, expires_at)
SELECT $1, $2, $3, $4, $5, $6, $7
WHERE set_config('lock_timeout', $8, true) IS NOT NULL
ON CONFLICT (partner_id, mode, operation, key) DO UPDATE
SET payload_hash = excluded.payload_hash, created_at = excluded.created_at, expires_at = excluded.expires_at,
    status = NULL, body = NULL
WHERE idempotency.expires_at <= $6 OR idempotency.status IS NULL
RETURNING set_config('lock_timeout', NULL, true) IS NOT NULL`

// Claim implements idempotency.Store.
func (s *Store) Claim(ctx context.Context, r idempotency.Record, now time.Time) (*idempotency.Record, error) {
	wait := fmt.Sprintf("%dms", claimWait.Milliseconds())
	_, err := pg.One[bool](ctx, s.q, claim, r.PartnerID, pg.Mode(r.Mode), r.Operation, r.Key, r.PayloadHash[:], now, r.ExpiresAt, wait)
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, pg.ErrLockTimeout):
		return nil, inProgress(err)
	case !pg.NoRows(err):
		return nil, err
	}
	found, err := s.Find(ctx, r.Scope, now)
	if err == nil && found == nil { // swept between the two statements
		err = inProgress(nil)
	}
	return found, err
}

func inProgress(cause error) error {
	return fault.New(fault.CodeIdempotencyInProgress, "the first call with this Idempotency-Key is still running; repeat with the same key").
		After(time.Second).Because(cause)
}

const settle = `
UPDATE idempotency SET status = $5, body = $6
WHERE partner_id = $1 AND mode = $2 AND operation = $3 AND key = $4`

// Settle implements idempotency.Store.
func (s *Store) Settle(ctx context.Context, scope idempotency.Scope, o idempotency.Outcome) error {
	body := o.Body
	if body == nil {
		body = []byte{}
	}
	n, err := s.q.Exec(ctx, settle, scope.PartnerID, pg.Mode(scope.Mode), scope.Operation, scope.Key, o.Status, body)
	if err == nil && n != 1 {
		err = fmt.Errorf("settle idempotency key %s of %s: not claimed", scope.Key, scope.Operation)
	}
	return err
}

// A record that another transaction is about to take over is left to it.
const sweep = `
DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`

// Sweep implements idempotency.Store.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.q.Exec(ctx, sweep, now, limit)
	return int(n), err
}
