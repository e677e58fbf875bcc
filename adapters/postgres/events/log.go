// Package events keeps the event log: appending in the business transaction,
// reading in commit-safe order, and how far each consumer has come.
package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
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
select event_id, tenant_no, type, subject, nullif(trace_id, ''), data, at
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
		if !json.Valid(e.Data) || !utf8.Valid(e.Data) || !bytes.HasPrefix(bytes.TrimLeft(e.Data, " \t\r\n"), []byte("{")) {
			return fmt.Errorf("the data of event %s (%s) is no JSON object: %.100q", e.ID, e.Type, e.Data)
		}
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

// about names the whole condition of its partial index.
const about = `
select event_id, type, subject, coalesce(trace_id, '') as trace_id, data, at from events
where tenant_no = $1 and subject = any($2::text[])
  and (starts_with(subject, 'cs_') or type in
    ('payment.authorized', 'payment.voided', 'payment.refunded', 'topup.prepared', 'topup.completed', 'topup.reversed', 'topup.settled'))
order by xid, position limit $3`

type eventRow struct {
	EventID, Type, Subject, TraceID string
	Data                            json.RawMessage
	At                              time.Time
}

// About implements event.Log.
func (l *Log) About(ctx context.Context, t tenancy.Tenant, subjects []string, limit int) ([]event.Event, error) {
	rows, err := pg.Many[eventRow](ctx, l.q, about, t.No, subjects, limit)
	if err != nil {
		return nil, err
	}
	out := make([]event.Event, len(rows))
	for i, r := range rows {
		out[i] = event.Event{ID: r.EventID, Tenant: t, Type: r.Type, Subject: r.Subject, At: r.At, Data: r.Data, TraceID: r.TraceID}
	}
	return out, nil
}
