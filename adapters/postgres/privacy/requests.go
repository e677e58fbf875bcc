// Package privacy keeps exports and erasures in Postgres, reads what is held on
// a person and erases it.
package privacy

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements privacy.Store.
type Store struct{ q pg.Q }

var _ privacy.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// row is a request as the table has it, with its tenant.
type row struct {
	RequestID   string
	TenantNo    int32
	PartnerID   string
	MerchantID  string
	Live        bool
	CustomerID  string
	Kind        string
	State       string
	Reason      string
	Records     []string
	Counts      []int64
	Attempts    int
	DueAt       *time.Time
	RequestedAt time.Time
	CompletedAt *time.Time
	ExpiresAt   *time.Time
}

const columns = `r.request_id, r.tenant_no, m.partner_id, m.merchant_id, m.live, r.customer_id, r.kind, r.state, r.reason, r.records, r.counts,
	r.attempts, r.due_at, r.requested_at, r.completed_at, r.expires_at`

func (r row) request() privacy.Request {
	t := tenancy.Tenant{No: r.TenantNo, PartnerID: r.PartnerID, MerchantID: r.MerchantID, Mode: tenancy.Sandbox}
	if r.Live {
		t.Mode = tenancy.Production
	}
	out := privacy.Request{
		ID: r.RequestID, Tenant: t, CustomerID: r.CustomerID, Kind: privacy.Kind(r.Kind), State: privacy.State(r.State), Reason: r.Reason,
		Attempts: r.Attempts, DueAt: r.DueAt, RequestedAt: r.RequestedAt, CompletedAt: r.CompletedAt, ExpiresAt: r.ExpiresAt,
	}
	for i, record := range r.Records {
		out.Counts = append(out.Counts, privacy.Count{Record: record, N: r.Counts[i]})
	}
	return out
}

// counted is counts as the columns have them.
func counted(r privacy.Request) (records []string, counts []int64) {
	records, counts = []string{}, []int64{}
	for _, c := range r.Counts {
		records, counts = append(records, c.Record), append(counts, c.N)
	}
	return records, counts
}

