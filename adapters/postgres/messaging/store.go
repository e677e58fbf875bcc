// Package messaging keeps the queue of messages to customers in Postgres.
package messaging

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/messaging"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements messaging.Store.
type Store struct{ q pg.Q }

var _ messaging.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// AddMessage implements messaging.Store.
func (s *Store) AddMessage(ctx context.Context, m messaging.Message) error {
	_, err := s.q.Exec(ctx, `INSERT INTO messages (message_id, tenant_no, customer_id, transaction_id, channel, state, due_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, m.ID, m.Tenant.No, m.CustomerID, m.TransactionID, m.Channel, string(m.State), m.DueAt, m.CreatedAt)
	return err
}

// row is a message as the table has it, with its tenant.
type row struct {
	MessageID     string
	TenantNo      int32
	PartnerID     string
	MerchantID    string
	Live          bool
	CustomerID    string
	TransactionID string
	Channel       string
	State         string
	Attempts      int
	Cause         string
	DueAt         time.Time
	CreatedAt     time.Time
	EndedAt       *time.Time
}

func (r row) message() messaging.Message {
	t := tenancy.Tenant{No: r.TenantNo, PartnerID: r.PartnerID, MerchantID: r.MerchantID, Mode: tenancy.Sandbox}
	if r.Live {
		t.Mode = tenancy.Production
	}
	return messaging.Message{
		ID: r.MessageID, Tenant: t, CustomerID: r.CustomerID, TransactionID: r.TransactionID, Channel: r.Channel,
		State: messaging.State(r.State), Attempts: r.Attempts, Cause: r.Cause, DueAt: r.DueAt, CreatedAt: r.CreatedAt, EndedAt: r.EndedAt,
	}
}

const columns = `x.message_id, x.tenant_no, m.partner_id, m.merchant_id, m.live, x.customer_id, x.transaction_id, x.channel,
	x.state, x.attempts, x.cause, x.due_at, x.created_at, x.ended_at`

// ClaimMessages implements messaging.Store. A row that another worker holds is
// passed by.
func (s *Store) ClaimMessages(ctx context.Context, mode tenancy.Mode, now time.Time, limit int) ([]messaging.Message, error) {
	rows, err := pg.Many[row](ctx, s.q, `UPDATE messages x SET attempts = x.attempts + 1,
			due_at = $1::timestamptz + least(interval '30 seconds' * power(2, least(x.attempts + 1, 10)), interval '1 hour')
		FROM merchants m WHERE m.tenant_no = x.tenant_no AND x.message_id = ANY (ARRAY(
			SELECT q.message_id FROM messages q JOIN merchants o ON o.tenant_no = q.tenant_no
			WHERE q.state = 'queued' AND q.due_at <= $1 AND o.live = $3 ORDER BY q.due_at LIMIT $2 FOR UPDATE OF q SKIP LOCKED))
		RETURNING `+columns, now, limit, mode == tenancy.Production)
	out := make([]messaging.Message, len(rows))
	for i, r := range rows {
		out[i] = r.message()
	}
	return out, err
}

// EndMessage implements messaging.Store.
func (s *Store) EndMessage(ctx context.Context, m messaging.Message) error {
	_, err := s.q.Exec(ctx, `UPDATE messages SET state = $3, cause = $4, ended_at = $5
		WHERE tenant_no = $1 AND message_id = $2 AND state = 'queued'`, m.Tenant.No, m.ID, string(m.State), m.Cause, m.EndedAt)
	return err
}

// Message implements messaging.Store.
func (s *Store) Message(ctx context.Context, t tenancy.Tenant, id string) (messaging.Message, error) {
	r, err := pg.One[row](ctx, s.q, `SELECT `+columns+` FROM messages x JOIN merchants m ON m.tenant_no = x.tenant_no
		WHERE x.tenant_no = $1 AND x.message_id = $2`, t.No, id)
	if pg.NoRows(err) {
		return messaging.Message{}, fault.NotFound("message")
	}
	return r.message(), err
}
