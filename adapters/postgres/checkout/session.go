package checkout

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// sessionRow is a session as the table has it.
type sessionRow struct {
	SessionID      string
	Version        int64
	State          string
	Currency       string
	Origin         string
	Channel        string
	BrandID        string
	BranchID       string
	TerminalID     string
	CashierID      string
	Locale         string
	CustomerID     string
	CredentialType string
	Probationary   bool
	BasketRevision int64
	BasketMinor    int64
	DiscountMinor  int64
	PaidMinor      int64
	TransactionID  string
	OpenedAt       time.Time
	ExpiresAt      time.Time
	EndedAt        *time.Time
	EndReason      string
	EndNote        string
}

func (r sessionRow) session(t tenancy.Tenant) checkout.Session {
	return checkout.Session{
		ID: r.SessionID, Tenant: t, Version: r.Version, State: checkout.State(r.State), Currency: r.Currency,
		Origin: r.Origin, Channel: r.Channel,
		Place:     tenancy.Place{BrandID: r.BrandID, BranchID: r.BranchID, TerminalID: r.TerminalID},
		CashierID: r.CashierID, Locale: r.Locale, CustomerID: r.CustomerID, CredentialType: r.CredentialType,
		Probationary: r.Probationary, BasketRevision: r.BasketRevision, BasketMinor: r.BasketMinor,
		DiscountMinor: r.DiscountMinor, PaidMinor: r.PaidMinor, TransactionID: r.TransactionID,
		OpenedAt: r.OpenedAt, ExpiresAt: r.ExpiresAt, EndedAt: r.EndedAt, EndReason: r.EndReason, EndNote: r.EndNote,
	}
}

const sessionColumns = `session_id, version, state, currency, origin, channel, brand_id, branch_id, terminal_id,
  cashier_id, locale, coalesce(customer_id, '') as customer_id, credential_type, probationary, basket_revision,
  basket_minor, discount_minor, paid_minor, coalesce(transaction_id, '') as transaction_id, opened_at, expires_at,
  ended_at, end_reason, end_note`

const (
	findSession = `select ` + sessionColumns + ` from checkout_sessions where tenant_no = $1 and session_id = $2`
	lockSession = findSession + ` for update`
)

// Session implements checkout.Sessions.
func (s *Store) Session(ctx context.Context, t tenancy.Tenant, id string) (checkout.Session, error) {
	return s.session(ctx, findSession, t, id)
}

// Lock implements checkout.Sessions.
func (s *Store) Lock(ctx context.Context, t tenancy.Tenant, id string) (checkout.Session, error) {
	return s.session(ctx, lockSession, t, id)
}

func (s *Store) session(ctx context.Context, statement string, t tenancy.Tenant, id string) (checkout.Session, error) {
	row, err := pg.Maybe[sessionRow](ctx, s.q, statement, t.No, id)
	switch {
	case err != nil:
		return checkout.Session{}, err
	case row == nil:
		return checkout.Session{}, fault.NotFound("session")
	}
	return row.session(t), nil
}

const insertSession = `
insert into checkout_sessions (tenant_no, session_id, version, state, currency, origin, channel, brand_id, branch_id,
  terminal_id, cashier_id, locale, customer_id, credential_type, probationary, basket_revision, basket_minor,
  discount_minor, paid_minor, transaction_id, opened_at, expires_at, ended_at, end_reason, end_note)
values ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`

// Insert implements checkout.Sessions.
func (s *Store) Insert(ctx context.Context, c checkout.Session) error {
	_, err := s.q.Exec(ctx, insertSession, c.Tenant.No, c.ID, string(c.State), c.Currency, c.Origin, c.Channel, c.BrandID,
		c.BranchID, c.TerminalID, c.CashierID, c.Locale, null(c.CustomerID), c.CredentialType, c.Probationary,
		c.BasketRevision, c.BasketMinor, c.DiscountMinor, c.PaidMinor, null(c.TransactionID), c.OpenedAt, c.ExpiresAt,
		c.EndedAt, c.EndReason, c.EndNote)
	return err
}

const saveSession = `
update checkout_sessions set version = version + 1, state = $4, customer_id = $5, credential_type = $6,
  probationary = $7, basket_revision = $8, basket_minor = $9, discount_minor = $10, paid_minor = $11,
  transaction_id = $12, ended_at = $13, end_reason = $14, end_note = $15
where tenant_no = $1 and session_id = $2 and version = $3`

