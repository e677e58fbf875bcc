package offers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// proposalRow is a proposal as the table has it.
type proposalRow struct {
	ProposalID     string
	Kind           string
	State          string
	CustomerID     string
	SessionID      string
	BrandID        string
	BranchID       string
	OfferID        string
	Title          string
	Value          json.RawMessage
	Currency       string
	BudgetID       string
	Reason         string
	Card           json.RawMessage
	TraceID        string
	DecisionID     string
	ApplicationID  string
	GrantID        string
	DecisionReason string
	CreatedAt      time.Time
	ExpiresAt      time.Time
	DecidedAt      *time.Time
}

func (r proposalRow) proposal(t tenancy.Tenant) (offers.Proposal, error) {
	p := offers.Proposal{
		ID: r.ProposalID, Tenant: t, Kind: offers.ProposalKind(r.Kind), State: offers.ProposalState(r.State), CustomerID: r.CustomerID,
		SessionID: r.SessionID, Place: tenancy.Place{BrandID: r.BrandID, BranchID: r.BranchID}, OfferID: r.OfferID, Title: r.Title,
		Currency: r.Currency, BudgetID: r.BudgetID, Reason: r.Reason, TraceID: r.TraceID, DecisionID: r.DecisionID,
		ApplicationID: r.ApplicationID, GrantID: r.GrantID, DecisionReason: r.DecisionReason, CreatedAt: r.CreatedAt,
		ExpiresAt: r.ExpiresAt, DecidedAt: r.DecidedAt,
	}
	for _, column := range []struct {
		raw json.RawMessage
		to  any
	}{{r.Value, &p.Value}, {r.Card, &p.Card}} {
		if err := json.Unmarshal(column.raw, column.to); err != nil {
			return p, fmt.Errorf("read proposal %s: %w", r.ProposalID, err)
		}
	}
	return p, nil
}

const insertProposal = `
insert into proposals (tenant_no, proposal_id, kind, state, customer_id, session_id, brand_id, branch_id, offer_id, title, value,
  currency, budget_id, reason, card, trace_id, decision_id, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`

// InsertProposal implements offers.Proposals.
func (s *Store) InsertProposal(ctx context.Context, p offers.Proposal) error {
	value, err := json.Marshal(p.Value)
	if err != nil {
		return err
	}
	card, err := json.Marshal(p.Card)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, insertProposal, p.Tenant.No, p.ID, string(p.Kind), string(p.State), p.CustomerID, null(p.SessionID),
		p.Place.BrandID, p.Place.BranchID, p.OfferID, p.Title, json.RawMessage(value), p.Currency, null(p.BudgetID), null(p.Reason),
		json.RawMessage(card), p.TraceID, p.DecisionID, p.CreatedAt, p.ExpiresAt)
	return err
}

const proposalColumns = `proposal_id, kind, state, customer_id, coalesce(session_id, '') as session_id, brand_id, branch_id, offer_id,
  title, value, currency, coalesce(budget_id, '') as budget_id, coalesce(reason, '') as reason, card, trace_id, decision_id,
  coalesce(application_id, '') as application_id, coalesce(grant_id, '') as grant_id,
  coalesce(decision_reason, '') as decision_reason, created_at, expires_at, decided_at`

const (
	findProposal = `select ` + proposalColumns + ` from proposals where tenant_no = $1 and proposal_id = $2`
	lockProposal = findProposal + ` for update`
)

// Proposal implements offers.Proposals.
func (s *Store) Proposal(ctx context.Context, t tenancy.Tenant, id string) (offers.Proposal, error) {
	return s.proposal(ctx, findProposal, t, id)
}

// LockProposal implements offers.Proposals.
func (s *Store) LockProposal(ctx context.Context, t tenancy.Tenant, id string) (offers.Proposal, error) {
	return s.proposal(ctx, lockProposal, t, id)
}

func (s *Store) proposal(ctx context.Context, statement string, t tenancy.Tenant, id string) (offers.Proposal, error) {
	row, err := pg.Maybe[proposalRow](ctx, s.q, statement, t.No, id)
	switch {
	case err != nil:
		return offers.Proposal{}, err
	case row == nil:
		return offers.Proposal{}, fault.NotFound("proposal")
	}
	return row.proposal(t)
}

const decideProposal = `
update proposals set state = $3, application_id = $4, grant_id = $5, decision_reason = $6, decided_at = $7
where tenant_no = $1 and proposal_id = $2 and state = 'open'`

