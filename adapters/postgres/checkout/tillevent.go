package checkout

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/tenancy"
)

const addTillEvent = `
insert into session_events (tenant_no, session_id, event_id, type, offer_id, trace_id, tender_type, prompt, data, occurred_at, recorded_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11
where (select count(*) from (select from session_events where tenant_no = $1 and session_id = $2 limit $12) there) < $12`

// AddTillEvent implements checkout.TillEvents.
func (s *Store) AddTillEvent(ctx context.Context, t tenancy.Tenant, e checkout.TillEvent, most int) (bool, error) {
	data := e.Data
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	n, err := s.q.Exec(ctx, addTillEvent, t.No, e.SessionID, e.ID, string(e.Type), e.OfferID, e.TraceID, e.TenderType, e.Prompt, data,
		e.OccurredAt, e.RecordedAt, most)
	return n == 1, err
}

type tillEventRow struct {
	EventID, Type, OfferID, TraceID, TenderType, Prompt string
	Data                                                json.RawMessage
	OccurredAt, RecordedAt                              time.Time
}

// TillEvents implements checkout.TillEvents.
func (s *Store) TillEvents(ctx context.Context, t tenancy.Tenant, sessionID string) ([]checkout.TillEvent, error) {
	rows, err := pg.Many[tillEventRow](ctx, s.q, `select event_id, type, offer_id, trace_id, tender_type, prompt, data, occurred_at, recorded_at
		from session_events where tenant_no = $1 and session_id = $2 order by event_id`, t.No, sessionID)
	if err != nil {
		return nil, err
	}
	out := make([]checkout.TillEvent, len(rows))
	for i, r := range rows {
		out[i] = checkout.TillEvent{
			ID: r.EventID, SessionID: sessionID, Type: checkout.TillEventType(r.Type), OfferID: r.OfferID, TraceID: r.TraceID,
			TenderType: r.TenderType, Prompt: r.Prompt, Data: r.Data, OccurredAt: r.OccurredAt, RecordedAt: r.RecordedAt,
		}
	}
	return out, nil
}