// Save implements checkout.Sessions.
func (s *Store) Save(ctx context.Context, c checkout.Session) (checkout.Session, error) {
	n, err := s.q.Exec(ctx, saveSession, c.Tenant.No, c.ID, c.Version, string(c.State), null(c.CustomerID), c.CredentialType,
		c.Probationary, c.BasketRevision, c.BasketMinor, c.DiscountMinor, c.PaidMinor, null(c.TransactionID), c.EndedAt, c.EndReason, c.EndNote)
	if err != nil {
		return c, err
	}
	if n == 0 {
		return c, fault.Field(fault.CodeStateConflict, "session_id", "current_version", "another call changed the session meanwhile; read it and try again")
	}
	c.Version++
	return c, nil
}

// dueRow is a session with whose it is.
type dueRow struct {
	sessionRow
	TenantNo   int32
	PartnerID  string
	MerchantID string
	Live       bool
}

const claimExpired = `
select ` + sessionColumns + `, tenant_no,
  (select partner_id from merchants m where m.tenant_no = s.tenant_no) as partner_id,
  (select merchant_id from merchants m where m.tenant_no = s.tenant_no) as merchant_id,
  (select live from merchants m where m.tenant_no = s.tenant_no) as live
from checkout_sessions s
where state = 'open' and expires_at <= $1 and (expires_at, session_id) > ($2, $3)
  and exists (select from merchants m where m.tenant_no = s.tenant_no)
order by expires_at, session_id limit 1 for update of s skip locked`

// ClaimExpired implements checkout.Sessions.
func (s *Store) ClaimExpired(ctx context.Context, now time.Time, after checkout.Due) (*checkout.Session, error) {
	row, err := pg.Maybe[dueRow](ctx, s.q, claimExpired, now, after.ExpiresAt, after.SessionID)
	if err != nil || row == nil {
		return nil, err
	}
	session := row.session(tenantOf(row.PartnerID, row.MerchantID, row.Live, row.TenantNo))
	return &session, nil
}

func tenantOf(partnerID, merchantID string, live bool, no int32) tenancy.Tenant {
	t := tenancy.Tenant{PartnerID: partnerID, Mode: tenancy.Sandbox, MerchantID: merchantID, No: no}
	if live {
		t.Mode = tenancy.Production
	}
	return t
}

// openAt names the whole condition of its partial index.
const openAt = `
select session_id from checkout_sessions
where tenant_no = $1 and terminal_id = $2 and terminal_id <> '' and state = 'open' and expires_at > $3
order by opened_at desc, session_id desc limit $4`

// OpenAt implements checkout.Sessions.
func (s *Store) OpenAt(ctx context.Context, t tenancy.Tenant, terminalID string, now time.Time, limit int) ([]string, error) {
	return pg.Many[string](ctx, s.q, openAt, t.No, terminalID, now, limit)
}

// A brand's or branch's credential sees what happened at no particular place,
// too (checkout.Within).
const listSessions = `
select ` + sessionColumns + ` from checkout_sessions
where tenant_no = $1 and (opened_at, session_id) < ($2, $3)
  and ($4 = '' or case when state = 'open' and expires_at <= $5 then 'expired' else state end = $4)
  and ($6 = '' or (branch_id = $6 and branch_id <> '')) and ($7 = '' or terminal_id = $7) and ($8 = '' or customer_id = $8)
  and ($9 = '' or brand_id in ('', $9)) and ($10 = '' or branch_id in ('', $10))
  and ($11::timestamptz is null or opened_at >= $11) and ($12::timestamptz is null or opened_at < $12)
order by opened_at desc, session_id desc limit $13`

// Sessions implements checkout.Sessions.
func (s *Store) Sessions(ctx context.Context, t tenancy.Tenant, f checkout.SessionFilter) ([]checkout.Session, error) {
	rows, err := pg.Many[sessionRow](ctx, s.q, listSessions, t.No, f.Before, f.BeforeID, string(f.State), f.Now, f.BranchID, f.TerminalID,
		f.CustomerID, f.Reach.BrandID, f.Reach.BranchID, f.OpenedFrom, f.OpenedBefore, f.Limit)
	if err != nil {
		return nil, err
	}
	out := make([]checkout.Session, len(rows))
	for i, r := range rows {
		out[i] = r.session(t)
	}
	return out, nil
}
