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
// connections of its own, so that nothing else can keep payments waiting, and
// plans its statements once per connection.
type Journal struct {
	db *pg.DB
	q  pg.Q
}

var _ payments.Journal = (*Journal)(nil)

// settings of the journal's connections. Its statements look rows up by
// key, a hundred at most, whatever the size of the tables. A plan that was made
// while a table was small must not be one that reads the table whole, for it is
// kept; and a plain index scan without a condition reads it whole as well.
// Bitmap scans exist with a condition only, so they are all that is left to
// choose from (2 to 3 us per payment more than index scans would take). The
// plan is generic, because planning costs more than running it.
var settings = [][2]string{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"enable_material", "off"},
	{"enable_memoize", "off"},
	{"enable_indexscan", "off"},
	{"enable_indexonlyscan", "off"},
	{"jit", "off"},
	// Whoever holds a wallet for longer must not hold up the batch: the statement
	// fails and is split until that payment stands alone.
	{"lock_timeout", "250ms"},
}

// DefaultConns are the connections of a journal: one for each stage of the
// pipeline, and two for the batches of slow actuators. More gain nothing.
const DefaultConns = 4

// Open opens a journal on the database of db, with conns connections (0
// means DefaultConns). Close it.
func Open(ctx context.Context, db *pg.DB, conns int32) (*Journal, error) {
	if conns == 0 {
		conns = DefaultConns
	}
	own, err := pg.Connect(ctx, db.DSN(), pg.Options{
		MaxConns: conns, ApplicationName: "feddi payments", Settings: settings,
	})
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return &Journal{db: own, q: own.Q()}, nil
}

// Close ends the journal's connections.
func (j *Journal) Close() { j.db.Close() }

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
	err := j.db.ExecBinary(ctx, s.name, s.sql, s.binary(c))
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
	_, err := j.q.Exec(ctx, dropLapsedKeys, partners, modes, operations, keys, batch[0].At)
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
