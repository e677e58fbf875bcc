// Package events keeps the event log: appending in the business transaction,
// reading in commit-safe order, and how far each consumer has come.
package events

import (
	"context"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
)

// Log implements event.Log on one transaction.
type Log struct {
	q        pg.Q
	appended *bool
}

// NewLog returns the log on q. appended, where not nil, is set to true by
// every append, so that the unit of work knows to wake the readers after its
// commit.
func NewLog(q pg.Q, appended *bool) *Log { return &Log{q, appended} }

const insertEvents = `
insert into events (event_id, tenant_no, type, subject, trace_id, data, at)
select event_id, tenant_no, type, subject, nullif(trace_id, ''), data::json, at
from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
  with ordinality as e (event_id, tenant_no, type, subject, trace_id, data, at, n)
order by n`

// Append implements event.Log.
func (l *Log) Append(ctx context.Context, events ...event.Event) error {
	if len(events) == 0 {
		return nil
	}
	c := newColumns(len(events))
	for _, e := range events {
		c.add(e)
	}
	if _, err := l.q.Exec(ctx, insertEvents, c.ids, c.tenants, c.types, c.subjects, c.traces, c.data, c.times); err != nil {
		return err
	}
	if l.appended != nil {
		*l.appended = true
	}
	return nil
}