// AddRequest implements privacy.Requests.
func (s *Store) AddRequest(ctx context.Context, r privacy.Request) error {
	records, counts := counted(r)
	_, err := s.q.Exec(ctx, `INSERT INTO gdpr_requests (request_id, tenant_no, customer_id, kind, state, reason, records, counts, due_at, requested_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.ID, r.Tenant.No, r.CustomerID, string(r.Kind), string(r.State), r.Reason, records, counts, r.DueAt, r.RequestedAt)
	return err
}

// Request implements privacy.Requests.
func (s *Store) Request(ctx context.Context, t tenancy.Tenant, id string) (privacy.Request, error) {
	r, err := pg.One[row](ctx, s.q, `SELECT `+columns+` FROM gdpr_requests r JOIN merchants m ON m.tenant_no = r.tenant_no
		WHERE r.tenant_no = $1 AND r.request_id = $2`, t.No, id)
	if pg.NoRows(err) {
		return privacy.Request{}, fault.NotFound("request")
	}
	return r.request(), err
}

// RequestByLink implements privacy.Requests. Its caller checked the signature
// over the id; the tenant is the row's own.
func (s *Store) RequestByLink(ctx context.Context, id string) (privacy.Request, error) {
	r, err := pg.One[row](ctx, s.q, `SELECT `+columns+` FROM gdpr_requests r JOIN merchants m ON m.tenant_no = r.tenant_no
		WHERE r.request_id = $1`, id)
	if pg.NoRows(err) {
		return privacy.Request{}, fault.NotFound("request")
	}
	return r.request(), err
}

// OpenRequest implements privacy.Requests.
func (s *Store) OpenRequest(ctx context.Context, t tenancy.Tenant, customerID string, k privacy.Kind) (string, error) {
	id, err := pg.Maybe[string](ctx, s.q, `SELECT request_id FROM gdpr_requests
		WHERE tenant_no = $1 AND customer_id = $2 AND kind = $3 AND due_at IS NOT NULL LIMIT 1`, t.No, customerID, string(k))
	if err != nil || id == nil {
		return "", err
	}
	return *id, nil
}

// ClaimRequest implements privacy.Requests. One that another worker holds is
// passed by.
func (s *Store) ClaimRequest(ctx context.Context, now time.Time) (*privacy.Request, error) {
	r, err := pg.Maybe[row](ctx, s.q, `UPDATE gdpr_requests r SET state = 'processing', attempts = r.attempts + 1, due_at = $2
		FROM merchants m WHERE m.tenant_no = r.tenant_no AND r.request_id = (
			SELECT request_id FROM gdpr_requests WHERE due_at <= $1 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+columns, now, now.Add(privacy.Lease))
	if err != nil || r == nil {
		return nil, err
	}
	out := r.request()
	return &out, nil
}

// SaveRequest implements privacy.Requests.
func (s *Store) SaveRequest(ctx context.Context, r privacy.Request) (bool, error) {
	records, counts := counted(r)
	n, err := s.q.Exec(ctx, `UPDATE gdpr_requests SET state = $3, records = $4, counts = $5, due_at = $6, completed_at = $7, expires_at = $8
		WHERE tenant_no = $1 AND request_id = $2 AND due_at IS NOT NULL AND attempts = $9`,
		r.Tenant.No, r.ID, string(r.State), records, counts, r.DueAt, r.CompletedAt, r.ExpiresAt, r.Attempts)
	return n == 1, err
}

// ExpireArchives implements privacy.Requests. It serves the sweep, which reads
// across tenants.
func (s *Store) ExpireArchives(ctx context.Context, now time.Time, limit int) (int, error) {
	return pg.One[int](ctx, s.q, `WITH ended AS (
			UPDATE gdpr_requests SET state = 'expired' WHERE request_id = ANY (ARRAY(
				SELECT request_id FROM gdpr_requests WHERE state = 'completed' AND expires_at <= $1
				ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING tenant_no, request_id),
		gone AS (
			DELETE FROM gdpr_archives a USING ended e WHERE a.tenant_no = e.tenant_no AND a.request_id = e.request_id)
		SELECT count(*)::int FROM ended`, now, limit)
}

// AddPiece implements privacy.Archives.
func (s *Store) AddPiece(ctx context.Context, t tenancy.Tenant, requestID string, n int, sealed []byte) error {
	// The row's lock makes an erasure wait for this piece, or this piece see the erasure.
	added, err := s.q.Exec(ctx, `INSERT INTO gdpr_archives (tenant_no, request_id, piece, sealed)
		SELECT r.tenant_no, r.request_id, $3, $4 FROM gdpr_requests r
		WHERE r.tenant_no = $1 AND r.request_id = $2 AND r.due_at IS NOT NULL FOR SHARE`, t.No, requestID, n, sealed)
	if err == nil && added == 0 {
		err = privacy.ErrEnded
	}
	return err
}

// Piece implements privacy.Archives.
func (s *Store) Piece(ctx context.Context, t tenancy.Tenant, requestID string, n int) ([]byte, error) {
	var sealed []byte
	err := s.q.QueryRow(ctx, `SELECT sealed FROM gdpr_archives WHERE tenant_no = $1 AND request_id = $2 AND piece = $3`, t.No, requestID, n).Scan(&sealed)
	if pg.NoRows(err) {
		return nil, nil
	}
	return sealed, err
}

// DropArchive implements privacy.Archives.
func (s *Store) DropArchive(ctx context.Context, t tenancy.Tenant, requestID string) error {
	_, err := s.q.Exec(ctx, `DELETE FROM gdpr_archives WHERE tenant_no = $1 AND request_id = $2`, t.No, requestID)
	return err
}
