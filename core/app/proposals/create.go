package proposals

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

// DefaultLife is how long a proposal outside of a session can be decided.
const DefaultLife = 24 * time.Hour

// CreateInput is what to propose to whom.
type CreateInput struct {
	Kind       offers.ProposalKind
	CustomerID string
	SessionID  string // empty: whatever the customer does next
	Title      string
	Value      offers.Value
	Currency   string // empty: the merchant's own
	BudgetID   string // empty: the merchant's own expense
	Reason     string
	ExpiresAt  *time.Time // nil: DefaultLife, or the end of the session
}

// Create proposes. The budget must be able to pay what it would be worth now;
// nothing is held of it. Errors: NOT_FOUND (customer, session, budget),
// SESSION_ENDED, STATE_CONFLICT where the session is not the customer's,
// OFFER_NOT_ELIGIBLE where the customer wants no such offers, BUDGET_EXHAUSTED,
// CURRENCY_MISMATCH, UNSUPPORTED_CURRENCY, VALIDATION_FAILED.
func (s *Service) Create(ctx context.Context, call *app.Call, in CreateInput) (View, error) {
	merchant, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return View{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (View, error) {
		p, err := s.draft(ctx, st, call, in, merchant.Settings, now)
		if err != nil {
			return View{}, err
		}
		if err := s.propose(ctx, st, &p, now); err != nil {
			return View{}, err
		}
		return View{Proposal: p, At: now}, s.tell(ctx, st, "proposal.created", p, now)
	})
}

// draft checks whom it is for, and fills in what follows from silence.
func (s *Service) draft(ctx context.Context, st app.Stores, call *app.Call, in CreateInput, set tenancy.Settings, now time.Time) (offers.Proposal, error) {
	p := offers.Proposal{
		ID: s.IDs.Make(ids.Proposal), Tenant: call.Tenant, Kind: in.Kind, State: offers.ProposalOpen, CustomerID: in.CustomerID, SessionID: in.SessionID,
		Place: tenancy.Place{BrandID: call.BrandID, BranchID: call.BranchID}, OfferID: s.IDs.Make(ids.Offer), Title: in.Title, Value: in.Value,
		Currency: in.Currency, BudgetID: in.BudgetID, Reason: in.Reason, DecisionID: s.IDs.Make(ids.Decision), CreatedAt: now, ExpiresAt: now.Add(DefaultLife),
	}
	if p.Currency == "" && len(set.Currencies) > 0 {
		p.Currency = set.Currencies[0]
	}
	if !slices.Contains(set.Currencies, p.Currency) {
		return p, fault.Field(fault.CodeUnsupportedCurrency, "currency", "enabled", "%s is not enabled for this merchant; use one of %v", p.Currency, set.Currencies)
	}
	customer, err := identities.Active(ctx, st, call.Tenant, in.CustomerID)
	if err == nil && (customer.NamedIn(in.Title) || privacy.HoldsContact([]byte(in.Title))) {
		err = fault.Field(fault.CodeValidationFailed, "title", "no_personal_data",
			"the title is printed on receipts and stays in the sale, which an erasure does not change; leave names, phone numbers and e-mail addresses out, and give them in reason where they are needed")
	}
	if err != nil {
		return p, err
	}
	if err := s.attend(ctx, st, call, &p, now); err != nil {
		return p, err
	}
	if in.ExpiresAt != nil {
		p.ExpiresAt = *in.ExpiresAt
	}
	return p, p.Validate()
}

