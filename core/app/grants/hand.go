package grants

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/budgets"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
)

// HandInput is credit given by an operator's hand.
type HandInput struct {
	CustomerID  string
	Source      ledger.Source // GOODWILL, REFERRAL or OFFER
	AmountMinor int64         // 1 to 10^12
	Currency    string        // that of the wallet and of the budget
	BudgetID    string
	ExpiresAt   *time.Time // nil for never
	Reason      string     // kept with the budget's movement; may be empty
}

// IssueByHand gives a lot from a budget, by operator authority. It starts
// RELEASED where the customer is verified and the claim gate is met, LOCKED
// otherwise (rule 26). The budget is never overspent, whoever draws at the same
// moment. Errors: OPERATOR_REQUIRED, NOT_FOUND (customer, budget),
// CURRENCY_MISMATCH, BUDGET_EXHAUSTED, AMOUNT_OUT_OF_RANGE, VALIDATION_FAILED.
func (s *Service) IssueByHand(ctx context.Context, call *app.Call, in HandInput) (ledger.Grant, error) {
	if !call.Actor.Operator {
		return ledger.Grant{}, fault.New(fault.CodeOperatorRequired, "issuing a grant needs an API key with operator authority")
	}
	merchant, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return ledger.Grant{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (ledger.Grant, error) {
		return s.Fund(ctx, st, IssueInput{
			Tenant: call.Tenant, CustomerID: in.CustomerID, Source: in.Source, AmountMinor: in.AmountMinor, Currency: in.Currency,
			ExpiresAt: in.ExpiresAt, BudgetID: in.BudgetID, Gate: merchant.Settings.ClaimGate, Now: now,
		}, in.Reason)
	})
}

// Fund issues a lot in the caller's transaction and takes it from its budget,
// where it has one. Wallet before budget, as everywhere. Errors as those of
// Issue, and NOT_FOUND (budget), CURRENCY_MISMATCH, BUDGET_EXHAUSTED.
func (s *Service) Fund(ctx context.Context, st app.Stores, in IssueInput, reason string) (ledger.Grant, error) {
	if in.BudgetID == "" {
		return Issue(ctx, st, in)
	}
	draw := budgets.Draw{
		Tenant: in.Tenant, BudgetID: in.BudgetID, Currency: in.Currency, AmountMinor: in.AmountMinor, Reason: reason, At: in.Now,
	}
	if _, err := st.Ledger.Book(ctx, in.Tenant, in.CustomerID); err != nil {
		return ledger.Grant{}, err
	}
	b, err := budgets.Fits(ctx, st, draw)
	if err != nil {
		return ledger.Grant{}, err
	}
	in.FundedBy = b.FundedBy
	g, err := Issue(ctx, st, in)
	if err != nil {
		return ledger.Grant{}, err
	}
	draw.Reference = g.ID
	return g, budgets.Spend(ctx, st, s.IDs, draw)
}

// Detail is a grant with what moved it, oldest first.
type Detail struct {
	Grant     ledger.Grant
	Movements []ledger.GrantMovement
}

// Get reads one grant with its movements. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (Detail, error) {
	store := s.UoW.Read().Ledger
	g, err := store.Grant(ctx, call.Tenant, id)
	if err != nil {
		return Detail{}, err
	}
	moved, err := store.Movements(ctx, call.Tenant, id)
	return Detail{Grant: g, Movements: moved}, err
}
