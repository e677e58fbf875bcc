package events

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
)

// Consumers implements event.Consumers. Leases are judged by the database's
// clock, so that servers with clocks apart agree.
type Consumers struct{ q pg.Q }

// NewConsumers returns the consumers on q.
func NewConsumers(q pg.Q) *Consumers { return &Consumers{q} }

const addConsumer = `insert into event_consumers (consumer) values ($1) on conflict do nothing`

const leaseConsumer = `
update event_consumers set holder = $2, leased_until = now() + make_interval(secs => $3)
where consumer = $1 and (holder = $2 or leased_until < now())
returning xid, position`

// Lease implements event.Consumers.
func (s *Consumers) Lease(ctx context.Context, consumer, holder string, ttl time.Duration) (event.Cursor, bool, error) {
	c, held, err := s.lease(ctx, consumer, holder, ttl)
	if err != nil || held {
		return c, held, err
	}
	// Not held: another holder has it, or nobody has ever asked for it.
	if added, err := s.q.Exec(ctx, addConsumer, consumer); err != nil || added == 0 {
		return event.Cursor{}, false, err
	}
	return s.lease(ctx, consumer, holder, ttl)
}

func (s *Consumers) lease(ctx context.Context, consumer, holder string, ttl time.Duration) (c event.Cursor, held bool, err error) {
	err = s.q.QueryRow(ctx, leaseConsumer, consumer, holder, ttl.Seconds()).Scan(&c.XID, &c.Position)
	if errors.Is(err, pg.ErrNoRows) {
		return event.Cursor{}, false, nil
	}
	return c, err == nil, err
}

// advance does not wait for the disk: a place that a crash of the database
// undoes is one whose events come again. (set_config for the transaction, in
// the statement that is all of it, holds for its commit.)
const advance = `
update event_consumers set xid = $3::xid8, position = $4
where consumer = $1 and holder = $2 and set_config('synchronous_commit', 'off', true) = 'off'`

// Advance implements event.Consumers.
func (s *Consumers) Advance(ctx context.Context, consumer, holder string, c event.Cursor) error {
	_, err := s.q.Exec(ctx, advance, consumer, holder, c.XID, c.Position)
	return err
}

// Release implements event.Consumers.
func (s *Consumers) Release(ctx context.Context, consumer, holder string) error {
	_, err := s.q.Exec(ctx, `update event_consumers set leased_until = '-infinity' where consumer = $1 and holder = $2`, consumer, holder)
	return err
}

// Park implements event.Consumers.
func (s *Consumers) Park(ctx context.Context, consumer string, e event.Logged, cause string) error {
	_, err := s.q.Exec(ctx, `insert into event_parked (consumer, xid, position, event_id, tenant_no, cause)
		values ($1, $2::xid8, $3, $4, $5, $6) on conflict do nothing`,
		consumer, e.Cursor.XID, e.Cursor.Position, e.ID, e.Tenant.No, cause)
	return err
}
