package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// codeRow is a payment code as the table has it.
type codeRow struct {
	CustomerID     string
	Kind           string
	ExpiresAt      time.Time
	UsedAt         *time.Time
	BoundSessionID *string
}

// Code implements identity.Codes.
func (s *Store) Code(ctx context.Context, t tenancy.Tenant, hash []byte) (*identity.PaymentCode, error) {
	r, err := pg.Maybe[codeRow](ctx, s.q, `SELECT customer_id, kind, expires_at, used_at, bound_session_id FROM payment_codes
		WHERE tenant_no = $1 AND code_hash = $2`, t.No, hash)
	if err != nil || r == nil {
		return nil, err
	}
	return &identity.PaymentCode{
		Hash: hash, Tenant: t, CustomerID: r.CustomerID, Type: identity.CredentialType(r.Kind), ExpiresAt: r.ExpiresAt,
		UsedAt: r.UsedAt, BoundSessionID: text(r.BoundSessionID),
	}, nil
}

// AddCode implements identity.Codes.
func (s *Store) AddCode(ctx context.Context, c identity.PaymentCode) (bool, error) {
	n, err := s.q.Exec(ctx, `INSERT INTO payment_codes (tenant_no, code_hash, customer_id, kind, expires_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_no, code_hash) DO NOTHING`,
		c.Tenant.No, c.Hash, c.CustomerID, string(c.Type), c.ExpiresAt)
	return n == 1, err
}

// BindCode implements identity.Codes.
func (s *Store) BindCode(ctx context.Context, t tenancy.Tenant, hash []byte, sessionID string) (bool, error) {
	n, err := s.q.Exec(ctx, `UPDATE payment_codes SET bound_session_id = $3
		WHERE tenant_no = $1 AND code_hash = $2 AND used_at IS NULL AND (bound_session_id IS NULL OR bound_session_id = $3)`,
		t.No, hash, sessionID)
	return n == 1, err
}

// AddClaim implements identity.Claims.
func (s *Store) AddClaim(ctx context.Context, c identity.Claim) error {
	released := append([]string{}, c.Released...) // an empty list, never null
	locked, reasons := []string{}, []string{}
	for _, g := range c.Locked {
		locked, reasons = append(locked, g.GrantID), append(reasons, string(g.Reason))
	}
	_, err := s.q.Exec(ctx, `INSERT INTO claims (claim_id, tenant_no, customer_id, released, locked, locked_reasons, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, c.ID, c.Tenant.No, c.CustomerID, released, locked, reasons, c.CreatedAt)
	return err
}

// Claim implements identity.Claims.
func (s *Store) Claim(ctx context.Context, t tenancy.Tenant, id string) (identity.Claim, error) {
	type row struct {
		CustomerID    string
		Released      []string
		Locked        []string
		LockedReasons []string
		CreatedAt     time.Time
	}
	r, err := pg.One[row](ctx, s.q, `SELECT customer_id, released, locked, locked_reasons, created_at FROM claims
		WHERE tenant_no = $1 AND claim_id = $2`, t.No, id)
	if err != nil {
		return identity.Claim{}, notFound(err, "claim")
	}
	c := identity.Claim{ID: id, Tenant: t, CustomerID: r.CustomerID, Released: r.Released, CreatedAt: r.CreatedAt}
	for i, g := range r.Locked {
		c.Locked = append(c.Locked, identity.LockedGrant{GrantID: g, Reason: identity.LockReason(r.LockedReasons[i])})
	}
	return c, nil
}
