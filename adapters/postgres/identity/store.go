// Package identity keeps the identity graph in Postgres: customers, the links
// that lead to them, enrolments, payment codes and claims.
package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// Store implements identity.Store.
type Store struct{ q pg.Q }

var _ identity.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// Sweep implements identity.Store. A row that somebody works on is left for
// the next round.
func (s *Store) Sweep(ctx context.Context, codesBefore, enrollmentsBefore time.Time, limit int) (int, error) {
	codes, err := s.q.Exec(ctx, `DELETE FROM payment_codes WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM payment_codes WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, codesBefore, limit)
	if err != nil {
		return 0, err
	}
	enrollments, err := s.q.Exec(ctx, `DELETE FROM enrollments WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM enrollments WHERE created_at < $1 AND expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, enrollmentsBefore, limit)
	return int(codes + enrollments), err
}

// text is a nullable column's value.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// null is the value of a nullable text column: nil where s is empty.
func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// notFound turns a missing row into NOT_FOUND of resource.
func notFound(err error, resource string) error {
	if pg.NoRows(err) {
		return fault.NotFound(resource)
	}
	return err
}
