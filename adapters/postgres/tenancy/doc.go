// Package tenancy keeps partners, merchants, places, keys and server secrets
// in Postgres, and keeps servers from asking for them on every call: Directory
// caches, Watcher tells it and every other cache what to forget, within a
// second of the commit.
package tenancy

import (
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements tenancy.Store and tenancy.Credentials.
type Store struct{ q pg.Q }

var (
	_ tenancy.Store       = (*Store)(nil)
	_ tenancy.Credentials = (*Store)(nil)
)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

func live(m tenancy.Mode) bool { return m == tenancy.Production }

func modeOf(live bool) tenancy.Mode {
	if live {
		return tenancy.Production
	}
	return tenancy.Sandbox
}
