// Package ledger keeps the ledger in Postgres: wallets, lots, entries,
// postings, payments and top-ups (Store), and the check that every balance follows from
// its postings (Audit).
package ledger

import (
	"github.com/feddi/feddi/adapters/postgres/ledger/audit"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// Store implements ledger.Store.
type Store struct{ q pg.Q }

var _ ledger.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// ClassCode is how a money class is stored; zero for an unknown one, which the
// database refuses.
func ClassCode(c money.Class) int16 {
	switch c {
	case money.Actual:
		return 1
	case money.Promo:
		return 2
	case money.Points:
		return 3
	case money.Gift:
		return 4
	case money.Funding:
		return 5
	}
	return 0
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

// NewAudit returns the audit of db's books.
func NewAudit(db *pg.DB) audit.Audit { return audit.New(db) }
