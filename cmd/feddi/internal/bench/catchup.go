package bench

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// patience bounds how long a row waits for the consumers of the event log.
const patience = 30 * time.Second

// look is how often that is asked; each time costs an index probe.
const look = 200 * time.Millisecond

// waiting counts the events that the slowest living consumer has not handled.
const waiting = `SELECT coalesce(max(n), 0) FROM event_consumers c
	CROSS JOIN LATERAL (SELECT count(*) AS n FROM events e WHERE (e.xid, e.position) > (c.xid, c.position)) b
	WHERE c.leased_until > now()`

// someWait tells whether there is any.
const someWait = `SELECT EXISTS (SELECT 1 FROM event_consumers c CROSS JOIN LATERAL (
	SELECT 1 FROM events e WHERE (e.xid, e.position) > (c.xid, c.position) LIMIT 1) b WHERE c.leased_until > now())`

// catchUp tells how far the consumers are behind, waits until they are not,
// and tells how long that took: 0 where patience ended first.
func (d *Deployment) catchUp(ctx context.Context) (atEnd int64, took time.Duration, err error) {
	begin := time.Now()
	if atEnd, err = pg.One[int64](ctx, d.DB.Q(), waiting); err != nil || atEnd == 0 {
		return atEnd, 0, err
	}
	t := time.NewTicker(look)
	defer t.Stop()
	for time.Since(begin) < patience {
		d.tell("the events behind it are handled", -1)
		select {
		case <-ctx.Done():
			return atEnd, 0, ctx.Err()
		case <-t.C:
		}
		if some, err := pg.One[bool](ctx, d.DB.Q(), someWait); err != nil || !some {
			return atEnd, time.Since(begin), err
		}
	}
	return atEnd, 0, nil
}

// ungathered tells whether the settlement of what was written has work left.
const ungathered = `SELECT EXISTS (SELECT 1 FROM entries e, settlement_gathering g WHERE e.xid >= g.xid AND (e.xid, e.entry_id) > (g.xid, g.entry_id))`

// gathers bounds how long a row waits for the settlement of what was prepared,
// which may be ten million postings.
const gathers = 15 * time.Minute

// gather waits until the background has done what follows from the preparation:
// it is not what is measured.
func (d *Deployment) gather(ctx context.Context) error {
	for begin := time.Now(); time.Since(begin) < gathers; {
		if some, err := pg.One[bool](ctx, d.DB.Q(), ungathered); err != nil || !some {
			return err
		}
		d.tell("what was prepared is gathered", -1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
	return nil
}
