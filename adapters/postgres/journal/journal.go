// Package journal is the payment pipeline's way to the books: a set-based read
// and a set-based commit, whatever the number of payments.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/payments"
)

// Journal implements payments.Journal with statements that are set-based and
// prepared, each one round trip for any number of payments. It has a few
// connections of its own for each of the two, so that nothing else can keep
// payments waiting, and plans its statements once per connection.
type Journal struct {
	reads, commits *pg.DB
}

var _ payments.Journal = (*Journal)(nil)

// settings of the journal's connections. Its statements look rows up by key or
// place, a hundred at most, whatever the size of the tables. A plan that was made
// while a table was small must not be one that reads the table whole, for it is
// kept. So nothing is left to choose from: a read finds each row by an index (by a
// bitmap it would take twice the time, and ask for the size of the table, a system
// call, each time), a commit by its place. The plan is generic, because planning
// costs more than running it.
var (
	settings = [][2]string{
		{"plan_cache_mode", "force_generic_plan"},
		{"enable_seqscan", "off"},
		{"enable_hashjoin", "off"},
		{"enable_mergejoin", "off"},
		{"enable_material", "off"},
		{"enable_memoize", "off"},
		{"jit", "off"},
		// Whoever holds a wallet for longer must not hold up the batch: the statement
		// fails and is split until that payment stands alone.
		{"lock_timeout", "250ms"},
	}
	readSettings   = slices.Concat(settings, [][2]string{{"enable_bitmapscan", "off"}})
	commitSettings = slices.Concat(settings, [][2]string{{"enable_indexscan", "off"}, {"enable_indexonlyscan", "off"}})
)

// DefaultConns are the connections of a journal for reading, and as many for
// committing: one for the stage of the pipeline, and one for the batches of slow
// actuators. More gain nothing.
const DefaultConns = 2

// Open opens a journal on the database of db, with conns connections of either
// kind (0 means DefaultConns). Close it.
func Open(ctx context.Context, db *pg.DB, conns int32) (*Journal, error) {
	o := pg.Options{MaxConns: cmp.Or(conns, DefaultConns), ApplicationName: "feddi payments", Settings: readSettings, Replan: pg.ReplanEvery}
	reads, err := pg.Connect(ctx, db.DSN(), o)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	o.Settings = commitSettings
	commits, err := pg.Connect(ctx, db.DSN(), o)
	if err != nil {
		reads.Close()
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return &Journal{reads: reads, commits: commits}, nil
}

// Close ends the journal's connections.
func (j *Journal) Close() {
	j.reads.Close()
	j.commits.Close()
}

// Commit implements payments.Journal.
func (j *Journal) Commit(ctx context.Context, batch []payments.Posting) error {
	c := batches.Get().(*columns)
	defer batches.Put(c)
	c.reset()
	for _, p := range lockOrder(batch) {
		if err := c.add(p); err != nil {
			return err
		}
	}
	s := c.commit()
	err := j.commits.ExecBinary(ctx, s.name, s.sql, s.binary(c))
	if constraint, ok := pg.Unique(err); ok && constraint == "idempotency_pkey" {
		// Somebody was faster with a key, or it was used a day ago and is not swept yet.
		if swept := j.dropLapsedKeys(ctx, batch); swept != nil {
			return swept
		}
		return fmt.Errorf("%w: %s", payments.ErrStale, err.Error())
	}
	if err != nil && (pg.Retryable(err) || errors.Is(err, pg.ErrLockTimeout)) {
		return fmt.Errorf("%w: %s", payments.ErrStale, err.Error()) // not wrapped: it is no failure yet
	}
	return err
}

// batches keep the memory of the columns of earlier batches.
var batches = sync.Pool{New: func() any { return new(columns) }}

const dropLapsedKeys = `DELETE FROM idempotency d USING unnest($1::text[], $2::int2[], $3::text[], $4::uuid[]) x(partner_id, mode, operation, key)
	WHERE d.partner_id = x.partner_id AND d.mode = x.mode AND d.operation = x.operation AND d.key = x.key AND d.expires_at <= $5`

func (j *Journal) dropLapsedKeys(ctx context.Context, batch []payments.Posting) error {
	var partners, operations []string
	var modes []int16
	var keys []*[16]byte
	for i := range batch {
		if batch[i].Pin != nil {
			partner, mode, operation, key := scopeColumns(batch[i].Pin.Scope)
			partners, modes, operations, keys = append(partners, partner), append(modes, mode), append(operations, operation), append(keys, key)
		}
	}
	_, err := j.commits.Q().Exec(ctx, dropLapsedKeys, partners, modes, operations, keys, batch[0].At)
	return err
}

// lockOrder is the batch in the order in which everybody locks wallets, so that
// two who hold several never wait in a circle.
func lockOrder(batch []payments.Posting) []*payments.Posting {
	order := make([]*payments.Posting, len(batch))
	for i := range batch {
		order[i] = &batch[i]
	}
	slices.SortFunc(order, func(a, b *payments.Posting) int {
		v, w := &a.Change.Wallet, &b.Change.Wallet
		return cmp.Or(cmp.Compare(v.Tenant.No, w.Tenant.No), strings.Compare(v.CustomerID, w.CustomerID))
	})
	return order
}

// null is the value of a nullable text column: nil where s is empty.
func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