// attend checks the session of a proposal, or the wallet where there is none.
func (s *Service) attend(ctx context.Context, st app.Stores, call *app.Call, p *offers.Proposal, now time.Time) error {
	if p.SessionID == "" {
		b, err := st.Ledger.Balance(ctx, p.Tenant, p.CustomerID)
		if fault.Is(err, fault.CodeNotFound) {
			return nil // the wallet is opened with the grant
		}
		if err == nil && b.Currency != p.Currency {
			return fault.Field(fault.CodeCurrencyMismatch, "currency", "wallet_currency", "the customer's wallet is in %s; propose in %s", b.Currency, b.Currency)
		}
		return err
	}
	c, err := session(ctx, call, st.Checkout.Session, p.SessionID)
	if err != nil {
		return err
	}
	if err := c.Live(now); err != nil {
		return err
	}
	if c.Currency != p.Currency {
		return fault.Field(fault.CodeCurrencyMismatch, "currency", "session_currency", "the session is in %s; propose in %s", c.Currency, c.Currency)
	}
	p.ExpiresAt, p.Place = c.ExpiresAt, tenancy.Place{BrandID: c.BrandID, BranchID: c.BranchID}
	return belongs(c, p.CustomerID)
}

// propose judges what it would be worth now, and writes it with its trace.
func (s *Service) propose(ctx context.Context, st app.Stores, p *offers.Proposal, now time.Time) error {
	q, err := s.ask(ctx, st, *p, now)
	if err != nil {
		return err
	}
	answer, err := q.answer(ctx, s.Incentives.Rules)
	if err != nil {
		return err
	}
	if answer.Withheld == offers.CustomerOptedOut {
		return fault.Field(fault.CodeOfferNotEligible, "customer_id", string(answer.Withheld), "the customer does not want such offers; propose nothing, or a grant outside of the session")
	}
	if err := s.affordable(ctx, st, *p, answer.worth(), now); err != nil {
		return err
	}
	p.Card, p.TraceID = answer.Card, decision.TraceID("proposal", p.ID)
	tr, err := trace(*p, q, answer)
	if err != nil {
		return err
	}
	var shown []decision.Counterfactual
	if p.SessionID != "" { // an offer that is shown there, and taken or not (rule 59)
		shown = append(shown, decision.Counterfactual{
			TraceID: p.TraceID, SessionID: p.SessionID, OfferID: p.OfferID, Version: 1, Outcome: "shown", ValueMinor: answer.worth(), At: now,
		})
	}
	made := decision.Decision{
		ID: p.DecisionID, Tenant: p.Tenant, TraceID: p.TraceID, Kind: decisionKind(p.Kind), SessionID: p.SessionID, CustomerID: p.CustomerID,
		OfferID: p.OfferID, AmountMinor: answer.worth(), State: "proposed", Card: p.Card, At: now,
	}
	if err := st.Decisions.SaveTrace(ctx, tr, []decision.Decision{made}, shown); err != nil {
		return err
	}
	return st.Offers.InsertProposal(ctx, *p)
}

// affordable refuses a proposal that its budget can't pay now. Errors:
// NOT_FOUND, CURRENCY_MISMATCH, BUDGET_EXHAUSTED.
func (s *Service) affordable(ctx context.Context, st app.Stores, p offers.Proposal, worth int64, now time.Time) error {
	if p.BudgetID == "" {
		return nil
	}
	_, err := budgets.Fits(ctx, st, budgets.Draw{
		Tenant: p.Tenant, BudgetID: p.BudgetID, Currency: p.Currency, AmountMinor: max(worth, 1), At: now,
	})
	return err
}

// ask gathers what a proposal is decided from.
func (s *Service) ask(ctx context.Context, st app.Stores, p offers.Proposal, now time.Time) (question, error) {
	q := question{Engine: Engine, Kind: p.Kind, Value: p.Value, Currency: p.Currency, OfferID: p.OfferID, CreatedAt: now}
	if p.BudgetID != "" {
		funds, err := st.Offers.Funds(ctx, p.Tenant, []string{p.BudgetID}, now)
		if err != nil {
			return q, err
		}
		if len(funds) > 0 {
			q.Budget = &funds[0]
		}
	}
	if p.SessionID == "" {
		profile, err := st.Offers.Profile(ctx, p.Tenant, p.CustomerID)
		q.Facts.Customer = profile
		return q, err
	}
	c, err := st.Checkout.Session(ctx, p.Tenant, p.SessionID)
	if err != nil {
		return q, err
	}
	q.Facts, err = s.Incentives.OneOffFacts(ctx, st, c, p.Offer(), now)
	return q, err
}
