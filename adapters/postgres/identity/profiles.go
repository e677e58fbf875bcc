package identity

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// preferenceRow is a customer's locale with their preferences, if they said any.
type preferenceRow struct {
	Locale           string
	Version          *int
	Channels         map[string]bool
	OptOutAll        *bool
	OptOutKinds      []string
	OptOutCategories []string
	ReceiptChannel   *string
	UpdatedAt        *time.Time
}

// Preferences implements identity.Profiles.
func (s *Store) Preferences(ctx context.Context, t tenancy.Tenant, customerID string) (identity.Preferences, error) {
	r, err := pg.One[preferenceRow](ctx, s.q, `SELECT c.locale, p.version, p.channels, p.opt_out_all, p.opt_out_kinds,
			p.opt_out_categories, p.receipt_channel, p.updated_at
		FROM customers c LEFT JOIN customer_preferences p ON p.tenant_no = c.tenant_no AND p.customer_id = c.customer_id
		WHERE c.tenant_no = $1 AND c.customer_id = $2`, t.No, customerID)
	if err != nil {
		return identity.Preferences{}, notFound(err, "customer")
	}
	p := identity.Preferences{CustomerID: customerID, Language: r.Locale, Version: 1}
	if r.Version == nil {
		return p, nil
	}
	p.Version, p.Channels, p.UpdatedAt = *r.Version, r.Channels, r.UpdatedAt
	p.OptOut = identity.OptOut{All: *r.OptOutAll, Kinds: r.OptOutKinds, Categories: r.OptOutCategories}
	p.ReceiptChannel = text(r.ReceiptChannel)
	return p, nil
}

// SavePreferences implements identity.Profiles.
func (s *Store) SavePreferences(ctx context.Context, t tenancy.Tenant, p identity.Preferences) error {
	if p.Channels == nil {
		p.Channels = map[string]bool{} // an empty object, never null
	}
	_, err := s.q.Exec(ctx, `INSERT INTO customer_preferences AS p (customer_id, tenant_no, version, channels, opt_out_all, opt_out_kinds,
			opt_out_categories, receipt_channel, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (customer_id) DO UPDATE SET version = excluded.version, channels = excluded.channels,
			opt_out_all = excluded.opt_out_all, opt_out_kinds = excluded.opt_out_kinds, opt_out_categories = excluded.opt_out_categories,
			receipt_channel = excluded.receipt_channel, updated_at = excluded.updated_at
		WHERE p.tenant_no = $2`,
		p.CustomerID, t.No, p.Version, p.Channels, p.OptOut.All, some(p.OptOut.Kinds), some(p.OptOut.Categories), p.ReceiptChannel, p.UpdatedAt)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, `UPDATE customers SET locale = $3 WHERE tenant_no = $1 AND customer_id = $2 AND locale <> $3`,
		t.No, p.CustomerID, p.Language)
	return err
}

// some is a list that is never null.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// customerEventRow is a customer event as the table has it.
type customerEventRow struct {
	CustomerEventID string
	CustomerID      string
	Type            string
	SessionID       string
	Attributes      json.RawMessage
	OccurredAt      time.Time
	RecordedAt      time.Time
}

// AddCustomerEvent implements identity.Profiles.
func (s *Store) AddCustomerEvent(ctx context.Context, e identity.CustomerEvent) error {
	_, err := s.q.Exec(ctx, `INSERT INTO customer_events (customer_event_id, tenant_no, customer_id, type, session_id, attributes, occurred_at, recorded_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		e.ID, e.Tenant.No, e.CustomerID, e.Type, e.SessionID, e.Attributes, e.OccurredAt, e.RecordedAt)
	return err
}

// ListCustomerEvents implements identity.Profiles.
func (s *Store) ListCustomerEvents(ctx context.Context, t tenancy.Tenant, customerID, kind string, before time.Time, beforeID string, limit int) ([]identity.CustomerEvent, error) {
	rows, err := pg.Many[customerEventRow](ctx, s.q, `SELECT customer_event_id, customer_id, type, session_id, attributes, occurred_at, recorded_at
		FROM customer_events
		WHERE tenant_no = $1 AND customer_id = $2 AND $3 IN ('', type) AND (occurred_at, customer_event_id) < ($4, $5)
		ORDER BY occurred_at DESC, customer_event_id DESC LIMIT $6`, t.No, customerID, kind, before, beforeID, limit)
	if err != nil {
		return nil, err
	}
	out := make([]identity.CustomerEvent, len(rows))
	for i, r := range rows {
		out[i] = identity.CustomerEvent{
			ID: r.CustomerEventID, Tenant: t, CustomerID: r.CustomerID, Type: r.Type, SessionID: r.SessionID, Attributes: r.Attributes,
			OccurredAt: r.OccurredAt, RecordedAt: r.RecordedAt,
		}
	}
	return out, nil
}
