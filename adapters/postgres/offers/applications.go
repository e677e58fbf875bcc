package offers

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// applicationRow is an application as the table has it.
type applicationRow struct {
	ApplicationID  string
	SessionID      string
	OfferID        string
	Version        int64
	CustomerID     string
	State          string
	Kind           string
	Title          string
	Currency       string
	DiscountMinor  int64
	ValueMinor     int64
	Points         int64
	Lines          json.RawMessage
	BudgetID       string
	BasketRevision int64
	Day            string
	TraceID        string
	TransactionID  string
	ReleaseReason  string
	AppliedAt      time.Time
	RedeemedAt     *time.Time
	ReleasedAt     *time.Time
}

func (r applicationRow) application(t tenancy.Tenant) (offers.Application, error) {
	a := offers.Application{
		ID: r.ApplicationID, Tenant: t, SessionID: r.SessionID, OfferID: r.OfferID, Version: r.Version, CustomerID: r.CustomerID,
		State: offers.ApplicationState(r.State), Kind: offers.Kind(r.Kind), Title: r.Title, Currency: r.Currency,
		DiscountMinor: r.DiscountMinor, ValueMinor: r.ValueMinor, Points: r.Points, BudgetID: r.BudgetID,
		BasketRevision: r.BasketRevision, Day: r.Day, TraceID: r.TraceID, TransactionID: r.TransactionID,
		ReleaseReason: r.ReleaseReason, AppliedAt: r.AppliedAt, RedeemedAt: r.RedeemedAt, ReleasedAt: r.ReleasedAt,
	}
	return a, json.Unmarshal(r.Lines, &a.Lines)
}

const insertApplication = `
insert into offer_applications (application_id, tenant_no, session_id, offer_id, version, customer_id, state, kind, title,
  currency, discount_minor, value_minor, points, lines, budget_id, basket_revision, day, trace_id, applied_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::text::date, $18, $19)`

// InsertApplication implements offers.Applications.
func (s *Store) InsertApplication(ctx context.Context, a offers.Application) error {
	lines, err := linesJSON(a.Lines)
	if err != nil {
		return err
	}
	_, err = s.q.Exec(ctx, insertApplication, a.ID, a.Tenant.No, a.SessionID, a.OfferID, a.Version, null(a.CustomerID), string(a.State),
		string(a.Kind), a.Title, a.Currency, a.DiscountMinor, a.ValueMinor, a.Points, lines, null(a.BudgetID), a.BasketRevision, a.Day,
		null(a.TraceID), a.AppliedAt)
	return err
}

func linesJSON(lines []offers.Share) (json.RawMessage, error) {
	if lines == nil {
		lines = []offers.Share{}
	}
	return json.Marshal(lines)
}

const saveApplication = `
update offer_applications set state = $4, discount_minor = $5, value_minor = $6, points = $7, lines = $8, basket_revision = $9,
  transaction_id = $10, release_reason = $11, redeemed_at = $12, released_at = $13
where tenant_no = $1 and application_id = $2 and state = $3`

// SaveApplication implements offers.Applications.
func (s *Store) SaveApplication(ctx context.Context, a offers.Application, from offers.ApplicationState) error {
	lines, err := linesJSON(a.Lines)
	if err != nil {
		return err
	}
	n, err := s.q.Exec(ctx, saveApplication, a.Tenant.No, a.ID, string(from), string(a.State), a.DiscountMinor, a.ValueMinor, a.Points,
		lines, a.BasketRevision, null(a.TransactionID), null(a.ReleaseReason), a.RedeemedAt, a.ReleasedAt)
	if err == nil && n == 0 {
		return fault.Field(fault.CodeStateConflict, "application_id", string(from), "the application is not %s any more; read the session and decide again", from)
	}
	return err
}

const sessionApplications = `
select application_id, session_id, offer_id, version, coalesce(customer_id, '') as customer_id, state, kind, title, currency,
  discount_minor, value_minor, points, lines, coalesce(budget_id, '') as budget_id, basket_revision, day::text as day,
  coalesce(trace_id, '') as trace_id, coalesce(transaction_id, '') as transaction_id, coalesce(release_reason, '') as release_reason,
  applied_at, redeemed_at, released_at
from offer_applications where tenant_no = $1 and session_id = $2
order by applied_at, application_id`

// Applications implements offers.Applications.
func (s *Store) Applications(ctx context.Context, t tenancy.Tenant, sessionID string) ([]offers.Application, error) {
	rows, err := pg.Many[applicationRow](ctx, s.q, sessionApplications, t.No, sessionID)
	if err != nil {
		return nil, err
	}
	out := make([]offers.Application, len(rows))
	for i, r := range rows {
		if out[i], err = r.application(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const seenVersion = `
select version, trace_id from counterfactuals
where tenant_no = $1 and session_id = $2 and offer_id = $3 and outcome <> 'withheld'
order by at desc, trace_id limit 1`

// Seen implements offers.Applications.
func (s *Store) Seen(ctx context.Context, t tenancy.Tenant, sessionID, offerID string) (int64, string, error) {
	row, err := pg.Maybe[struct {
		Version int64
		TraceID string
	}](ctx, s.q, seenVersion, t.No, sessionID, offerID)
	if err != nil || row == nil {
		return 0, "", err
	}
	return row.Version, row.TraceID, nil
}

const offerCounters = `
select count(*), count(*) filter (where state = 'redeemed'), count(*) filter (where state = 'released'),
  coalesce(sum(value_minor) filter (where state = 'redeemed'), 0)::bigint, coalesce(sum(value_minor) filter (where state = 'applied'), 0)::bigint
from offer_applications where tenant_no = $1 and offer_id = $2`

// Counters implements offers.Applications.
func (s *Store) Counters(ctx context.Context, t tenancy.Tenant, offerID string) (offers.Counters, error) {
	var c offers.Counters
	err := s.q.QueryRow(ctx, offerCounters, t.No, offerID).Scan(&c.Applied, &c.Redeemed, &c.Released, &c.RedeemedMinor, &c.HeldMinor)
	return c, err
}

// profile counts a customer's sales no further than rules can tell apart.
const profile = `
select c.state, c.tier, (select count(*) from (
    select from transactions x where x.tenant_no = $1 and x.customer_id = $2 limit 1000) recent) as transactions,
  coalesce(p.opt_out_all, false) as opt_out_all, p.opt_out_kinds, p.opt_out_categories
from customers c left join customer_preferences p on p.tenant_no = c.tenant_no and p.customer_id = c.customer_id
where c.tenant_no = $1 and c.customer_id = $2`

// Profile implements offers.Applications.
func (s *Store) Profile(ctx context.Context, t tenancy.Tenant, customerID string) (offers.Customer, error) {
	if customerID == "" {
		return offers.Customer{State: offers.Anonymous}, nil
	}
	row, err := pg.Maybe[struct {
		State, Tier  string
		Transactions int64

		OptOutAll                     bool
		OptOutKinds, OptOutCategories []string
	}](ctx, s.q, profile, t.No, customerID)
	switch {
	case err != nil:
		return offers.Customer{}, err
	case row == nil:
		return offers.Customer{}, fault.NotFound("customer")
	}
	return offers.Customer{
		ID: customerID, State: row.State, Tier: row.Tier, Transactions: row.Transactions,
		OptOut: offers.OptOut{All: row.OptOutAll, Kinds: row.OptOutKinds, Categories: row.OptOutCategories},
	}, nil
}
