package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// customerRow is a customer as the table has it.
type customerRow struct {
	CustomerID  string
	Phone       *string
	Name        string
	Email       *string
	BirthDate   *string
	State       string
	Status      string
	Locale      string
	Tier        string
	MergedInto  *string
	VerifiedAt  *time.Time
	PhoneUsedAt *time.Time
	CreatedAt   time.Time
	UpdatedAt   *time.Time
}

const customerColumns = `c.customer_id, c.phone, c.name, c.email, to_char(c.birth_date, 'YYYY-MM-DD') AS birth_date, c.state, c.status, c.locale, c.tier, c.merged_into,
	c.verified_at, c.phone_used_at, c.created_at, c.updated_at`

func (r customerRow) customer(t tenancy.Tenant) identity.Customer {
	c := identity.Customer{
		ID: r.CustomerID, Tenant: t, Phone: text(r.Phone), Name: r.Name, Email: text(r.Email), BirthDate: text(r.BirthDate), State: identity.State(r.State),
		Status: identity.Status(r.Status), Locale: r.Locale, Tier: r.Tier, MergedInto: text(r.MergedInto),
		VerifiedAt: r.VerifiedAt, PhoneUsedAt: r.PhoneUsedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.CreatedAt,
	}
	if r.UpdatedAt != nil {
		c.UpdatedAt = *r.UpdatedAt
	}
	return c
}

func (s *Store) customer(ctx context.Context, t tenancy.Tenant, sql string, args ...any) (identity.Customer, error) {
	r, err := pg.One[customerRow](ctx, s.q, sql, args...)
	return r.customer(t), notFound(err, "customer")
}

// Customer implements identity.Customers.
func (s *Store) Customer(ctx context.Context, t tenancy.Tenant, id string) (identity.Customer, error) {
	return s.customer(ctx, t, `SELECT `+customerColumns+` FROM customers c WHERE c.tenant_no = $1 AND c.customer_id = $2`, t.No, id)
}

// LockCustomer implements identity.Customers.
func (s *Store) LockCustomer(ctx context.Context, t tenancy.Tenant, id string) (identity.Customer, error) {
	return s.customer(ctx, t, `SELECT `+customerColumns+` FROM customers c WHERE c.tenant_no = $1 AND c.customer_id = $2
		FOR NO KEY UPDATE`, t.No, id)
}

// CustomerByPhone implements identity.Customers.
func (s *Store) CustomerByPhone(ctx context.Context, t tenancy.Tenant, phone string) (*identity.Customer, error) {
	r, err := pg.Maybe[customerRow](ctx, s.q, `SELECT `+customerColumns+` FROM customers p
		JOIN customers c ON c.tenant_no = p.tenant_no AND c.customer_id = coalesce(p.merged_into, p.customer_id)
		WHERE p.tenant_no = $1 AND p.phone = $2`, t.No, phone)
	if err != nil || r == nil {
		return nil, err
	}
	c := r.customer(t)
	return &c, nil
}

// Enrol implements identity.Customers. The insert waits at the index for
// another one of the same phone; after that the other's row is visible.
func (s *Store) Enrol(ctx context.Context, c identity.Customer) (identity.Customer, bool, error) {
	n, err := s.q.Exec(ctx, `INSERT INTO customers (tenant_no, customer_id, phone, name, state, status, locale, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
		ON CONFLICT (tenant_no, phone) WHERE phone IS NOT NULL DO NOTHING`,
		c.Tenant.No, c.ID, c.Phone, c.Name, string(c.State), string(c.Status), c.Locale, c.CreatedAt)
	if err != nil || n == 1 {
		return c, n == 1, err
	}
	known, err := s.customer(ctx, c.Tenant, `SELECT `+customerColumns+` FROM customers p
		JOIN customers c ON c.tenant_no = p.tenant_no AND c.customer_id = coalesce(p.merged_into, p.customer_id)
		WHERE p.tenant_no = $1 AND p.phone = $2 FOR NO KEY UPDATE OF c`, c.Tenant.No, c.Phone)
	return known, false, err
}

// MarkVerified implements identity.Customers.
func (s *Store) MarkVerified(ctx context.Context, t tenancy.Tenant, id string, now time.Time) (bool, error) {
	n, err := s.q.Exec(ctx, `UPDATE customers SET state = 'VERIFIED', verified_at = $3, updated_at = $3
		WHERE tenant_no = $1 AND customer_id = $2 AND state = 'PENDING_PROOF'`, t.No, id, now)
	return n == 1, err
}

// NameCustomer implements identity.Customers.
func (s *Store) NameCustomer(ctx context.Context, t tenancy.Tenant, id, name string, now time.Time) error {
	_, err := s.q.Exec(ctx, `UPDATE customers SET name = $3, updated_at = $4
		WHERE tenant_no = $1 AND customer_id = $2 AND name = ''`, t.No, id, name, now)
	return err
}

// SetStatus implements identity.Customers.
func (s *Store) SetStatus(ctx context.Context, t tenancy.Tenant, id string, status identity.Status, now time.Time) error {
	n, err := s.q.Exec(ctx, `UPDATE customers SET status = $3, updated_at = $4 WHERE tenant_no = $1 AND customer_id = $2`,
		t.No, id, string(status), now)
	if err == nil && n == 0 {
		return fault.NotFound("customer")
	}
	return err
}

// NoteStatus implements identity.Customers.
func (s *Store) NoteStatus(ctx context.Context, t tenancy.Tenant, id, reason string) error {
	_, err := s.q.Exec(ctx, `UPDATE customers SET status_reason = $3 WHERE tenant_no = $1 AND customer_id = $2`, t.No, id, reason)
	return err
}

// SaveAttributes implements identity.Customers.
func (s *Store) SaveAttributes(ctx context.Context, c identity.Customer, now time.Time) error {
	_, err := s.q.Exec(ctx, `UPDATE customers SET name = $3, email = $4, birth_date = $5::text::date, locale = $6, updated_at = $7
		WHERE tenant_no = $1 AND customer_id = $2`,
		c.Tenant.No, c.ID, c.Name, null(c.Email), null(c.BirthDate), c.Locale, now)
	return err
}
