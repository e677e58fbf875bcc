// Package checkout keeps sessions, baskets, transactions and what is decided
// about them in Postgres.
package checkout

import (
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
)

// Store implements checkout.Store.
type Store struct{ q pg.Q }

var _ checkout.Store = (*Store)(nil)

// New returns the store on q. Lock and ClaimExpired want a transaction.
func New(q pg.Q) *Store { return &Store{q} }

// null is s for a column that is null where there is nothing.
func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
