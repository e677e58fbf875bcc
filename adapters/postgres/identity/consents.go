package identity

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// consentRow is a consent as the table has it.
type consentRow struct {
	ConsentID  string
	CustomerID string
	Purpose    string
	Channel    string
	State      string
	Version    string
	Evidence   json.RawMessage
	OccurredAt time.Time
	RecordedAt time.Time
}

const consentColumns = `consent_id, customer_id, purpose, channel, state, version, evidence, occurred_at, recorded_at`

func consentsOf(t tenancy.Tenant, rows []consentRow) []identity.Consent {
	out := make([]identity.Consent, len(rows))
	for i, r := range rows {
		out[i] = identity.Consent{
			ID: r.ConsentID, Tenant: t, CustomerID: r.CustomerID, Purpose: identity.Purpose(r.Purpose), Channel: r.Channel,
			State: identity.ConsentState(r.State), Version: r.Version, Evidence: r.Evidence, OccurredAt: r.OccurredAt, RecordedAt: r.RecordedAt,
		}
	}
	return out
}

// AddConsent implements identity.Consents.
func (s *Store) AddConsent(ctx context.Context, c identity.Consent) error {
	_, err := s.q.Exec(ctx, `INSERT INTO consents (`+consentColumns+`, tenant_no) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		c.ID, c.CustomerID, string(c.Purpose), c.Channel, string(c.State), c.Version, c.Evidence, c.OccurredAt, c.RecordedAt, c.Tenant.No)
	return err
}

// ConsentActs implements identity.Consents.
func (s *Store) ConsentActs(ctx context.Context, t tenancy.Tenant, customerID string) (identity.ConsentActs, error) {
	rows, err := pg.Many[consentRow](ctx, s.q, `SELECT DISTINCT ON (purpose, channel) `+consentColumns+` FROM consents
		WHERE tenant_no = $1 AND customer_id = $2
		ORDER BY purpose, channel, occurred_at DESC, recorded_at DESC, consent_id DESC`, t.No, customerID)
	return consentsOf(t, rows), err
}

// ListConsents implements identity.Consents.
func (s *Store) ListConsents(ctx context.Context, t tenancy.Tenant, customerID, purpose string, before time.Time, beforeID string, limit int) ([]identity.Consent, error) {
	rows, err := pg.Many[consentRow](ctx, s.q, `SELECT `+consentColumns+` FROM consents
		WHERE tenant_no = $1 AND customer_id = $2 AND $3 IN ('', purpose) AND (recorded_at, consent_id) < ($4, $5)
		ORDER BY recorded_at DESC, consent_id DESC LIMIT $6`, t.No, customerID, purpose, before, beforeID, limit)
	return consentsOf(t, rows), err
}
