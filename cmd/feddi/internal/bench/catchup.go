package bench

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// patience bounds how long a row waits for the consumers of the event log.
const patience = 30 * time.Second

// behind counts the events that the slowest consumer has not handled.
func (d *Deployment) behind(ctx context.Context) (int64, error) {
	return pg.One[int64](ctx, d.DB.Q(), `SELECT coalesce(max(n), 0) FROM event_consumers c
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM events e WHERE (e.xid, e.position) > (c.xid, c.position)) b
		WHERE c.leased_until > now()`)
}

// catchUp tells how far the consumers are behind, waits until they are not,
// and tells how long that took: 0 where patience ended first.
func (d *Deployment) catchUp(ctx context.Context) (atEnd int64, took time.Duration, err error) {
	begin := time.Now()
	if atEnd, err = d.behind(ctx); err != nil || atEnd == 0 {
		return atEnd, 0, err
	}
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for left := atEnd; time.Since(begin) < patience; {
		d.tell("events are handled", 1-float64(left)/float64(max(atEnd, left)))
		select {
		case <-ctx.Done():
			return atEnd, 0, ctx.Err()
		case <-t.C:
		}
		if left, err = d.behind(ctx); err != nil || left == 0 {
			return atEnd, time.Since(begin), err
		}
	}
	return atEnd, 0, nil
}
