package identity

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// linkRow is a link as the table has it, with whether it collides.
type linkRow struct {
	CredentialID   string
	CustomerID     string
	CredentialType string
	Value          string
	MaskedValue    string
	Provider       string
	Card           []byte
	LinkedAt       time.Time
	LastUsedAt     *time.Time
	UnlinkedAt     *time.Time
	Colliding      bool
}

// A link collides while the same value leads to somebody else, too. It is
// worked out when read, so that it is never out of date.
const linkColumns = `l.credential_id, l.customer_id, l.credential_type, l.value, l.masked_value, l.provider, l.card,
	l.linked_at, l.last_used_at, l.unlinked_at,
	EXISTS (SELECT FROM credential_links o WHERE o.tenant_no = l.tenant_no AND o.credential_type = l.credential_type
		AND o.value = l.value AND o.customer_id <> l.customer_id AND o.unlinked_at IS NULL) AS colliding`

func (r linkRow) link(t tenancy.Tenant) (identity.Link, error) {
	l := identity.Link{
		ID: r.CredentialID, Tenant: t, CustomerID: r.CustomerID, Type: identity.CredentialType(r.CredentialType), Value: r.Value,
		MaskedValue: r.MaskedValue, Provider: r.Provider, State: identity.LinkActive, LinkedAt: r.LinkedAt, LastUsedAt: r.LastUsedAt,
	}
	switch {
	case r.UnlinkedAt != nil:
		l.State = identity.LinkUnlinked
	case r.Colliding:
		l.State = identity.LinkColliding
	}
	if r.Card == nil {
		return l, nil
	}
	return l, json.Unmarshal(r.Card, &l.Card)
}

// Links implements identity.Links.
func (s *Store) Links(ctx context.Context, t tenancy.Tenant, customerID string) ([]identity.Link, error) {
	return s.links(ctx, t, customerID, false)
}

// LinksEver implements identity.Links.
func (s *Store) LinksEver(ctx context.Context, t tenancy.Tenant, customerID string) ([]identity.Link, error) {
	return s.links(ctx, t, customerID, true)
}

func (s *Store) links(ctx context.Context, t tenancy.Tenant, customerID string, ever bool) ([]identity.Link, error) {
	rows, err := pg.Many[linkRow](ctx, s.q, `SELECT `+linkColumns+` FROM credential_links l
		WHERE l.tenant_no = $1 AND l.customer_id = $2 AND ($3 OR l.unlinked_at IS NULL) ORDER BY l.linked_at, l.credential_id`, t.No, customerID, ever)
	if err != nil {
		return nil, err
	}
	links := make([]identity.Link, len(rows))
	for i, r := range rows {
		if links[i], err = r.link(t); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// Unlink implements identity.Links.
func (s *Store) Unlink(ctx context.Context, t tenancy.Tenant, customerID, linkID, reason string, now time.Time) (*identity.Link, error) {
	r, err := pg.Maybe[linkRow](ctx, s.q, `UPDATE credential_links l SET unlinked_at = $5, unlink_reason = $4
		WHERE l.tenant_no = $1 AND l.customer_id = $2 AND l.credential_id = $3 AND l.unlinked_at IS NULL
		RETURNING `+linkColumns, t.No, customerID, linkID, reason, now)
	if err != nil || r == nil {
		return nil, err
	}
	l, err := r.link(t)
	return &l, err
}

// Matches implements identity.Links.
func (s *Store) Matches(ctx context.Context, t tenancy.Tenant, c identity.Credential) ([]identity.Match, error) {
	type row struct {
		customerRow
		CredentialID string
	}
	rows, err := pg.Many[row](ctx, s.q, `SELECT l.credential_id, `+customerColumns+` FROM credential_links l
		JOIN customers c ON c.tenant_no = l.tenant_no AND c.customer_id = l.customer_id
		WHERE l.tenant_no = $1 AND l.credential_type = $2 AND l.value = $3 AND l.unlinked_at IS NULL
		ORDER BY l.linked_at LIMIT 2`, t.No, string(c.Type), c.Stored())
	if err != nil {
		return nil, err
	}
	matches := make([]identity.Match, len(rows))
	for i, r := range rows {
		matches[i] = identity.Match{LinkID: r.CredentialID, Customer: r.customer(t)}
	}
	return matches, nil
}

// AddLink implements identity.Links. Neither conflict fails the transaction:
// the insert waits for a concurrent one of the same value and then sees it.
func (s *Store) AddLink(ctx context.Context, l identity.Link) (identity.Link, bool, error) {
	var card []byte
	if l.Card != nil {
		var err error
		if card, err = json.Marshal(l.Card); err != nil {
			return l, false, err
		}
	}
	n, err := s.q.Exec(ctx, `INSERT INTO credential_links
			(credential_id, tenant_no, customer_id, credential_type, value, masked_value, provider, card, linked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		l.ID, l.Tenant.No, l.CustomerID, string(l.Type), l.Value, l.MaskedValue, l.Provider, card, l.LinkedAt)
	if err != nil {
		return l, false, err
	}
	id := l.ID
	if n == 0 {
		id = ""
	}
	stored, err := s.stored(ctx, l, id)
	return stored, n == 1, err
}

// stored reads a link back, by its id or else by what it links.
func (s *Store) stored(ctx context.Context, l identity.Link, id string) (identity.Link, error) {
	r, err := pg.One[linkRow](ctx, s.q, `SELECT `+linkColumns+` FROM credential_links l
		WHERE l.tenant_no = $1 AND l.credential_type = $2 AND l.value = $3 AND l.customer_id = $4 AND l.unlinked_at IS NULL
			AND ($5 = '' OR l.credential_id = $5)`, l.Tenant.No, string(l.Type), l.Value, l.CustomerID, id)
	if pg.NoRows(err) {
		return l, fault.Field(fault.CodeCredentialAlreadyLinked, string(l.Type), "one_customer",
			"this %s belongs to another customer of the merchant; unlink it there first", l.Type)
	}
	if err != nil {
		return l, err
	}
	return r.link(l.Tenant)
}

// Seen implements identity.Links.
func (s *Store) Seen(ctx context.Context, t tenancy.Tenant, customerID, linkID string, now time.Time) error {
	sql := `UPDATE credential_links SET last_used_at = $4 WHERE tenant_no = $1 AND customer_id = $2 AND credential_id = $3`
	if strings.TrimPrefix(linkID, ids.Credential) == strings.TrimPrefix(customerID, ids.Customer) {
		sql = `UPDATE customers SET phone_used_at = $4 WHERE tenant_no = $1 AND customer_id = $2 AND $3 <> ''`
	}
	_, err := s.q.Exec(ctx, sql, t.No, customerID, linkID, now)
	return err
}
