package events

import (
	"context"
	"fmt"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// Tail is the consumers' way to the log: connections of their own, so that
// nothing else keeps them waiting, and statements planned once for each. They
// are run hundreds of times a second for some events each; planning one to its
// parameters takes several times as long as running it.
type Tail struct{ db *pg.DB }

// settings of these connections. A plan that is kept must do whatever the size
// of the log was when it was made: what is left to choose from is to walk the
// primary keys.
var settings = [][2]string{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_bitmapscan", "off"},
	{"enable_sort", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"jit", "off"},
}

// Open opens the tail of the log of db: one connection to read, one for places
// and leases, one for what is read beside them. Close it.
func Open(ctx context.Context, db *pg.DB) (*Tail, error) {
	own, err := pg.Connect(ctx, db.DSN(), pg.Options{MaxConns: 3, ApplicationName: "feddi events", Settings: settings, Replan: pg.ReplanEvery})
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	return &Tail{own}, nil
}

// Close ends its connections.
func (t *Tail) Close() { t.db.Close() }

// Q is for what is read each time that the log is: by a plan that is kept, and
// that walks an index.
func (t *Tail) Q() pg.Q { return t.db.Q() }

// Reader reads the log on the tail's connections.
func (t *Tail) Reader() *Reader { return NewReader(t.db.Q()) }

// Consumers keeps their places on the tail's connections.
func (t *Tail) Consumers() *Consumers { return NewConsumers(t.db.Q()) }