// DecideProposal implements offers.Proposals.
func (s *Store) DecideProposal(ctx context.Context, p offers.Proposal) error {
	n, err := s.q.Exec(ctx, decideProposal, p.Tenant.No, p.ID, string(p.State), null(p.ApplicationID), null(p.GrantID), null(p.DecisionReason), p.DecidedAt)
	if err == nil && n == 0 {
		return fault.Field(fault.CodeStateConflict, "proposal_id", "open", "the proposal was decided meanwhile; read it again")
	}
	return err
}

// A state is a range of its index; what is past its end and not swept yet is
// the only part of the open ones that counts as expired.
const (
	proposalsWhere = ` from proposals where tenant_no = $1 and ($2 = '' or proposal_id < $2)
  and ($3 = '' or customer_id = $3) and ($4 = '' or session_id = $4)
  and ($5 = '' or brand_id in ('', $5)) and ($6 = '' or branch_id in ('', $6)) and $7::timestamptz is not null`
	proposalsOrder = ` order by proposal_id desc limit $8`

	listProposals        = `select ` + proposalColumns + proposalsWhere + proposalsOrder
	listOpenProposals    = `select ` + proposalColumns + proposalsWhere + ` and state = 'open' and expires_at > $7` + proposalsOrder
	listDecidedProposals = `select ` + proposalColumns + proposalsWhere + ` and state = $9` + proposalsOrder
	listExpiredProposals = `
select * from (
  (select ` + proposalColumns + proposalsWhere + ` and state = 'expired'` + proposalsOrder + `)
  union all
  (select ` + proposalColumns + proposalsWhere + ` and state = 'open' and expires_at <= $7` + proposalsOrder + `)) p` + proposalsOrder
)

// ListProposals implements offers.Proposals.
func (s *Store) ListProposals(ctx context.Context, t tenancy.Tenant, f offers.ProposalFilter) ([]offers.Proposal, error) {
	args := []any{t.No, f.Before, f.CustomerID, f.SessionID, f.Reach.BrandID, f.Reach.BranchID, f.Now, f.Limit}
	statement := listProposals
	switch f.State {
	case offers.ProposalOpen:
		statement = listOpenProposals
	case offers.ProposalExpired:
		statement = listExpiredProposals
	case offers.ProposalAccepted, offers.ProposalRejected:
		statement, args = listDecidedProposals, append(args, string(f.State))
	}
	rows, err := pg.Many[proposalRow](ctx, s.q, statement, args...)
	if err != nil {
		return nil, err
	}
	out := make([]offers.Proposal, len(rows))
	for i, r := range rows {
		if out[i], err = r.proposal(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// expiredRow is a proposal with whose it is.
type expiredRow struct {
	proposalRow
	TenantNo   int32
	PartnerID  string
	MerchantID string
	Live       bool
}

// Whoever decides one at this moment holds its row, and is passed by.
const expireProposals = `
with due as (
  select proposal_id from proposals where state = 'open' and expires_at <= $1
  order by expires_at, proposal_id limit $2 for update skip locked)
update proposals p set state = 'expired' from due, merchants m
where p.proposal_id = due.proposal_id and m.tenant_no = p.tenant_no
returning p.proposal_id, p.kind, p.state, p.customer_id, coalesce(p.session_id, '') as session_id, p.brand_id, p.branch_id, p.offer_id,
  p.title, p.value, p.currency, coalesce(p.budget_id, '') as budget_id, coalesce(p.reason, '') as reason, p.card, p.trace_id,
  p.decision_id, '' as application_id, '' as grant_id, '' as decision_reason, p.created_at, p.expires_at, p.decided_at,
  m.tenant_no, m.partner_id, m.merchant_id, m.live`

// ExpireProposals implements offers.Proposals.
func (s *Store) ExpireProposals(ctx context.Context, now time.Time, limit int) ([]offers.Proposal, error) {
	rows, err := pg.Many[expiredRow](ctx, s.q, expireProposals, now, limit)
	if err != nil {
		return nil, err
	}
	out := make([]offers.Proposal, len(rows))
	for i, r := range rows {
		t := tenancy.Tenant{PartnerID: r.PartnerID, Mode: tenancy.Sandbox, MerchantID: r.MerchantID, No: r.TenantNo}
		if r.Live {
			t.Mode = tenancy.Production
		}
		if out[i], err = r.proposal(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// InsertOneOff implements offers.Proposals: at catalogue version 0, which no
// server ever asks for, so that nobody's catalogue changes.
func (s *Store) InsertOneOff(ctx context.Context, o offers.Offer) error {
	_, err := s.q.Exec(ctx, insertOffer, o.ID, o.Tenant.No, o.BrandID, string(o.Status), o.Version, string(o.Kind),
		o.Window.StartsAt, o.Window.EndsAt, int64(0), o.CreatedAt)
	if err != nil {
		return err
	}
	return s.insertVersion(ctx, o)
}
