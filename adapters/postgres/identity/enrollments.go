package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// enrollmentRow is an enrolment as the table has it.
type enrollmentRow struct {
	EnrollmentID       string
	CustomerID         string
	SessionID          *string
	ProviderCustomerID *string
	State              string
	Issue              int
	CodeHash           []byte
	AttemptsLeft       int
	ResendsLeft        int
	SentAt             time.Time
	ResentAt           *time.Time
	ExpiresAt          time.Time
	CreatedAt          time.Time
	VerifiedAt         *time.Time
}

const selectEnrollment = `SELECT enrollment_id, customer_id, session_id, provider_customer_id, state, issue, code_hash, attempts_left,
	resends_left, sent_at, resent_at, expires_at, created_at, verified_at FROM enrollments `

func (r enrollmentRow) enrollment(t tenancy.Tenant) identity.Enrollment {
	return identity.Enrollment{
		ID: r.EnrollmentID, Tenant: t, CustomerID: r.CustomerID, SessionID: text(r.SessionID),
		ProviderCustomerID: text(r.ProviderCustomerID), State: identity.State(r.State), Issue: r.Issue, CodeHash: r.CodeHash,
		AttemptsLeft: r.AttemptsLeft, ResendsLeft: r.ResendsLeft, SentAt: r.SentAt, ResentAt: r.ResentAt,
		ExpiresAt: r.ExpiresAt, CreatedAt: r.CreatedAt, VerifiedAt: r.VerifiedAt,
	}
}

// Enrollment implements identity.Enrollments.
func (s *Store) Enrollment(ctx context.Context, t tenancy.Tenant, id string) (identity.Enrollment, error) {
	r, err := pg.One[enrollmentRow](ctx, s.q, selectEnrollment+`WHERE tenant_no = $1 AND enrollment_id = $2`, t.No, id)
	return r.enrollment(t), notFound(err, "enrollment")
}

// LockEnrollment implements identity.Enrollments.
func (s *Store) LockEnrollment(ctx context.Context, t tenancy.Tenant, id string) (identity.Enrollment, error) {
	r, err := pg.One[enrollmentRow](ctx, s.q, selectEnrollment+`WHERE tenant_no = $1 AND enrollment_id = $2 FOR UPDATE`, t.No, id)
	return r.enrollment(t), notFound(err, "enrollment")
}

// LatestEnrollment implements identity.Enrollments.
func (s *Store) LatestEnrollment(ctx context.Context, t tenancy.Tenant, customerID string) (*identity.Enrollment, error) {
	r, err := pg.Maybe[enrollmentRow](ctx, s.q, selectEnrollment+`WHERE tenant_no = $1 AND customer_id = $2
		ORDER BY created_at DESC, enrollment_id DESC LIMIT 1 FOR UPDATE`, t.No, customerID)
	if err != nil || r == nil {
		return nil, err
	}
	e := r.enrollment(t)
	return &e, nil
}

// EnrollmentsSince implements identity.Enrollments.
func (s *Store) EnrollmentsSince(ctx context.Context, t tenancy.Tenant, customerID string, since time.Time) (int, time.Time, error) {
	type row struct {
		N      int
		Oldest time.Time
	}
	r, err := pg.One[row](ctx, s.q, `SELECT count(*) AS n, coalesce(min(created_at), $3) AS oldest FROM enrollments
		WHERE tenant_no = $1 AND customer_id = $2 AND created_at > $3`, t.No, customerID, since)
	return r.N, r.Oldest, err
}

// InsertEnrollment implements identity.Enrollments.
func (s *Store) InsertEnrollment(ctx context.Context, e identity.Enrollment) error {
	_, err := s.q.Exec(ctx, `INSERT INTO enrollments (enrollment_id, tenant_no, customer_id, session_id, provider_customer_id, state,
			issue, code_hash, attempts_left, resends_left, sent_at, resent_at, expires_at, created_at, verified_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		e.ID, e.Tenant.No, e.CustomerID, null(e.SessionID), null(e.ProviderCustomerID), string(e.State), e.Issue, e.CodeHash,
		e.AttemptsLeft, e.ResendsLeft, e.SentAt, e.ResentAt, e.ExpiresAt, e.CreatedAt, e.VerifiedAt)
	return err
}

// SaveEnrollment implements identity.Enrollments.
func (s *Store) SaveEnrollment(ctx context.Context, e identity.Enrollment) error {
	_, err := s.q.Exec(ctx, `UPDATE enrollments SET session_id = $3, provider_customer_id = $4, state = $5, issue = $6, code_hash = $7,
			attempts_left = $8, resends_left = $9, sent_at = $10, resent_at = $11, expires_at = $12, verified_at = $13
		WHERE tenant_no = $1 AND enrollment_id = $2`,
		e.Tenant.No, e.ID, null(e.SessionID), null(e.ProviderCustomerID), string(e.State), e.Issue, e.CodeHash,
		e.AttemptsLeft, e.ResendsLeft, e.SentAt, e.ResentAt, e.ExpiresAt, e.VerifiedAt)
	return err
}
